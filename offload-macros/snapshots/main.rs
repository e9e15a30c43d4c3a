/// Runs.
fn main() -> Result<(), Error> {
    ::offload_runtime::init();
    #[::tokio::main(flavor = "current_thread")]
    async fn main() -> Result<(), Error> {
        serve().await
    }
    main()
}

// #[offload(thread)]
// pub fn read_report(path: PathBuf) -> String

::core::compile_error! {
    "there is no body to offload: declare `async fn read_report` in the trait, and put `#[offload]` on `fn read_report` in its `impl` blocks"
}
#[allow(async_fn_in_trait, refining_impl_trait, unused, clippy::all)]
pub async fn read_report(path: PathBuf) -> String {
    loop {}
}

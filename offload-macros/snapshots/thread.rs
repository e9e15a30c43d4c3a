// #[offload(thread)]
// /// Reads a report.
// pub fn read_report(path: PathBuf) -> io::Result<String> { fs::read_to_string(path) }

/// Reads a report.
pub async fn read_report(path: PathBuf) -> io::Result<String> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(path: PathBuf) -> io::Result<String> {
        fs::read_to_string(path)
    }
    let path: <PathBuf as __offload::Argument<_>>::Held = path;
    <io::Result<
        String,
    > as __offload::Returned<
        _,
    >>::call(
            {
                static __FUNCTION: __offload::Function = __offload::Function::thread(
                    __offload::concat!(__offload::module_path!(), "::read_report"),
                    &__offload::THREAD,
                );
                &__FUNCTION
            },
            <io::Result<String> as __offload::Asked>::CARRIER.offload_fail(),
            move || -> io::Result<String> { __body(path) },
        )
        .await
}

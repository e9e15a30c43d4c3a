// #[offload(thread, spawn = remove_soon)]
// /// Removes.
// #[must_use]
// pub fn remove<P: AsRef<Path> + Send + 'static>(path: P, #[to_owned] name: &str) -> io::Result<()> {
// fs::remove_file(path.as_ref().join(name))
// }

/// Removes.
#[must_use]
#[allow(clippy::double_must_use)]
pub fn remove<P: AsRef<Path> + Send + 'static>(
    path: P,
    name: &str,
) -> impl ::core::future::Future<
    Output = io::Result<()>,
> + ::core::marker::Send + 'static {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body<P: AsRef<Path> + Send + 'static>(path: P, name: &str) -> io::Result<()> {
        fs::remove_file(path.as_ref().join(name))
    }
    let path: <P as __offload::Argument<_>>::Held = path;
    let name: <<str as __offload::Lent<_>>::Held as __offload::Argument<_>>::Held = <str as __offload::Lent<
        _,
    >>::copy(name);
    async move {
        <io::Result<
            (),
        > as __offload::Returned<
            _,
        >>::call_or_start(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::thread(
                        __offload::concat!(__offload::module_path!(), "::remove"),
                        &__offload::THREAD,
                    );
                    &__FUNCTION
                },
                "",
                <io::Result<()> as __offload::Asked>::CARRIER.offload_fail(),
                move || -> io::Result<()> {
                    __body::<P>(path, __offload::Borrow::borrow(&name))
                },
            )
            .await
    }
}
/// Removes.
#[allow(dead_code)]
pub fn remove_soon<P: AsRef<Path> + Send + 'static>(
    path: P,
    name: &str,
) -> ::offload_runtime::__private::Started<io::Result<()>> {
    ::offload_runtime::__private::start(
        ::offload_runtime::__private::concat!(
            ::offload_runtime::__private::module_path!(), "::remove"
        ),
        "",
        move |first_poll| first_poll.of(remove::<P>(path, name)),
    )
}

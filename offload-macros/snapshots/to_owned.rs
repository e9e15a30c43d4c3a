// #[offload(thread)]
// fn count(#[to_owned] text: &str, #[to_owned] [first, ..]: &[u8; 2]) -> usize {
// text.len() + usize::from(*first)
// }

fn count(
    text: &str,
    arg1: &[u8; 2],
) -> impl ::core::future::Future<Output = usize> + ::core::marker::Send + 'static {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(text: &str, [first, ..]: &[u8; 2]) -> usize {
        text.len() + usize::from(*first)
    }
    let text: <<str as __offload::Lent<_>>::Held as __offload::Argument<_>>::Held = <str as __offload::Lent<
        _,
    >>::copy(text);
    let arg1: <<[u8; 2] as __offload::Lent<_>>::Held as __offload::Argument<_>>::Held = <[u8; 2] as __offload::Lent<
        _,
    >>::copy(arg1);
    async move {
        <usize as __offload::Returned<
            _,
        >>::call(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::thread(
                        __offload::concat!(__offload::module_path!(), "::count"),
                        &__offload::THREAD,
                    );
                    &__FUNCTION
                },
                <usize as __offload::Asked>::CARRIER.offload_fail(),
                move || -> usize {
                    __body(
                        __offload::Borrow::borrow(&text),
                        __offload::Borrow::borrow(&arg1),
                    )
                },
            )
            .await
    }
}

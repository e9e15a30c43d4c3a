// #[offload(cpu)]
// fn map(values: impl Iterator<Item = u32> + Send + 'static) -> Result<impl Fn() -> u32, Empty> {
// let first = values.next().ok_or(Empty)?;
// Ok(move || first)
// }

async fn map(
    values: impl Iterator<Item = u32> + Send + 'static,
) -> Result<impl Fn() -> u32, Empty> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(
        values: impl Iterator<Item = u32> + Send + 'static,
    ) -> Result<impl Fn() -> u32, Empty> {
        let first = values.next().ok_or(Empty)?;
        Ok(move || first)
    }
    let values = <_ as __offload::Argument<_>>::held(values);
    <_ as __offload::Returned<
        _,
    >>::call(
            {
                static __FUNCTION: __offload::Function = __offload::Function::cpu(
                    __offload::concat!(__offload::module_path!(), "::map"),
                    &__offload::CPU,
                );
                &__FUNCTION
            },
            <Result<_, Empty> as __offload::Asked>::CARRIER.offload_fail(),
            move || -> Result<_, Empty> { __body(values) },
        )
        .await
}

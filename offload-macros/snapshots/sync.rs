// #[offload(cpu, sync = fill_sync)]
// /// Fills.
// #[must_use]
// #[expect(clippy::needless_pass_by_value)]
// #[instrument]
// pub fn fill<T: Clone + Send + 'static, const N: usize>(mut value: T, #[to_owned] name: &str) -> [T; N] {
// todo!()
// }

/// Fills.
#[must_use]
#[expect(clippy::needless_pass_by_value)]
#[allow(clippy::missing_const_for_fn)]
pub fn fill_sync<T: Clone + Send + 'static, const N: usize>(
    mut value: T,
    name: &str,
) -> [T; N] {
    todo!()
}
/// Fills.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
#[instrument]
#[allow(clippy::double_must_use)]
pub fn fill<T: Clone + Send + 'static, const N: usize>(
    value: T,
    name: &str,
) -> impl ::core::future::Future<Output = [T; N]> + ::core::marker::Send + 'static {
    use ::offload_runtime::__private as __offload;
    let value: <T as __offload::Argument<_>>::Held = value;
    let name: <<str as __offload::Lent<_>>::Held as __offload::Argument<_>>::Held = <str as __offload::Lent<
        _,
    >>::copy(name);
    async move {
        <[T; N] as __offload::Returned<
            _,
        >>::call(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::cpu(
                        __offload::concat!(__offload::module_path!(), "::fill"),
                        &__offload::CPU,
                    );
                    &__FUNCTION
                },
                <[T; N] as __offload::Asked>::CARRIER.offload_fail(),
                move || -> [T; N] {
                    fill_sync::<T, N>(value, __offload::Borrow::borrow(&name))
                },
            )
            .await
    }
}

// #[offload(cpu, name = "thumb", crate = my::runtime)]
// pub fn thumb(Path(id): Path<u64>, mut store: Store, _guard: Guard, _: Permit) -> Png {
// store.draw(id)
// }

pub async fn thumb(id: Path<u64>, store: Store, _guard: Guard, _arg3: Permit) -> Png {
    use my::runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(Path(id): Path<u64>, mut store: Store, _guard: Guard, _: Permit) -> Png {
        store.draw(id)
    }
    let id: <Path<u64> as __offload::Argument<_>>::Held = id;
    let store: <Store as __offload::Argument<_>>::Held = store;
    let _guard: <Guard as __offload::Argument<_>>::Held = _guard;
    let _arg3: <Permit as __offload::Argument<_>>::Held = _arg3;
    <Png as __offload::Returned<
        _,
    >>::call(
            {
                static __FUNCTION: __offload::Function = __offload::Function::cpu(
                    "thumb",
                    &__offload::CPU,
                );
                &__FUNCTION
            },
            <Png as __offload::Asked>::CARRIER.offload_fail(),
            move || -> Png { __body(id, store, _guard, _arg3) },
        )
        .await
}

// #[offload(thread)]
// pub fn load(id: u64, #[resource(DB)] db: &mut Connection, #[resource(app::RULES)] rules: &Rules) -> Result<Row, Error> {
// rules.apply(db.load(id)?)
// }

pub async fn load(id: u64) -> Result<Row, Error> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    #[allow(
        clippy::needless_pass_by_ref_mut,
        clippy::ptr_arg,
        clippy::trivially_copy_pass_by_ref
    )]
    fn __body(id: u64, db: &mut Connection, rules: &Rules) -> Result<Row, Error> {
        rules.apply(db.load(id)?)
    }
    let id: <u64 as __offload::Argument<_>>::Held = id;
    <Result<
        Row,
        Error,
    > as __offload::Returned<
        _,
    >>::call(
            {
                static __FUNCTION: __offload::Function = __offload::Function::thread(
                        __offload::concat!(__offload::module_path!(), "::load"),
                        &__offload::THREAD,
                    )
                    .resources(|| -> __offload::Vec<__offload::Lends> {
                        __offload::Vec::from([
                            <Connection as __offload::LentMut<_>>::lends(&DB),
                            <Rules as __offload::LentShared<_>>::lends(&app::RULES),
                        ])
                    });
                &__FUNCTION
            },
            <Result<Row, Error> as __offload::Asked>::CARRIER.offload_fail(),
            move || -> Result<Row, Error> {
                let mut db = __offload::Borrowed::<Connection>::take(0usize);
                let rules = __offload::Borrowed::<Rules>::take(1usize);
                __body(id, &mut *db, &*rules)
            },
        )
        .await
}

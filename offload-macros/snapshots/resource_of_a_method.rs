// #[offload(thread)]
// fn load(#[to_owned] &self, #[resource(DB)] mut db: &mut Connection) -> Row {
// db.load(self.id)
// }

impl Loader {
    #[allow(async_fn_in_trait)]
    #[allow(refining_impl_trait)]
    fn load(
        &self,
    ) -> impl ::core::future::Future<Output = Row> + ::core::marker::Send + 'static {
        use ::offload_runtime::__private as __offload;
        #[allow(clippy::use_self)]
        let self_: <<Self as __offload::Lent<
            _,
        >>::Held as __offload::Argument<_>>::Held = <Self as __offload::Lent<
            _,
        >>::copy(self);
        async move {
            <Row as __offload::Returned<
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
                                ])
                            });
                        &__FUNCTION
                    },
                    <Row as __offload::Asked>::CARRIER.offload_fail(),
                    move || -> Row {
                        let mut db = __offload::Borrowed::<Connection>::take(0usize);
                        #[allow(unused_variables)]
                        let self_: &Self = &self_;
                        let mut db: &mut Connection = &mut *db;
                        { db.load(self_.id) }
                    },
                )
                .await
        }
    }
}

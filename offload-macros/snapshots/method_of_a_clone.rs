// #[offload(cpu)]
// fn find(#[to_owned] &self, name: String) -> Option<u32> {
// self.index.get(&name).copied().or_else(|| lookup!(self, name))
// }

impl Tree {
    #[allow(async_fn_in_trait)]
    #[allow(refining_impl_trait)]
    fn find(
        &self,
        name: String,
    ) -> impl ::core::future::Future<
        Output = Option<u32>,
    > + ::core::marker::Send + 'static {
        use ::offload_runtime::__private as __offload;
        let name: <String as __offload::Argument<_>>::Held = name;
        #[allow(clippy::use_self)]
        let self_: <<Self as __offload::Lent<
            _,
        >>::Held as __offload::Argument<_>>::Held = <Self as __offload::Lent<
            _,
        >>::copy(self);
        async move {
            <Option<
                u32,
            > as __offload::Returned<
                _,
            >>::call(
                    {
                        static __FUNCTION: __offload::Function = __offload::Function::cpu(
                            __offload::concat!(__offload::module_path!(), "::find"),
                            &__offload::CPU,
                        );
                        &__FUNCTION
                    },
                    <Option<u32> as __offload::Asked>::CARRIER.offload_fail(),
                    move || -> Option<u32> {
                        #[allow(unused_variables)]
                        let self_: &Self = &self_;
                        let name = name;
                        {
                            self_
                                .index
                                .get(&name)
                                .copied()
                                .or_else(|| lookup!(self_, name))
                        }
                    },
                )
                .await
        }
    }
}

// #[offload(cpu)]
// fn grow(mut self, by: u32) -> Self { self.size += by; self }

impl Tree {
    #[allow(async_fn_in_trait)]
    async fn grow(mut self, by: u32) -> Self {
        use ::offload_runtime::__private as __offload;
        let by: <u32 as __offload::Argument<_>>::Held = by;
        <Self as __offload::Argument<_>>::moves();
        <Self as __offload::Returned<
            _,
        >>::call(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::cpu(
                        __offload::concat!(__offload::module_path!(), "::grow"),
                        &__offload::CPU,
                    );
                    &__FUNCTION
                },
                <Self as __offload::Asked>::CARRIER.offload_fail(),
                move || -> Self {
                    let _ = &self;
                    let by = by;
                    {
                        self.size += by;
                        self
                    }
                },
            )
            .await
    }
}

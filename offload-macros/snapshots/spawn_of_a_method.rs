// #[offload(cpu, spawn = squares_soon)]
// fn squares(self, n: u64) -> impl Iterator<Item = u64> { (self.0..n).map(|n| n * n) }

impl Numbers {
    #[allow(async_fn_in_trait)]
    async fn squares(self, n: u64) -> impl Iterator<Item = u64> {
        use ::offload_runtime::__private as __offload;
        let n: <u64 as __offload::Argument<_>>::Held = n;
        <Self as __offload::Argument<_>>::moves();
        <_ as __offload::Returned<
            _,
        >>::call_or_start(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::cpu(
                        __offload::concat!(__offload::module_path!(), "::squares"),
                        &__offload::CPU,
                    );
                    &__FUNCTION
                },
                __offload::type_name::<Self>(),
                __offload::None,
                move || -> _ {
                    let _ = &self;
                    let n = n;
                    { (self.0..n).map(|n| n * n) }
                },
            )
            .await
    }
    #[allow(async_fn_in_trait)]
    #[allow(dead_code)]
    fn squares_soon(
        self,
        n: u64,
    ) -> ::offload_runtime::__private::Started<impl Iterator<Item = u64> + 'static> {
        ::offload_runtime::__private::start(
            ::offload_runtime::__private::concat!(
                ::offload_runtime::__private::module_path!(), "::squares"
            ),
            ::offload_runtime::__private::type_name::<Self>(),
            move |first_poll| first_poll.of(Self::squares(self, n)),
        )
    }
}

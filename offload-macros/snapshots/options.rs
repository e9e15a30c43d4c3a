// #[offload(cpu, limit = 4, queue = 100, timeout = "1m30s", queue_timeout = PATIENCE, pool = REPORTS, detach)]
// fn render(page: Page) -> Result<Png, Error> { page.render() }

async fn render(page: Page) -> Result<Png, Error> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(page: Page) -> Result<Png, Error> {
        page.render()
    }
    let page: <Page as __offload::Argument<_>>::Held = page;
    <Result<
        Png,
        Error,
    > as __offload::Returned<
        _,
    >>::call(
            {
                static __LIMITER: __offload::OwnLimiter = __offload::OwnLimiter::new();
                static __FUNCTION: __offload::Function = __offload::Function::cpu(
                        __offload::concat!(__offload::module_path!(), "::render"),
                        &REPORTS,
                    )
                    .limit(|| -> &'static __offload::Limiter {
                        __offload::Limit::limiter(&4usize, &__LIMITER)
                    })
                    .queue(100)
                    .timeout(|| -> __offload::Duration {
                        __offload::Duration::new(90u64, 0u32)
                    })
                    .queue_timeout(|| -> __offload::Duration { PATIENCE })
                    .detach();
                &__FUNCTION
            },
            <<Result<
                Png,
                Error,
            > as __offload::Returned<_>>::Held as __offload::Fallible<_>>::fail(),
            move || -> Result<Png, Error> { __body(page) },
        )
        .await
}

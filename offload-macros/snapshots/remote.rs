// #[offload(remote, timeout = "2s", pool = RENDERER, attempts = 3)]
// fn render(document: Document) -> Result<Pdf, Error> { document.render() }

async fn render(document: Document) -> Result<Pdf, Error> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(document: Document) -> Result<Pdf, Error> {
        document.render()
    }
    let document = document;
    if __offload::in_worker() {
        return __body(document);
    }
    <Result<
        Pdf,
        Error,
    > as __offload::Remote>::call_remote(
            {
                static __FUNCTION: __offload::Function = __offload::Function::remote(
                        __offload::concat!(__offload::module_path!(), "::render"),
                        &RENDERER,
                        __offload::Place {
                            file: __offload::file!(),
                            line: __offload::line!(),
                            column: __offload::column!(),
                        },
                        |__arguments| {
                            let document = <Document as __offload::InWorker>::TYPE
                                .offload_take(__arguments)?;
                            __offload::Arguments::end(__arguments)?;
                            let __result = __body(document);
                            __offload::Known::of(&__result)
                                .offload_answer(__result, __arguments);
                            __offload::Ok(())
                        },
                    )
                    .timeout(|| -> __offload::Duration {
                        __offload::Duration::new(2u64, 0u32)
                    })
                    .attempts(3);
                __offload::inventory::submit! {
                    __offload::Listed::new(& __FUNCTION)
                }
                &__FUNCTION
            },
            move |__outbound: &mut __offload::Outbound| {
                let _ = &__outbound;
                <Document as __offload::Transfer>::send(&document, __outbound);
            },
        )
        .await
}

// #[offload(process, timeout = "2s", pool = RENDERER)]
// /// Renders.
// pub fn render(mut document: Document, #[to_owned] title: &str, _: u8) -> Result<Pdf, Error> {
// document.render(title)
// }

/// Renders.
pub fn render(
    document: Document,
    title: &str,
    _arg2: u8,
) -> impl ::core::future::Future<
    Output = Result<Pdf, Error>,
> + ::core::marker::Send + 'static {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(mut document: Document, title: &str, _: u8) -> Result<Pdf, Error> {
        document.render(title)
    }
    let document = document;
    let title = <str as __offload::TransferLent>::hold(title);
    let _arg2 = _arg2;
    async move {
        if __offload::in_worker() {
            return __body(
                document,
                <str as __offload::TransferLent>::lent(&title),
                _arg2,
            );
        }
        <Result<
            Pdf,
            Error,
        > as __offload::Remote>::call(
                {
                    static __FUNCTION: __offload::Function = __offload::Function::process(
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
                                <str as __offload::InWorker>::TYPE
                                    .offload_lend(
                                        __arguments,
                                        |title, __arguments| {
                                            let _arg2 = <u8 as __offload::InWorker>::TYPE
                                                .offload_take(__arguments)?;
                                            __offload::Arguments::end(__arguments)?;
                                            let __result = __body(document, title, _arg2);
                                            __offload::Known::of(&__result)
                                                .offload_answer(__result, __arguments);
                                            __offload::Ok(())
                                        },
                                    )
                            },
                        )
                        .timeout(|| -> __offload::Duration {
                            __offload::Duration::new(2u64, 0u32)
                        });
                    __offload::inventory::submit! {
                        __offload::Listed::new(& __FUNCTION)
                    }
                    &__FUNCTION
                },
                move |__outbound: &mut __offload::Outbound| {
                    let _ = &__outbound;
                    <Document as __offload::Transfer>::send(&document, __outbound);
                    <str as __offload::TransferLent>::send(&title, __outbound);
                    <u8 as __offload::Transfer>::send(&_arg2, __outbound);
                },
            )
            .await
    }
}

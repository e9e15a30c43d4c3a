// #[offload(process, stream = 64, stall_timeout = "10s")]
// fn pages(document: Document, out: &mut Sink<Page>) -> Result<(), Error> { document.render(out) }

fn pages(
    document: Document,
) -> impl ::offload_runtime::__private::Stream<
    Item = Result<Page, Error>,
> + ::core::marker::Send + 'static {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    fn __body(document: Document, out: &mut Sink<Page>) -> Result<(), Error> {
        document.render(out)
    }
    let document = document;
    <Page as __offload::Transfer>::pushed(
        <Result<(), Error> as __offload::RemoteEnds>::end(),
        {
            static __FUNCTION: __offload::Function = __offload::Function::process(
                __offload::concat!(__offload::module_path!(), "::pages"),
                &__offload::PROCESS,
                __offload::Place {
                    file: __offload::file!(),
                    line: __offload::line!(),
                    column: __offload::column!(),
                },
                |__arguments| {
                    let document = <Document as __offload::InWorker>::TYPE
                        .offload_take(__arguments)?;
                    __offload::Arguments::end(__arguments)?;
                    let mut out = <Page as __offload::InWorker>::TYPE
                        .offload_sink(__arguments)?;
                    let __result = __body(document, &mut out);
                    __offload::Known::of(&__result)
                        .offload_ended(__result, out, __arguments);
                    __offload::Ok(())
                },
            );
            __offload::inventory::submit! {
                __offload::Listed::new(& __FUNCTION)
            }
            &__FUNCTION
        },
        __offload::Shape {
            room: 64,
            stall_timeout: __offload::Some(|| -> __offload::Duration {
                __offload::Duration::new(10u64, 0u32)
            }),
        },
        move |__outbound: &mut __offload::Outbound| {
            let _ = &__outbound;
            <Document as __offload::Transfer>::send(&document, __outbound);
        },
    )
}

// #[offload(process, spawn = render_soon)]
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
    let __function = {
        static __FUNCTION: __offload::Function = __offload::Function::process(
            __offload::concat!(__offload::module_path!(), "::render"),
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
                let __result = __body(document);
                __offload::Known::of(&__result).offload_answer(__result, __arguments);
                __offload::Ok(())
            },
        );
        __offload::inventory::submit! {
            __offload::Listed::new(& __FUNCTION)
        }
        &__FUNCTION
    };
    if __offload::in_worker() {
        return match <Result<
            Pdf,
            Error,
        > as __offload::Remote>::here_or_started(__function, || __body(document)) {
            __offload::Result::Ok(result) => result,
            __offload::Result::Err(started) => started.await,
        };
    }
    <Result<
        Pdf,
        Error,
    > as __offload::Remote>::call_or_start(
            __function,
            move |__outbound: &mut __offload::Outbound| {
                let _ = &__outbound;
                <Document as __offload::Transfer>::send(&document, __outbound);
            },
        )
        .await
}
#[allow(dead_code)]
fn render_soon(
    document: Document,
) -> ::offload_runtime::__private::Started<Result<Pdf, Error>> {
    ::offload_runtime::__private::start(
        ::offload_runtime::__private::concat!(
            ::offload_runtime::__private::module_path!(), "::render"
        ),
        "",
        move |first_poll| first_poll.of(render(document)),
    )
}

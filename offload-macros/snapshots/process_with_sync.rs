// #[offload(process, sync = render_sync)]
// fn render(document: Document) -> Result<Pdf, Error> { document.render() }

#[allow(clippy::missing_const_for_fn)]
fn render_sync(document: Document) -> Result<Pdf, Error> {
    document.render()
}
async fn render(document: Document) -> Result<Pdf, Error> {
    use ::offload_runtime::__private as __offload;
    let document = document;
    if __offload::in_worker() {
        return render_sync(document);
    }
    <Result<
        Pdf,
        Error,
    > as __offload::Remote>::call(
            {
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
                        let __result = render_sync(document);
                        __offload::Known::of(&__result)
                            .offload_answer(__result, __arguments);
                        __offload::Ok(())
                    },
                );
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

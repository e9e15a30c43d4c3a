// #[offload(process, stream)]
// fn pages(#[to_owned] path: &Path) -> Result<impl Iterator<Item = Page>, Error> { open(path) }

fn pages(
    path: &Path,
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
    fn __body(path: &Path) -> Result<impl Iterator<Item = Page>, Error> {
        open(path)
    }
    let path = <Path as __offload::TransferLent>::hold(path);
    <Result<
        Page,
        Error,
    > as __offload::RemoteItem>::items(
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
                    <Path as __offload::InWorker>::TYPE
                        .offload_lend(
                            __arguments,
                            |path, __arguments| {
                                __offload::Arguments::end(__arguments)?;
                                let __result = __body(path);
                                __offload::Known::of(&__result)
                                    .offload_send_opened(__result, __arguments)
                            },
                        )
                },
            );
            __offload::inventory::submit! {
                __offload::Listed::new(& __FUNCTION)
            }
            &__FUNCTION
        },
        __offload::Shape {
            room: 16usize,
            stall_timeout: __offload::None,
        },
        move |__outbound: &mut __offload::Outbound| {
            let _ = &__outbound;
            <Path as __offload::TransferLent>::send(&path, __outbound);
        },
    )
}

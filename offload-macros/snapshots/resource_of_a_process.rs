// #[offload(process)]
// fn ask(#[resource(MODEL)] model: &mut Model, question: String) -> Result<String, Error> {
// model.answer(question)
// }

async fn ask(question: String) -> Result<String, Error> {
    use ::offload_runtime::__private as __offload;
    #[allow(
        clippy::missing_const_for_fn,
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        clippy::unnecessary_wraps
    )]
    #[allow(
        clippy::needless_pass_by_ref_mut,
        clippy::ptr_arg,
        clippy::trivially_copy_pass_by_ref
    )]
    fn __body(model: &mut Model, question: String) -> Result<String, Error> {
        model.answer(question)
    }
    let question = question;
    let __function = {
        static __FUNCTION: __offload::Function = __offload::Function::process(
                __offload::concat!(__offload::module_path!(), "::ask"),
                &__offload::PROCESS,
                __offload::Place {
                    file: __offload::file!(),
                    line: __offload::line!(),
                    column: __offload::column!(),
                },
                |__arguments| {
                    let question = <String as __offload::InWorker>::TYPE
                        .offload_take(__arguments)?;
                    __offload::Arguments::end(__arguments)?;
                    let mut model = __offload::Borrowed::<Model>::take(0usize);
                    let __result = __body(&mut *model, question);
                    __offload::Known::of(&__result)
                        .offload_answer(__result, __arguments);
                    __offload::Ok(())
                },
            )
            .resources(|| -> __offload::Vec<__offload::Lends> {
                __offload::Vec::from([<Model as __offload::LentMut<_>>::lends(&MODEL)])
            });
        __offload::inventory::submit! {
            __offload::Listed::new(& __FUNCTION)
        }
        &__FUNCTION
    };
    if __offload::in_worker() {
        return <Result<
            String,
            Error,
        > as __offload::Remote>::in_place(
            __function,
            || {
                let mut model = __offload::Borrowed::<Model>::take(0usize);
                __body(&mut *model, question)
            },
        );
    }
    <Result<
        String,
        Error,
    > as __offload::Remote>::call(
            __function,
            move |__outbound: &mut __offload::Outbound| {
                let _ = &__outbound;
                <String as __offload::Transfer>::send(&question, __outbound);
            },
        )
        .await
}

// #[offload(thread)]
// fn count(#[to_owned] text: &str, #[to_owned] [first, ..]: &[u8; 2]) -> usize {
// text.len() + usize::from(*first)
// }

async fn count(text: &str, arg1: &[u8; 2]) -> usize {
    use ::offload_runtime::__private as __offload;
    let text: <str as __offload::Lent>::Held = <str as __offload::Lent>::copy(text);
    let arg1: <[u8; 2] as __offload::Lent>::Held = <[u8; 2] as __offload::Lent>::copy(
        arg1,
    );
    <usize as __offload::Returned>::call(
            {
                static __FUNCTION: __offload::Function = __offload::Function::thread(
                    __offload::concat!(__offload::module_path!(), "::count"),
                    &__offload::THREAD,
                );
                &__FUNCTION
            },
            __offload::Carrier::<usize>::NEW.offload_fail(),
            move || -> usize {
                let text = text;
                let text: &str = __offload::Borrow::borrow(&text);
                let arg1 = arg1;
                let [first, ..]: &[u8; 2] = __offload::Borrow::borrow(&arg1);
                { text.len() + usize::from(*first) }
            },
        )
        .await
}

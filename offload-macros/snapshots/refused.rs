// #[offload(thread, tiemout = "1s")]
// pub fn read_report(path: &Path) -> String { fs::read_to_string(path).unwrap() }

::core::compile_error! {
    "unknown option `tiemout`, did you mean `timeout`?\nthe kinds are `thread`, `cpu`, `process`, `remote`\nthe options are `limit`, `queue`, `timeout`, `queue_timeout`, `pool`, `name`, `sync`, `spawn`, `panic`, `detach`, `stream`, `stall_timeout`, `attempts`, `crate`"
}
::core::compile_error! {
    "`&Path` would be lent to another thread, which may outlive its owner: take `PathBuf`, or write `#[to_owned] path: &Path` to give the job a copy"
}
#[allow(async_fn_in_trait, refining_impl_trait, unused, clippy::all)]
pub fn read_report(path: &Path) -> impl ::core::future::Future<Output = String> {
    let _ = async move {
        if false {
            let result: String = loop {};
            return result;
        }
        { fs::read_to_string(path).unwrap() }
    };
    ::core::future::pending()
}

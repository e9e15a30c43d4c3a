//! Options that do not exist, or are not written like this.

use offload_runtime::offload;

#[offload(cpu, nmae = "label")] //~
fn misspelt(n: u32) -> u32 {
    n
}

#[offload(cpu, priority = 3)] //~
fn unknown(n: u32) -> u32 {
    n
}

#[offload(cpu, name = "a", limit = 1, name = "b")] //~
fn repeated(n: u32) -> u32 {
    n
}

#[offload(cpu, name)] //~
fn no_value(n: u32) -> u32 {
    n
}

#[offload(cpu, name = label)] //~
fn name_is_a_path(n: u32) -> u32 {
    n
}

#[offload(cpu, name = "")] //~
fn name_is_empty(n: u32) -> u32 {
    n
}

#[offload(cpu, limit(4))] //~
fn parentheses(n: u32) -> u32 {
    n
}

#[offload(cpu, sync = "blocking")] //~
fn sync_is_a_string(n: u32) -> u32 {
    n
}

#[offload(cpu, sync = own_name)] //~
fn own_name(n: u32) -> u32 {
    n
}

#[offload(cpu, crate = "offload_runtime")] //~
fn crate_is_a_string(n: u32) -> u32 {
    n
}

#[offload(cpu, detach = true)] //~
fn flag_with_value(n: u32) -> u32 {
    n
}

#[offload(cpu limit = 4)] //~
fn no_comma(n: u32) -> u32 {
    n
}

#[offload(cpu, pool = )] //~
fn value_is_missing(n: u32) -> u32 {
    n
}

#[offload(cpu, sync = with_cfg_sync)]
fn with_cfg(n: u32, #[cfg(unix)] more: u32) -> u32 { //~
    n + more
}

async fn caller() -> u32 {
    misspelt(1).await
        + unknown(2).await
        + repeated(3).await
        + no_value(4).await
        + name_is_a_path(5).await
        + name_is_empty(6).await
        + parentheses(7).await
        + sync_is_a_string(8).await
        + own_name(9).await
        + crate_is_a_string(10).await
        + flag_with_value(11).await
        + no_comma(12).await
        + value_is_missing(13).await
        + with_cfg(14, 15).await
        + with_cfg_sync(16, 17)
}

fn main() {}

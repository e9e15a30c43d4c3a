//! What `spawn` and `panic` cannot be given to.

use offload_runtime::offload;

#[offload(thread, spawn = remove)] //~
fn remove(id: u64) -> u64 {
    id
}

#[offload(cpu, sync = sum_soon, spawn = sum_soon)] //~
fn sum(values: Vec<u64>) -> u64 {
    values.into_iter().sum()
}

#[offload(cpu, spawn = squares_soon)]
fn squares(n: u64) -> impl Iterator<Item = u64> + Send + 'static { //~
    (0..n).map(|n| n * n)
}

#[offload(thread, stream, spawn = lines_soon)] //~
fn lines(text: String) -> impl Iterator<Item = u8> + Send + 'static {
    text.into_bytes().into_iter()
}

#[offload(cpu, spawn)] //~
fn unnamed() {}

#[offload(cpu, panic = "error")]
fn nothing() {} //~

#[offload(cpu, panic = "error")]
fn plain(n: u64) -> u64 { //~
    n
}

#[offload(cpu, panic = "abort")] //~
fn abort(n: u64) -> Result<u64, offload_runtime::Error> {
    Ok(n)
}

#[offload(process, panic = "error")] //~
fn isolated(n: u64) -> Result<u64, offload_runtime::Error> {
    Ok(n)
}

#[offload(process, spawn = apart_soon)] //~
fn apart(n: u64) -> Result<u64, offload_runtime::Error> {
    Ok(n)
}

#[offload(thread, spawn = measure_soon)]
fn measure(text: &str) -> usize { //~
    text.len()
}

fn callers_add_no_error() {
    drop(measure_soon("text"));
}

fn main() {
    callers_add_no_error();
}

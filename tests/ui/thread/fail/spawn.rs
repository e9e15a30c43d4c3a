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

#[offload(cpu, spawn = endless_soon)]
fn endless() -> ! { //~
    loop {}
}

#[offload(process, spawn = endless_apart_soon)]
fn endless_apart() -> ! { //~
    loop {}
}

#[offload(thread, timeout = "1s", spawn = endless_in_time_soon)]
fn endless_in_time() -> ! { //~
    loop {}
}

#[offload(thread, spawn = with_cfg_soon)]
fn with_cfg(#[cfg(all())] n: u32) -> u32 { //~
    n
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

#[offload(process, spawn = apart_soon)]
fn apart(n: u64) -> u64 { //~
    n
}

#[offload(thread, spawn = not_send_soon)]
fn not_send(text: std::rc::Rc<str>) -> usize { //~
    text.len()
}

#[offload(thread, spawn = not_send_back_soon)]
fn not_send_back(#[to_owned] text: &str) -> std::rc::Rc<str> { //~
    text.into()
}

#[offload(cpu, spawn = opaque_soon)]
fn opaque(n: usize) -> impl Fn() -> usize { //~
    let n = std::rc::Rc::new(n);
    move || *n
}

trait Store {
    async fn load(self) -> u32;
}

impl Store for u32 {
    #[offload(thread, spawn = load_soon)] //~
    fn load(self) -> u32 {
        self
    }
}

#[offload(thread, spawn = measure_soon)]
fn measure(text: &str) -> usize { //~
    text.len()
}

async fn callers_add_no_error() {
    drop(measure_soon("text"));
    drop(with_cfg_soon(1));
    drop(apart_soon(1));
    drop(not_send_soon("".into()));
    drop(not_send_back_soon(""));
    drop(opaque_soon(1));
    let _: u32 = 1.load().await;
}

fn main() {
    drop(callers_add_no_error());
}

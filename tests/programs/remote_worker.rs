//! A program with remote functions, which the tests start as a worker of them.

#[path = "../nats/functions.rs"]
mod functions;

/// What a trace is over there.
fn enter(trace: String) -> Entered {
    Entered(functions::TRACE.replace(Some(trace)))
}

struct Entered(Option<String>);

impl Drop for Entered {
    fn drop(&mut self) {
        functions::TRACE.set(self.0.take());
    }
}

fn main() {
    offload_runtime::propagate_remote("traceparent", || None, enter);
    offload_runtime::init();
    eprintln!(
        "this program is started as a worker: OFFLOAD_REMOTE_WORKER={}",
        functions::JOBS_NAME
    );
    std::process::exit(1);
}

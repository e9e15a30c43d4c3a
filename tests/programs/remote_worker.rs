//! A program with remote functions, which the tests start as a worker of them.

#[path = "../nats/functions.rs"]
mod functions;

/// As this build has what `tests/nats/data.rs` has otherwise.
#[expect(dead_code, reason = "only other programs call them")]
mod builds {
    use offload_runtime::{Error, RemotePool, offload};
    use serde::{Deserialize, Serialize};

    static BUILDS: RemotePool = RemotePool::new("builds");

    #[derive(Serialize, Deserialize)]
    struct Order {
        what: String,
    }

    #[derive(Serialize, Deserialize)]
    struct Receipt {
        text: String,
    }

    #[offload(remote, timeout = "60s", pool = BUILDS, name = "order from an older build")]
    fn order_from_older(order: Order) -> Result<Receipt, Error> {
        Ok(Receipt { text: order.what })
    }

    #[derive(Serialize, Deserialize)]
    struct LongOrder {
        what: String,
        #[serde(default)]
        count: u32,
    }

    #[derive(Serialize, Deserialize)]
    struct LongReceipt {
        text: String,
        price: u32,
    }

    #[offload(remote, timeout = "60s", pool = BUILDS, name = "order from a newer build")]
    fn order_from_newer(order: LongOrder) -> Result<LongReceipt, Error> {
        Ok(LongReceipt { text: order.what, price: order.count })
    }
}

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

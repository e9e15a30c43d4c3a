//! A program of which the tests of `nats` have two builds: the newer one has a field more in what it sends. It is the worker
//! of its pool, or places the order that is its argument, and prints how the worker read it, and what came back.

macro_rules! orders {
    ($($since_newer:tt)*) => {
        use offload_runtime::{Error, RemotePool, offload};
        use serde::{Deserialize, Serialize};

        static ORDERS: RemotePool = RemotePool::new("orders");

        #[derive(Serialize, Deserialize)]
        struct Order {
            what: String,
            $($since_newer)*
        }

        #[offload(remote, timeout = "60s", pool = ORDERS, name = "place")]
        fn place(order: Order) -> Result<(String, Order), Error> {
            Ok((text(&order), order))
        }

        fn text(order: &Order) -> String {
            serde_json::to_string(order).expect("an order can be written")
        }

        #[offload_runtime::main]
        async fn main() -> Result<(), Error> {
            let order = std::env::args().nth(1).expect("an order");
            let order = serde_json::from_str(&order).expect("an order");
            let (read, back) = place(order).await?;
            println!("{read} {}", text(&back));
            Ok(())
        }
    };
}

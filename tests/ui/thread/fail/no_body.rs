//! A function without a body, in a trait.

use offload_runtime::offload;

trait Reader {
    #[offload(thread)]
    fn read(self, name: String) -> String; //~
}

struct Disk;

impl Reader for Disk {
    async fn read(self, name: String) -> String {
        name
    }
}

async fn caller() -> String {
    Disk.read(String::new()).await
}

fn main() {}

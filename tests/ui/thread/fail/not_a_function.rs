//! The attribute on something else, which stays as it was.

use offload_runtime::offload;

#[offload(thread)]
struct Plain { //~
    number: u32,
}

#[offload(thread)]
enum Choice { //~
    One,
}

#[offload(thread)]
impl Plain { //~
    fn number(&self) -> u32 {
        self.number
    }
}

#[offload(thread)]
trait Number { //~
    fn number(&self) -> u32;
}

#[offload(thread)]
const LIMIT: u32 = 1; //~

#[offload(thread)]
static NAME: &str = "a"; //~

#[offload(thread)]
mod inner { //~
    pub fn number() -> u32 {
        1
    }
}

#[offload(thread)]
type Alias = Plain; //~

#[offload(thread)]
use std::collections::HashMap; //~

#[offload(thread)]
macro_rules! number { //~
    () => {
        1
    };
}

async fn caller() -> u32 {
    let Choice::One = Choice::One;
    let _ = (NAME, HashMap::<u32, u32>::new(), number!());
    Alias { number: LIMIT }.number() + inner::number()
}

fn main() {}

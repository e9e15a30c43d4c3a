//! On a statement or an expression the compiler has an error of its own, E0658;
//! ours has the fix.

use offload_runtime::offload;

fn main() {
    #[offload(thread)] //~
    let number = 1; //~
    #[offload(thread)] //~
    move |add: u32| number + add; //~
}

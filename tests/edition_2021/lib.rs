//! Its test is what there is: [`options.rs`](../options.rs).

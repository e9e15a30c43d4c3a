//! Four places of real programs that used `spawn_blocking` or rayon by hand, before and after.
//!
//! The shapes are theirs, the code is not: each is cut down to what calls and waits. What the page
//! [moving](../../offload-runtime/docs/moving.md) says of such places in general is done here in particular.
//!
//! | file | what it is | where its shape is from |
//! | --- | --- | --- |
//! | `passwords` | a helper that carries the caller's span to a blocking thread | the newsletter of *Zero to Production in Rust* |
//! | `searches` | a pool for what computes, with a channel back, an error for panics, and a number for the dashboard | Quickwit |
//! | `connections` | a connection that is lent to closures, and given back from a destructor | Vaultwarden |
//! | `listings` | an iterator that is moved to a thread and back for each thousand items | `object_store` |
//!
//! Both halves of each pass the same test: `cargo test -p offload-examples --test conversions`.

mod connections;
mod listings;
mod passwords;
mod searches;

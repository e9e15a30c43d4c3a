//! The newer build.

#[macro_use]
mod orders;

orders! {
    #[serde(default)]
    count: u32,
}

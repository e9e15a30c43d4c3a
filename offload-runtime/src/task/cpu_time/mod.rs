//! Whether a function's bodies compute or wait, and whether they wait for a processor. Known
//! with the feature `watch` alone.

#[cfg(feature = "watch")]
mod sampling;

#[cfg(all(feature = "watch", feature = "axum"))]
pub(crate) use sampling::does;
#[cfg(feature = "watch")]
pub(crate) use sampling::{CpuTime, Sample};

#[cfg(not(feature = "watch"))]
pub(crate) use nothing::{CpuTime, Sample};

#[cfg(not(feature = "watch"))]
mod nothing {
    /// Nothing is known.
    #[derive(Debug)]
    pub(crate) struct CpuTime;

    /// There is none.
    pub(crate) enum Sample {}

    impl CpuTime {
        pub(crate) const fn new() -> CpuTime {
            CpuTime
        }

        pub(crate) fn begin(&self, _: &str, _: u64) -> Option<Sample> {
            None
        }

        pub(crate) fn end(&self, _: &str, _: &str, sample: &Sample) {
            match *sample {}
        }
    }
}

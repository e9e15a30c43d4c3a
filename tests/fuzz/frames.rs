//! Any bytes, in pieces of any lengths, as if a worker had sent them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| offload_runtime::__private::check_frames(input));

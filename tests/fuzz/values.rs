//! Any bytes as values, as if they were arguments or a result.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| offload_runtime::__private::check_values(input));

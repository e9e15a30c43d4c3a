//! Any bytes as values, as if they were arguments or a result: those that are values can be written and
//! read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte says how many of the next are the lengths of what came beside, in 16 bytes each.
fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((lengths, bytes)) = rest.split_at_checked(usize::from(*count % 8)) else { return };
    offload_runtime::__private::check_values(lengths, bytes);
});

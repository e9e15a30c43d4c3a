//! Any bytes, in pieces of any lengths, as if a worker had sent them.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte says how many of the next are the lengths of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((lengths, bytes)) = rest.split_at_checked(usize::from(*count % 16)) else { return };
    offload_runtime::__private::check_frames(lengths, bytes);
});

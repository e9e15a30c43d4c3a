//! How long a value is and how deeply it is nested, found without recursion,
//! before code that recurses reads it.
//!
//! The reader of the format counts the levels of lists and maps, but not those
//! of enums in each other.

/// How many bytes the value at the beginning of `bytes` has, if it is whole and
/// lists and maps are in each other at most `most` times. The error says what is
/// wrong.
pub(super) fn measure(bytes: &[u8], most: usize) -> Result<usize, String> {
    let mut position = 0;
    // What is left of the innermost list or map, and of those around it.
    let mut left = 1_u64;
    let mut around = Vec::new();
    while left > 0 {
        // Most of what is long is a list of small numbers.
        let mut rest = &bytes[position..];
        while left > 0 {
            let ([0..=0x7f, after @ ..] | [0xcc, _, after @ ..]) = rest else { break };
            rest = after;
            left -= 1;
        }
        position = bytes.len() - rest.len();
        if left == 0 {
            left = leave(&mut around);
            continue;
        }
        left -= 1;
        let (skipped, parts) = head(bytes, &mut position).ok_or("it is cut off")??;
        position = position
            .checked_add(skipped)
            .filter(|position| *position <= bytes.len())
            .ok_or("it is cut off")?;
        if parts > 0 {
            around.push(left);
            left = parts;
            if around.len() > most {
                return Err("it is nested too deeply".to_owned());
            }
        }
        if left == 0 {
            left = leave(&mut around);
        }
    }
    Ok(position)
}

/// What is left of the next list or map around one that has ended, if anything is
/// left of any.
fn leave(around: &mut Vec<u64>) -> u64 {
    while let Some(left) = around.pop() {
        if left > 0 {
            return left;
        }
    }
    0
}

/// Reads what stands before a value: how many bytes of it follow, and how many
/// values are in it. `None`: it is cut off.
fn head(bytes: &[u8], position: &mut usize) -> Option<Result<(usize, u64), String>> {
    let mut number = |length: usize| {
        let digits = bytes.get(*position..)?.get(..length)?;
        *position += length;
        Some(digits.iter().fold(0_u64, |number, digit| number << 8 | u64::from(*digit)))
    };
    let marker = number(1)?;
    let parts = |parts: u64| Some(Ok((0, parts)));
    let skips = |length: u64| Some(Ok((usize::try_from(length).ok()?, 0)));
    match marker {
        // Small numbers, nothing, false, true.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => parts(0),
        0x80..=0x8f => parts(2 * (marker & 0x0f)),
        0x90..=0x9f => parts(marker & 0x0f),
        0xa0..=0xbf => skips(marker & 0x1f),
        // Bytes and texts.
        0xc4 | 0xd9 => skips(number(1)?),
        0xc5 | 0xda => skips(number(2)?),
        0xc6 | 0xdb => skips(number(4)?),
        // Extensions: a length, a type, bytes.
        0xc7 => skips(number(1)? + 1),
        0xc8 => skips(number(2)? + 1),
        0xc9 => skips(number(4)? + 1),
        0xd4..=0xd8 => skips((1 << (marker - 0xd4)) + 1),
        // Numbers.
        0xcc | 0xd0 => skips(1),
        0xcd | 0xd1 => skips(2),
        0xca | 0xce | 0xd2 => skips(4),
        0xcb | 0xcf | 0xd3 => skips(8),
        // Lists and maps.
        0xdc => parts(number(2)?),
        0xdd => parts(number(4)?),
        0xde => parts(2 * number(2)?),
        0xdf => parts(2 * number(4)?),
        _ => Some(Err("it has a byte that means nothing".to_owned())),
    }
}

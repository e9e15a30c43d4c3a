//! `"1m30s"` → a duration, when the attribute is expanded.

use std::time::Duration;

/// What one unit is worth, in nanoseconds; larger units are written first.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `2s`, `100ms`, `1.5s`, `1h30m`: numbers, each with its unit, the
/// larger unit first. `None` for anything else, also for what is too long.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, tail) = split(tail, |c| c.is_ascii_alphabetic());
        let position = units.iter().position(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scale(number, units[position].1)?)?;
        units = &units[position + 1..];
        rest = tail;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let subsecond = u32::try_from(nanos % 1_000_000_000).ok()?;
    (!text.is_empty()).then(|| Duration::new(seconds, subsecond))
}

/// The longest beginning of `text` that is made of such characters, and the rest.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// `1.5` of a unit, in nanoseconds; what is finer than a nanosecond is cut off.
fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let digits = u32::try_from(fraction.len()).ok()?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(unit)? / 10_u128.pow(digits);
    whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn reads_what_the_docs_promise() {
        for (text, expected) in [
            ("2s", Duration::from_secs(2)),
            ("100ms", Duration::from_millis(100)),
            ("1.5s", Duration::from_millis(1500)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
            ("1m30s", Duration::from_secs(90)),
            ("250us", Duration::from_micros(250)),
            ("7ns", Duration::from_nanos(7)),
            ("0s", Duration::ZERO),
            ("0.1s", Duration::from_millis(100)),
            ("1h30m0.25s", Duration::from_millis(5_400_250)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "2",
            "s",
            "-2s",
            "2 s",
            "2s ",
            "2sec",
            "2d",
            "1s1m",
            "1s1s",
            "1..5s",
            ".5s",
            "1.s",
            "1e3s",
            "٣s",
            "99999999999999999999h",
            "340282366920938463463374607431768211456s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

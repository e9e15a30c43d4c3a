//! Figures that were taken side by side, and what they say of each other.

use std::fmt;

use crate::median;

/// One thing's figures against another's, round by round.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// The middle of the ratios.
    pub middle: f64,
    /// The lowest of them.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// How many there are.
    pub rounds: usize,
}

/// The ratios of figures that were taken in the same rounds.
pub fn ratio(these: &[f64], those: &[f64]) -> Ratio {
    let ratios: Vec<_> = these.iter().zip(those).map(|(this, that)| this / that).collect();
    let rounds = ratios.len();
    let (middle, low, high) = median(ratios);
    Ratio { middle, low, high, rounds }
}

/// The middle, the lowest and the highest of one number of all rounds.
pub fn medians<T>(rounds: &[T], number: impl Fn(&T) -> f64) -> (f64, f64, f64) {
    median(rounds.iter().map(number).collect())
}

/// How often everything is measured: what `ROUNDS` says, or else so often.
pub fn rounds(unless_set: usize) -> usize {
    std::env::var("ROUNDS").map_or(unless_set, |rounds| rounds.parse().expect("ROUNDS: a number"))
}

/// A figure of each, so many times, in turn: forwards, then backwards, so that nobody always
/// comes after the same other. The figures of each, by round.
pub fn alternate<P: Copy, T>(
    rounds: usize,
    all: &[P],
    mut measure: impl FnMut(P) -> T,
) -> Vec<Vec<T>> {
    let mut figures: Vec<Vec<T>> = all.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for step in 0..all.len() {
            let at = if round % 2 == 1 { all.len() - 1 - step } else { step };
            figures[at].push(measure(all[at]));
        }
    }
    figures
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.middle, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_measured_forwards_then_backwards_and_kept_by_what_was_measured() {
        let mut order = String::new();
        let figures = alternate(2, &['a', 'b', 'c'], |what| {
            order.push(what);
            order.len()
        });
        assert_eq!(order, "abccba");
        assert_eq!(figures, [[1, 6], [2, 5], [3, 4]]);
    }

    #[test]
    fn a_ratio_is_the_middle_of_the_rounds_ratios_not_the_ratio_of_the_middles() {
        let ratio = ratio(&[1.0, 20.0, 3.0], &[2.0, 10.0, 1.0]);
        assert_eq!([ratio.low, ratio.middle, ratio.high], [0.5, 2.0, 3.0]);
        assert_eq!(ratio.rounds, 3);
    }
}

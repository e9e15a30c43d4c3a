//! The rows of the table in `benches/RESULTS.md`: each bench prints its own after its tables, and
//! `benches/all.sh` gathers them.

use crate::paired::{Ratio, medians, ratio};

/// The rows of one bench.
#[derive(Debug)]
pub struct Rows {
    bench: &'static str,
    rows: Vec<String>,
}

/// One side of a comparison: its name, and its figures by round.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a>(pub &'a str, pub &'a [f64]);

impl Rows {
    /// None yet, of the bench that is called so.
    pub fn new(bench: &'static str) -> Rows {
        Rows { bench, rows: Vec::new() }
    }

    /// One question with one figure: ours beside the other's, and both as they were measured.
    pub fn compare(
        &mut self,
        question: &str,
        unit: &str,
        this: Side<'_>,
        that: Side<'_>,
        aim: &str,
    ) {
        let [ours, theirs] =
            [this, that].map(|side| in_three_digits(medians(side.1, |figure| *figure).0));
        let ratio = ratio(this.1, that.1);
        let figure = format!("{ratio}: {ours}, not {theirs} {unit}");
        self.push(&format!("`{}`: {question}", this.0), that.0, &figure, ratio.rounds, aim);
    }

    /// Adds a row with one question and the figures of several cells, each with its name. Without cells there is
    /// no row.
    pub fn cells(&mut self, question: &str, beside: &str, cells: &[(String, Ratio)], aim: &str) {
        if cells.is_empty() {
            return;
        }
        let figures: Vec<_> =
            cells.iter().map(|(cell, ratio)| format!("{cell}: {ratio}")).collect();
        self.push(question, beside, &figures.join("; "), cells[0].1.rounds, aim);
    }

    fn push(&mut self, question: &str, beside: &str, figure: &str, rounds: usize, aim: &str) {
        let bench = self.bench;
        self.rows
            .push(format!("| {question} | `{bench}` | {beside} | {figure} | {rounds} | {aim} |"));
    }

    /// Prints them, as the last thing that a bench prints.
    pub fn print(&self) {
        println!("\n### Rows of benches/RESULTS.md\n");
        self.rows.iter().for_each(|row| println!("{row}"));
    }
}

/// With so many digits after the point that there are three, and no more than three after it.
fn in_three_digits(number: f64) -> String {
    let before = number.abs().max(0.1).log10().floor() as i32 + 1;
    format!("{number:.*}", (3 - before).max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_at_most() {
        let figures = [1234.5, 123.45, 12.345, 1.2345, 0.12345, 0.0123, 0.0].map(in_three_digits);
        assert_eq!(figures, ["1234", "123", "12.3", "1.23", "0.123", "0.012", "0.000"]);
    }

    #[test]
    fn a_row_says_what_was_asked_of_which_bench_beside_whom_and_what_came_of_it() {
        let mut rows = Rows::new("burst");
        let (ours, theirs) = (Side("thread", &[1.0, 2.0, 3.0]), Side("spawn_blocking", &[2.0; 3]));
        rows.compare("a burst", "s", ours, theirs, "1.1 at most");
        let half = Ratio { middle: 0.5, low: 0.25, high: 1.0, rounds: 5 };
        rows.cells("calls", "rayon", &[("64".to_owned(), half), ("1000".to_owned(), half)], "");
        assert_eq!(
            rows.rows,
            [
                "| `thread`: a burst | `burst` | spawn_blocking | 1.00 (0.50–1.50): 2.00, not 2.00 s | 3 | 1.1 at most |",
                "| calls | `burst` | rayon | 64: 0.50 (0.25–1.00); 1000: 0.50 (0.25–1.00) | 5 |  |",
            ]
        );
    }
}

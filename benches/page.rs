//! The lines of the table in `benches/README.md`: each bench prints its own after its tables, to
//! be pasted, and `benches/all.sh` gathers them.

use crate::paired::{Ratio, medians};

/// Some lines.
#[derive(Debug, Default)]
pub struct Lines(Vec<String>);

/// One side of a comparison: its name, and its figures by round.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a>(pub &'a str, pub &'a [f64]);

impl Lines {
    /// None yet.
    pub fn new() -> Lines {
        Lines::default()
    }

    /// One: what was measured, in which unit, of whom and beside whom.
    pub fn add(&mut self, what: &str, unit: &str, this: Side<'_>, that: Side<'_>) -> Ratio {
        let ratio = crate::paired::ratio(this.1, that.1);
        let side = |Side(name, figures): Side<'_>| {
            format!("{name}: {} {unit}", in_three_digits(medians(figures, |figure| *figure).0))
        };
        self.0.push(format!("| {what} | {} | {} | {ratio} |", side(this), side(that)));
        ratio
    }

    /// Prints them as a table, as the last thing that a bench prints.
    pub fn print(&self) {
        println!("\n### For benches/README.md\n");
        println!("| | this | beside | this, times that (lowest–highest) |");
        println!("| --- | --- | --- | --- |");
        self.0.iter().for_each(|line| println!("{line}"));
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
}

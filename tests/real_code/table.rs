//! The table for readers.

use std::fmt::Write;

use crate::said::Verdict;
use crate::{KindOutcome, Outcome};

#[derive(Default)]
struct Counts {
    functions: usize,
    ours: usize,
    bound: usize,
    other: usize,
    lints: usize,
}

impl Counts {
    fn of(functions: usize, outcome: &KindOutcome) -> Counts {
        let mut counts = Counts { functions, ..Counts::default() };
        for (_, verdict) in outcome.verdicts.values() {
            match verdict {
                Verdict::Ours => counts.ours += 1,
                Verdict::Bound(_) => counts.bound += 1,
                Verdict::Other(_) => counts.other += 1,
            }
        }
        counts.lints = outcome.lost.len() + outcome.gained.len();
        counts
    }

    fn add(&mut self, other: &Counts) {
        self.functions += other.functions;
        self.ours += other.ours;
        self.bound += other.bound;
        self.other += other.other;
        self.lints += other.lints;
    }

    fn accepted(&self) -> usize {
        self.functions - self.ours - self.bound - self.other
    }

    fn row(&self, title: &str, options: &str) -> String {
        let good = self.accepted() + self.ours;
        let share = 1000 * good / self.functions.max(1);
        format!(
            "| {title} | `{options}` | {} | {} | {} | {} | {} | {} | {}.{} % |\n",
            self.functions,
            self.accepted(),
            self.ours,
            self.bound,
            self.other,
            self.lints,
            share / 10,
            share % 10,
        )
    }
}

pub(crate) fn of(outcomes: &[(String, Outcome)], kinds: &[&str]) -> String {
    let mut table = String::from(
        "# The attribute on real functions\n\n\
         Made by `cargo run -p offload-tests --bin real_code`: a copy of each function that is always compiled, in a module or\n\
         an inherent `impl`, with the attribute above it.\n\n\
         - *accepted*: compiles with the attribute as it does without.\n\
         - *ours*: refused in the attribute's own words, and in no others.\n\
         - *bound*: the compiler asks for `'static`, at a type parameter or at the lifetime of an `impl` block.\n\
         - *other*: anything else. Each function under *bound* or *other* is listed below.\n\
         - *lints*: places of which the compiler warns only with the attribute, or only without.\n\n\
         | crate | options | functions | accepted | ours | bound | other | lints | accepted or ours |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (index, options) in kinds.iter().enumerate() {
        let mut sum = Counts::default();
        for (name, outcome) in outcomes {
            let counts = Counts::of(outcome.functions, &outcome.kinds[index]);
            table += &counts.row(name, options);
            sum.add(&counts);
        }
        table += &sum.row("**all**", options);
    }
    table += "\n## Bound and other\n\n";
    for (name, outcome) in outcomes {
        for (kind, options) in outcome.kinds.iter().zip(kinds) {
            for (title, verdict) in kind.verdicts.values() {
                if let Verdict::Bound(text) | Verdict::Other(text) = verdict {
                    writeln!(table, "- {name}, `{options}`, {title}: {text}").expect("a string");
                }
            }
            for (what, lints) in
                [("lost", &kind.lost), ("gained", &kind.gained), ("elsewhere", &kind.elsewhere)]
            {
                for lint in lints {
                    writeln!(table, "- {name}, `{options}`, {what}: {lint}").expect("a string");
                }
            }
        }
    }
    table
}

//! What the compiler says of a body, with the attribute and without: the same of what it warns
//! of, and of mistakes the same where that is possible.
//!
//! `SNAPSHOTS=overwrite cargo test -p offload-ui-tests --test bodies` writes what it says anew.

mod checked;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use checked::{Message, PRELUDE};

/// Lints that are off, but for those that the attribute turns off (see `SILENCED` in the macros), and those that clippy
/// has not for an `async fn` or that read an import of the attribute.
const OFF_BY_DEFAULT: &str = "#![warn(clippy::pedantic, clippy::nursery, missing_docs, unreachable_pub, unused_qualifications, \
    elided_lifetimes_in_paths, single_use_lifetimes, unused_lifetimes, let_underscore_drop, unused_results, \
    trivial_casts, trivial_numeric_casts, unit_bindings, unsafe_code)]\
    #![allow(clippy::missing_const_for_fn, clippy::needless_pass_by_value, clippy::too_many_arguments, \
    clippy::unnecessary_wraps, clippy::must_use_candidate, clippy::return_self_not_must_use, clippy::unused_self, \
    clippy::wildcard_imports)]\n";

/// The programs of a file: the title of each, and its text.
fn programs(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bodies").join(file);
    let text = fs::read_to_string(path).unwrap();
    text.split("\n//# ")
        .skip(1)
        .map(|program| program.split_once('\n').unwrap())
        .map(|(title, text)| (title.to_owned(), format!("{PRELUDE}{text}\n")))
        .collect()
}

/// The program with nothing in the place of the attributes: columns stay as they are.
fn without_attributes(program: &str) -> String {
    let blank = |line: &str| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("#[offload(") {
            String::new()
        } else {
            line.replace("#[to_owned] ", "            ")
        }
    };
    program.lines().map(blank).collect::<Vec<_>>().join("\n") + "\n"
}

/// What is said of each program, below a line `prelude`, with the attribute and without.
fn both(command: &str, prelude: &str, file: &str) -> Vec<(String, Vec<Message>, Vec<Message>)> {
    let programs = programs(file);
    let name = |index, suffix| format!("p{index:02}_{suffix}");
    let sources: Vec<_> = programs
        .iter()
        .enumerate()
        .flat_map(|(index, (_, program))| {
            [
                (name(index, "with"), format!("{prelude}{program}")),
                (name(index, "without"), format!("{prelude}{}", without_attributes(program))),
            ]
        })
        .collect();
    let package = format!("bodies-of-{}", file.trim_end_matches(".rs"));
    let mut said = checked::check(command, &package, &sources);
    programs
        .into_iter()
        .enumerate()
        .map(|(index, (title, program))| {
            let program = format!("{prelude}{program}");
            let mut of = |suffix| {
                let mut messages = said.remove(&name(index, suffix)).unwrap();
                for message in &mut messages {
                    let at_attribute = message.lines.iter().any(|line| {
                        let line = program.lines().nth(line - 1).unwrap_or_default();
                        line.trim_start().starts_with("#[offload(")
                    });
                    assert!(!at_attribute, "{}", message.rendered);
                    message.rendered = plain(&message.rendered, &program);
                }
                messages.sort_by_key(|message| message.rendered.clone());
                messages
            };
            (title, of("with"), of("without"))
        })
        .collect()
}

/// What is said, without what differs from run to run, and with the lines of the program where
/// the two differ only by the attribute.
fn plain(rendered: &str, program: &str) -> String {
    let lines: Vec<&str> = program.lines().collect();
    let mut plain = String::new();
    for line in rendered.lines() {
        let place = line.trim_start();
        // Which other types implement a trait depends on what is built beside this.
        if place.contains("` implements `")
            || place.starts_with("and ") && place.ends_with(" others")
        {
            continue;
        }
        // Of places, what counts is the line and the column.
        let place = place.strip_prefix("--> ").map(|place| {
            let place: Vec<&str> = place.rsplitn(3, ':').collect();
            if place.len() == 3 && place[2].ends_with(".rs") && place[2].contains("/examples/")
                || place[2].starts_with("examples/")
            {
                format!("--> {}:{}", place[1], place[0])
            } else {
                "--> elsewhere".to_owned()
            }
        });
        // A line of the program is shown as it is written.
        let shown = line.split_once(" | ").and_then(|(number, rest)| {
            let number: usize = number.trim().parse().ok()?;
            let rest_is_all = lines.get(number - 1)?;
            (without_attributes(rest_is_all).trim_end() == without_attributes(rest).trim_end())
                .then(|| format!("{number} | {}", without_attributes(rest).trim_end()))
        });
        let line = place.or(shown).unwrap_or_else(|| line.trim_end().to_owned());
        plain += line.trim_end();
        plain.push('\n');
    }
    plain.trim_end().to_owned()
}

#[test]
fn lints_are_the_same_with_the_attribute_and_without() {
    let mut count = 0;
    let mut fixes = 0;
    let mut differences = String::new();
    // Clippy says what the compiler says, and more.
    for (title, with, without) in both("clippy", OFF_BY_DEFAULT, "lints.rs") {
        for (messages, others, what) in [(&with, &without, "gained"), (&without, &with, "lost")] {
            // With what `cargo fix` would write, and where.
            for message in messages.iter().filter(|message| !others.contains(message)) {
                differences += &format!("{what}: {title}: {}\n\n", message.rendered);
            }
        }
        assert!(without.iter().all(|message| !message.is_error), "{title}");
        fixes += without.iter().filter(|message| !message.fixes.is_empty()).count();
        count += without.len();
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(count > 100 && fixes > 20, "only {count}, {fixes} of them with a fix");
}

/// With what the compiler itself says, as clippy's fixes are found in the same way.
#[test]
fn what_cargo_fix_writes_is_what_it_writes_without_the_attribute() {
    const FIXED: [&str; 2] = ["what is not reached, not used, not needed", "the same in methods"];
    let sources: Vec<_> = programs("lints.rs")
        .into_iter()
        .filter(|(title, _)| FIXED.contains(&&**title))
        .enumerate()
        .flat_map(|(index, (_, program))| {
            let without = without_attributes(&program);
            [(format!("with_{index}"), program), (format!("without_{index}"), without)]
        })
        .collect();
    assert_eq!(sources.len(), 2 * FIXED.len());
    let fixed = checked::fixed("fixes-of-lints", &sources);
    for index in 0..FIXED.len() {
        let (with, without) =
            (&fixed[&format!("with_{index}")], &fixed[&format!("without_{index}")]);
        assert_ne!(*without, sources[2 * index + 1].1, "nothing was fixed");
        assert_eq!(without_attributes(with), *without);
    }
}

/// What a compiler says otherwise of a body that was put into a closure or into an `async fn`, by kind: labels at the attribute,
/// "closure" for "function", helps that are lost. And the mistakes of each kind.
const KINDS: [(&str, &[&str]); 6] = [
    (
        "what a body ends with",
        &[
            "no last expression",
            "a semicolon after the last expression",
            "a value in a function without a result",
            "a value where the result is a unit",
            "a result of another type",
            "branches of two types",
            "`if` without `else`",
            "an `Ok` that is missing",
            "a number that does not fit",
            "a closure without types, where the result says them",
            "on a thread: no last expression",
            "with a deadline: a result of another type",
            "in another process: no last expression",
            "in another process: a result of another type",
            "in a method: a result of another type",
        ],
    ),
    (
        "what leaves a function by its result",
        &[
            "a question mark in a function without a result",
            "a question mark on another error",
            "a question mark on an option where the result is a result",
            "an early return of another type",
            "a return without a value",
            "a return with a value where there is none",
            "on a thread, with all that calls have: a question mark without a result",
            "in another process: a question mark on another error",
            "in a method: a return of another type",
        ],
    ),
    (
        "what leaves a block that is none of the body",
        &[
            "`break` outside of a loop",
            "`continue` outside of a loop",
            "a label that is not there",
            "in another process: `break` outside of a loop",
        ],
    ),
    (
        "arguments",
        &[
            "an argument that is used after it was moved",
            "an argument that is not mutable",
            "a borrow of an argument in the result",
            "a borrow that lasts too long",
            "lent, and changed",
            "lent, and given away",
            "a pattern that does not fit",
            "in a method: a `self` that is not mutable",
        ],
    ),
    (
        "names, types and bounds",
        &[
            "a name that is not there",
            "a type that is not there",
            "a result type that is not there",
            "a method that is not there",
            "a type that cannot be known",
            "a bound that is missing",
            "something unsafe",
            "a match that leaves something out",
            "in another process: a name that is not there",
            "in a method: a field that is not there",
            "in a method of a copy: a method that is not there",
        ],
    ),
    // Of these the attribute speaks itself: an async function is meant, and a body that awaits is refused.
    ("what is async", &["`.await`", "a call of itself"]),
];

#[test]
fn mistakes_read_as_without_the_attribute() {
    let mut snapshot = String::new();
    let mut same = Vec::new();
    for (title, with, without) in both("check", "", "mistakes.rs") {
        assert!(!with.is_empty() && !without.is_empty(), "{title}");
        if with == without {
            same.push(title.clone());
        }
        writeln!(snapshot, "# {title}\n").unwrap();
        for message in &without {
            let how = if with.contains(message) { "with and without" } else { "without" };
            writeln!(snapshot, "## {how}\n\n{}\n", message.rendered).unwrap();
        }
        for message in with.iter().filter(|message| !without.contains(message)) {
            writeln!(snapshot, "## with\n\n{}\n", message.rendered).unwrap();
        }
    }
    let titles: Vec<String> = programs("mistakes.rs").into_iter().map(|(title, _)| title).collect();
    for (kind, mistakes) in KINDS {
        for mistake in mistakes {
            assert!(titles.iter().any(|title| title == mistake), "there is no {mistake}");
            // As with `sync`, the body is a function of its own: not a word differs.
            let is_same = same.iter().any(|title| title == mistake);
            assert_eq!(is_same, kind != "what is async", "{mistake}");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bodies/mistakes.snap");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(path, snapshot).unwrap();
    } else {
        assert!(
            fs::read_to_string(path).unwrap_or_default() == snapshot,
            "it says now:\n{snapshot}"
        );
    }
}

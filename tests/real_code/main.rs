//! Puts attributed copies beside the functions of published crates, checks them, and prints what
//! came of it. Not for CI: it takes crates from the registry, and a quarter of an hour.
//!
//! `cargo run -p offload-tests --bin real_code` writes `table.md` beside this file, for the crates in
//! `crates.txt`; with names as arguments, it prints the table of these only.

mod copies;
mod said;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use copies::{Copies, Variant};
use said::{Said, Verdict};

/// With what the copies are attributed.
const KINDS: [(&str, &str); 3] =
    [("thread", "thread"), ("cpu", "cpu, timeout = \"5s\""), ("process", "process")];

/// The compiler stops at the first kind of mistake that it finds: what is wrong is taken away, and
/// the rest is checked again, so many times at most.
const PASSES: usize = 9;

/// What came of the functions of a crate.
struct Outcome {
    functions: usize,
    /// For each of [`KINDS`].
    kinds: Vec<KindOutcome>,
}

struct KindOutcome {
    /// Those that were not accepted.
    verdicts: BTreeMap<usize, (String, Verdict)>,
    /// Lints of the accepted ones that are there without the attribute only, and with it only.
    lost: Vec<String>,
    gained: Vec<String>,
    /// Errors that are not in a copy.
    elsewhere: Vec<String>,
}

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("real_code");
    let list = fs::read_to_string(here.join("crates.txt")).expect("the list of crates");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let kinds: Vec<&str> = KINDS.iter().map(|(_, options)| *options).collect();
    let mut outcomes = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty()) {
        let (name, version) = line.split_once(' ').expect("a name and a version");
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        // One that cannot be tried says why, and the others go on.
        let Ok(outcome) = std::panic::catch_unwind(|| try_crate(name, version)) else { continue };
        eprintln!("{name}: {} functions", outcome.functions);
        outcomes.push((line.to_owned(), outcome));
        // What is known is kept, also if it is stopped.
        if wanted.is_empty() {
            fs::write(here.join("table.md"), table::of(&outcomes, &kinds))
                .expect("the table is written");
        }
    }
    println!("{}", table::of(&outcomes, &kinds));
}

fn try_crate(name: &str, version: &str) -> Outcome {
    let folder = work().join(name);
    let source = fetch(name, version);
    let mut copies = Copies::of(&source, &folder);
    // Those that cannot even be copied, and those in files that are not compiled.
    let plain = check(&folder, &mut copies, &Variant::Plain);
    copies.keep_compiled(&plain.files);
    for _ in 0..PASSES {
        let said = check(&folder, &mut copies, &Variant::Plain);
        let wrong: BTreeSet<usize> = said.errors.keys().copied().collect();
        assert!(said.elsewhere.is_empty(), "{name} does not compile: {:#?}", said.elsewhere);
        if wrong.is_empty() {
            break;
        }
        copies.remove(&wrong);
    }
    let functions = copies.active();
    let kinds = KINDS
        .iter()
        .map(|(_, options)| {
            copies.set_active(&functions);
            try_kind(&folder, &mut copies, options)
        })
        .collect();
    Outcome { functions: functions.len(), kinds }
}

fn try_kind(folder: &Path, copies: &mut Copies, options: &str) -> KindOutcome {
    let mut verdicts = BTreeMap::new();
    let mut elsewhere = Vec::new();
    let mut with = Said::default();
    for _ in 0..PASSES {
        with = check(folder, copies, &Variant::With(options.to_owned()));
        if with.errors.is_empty() {
            elsewhere.clone_from(&with.elsewhere);
            break;
        }
        let wrong: BTreeSet<usize> = with.errors.keys().copied().collect();
        for (copy, errors) in &with.errors {
            verdicts.insert(*copy, (copies.title(*copy), said::verdict(errors)));
        }
        copies.remove(&wrong);
    }
    let without = check(folder, copies, &Variant::Plain);
    let lost = without.lints.difference(&with.lints).cloned().collect();
    let gained = with.lints.difference(&without.lints).cloned().collect();
    KindOutcome { verdicts, lost, gained, elsewhere }
}

/// Writes the copies in a variant, and asks the compiler.
fn check(folder: &Path, copies: &mut Copies, variant: &Variant) -> Said {
    copies.write(variant);
    let output = Command::new(env!("CARGO"))
        .args(["check", "--lib", "--message-format=json", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", work().join("target"))
        .env("RUSTFLAGS", "--cap-lints=warn")
        .output()
        .expect("cargo runs");
    let said = Said::read(&output.stdout, folder, copies);
    assert!(said.finished, "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    said
}

/// Has cargo bring the source of a crate.
fn fetch(name: &str, version: &str) -> PathBuf {
    let folder = work().join("fetched").join(name);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    fs::write(folder.join("src/lib.rs"), "").expect("a file");
    let manifest = format!(
        "[package]\nname = \"fetches-{name}\"\nedition = \"2024\"\n\n[dependencies]\n{name} = \"={version}\"\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1"])
        .current_dir(&folder)
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{name} {version}: {}", String::from_utf8_lossy(&output.stderr))
    });
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == name && package["version"] == version)
        .expect("the crate is among them");
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a folder").to_owned()
}

/// Where copies of crates and what is built of them are.
fn work() -> PathBuf {
    let program = std::env::current_exe().expect("a path");
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.expect("cargo built this").join("real_code")
}

//! What the tests have in common is written once, in `lib.rs` or beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Stmt};

/// So many statements in a row are the same somewhere else by chance.
const STATEMENTS: usize = 2;

/// Shorter runs are not compared, counted in words.
const WORDS: usize = 25;

/// The files of the tests; of the `ui` tests each stands for itself.
fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("ui") {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Where runs of statements are, by their tokens.
#[derive(Default)]
struct Runs {
    file: String,
    all: BTreeMap<String, Vec<String>>,
}

impl Runs {
    fn read(&mut self, file: &str, text: &str) {
        file.clone_into(&mut self.file);
        let mut syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.visit_file_mut(&mut syntax);
    }

    /// Those that are in three places at least.
    fn repeated(&self) -> Vec<(&str, &[String])> {
        let all = self.all.iter().filter(|(_, places)| places.len() >= 3);
        all.map(|(run, places)| (run.as_str(), places.as_slice())).collect()
    }
}

impl VisitMut for Runs {
    fn visit_block_mut(&mut self, block: &mut Block) {
        for run in block.stmts.windows(STATEMENTS) {
            // What is defined there is seen by itself.
            if run.iter().any(|statement| matches!(statement, Stmt::Item(_))) {
                continue;
            }
            let tokens = run.iter().map(|statement| statement.to_token_stream());
            let text = tokens.map(|tokens| tokens.to_string()).collect::<Vec<_>>().join("\n");
            let words = text.split(|letter: char| !letter.is_alphanumeric());
            if words.filter(|word| !word.is_empty()).count() >= WORDS {
                self.all.entry(text).or_default().push(self.file.clone());
            }
        }
        visit_mut::visit_block_mut(self, block);
    }
}

#[test]
fn what_is_written_three_times_in_the_tests_becomes_a_helper() {
    let mut runs = Runs::default();
    let block = "let a = b(c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r); s(t, u, v, w, x, y, z, a, b, c);";
    for name in ["one", "two"] {
        runs.read(name, &format!("fn f() {{ {block} }}"));
    }
    assert_eq!(runs.repeated().len(), 0);
    runs.read("three", &format!("fn f() {{ if x {{ {block} }} }}"));
    assert_eq!(runs.repeated()[0].1, ["one", "two", "three"]);

    let mut all = Vec::new();
    find(Path::new(env!("CARGO_MANIFEST_DIR")), &mut all);
    assert!(all.len() > 50, "the tests are elsewhere: {all:?}");
    let mut runs = Runs::default();
    for path in all {
        runs.read(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
    }
    assert!(runs.repeated().is_empty(), "write it once: {:#?}", runs.repeated());
}

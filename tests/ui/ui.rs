//! What the attribute refuses, and in which words. Each `.stderr` is read as a
//! stranger would: one error for one mistake, at the guilty token, with the fix.
//!
//! `TRYBUILD=overwrite cargo test -p offload-ui-tests` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

/// A line with a mistake ends in `//~`. There is one error for each of these
/// lines, on that line, and no other: none where the function is called.
#[test]
fn one_error_for_each_mistake() {
    // It runs when it is dropped.
    drop({
        let cases = trybuild::TestCases::new();
        cases.compile_fail("*/fail/*.rs");
        cases
    });
    let mut files = 0;
    for kind in ["thread", "cpu", "process", "remote"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join("fail");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                assert_eq!(
                    lines_with_errors(&path),
                    lines_with_mistakes(&path),
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(files > 10, "only {files} files");
}

fn lines_with_mistakes(path: &Path) -> Vec<usize> {
    let source = fs::read_to_string(path).unwrap();
    source
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_end().ends_with("//~"))
        .map(|(index, _)| index + 1)
        .collect()
}

fn lines_with_errors(path: &Path) -> Vec<usize> {
    let stderr: PathBuf = path.with_extension("stderr");
    let stderr = fs::read_to_string(&stderr).unwrap();
    let mut lines = stderr.lines();
    let mut errors = Vec::new();
    while let Some(line) = lines.next() {
        assert!(!line.starts_with("warning"), "{}: {line}", path.display());
        // Nobody can write these names.
        let is_help = line.trim_start().trim_start_matches("= ").starts_with("help");
        assert!(!(is_help && line.contains("__private")), "{}: {line}", path.display());
        if line.starts_with("error") {
            let place = lines.find(|line| line.trim_start().starts_with("-->")).unwrap();
            errors.push(place.split(':').nth(1).unwrap().parse().unwrap());
        }
    }
    errors.sort_unstable();
    errors
}

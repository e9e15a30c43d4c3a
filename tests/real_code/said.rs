//! What the compiler said, told apart by copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::copies::Copies;

/// All that was said in one run.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) finished: bool,
    /// Of each copy, its errors.
    pub(crate) errors: BTreeMap<usize, Vec<String>>,
    /// Errors in no copy.
    pub(crate) elsewhere: Vec<String>,
    /// Each lint with where it points.
    pub(crate) lints: BTreeSet<String>,
    /// The files of the crate that were compiled.
    pub(crate) files: BTreeSet<PathBuf>,
}

/// What came of an attributed copy that was not accepted.
pub(crate) enum Verdict {
    /// In the attribute's own words, and in no others.
    Ours,
    /// The compiler asks for `'static`, at a type parameter or at the lifetime of an `impl` block.
    Bound(String),
    Other(String),
}

impl Said {
    pub(crate) fn read(output: &[u8], folder: &Path, copies: &Copies) -> Said {
        let mut said = Said::default();
        for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("cargo writes JSON");
            said.finished |= line["reason"] == "build-finished";
            let is_own = line["manifest_path"]
                .as_str()
                .is_some_and(|path| Path::new(path) == folder.join("Cargo.toml"));
            if is_own && line["reason"] == "compiler-message" {
                said.message(&line["message"], folder, copies);
            }
            if is_own && line["reason"] == "compiler-artifact" {
                said.artifact(&line, folder);
            }
        }
        said
    }

    fn message(&mut self, message: &Value, folder: &Path, copies: &Copies) {
        let text = message["message"].as_str().unwrap_or_default();
        let spans: Vec<(PathBuf, usize, usize)> = message["spans"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|span| span["is_primary"] == true)
            .map(|span| {
                let number = |key: &str| {
                    span[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
                };
                let file = folder.join(span["file_name"].as_str().unwrap_or_default());
                (file, number("line_start"), number("column_start"))
            })
            .collect();
        if spans.is_empty() {
            return;
        }
        let code = message["code"]["code"].as_str().unwrap_or_default();
        if message["level"] == "error" {
            let copy = spans.iter().find_map(|(file, line, _)| copies.at(file, *line));
            match copy {
                Some(copy) => self.errors.entry(copy).or_default().push(format!("{code} {text}")),
                None => self.elsewhere.push(format!("{code} {text} at {:?}", spans[0])),
            }
        } else {
            for (file, line, column) in spans {
                let file = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
                self.lints.insert(format!("{code}: {file}:{line}:{column}"));
            }
        }
    }

    /// Which files it was made of stands beside it.
    fn artifact(&mut self, line: &Value, folder: &Path) {
        let artifacts =
            line["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for artifact in artifacts {
            let artifact = Path::new(artifact);
            let name = artifact.file_stem().unwrap_or_default().to_string_lossy();
            let dep_info =
                artifact.with_file_name(name.trim_start_matches("lib")).with_extension("d");
            let Ok(text) = fs::read_to_string(dep_info) else { continue };
            let paths = text.split_whitespace().filter(|path| path.ends_with(".rs"));
            self.files.extend(paths.map(|path| folder.join(path)));
        }
    }
}

/// What the attribute says begins with, or contains, one of these.
const OURS: [&str; 25] = [
    "would be a part of the message that another process sends",
    "would be lent to another thread",
    "would be lent to another process",
    "borrows, and the job may outlive its owner",
    "the result comes back from another thread and cannot borrow",
    "the result comes back from another process and cannot borrow",
    "an offloaded function",
    "`#[to_owned]`",
    "cannot move to another thread",
    "cannot come back from another thread",
    "cannot be copied",
    "cannot be sent to another process",
    "cannot come back from another process",
    "cannot carry an `offload_runtime::Error`",
    "a call can fail, and this function returns",
    "a process can die, and this function returns",
    "a worker has",
    "a worker cannot",
    "a result that comes back from another process",
    "is the async function",
    "the body of an offloaded function",
    "come out of another process as the same",
    "there is no body to offload",
    "with `process`",
    "a copy of",
];

/// What is to be thought of the errors of a copy.
pub(crate) fn verdict(errors: &[String]) -> Verdict {
    let is_ours = |error: &String| {
        OURS.iter().any(|words| error.contains(words)) && !error.contains("cannot make anything")
    };
    let is_bound = |error: &String| {
        ["E0310 ", "E0309 ", "E0521 ", " lifetime may not live long enough"]
            .iter()
            .any(|code| error.starts_with(code))
    };
    let not_ours =
        || errors.iter().filter(|error| !is_ours(error)).cloned().collect::<Vec<_>>().join("; ");
    if errors.iter().all(is_ours) {
        Verdict::Ours
    } else if errors.iter().all(|error| is_ours(error) || is_bound(error)) {
        Verdict::Bound(not_ours())
    } else {
        Verdict::Other(not_ours())
    }
}

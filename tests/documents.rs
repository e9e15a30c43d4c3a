//! The links of the documents at the root.

use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files that a document at the root links to, relative to the root.
fn linked_files(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    // Every second part is a code block, in which `](` is no link.
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|part| part.split("](").skip(1))
        .map(|rest| rest.split_once(')').expect("a link ends").0)
        .filter(|target| !target.contains("://"))
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_relative_link_points_at_a_file() {
    for document in DOCUMENTS {
        let links = linked_files(document);
        assert!(!links.is_empty(), "{document} links to nothing");
        let missing: Vec<_> = links.iter().filter(|link| !root().join(link).exists()).collect();
        assert!(missing.is_empty(), "{document} links to what is not there: {missing:?}");
    }
}

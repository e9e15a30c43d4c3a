//! The documents: their links, and how long the README is. The pages of the guide: that each is in
//! the reference, where its code is tested. And what the reference says of each item.

mod reference;

use std::fs;
use std::path::{Path, PathBuf};

/// Of the README's prose: its code and its tables are read in another way.
const WORDS: usize = 900;

/// Of the page about moving from `spawn_blocking`, what is no shape of code.
const NO_SHAPES: [&str; 1] = ["A call that never starts"];

/// All but the pages of the guide.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/LOG.md",
    "benches/README.md",
    "benches/RESULTS.md",
    "examples/gallery/README.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What is not in code blocks: those are every second part.
fn outside_of_code(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2)
}

/// Where the links of a document lead.
fn links(document: &str) -> Vec<String> {
    outside_of_code(&read(document))
        .flat_map(|part| part.split("](").skip(1))
        .map(|rest| rest.split_once(')').expect("a link ends").0.to_owned())
        .collect()
}

#[test]
fn every_relative_link_points_at_a_file() {
    for document in DOCUMENTS {
        let links = links(document);
        assert!(!links.is_empty(), "{document} links to nothing");
        let path = root().join(document);
        let is_missing = |link: &&String| {
            let file = link.split('#').next().unwrap_or_default();
            !link.contains("://") && !path.parent().unwrap().join(file).exists()
        };
        let missing: Vec<_> = links.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{document} links to what is not there: {missing:?}");
    }
}

/// As a reader sees them: the target of a link is no word.
fn words_of_prose(text: &str) -> usize {
    let lines = outside_of_code(text).flat_map(str::lines);
    let prose: Vec<_> = lines.filter(|line| !line.trim_start().starts_with('|')).collect();
    let prose = prose.join("\n");
    let mut parts = prose.split("](");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once(')').expect("a link ends").1);
    let shown: Vec<_> = [first].into_iter().chain(rest).collect();
    let shown = shown.join("]");
    let words = shown.split_whitespace();
    words.filter(|word| word.contains(char::is_alphanumeric)).count()
}

#[test]
fn words_are_those_outside_of_code_tables_and_targets_of_links() {
    let text = "# One two\n\n| a | table |\n\n```rust\nlet code = 1;\n```\n\n- [three four](a/file.md), five.\n";
    assert_eq!(words_of_prose(text), 5);
}

#[test]
fn the_readme_is_short() {
    let words = words_of_prose(&read("README.md"));
    assert!(words <= WORDS, "it has {words} words; what is not for a first visit is for the guide");
}

/// What a user wants to know of the benches; all rows, and what was tried, have pages of their own.
#[test]
fn the_results_are_two_screens_and_two_pictures() {
    let text = read("benches/README.md");
    let lines = text.lines().count();
    assert!(lines <= 100, "it has {lines} lines");
    let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 110).collect();
    assert!(long.is_empty(), "{long:#?}");
    assert_eq!(text.matches("![").count(), 2);
}

/// From what somebody needs who has never seen it, to what only some look for.
#[test]
fn the_readme_has_its_sections_in_the_order_in_which_they_are_needed() {
    let text = read("README.md");
    let (what_it_is, rest) = text.split_once("\n## ").unwrap();
    let sentences = what_it_is.matches(". ").count() + what_it_is.matches(".\n").count();
    assert_eq!(sentences, 2, "{what_it_is}");
    let sections: Vec<_> = rest.split("\n## ").collect();
    let titles: Vec<_> = sections.iter().map(|section| section.lines().next().unwrap()).collect();
    assert_eq!(
        titles,
        [
            "Install",
            "An example",
            "The gallery",
            "Two commands",
            "`thread`, `cpu` or `process`?",
            "The options",
            "What becomes of a call",
            "Beside what people use today",
            "More",
        ]
    );
    let manifest = read("offload-runtime/Cargo.toml");
    let oldest = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(sections[0].contains(&format!("Rust {oldest}")), "the oldest compiler is named");
    assert_eq!(sections[6].lines().filter(|line| line.starts_with("- **")).count(), 5);
}

/// What follows a word in the commands of a document.
fn after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let words = text.split(|c: char| c.is_whitespace() || c == '`');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let pairs: Vec<_> = words.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.into_iter().filter(move |(first, _)| *first == word).map(|(_, second)| second)
}

/// On one page, and of commands that there are.
#[test]
fn a_stranger_can_follow_what_contributing_says() {
    let text = read("CONTRIBUTING.md");
    assert!(text.lines().count() <= 60, "it is more than a page");
    let manifests = ["offload-macros", "offload-runtime", "tests", "tests/ui", "examples"];
    let manifests = manifests.map(|crate_| read(&format!("{crate_}/Cargo.toml"))).concat();
    let mut named = 0;
    for word in ["-p", "--test", "--bin"] {
        for name in after(&text, word).map(|name| name.trim_end_matches([',', ';'])) {
            assert!(manifests.contains(&format!("name = \"{name}\"")), "{word} {name}");
            named += 1;
        }
    }
    assert!(named >= 7, "only {named} names in commands");
    for script in ["msrv", "busy", "run"] {
        assert!(
            text.contains(&format!(".ci/{script}")) && root().join(".ci").join(script).exists(),
            "{script}"
        );
    }
}

#[test]
fn the_reference_is_made_with_all_features() {
    for crate_ in ["offload-macros", "offload-runtime"] {
        let manifest = read(&format!("{crate_}/Cargo.toml"));
        assert!(manifest.contains("[package.metadata.docs.rs]\nall-features = true\n"), "{crate_}");
    }
}

#[test]
fn every_page_of_the_guide_is_in_the_reference() {
    let modules = read("offload-runtime/src/guide.rs");
    for page in fs::read_dir(root().join("offload-runtime/docs")).unwrap() {
        let page = page.unwrap().file_name().into_string().unwrap();
        assert!(
            modules.contains(&format!("\"../docs/{page}\"")),
            "{page} is in no module of guide.rs"
        );
        // It is read in two places, and a relative link would lead nowhere in one of them.
        let text = read(&format!("offload-runtime/docs/{page}"));
        let prose: String = outside_of_code(&text).collect();
        let targets = prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets {
            let leads = target.starts_with("crate::")
                || target.contains("::")
                || target.contains("://")
                || target.starts_with('#');
            assert!(leads, "{page} links to {target}");
        }
    }
}

/// A block that shows a shape on both sides, compares them, and is run.
fn compares(block: &str) -> bool {
    let (head, code) = block.split_once('\n').unwrap_or_default();
    let lines: Vec<_> = code.lines().map(str::trim).collect();
    let place = |mark: &str| lines.iter().position(|line| *line == mark);
    let last = lines.iter().rposition(|line| line.starts_with("assert"));
    matches!(
        (place("// Before"), place("// After"), last),
        (Some(before), Some(after), Some(last)) if head == "rust" && before < after && after < last
    )
}

/// So neither side can rot, nor become another program than the other.
#[test]
fn each_shape_of_moving_is_run_before_and_after() {
    let page = read("offload-runtime/docs/moving.md");
    let sections: Vec<_> = page.split("\n## ").skip(1).collect();
    assert!(sections.len() > 10, "only {} sections", sections.len());
    for section in sections {
        let title = section.lines().next().unwrap();
        let mut blocks = section.split("```").skip(1).step_by(2);
        assert_eq!(
            blocks.any(compares),
            !NO_SHAPES.contains(&title),
            "`{title}` has a block of `rust` with `// Before`, `// After` and what asserts that both give the same, \
             or is no shape"
        );
    }
}

#[test]
fn a_block_compares_that_has_both_sides_and_then_asserts() {
    let block = |head: &str, lines: [&str; 3]| format!("{head}\n{}\n", lines.join("\nx();\n"));
    assert!(compares(&block("rust", ["// Before", "  // After", "assert_eq!(a, b);"])));
    assert!(!compares(&block("rust,no_run", ["// Before", "// After", "assert_eq!(a, b);"])));
    assert!(!compares(&block("rust", ["// After", "// Before", "assert_eq!(a, b);"])));
    assert!(!compares(&block("rust", ["// Before", "assert_eq!(a, b);", "// After"])));
    assert!(!compares(&block("rust", ["// Before", "// After", "()"])));
}

/// In the table of the page they are quoted, and the compiler or the attribute may come to say something else.
#[test]
fn the_warnings_of_calls_that_never_start_are_what_the_compiler_says() {
    let page = read("offload-runtime/docs/moving.md");
    let said = read("tests/ui/thread/fail/never_polled.stderr");
    let section = page.split("\n## ").find(|section| section.starts_with(NO_SHAPES[0])).unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, warning, note] = cells[..] else { panic!("{row}") };
        assert!(said.contains(&format!("error: {warning}\n")), "nobody says: {warning}");
        assert!(said.contains(&format!(" note: {note}\n")), "nobody says: {note}");
    }
}

#[test]
fn the_crate_of_the_edition_2021_has_each_kind_and_option() {
    let names = read("offload-macros/src/options/names.rs");
    let after =
        |name: &str| names.split_once(name).unwrap().1.split_once("];").unwrap().0.to_owned();
    let options = after("const OPTIONS");
    let options = options.split("    (\"").skip(1).map(|rest| rest.split_once('"').unwrap().0);
    let kinds = after("const KINDS");
    let kinds = kinds.split('"').skip(1).step_by(2);
    let code = read("tests/edition_2021/options.rs");
    let words: Vec<_> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let missing: Vec<_> =
        kinds.chain(options).filter(|name| !words.contains(name)).map(str::to_owned).collect();
    assert!(missing.is_empty(), "it has none with {missing:?}");
}

//! Many small programs, checked by cargo in one go, and what the compiler said of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Something that the compiler said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) is_error: bool,
    /// As it is shown.
    pub(crate) rendered: String,
    /// The first line, without `error: `.
    pub(crate) text: String,
    /// Where it points to: lines and columns from 1, the end exclusive.
    pub(crate) place: Option<Place>,
    /// Every line that it points to.
    pub(crate) lines: Vec<usize>,
    /// What `cargo fix` writes.
    pub(crate) fixes: Vec<Fix>,
}

/// What is written from one line and column to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fix {
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What stands at the top of each program.
pub(crate) const PRELUDE: &str = "\
#![allow(unused_imports)]
use offload_runtime::{Error, offload};
use std::sync::Arc;
#[derive(Clone)] pub struct Store { pub count: u32, pub name: String }
";

/// Of the runtime, where a test asks for no others.
const FEATURES: &str = "[\"process\"]";

/// Checks libraries by `cargo check` or `cargo clippy`, each with its name, as targets of one package. A package has a folder of
/// its own, in which the dependencies are built once.
pub(crate) fn check(
    command: &str,
    package: &str,
    programs: &[(String, String)],
) -> BTreeMap<String, Vec<Message>> {
    check_with(FEATURES, command, package, programs)
}

/// The same, with these features of the runtime.
pub(crate) fn check_with(
    features: &str,
    command: &str,
    package: &str,
    programs: &[(String, String)],
) -> BTreeMap<String, Vec<Message>> {
    let folder = write(features, package, programs);
    said_by(cargo(&folder).arg(command), programs)
}

/// The same of `cargo check`, as it is where nobody sets anything: with increments.
#[allow(dead_code, reason = "not each test that has this module asks for it")]
pub(crate) fn check_with_increments(
    package: &str,
    programs: &[(String, String)],
) -> BTreeMap<String, Vec<Message>> {
    let folder = write(FEATURES, package, programs);
    said_by(cargo(&folder).env("CARGO_INCREMENTAL", "1").arg("check"), programs)
}

/// The same of `cargo check`, where the runtime has another name in the manifest.
#[allow(dead_code, reason = "not each test that has this module asks for it")]
pub(crate) fn check_renamed(
    name: &str,
    package: &str,
    programs: &[(String, String)],
) -> BTreeMap<String, Vec<Message>> {
    let folder = write(FEATURES, package, programs);
    let manifest = folder.join("Cargo.toml");
    let (before, after) = ("offload-runtime = {", "{ package = \"offload-runtime\",");
    let text = fs::read_to_string(&manifest).unwrap();
    assert_eq!(text.matches(before).count(), 1, "{text}");
    fs::write(manifest, text.replace(before, &format!("{name} = {after}"))).unwrap();
    said_by(cargo(&folder).arg("check"), programs)
}

fn said_by(cargo: &mut Command, programs: &[(String, String)]) -> BTreeMap<String, Vec<Message>> {
    let options = ["--examples", "--keep-going", "--message-format=json", "--quiet"];
    let output = cargo.args(options).output().unwrap();
    let mut said: BTreeMap<_, _> =
        programs.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    let mut finished = false;
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).unwrap();
        finished |= line["reason"] == "build-finished";
        let Some(messages) = line["target"]["name"].as_str().and_then(|name| said.get_mut(name))
        else {
            continue;
        };
        if line["reason"] == "compiler-message" {
            messages.extend(message(&line["message"]));
        }
    }
    assert!(finished, "{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What `cargo fix` makes of libraries, each with its name.
#[allow(dead_code, reason = "not each test that has this module fixes something")]
pub(crate) fn fixed(package: &str, programs: &[(String, String)]) -> BTreeMap<String, String> {
    let folder = write(FEATURES, package, programs);
    let options = ["--examples", "--allow-no-vcs", "--quiet"];
    let output = cargo(&folder).arg("fix").args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &String| {
        fs::read_to_string(folder.join("examples").join(name).with_extension("rs")).unwrap()
    };
    programs.iter().map(|(name, _)| (name.clone(), read(name))).collect()
}

/// Writes a package with these libraries, and tells its folder.
fn write(features: &str, package: &str, programs: &[(String, String)]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = target().join("tests").join(package);
    let examples = folder.join("examples");
    let _ = fs::remove_dir_all(&examples);
    fs::create_dir_all(&examples).unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::copy(here.join("../../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut manifest = format!(
        "[package]\nname = \"{package}\"\nedition = \"2024\"\n\n[dependencies]\n\
         offload-runtime = {{ path = {:?}, default-features = false, features = {features} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\n[workspace]\n",
        here.join("../../offload-runtime"),
    );
    for (name, program) in programs {
        fs::write(examples.join(name).with_extension("rs"), program).unwrap();
        manifest += &format!("\n[[example]]\nname = \"{name}\"\ncrate-type = [\"lib\"]\n");
    }
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    folder
}

/// Cargo, where such a package is.
fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target().join("tests/checked"))
        // Else the compiler says twice what is wrong with a type of a signature, since the body is a function of its own with the
        // same types: it tells items apart there. Cargo shows one where it is not asked for JSON.
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS");
    cargo
}

fn message(message: &Value) -> Option<Message> {
    let text = message["message"].as_str()?;
    // How many there were.
    if message["spans"].as_array()?.is_empty() {
        return None;
    }
    let place =
        message["spans"].as_array()?.iter().find(|span| span["is_primary"] == true).map(|span| {
            let number = |key| usize::try_from(span[key].as_u64().unwrap()).unwrap();
            Place {
                line: number("line_start"),
                start: number("column_start"),
                end: number("column_end"),
            }
        });
    Some(Message {
        is_error: message["level"] == "error",
        rendered: message["rendered"].as_str()?.to_owned(),
        text: text.to_owned(),
        lines: message["spans"]
            .as_array()?
            .iter()
            .filter_map(|span| usize::try_from(span["line_start"].as_u64()?).ok())
            .collect(),
        place,
        fixes: fixes(message),
    })
}

fn fixes(message: &Value) -> Vec<Fix> {
    let all = |key: &str| message[key].as_array().into_iter().flatten();
    let own = all("spans").filter_map(|span| {
        let text = span["suggested_replacement"].as_str()?;
        if span["suggestion_applicability"] != "MachineApplicable" {
            return None;
        }
        let number = |key: &str| usize::try_from(span[key].as_u64().unwrap()).unwrap();
        Some(Fix {
            from: (number("line_start"), number("column_start")),
            to: (number("line_end"), number("column_end")),
            text: text.to_owned(),
        })
    });
    own.chain(all("children").flat_map(fixes)).collect()
}

/// Where cargo builds this workspace.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let is_marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    // Unless somebody has made the folder before cargo: the test is in `debug/deps` of it.
    let found = test.ancestors().find(is_marked).or_else(|| test.ancestors().nth(3));
    found.unwrap().to_owned()
}

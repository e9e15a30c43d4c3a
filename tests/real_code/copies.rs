//! A crate with a copy beside each of its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::{Attribute, ImplItem, Item, Signature};

/// How the copies are written.
pub(crate) enum Variant {
    /// As they are.
    Plain,
    /// With `#[offload(…)]` above them.
    With(String),
}

/// All copies of a crate.
pub(crate) struct Copies {
    folder: PathBuf,
    /// Every file with functions, as it was.
    files: BTreeMap<PathBuf, String>,
    copies: Vec<Copy>,
    active: BTreeSet<usize>,
    /// Of each file as it was written last: which lines are which copy.
    lines: BTreeMap<PathBuf, Vec<(Range<usize>, usize)>>,
}

struct Copy {
    file: PathBuf,
    name: String,
    /// Where it goes.
    at: usize,
    /// How far in the function stands.
    indent: usize,
    text: String,
}

impl Copies {
    /// Copies a crate from `source` to `folder`.
    pub(crate) fn of(source: &Path, folder: &Path) -> Copies {
        let _ = fs::remove_dir_all(folder);
        copy_folder(source, folder);
        fs::write(folder.join("Cargo.toml"), manifest(source)).expect("the manifest is written");
        let mut copies = Copies {
            folder: folder.to_owned(),
            files: BTreeMap::new(),
            copies: Vec::new(),
            active: BTreeSet::new(),
            lines: BTreeMap::new(),
        };
        copies.read(&folder.join("src"));
        copies.active = (0..copies.copies.len()).collect();
        copies
    }

    fn read(&mut self, folder: &Path) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                self.read(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && let Ok(text) = fs::read_to_string(&path)
                && let Ok(file) = syn::parse_file(&text)
            {
                self.items(&path, &text, &file.items);
                self.files.insert(path, text);
            }
        }
    }

    fn items(&mut self, path: &Path, text: &str, items: &[Item]) {
        for item in items {
            match item {
                Item::Fn(function) => {
                    self.function(path, text, &function.attrs, &function.sig, item.span());
                }
                Item::Impl(block) if block.trait_.is_none() && is_plain(&block.attrs) => {
                    for item in &block.items {
                        if let ImplItem::Fn(method) = item {
                            self.function(path, text, &method.attrs, &method.sig, item.span());
                        }
                    }
                }
                Item::Mod(module) if is_plain(&module.attrs) => {
                    if let Some((_, items)) = &module.content {
                        self.items(path, text, items);
                    }
                }
                _ => {}
            }
        }
    }

    fn function(
        &mut self,
        path: &Path,
        text: &str,
        attributes: &[Attribute],
        signature: &Signature,
        span: proc_macro2::Span,
    ) {
        if !is_plain(attributes) || signature.ident == "main" {
            return;
        }
        let (whole, name) = (span.byte_range(), signature.ident.span().byte_range());
        // With a name of its own, and a line for the attribute.
        let copy = format!(
            "{}copy_{}_of_{}{}",
            &text[whole.start..name.start],
            self.copies.len(),
            signature.ident,
            &text[name.end..whole.end],
        );
        self.copies.push(Copy {
            file: path.to_owned(),
            name: signature.ident.to_string(),
            at: whole.end,
            indent: span.start().column,
            text: copy,
        });
    }

    /// Only the copies in files that are part of the crate as it is checked.
    pub(crate) fn keep_compiled(&mut self, files: &BTreeSet<PathBuf>) {
        let copies = &self.copies;
        self.active.retain(|index| files.contains(&copies[*index].file));
    }

    pub(crate) fn remove(&mut self, wrong: &BTreeSet<usize>) {
        self.active.retain(|index| !wrong.contains(index));
    }

    pub(crate) fn active(&self) -> BTreeSet<usize> {
        self.active.clone()
    }

    pub(crate) fn set_active(&mut self, active: &BTreeSet<usize>) {
        self.active.clone_from(active);
    }

    /// For a reader of the table.
    pub(crate) fn title(&self, index: usize) -> String {
        let copy = &self.copies[index];
        let file = copy.file.strip_prefix(&self.folder).unwrap_or(&copy.file);
        format!("{} in {}", copy.name, file.display())
    }

    /// Writes the files with those copies that are active.
    pub(crate) fn write(&mut self, variant: &Variant) {
        self.lines.clear();
        for (path, text) in &self.files {
            let mut output = String::new();
            let mut lines = Vec::new();
            let mut done = 0;
            let here = self.active.iter().filter(|index| self.copies[**index].file == *path);
            for index in here {
                let copy = &self.copies[*index];
                output += &text[done..copy.at];
                done = copy.at;
                output += "\n";
                let begin = output.matches('\n').count() + 1;
                if let Variant::With(options) = variant {
                    // As far in as the function: what stands at the beginning of a line stands in no block.
                    let indent = " ".repeat(copy.indent);
                    output += &format!("{indent}#[::offload_runtime::offload({options})]");
                }
                output += &format!("\n{}\n", copy.text);
                let end = output.matches('\n').count() + 1;
                lines.push((begin..end, *index));
            }
            output += &text[done..];
            // What did not change is not compiled again.
            if fs::read_to_string(path).is_ok_and(|text| text != output) {
                fs::write(path, output).expect("a file is written");
            }
            self.lines.insert(path.clone(), lines);
        }
    }

    /// The copy that stands in a line.
    pub(crate) fn at(&self, path: &Path, line: usize) -> Option<usize> {
        let lines = self.lines.get(path)?;
        lines.iter().find(|(range, _)| range.contains(&line)).map(|(_, index)| *index)
    }
}

/// Whether an item is always there, and can be there twice.
fn is_plain(attributes: &[Attribute]) -> bool {
    const OTHERWISE: [&str; 9] = [
        "cfg",
        "cfg_attr",
        "test",
        "no_mangle",
        "export_name",
        "unsafe",
        "proc_macro",
        "target_feature",
        "link",
    ];
    attributes.iter().all(|attribute| {
        let path = attribute.path();
        path.get_ident().is_some_and(|ident| !OTHERWISE.iter().any(|word| ident == word))
    })
}

/// The manifest without what only its own tests need, and with the runtime.
fn manifest(source: &Path) -> String {
    let text = fs::read_to_string(source.join("Cargo.toml")).expect("a manifest");
    let mut kept = String::new();
    let mut keep = true;
    for line in text.lines() {
        if line.starts_with('[') {
            let dropped = [
                "dev-dependencies",
                "[[bench]]",
                "[[test]]",
                "[[example]]",
                "[[bin]]",
                "[lints",
                "[profile",
            ];
            keep = !dropped.iter().any(|word| line.contains(word));
        }
        if keep {
            kept += line;
            kept.push('\n');
        }
    }
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../offload-runtime");
    format!(
        "{kept}\n[dependencies.offload-runtime]\npath = {runtime:?}\ndefault-features = false\n\
         features = [\"process\"]\n\n[workspace]\n"
    )
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else if path.file_name().is_some_and(|name| name != "Cargo.lock") {
            fs::copy(&path, &target).expect("a file is copied");
        }
    }
}

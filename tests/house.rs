//! Which file of the runtime imports which: from top to bottom, and never back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree, Visibility};

/// Where files and folders stand, the highest first. `lib.rs` and `__private.rs` are roots, which
/// nobody imports.
const RANKS: [&[&str]; 10] = [
    &["lib", "__private"],
    &["observe"],
    &["api"],
    &["call"],
    &["function", "limiter"],
    &["executor"],
    &["wire"],
    &["task"],
    &["error"],
    &["sync"],
];

/// Below all others.
const LOWEST: &str = "system";

/// A module by the names that lead to it.
type Module = Vec<String>;

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../offload-runtime/src")
}

/// Every file, by the module that it is.
fn files(folder: &Path, module: &Module, found: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files(&path, &[module.clone(), vec![name]].concat(), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let own = if name == "mod" { Vec::new() } else { vec![name] };
            found.insert([module.clone(), own].concat(), path);
        }
    }
}

/// Whether an item is there for tests, models or the fuzzer alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let text = list.tokens.to_string();
        attribute.path().is_ident("cfg")
            && (text.contains("test") && !text.contains("not (test")
                || text == "offload_loom"
                || text.contains("fuzzing"))
    })
}

/// What one file says: the paths that it imports, and the names that it passes on.
#[derive(Default)]
struct Said {
    imports: Vec<Module>,
    passes_on: BTreeMap<String, Module>,
}

fn read(items: &[Item], module: &Module, said: &mut Said) {
    for item in items {
        match item {
            Item::Use(item) if !is_for_tests(&item.attrs) => {
                let is_public = !matches!(item.vis, Visibility::Inherited);
                follow(&item.tree, &mut Vec::new(), module, is_public, said);
            }
            Item::Mod(item) if !is_for_tests(&item.attrs) => {
                if let Some((_, items)) = &item.content {
                    read(items, &[module.clone(), vec![item.ident.to_string()]].concat(), said);
                }
            }
            _ => {}
        }
    }
}

fn follow(tree: &UseTree, path: &mut Module, module: &Module, is_public: bool, said: &mut Said) {
    let mut end = |name: String, known_as: String, path: &Module| {
        let whole = [path.clone(), vec![name]].concat();
        if let Some(whole) = absolute(&whole, module) {
            if is_public {
                said.passes_on.insert(known_as, whole.clone());
            }
            said.imports.push(whole);
        }
    };
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            follow(&part.tree, path, module, is_public, said);
            path.pop();
        }
        UseTree::Name(name) => end(name.ident.to_string(), name.ident.to_string(), path),
        UseTree::Rename(name) => end(name.ident.to_string(), name.rename.to_string(), path),
        UseTree::Glob(_) => end("*".to_owned(), "*".to_owned(), path),
        UseTree::Group(group) => {
            for tree in &group.items {
                follow(tree, path, module, is_public, said);
            }
        }
    }
}

/// A path from the root of the crate; `None`: it leads into another crate.
fn absolute(path: &[String], module: &Module) -> Option<Module> {
    match path.first().map(String::as_str)? {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module.clone(), path[1..].to_vec()].concat()),
        "super" => {
            let mut base = module.clone();
            let ups = path.iter().take_while(|part| *part == "super").count();
            base.truncate(base.len().saturating_sub(ups));
            Some([base, path[ups..].to_vec()].concat())
        }
        _ => None,
    }
}

/// Paths that are written out where they are used, without comments.
fn written_out(text: &str) -> Vec<Module> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code = text.split("\n#[cfg(all(test").next().unwrap_or_default();
    let code: String = code.lines().filter(is_code).map(|line| format!("{line}\n")).collect();
    // What a macro by example writes is in its user's crate.
    let code = code.replace("$crate::", "").replace("pub(in crate::", "");
    let parts = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        rest[..end.unwrap_or(rest.len())].split("::").map(str::to_owned).collect()
    });
    parts.collect()
}

struct House {
    files: BTreeMap<Module, PathBuf>,
    /// Which files each imports.
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl House {
    fn new() -> House {
        let mut files = BTreeMap::new();
        self::files(&sources(), &Vec::new(), &mut files);
        files.retain(|module, _| !module.iter().any(|name| name == "tests"));
        let mut said = BTreeMap::new();
        for (module, path) in &files {
            let text = fs::read_to_string(path).unwrap();
            let mut one = Said::default();
            read(&syn::parse_file(&text).unwrap().items, module, &mut one);
            one.imports.extend(written_out(&text));
            said.insert(module.clone(), one);
        }
        let mut imports = BTreeMap::new();
        for (module, one) in &said {
            let found = one.imports.iter().filter_map(|path| file_of(path, &files, &said));
            let found: BTreeSet<_> = found.filter(|file| file != module).collect();
            imports.insert(module.clone(), found);
        }
        House { files, imports }
    }

    fn name(&self, module: &Module) -> String {
        let path = self.files[module].strip_prefix(sources()).unwrap();
        path.display().to_string()
    }
}

/// The file in which what a path names is defined.
fn file_of(
    path: &Module,
    files: &BTreeMap<Module, PathBuf>,
    said: &BTreeMap<Module, Said>,
) -> Option<Module> {
    let length = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let passed_on = rest.first().and_then(|name| said.get(module)?.passes_on.get(name));
    match passed_on {
        Some(target) if *target != *path => {
            let target = [target.clone(), rest[1..].to_vec()].concat();
            file_of(&target, files, said)
        }
        _ => Some(module.to_vec()),
    }
}

fn rank(module: &Module) -> usize {
    let top = module.first().map_or("lib", String::as_str);
    let found = RANKS.iter().position(|names| names.contains(&top));
    found.unwrap_or_else(|| {
        assert_eq!(top, LOWEST, "{top} has no place in the house: add it to RANKS");
        RANKS.len()
    })
}

#[test]
fn imports_go_down_and_never_up() {
    let house = House::new();
    let mut wrong = Vec::new();
    for (module, imports) in &house.imports {
        for import in imports.iter().filter(|import| rank(import) < rank(module)) {
            wrong.push(format!("{} imports {}", house.name(module), house.name(import)));
        }
    }
    assert!(wrong.is_empty(), "upwards: {wrong:#?}");
}

#[test]
fn no_two_files_of_different_folders_import_each_other() {
    let house = House::new();
    for (module, imports) in &house.imports {
        for import in imports.iter().filter(|import| house.imports[*import].contains(module)) {
            assert_eq!(
                house.files[module].parent(),
                house.files[import].parent(),
                "{} and {} import each other",
                house.name(module),
                house.name(import)
            );
        }
    }
}

#[test]
fn no_more_than_two_files_are_a_circle() {
    let house = House::new();
    // Of each file all that it reaches: who reach each other are one circle.
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        house.imports.keys().map(|module| (module, reach(&house, module))).collect();
    let circles: BTreeSet<Vec<String>> = reached
        .iter()
        .map(|(module, others)| {
            let others = others.iter().filter(|other| reached[**other].contains(*module));
            others.map(|other| house.name(other)).collect()
        })
        .collect();
    let circles: Vec<_> = circles.iter().filter(|circle| circle.len() > 2).collect();
    assert!(circles.is_empty(), "circles: {circles:#?}");
}

fn reach<'a>(house: &'a House, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = house.imports[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(&house.imports[module]);
        }
    }
    reached
}

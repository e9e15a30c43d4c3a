//! The houses of the two published crates: imports go one way, files form no circles, and the Rust in
//! them is that of their oldest compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, BinOp, Expr, ExprBinary, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
};

/// What a crate is made of.
struct House {
    /// From the top. A file imports what stands beside it or below.
    floors: &'static [&'static [&'static str]],
    /// They bring everything together, as public names or as one pipeline: nobody imports them.
    roots: &'static [&'static str],
}

const RUNTIME: House = House {
    floors: &[
        &["observe"],
        &["api"],
        &["call"],
        &["function.rs", "gate", "limiter.rs", "resource"],
        &["executor"],
        &["wire"],
        &["task"],
        &["error.rs"],
        &["sync"],
        &["system"],
    ],
    roots: &["lib.rs", "__private.rs", "guide.rs"],
};

const MACROS: House = House {
    floors: &[
        &["entry.rs"],
        &["fallback.rs"],
        &["expand"],
        &["check"],
        &["function"],
        &["options"],
        &["errors.rs"],
        &["tokens"],
    ],
    roots: &["lib.rs"],
};

/// A module by its path from the root of the crate, whose own is empty.
type ModulePath = Vec<String>;

/// What names mean in a module.
#[derive(Default)]
struct Module {
    /// Relative to the source folder.
    file: String,
    /// What it defines, but for modules.
    items: BTreeSet<String>,
    /// Names that `use` brings, and from where.
    names: BTreeMap<String, Vec<String>>,
    /// From where `use` brings all names.
    globs: Vec<Vec<String>>,
}

/// One file imports another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    line: usize,
    to: String,
}

/// A path as somebody wrote it.
struct Written {
    module: ModulePath,
    line: usize,
    segments: Vec<String>,
}

/// The source of the runtime, but for its own tests and models.
#[derive(Default)]
struct Source {
    modules: BTreeMap<ModulePath, Module>,
    paths: Vec<Written>,
}

impl Source {
    /// Reads a crate: `read` gives the text of a file, if there is one.
    fn read(read: &dyn Fn(&str) -> Option<String>) -> Source {
        let mut source = Source::default();
        source.read_file(read, "lib.rs", Vec::new());
        source
    }

    fn read_file(&mut self, read: &dyn Fn(&str) -> Option<String>, file: &str, path: ModulePath) {
        let text = read(file).unwrap_or_else(|| panic!("{file} cannot be read"));
        let mut syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.modules.insert(path.clone(), Module { file: file.to_owned(), ..Module::default() });
        let mut reader = Reader { source: self, module: path, declared: Vec::new() };
        reader.visit_file_mut(&mut syntax);
        for module in reader.declared {
            let base = module.join("/");
            let places = [format!("{base}.rs"), format!("{base}/mod.rs")];
            let found = places.iter().find(|place| read(place).is_some());
            self.read_file(read, found.unwrap_or_else(|| panic!("{base} has no file")), module);
        }
    }

    /// What a path of a module leads to: the module in which it ends, and whether that is all.
    /// `None`: out of the crate.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        let mut at = module.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => return self.resolve_from(&at, rest, depth),
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|segment| segment == "super") {
            at.pop();
            rest = &rest[1..];
        }
        if rest.is_empty() {
            return Some(Target { module: at, is_module: true });
        }
        let here = Target { module: at.clone(), is_module: false };
        Some(self.resolve_from(&at, rest, depth).unwrap_or(here))
    }

    /// The same, for a path whose first segment is a name in `at`.
    fn resolve_from(&self, at: &[String], path: &[String], depth: usize) -> Option<Target> {
        assert!(depth < 20, "{path:?} leads nowhere");
        let (first, rest) = path.split_first()?;
        let inner = [at, std::slice::from_ref(first)].concat();
        let follow = |target: Target| match rest {
            [] => Some(target),
            _ if target.is_module => {
                let here = Target { module: target.module.clone(), is_module: false };
                Some(self.resolve_from(&target.module, rest, depth + 1).unwrap_or(here))
            }
            // A function or a constant of a type.
            _ => Some(target),
        };
        if self.modules.contains_key(&inner) {
            return follow(Target { module: inner, is_module: true });
        }
        let module = &self.modules[at];
        if module.items.contains(first) {
            return Some(Target { module: at.to_vec(), is_module: false });
        }
        if let Some(from) = module.names.get(first) {
            // `use std::task` in a module `task` is not that module, nor is `use quote::quote` what it brings itself.
            return (from.first() != Some(first))
                .then(|| self.resolve(at, from, depth + 1))?
                .and_then(follow);
        }
        module.globs.iter().find_map(|glob| {
            let target = self.resolve(at, glob, depth + 1)?;
            self.resolve_from(&target.module, path, depth + 1)
        })
    }

    /// Every import of one file by another.
    fn imports(&self) -> BTreeSet<Import> {
        let import = |written: &Written| {
            let target = self.resolve(&written.module, &written.segments, 0)?;
            let from = self.modules[&written.module].file.clone();
            let to = self.modules[&target.module].file.clone();
            (from != to).then_some(Import { from, line: written.line, to })
        };
        self.paths.iter().filter_map(import).collect()
    }
}

/// What a path leads to.
struct Target {
    module: ModulePath,
    /// It is this module, not an item of it.
    is_module: bool,
}

/// Reads one file.
struct Reader<'a> {
    source: &'a mut Source,
    /// Where it is just now.
    module: ModulePath,
    /// The modules that have a file of their own.
    declared: Vec<ModulePath>,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        self.source.modules.get_mut(&self.module).expect("it is entered when it is read")
    }

    fn write(&mut self, line: usize, segments: Vec<String>) {
        self.source.paths.push(Written { module: self.module.clone(), line, segments });
    }

    /// Takes a `use` apart.
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        let (ident, name) = match tree {
            UseTree::Path(path_) => {
                path.push(path_.ident.to_string());
                return self.import(&path_.tree, &path);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before));
            }
            UseTree::Glob(glob) => {
                self.write(glob.star_token.span.start().line, path.clone());
                return self.module().globs.push(path);
            }
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        let mut name = name.to_string();
        if ident != "self" {
            path.push(ident.to_string());
        } else if name == "self" {
            name.clone_from(path.last().expect("`use self` is none"));
        }
        self.write(ident.span().start().line, path.clone());
        self.module().names.insert(name, path);
    }

    /// The paths in what a macro is given, which may be of any form.
    fn scan(&mut self, tokens: TokenStream) {
        let mut segments = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.write_long(line, &mut segments);
                        line = ident.span().start().line;
                    }
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.write_long(line, &mut segments);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.scan(group.stream()),
                        // `$crate` is not for this crate.
                        TokenTree::Punct(punct) if punct.as_char() == '$' => {
                            segments.push("$".to_owned());
                            colons = 2;
                        }
                        _ => {}
                    }
                }
            }
        }
        self.write_long(line, &mut segments);
    }

    /// Takes note of a path that is more than a name.
    fn write_long(&mut self, line: usize, segments: &mut Vec<String>) {
        let path = std::mem::take(segments);
        if path.len() > 1 {
            self.write(line, path);
        }
    }
}

/// Whether an item is there for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test" || condition.starts_with("all(test")
        }
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl VisitMut for Reader<'_> {
    fn visit_item_mut(&mut self, item: &mut Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        if let Some(name) = name.map(ToString::to_string) {
            self.module().items.insert(name);
        }
        visit_mut::visit_item_mut(self, item);
    }

    fn visit_item_mod_mut(&mut self, item: &mut ItemMod) {
        let name = item.ident.to_string();
        if name == "tests" || name == "models" {
            return;
        }
        let file = self.module().file.clone();
        self.module.push(name);
        match &mut item.content {
            None => self.declared.push(self.module.clone()),
            Some((_, items)) => {
                // One name may be declared for each of several systems.
                let module = self.source.modules.entry(self.module.clone()).or_default();
                module.file = file;
                items.iter_mut().for_each(|item| self.visit_item_mut(item));
            }
        }
        self.module.pop();
    }

    fn visit_item_use_mut(&mut self, item: &mut ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit_mut::visit_impl_item_fn_mut(self, item);
        }
    }

    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let mut segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(first) = path.segments.first().filter(|_| path.leading_colon.is_none()) {
            self.write_long(first.ident.span().start().line, &mut segments);
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_macro_mut(&mut self, called: &mut Macro) {
        self.visit_path_mut(&mut called.path);
        self.scan(called.tokens.clone());
    }

    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}

    /// `pub(in crate::…)` says who may see it.
    fn visit_visibility_mut(&mut self, _: &mut Visibility) {}
}

impl House {
    /// On which floor a file stands.
    fn floor(&self, file: &str) -> usize {
        let part = file.split('/').next().expect("a path has a first part");
        let mut floors = self.floors.iter();
        floors
            .position(|parts| parts.contains(&part))
            .unwrap_or_else(|| panic!("{part} stands on no floor of the house"))
    }
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What is not as it should be: each with its file, line and rule.
fn faults(house: &House, source: &Source) -> Vec<String> {
    let imports = source.imports();
    let mut faults = Vec::new();
    for Import { from, line, to } in &imports {
        if house.roots.contains(&to.as_str()) {
            faults.push(format!("{from}:{line} imports {to}: nobody imports a root"));
        } else if !house.roots.contains(&from.as_str()) && house.floor(from) > house.floor(to) {
            faults.push(format!("{from}:{line} imports {to}: imports go down, never up"));
        }
    }
    let mut edges: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for Import { from, line, to } in &imports {
        edges.entry(from).or_default().entry(to).or_insert(*line);
    }
    for (&from, targets) in &edges {
        for (&to, line) in targets {
            let back = edges.get(to).and_then(|back| back.get(from));
            if let Some(back) = back.filter(|_| from < to && folder(from) != folder(to)) {
                faults.push(format!(
                    "{from}:{line} imports {to}, and {to}:{back} imports it: no two files import \
                     each other across folders"
                ));
            }
        }
    }
    faults.extend(circles(&edges).into_iter().map(|circle| {
        let steps: Vec<_> = circle
            .iter()
            .flat_map(|from| circle.iter().map(move |to| (from, to)))
            .filter_map(|(from, to)| Some(format!("{from}:{} → {to}", edges[from].get(to)?)))
            .collect();
        format!("{}: no circle is of more than two files", steps.join(", "))
    }));
    faults
}

/// The largest sets of more than two files of which each leads to each.
fn circles<'a>(edges: &BTreeMap<&'a str, BTreeMap<&'a str, usize>>) -> Vec<Vec<&'a str>> {
    let reached = |from: &'a str| {
        let (mut reached, mut ahead) = (BTreeSet::new(), vec![from]);
        while let Some(at) = ahead.pop() {
            let next = edges.get(at).into_iter().flat_map(BTreeMap::keys);
            ahead.extend(next.filter(|&&next| reached.insert(next)));
        }
        reached
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|&from| (from, reached(from))).collect();
    let mut circles: Vec<_> = edges
        .keys()
        .map(|&file| {
            let there = reached[file].iter().copied();
            there
                .filter(|there| reached.get(there).is_some_and(|back| back.contains(file)))
                .collect::<Vec<_>>()
        })
        .filter(|circle| circle.len() > 2)
        .collect();
    circles.sort();
    circles.dedup();
    circles
}

/// The crate in this folder of the project.
fn crate_in(folder: &str) -> Source {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    Source::read(&|file| fs::read_to_string(folder.join(PathBuf::from(file))).ok())
}

/// That a crate is as its house says, and that so many imports were looked at.
fn check(house: &House, folder: &str, at_least: usize) {
    let source = crate_in(folder);
    let imports = source.imports();
    assert!(imports.len() > at_least, "only {} imports were found", imports.len());
    let faults = faults(house, &source);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn imports_of_the_runtime_go_down_the_house_and_form_no_circles() {
    check(&RUNTIME, "offload-runtime/src", 200);
}

#[test]
fn imports_of_the_macros_go_down_the_house_and_form_no_circles() {
    check(&MACROS, "offload-macros/src", 100);
}

/// The faults of a crate of these files.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let read = |name: &str| {
        let file = files.iter().find(|(file, _)| *file == name);
        file.map(|(_, text)| (*text).to_owned())
    };
    faults(&RUNTIME, &Source::read(&read))
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let lib = "mod api; mod sync; mod task; pub use api::stats::Stats;";
    let api = "pub(crate) mod stats; pub(crate) use self::stats::total;";
    let stats = "pub struct Stats; pub(crate) fn total() {}";
    let up = |task| {
        let files = [("lib.rs", lib), ("api/mod.rs", api), ("api/stats.rs", stats)];
        let below = [("sync/mod.rs", "pub(crate) fn lock() {}"), ("task/mod.rs", task)];
        faults_of(&[&files[..], &below].concat())
    };
    let fault = "imports api/stats.rs: imports go down, never up";
    for task in [
        "use crate::api::stats::Stats;",
        "use crate::Stats;",
        "use crate::api::{total};",
        "use crate::{sync::lock, api::stats::{self as numbers}};",
        "use super::api::stats::*;",
        "fn run() { crate::api::total() }",
        "fn run() { println!(\"{:?}\", crate::api::stats::total()) }",
        "fn run() { use crate::api::stats::total; total() }",
        "mod inner { use super::super::api::stats::Stats; }",
        "#[cfg(not(test))] type Numbers = crate::Stats;",
    ] {
        let faults = up(task);
        assert!(faults.contains(&format!("task/mod.rs:1 {fault}")), "{task}: {faults:?}");
    }
    for task in [
        "use crate::sync::lock;",
        "#[cfg(test)] mod numbers { use crate::api::stats::Stats; }",
        "#[cfg(all(test, not(offload_loom)))] mod numbers { use crate::api::stats::Stats; }",
        "mod models { use crate::api::stats::Stats; }",
        "macro_rules! total { () => { $crate::api::total() } }",
        "pub(in crate::task) fn run() {}",
        "/// [`total`](crate::api::total)\nfn run() {}",
    ] {
        assert_eq!(up(task), [""; 0], "{task}");
    }
}

#[test]
fn circles_and_files_that_import_each_other_across_folders_are_found() {
    let lib = ("lib.rs", "mod task; pub mod __private; pub struct Crate;");
    let private = ("__private.rs", "pub use crate::task::one::One;");
    let task = |one, two, three| {
        let module = ("task/mod.rs", "pub(crate) mod one; mod two; pub(crate) mod three;");
        let deep = ("task/three/mod.rs", three);
        faults_of(&[lib, private, module, ("task/one.rs", one), ("task/two.rs", two), deep])
    };
    let (one, two) = ("use super::two::Two; pub struct One;", "pub struct Two;");
    assert_eq!(task(one, two, ""), [""; 0]);
    assert_eq!(task(one, "use super::one::One; pub struct Two;", ""), [""; 0], "two may");

    let circle = task(one, "pub struct Two(crate::task::three::Three);", "pub struct Three;");
    assert_eq!(circle, [""; 0]);
    let circle = task(
        one,
        "pub struct Two(crate::task::three::Three);",
        "pub struct Three(super::one::One);",
    );
    assert_eq!(
        circle,
        ["task/one.rs:1 → task/two.rs, task/three/mod.rs:1 → task/one.rs, task/two.rs:1 → \
          task/three/mod.rs: no circle is of more than two files"]
    );

    let pair =
        task("pub struct One(super::three::Three);", two, "pub struct Three(super::one::One);");
    assert_eq!(
        pair,
        ["task/one.rs:1 imports task/three/mod.rs, and task/three/mod.rs:1 imports it: no two \
          files import each other across folders"]
    );

    let root = task("use crate::__private::None; use crate::Crate; pub struct One;", two, "");
    assert_eq!(
        root[..2],
        [
            "task/one.rs:1 imports __private.rs: nobody imports a root",
            "task/one.rs:1 imports lib.rs: nobody imports a root",
        ]
    );
}

/// Finds conditions that compilers before 1.88 do not know.
#[derive(Default)]
struct LetChains(Vec<usize>);

impl VisitMut for LetChains {
    fn visit_expr_binary_mut(&mut self, binary: &mut ExprBinary) {
        let lets = [&binary.left, &binary.right].into_iter().filter_map(|side| match &**side {
            Expr::Let(side) if matches!(binary.op, BinOp::And(_)) => Some(side),
            _ => None,
        });
        self.0.extend(lets.map(|side| side.let_token.span.start().line));
        visit_mut::visit_expr_binary_mut(self, binary);
    }
}

fn let_chains(text: &str) -> Vec<usize> {
    let mut found = LetChains::default();
    found.visit_file_mut(&mut syn::parse_file(text).unwrap());
    found.0
}

/// All of it is proved by a compiler of that age, in `.ci/run`. This is what one forgets.
#[test]
fn the_published_crates_have_no_let_chains() {
    let text =
        "fn one() { if let Some(_) = a && b {} }\nfn two() { while a && let Some(_) = b {} }";
    assert_eq!(let_chains(text), [1, 2]);
    assert_eq!(let_chains("fn none() { if let Some(_) = a {} if b && c {} }"), [0; 0]);

    let mut faults = Vec::new();
    for (path, text) in ["offload-macros/src", "offload-runtime/src"].into_iter().flat_map(sources)
    {
        let lines = let_chains(&text);
        faults.extend(lines.iter().map(|line| format!("{}:{line}", path.display())));
    }
    assert!(faults.is_empty(), "Rust 1.85 has no `if let … && …`: {faults:#?}");
}

/// Finds what a function does with a feature alone, or without one.
#[derive(Default)]
struct Features {
    depth: usize,
    lines: Vec<usize>,
}

impl Features {
    fn look(&mut self, path: &syn::Path, condition: &TokenStream) {
        if self.depth > 0 && path.is_ident("cfg") && condition.to_string().contains("feature") {
            self.lines.push(path.segments[0].ident.span().start().line);
        }
    }
}

impl VisitMut for Features {
    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        self.depth += 1;
        visit_mut::visit_block_mut(self, block);
        self.depth -= 1;
    }

    fn visit_attribute_mut(&mut self, attribute: &mut Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.look(&list.path, &list.tokens);
        }
    }

    fn visit_macro_mut(&mut self, called: &mut Macro) {
        self.look(&called.path, &called.tokens);
    }
}

fn features(text: &str) -> Vec<usize> {
    let mut found = Features::default();
    found.visit_file_mut(&mut syn::parse_file(text).unwrap());
    found.lines
}

/// A feature that is off is an empty type, or a function that nobody needs then, and nothing that each call
/// goes around.
#[test]
fn no_function_on_the_way_of_a_call_does_otherwise_by_a_feature() {
    let text =
        "fn one() { #[cfg(feature = \"a\")] two(); }\nfn two() { if cfg!(feature = \"a\") {} }";
    assert_eq!(features(text), [1, 2]);
    assert_eq!(features("#[cfg(feature = \"a\")] fn one() { if cfg!(test) {} }"), [0; 0]);

    let way = ["call", "function.rs", "gate", "limiter.rs", "executor/threads", "task", "sync"];
    let mut faults = Vec::new();
    for (path, text) in sources("offload-runtime/src") {
        let place = path.to_string_lossy().replace('\\', "/");
        let is_on_it = |part: &&str| place.contains(&format!("offload-runtime/src/{part}"));
        if way.iter().any(is_on_it) {
            faults.extend(features(&text).iter().map(|line| format!("{place}:{line}")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The files below a folder of the project, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn read(folder: &Path, sources: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }

    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut sources);
    sources
}

/// All are entered by `unpoisoned`, which goes no further if a panic has left what one guards half done.
#[test]
fn no_lock_of_the_runtime_is_entered_through_poison() {
    let sources = sources("offload-runtime/src");
    let words = ["PoisonError", "TryLockError", "clear_poison", "is_poisoned"];
    let ways = [".lock().unwrap_or_else(", ".lock().or_else("];
    let enters = |text: &str| {
        let dense: String = text.split_whitespace().collect();
        words.iter().any(|word| text.contains(word)) || ways.iter().any(|way| dense.contains(way))
    };
    assert!(enters("own\n    .lock()\n    .unwrap_or_else(|poisoned| poisoned.into_inner())"));
    assert!(enters("own.lock().or_else(|poisoned| Ok(poisoned.into_inner()))"));
    let faults: Vec<_> =
        sources.iter().filter(|(_, text)| enters(text)).map(|(path, _)| path).collect();
    assert!(faults.is_empty(), "they enter locks that are poisoned: {faults:#?}");
    let locks = sources.iter().filter(|(_, text)| text.contains(".unpoisoned()"));
    assert!(locks.count() > 20, "the locks are entered in another way");
}

/// How many threads the code of a file starts, and how many it has that end the process if they panic, by what those
/// are called: without what is said in it, and without its tests.
fn threads_and_guards(text: &str) -> (usize, usize) {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: Vec<_> = text.lines().filter(is_code).collect();
    let code = code.join("\n");
    let tests = ["\nmod tests {", "\nmod models {"];
    let end = tests.iter().filter_map(|tests| code.find(tests)).min();
    let dense: String = code[..end.unwrap_or(code.len())].split_whitespace().collect();
    let started = ["Builder::new().name(", "thread::spawn("].map(|way| dense.matches(way).count());
    let names = dense.split("abort_on_panic(\"").skip(1).filter_map(|rest| rest.split('"').next());
    (started.iter().sum(), names.filter(|name| name.contains("thread")).count())
}

/// A thread that ended in silence would leave those who wait for it.
#[test]
fn each_file_that_starts_a_thread_has_a_guard_for_it() {
    let text = "let b = Builder::new()\n    .name(name);\nthread::spawn(run);\n// thread::spawn(\n\
                abort_on_panic(\n    \"a thread\", run);\nabort_on_panic(\"a task\", run);\n\
                mod tests {\n    thread::spawn(run);\n}";
    assert_eq!(threads_and_guards(text), (2, 1));

    let mut threads = 0;
    for (path, text) in sources("offload-runtime/src") {
        let path = path.to_string_lossy();
        if path.ends_with("tests.rs") || path.contains("models") {
            continue;
        }
        let (started, guards) = threads_and_guards(&text);
        assert!(started <= guards, "{path}: it starts a thread without `abort_on_panic`");
        threads += started;
    }
    assert!(threads > 10, "only {threads} threads were found");
}

/// An executor is known by its trait alone; what calls leave behind is dropped by the `thread` pool.
#[test]
fn nothing_on_the_way_of_a_call_asks_which_executor_has_it() {
    let way = ["call", "function.rs", "gate", "limiter.rs", "resource", "task", "sync"];
    let seam = ["executor/mod.rs", "executor/settings.rs", "executor/threads/mod.rs"];
    let imports = crate_in("offload-runtime/src").imports().into_iter().filter(|import| {
        let part = import.from.split('/').next().unwrap_or_default();
        way.contains(&part) && import.to.starts_with("executor/")
    });
    let (known, others): (Vec<_>, Vec<_>) =
        imports.partition(|import| seam.contains(&import.to.as_str()));
    assert!(known.len() > 4, "only {} imports of the seam were found", known.len());
    let others: Vec<_> = others.iter().map(|one| format!("{} → {}", one.from, one.to)).collect();
    assert!(others.is_empty(), "{others:#?}");
    let asks = |line: &str| {
        let uses = line.split("threads::").skip(1);
        uses.into_iter().any(|used| !used.starts_with("THREAD"))
    };
    for part in ["call", "task"] {
        let faults = lines_with(&format!("offload-runtime/src/{part}"), asks);
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The lines of a folder that have this, each with its place.
fn lines_with(folder: &str, what: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(folder) {
        let lines = text.lines().zip(1..).filter(|(line, _)| what(line));
        found.extend(lines.map(|(line, number)| format!("{}:{number}:{line}", path.display())));
    }
    found
}

/// It counts, releases and wakes. The end is counted in one place alone.
#[test]
fn each_call_ends_by_the_same_function() {
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../offload-runtime/src/task/completion.rs"),
    );
    let text = text.unwrap();
    let complete = text.split("\nfn complete(").nth(1).unwrap().split("\n}\n").next().unwrap();
    for what in [".set_ended()", "state.finish()"] {
        let mut ends = lines_with("offload-runtime/src", |line| line.contains(what));
        ends.retain(|end| !end.contains("models") && !end.contains("tests.rs"));
        assert_eq!(ends.len(), 1, "calls end by `complete` alone: {ends:#?}");
        assert!(complete.contains(what), "{ends:#?}");
    }
}

/// The flag that this line declares in a type, or for all of the program.
fn flag_of(line: &str) -> Option<&str> {
    let (name, of) = line.trim().split_once(": ")?;
    let of = of.trim_end_matches(';').trim_end_matches(',');
    let is_flag = ["AtomicBool", "StdAtomicBool"].contains(&of) || of.starts_with("AtomicBool = ");
    is_flag.then(|| name.rsplit(' ').next().unwrap_or(name))
}

/// Flags that are never cleared.
fn flags_that_stay(text: &str) -> Vec<&str> {
    let is_cleared = |flag: &&str| {
        ["store", "swap"].iter().any(|call| text.contains(&format!("{flag}.{call}(false")))
    };
    text.lines().filter_map(flag_of).filter(|flag| !is_cleared(flag)).collect()
}

/// Nobody pays for an option that another call had: pools, functions and gates are then as they were.
#[test]
fn no_flag_stays_with_a_pool_once_a_call_had_an_option() {
    let text = "a: AtomicBool,\nstatic B: AtomicBool = AtomicBool::new(false);\n\
                pub(super) c: StdAtomicBool,\nd: AtomicU64,\nx.c.store(false, SeqCst);";
    assert_eq!(flags_that_stay(text), ["a", "B"]);

    // That something is in a list, from its first call on; and a shutdown.
    let stay = ["is_known", "known", "CLOSED"];
    let shared = ["function.rs", "gate", "limiter.rs", "executor/mod.rs", "executor/intake.rs"];
    let threads = [
        "executor/threads/mod.rs",
        "pool.rs",
        "growth.rs",
        "sleep.rs",
        "worker.rs",
        "sync/semaphore",
    ];
    let places: Vec<_> = shared.into_iter().chain(threads).collect();
    let mut all = String::new();
    for (path, text) in sources("offload-runtime/src") {
        let place = path.to_string_lossy().replace('\\', "/");
        if places.iter().any(|part| place.contains(part)) && !place.contains("models") {
            all.push_str(text.split("\nmod models {").next().unwrap_or_default());
        }
    }
    let flags = all.lines().filter_map(flag_of).count();
    assert!(flags >= 8, "only {flags} flags were found");
    let mut set_for_good = flags_that_stay(&all);
    set_for_good.retain(|flag| !stay.contains(flag));
    assert!(set_for_good.is_empty(), "no call clears them: {set_for_good:?}");
}

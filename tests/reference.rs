//! The docs of each public item: that its first sentence begins with what it is, or with what it does; and that
//! errors, panics, units and what is dropped early have their places.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprLit, Fields, FnArg, ImplItem, Item, Lit, Meta, Pat, ReturnType, Signature,
    TraitItem, Type, UseTree, Visibility,
};

use super::read;

const SOURCE: &str = "offload-runtime/src";

/// The modules whose names are public: all that they define or bring is.
const MODULES: [&str; 4] = ["lib.rs", "observe/axum.rs", "api/remote.rs", "api/bounds.rs"];

/// A sentence that begins like this says when, how or of what before it says what.
const NO_BEGINNINGS: [&str; 22] = [
    "Also", "And", "As", "But", "Each", "From", "If", "In", "It", "Like", "Nobody", "On", "See",
    "So", "That", "There", "They", "This", "When", "Where", "With", "Without",
];

/// A public item, as it is documented.
struct Documented {
    name: String,
    docs: Vec<String>,
    /// What is there of a function.
    function: Option<Function>,
    /// What is there of a field.
    type_: Option<String>,
}

struct Function {
    is_async: bool,
    result: String,
    /// The names of its numbers.
    numbers: Vec<String>,
    /// It asserts something itself.
    asserts: bool,
}

impl Documented {
    fn has(&self, heading: &str) -> bool {
        self.docs.iter().any(|line| line == heading)
    }

    /// What is wrong with its docs.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: &str| faults.push(format!("{}: {what}", self.name));
        let text = self.docs.join(" ");
        let first = text.split_whitespace().next().unwrap_or_default();
        let begins = first.trim_end_matches([',', ':', '.']);
        if begins.is_empty() {
            fault("no docs");
        } else if NO_BEGINNINGS.contains(&begins) || begins.starts_with(char::is_lowercase) {
            fault(&format!("its docs begin with `{begins}`"));
        }
        if self.type_.as_ref().is_some_and(|type_| type_.contains("f64"))
            && !text.contains("from 0 to 1")
        {
            fault("a number without a unit");
        }
        let Some(function) = &self.function else { return faults };
        let gives = |name: &str| {
            function.result.split(|c: char| !c.is_alphanumeric()).any(|word| word == name)
        };
        let is_call =
            function.is_async || ["Call", "Started", "Future", "Stream"].into_iter().any(gives);
        // A `Call` that is given one back was documented where it was made.
        if is_call && !self.name.starts_with("Call::") && !self.has("# Cancel safety") {
            fault("nothing is said of what becomes of it when it is dropped early");
        }
        if function.result.starts_with("Result") && !self.has("# Errors") {
            fault("nothing is said of its errors");
        }
        if function.asserts && !self.has("# Panics") {
            fault("nothing is said of its panics");
        }
        for number in &function.numbers {
            if !text.contains(number.trim_end_matches('s')) {
                fault(&format!("`{number}` is a number of what?"));
            }
        }
        faults
    }
}

/// The lines of its doc comments. A text from elsewhere is one line.
fn docs(attributes: &[Attribute]) -> Vec<String> {
    let docs = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => Some(&doc.value),
        _ => None,
    });
    docs.map(|value| match value {
        Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => line.value().trim().to_owned(),
        other => format!("`{}`", other.to_token_stream()),
    })
    .collect()
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let texts = attributes.iter().map(|attribute| attribute.meta.to_token_stream().to_string());
    texts.into_iter().any(|text| {
        text == "doc (hidden)" || text.contains("cfg (test") || text.contains("cfg (all (test")
    })
}

fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

fn function(signature: &Signature, body: &str) -> Function {
    let is_number = |type_: &Type| ["usize", "u64", "u32"].contains(&text(type_).as_str());
    let numbers = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) if is_number(&argument.ty) => match &*argument.pat {
            Pat::Ident(name) => Some(name.ident.to_string()),
            _ => None,
        },
        _ => None,
    });
    Function {
        is_async: signature.asyncness.is_some(),
        result: match &signature.output {
            ReturnType::Default => String::new(),
            ReturnType::Type(_, type_) => text(type_),
        },
        numbers: numbers.collect(),
        asserts: ["assert !", "assert_eq !", "panic !"].iter().any(|words| body.contains(words)),
    }
}

/// The names that a `use` brings.
fn brought(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => brought(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| brought(tree, names)),
        UseTree::Name(name) => names.extend([name.ident.to_string()]),
        UseTree::Rename(rename) => names.extend([rename.rename.to_string()]),
        UseTree::Glob(_) => panic!("a public name is named"),
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn items(text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap().items
}

/// The names that users can name.
fn public_names(modules: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in modules.iter().flat_map(|text| items(text)) {
        match item {
            Item::Use(item) if is_public(&item.vis) => brought(&item.tree, &mut names),
            Item::Enum(item) if is_public(&item.vis) => names.extend([item.ident.to_string()]),
            Item::Fn(item) if is_public(&item.vis) => names.extend([item.sig.ident.to_string()]),
            Item::Struct(item) if is_public(&item.vis) => names.extend([item.ident.to_string()]),
            Item::Trait(item) if is_public(&item.vis) => names.extend([item.ident.to_string()]),
            Item::Type(item) if is_public(&item.vis) => names.extend([item.ident.to_string()]),
            _ => {}
        }
    }
    names
}

/// What of a file is public, by these names.
fn documented(file: &str, names: &BTreeSet<String>) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut add = |name: String, attributes: &[Attribute], function, type_| {
        if !is_hidden(attributes) {
            found.push(Documented { name, docs: docs(attributes), function, type_ });
        }
    };
    let named = |ident: &syn::Ident| names.contains(&ident.to_string());
    let is_ours =
        |ident: &syn::Ident, visibility: &Visibility| is_public(visibility) && named(ident);
    for item in items(file) {
        match &item {
            Item::Enum(item) if is_ours(&item.ident, &item.vis) => {
                add(item.ident.to_string(), &item.attrs, None, None);
                for one in &item.variants {
                    add(format!("{}::{}", item.ident, one.ident), &one.attrs, None, None);
                }
            }
            Item::Fn(item) if is_ours(&item.sig.ident, &item.vis) => {
                let about = function(&item.sig, &text(&item.block));
                add(item.sig.ident.to_string(), &item.attrs, Some(about), None);
            }
            Item::Impl(item) if item.trait_.is_none() && !is_hidden(&item.attrs) => {
                let Type::Path(type_) = &*item.self_ty else { continue };
                let owner = &type_.path.segments.last().unwrap().ident;
                if !named(owner) {
                    continue;
                }
                for one in &item.items {
                    if let ImplItem::Fn(one) = one
                        && is_public(&one.vis)
                    {
                        let about = function(&one.sig, &text(&one.block));
                        let name = format!("{owner}::{}", one.sig.ident);
                        add(name, &one.attrs, Some(about), None);
                    }
                }
            }
            Item::Macro(item) => {
                let is_exported = item.attrs.iter().any(|one| one.path().is_ident("macro_export"));
                if let (true, Some(ident)) = (is_exported, &item.ident) {
                    add(format!("{ident}!"), &item.attrs, None, None);
                }
            }
            Item::Static(item) if is_ours(&item.ident, &item.vis) => {
                add(item.ident.to_string(), &item.attrs, None, None);
            }
            Item::Struct(item) if is_ours(&item.ident, &item.vis) => {
                add(item.ident.to_string(), &item.attrs, None, None);
                if let Fields::Named(fields) = &item.fields {
                    for one in fields.named.iter().filter(|one| is_public(&one.vis)) {
                        let name = format!("{}.{}", item.ident, one.ident.as_ref().unwrap());
                        add(name, &one.attrs, None, Some(text(&one.ty)));
                    }
                }
            }
            Item::Trait(item) if is_ours(&item.ident, &item.vis) => {
                add(item.ident.to_string(), &item.attrs, None, None);
                for one in &item.items {
                    let (ident, attributes) = match one {
                        TraitItem::Const(one) => (&one.ident, &one.attrs),
                        TraitItem::Fn(one) => (&one.sig.ident, &one.attrs),
                        TraitItem::Type(one) => (&one.ident, &one.attrs),
                        _ => continue,
                    };
                    // Nobody calls these but expanded code, which knows what comes of them.
                    add(format!("{}::{ident}", item.ident), attributes, None, None);
                }
            }
            Item::Type(item) if is_ours(&item.ident, &item.vis) => {
                add(item.ident.to_string(), &item.attrs, None, None);
            }
            _ => {}
        }
    }
    found
}

fn files(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, texts);
        } else if path.extension().is_some_and(|one| one == "rs") && !path.ends_with("__private.rs")
        {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_public_item_says_what_it_is_its_units_its_errors_its_panics_and_what_dropping_does() {
    let names = public_names(&MODULES.map(|module| read(&format!("{SOURCE}/{module}"))));
    let mut texts = Vec::new();
    files(&super::root().join(SOURCE), &mut texts);
    let all: Vec<_> = texts.iter().flat_map(|text| documented(text, &names)).collect();
    assert!(all.len() > 250, "only {} items", all.len());
    let known: BTreeSet<_> = all.iter().map(|one| one.name.as_str()).collect();
    for name in
        ["shutdown", "CpuPool::close", "FunctionStats.starved", "Doing::Starved", "test_worker!"]
    {
        assert!(known.contains(name), "{name} is not found");
    }
    let faults: Vec<_> = all.iter().flat_map(Documented::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_missing_in_docs_is_found() {
    let names = ["Pool", "Share"].map(str::to_owned).into();
    let faults = |file: &str| -> Vec<String> {
        documented(file, &names).iter().flat_map(Documented::faults).collect()
    };
    let method = |docs: &str, rest: &str| {
        faults(&format!("/// A pool.\npub struct Pool;\nimpl Pool {{ {docs}\n pub {rest} }}"))
    };
    assert_eq!(faults("/// A pool.\npub struct Pool;"), [] as [&str; 0]);
    assert_eq!(faults("pub struct Pool;"), ["Pool: no docs"]);
    assert_eq!(faults("/// As a lake.\npub struct Pool;"), ["Pool: its docs begin with `As`"]);
    assert_eq!(faults("struct Pool;"), [] as [&str; 0]);
    assert_eq!(method("/// Closes it.", "fn close(&self) {}"), [] as [&str; 0]);
    assert_eq!(method("/// Closes it.", "async fn close(&self) {}").len(), 1);
    assert_eq!(method("/// Runs it.", "fn run(&self) -> Call<(), u8> { todo() }").len(), 1);
    assert_eq!(
        method(
            "/// Runs it.\n/// # Cancel safety\n/// Yes.",
            "fn run(&self) -> Call<(), u8> { todo() }"
        )
        .len(),
        0
    );
    assert_eq!(method("/// Opens it.", "fn open(&self) -> Result<(), Error> { Ok(()) }").len(), 1);
    assert_eq!(method("/// A pool.", "fn new(size: usize) { assert!(size > 0) }").len(), 2);
    assert_eq!(
        method(
            "/// A pool of this size.\n/// # Panics\n/// At 0.",
            "fn new(size: usize) { assert!(size > 0) }"
        )
        .len(),
        0
    );
    assert_eq!(faults("/// A share.\npub struct Share { /// How much.\n pub part: f64 }").len(), 1);
}

//! The expansion as a reader would see it, one file a case in `snapshots/`.
//!
//! `SNAPSHOTS=overwrite cargo test -p offload-macros` writes them anew.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, LineColumn, TokenStream, TokenTree};

use crate::function::column::Column;
use crate::{caught, expand_attribute};

/// Expands `#[offload(options)] function`, put into `frame` at the `@`, and
/// compares it with the file of that name.
fn check(name: &str, options: &str, function: &str, frame: &str) {
    let column = if frame == "@" { Column::First } else { Column::Other };
    let output = expand_attribute(options.parse().unwrap(), function.parse().unwrap(), column);
    let output = syn::parse_str(&frame.replace('@', &output.to_string())).unwrap();
    let input = function
        .lines()
        .fold(format!("#[offload({options})]\n"), |text, line| text + line.trim() + "\n");
    let commented: String = input.lines().map(|line| format!("// {line}\n")).collect();
    let snapshot = format!("{commented}\n{}", prettyplease::unparse(&output));
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name).with_extension("rs");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(path, snapshot).unwrap();
    } else {
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == snapshot, "{} differs from the expansion:\n{snapshot}", path.display());
    }
}

#[test]
fn thread() {
    let function = "/// Reads a report.
        pub fn read_report(path: PathBuf) -> io::Result<String> { fs::read_to_string(path) }";
    check("thread", "thread", function, "@");
}

#[test]
fn cpu() {
    let function =
        "pub fn thumb(Path(id): Path<u64>, mut store: Store, _guard: Guard, _: Permit) -> Png {
            store.draw(id)
        }";
    check("cpu", "cpu, name = \"thumb\", crate = my::runtime", function, "@");
}

#[test]
fn options() {
    let function = "fn render(page: Page) -> Result<Png, Error> { page.render() }";
    let options = "cpu, limit = 4, queue = 100, timeout = \"1m30s\", queue_timeout = PATIENCE, pool = REPORTS, detach";
    check("options", options, function, "@");
}

#[test]
fn process() {
    let function = "/// Renders.
        pub fn render(mut document: Document, #[to_owned] title: &str, _: u8) -> Result<Pdf, Error> {
            document.render(title)
        }";
    check("process", "process, timeout = \"2s\", pool = RENDERER", function, "@");
}

#[test]
fn process_with_sync() {
    let function = "fn render(document: Document) -> Result<Pdf, Error> { document.render() }";
    check("process_with_sync", "process, sync = render_sync", function, "@");
}

#[test]
fn process_that_streams() {
    let function = "fn pages(document: Document, out: &mut Sink<Page>) -> Result<(), Error> { document.render(out) }";
    check("process_that_streams", "process, stream = 64, stall_timeout = \"10s\"", function, "@");
}

#[test]
fn process_that_iterates() {
    let function = "fn pages(#[to_owned] path: &Path) -> Result<impl Iterator<Item = Page>, Error> { open(path) }";
    check("process_that_iterates", "process, stream", function, "@");
}

#[test]
fn remote() {
    let function = "fn render(document: Document) -> Result<Pdf, Error> { document.render() }";
    check("remote", "remote, timeout = \"2s\", pool = RENDERER, attempts = 3", function, "@");
}

#[test]
fn main_of_a_worker() {
    let function = "/// Runs.
        async fn main() -> Result<(), Error> { serve().await }";
    let options = quote::quote!(flavor = "current_thread");
    let output = crate::entry::expand(&options, function.parse().unwrap());
    let output = syn::parse2(output).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/main.rs");
    let snapshot = prettyplease::unparse(&output);
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(path, snapshot).unwrap();
    } else {
        assert_eq!(fs::read_to_string(path).unwrap(), snapshot);
    }
}

#[test]
fn to_owned() {
    let function = "fn count(#[to_owned] text: &str, #[to_owned] [first, ..]: &[u8; 2]) -> usize {
            text.len() + usize::from(*first)
        }";
    check("to_owned", "thread", function, "@");
}

#[test]
fn sync() {
    let function = "/// Fills.
        #[must_use]
        #[expect(clippy::needless_pass_by_value)]
        #[instrument]
        pub fn fill<T: Clone + Send + 'static, const N: usize>(mut value: T, #[to_owned] name: &str) -> [T; N] {
            todo!()
        }";
    check("sync", "cpu, sync = fill_sync", function, "@");
}

#[test]
fn spawn() {
    let function = "/// Removes.
        #[must_use]
        pub fn remove<P: AsRef<Path> + Send + 'static>(path: P, #[to_owned] name: &str) -> io::Result<()> {
            fs::remove_file(path.as_ref().join(name))
        }";
    check("spawn", "thread, spawn = remove_soon", function, "@");
}

#[test]
fn spawn_of_a_method() {
    let function =
        "fn squares(self, n: u64) -> impl Iterator<Item = u64> { (self.0..n).map(|n| n * n) }";
    check("spawn_of_a_method", "cpu, spawn = squares_soon", function, "impl Numbers { @ }");
}

#[test]
fn spawn_of_a_process() {
    let function = "fn render(document: Document) -> Result<Pdf, Error> { document.render() }";
    check("spawn_of_a_process", "process, spawn = render_soon", function, "@");
}

#[test]
fn method() {
    let function = "fn grow(mut self, by: u32) -> Self { self.size += by; self }";
    check("method", "cpu", function, "impl Tree { @ }");
}

#[test]
fn method_of_a_clone() {
    let function = "fn find(#[to_owned] &self, name: String) -> Option<u32> {
            self.index.get(&name).copied().or_else(|| lookup!(self, name))
        }";
    check("method_of_a_clone", "cpu", function, "impl Tree { @ }");
}

#[test]
fn resource() {
    let function = "pub fn load(id: u64, #[resource(DB)] db: &mut Connection, #[resource(app::RULES)] rules: &Rules) -> Result<Row, Error> {
            rules.apply(db.load(id)?)
        }";
    check("resource", "thread", function, "@");
}

#[test]
fn resource_of_a_method() {
    let function = "fn load(#[to_owned] &self, #[resource(DB)] mut db: &mut Connection) -> Row {
            db.load(self.id)
        }";
    check("resource_of_a_method", "thread", function, "impl Loader { @ }");
}

#[test]
fn resource_of_a_process() {
    let function =
        "fn ask(#[resource(MODEL)] model: &mut Model, question: String) -> Result<String, Error> {
            model.answer(question)
        }";
    check("resource_of_a_process", "process", function, "@");
}

#[test]
fn without_names() {
    let function = "fn map(values: impl Iterator<Item = u32> + Send + 'static) -> Result<impl Fn() -> u32, Empty> {
            let first = values.next().ok_or(Empty)?;
            Ok(move || first)
        }";
    check("without_names", "cpu", function, "@");
}

#[test]
fn refused() {
    let function =
        "pub fn read_report(path: &Path) -> String { fs::read_to_string(path).unwrap() }";
    check("refused", "thread, tiemout = \"1s\"", function, "@");
}

#[test]
fn half_written() {
    // In an editor, the function is there before its body is.
    check("half_written", "thread", "pub fn read_report(path: PathBuf) -> String", "@");
}

#[test]
fn a_body_that_does_not_parse_is_left_to_the_compiler() {
    // As an editor gives it: brackets are closed.
    const BODIES: [&str; 8] = [
        "let text = path. ; text",
        "let text =",
        "let text = path.text()\n let other = 1;",
        "match path { Some(path) => }",
        "if path.exists() {} else",
        "path.join(,)",
        "path. let",
        "fn inner()",
    ];
    for body in BODIES {
        for (options, written, promised) in [
            (
                "thread",
                "pub fn read(path: PathBuf) -> String",
                "pub async fn read (path : PathBuf) -> String",
            ),
            ("cpu, sync = read_sync", "fn read(path: PathBuf)", "async fn read (path : PathBuf)"),
            (
                "cpu, spawn = read_soon",
                "fn read(self, path: PathBuf)",
                "async fn read (self , path : PathBuf)",
            ),
            (
                "thread, stream",
                "fn read(path: PathBuf) -> impl Iterator<Item = u8>",
                "Stream < Item = u8 >",
            ),
            (
                "process",
                "fn read(path: PathBuf) -> Result<(), Error>",
                "async fn read (path : PathBuf) -> Result < () , Error >",
            ),
        ] {
            let function = format!("{written} {{ {body} }}");
            let output = expand_attribute(
                options.parse().unwrap(),
                function.parse().unwrap(),
                Column::First,
            );
            let output = output.to_string();
            assert!(output.contains(promised), "{function}: {output}");
            assert!(!output.contains("compile_error"), "{function}: {output}");
            let body: TokenStream = body.parse().unwrap();
            assert!(output.contains(&body.to_string()), "{function}: {output}");
        }
    }
}

#[test]
fn static_where_the_job_needs_it() {
    let function = "pub fn load<T: Send, U>(self, keys: Vec<T>, table: Table<U>, write: impl FnMut(T) + Send) -> T::Row where U: Send {
            self.0.load(keys, table, write)
        }";
    check("static", "thread", function, "impl<W: Send> Loader<W> { @ }");
}

#[test]
fn a_panic_of_the_attribute_is_an_error_and_leaves_the_function() {
    let function: TokenStream = "fn kept(x: u8) -> u8 { x }".parse().unwrap();
    let output = caught(|| panic!("a mistake of ours"), function.clone()).to_string();
    assert!(output.contains("compile_error") && output.contains("please report it"), "{output}");
    assert!(output.ends_with(&function.to_string()), "{output}");
}

/// What is said of bodies is the same for both, as long as this is.
#[test]
fn a_function_is_expanded_in_the_same_way_for_both_kinds_of_threads() {
    let functions = [
        "fn read(path: PathBuf) -> String { path.text() }",
        "pub fn count(#[to_owned] &self, (a, b): (u8, u8)) -> impl Fn() -> u8 { move || self.0 + a + b }",
        "fn made(self, out: &mut Sink<T>) -> Result<(), Self::Error> { out.send(self.0) }",
    ];
    for (function, options) in
        functions.into_iter().zip(["", "limit = 4, timeout = \"1s\"", "stream"])
    {
        let [thread, cpu] = ["thread", "cpu"].map(|kind| {
            let options = format!("{kind}, {options}").parse().unwrap();
            let expanded = expand_attribute(options, function.parse().unwrap(), Column::Other);
            expanded.to_string()
        });
        assert!(thread.contains(":: thread (") && thread.contains(":: THREAD"), "{thread}");
        let renamed = thread.replace(":: thread (", ":: cpu (").replace(":: THREAD", ":: CPU");
        assert_eq!(renamed, cpu);
    }
}

/// An editor goes from them to what they name, and the compiler points at them.
#[test]
fn names_types_and_self_stand_where_the_user_wrote_them() {
    let functions = [
        (
            "thread",
            "pub fn load(self, key: Key, (first, other): (Word, Word)) -> Row { self.load_all(key, first, other) }",
        ),
        (
            "cpu",
            "fn load<T: Send>(#[to_owned] &self, #[to_owned] key: &Key, first: T) -> Row { self.load(self, key, first) }",
        ),
        (
            "cpu, sync = load_now, spawn = load_soon",
            "fn load(self: Arc<Self>, key: Key) -> Row { self.load(key) }",
        ),
        (
            "thread, stream",
            "fn load(key: Key, out: &mut Sink<Row>) -> Result<(), Error> { out.send(key) }",
        ),
        (
            "process",
            "fn load(key: Key, #[to_owned] first: &Word) -> Result<Row, Error> { key.row(first) }",
        ),
    ];
    for (options, function) in functions {
        let written = places(function.parse().unwrap());
        let expanded =
            expand_attribute(options.parse().unwrap(), function.parse().unwrap(), Column::Other);
        let expanded = places(expanded);
        for word in ["load", "self", "key", "first", "Key", "Word", "Row", "T", "Arc"] {
            let of = |word: &str, places: &[(String, LineColumn)]| -> Vec<LineColumn> {
                let all = places.iter().filter(|(other, _)| other == word);
                all.map(|(_, place)| *place).collect()
            };
            let user = of(word, &written);
            // The copy of what is borrowed stands where `self` does.
            let found = [of(word, &expanded), of(&format!("{word}_"), &expanded)].concat();
            assert_eq!(found.is_empty(), user.is_empty(), "{word}: {function}");
            for place in found {
                assert!(
                    user.contains(&place),
                    "{word} is at {place:?} and not {user:?}: {function}"
                );
            }
        }
    }
}

/// Every word, and where it stands.
fn places(tokens: TokenStream) -> Vec<(String, LineColumn)> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(word) => vec![(word.to_string(), word.span().start())],
            TokenTree::Group(group) => places(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

/// So it is accepted in a block with parameters, too.
#[test]
fn where_no_columns_are_told_a_body_that_may_name_parameters_is_no_function_of_its_own() {
    let function = "fn rows(count: usize) -> Vec<T> { make::<T>(count) }";
    for (column, is_function) in
        [(Column::First, true), (Column::Other, false), (Column::Unknown, false)]
    {
        let expanded = expand_attribute("cpu".parse().unwrap(), function.parse().unwrap(), column);
        assert_eq!(expanded.to_string().contains("fn __body"), is_function);
    }
}

/// As a macro by example makes them of its `$ty:ty`.
#[test]
fn types_in_groups_that_nobody_sees_are_read_like_any_other() {
    let cases = [
        ("process", "fn f() -> Result<Option<", "Option<u8>", ">, Error>", "as the same"),
        ("process", "fn f() -> Result<Vec<Option<", "()", ">>, Error>", "as the same"),
        ("thread, stream", "fn f() -> Result<", "Vec<u8>", ", Error>", "is no iterator"),
        ("thread, stream", "fn f() -> Vec<", "&u8", ">", "is no iterator"),
        ("thread", "fn f() -> Option<", "&Path", ">", "return `Option<PathBuf>`"),
    ];
    for (options, before, ty, after, message) in cases {
        let mut function: TokenStream = before.parse().unwrap();
        let group = Group::new(Delimiter::None, ty.parse().unwrap());
        function.extend([TokenTree::Group(group)]);
        function.extend(format!("{after} {{ todo!() }}").parse::<TokenStream>().unwrap());
        let expanded = expand_attribute(options.parse().unwrap(), function, Column::First);
        assert!(expanded.to_string().contains(message), "{before}{ty}{after}: {expanded}");
    }
}

//! Attribute tokens → [`Options`]. First step of an expansion; what an option
//! means for the function below is not known here.

pub(crate) mod duration;
mod names;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::token::Paren;
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token};

use crate::errors::Errors;

/// Where the body runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Thread,
    Cpu,
    Process,
    Remote,
}

/// The value of an option, and the key it was given under.
pub(crate) struct Given<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

/// `thumb_sync`, or `Self::thumb_sync`.
pub(crate) struct Sync {
    pub(crate) qualifier: Option<(Token![Self], Token![::])>,
    pub(crate) ident: Ident,
}

/// What stands between the parentheses of `#[offload(…)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) kind: Option<Given<Kind>>,
    pub(crate) limit: Option<Given<Expr>>,
    pub(crate) queue: Option<Given<Expr>>,
    pub(crate) timeout: Option<Given<Expr>>,
    pub(crate) queue_timeout: Option<Given<Expr>>,
    pub(crate) pool: Option<Given<Path>>,
    pub(crate) name: Option<Given<LitStr>>,
    pub(crate) sync: Option<Given<Sync>>,
    /// The function that starts a call at once.
    pub(crate) spawn: Option<Given<Sync>>,
    pub(crate) panic: Option<Given<LitStr>>,
    pub(crate) detach: Option<Given<()>>,
    /// How many items are made ahead, if that is said.
    pub(crate) stream: Option<Given<Option<Expr>>>,
    pub(crate) stall_timeout: Option<Given<Expr>>,
    pub(crate) attempts: Option<Given<Expr>>,
    pub(crate) runtime: Option<Given<Path>>,
}

impl Options {
    /// The body runs in another process, here or on another machine.
    pub(crate) fn is_process(&self) -> bool {
        let elsewhere = [Kind::Process, Kind::Remote];
        self.kind.as_ref().is_some_and(|kind| elsewhere.contains(&kind.value))
    }

    /// The word `remote`, if that is the kind.
    pub(crate) fn remote(&self) -> Option<&Ident> {
        self.kind.as_ref().filter(|kind| kind.value == Kind::Remote).map(|kind| &kind.key)
    }

    /// The options by which the offload itself can fail, in the order of the docs.
    pub(crate) fn fallible(&self) -> impl Iterator<Item = &Ident> {
        [&self.queue, &self.timeout, &self.queue_timeout, &self.stall_timeout]
            .into_iter()
            .flatten()
            .map(|given| &given.key)
            .chain(self.panic.iter().map(|given| &given.key))
    }
}

/// The expression in the groups that nobody sees, which `$value:expr` and `$value:literal` of a
/// macro by example have around them.
pub(crate) fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

/// Reads every option that can be read: those of a faulty attribute are wanted
/// too, for the stub.
pub(crate) fn parse(tokens: TokenStream) -> (Options, Errors) {
    let mut options = Options::default();
    let mut errors = Errors::default();
    let read = |input: ParseStream| {
        while !input.is_empty() {
            if let Err(error) = parse_one(input, &mut options) {
                errors.push(error);
                skip_to_comma(input);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    // The closure leaves no token behind and fails only where a comma is missing.
    if let Err(error) = read.parse2(tokens) {
        errors.push(error);
    }
    if options.kind.is_none() && errors.is_empty() {
        errors.at_attribute(
            "say where the body runs: `#[offload(thread)]` if it waits (files, locks, drivers), \
             `#[offload(cpu)]` if it computes, `#[offload(process)]` if it may crash or never end, \
             `#[offload(remote)]` if other machines do it",
        );
    }
    (options, errors)
}

fn skip_to_comma(input: ParseStream) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _: Result<TokenTree> = input.parse();
    }
}

fn parse_one(input: ParseStream, options: &mut Options) -> Result<()> {
    if !input.peek(Ident::peek_any) {
        let what = "expected a kind (`thread`, `cpu`, `process`, `remote`) or an option, such as \
                    `name = \"thumb\"`";
        return Err(input.error(what));
    }
    let key = input.call(Ident::parse_any)?;
    match key.to_string().as_str() {
        "thread" => kind(input, key, Kind::Thread, &mut options.kind),
        "cpu" => kind(input, key, Kind::Cpu, &mut options.kind),
        "process" => {
            has(&key, cfg!(feature = "process"))?;
            kind(input, key, Kind::Process, &mut options.kind)
        }
        "remote" => {
            has(&key, cfg!(feature = "remote"))?;
            kind(input, key, Kind::Remote, &mut options.kind)
        }
        "limit" => set(input, key, &mut options.limit),
        "queue" => set(input, key, &mut options.queue),
        "timeout" => set(input, key, &mut options.timeout),
        "queue_timeout" => set(input, key, &mut options.queue_timeout),
        "pool" => set_path(input, key, &mut options.pool),
        "name" => set(input, key, &mut options.name),
        "sync" => set(input, key, &mut options.sync),
        "spawn" => set(input, key, &mut options.spawn),
        "panic" => set(input, key, &mut options.panic),
        "detach" => flag(input, key, &mut options.detach),
        "stream" if !input.peek(Token![=]) => {
            no_value(input, &key)?;
            store(key, None, &mut options.stream)
        }
        "stream" => set_with(input, key, &mut options.stream, |input| input.parse().map(Some)),
        "stall_timeout" => set(input, key, &mut options.stall_timeout),
        "attempts" => set(input, key, &mut options.attempts),
        "crate" => set_path(input, key, &mut options.runtime),
        _ => Err(names::unknown(&key)),
    }
}

fn kind(input: ParseStream, key: Ident, kind: Kind, slot: &mut Option<Given<Kind>>) -> Result<()> {
    no_value(input, &key)?;
    match slot {
        Some(first) if first.value == kind => Err(repeated(&key)),
        Some(first) => {
            let message = format!(
                "a function has one kind, and this one is `{}` already: keep `thread` if it waits, \
                 `cpu` if it computes, `process` if it may crash or never end, `remote` if other \
                 machines do it",
                first.key
            );
            Err(Error::new(key.span(), message))
        }
        None => {
            *slot = Some(Given { key, value: kind });
            Ok(())
        }
    }
}

/// A runtime without the feature has nothing that the expansion could name.
fn has(key: &Ident, is_on: bool) -> Result<()> {
    if is_on {
        return Ok(());
    }
    let message = format!(
        "`{key}` needs the feature `{key}` of offload-runtime: write `offload-runtime = {{ version \
         = \"{}\", features = [\"{key}\"] }}` in Cargo.toml",
        env!("CARGO_PKG_VERSION"),
    );
    Err(Error::new(key.span(), message))
}

fn flag(input: ParseStream, key: Ident, slot: &mut Option<Given<()>>) -> Result<()> {
    no_value(input, &key)?;
    store(key, (), slot)
}

fn set<T: Parse>(input: ParseStream, key: Ident, slot: &mut Option<Given<T>>) -> Result<()> {
    set_with(input, key, slot, T::parse)
}

fn set_path(input: ParseStream, key: Ident, slot: &mut Option<Given<Path>>) -> Result<()> {
    set_with(input, key, slot, Path::parse_mod_style)
}

fn set_with<T>(
    input: ParseStream,
    key: Ident,
    slot: &mut Option<Given<T>>,
    parse: fn(ParseStream) -> Result<T>,
) -> Result<()> {
    if !input.peek(Token![=]) {
        let message = format!("`{key}` takes a value: `{}`", names::example(&key));
        return Err(Error::new(key.span(), message));
    }
    input.parse::<Token![=]>()?;
    let start = input.span();
    let value = parse(input);
    // What follows a value that was read to its end is a comma; otherwise the
    // value was something else that only begins like one (`crate = "a"`).
    match value {
        Ok(value) if input.is_empty() || input.peek(Token![,]) => store(key, value, slot),
        _ => {
            let start = if input.is_empty() { key.span() } else { start };
            let message = format!("`{key}` is written like this: `{}`", names::example(&key));
            Err(Error::new(start, message))
        }
    }
}

fn store<T>(key: Ident, value: T, slot: &mut Option<Given<T>>) -> Result<()> {
    if slot.is_some() {
        return Err(repeated(&key));
    }
    *slot = Some(Given { key, value });
    Ok(())
}

impl Parse for Sync {
    fn parse(input: ParseStream) -> Result<Sync> {
        let qualifier =
            if input.peek(Token![Self]) { Some((input.parse()?, input.parse()?)) } else { None };
        Ok(Sync { qualifier, ident: input.parse()? })
    }
}

fn no_value(input: ParseStream, key: &Ident) -> Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    if input.peek(Token![=]) || input.peek(Paren) {
        let message = format!("`{key}` takes no value: write only `{key}`");
        return Err(Error::new(key.span(), message));
    }
    Err(input.error(format_args!("expected a comma between `{key}` and this")))
}

fn repeated(key: &Ident) -> Error {
    Error::new(key.span(), format!("`{key}` is given twice: keep one of them"))
}

//! Item tokens → [`Function`]: the parts of a function that the expansion
//! treats each in its own way. The body stays the tokens it was.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    AttrStyle, Attribute, Error, FnArg, Lifetime, Pat, PatType, ReceiverKind, Result, ReturnType,
    Signature, Token, Type, Visibility, parse_quote_spanned,
};

use crate::{borrows, receiver};

/// The function below the attribute.
pub(crate) struct Function {
    /// Those below `#[offload]`, and those inside the body (`#![allow(…)]`).
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// As it was written, except that `#[to_owned]` and `#[resource(…)]` are taken off its arguments.
    pub(crate) signature: Signature,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) body: Body,
    /// Whether the body can be a function inside of a function: it needs nothing of an `impl`
    /// block around it.
    pub(crate) stands_alone: bool,
    /// Whether it begins where a line does: then nothing is around it but a module.
    pub(crate) at_line_start: bool,
}

/// What follows the signature.
pub(crate) enum Body {
    /// `{ … }`
    Block(Group),
    /// `;`, as in a trait; or nothing yet, in an editor.
    Missing(Option<Token![;]>),
}

/// `self`, in any of its forms.
pub(crate) struct Receiver {
    pub(crate) to_owned: Option<Attribute>,
    pub(crate) syntax: syn::Receiver,
    /// The local that is the copy of `self`: what the body calls `self` is called so instead.
    pub(crate) this: Ident,
}

/// An argument other than `self`.
pub(crate) struct Argument {
    pub(crate) to_owned: Option<Attribute>,
    /// Callers do not give it: its body borrows it.
    pub(crate) resource: Option<Attribute>,
    /// Those that decide whether the argument is there at all.
    pub(crate) cfg: Vec<Attribute>,
    /// The others; they belong where the body sees the argument.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    /// What the wrapper calls it.
    pub(crate) name: Ident,
    /// The wrapper's own local for it, which nobody else sees.
    pub(crate) held: Ident,
}

impl Receiver {
    /// What `#[to_owned]` copies: `Self`, or `Arc<Self>` of `self: &Arc<Self>`.
    pub(crate) fn borrowed(&self) -> Type {
        match &self.syntax.kind {
            ReceiverKind::Typed(_, ty) => match &**ty {
                Type::Reference(reference) => (*reference.elem).clone(),
                other => other.clone(),
            },
            _ => parse_quote_spanned!(self.syntax.self_token.span=> Self),
        }
    }

    /// The `&` of `&self` and `&mut self`, and whether there is a `mut`. What is `'static` is lent
    /// by nobody.
    pub(crate) fn reference(&self) -> Option<(&Token![&], bool)> {
        let is_static = |lifetime: &Option<Lifetime>| {
            self.to_owned.is_none()
                && lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
        };
        match &self.syntax.kind {
            ReceiverKind::Reference(_, lifetime, _) if is_static(lifetime) => None,
            ReceiverKind::Reference(and, _, mutability) => Some((and, mutability.is_some())),
            ReceiverKind::Typed(_, ty) => match &**ty {
                Type::Reference(reference) if is_static(&reference.lifetime) => None,
                Type::Reference(reference) => {
                    Some((&reference.and_token, reference.mutability.is_some()))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Argument {
    /// Whether the async function has it, too: neither a resource nor a `Sink`.
    pub(crate) fn is_given(&self) -> bool {
        self.resource.is_none() && !self.is_sink()
    }

    /// `out: &mut Sink<T>`, into which the body of a stream pushes.
    pub(crate) fn is_sink(&self) -> bool {
        matches!(&self.ty, Type::Reference(reference) if reference.mutability.is_some() && is_sink(&reference.elem))
    }

    /// The type behind the `&` of `#[to_owned] name: &str`.
    pub(crate) fn borrowed(&self) -> Option<&Type> {
        match (&self.to_owned, &self.ty) {
            (Some(_), Type::Reference(reference)) => Some(&reference.elem),
            _ => None,
        }
    }

    /// `#[to_owned] name: &impl AsRef<str>`
    pub(crate) fn is_lent_without_name(&self) -> bool {
        self.borrowed().is_some_and(|ty| borrows::infer_impl_trait(ty).1)
    }

    /// Whether the pattern is no more than a name: `x` or `mut x`.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.pattern, Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none())
    }

    /// Whether its name says that it is not used.
    pub(crate) fn is_underscored(&self) -> bool {
        self.name.to_string().starts_with('_')
    }
}

impl Function {
    /// The arguments that callers give.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| argument.is_given())
    }
}

/// `Sink<T>`, wherever it is from.
pub(crate) fn is_sink(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| {
        last.ident == "Sink" && !last.arguments.is_none()
    }))
}

/// Reads a function; the error says what stands there instead. `at_line_start`: it begins where
/// a line does, so that nothing is around it but a module.
pub(crate) fn parse(tokens: TokenStream, at_line_start: bool) -> Result<Function> {
    let parser = |input: ParseStream| {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if let Some(error) = something_else(input) {
            return Err(error);
        }
        let mut signature: Signature = input.parse()?;
        let body = match braces(input) {
            Some(group) => {
                let (inner, block) = block(&group);
                attributes.extend(inner);
                Body::Block(block)
            }
            None if input.is_empty() => Body::Missing(None),
            None => Body::Missing(Some(input.parse()?)),
        };
        if let ReturnType::Type(_, ty) = &mut signature.output {
            ungroup(ty);
        }
        let (receiver, arguments) = split_inputs(&mut signature, &body);
        let stands_alone = receiver.is_none()
            && stands_alone(&attributes, &signature, &arguments, &body, at_line_start);
        Ok(Function {
            attributes,
            visibility,
            signature,
            receiver,
            arguments,
            body,
            stands_alone,
            at_line_start,
        })
    };
    parser.parse2(tokens)
}

/// The braces that come next, also out of a macro by example: `$body:block` has invisible ones around it.
fn braces(input: ParseStream) -> Option<Group> {
    let within = |mut tree: TokenTree| {
        while let TokenTree::Group(group) = &tree {
            match group.delimiter() {
                Delimiter::Brace => return Some(group.clone()),
                Delimiter::None => tree = group.stream().into_iter().next()?,
                _ => return None,
            }
        }
        None
    };
    let found = input.fork().parse().ok().and_then(within)?;
    input.parse::<TokenTree>().ok()?;
    Some(found)
}

/// Whether the body can be a function inside of a function. There it has its own parameters, but
/// neither `Self` nor the parameters of an `impl` block, which nothing here tells from types.
fn stands_alone(
    attributes: &[Attribute],
    signature: &Signature,
    arguments: &[Argument],
    body: &Body,
    at_line_start: bool,
) -> bool {
    let Body::Block(block) = body else { return false };
    let signature = signature.to_token_stream();
    // A function would not have the features for which the wrapper is compiled.
    let has_features =
        attributes.iter().any(|attribute| attribute.path().is_ident("target_feature"));
    // An argument of a call cannot be there or not.
    let has_cfg = arguments.iter().any(|argument| !argument.cfg.is_empty());
    !has_features
        && !has_cfg
        && !mentions(signature.clone(), "Self")
        && !receiver::mentions_own_type(block.stream())
        && (at_line_start
            || !(types_may_name_parameter(signature) || may_name_parameter(block.stream())))
}

/// Names that nobody gives to a parameter: those that are known everywhere.
const PRELUDE: [&str; 27] = [
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Display",
    "Drop",
    "Err",
    "Eq",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Into",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Result",
    "Send",
    "Some",
    "String",
    "Sync",
    "ToString",
    "Vec",
];

/// Whether a word occurs that may be a parameter of an `impl` block: one that begins with a capital,
/// not at the end of a path, and that is not known everywhere.
fn may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, false)
}

/// The same of tokens in which `<` always begins arguments, which a parameter does not have.
pub(crate) fn types_may_name_parameter(tokens: TokenStream) -> bool {
    may_name(tokens, true)
}

fn may_name(tokens: TokenStream, are_types: bool) -> bool {
    // `Variant::A` and `value.A` are none, `x: A` is one.
    let mut before = [' '; 2];
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let is_capital = word.starts_with(|letter: char| letter.is_uppercase());
                let after_path = before == [':', ':'] || before[1] == '.';
                let has_arguments = are_types
                    && matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
                if is_capital && !after_path && !has_arguments && !PRELUDE.contains(&word.as_str())
                {
                    return true;
                }
            }
            TokenTree::Group(group) if may_name(group.stream(), are_types) => return true,
            _ => {}
        }
        let last = match &token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        before = [before[1], last];
    }
    false
}

/// Not a function? Then what is it, at the word that says so.
fn something_else(input: ParseStream) -> Option<Error> {
    let ahead = input.fork();
    if is_closure(&ahead) {
        let message =
            "`#[offload]` belongs on a function: give the closure to `to_thread(…)` or `to_cpu(…)`";
        return Some(Error::new(input.span(), message));
    }
    let words: Vec<Ident> =
        std::iter::from_fn(|| ahead.call(Ident::parse_any).ok()).take(3).collect();
    let first = words.first()?;
    let second = words.get(1).map(Ident::to_string);
    let (what, hint) = match (first.to_string().as_str(), second.as_deref()) {
        // The string of `extern "C" fn` ends the run of words.
        ("fn", _) | ("extern", None) => return None,
        ("const" | "async" | "unsafe" | "extern", Some("fn" | "async" | "unsafe" | "extern")) => {
            return None;
        }
        ("impl", _) | ("unsafe", Some("impl")) => {
            ("an `impl` block", ": put it on the methods inside")
        }
        ("trait", _) | ("unsafe" | "auto", Some("trait")) => (
            "a trait",
            ": put it on the methods of its `impl` blocks, and declare them `async fn` here",
        ),
        ("mod", _) => ("a module", ": put it on the functions inside"),
        ("struct", _) => ("a struct", ""),
        ("enum", _) => ("an enum", ""),
        ("union", _) => ("a union", ""),
        ("type", _) => ("a type alias", ""),
        ("use", _) => ("a `use`", ""),
        ("const", _) => ("a constant", ""),
        ("static", _) => ("a static", ""),
        ("macro_rules", _) => ("a macro", ""),
        ("let", _) => ("a statement", ": for a closure there are `to_thread(…)` and `to_cpu(…)`"),
        _ => ("something else", ""),
    };
    let message = format!("`#[offload]` belongs on a function, this is {what}{hint}");
    Some(Error::new(first.span(), message))
}

/// Whether an expression begins here that can only be a closure.
pub(crate) fn is_closure(input: ParseStream) -> bool {
    input.peek(Token![|]) || input.peek(Token![||]) || input.peek(Token![move])
}

/// `$ty:ty` of a macro by example is in a group that nobody sees: around a whole type it has no
/// meaning.
fn ungroup(ty: &mut Box<Type>) {
    while let Type::Group(group) = &mut **ty {
        *ty = group.elem.clone();
    }
}

/// The block of a body without the attributes inside, and these, written as
/// if they had stood outside.
fn block(group: &Group) -> (Vec<Attribute>, Group) {
    let parser = |input: ParseStream| {
        let mut inner = input.call(Attribute::parse_inner)?;
        for attribute in &mut inner {
            attribute.style = AttrStyle::Outer;
        }
        Ok((inner, input.parse::<TokenStream>()?))
    };
    // What does not parse is for the compiler to report.
    let (inner, statements) =
        parser.parse2(group.stream()).unwrap_or_else(|_| (Vec::new(), group.stream()));
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(group.span());
    (inner, block)
}

fn split_inputs(signature: &mut Signature, body: &Body) -> (Option<Receiver>, Vec<Argument>) {
    let mut words = signature.to_token_stream();
    if let Body::Block(block) = body {
        words.extend(block.stream());
    }
    let mut receiver = None;
    let mut arguments = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        match input {
            FnArg::Receiver(syntax) => {
                let to_owned = take_attribute(&mut syntax.attrs, "to_owned");
                // As near to the word as a local can be called.
                let mut this = Ident::new("self_", syntax.self_token.span);
                while mentions(words.clone(), &this.to_string()) {
                    this = format_ident!("{this}_");
                }
                receiver = Some(Receiver { to_owned, syntax: syntax.clone(), this });
            }
            FnArg::Typed(typed) => {
                ungroup(&mut typed.ty);
                let to_owned = take_attribute(&mut typed.attrs, "to_owned");
                let resource = take_attribute(&mut typed.attrs, "resource");
                let mut argument = argument(index, to_owned, resource, typed.clone());
                // Names that only hygiene tells apart: `$name` and `name` in a macro by example.
                let is_taken =
                    |name: &Ident| arguments.iter().any(|other: &Argument| other.held == *name);
                while is_taken(&argument.held) {
                    argument.held = format_ident!("{}_", argument.held);
                }
                arguments.push(argument);
            }
        }
    }
    (receiver, arguments)
}

fn argument(
    index: usize,
    to_owned: Option<Attribute>,
    resource: Option<Attribute>,
    typed: PatType,
) -> Argument {
    let (cfg, attributes) =
        typed.attrs.into_iter().partition(|attribute| attribute.path().is_ident("cfg"));
    let pattern = *typed.pat;
    let name = match (&pattern, only_binding(&pattern)) {
        // Only the expansion uses it, and no lint shall say so.
        (_, Some(name)) if name.to_string().starts_with('_') => ours_at(&name),
        (_, Some(name)) => name,
        (Pat::Wild(_), None) => format_ident!("_arg{index}", span = Span::mixed_site()),
        (_, None) => format_ident!("arg{index}", span = Span::mixed_site()),
    };
    let held = ours_at(&name);
    Argument { to_owned, resource, cfg, attributes, pattern, ty: *typed.ty, name, held }
}

/// The same name in the same place, seen by the expansion alone.
fn ours_at(name: &Ident) -> Ident {
    let mut name = name.clone();
    name.set_span(Span::mixed_site().located_at(name.span()));
    name
}

/// The one name that a pattern binds, so that `Path(id): Path<u64>` is `id` in
/// the docs of the wrapper.
fn only_binding(pattern: &Pat) -> Option<Ident> {
    let inner: Vec<&Pat> = match pattern {
        Pat::Ident(ident) if ident.subpat.is_none() => return Some(ident.ident.clone()),
        Pat::Paren(paren) => vec![&paren.pat],
        Pat::Reference(reference) => vec![&reference.pat],
        Pat::Tuple(tuple) => tuple.elems.iter().collect(),
        Pat::TupleStruct(tuple) => tuple.elems.iter().collect(),
        Pat::Struct(fields) => fields.fields.iter().map(|field| &*field.pat).collect(),
        _ => return None,
    };
    match *inner {
        [only] => only_binding(only),
        _ => None,
    }
}

fn take_attribute(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let position = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(position))
}

/// Whether `word` occurs in `tokens`, at any depth.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        _ => false,
    })
}

//! Item tokens → [`Function`]. The body stays the tokens it was.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::parse::{ParseStream, Parser};
use syn::visit_mut::{self, VisitMut};
use syn::{
    AttrStyle, Attribute, FnArg, Pat, PatType, Result, Signature, Type, TypeImplTrait,
    TypeTraitObject,
};

use super::column::Column;
use super::{Argument, Body, Function, Receiver, other_items};
use crate::tokens::mentions;
use crate::tokens::parameters::{may_name_parameter, names_lifetime, types_may_name_parameter};
use crate::tokens::receiver;

/// Reads a function, whose attribute begins in `column`; the error says what stands there instead.
pub(crate) fn parse(tokens: TokenStream, column: Column) -> Result<Function> {
    let parser = |input: ParseStream| {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if let Some(error) = other_items::something_else(input) {
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
        Ungroup.visit_signature_mut(&mut signature);
        let (receiver, arguments) = split_inputs(&mut signature, &body);
        let stands_alone =
            receiver.is_none() && stands_alone(&attributes, &signature, &arguments, &body, column);
        Ok(Function {
            attributes,
            visibility,
            signature,
            receiver,
            arguments,
            body,
            stands_alone,
            column,
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
/// neither `Self` nor the parameters of an `impl` block, which nothing here tells from types, nor its lifetimes.
fn stands_alone(
    attributes: &[Attribute],
    signature: &Signature,
    arguments: &[Argument],
    body: &Body,
    column: Column,
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
        && receiver::own_type(block.stream()).is_none()
        && (column == Column::First
            || !(types_may_name_parameter(signature.clone())
                || may_name_parameter(block.stream())
                || names_lifetime(signature)
                || names_lifetime(block.stream())))
}

/// `$ty:ty` of a macro by example is in a group that nobody sees, wherever it stands. It has no meaning but
/// around several bounds: `&$ty` of `dyn Read + Send`.
struct Ungroup;

impl VisitMut for Ungroup {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        while let Type::Group(group) = ty {
            match &*group.elem {
                Type::TraitObject(TypeTraitObject { bounds, .. })
                | Type::ImplTrait(TypeImplTrait { bounds, .. })
                    if bounds.len() > 1 =>
                {
                    break;
                }
                elem => *ty = elem.clone(),
            }
        }
        visit_mut::visit_type_mut(self, ty);
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
    // That an argument has no docs is said where the wrapper has it.
    let attributes = typed.attrs.into_iter().filter(|attribute| !attribute.path().is_ident("doc"));
    let (cfg, attributes) = attributes.partition(|attribute| attribute.path().is_ident("cfg"));
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

//! Unsized types, as far as tokens show.

use proc_macro2::TokenStream;
use syn::visit_mut::VisitMut;
use syn::{Generics, Signature, Type, TypeParamBound, parse_quote};

use super::arguments::{arguments_mut, bounds, last_name};
use super::items::{is_result, is_sink};
use super::known;

/// The first part of a type that has to have a size and has none: the `str` of `str`, `Option<str>` and `(str, u8)`.
pub(crate) fn find(ty: &Type) -> Option<Type> {
    let mut found = None;
    each(&mut ty.clone(), &mut |part| {
        found.get_or_insert_with(|| part.clone());
    });
    found
}

/// Puts each of these parts into the `Box` of the runtime, and tells whether there was any.
pub(crate) fn box_each(ty: &mut Type, runtime: &TokenStream) -> bool {
    let mut found = false;
    each(ty, &mut |part| {
        *part = parse_quote!(#runtime::Box<#part>);
        found = true;
    });
    found
}

/// Whether it is a parameter, or an `impl Trait`, that says of itself `?Sized`.
pub(crate) fn is_maybe(ty: &Type, generics: &Generics) -> bool {
    match known::bare(ty) {
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|ident| bounds(ident, generics).any(is_maybe_bound))
        }
        Type::ImplTrait(opaque) => opaque.bounds.iter().any(is_maybe_bound),
        _ => false,
    }
}

pub(crate) fn is_maybe_bound(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound) if bound.maybe.is_some())
}

/// Replaces each `?Sized` by `Sized`.
pub(crate) fn require_sized(signature: &mut Signature) {
    struct RequireSized;
    impl VisitMut for RequireSized {
        fn visit_type_param_bound_mut(&mut self, bound: &mut TypeParamBound) {
            if is_maybe_bound(bound) {
                *bound = parse_quote!(::core::marker::Sized);
            }
        }
    }
    RequireSized.visit_signature_mut(signature);
}

fn each(ty: &mut Type, act: &mut dyn FnMut(&mut Type)) {
    match ty {
        Type::Slice(slice) => {
            // What it consists of, first.
            each(&mut slice.elem, act);
            act(ty);
        }
        Type::TraitObject(_) => act(ty),
        Type::Path(path) if path.path.is_ident("str") => act(ty),
        Type::Group(group) => each(&mut group.elem, act),
        Type::Paren(paren) => each(&mut paren.elem, act),
        Type::Array(array) => each(&mut array.elem, act),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|elem| each(elem, act)),
        Type::Reference(reference) => each_behind(&mut reference.elem, act),
        Type::Path(_) if has_sized_arguments(ty) => {
            arguments_mut(ty).for_each(|argument| each(argument, act));
        }
        Type::Path(_) if has_pointee(ty) => {
            arguments_mut(ty).for_each(|argument| each_behind(argument, act));
        }
        _ => {}
    }
}

/// The same of what is behind a pointer, and needs no size itself.
fn each_behind(ty: &mut Type, act: &mut dyn FnMut(&mut Type)) {
    match ty {
        Type::TraitObject(_) => {}
        Type::Path(path) if path.path.is_ident("str") => {}
        Type::Slice(slice) => each(&mut slice.elem, act),
        Type::Group(group) => each_behind(&mut group.elem, act),
        Type::Paren(paren) => each_behind(&mut paren.elem, act),
        _ => each(ty, act),
    }
}

fn has_sized_arguments(ty: &Type) -> bool {
    is_one_of(&known::OF_SIZED, ty) || is_result(ty) || is_sink(ty)
}

fn has_pointee(ty: &Type) -> bool {
    is_one_of(&known::OF_UNSIZED, ty)
}

fn is_one_of(names: &[&str], ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && names.contains(&last_name(path).as_str()))
}

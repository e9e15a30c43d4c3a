//! What in a type borrows, and the type without that.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Lifetime, ParenthesizedGenericArguments, TraitBound, Type, TypeFnPtr, TypeImplTrait,
    TypeParamBound, TypeReference, parse_quote,
};

use super::arguments::{arguments, last_name};
use super::known::{bare, is_container};

/// The part of a type that borrows from somebody.
pub(crate) enum Borrow {
    /// `&T`, `&mut T`, with another lifetime than `'static`.
    Reference(TypeReference),
    /// `'a` or `'_` in `Cow<'a, str>`, `dyn Trait + '_`.
    Lifetime(Lifetime),
}

impl ToTokens for Borrow {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Borrow::Reference(reference) => reference.to_tokens(tokens),
            Borrow::Lifetime(lifetime) => lifetime.to_tokens(tokens),
        }
    }
}

/// The first part of `ty` that borrows. `fn(&str) -> &str` does not, nor does
/// `Box<dyn Fn(&str)>`: there a caller will lend something, some time.
pub(crate) fn find(ty: &Type) -> Option<Borrow> {
    let mut finder = Finder(None);
    finder.visit_type_mut(&mut ty.clone());
    finder.0
}

struct Finder(Option<Borrow>);

impl VisitMut for Finder {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if is_for_ever(reference) {
            visit_mut::visit_type_mut(self, &mut reference.elem);
        } else {
            self.0.get_or_insert_with(|| Borrow::Reference(reference.clone()));
        }
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            self.0.get_or_insert_with(|| Borrow::Lifetime(lifetime.clone()));
        }
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }

    fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
        // `for<'a> Tr<'a>` brings its own lifetimes.
        if bound.lifetimes.is_none() {
            visit_mut::visit_trait_bound_mut(self, bound);
        }
    }
}

/// `&'static T`
pub(crate) fn is_for_ever(reference: &TypeReference) -> bool {
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
}

/// The first `&'static str`, `&'static [u8]` or `&'static Path` in a type, or the `&'static` reference around it. `serde` reads each
/// of these by borrowing from its input, which does not live that long. Only references, tuples, arrays, slices and well-known
/// containers are searched: another type may read itself in its own way.
pub(crate) fn static_in_message(ty: &Type) -> Option<TypeReference> {
    fn ends_with(ty: &Type, names: &[&str]) -> bool {
        matches!(ty, Type::Path(path) if names.contains(&last_name(path).as_str()))
    }
    match ty {
        Type::Reference(reference) => {
            let is_read = match bare(&reference.elem) {
                Type::Slice(slice) => ends_with(bare(&slice.elem), &["u8"]),
                lent => ends_with(lent, &["str", "Path"]),
            };
            let inside = static_in_message(&reference.elem);
            let is_whole = is_for_ever(reference) && (is_read || inside.is_some());
            if is_whole { Some(reference.clone()) } else { inside }
        }
        Type::Paren(_) | Type::Group(_) => static_in_message(bare(ty)),
        Type::Array(array) => static_in_message(&array.elem),
        Type::Slice(slice) => static_in_message(&slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(static_in_message),
        Type::Path(path) if is_container(path) => arguments(path).find_map(static_in_message),
        _ => None,
    }
}

/// The type with `&T` in the place of each `&'static T`.
pub(crate) fn without_static(ty: &Type) -> Type {
    struct WithoutStatic;
    impl VisitMut for WithoutStatic {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            reference.lifetime = None;
            visit_mut::visit_type_reference_mut(self, reference);
        }

        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

        fn visit_parenthesized_generic_arguments_mut(
            &mut self,
            _: &mut ParenthesizedGenericArguments,
        ) {
        }
    }
    let mut ty = ty.clone();
    WithoutStatic.visit_type_mut(&mut ty);
    ty
}

/// Whether a type borrows without saying from whom: `&str`, `'_`.
pub(crate) fn elides(ty: &Type) -> bool {
    struct Elides(bool);
    impl VisitMut for Elides {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            self.0 |= reference.lifetime.is_none();
            visit_mut::visit_type_reference_mut(self, reference);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            self.0 |= lifetime.ident == "_";
        }
    }
    let mut elides = Elides(false);
    elides.visit_type_mut(&mut ty.clone());
    elides.0
}

/// The type with the `Box` of the runtime in the place of each reference.
pub(crate) fn boxed(ty: &Type, runtime: &TokenStream) -> Type {
    struct Boxer<'a>(&'a TokenStream);
    impl VisitMut for Boxer<'_> {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            visit_mut::visit_type_mut(self, ty);
            if let Type::Reference(TypeReference { elem, .. }) = ty {
                let runtime = self.0;
                *ty = parse_quote!(#runtime::Box<#elem>);
            }
        }

        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

        fn visit_parenthesized_generic_arguments_mut(
            &mut self,
            _: &mut ParenthesizedGenericArguments,
        ) {
        }
    }
    let mut ty = ty.clone();
    Boxer(runtime).visit_type_mut(&mut ty);
    ty
}

/// The type with `'static` wherever it borrows.
pub(crate) fn lent_for_ever(ty: &Type) -> Type {
    struct ForEver;
    impl VisitMut for ForEver {
        fn visit_type_impl_trait_mut(&mut self, opaque: &mut TypeImplTrait) {
            // `use<'a>`: there is nothing left to capture.
            let is_kept =
                |bound: &TypeParamBound| !matches!(bound, TypeParamBound::PreciseCapture(_));
            opaque.bounds = opaque.bounds.iter().filter(|bound| is_kept(bound)).cloned().collect();
            visit_mut::visit_type_impl_trait_mut(self, opaque);
        }

        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            reference.lifetime = Some(Lifetime::new("'static", reference.and_token.span));
            visit_mut::visit_type_mut(self, &mut reference.elem);
        }

        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }

        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

        fn visit_parenthesized_generic_arguments_mut(
            &mut self,
            _: &mut ParenthesizedGenericArguments,
        ) {
        }

        fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
            if bound.lifetimes.is_none() {
                visit_mut::visit_trait_bound_mut(self, bound);
            }
        }
    }
    let mut ty = ty.clone();
    ForEver.visit_type_mut(&mut ty);
    ty
}

/// Puts another lifetime in the place of each that nobody has declared, and tells whether there was any.
pub(crate) fn redeclare(ty: &mut Type, declared: &[Lifetime], other: &str) -> bool {
    struct Redeclares<'a> {
        declared: &'a [Lifetime],
        other: &'a str,
        found: bool,
    }
    impl VisitMut for Redeclares<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            let is_known = lifetime.ident == "static" || lifetime.ident == "_";
            if !is_known && !self.declared.contains(lifetime) {
                *lifetime = Lifetime::new(self.other, lifetime.span());
                self.found = true;
            }
        }

        fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}

        fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
            if bound.lifetimes.is_none() {
                visit_mut::visit_trait_bound_mut(self, bound);
            }
        }
    }
    let mut redeclares = Redeclares { declared, other, found: false };
    redeclares.visit_type_mut(ty);
    redeclares.found
}

/// Whether the lifetime occurs in the type.
pub(crate) fn mentions_lifetime(ty: &Type, lifetime: &Lifetime) -> bool {
    struct Mentions<'a>(&'a Lifetime, bool);
    impl VisitMut for Mentions<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            self.1 |= lifetime == self.0;
        }
    }
    let mut mentions = Mentions(lifetime, false);
    mentions.visit_type_mut(&mut ty.clone());
    mentions.1
}

/// Says of each `impl Trait` in a type that it borrows nothing.
pub(crate) fn outlive(ty: &mut Type) {
    struct Outlives;
    impl VisitMut for Outlives {
        fn visit_type_impl_trait_mut(&mut self, opaque: &mut TypeImplTrait) {
            opaque.bounds.push(parse_quote!('static));
            visit_mut::visit_type_impl_trait_mut(self, opaque);
        }
    }
    Outlives.visit_type_mut(ty);
}

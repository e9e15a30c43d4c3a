//! Types that make items: an iterator, a `Sink` into which a body pushes, and results of them.

use proc_macro2::TokenStream;
use syn::{AssocType, GenericArgument, PathArguments, Type, TypeParamBound, parse_quote};

use super::arguments::{arguments_mut, first_argument};

/// `Sink<T>`, wherever it is from.
pub(crate) fn is_sink(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| {
        last.ident == "Sink" && !last.arguments.is_none()
    }))
}

/// `T` of `&mut Sink<T>`, or of a `Sink<T>` that is given away.
pub(crate) fn sent(ty: &Type) -> Option<&Type> {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    };
    is_sink(ty).then(|| first_argument(ty))?
}

/// `T` of `impl Iterator<Item = T>`, and of a `Box<dyn Iterator<Item = T>>`.
pub(crate) fn made(ty: &Type) -> Option<Type> {
    let bounds = match ty {
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        Type::Path(_) => return made(first_argument(ty)?),
        _ => return None,
    };
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments
        else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => {
                Some(ty.clone())
            }
            _ => None,
        })
    })
}

/// `Result<…>`, `io::Result<…>`, or what is called so.
pub(crate) fn is_result(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| {
        last.ident.to_string().ends_with("Result")
    })) && first_argument(ty).is_some()
}

/// The result with another type in the place of what comes first in it.
pub(crate) fn with_first_argument(mut ty: Type, first: &TokenStream) -> Option<Type> {
    let place = arguments_mut(&mut ty).next()?;
    *place = parse_quote!(#first);
    Some(ty)
}

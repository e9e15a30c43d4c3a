//! What stands between `<` and `>`: the arguments of a type, and the parameters with their bounds.

use quote::ToTokens;
use syn::{
    GenericArgument, GenericParam, Generics, Ident, PathArguments, Type, TypeParamBound, TypePath,
    WherePredicate,
};

use super::mentions;

/// The name of a type, without the path to it.
pub(crate) fn last_name(path: &TypePath) -> String {
    path.path.segments.last().map_or(String::new(), |segment| segment.ident.to_string())
}

pub(crate) fn first_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    arguments(path).next()
}

/// The types among the arguments of what a path ends with: `A` and `B` of `Table<'a, A, B>`.
pub(crate) fn arguments(path: &TypePath) -> impl Iterator<Item = &Type> {
    let arguments = match path.path.segments.last().map(|last| &last.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The same, to be changed; none of a type that is no path.
pub(crate) fn arguments_mut(ty: &mut Type) -> impl Iterator<Item = &mut Type> {
    let last = match ty {
        Type::Path(path) => path.path.segments.last_mut(),
        _ => None,
    };
    let arguments = last.and_then(|last| match &mut last.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&mut arguments.args),
        _ => None,
    });
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// All bounds of a parameter, wherever they are.
pub(crate) fn bounds<'a>(
    ident: &'a Ident,
    generics: &'a Generics,
) -> impl Iterator<Item = &'a TypeParamBound> {
    let own = generics.type_params().filter(move |parameter| parameter.ident == *ident);
    let clause = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let others = clause.filter_map(move |predicate| match predicate {
        WherePredicate::Type(predicate) if is_of(&predicate.bounded_ty, ident) => {
            Some(&predicate.bounds)
        }
        _ => None,
    });
    own.map(|parameter| &parameter.bounds).chain(others).flatten()
}

pub(crate) fn is_of(ty: &Type, parameter: &Ident) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident(parameter))
}

pub(crate) fn is_static(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Lifetime(lifetime) if lifetime.ident == "static")
}

pub(crate) fn names_parameter(ty: &Type, generics: &Generics) -> bool {
    generics.params.iter().any(|parameter| {
        matches!(parameter, GenericParam::Type(parameter) if mentions(ty.to_token_stream(), &parameter.ident.to_string()))
    })
}

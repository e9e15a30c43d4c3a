//! `impl Trait` in a type: what has no name, and what is known of it all the same.

use syn::visit_mut::{self, VisitMut};
use syn::{GenericArgument, PathArguments, Type, parse_quote};

/// The type with `_` in place of each `impl Trait`.
pub(crate) fn infer_impl_trait(ty: &Type) -> Type {
    let mut ty = ty.clone();
    Replacer(false).visit_type_mut(&mut ty);
    ty
}

/// Whether there is an `impl Trait` in the type.
pub(crate) fn has_impl_trait(ty: &Type) -> bool {
    let mut replacer = Replacer(false);
    replacer.visit_type_mut(&mut ty.clone());
    replacer.0
}

struct Replacer(bool);

impl VisitMut for Replacer {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(_) = ty {
            *ty = parse_quote!(_);
            self.0 = true;
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// A result that cannot be named, as a type.
pub(crate) fn has_no_name(ty: &Type) -> bool {
    matches!(ty, Type::Never(_)) || has_impl_trait(ty)
}

/// Whether the error type of a result, if it has one, is written out: of a `Result<_, impl Tr>`
/// nothing is known before its body is.
pub(crate) fn has_known_error(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(_) | Type::Never(_) => false,
        Type::Group(group) => has_known_error(&group.elem),
        Type::Paren(paren) => has_known_error(&paren.elem),
        Type::Path(path) => {
            let arguments = path.path.segments.last().map(|segment| &segment.arguments);
            match arguments {
                Some(PathArguments::AngleBracketed(arguments)) => {
                    let last = arguments.args.iter().skip(1).last();
                    last.is_none_or(
                        |last| !matches!(last, GenericArgument::Type(ty) if has_impl_trait(ty)),
                    )
                }
                _ => true,
            }
        }
        _ => true,
    }
}

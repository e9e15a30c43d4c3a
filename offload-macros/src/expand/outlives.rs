//! `'static`: what moves to another thread, and what comes back, borrows nothing. Of its type parameters a signature
//! seldom says so, and so the async function asks its callers for it.
//!
//! The compiler is asked whether a type is `Send` at the type, and says there what is wrong. Of lifetimes it
//! thinks last, and of the call as a whole. What is asked for here is what the call needs, of the types that it
//! needs it of: where the function's own bounds say it already, callers notice nothing.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::visit_mut::VisitMut;
use syn::{
    Generics, Lifetime, ReturnType, Signature, Token, Type, TypeImplTrait, TypeParamBound,
    TypePath, Visibility, WherePredicate, parse_quote_spanned,
};

use crate::function::column::Column;
use crate::function::{Argument, Function};
use crate::tokens::arguments::{arguments, bounds, is_of, is_static};
use crate::tokens::items::sent;
use crate::tokens::parameters::outer_parameter;
use crate::tokens::{ends, known, mentions, opaque};

/// `fn f<T: Send>(values: Vec<T>) -> usize` → `fn f<T: Send + 'static>(values: Vec<T>) -> usize`
///
/// A parameter gets the bound. What is made of parameters otherwise, as `T::Owned`, is in the `where` clause
/// itself: what it is made of may be no part of it.
pub(crate) fn ask(function: &Function, signature: &mut Signature) {
    let generics = &mut signature.generics;
    let is_outer_asked = may_ask_of_outer(function);
    if let (Some(receiver), true) = (&function.receiver, is_outer_asked) {
        let itself = Ident::new("Self", receiver.syntax.self_token.span);
        if !receiver.syntax.to_token_stream().to_string().contains("'static") {
            ask_in(&parse_quote_spanned!(itself.span()=> #itself), true, generics);
        }
    }
    for ty in types(function) {
        ask_in(ty, is_outer_asked, generics);
    }
    end(function, signature);
}

/// A signature ends where it was written to end, whatever is asked for besides: lints underline all of it.
fn end(function: &Function, signature: &mut Signature) {
    let Some(clause) = &mut signature.generics.where_clause else { return };
    if !clause.predicates.empty_or_trailing() {
        clause.predicates.push_punct(Token![,](ends(&function.signature).1));
    }
}

/// The same of a type that is not written as such: of what a stream makes.
pub(crate) fn ask_of(ty: &Type, function: &Function, signature: &mut Signature) {
    ask_in(ty, may_ask_of_outer(function), &mut signature.generics);
    end(function, signature);
}

/// The same of an argument `impl Fn() + Send`.
pub(crate) fn ask_of_impl_trait(argument: &Argument, ty: &mut Type) {
    struct Outermost;
    impl VisitMut for Outermost {
        // Not of what is in its bounds.
        fn visit_type_impl_trait_mut(&mut self, opaque: &mut TypeImplTrait) {
            if !opaque.bounds.iter().any(is_static) {
                let end = ends(opaque).1;
                opaque.bounds.push(for_ever(end));
            }
        }
    }
    if argument.to_owned.is_none() {
        Outermost.visit_type_mut(ty);
    }
}

/// Whether the `impl` block around the function may have parameters that are asked about. What is private may be
/// a method of a trait, which the trait would have to ask for.
fn may_ask_of_outer(function: &Function) -> bool {
    let is_public = !matches!(function.visibility, Visibility::Inherited);
    is_public
        && (function.receiver.is_some()
            || function.column != Column::First
            || mentions(function.signature.to_token_stream(), "Self"))
}

/// Whether what is asked for may be known anyway, of which the compiler would warn: in a module, a name that looks
/// like that of a parameter is one of a type.
pub(crate) fn may_be_known(function: &Function) -> bool {
    let signature = function.signature.to_token_stream();
    may_ask_of_outer(function)
        && function.receiver.is_none()
        && !mentions(signature.clone(), "Self")
        && outer_parameter(signature).is_some()
}

/// What moves into the job, and what comes out of it.
fn types(function: &Function) -> impl Iterator<Item = &Type> {
    let inputs = function.arguments.iter().filter_map(move |argument| match argument.borrowed() {
        // Of these it is known that the copy has the type of what is borrowed.
        Some(borrowed) => is_its_own_copy(borrowed, function).then_some(borrowed),
        None if argument.is_given() => Some(&argument.ty),
        None => sent(&argument.ty),
    });
    let output = match &function.signature.output {
        ReturnType::Type(_, ty) => Some(&**ty),
        ReturnType::Default => None,
    };
    inputs.chain(output)
}

/// Whether a copy of what is borrowed is made of the same: of a `str` it is not.
fn is_its_own_copy(borrowed: &Type, function: &Function) -> bool {
    match borrowed {
        Type::Slice(_) | Type::Array(_) | Type::Tuple(_) => true,
        Type::Path(path) => match path.path.get_ident() {
            Some(ident) => is_clone(ident, &function.signature.generics),
            None => known::is_container(path),
        },
        _ => false,
    }
}

fn is_clone(parameter: &Ident, generics: &Generics) -> bool {
    bounds(parameter, generics).any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Clone" || last.ident == "Copy"),
        _ => false,
    })
}

fn ask_in(ty: &Type, is_outer_asked: bool, generics: &mut Generics) {
    match ty {
        Type::Group(group) => ask_in(&group.elem, is_outer_asked, generics),
        Type::Paren(paren) => ask_in(&paren.elem, is_outer_asked, generics),
        Type::Array(array) => ask_in(&array.elem, is_outer_asked, generics),
        Type::Slice(slice) => ask_in(&slice.elem, is_outer_asked, generics),
        Type::Tuple(tuple) => {
            tuple.elems.iter().for_each(|ty| ask_in(ty, is_outer_asked, generics));
        }
        // A reference that gets here is `&'static`: others were refused, or are copied.
        Type::Reference(_) => {}
        Type::Path(path) => {
            let parameter = path.path.get_ident().filter(|ident| is_parameter(ident, generics));
            match parameter.cloned() {
                Some(parameter) => ask_of_parameter(&parameter, generics),
                // It is `'static` when its arguments are. To name it a second time would be to say a second
                // time that a lifetime is missing, if it hides one.
                None if has_arguments(path) && !arguments(path).any(is_dyn) => {
                    arguments(path).for_each(|ty| ask_in(ty, is_outer_asked, generics));
                }
                None => ask_of_whole(ty, is_outer_asked, generics),
            }
        }
        ty => ask_of_whole(ty, is_outer_asked, generics),
    }
}

/// `Table<T>`, and not `T::Owned`, `<T as Load>::Table<U>` or `T`.
fn has_arguments(path: &TypePath) -> bool {
    let mut segments = path.path.segments.iter().rev();
    path.qself.is_none()
        && segments.next().is_some_and(|last| !last.arguments.is_none())
        && segments.all(|segment| segment.ident.to_string().starts_with(char::is_lowercase))
}

fn is_dyn(ty: &Type) -> bool {
    matches!(ty, Type::TraitObject(_))
}

fn is_parameter(ident: &Ident, generics: &Generics) -> bool {
    generics.type_params().any(|parameter| parameter.ident == *ident)
}

/// Where its other bounds are: clippy would have them together.
fn ask_of_parameter(ident: &Ident, generics: &mut Generics) {
    if bounds(ident, generics).any(is_static) {
        return;
    }
    let place = ident.span();
    let parameter = generics.type_params().find(|parameter| parameter.ident == *ident);
    let has_bounds = parameter.is_some_and(|parameter| !parameter.bounds.is_empty());
    let mut clause = generics.where_clause.iter_mut().flat_map(|clause| &mut clause.predicates);
    let predicate = clause.find_map(|predicate| match predicate {
        WherePredicate::Type(predicate) if is_of(&predicate.bounded_ty, ident) => Some(predicate),
        _ => None,
    });
    match predicate {
        Some(predicate) if !has_bounds => predicate.bounds.push(for_ever(place)),
        _ => {
            for parameter in
                generics.type_params_mut().filter(|parameter| parameter.ident == *ident)
            {
                parameter.colon_token.get_or_insert(Token![:](place));
                parameter.bounds.push(for_ever(place));
            }
        }
    }
}

/// Of a type that is made of parameters, in ways that are not known.
fn ask_of_whole(ty: &Type, is_outer_asked: bool, generics: &mut Generics) {
    let tokens = ty.to_token_stream();
    let is_open = |ident: &Ident| {
        mentions(tokens.clone(), &ident.to_string()) && !bounds(ident, generics).any(is_static)
    };
    let is_own = generics.type_params().any(|parameter| is_open(&parameter.ident));
    let is_outer = || {
        is_outer_asked
            && (mentions(tokens.clone(), "Self")
                || outer_parameter(tokens.clone())
                    .is_some_and(|ident| !is_parameter(&ident, generics)))
    };
    if !(is_own || is_outer()) || opaque::has_impl_trait(ty) {
        return;
    }
    let place = ends(ty).1;
    let clause = generics.make_where_clause();
    let text = tokens.to_string();
    let same = clause.predicates.iter_mut().find_map(|predicate| match predicate {
        WherePredicate::Type(same) if same.bounded_ty.to_token_stream().to_string() == text => {
            Some(same)
        }
        _ => None,
    });
    match same {
        Some(same) if same.bounds.iter().any(is_static) => {}
        // Its other bounds stand there.
        Some(same) => same.bounds.push(for_ever(place)),
        None => clause.predicates.push(parse_quote_spanned!(place=> #ty: 'static)),
    }
}

fn for_ever(place: Span) -> TypeParamBound {
    TypeParamBound::Lifetime(Lifetime::new("'static", place))
}

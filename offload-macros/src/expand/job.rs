//! What runs elsewhere: a closure around the body, or around a call of it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, ReturnType, Type, TypeImplTrait};

use super::arguments::{bind_argument, lend};
use super::attributes::is_deprecated;
use super::resources;
use super::wrapper::free_name;
use crate::function::{Argument, Function, Receiver};
use crate::options::{Options, Sync};
use crate::tokens::parameters::types_may_name_parameter;
use crate::tokens::{mentions, opaque, receiver};

/// `move || -> Png { … }`
pub(super) fn job(function: &Function, place: Span, statements: TokenStream) -> TokenStream {
    let result = match &function.signature.output {
        ReturnType::Default => quote_spanned!(place=> ()),
        ReturnType::Type(_, ty) => opaque::infer_impl_trait(ty).into_token_stream(),
    };
    let head = match function.sink() {
        None => quote_spanned!(place=> move || ->),
        Some(Argument { held, ty, .. }) => quote_spanned!(place=> move |#held: #ty| ->),
    };
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(place);
    quote!(#head #result #block)
}

/// Binds `self` and the arguments as a function does, then runs the body.
///
/// The body stays a block of its own: items in it do not come after statements,
/// and what its last expression borrows ends before the arguments do. Where it is one expression,
/// its braces are ours, or the compiler would find them unnecessary.
pub(super) fn run_body(function: &Function) -> TokenStream {
    let bindings = function.arguments.iter().map(bind_argument);
    let body = function.block();
    let has_statements = body
        .stream()
        .into_iter()
        .any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'));
    let span =
        if has_statements { body.span() } else { Span::mixed_site().located_at(body.span()) };
    let within = |statements| {
        let mut block = Group::new(Delimiter::Brace, statements);
        block.set_span(span);
        block
    };
    // What the result promises is what a closure in it is understood by.
    let promise = promise(function);
    let within = |statements| {
        let block = within(statements);
        match &promise {
            Some((name, promise)) => quote!(#promise #name(#block)),
            None => block.into_token_stream(),
        }
    };
    match &function.receiver {
        None => {
            let body = within(body.stream());
            quote!(#(#bindings)* #body)
        }
        // Mentioned as a whole, it is captured as a whole.
        Some(Receiver { to_owned: None, syntax, .. }) => {
            let itself = &syntax.self_token;
            // To the compiler, what is assigned to a captured `self` that is not read any more
            // is lost; of an argument it knows that it may be there for its destructor.
            let silence = (syntax.mutability.is_some()
                && receiver::assigns_to_field(body.stream()))
            .then(|| quote!(#[allow(unused_assignments)]));
            let body = within(body.stream());
            quote!(let _ = &#itself; #(#bindings)* #silence #body)
        }
        Some(receiver) => {
            let this = &receiver.this;
            let borrowed = receiver.borrowed();
            let and = receiver.reference().map(|(and, _)| and);
            let body = within(receiver::replace_self(body.stream(), this));
            quote! {
                #[allow(unused_variables)]
                let #this: #and #borrowed = &#this;
                #(#bindings)* #body
            }
        }
    }
}

/// `fn __promise<R: Fn(u8) -> u8>(result: R) -> R { result }`, for a result `impl Fn(u8) -> u8`:
/// the result of a closure cannot say that. It is a function in a function, and so it is only
/// there where the bounds name nothing of an `impl` block.
fn promise(function: &Function) -> Option<(Ident, TokenStream)> {
    let ReturnType::Type(_, ty) = &function.signature.output else { return None };
    let Type::ImplTrait(TypeImplTrait { bounds, .. }) = &**ty else { return None };
    let tokens = bounds.to_token_stream();
    if mentions(tokens.clone(), "Self")
        || mentions(tokens.clone(), "use")
        || types_may_name_parameter(tokens)
    {
        return None;
    }
    let name = free_name(function, "__promise");
    let promise = quote!(fn #name<R: #bounds>(result: R) -> R { result });
    Some((name, promise))
}

/// `Self::thumb_sync::<T>(self, id, store)`
pub(super) fn call_sync(options: &Options, function: &Function, sync: &Sync) -> TokenStream {
    let ident = &sync.ident;
    let qualifier = qualifier(options, function);
    let call = call_body(function, &quote!(#qualifier #ident));
    if is_deprecated(function) { quote!(#[allow(deprecated)] { #call }) } else { call }
}

/// `Self::`, where what stands beside the function is an associated function. Either option may say so.
pub(crate) fn qualifier(options: &Options, function: &Function) -> Option<TokenStream> {
    let beside = [&options.sync, &options.spawn].into_iter().flatten();
    match beside.filter_map(|given| given.value.qualifier.as_ref()).next() {
        Some((word, colons)) => Some(quote!(#word #colons)),
        None => function.is_associated().then(|| quote!(Self::)),
    }
}

/// `::<T, N>`, where the function has parameters of its own.
pub(crate) fn turbofish(function: &Function) -> Option<TokenStream> {
    let generics: Vec<_> = function
        .signature
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
        })
        .collect();
    (!generics.is_empty()).then(|| quote!(::<#(#generics),*>))
}

/// `__body::<T>(id, store)`
pub(super) fn call_body(function: &Function, body: &TokenStream) -> TokenStream {
    let generics = turbofish(function);
    let this = function.receiver.iter().map(|receiver| match receiver.to_owned {
        None => receiver.syntax.self_token.to_token_stream(),
        Some(_) => {
            let this = &receiver.this;
            quote!(&#this)
        }
    });
    let arguments = function.arguments.iter().map(|argument| match argument.borrowed() {
        _ if argument.resource.is_some() => resources::lend(argument),
        Some(_) => lend(argument),
        None => argument.held.to_token_stream(),
    });
    let values = this.chain(arguments);
    quote!(#body #generics (#(#values),*))
}

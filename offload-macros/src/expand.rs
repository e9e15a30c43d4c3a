//! Checked function → async wrapper.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, FnArg, GenericParam, Meta, Pat, PatType, Path, ReceiverKind, ReturnType, Signature,
    Token, Type, Visibility, parse_quote,
};

use crate::borrows;
use crate::describe;
use crate::function::{Argument, Body, Function, Receiver, THIS, mentions};
use crate::options::{Given, Options, Sync};
use crate::process;
use crate::receiver;

/// Input:
///
/// ```text
/// #[offload(cpu)]
/// pub fn thumb(Path(id): Path<u64>, mut store: Store) -> Png { … }
/// ```
///
/// Output:
///
/// ```text
/// pub async fn thumb(id: Path<u64>, store: Store) -> Png {
///     use ::offload_runtime::__private as __offload;
///     // An argument that cannot move to another thread has no `Held`: that is
///     // the error, and what follows from it is not reported.
///     let id: <Path<u64> as __offload::Argument>::Held = id;
///     let store: <Store as __offload::Argument>::Held = store;
///     // The same for the result.
///     <Png as __offload::Returned>::call(
///         {
///             // In a block of its own: the body must not see it.
///             static __FUNCTION: __offload::Function = __offload::Function::cpu(
///                 __offload::concat!(__offload::module_path!(), "::thumb"),
///                 &__offload::CPU,
///             );
///             &__FUNCTION
///         },
///         // How an `Error` becomes a `Png`, if it can.
///         __offload::Carrier::<Png>::NEW.offload_fail(),
///         move || -> Png {
///             // Every argument moves in, used or not, and is dropped as in a function.
///             let id = id;
///             let Path(id) = id;
///             let mut store = store;
///             { … }
///         },
///     )
///     .await
/// }
/// ```
///
/// With `sync = thumb_sync` the body stays where it was, under that name, and
/// the closure calls it.
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    if options.is_process() {
        return process::expand(options, function);
    }
    let sync = options.sync.as_ref().map(|sync| &sync.value);
    let sync_function = sync.map(|sync| sync_function(function, sync));
    let attributes = wrapper_attributes(function, sync.is_some());
    let visibility = &function.visibility;
    let signature = wrapper_signature(function, sync.is_some());
    let runtime = runtime(options);
    let receiver = hold_receiver(function);
    let arguments = function.arguments.iter().map(hold_argument);
    let call = call(options, function);
    let this = describe::function(options, &function.signature.ident, None);
    let fail = fail(options, function);
    let job = job(function, sync);
    let mut arguments_of_call = Group::new(Delimiter::Parenthesis, quote!({ #this }, #fail #job));
    // A `self` that borrows is reported here.
    if let Some(receiver) = &function.receiver {
        arguments_of_call.set_span(Span::call_site().located_at(receiver.syntax.self_token.span));
    }
    quote! {
        #sync_function
        #(#attributes)*
        #visibility #signature {
            use #runtime as __offload;
            #(#arguments)*
            #receiver
            #call #arguments_of_call.await
        }
    }
}

/// The function as it was, under the name that `sync` gives it.
pub(crate) fn sync_function(function: &Function, sync: &Sync) -> TokenStream {
    let attributes = function.attributes.iter().filter(|attribute| belongs_to_body(attribute));
    let visibility = &function.visibility;
    let signature = Signature { ident: sync.ident.clone(), ..function.signature.clone() };
    let body = body(function);
    // A function that `#[offload]` accepts is not `const`, whatever clippy thinks of its body.
    quote! {
        #(#attributes)*
        #[allow(clippy::missing_const_for_fn)]
        #visibility #signature #body
    }
}

pub(crate) fn runtime(options: &Options) -> TokenStream {
    match &options.runtime {
        Some(Given { value: path, .. }) => quote!(#path::__private),
        None => quote!(::offload_runtime::__private),
    }
}

/// Attributes below `#[offload]` stay on the wrapper. With `sync` some speak
/// about a body that is elsewhere: an expectation would not be fulfilled here.
pub(crate) fn wrapper_attributes(function: &Function, has_sync: bool) -> Vec<Attribute> {
    let mut attributes = function.attributes.clone();
    // It may be a default method of a public trait, and the attribute is what its author chose.
    if matches!(function.visibility, Visibility::Inherited) && is_associated(function) {
        attributes.push(parse_quote!(#[allow(async_fn_in_trait)]));
    }
    if has_sync {
        attributes.retain(|attribute| !attribute.path().is_ident("track_caller"));
        for attribute in &mut attributes {
            if let Meta::List(list) = &mut attribute.meta
                && list.path.is_ident("expect")
            {
                list.path = Ident::new("allow", ends(&list.path).0).into();
            }
        }
    }
    attributes
}

/// Whether the synchronous function gets the attribute too. Attribute macros
/// do not belong to it: those below `#[offload]` see the async function.
fn belongs_to_body(attribute: &Attribute) -> bool {
    let several = Punctuated::<Meta, Token![,]>::parse_terminated;
    match attribute.parse_args_with(several) {
        Ok(list) if attribute.path().is_ident("cfg_attr") => {
            list.iter().skip(1).all(|meta| speaks_of_body(meta.path()))
        }
        _ => speaks_of_body(attribute.path()),
    }
}

fn speaks_of_body(attribute: &Path) -> bool {
    const WORDS: [&str; 12] = [
        "doc",
        "cfg",
        "allow",
        "warn",
        "deny",
        "forbid",
        "expect",
        "must_use",
        "deprecated",
        "inline",
        "cold",
        "track_caller",
    ];
    WORDS.iter().any(|word| attribute.is_ident(word))
}

pub(crate) fn wrapper_signature(function: &Function, has_sync: bool) -> Signature {
    let mut signature = function.signature.clone();
    signature.asyncness = Some(Token![async](signature.fn_token.span));
    let mut arguments = function.arguments.iter();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if has_sync => receiver.mutability = None,
            FnArg::Receiver(_) => {}
            FnArg::Typed(PatType { attrs, pat, .. }) => {
                attrs.retain(|attribute| !is_lint_level(attribute));
                if let Some(Argument { name, .. }) = arguments.next() {
                    **pat = parse_quote!(#name);
                }
            }
        }
    }
    signature
}

/// Lint levels of an argument are about its use, and the body uses it.
fn is_lint_level(attribute: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|word| attribute.path().is_ident(word))
}

/// `#[to_owned] &self`: the job's own copy. Any other receiver is captured, and
/// only asked whether it moves.
fn hold_receiver(function: &Function) -> Option<TokenStream> {
    let receiver = function.receiver.as_ref()?;
    let place = ends(&receiver.syntax);
    if receiver.to_owned.is_some() {
        let this = this();
        let borrowed = receiver.borrowed();
        let held = projection(&borrowed, place, "Lent", "Held");
        let copy = projection(&borrowed, place, "Lent", "copy");
        return Some(quote!(let #this: #held = #copy(self);));
    }
    let moves = match &receiver.syntax.kind {
        ReceiverKind::Typed(_, ty) => projection(ty, ends(ty), "Argument", "moves"),
        _ => projection(&quote_spanned!(place.0=> Self), place, "Argument", "moves"),
    };
    Some(quote!(#moves();))
}

/// `let id: <Path<u64> as Argument>::Held = id;`
fn hold_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, name, ty, .. } = argument;
    let held = &argument.held;
    let place = ends(ty);
    if let Some(borrowed) = argument.borrowed() {
        let held_type = projection(borrowed, place, "Lent", "Held");
        let copy = projection(borrowed, place, "Lent", "copy");
        quote!(#(#cfg)* let #held: #held_type = #copy(#name);)
    } else if borrows::infer_impl_trait(ty).1 {
        let infer = Token![_](place.0);
        let check = projection(&infer, place, "Argument", "held");
        quote!(#(#cfg)* let #held = #check(#name);)
    } else {
        let held_type = projection(ty, place, "Argument", "Held");
        quote!(#(#cfg)* let #held: #held_type = #name;)
    }
}

/// `<Png as __offload::Returned>::call`, the one place where the result is asked
/// to be `Send`, and everything to be `'static`.
fn call(options: &Options, function: &Function) -> TokenStream {
    let bound = if options.fallible().next().is_some() { "Fallible" } else { "Returned" };
    match &function.signature.output {
        ReturnType::Default => {
            let place = function.signature.ident.span();
            projection(&quote_spanned!(place=> ()), (place, place), bound, "call")
        }
        // A type that has no name is inferred.
        ReturnType::Type(_, ty) if is_opaque(ty) => {
            projection(&Token![_](ends(ty).0), ends(ty), bound, "call")
        }
        ReturnType::Type(_, ty) => projection(ty, ends(ty), bound, "call"),
    }
}

/// `__offload::Carrier::<Png>::NEW.offload_fail(),`: how an `Error` of the offload becomes a
/// result, if it can. Where an option demands that, `Fallible` knows.
fn fail(options: &Options, function: &Function) -> TokenStream {
    if options.fallible().next().is_some() {
        return TokenStream::new();
    }
    match &function.signature.output {
        ReturnType::Type(_, ty) if borrows::has_known_error(ty) => {
            let (ty, _) = borrows::infer_impl_trait(ty);
            quote!(__offload::Carrier::<#ty>::NEW.offload_fail(),)
        }
        _ => quote!(__offload::None,),
    }
}

/// A result that cannot be named, as a type.
fn is_opaque(ty: &Type) -> bool {
    matches!(ty, Type::Never(_)) || borrows::infer_impl_trait(ty).1
}

/// `move || -> Png { … }`
fn job(function: &Function, sync: Option<&Sync>) -> TokenStream {
    let result = match &function.signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => borrows::infer_impl_trait(ty).0.into_token_stream(),
    };
    let statements = match sync {
        Some(sync) => call_sync(function, sync),
        None => run_body(function),
    };
    quote!(move || -> #result { #statements })
}

/// Binds `self` and the arguments as a function does, then runs the body.
///
/// The body stays a block of its own: items in it do not come after statements,
/// and what its last expression borrows ends before the arguments do. Its braces
/// are ours, or the compiler would find them unnecessary.
fn run_body(function: &Function) -> TokenStream {
    let bindings = function.arguments.iter().map(bind_argument);
    let body = body(function);
    let span = Span::mixed_site().located_at(body.span());
    let within = |statements| {
        let mut block = Group::new(Delimiter::Brace, statements);
        block.set_span(span);
        block
    };
    match &function.receiver {
        None => {
            let body = within(body.stream());
            quote!(#(#bindings)* #body)
        }
        // Mentioned as a whole, it is captured as a whole.
        Some(Receiver { to_owned: None, .. }) => {
            let body = within(body.stream());
            quote!(let _ = &self; #(#bindings)* #body)
        }
        Some(receiver) => {
            let this = this();
            let borrowed = receiver.borrowed();
            let body = within(receiver::replace_self(body.stream(), &this));
            quote!(let #this: &#borrowed = &#this; #(#bindings)* #body)
        }
    }
}

/// `let id = id; let Path(id) = id;`: the first moves the argument in as a
/// whole, the second takes it apart.
fn bind_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, attributes, pattern, .. } = argument;
    let held = &argument.held;
    if let Some(borrowed) = argument.borrowed() {
        quote! {
            #(#cfg)*
            let #held = #held;
            #(#cfg)* #(#attributes)*
            let #pattern: &#borrowed = __offload::Borrow::borrow(&#held);
        }
    } else if argument.is_plain() {
        let silence = argument
            .is_underscored()
            .then(|| quote!(#[allow(clippy::no_effect_underscore_binding)]));
        quote!(#(#cfg)* #(#attributes)* #silence let #pattern = #held;)
    } else if let Pat::Wild(_) = pattern {
        quote!(#(#cfg)* let #held = #held;)
    } else {
        // `ref mut` asks for a place that may be changed.
        let mutability = mentions(pattern.to_token_stream(), "ref").then(|| quote!(mut));
        let silence = mutability.is_some().then(|| quote!(#[allow(unused_mut)]));
        quote! {
            #(#cfg)* #silence
            let #mutability #held = #held;
            #(#cfg)* #(#attributes)*
            let #pattern = #held;
        }
    }
}

/// `Self::thumb_sync::<T>(self, id, store)`
fn call_sync(function: &Function, sync: &Sync) -> TokenStream {
    let Sync { ident, qualifier } = sync;
    let qualifier = match qualifier {
        Some((word, colons)) => quote!(#word #colons),
        None if is_associated(function) => quote!(Self::),
        None => quote!(),
    };
    let generics =
        function.signature.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
        });
    let this = function.receiver.iter().map(|receiver| match receiver.to_owned {
        None => quote!(self),
        Some(_) => {
            let this = this();
            quote!(&#this)
        }
    });
    let arguments = function.arguments.iter().map(|argument| {
        let held = &argument.held;
        match argument.borrowed() {
            Some(_) => quote!(__offload::Borrow::borrow(&#held)),
            None => held.into_token_stream(),
        }
    });
    let values = this.chain(arguments);
    quote!(#qualifier #ident::<#(#generics),*>(#(#values),*))
}

/// Whether the function stands in an `impl` block, as far as its own tokens show.
fn is_associated(function: &Function) -> bool {
    function.receiver.is_some()
        || mentions(function.signature.to_token_stream(), "Self")
        || receiver::mentions_own_type(body(function).stream())
}

fn body(function: &Function) -> Group {
    match &function.body {
        Body::Block(block) => block.clone(),
        Body::Missing(_) => Group::new(Delimiter::Brace, TokenStream::new()),
    }
}

/// `<T as __offload::Bound>::Output`, which an error underlines as `T`: the
/// compiler joins the spans of the first and of the last token.
pub(crate) fn projection(
    ty: &impl ToTokens,
    (first, last): (Span, Span),
    bound: &str,
    output: &str,
) -> TokenStream {
    let bound = Ident::new(bound, last);
    let output = Ident::new(output, last);
    let open = Token![<](first);
    let rest = quote_spanned!(last=> as __offload::#bound>::#output);
    quote!(#open #ty #rest)
}

/// Where tokens begin and where they end.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let first = tokens.next();
    let last = tokens.last().or_else(|| first.clone());
    let open = first.map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_open(),
        token => token.span(),
    });
    let close = last.map_or_else(Span::call_site, |token| match token {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    });
    (open, close)
}

/// The copy of `self`, which the body sees where it says `self` and nowhere else.
fn this() -> Ident {
    Ident::new(THIS, Span::mixed_site())
}

//! Checked function → async wrapper.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, FnArg, GenericParam, Meta, Pat, PatType, Path, ReceiverKind, ReturnType, Signature,
    Token, Type, TypeImplTrait, Visibility, parse_quote, parse_quote_spanned,
};

use crate::borrows;
use crate::describe;
use crate::function::{Argument, Body, Function, Receiver, mentions, types_may_name_parameter};
use crate::options::{Given, Options, Sync};
use crate::outlives;
use crate::process;
use crate::process_stream;
use crate::receiver;
use crate::resources;
use crate::spawn;
use crate::stream;

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
///     // The body stays a function: what the compiler has to say of it, it says as ever.
///     fn __body(Path(id): Path<u64>, mut store: Store) -> Png { … }
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
///         <Png as __offload::Asked>::CARRIER.offload_fail(),
///         move || -> Png { __body(id, store) },
///     )
///     .await
/// }
/// ```
///
/// With `sync = thumb_sync` the body stays where it was, under that name, and
/// the closure calls it. A body that says `self` or `Self`, or may say what only the `impl` block
/// around it knows, cannot be a function in a function: it is the closure's own.
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    match (options.is_process(), options.stream.is_some()) {
        (true, true) => return process_stream::expand(options, function),
        (true, false) => return process::expand(options, function),
        (false, true) => return stream::expand(options, function),
        (false, false) => {}
    }
    let how = if options.spawn.is_some() { "call_or_start" } else { "call" };
    let call = call(function, how);
    let this = describe::function(options, function, None);
    let fail = fail(options, function);
    let mut signature = wrapper_signature(function, options.sync.is_some());
    let is_copied = copies_at_call(function);
    if is_copied {
        return_future(function, &mut signature);
    }
    let called = wrapper(options, function, signature, |job| {
        let mut arguments = Group::new(Delimiter::Parenthesis, quote!({ #this }, #fail #job));
        // A `self` that borrows is reported here.
        if let Some(receiver) = &function.receiver {
            arguments.set_span(receiver.syntax.self_token.span);
        }
        let answer = quote!(#call #arguments.await);
        if is_copied { quote!(async move { #answer }) } else { answer }
    });
    let started = spawn::expand(options, function);
    quote!(#called #started)
}

/// Whether the copies of what is borrowed are made when the function is called, so that its future
/// borrows nothing. `!` is no type that a future could be said to have.
pub(crate) fn copies_at_call(function: &Function) -> bool {
    let is_copied = function.receiver.as_ref().is_some_and(|receiver| receiver.to_owned.is_some())
        || function.arguments.iter().any(|argument| argument.to_owned.is_some());
    let is_never = matches!(&function.signature.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)));
    // A bound on `Self` is what a default method of a trait has. It stays an `async fn`, so that an `impl` may
    // override it by one that borrows.
    let is_default = mentions(function.signature.generics.where_clause.to_token_stream(), "Self");
    is_copied && !is_never && !is_default
}

/// `async fn f(x: &str) -> T` → `fn f(x: &str) -> impl Future<Output = T> + Send + 'static`
pub(crate) fn return_future(function: &Function, signature: &mut Signature) {
    signature.asyncness = None;
    let (result, place) = match &function.signature.output {
        ReturnType::Type(_, ty) => {
            let mut result = (**ty).clone();
            // Without it, an `impl Trait` result would capture the lifetime of what was copied.
            borrows::outlive(&mut result);
            (result.to_token_stream(), ends(ty).1)
        }
        ReturnType::Default => (quote!(()), function.signature.ident.span()),
    };
    signature.output = parse_quote_spanned! {place.resolved_at(Span::mixed_site())=>
        -> impl ::core::future::Future<Output = #result> + ::core::marker::Send + 'static
    };
}

/// The function as it was, where it is kept, and what callers get: `answer` is made of the job.
pub(crate) fn wrapper(
    options: &Options,
    function: &Function,
    signature: Signature,
    answer: impl FnOnce(TokenStream) -> TokenStream,
) -> TokenStream {
    let mut attributes = wrapper_attributes(function, options.sync.is_some());
    if signature.asyncness.is_none() {
        silence_refinement(function, &mut attributes);
    }
    let sync = options.sync.as_ref().map(|sync| &sync.value);
    let sync_function = sync.map(|sync| sync_function(function, sync, &body(function)));
    let hidden = (sync.is_none() && function.stands_alone).then(body_name);
    let body_function = hidden.as_ref().map(|name| body_function(function, name));
    let runtime = runtime(options);
    let receiver = hold_receiver(function);
    let arguments = function.given().map(hold_argument);
    let (place, run) = match (sync, &hidden) {
        (Some(sync), _) => (Span::call_site(), call_sync(options, function, sync)),
        (None, Some(name)) => (Span::call_site(), call_body(function, &quote!(#name))),
        // What is said of this closure is said of the function.
        (None, None) => (function.signature.ident.span(), run_body(function)),
    };
    let borrowed = resources::take(function);
    let answer = answer(job(function, place, quote!(#borrowed #run)));
    let block = block(
        function,
        quote! {
            use #runtime as __offload;
            #body_function
            #(#arguments)*
            #receiver
            #answer
        },
    );
    let visibility = &function.visibility;
    quote! {
        #sync_function
        #(#attributes)*
        #visibility #signature #block
    }
}

/// The wrapper's own block. Its braces are those of the body: lints take the wrapper for what
/// the user wrote, as which it is called, and not for what a macro made.
pub(crate) fn block(function: &Function, statements: TokenStream) -> Group {
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(body(function).span());
    block
}

/// What a body is called that is a function of its own. Nobody else sees it, and nothing is said
/// of it: its name begins as one that is not to be used.
pub(crate) fn body_name() -> Ident {
    Ident::new("__body", Span::mixed_site())
}

/// What clippy would have a function do that `#[offload]` then refuses, or says of the wrapper as well.
pub(crate) const SILENCED: [&str; 4] =
    ["missing_const_for_fn", "needless_pass_by_value", "too_many_arguments", "unnecessary_wraps"];

/// The body as a function, under a name that nobody else uses.
pub(crate) fn body_function(function: &Function, name: &Ident) -> TokenStream {
    let ident = Ident::new(&name.to_string(), function.signature.ident.span());
    let signature = Signature { ident, ..function.signature.clone() };
    let block = body(function);
    let silenced = SILENCED.map(|lint| Ident::new(lint, Span::mixed_site()));
    let silence = resources::silence(function);
    quote! {
        #[allow(#(clippy::#silenced),*)]
        #silence
        #signature #block
    }
}

/// The function as it was, under the name that `sync` gives it.
pub(crate) fn sync_function(function: &Function, sync: &Sync, body: &Group) -> TokenStream {
    let attributes = function.attributes.iter().filter(|attribute| belongs_to_body(attribute));
    let visibility = &function.visibility;
    let signature = Signature { ident: sync.ident.clone(), ..function.signature.clone() };
    // A function that `#[offload]` accepts is not `const`, whatever clippy thinks of its body.
    let silence = resources::silence(function);
    quote! {
        #(#attributes)*
        #[allow(clippy::missing_const_for_fn)]
        #silence
        #visibility #signature #body
    }
}

pub(crate) fn runtime(options: &Options) -> TokenStream {
    match &options.runtime {
        Some(Given { value: path, .. }) => quote!(#path::__private),
        None => quote!(::offload_runtime::__private),
    }
}

/// What is said of a function that returns `impl … + Send + 'static` and is no `async fn`: it promises more
/// than the trait whose method it may be, which the compiler reports as a refinement.
pub(crate) fn silence_refinement(function: &Function, attributes: &mut Vec<Attribute>) {
    if function.receiver.is_some() || is_associated(function) {
        attributes.push(parse_quote!(#[allow(refining_impl_trait)]));
    }
    if attributes.iter().any(|attribute| attribute.path().is_ident("must_use")) {
        attributes.push(parse_quote!(#[allow(clippy::double_must_use)]));
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
    if outlives::may_be_known(function) {
        attributes.push(parse_quote!(#[allow(trivial_bounds)]));
    }
    // Of an async function the compiler only says that it has no effect.
    attributes.retain(|attribute| !attribute.path().is_ident("track_caller"));
    for attribute in &mut attributes {
        let Meta::List(list) = &mut attribute.meta else { continue };
        if list.path.is_ident("expect")
            && (has_sync || SILENCED.iter().any(|lint| mentions(list.tokens.clone(), lint)))
        {
            list.path = Ident::new("allow", ends(&list.path).0).into();
        }
    }
    attributes
}

/// Whether the synchronous function gets the attribute too. Attribute macros
/// do not belong to it: those below `#[offload]` see the async function.
pub(crate) fn belongs_to_body(attribute: &Attribute) -> bool {
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
    let mut arguments = function.given();
    signature.inputs = resources::without(function, signature.inputs);
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if has_sync => receiver.mutability = None,
            FnArg::Receiver(_) => {}
            FnArg::Typed(PatType { attrs, pat, ty, .. }) => {
                attrs.retain(|attribute| !is_lint_level(attribute));
                if let Some(argument) = arguments.next() {
                    let name = &argument.name;
                    outlives::ask_of_impl_trait(argument, ty);
                    // That is said of the name in the body.
                    if name.to_string().contains(char::is_uppercase) {
                        attrs.push(parse_quote!(#[allow(non_snake_case)]));
                    }
                    **pat = parse_quote!(#name);
                }
            }
        }
    }
    outlives::ask(function, &mut signature);
    signature
}

/// Lint levels of an argument are about its use, and the body uses it.
pub(crate) fn is_lint_level(attribute: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|word| attribute.path().is_ident(word))
}

/// `#[to_owned] &self`: the job's own copy. Any other receiver is captured, and
/// only asked whether it moves.
fn hold_receiver(function: &Function) -> Option<TokenStream> {
    let receiver = function.receiver.as_ref()?;
    let place = ends(&receiver.syntax);
    let itself = &receiver.syntax.self_token;
    if receiver.to_owned.is_some() {
        let this = &receiver.this;
        let borrowed = receiver.borrowed();
        let held = projection(&borrowed, place, "Lent", "Held");
        let copy = projection(&borrowed, place, "Lent", "copy");
        return Some(quote!(#[allow(clippy::use_self)] let #this: #held = #copy(#itself);));
    }
    let moves = match &receiver.syntax.kind {
        ReceiverKind::Typed(_, ty) => projection(ty, ends(ty), "Argument", "moves"),
        ReceiverKind::Reference(and, lifetime, mutability) => {
            let itself = quote_spanned!(place.1=> Self);
            projection(&quote!(#and #lifetime #mutability #itself), place, "Argument", "moves")
        }
        _ => projection(&quote_spanned!(place.0=> Self), place, "Argument", "moves"),
    };
    Some(quote!(#moves();))
}

/// `let id: <Path<u64> as Argument>::Held = id;`
fn hold_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, name, ty, .. } = argument;
    let held = &argument.held;
    let place = ends(ty);
    if argument.is_lent_without_name() {
        let copied = projection(&Token![_](place.0), place, "Lent", "copied");
        quote!(#(#cfg)* let #held = #copied(#name);)
    } else if let Some(borrowed) = argument.borrowed() {
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
pub(crate) fn call(function: &Function, how: &str) -> TokenStream {
    let (ty, place) = result(function);
    projection(&ty, place, "Returned", how)
}

/// How an `Error` of the offload becomes a result, for the call.
pub(crate) fn fail(options: &Options, function: &Function) -> TokenStream {
    // Demanded; and of a result that is not `Send`, that is said and nothing else.
    if options.fallible().next().is_some() {
        let (ty, place) = result(function);
        let held = match &function.signature.output {
            ReturnType::Type(_, written) if is_opaque(written) => ty,
            _ => projection(&ty, place, "Returned", "Held"),
        };
        let fail = projection_of(&held, place, &quote!(Fallible<_>), "fail");
        return quote!(#fail(),);
    }
    match &function.signature.output {
        ReturnType::Type(_, ty) if borrows::has_known_error(ty) => {
            let place = ends(ty);
            let (ty, _) = borrows::infer_impl_trait(ty);
            let carrier = projection(&ty, place, "Asked", "CARRIER");
            quote!(#carrier.offload_fail(),)
        }
        _ => quote!(__offload::None,),
    }
}

/// The result as a type that can stand in an expression, and where it is written.
fn result(function: &Function) -> (TokenStream, (Span, Span)) {
    match &function.signature.output {
        ReturnType::Default => {
            let place = function.signature.ident.span();
            (quote_spanned!(place=> ()), (place, place))
        }
        // A type that has no name is inferred.
        ReturnType::Type(_, ty) if is_opaque(ty) => {
            (Token![_](ends(ty).0).to_token_stream(), ends(ty))
        }
        ReturnType::Type(_, ty) => (ty.to_token_stream(), ends(ty)),
    }
}

/// A result that cannot be named, as a type.
pub(crate) fn is_opaque(ty: &Type) -> bool {
    matches!(ty, Type::Never(_)) || borrows::infer_impl_trait(ty).1
}

/// `move || -> Png { … }`
fn job(function: &Function, place: Span, statements: TokenStream) -> TokenStream {
    let result = match &function.signature.output {
        ReturnType::Default => quote_spanned!(place=> ()),
        ReturnType::Type(_, ty) => borrows::infer_impl_trait(ty).0.into_token_stream(),
    };
    let head = match stream::sink(function) {
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
fn run_body(function: &Function) -> TokenStream {
    let bindings = function.arguments.iter().map(bind_argument);
    let body = body(function);
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
            Some(promise) => quote!(#promise __promise(#block)),
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
fn promise(function: &Function) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = &function.signature.output else { return None };
    let Type::ImplTrait(TypeImplTrait { bounds, .. }) = &**ty else { return None };
    let tokens = bounds.to_token_stream();
    if mentions(tokens.clone(), "Self")
        || mentions(tokens.clone(), "use")
        || types_may_name_parameter(tokens)
    {
        return None;
    }
    Some(quote!(fn __promise<R: #bounds>(result: R) -> R { result }))
}

/// `let id = id; let Path(id) = id;`: the first moves the argument in as a
/// whole, the second takes it apart.
fn bind_argument(argument: &Argument) -> TokenStream {
    let Argument { cfg, attributes, pattern, ty, .. } = argument;
    let held = &argument.held;
    if argument.resource.is_some() {
        let lent = resources::lend(argument);
        return quote!(#(#attributes)* let #pattern: #ty = #lent;);
    }
    if let Some(borrowed) = argument.borrowed() {
        let lend = lend(argument);
        let (borrowed, _) = borrows::infer_impl_trait(borrowed);
        quote! {
            #(#cfg)*
            let #held = #held;
            #(#cfg)* #(#attributes)*
            let #pattern: &#borrowed = #lend;
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
fn call_sync(options: &Options, function: &Function, sync: &Sync) -> TokenStream {
    let ident = &sync.ident;
    let qualifier = qualifier(options, function);
    let call = call_body(function, &quote!(#qualifier #ident));
    if is_deprecated(function) { quote!(#[allow(deprecated)] { #call }) } else { call }
}

/// Whether it has to be allowed that its other half calls it.
pub(crate) fn is_deprecated(function: &Function) -> bool {
    let mut attributes = function.attributes.iter();
    attributes.any(|attribute| mentions(attribute.meta.to_token_stream(), "deprecated"))
}

/// `Self::`, where what stands beside the function is an associated function. Either option may say so.
pub(crate) fn qualifier(options: &Options, function: &Function) -> Option<TokenStream> {
    let beside = [&options.sync, &options.spawn].into_iter().flatten();
    match beside.filter_map(|given| given.value.qualifier.as_ref()).next() {
        Some((word, colons)) => Some(quote!(#word #colons)),
        None => is_associated(function).then(|| quote!(Self::)),
    }
}

/// The type that the function returns.
pub(crate) fn output(function: &Function) -> Type {
    match &function.signature.output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => parse_quote_spanned!(function.signature.ident.span()=> ()),
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
fn call_body(function: &Function, body: &TokenStream) -> TokenStream {
    let generics = turbofish(function);
    let this = function.receiver.iter().map(|receiver| match receiver.to_owned {
        None => receiver.syntax.self_token.to_token_stream(),
        Some(_) => {
            let this = &receiver.this;
            quote!(&#this)
        }
    });
    let arguments = function.arguments.iter().map(|argument| {
        let held = &argument.held;
        match argument.borrowed() {
            _ if argument.resource.is_some() => resources::lend(argument),
            Some(_) => lend(argument),
            None => held.into_token_stream(),
        }
    });
    let values = this.chain(arguments);
    quote!(#body #generics (#(#values),*))
}

/// The borrow of the job's own copy.
fn lend(argument: &Argument) -> TokenStream {
    let held = &argument.held;
    if argument.is_lent_without_name() {
        quote!(__offload::Copied::lend(&#held))
    } else {
        quote!(__offload::Borrow::borrow(&#held))
    }
}

/// Whether the function stands in an `impl` block, as far as its own tokens show.
fn is_associated(function: &Function) -> bool {
    function.receiver.is_some()
        || mentions(function.signature.to_token_stream(), "Self")
        || receiver::mentions_own_type(body(function).stream())
}

pub(crate) fn body(function: &Function) -> Group {
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
    projection_of(ty, (first, last), &bound, output)
}

/// The same for a bound that is more than a name.
pub(crate) fn projection_of(
    ty: &impl ToTokens,
    (first, last): (Span, Span),
    bound: &impl ToTokens,
    output: &str,
) -> TokenStream {
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

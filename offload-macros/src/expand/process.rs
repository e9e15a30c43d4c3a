//! Checked `process` or `remote` function → async wrapper. The body becomes a function of
//! its own, which a worker finds in a table.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ReturnType, Type};

use super::attributes::{silence_refinement, wrapper_attributes};
use super::copied::{copies_at_call, future, return_future};
use super::projection::{arguments_of, projection};
use super::wrapper::{
    block, body_function, body_name, free_name, runtime, sync_function, wrapper_signature,
};
use super::{describe, resources, spawn};
use crate::function::{Argument, Function};
use crate::options::Options;
use crate::tokens::ends;

/// Input:
///
/// ```text
/// #[offload(process)]
/// pub fn render(mut doc: Document, #[to_owned] title: &str) -> Result<Pdf, Error> { … }
/// ```
///
/// Output:
///
/// ```text
/// pub async fn render(doc: Document, title: &str) -> Result<Pdf, Error> {
///     use ::offload_runtime::__private as __offload;
///     fn __body(mut doc: Document, title: &str) -> Result<Pdf, Error> { … }
///     let doc = doc;
///     // Written here, from the borrow: no copy.
///     let title = <str as __offload::TransferLent>::hold(title);
///     // A body may call other functions of the kind, and is in a worker already.
///     if __offload::in_worker() {
///         return __body(doc, <str as __offload::TransferLent>::lent(&title));
///     }
///     <Result<Pdf, Error> as __offload::Remote>::call(
///         {
///             static __FUNCTION: __offload::Function = __offload::Function::process(
///                 __offload::concat!(__offload::module_path!(), "::render"),
///                 &__offload::PROCESS,
///                 __offload::Place { … },
///                 // What a worker does.
///                 |arguments| {
///                     // Of the types the compiler is asked below, and not here once more.
///                     let doc = <Document as __offload::InWorker>::TYPE.offload_take(arguments)?;
///                     <str as __offload::InWorker>::TYPE.offload_lend(arguments, |title, arguments| {
///                         __offload::Arguments::end(arguments)?;
///                         let result = __body(doc, title);
///                         __offload::Known::of(&result).offload_answer(result, arguments);
///                         __offload::Ok(())
///                     })
///                 },
///             );
///             __offload::inventory::submit! { __offload::Listed::new(&__FUNCTION) }
///             &__FUNCTION
///         },
///         // What the parent does.
///         move |outbound: &mut __offload::Outbound| {
///             <Document as __offload::Transfer>::send(&doc, outbound);
///             <str as __offload::TransferLent>::send(&title, outbound);
///         },
///     )
///     .await
/// }
/// ```
///
/// With `#[to_owned]`, as here, it is a `fn` that returns `impl Future`, and what follows the arguments is in an
/// `async` block.
///
/// With `sync = render_sync` that function is the body. For `remote` the words are
/// `Function::remote`, `REMOTE` and `call_remote`, and the rest is the same.
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    let sync = options.sync.as_ref().map(|sync| &sync.value);
    let sync_function = sync.map(|sync| sync_function(function, sync, &function.block()));
    let mut attributes = wrapper_attributes(function, sync.is_some());
    let visibility = &function.visibility;
    let mut signature = wrapper_signature(function, sync.is_some());
    let is_copied = copies_at_call(function);
    if is_copied {
        return_future(function, &mut signature);
        silence_refinement(function, &mut attributes);
    }
    let runtime = runtime(options);
    let hidden = body_name(function);
    let (body, body_function) = match sync {
        Some(sync) => (&sync.ident, None),
        None => (&hidden, Some(body_function(function, &hidden))),
    };
    let holds = function.given().map(hold);
    let call = of_result(function, how(options));
    let (result, arguments) = (free_name(function, "__result"), free_name(function, "__arguments"));
    let entry = entry(function, body, |run| {
        quote! {
            let #result = #run;
            __offload::Known::of(&#result).offload_answer(#result, #arguments);
            __offload::Ok(())
        }
    });
    let this = describe::function(options, function, Some(entry));
    let this = quote!({ #this });
    // One `static`, also where it is named twice.
    let (function_first, this) = match function.has_resources() || options.spawn.is_some() {
        true => (Some(quote!(let __function = #this;)), quote!(__function)),
        false => (None, this),
    };
    let in_place = in_place(options, function, body, &this);
    let outbound = free_name(function, "__outbound");
    let sends = function.given().map(|argument| send(argument, &outbound));
    let answer = quote! {
        #function_first
        if __offload::in_worker() {
            return #in_place;
        }
        #call(
            #this,
            move |#outbound: &mut __offload::Outbound| {
                let _ = &#outbound;
                #(#sends)*
            },
        )
        .await
    };
    let answer = if is_copied { future(function, answer) } else { answer };
    let block = block(
        function,
        quote! {
            use #runtime as __offload;
            #body_function
            #(#holds)*
            #answer
        },
    );
    let started = spawn::expand(options, function);
    quote! {
        #sync_function
        #(#attributes)*
        #visibility #signature #block
        #started
    }
}

/// What makes the call.
fn how(options: &Options) -> &'static str {
    match (options.remote(), &options.spawn) {
        (None, None) => "call",
        (None, Some(_)) => "call_or_start",
        (Some(_), None) => "call_remote",
        (Some(_), Some(_)) => "call_remote_or_start",
    }
}

/// `__body((doc,).0, <str as __offload::TransferLent>::lent(&title))`, in a worker already.
fn in_place(
    options: &Options,
    function: &Function,
    body: &Ident,
    this: &TokenStream,
) -> TokenStream {
    let run = run_in_place(function, body, this);
    if options.spawn.is_none() {
        return run;
    }
    let here = of_result(function, "here_or_started");
    quote! {
        match #here(#this, || #run) {
            __offload::Result::Ok(result) => result,
            __offload::Result::Err(started) => started.await,
        }
    }
}

fn run_in_place(function: &Function, body: &Ident, this: &TokenStream) -> TokenStream {
    let values =
        function.arguments.iter().map(|argument| match (&argument.resource, argument.borrowed()) {
            (Some(_), _) => resources::lend(argument),
            (None, Some(borrowed)) => {
                let lent = projection(borrowed, ends(&argument.ty), "TransferLent", "lent");
                let held = &argument.held;
                quote!(#lent(&#held))
            }
            (None, None) => argument.held.to_token_stream(),
        });
    let run = quote!(#body(#(#values),*));
    if !function.has_resources() {
        return run;
    }
    let in_place = of_result(function, "in_place");
    let borrowed = resources::take(function);
    quote!(#in_place(#this, || { #borrowed #run }))
}

/// `let doc = doc;`: whether it can be sent, `Transfer` is asked where it is.
pub(crate) fn hold(argument: &Argument) -> TokenStream {
    let Argument { name, ty, held, .. } = argument;
    if let Some(borrowed) = argument.borrowed() {
        let hold = projection(borrowed, ends(ty), "TransferLent", "hold");
        quote!(let #held = #hold(#name);)
    } else {
        quote!(let #held = #name;)
    }
}

/// `<Document as Transfer>::send(&doc, outbound);`, and of what is lent `<str as TransferLent>::send(&title, outbound);`:
/// `title` is an `OwnCopy` by then.
pub(crate) fn send(argument: &Argument, outbound: &Ident) -> TokenStream {
    let Argument { ty, held, .. } = argument;
    let (sent, bound) = argument.borrowed().map_or((ty, "Transfer"), |lent| (lent, "TransferLent"));
    let send = projection(sent, ends(ty), bound, "send");
    quote!(#send(&#held, #outbound);)
}

/// `|arguments| { … }`: takes the arguments, calls the body, and `answer`s with what is said to run it.
pub(crate) fn entry(
    function: &Function,
    body: &Ident,
    answer: impl FnOnce(TokenStream) -> TokenStream,
) -> TokenStream {
    let arguments = free_name(function, "__arguments");
    let values = function.arguments.iter().map(|argument| {
        let held = &argument.held;
        match argument.resource {
            Some(_) => resources::lend(argument),
            None if argument.is_sink() => quote!(&mut #held),
            None => held.to_token_stream(),
        }
    });
    let borrowed = resources::take(function);
    let answer = answer(quote!(#body(#(#values),*)));
    let call = quote! {
        __offload::Arguments::end(#arguments)?;
        #borrowed
        #answer
    };
    // What is lent lives around all that follows it.
    let given: Vec<_> = function.given().collect();
    let statements = given.into_iter().rev().fold(call, |rest, argument| {
        let Argument { ty, held, .. } = argument;
        if let Some(borrowed) = argument.borrowed() {
            let known = in_worker(borrowed, ends(ty));
            quote!(#known.offload_lend(#arguments, |#held, #arguments| { #rest }))
        } else {
            let place = ends(ty);
            let known = in_worker(ty, place);
            // What is said of the call is said of the type.
            let given = arguments_of(arguments.to_token_stream(), place.1);
            let taken = quote_spanned!(place.1=> #known.offload_take #given?);
            quote!(let #held = #taken; #rest)
        }
    });
    quote!(|#arguments| { #statements })
}

/// `<Document as InWorker>::TYPE`: what a worker does with a type.
pub(crate) fn in_worker(ty: &Type, place: (Span, Span)) -> TokenStream {
    projection(ty, place, "InWorker", "TYPE")
}

/// `<Result<Pdf, Error> as Remote>::call`
fn of_result(function: &Function, method: &str) -> TokenStream {
    match &function.signature.output {
        ReturnType::Type(_, ty) => projection(ty, ends(ty), "Remote", method),
        // Refused before.
        ReturnType::Default => TokenStream::new(),
    }
}

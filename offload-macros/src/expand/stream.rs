//! Functions with `stream`, and what they become. Callers get a `Stream`, and await nothing.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{ReturnType, Signature, Token, Type, parse_quote_spanned};

use super::projection::{
    arguments_of, called, in_signature, projection, projection_by, projection_of,
};
use super::wrapper::{runtime, wrapper, wrapper_signature};
use super::{describe, outlives};
use crate::function::Function;
use crate::function::form::{Form, form};
use crate::options::{Given, Options};
use crate::tokens::arguments::{arguments, first_argument};
use crate::tokens::items::{is_result, made, sent, with_first_argument};
use crate::tokens::{ends, opaque};

/// So many items are made ahead, unless it is said.
const ROOM: usize = 16;

/// Input:
///
/// ```text
/// #[offload(thread, stream = 64)]
/// fn lines(path: PathBuf) -> impl Iterator<Item = String> { … }
/// ```
///
/// Output:
///
/// ```text
/// fn lines(path: PathBuf) -> impl __offload::Stream<Item = String> + Send + 'static {
///     // As of a function that is awaited, and then:
///     <_ as __offload::Streams<_>>::items({ static …; &__FUNCTION }, __offload::None, 64, move || -> _ { __body((path,).0) })
/// }
/// ```
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    let runtime = runtime(options);
    let form = form(function);
    let item = item(options, function, &form, &runtime);
    let this = describe::function(options, function, None);
    let fail = fail(options, function, &form, &item);
    let (signature, place) = signature(options, function, &item, &runtime);
    // What is said of the call is said of the type: where a body pushes, of what is sent.
    let place = function.sink().and_then(|sink| sent(&sink.ty)).map_or(place, |sent| ends(sent).1);
    let call = call(function, &form);
    let ahead = match form {
        Form::Pushed => shape(options),
        _ => room(options),
    };
    wrapper(options, function, signature, |job| {
        let (of_opening, job) = (of_opening(function, &form), named(function, &form, job));
        let given = quote!({ #this }, #fail, #ahead, #of_opening #job);
        let given = arguments_of(given, place);
        quote!(#call #given)
    })
}

/// How far it goes ahead of its consumer.
pub(crate) fn shape(options: &Options) -> TokenStream {
    let (room, stall_timeout) = (room(options), stall_timeout(options));
    quote!(__offload::Shape { room: #room, stall_timeout: #stall_timeout })
}

/// How many items are made ahead.
fn room(options: &Options) -> TokenStream {
    match &options.stream {
        Some(Given { value: Some(room), .. }) => room.to_token_stream(),
        _ => quote!(#ROOM),
    }
}

/// How long a body may wait for room, if there is a bound.
fn stall_timeout(options: &Options) -> TokenStream {
    match &options.stall_timeout {
        Some(given) => {
            let duration = describe::duration(&given.value);
            quote!(__offload::Some(|| -> __offload::Duration { #duration }))
        }
        None => quote!(__offload::None),
    }
}

/// `fn lines(path: PathBuf) -> impl Stream<Item = String> + Send + 'static`, and where its result ends.
pub(crate) fn signature(
    options: &Options,
    function: &Function,
    item: &TokenStream,
    runtime: &TokenStream,
) -> (Signature, Span) {
    let mut signature = wrapper_signature(function, options.sync.is_some());
    let (first, last) = match &function.signature.output {
        // What is no iterator in a result is said of what is in it.
        ReturnType::Type(_, ty) if function.sink().is_none() && is_result(ty) => ends(opened(ty)),
        ReturnType::Type(_, ty) => ends(ty),
        ReturnType::Default => ends(&function.signature.ident),
    };
    if let Some(made) = made(&function.output()) {
        outlives::ask_of(&made, function, &mut signature);
    }
    signature.asyncness = None;
    // The compiler underlines from `impl` to the end: all of the result.
    let opaque = Token![impl](first);
    signature.output = parse_quote_spanned! {last=>
        -> #opaque #runtime::Stream<Item = #item> + ::core::marker::Send + 'static
    };
    (signature, last)
}

/// What the stream's items are.
pub(crate) fn item(
    options: &Options,
    function: &Function,
    form: &Form,
    runtime: &TokenStream,
) -> TokenStream {
    let output = function.output();
    let made_by = |ty: &Type| match ty {
        Type::Path(_) if !opaque::has_impl_trait(ty) => {
            in_signature(ty, runtime, "Iterates", "Made")
        }
        _ => made(ty).map_or_else(|| quote!(()), |made| made.to_token_stream()),
    };
    match form {
        Form::Items => made_by(&output),
        Form::OpenedItems => made_by(opened(&output)),
        Form::Opened => {
            let made = made_by(opened(&output));
            with_first_argument(output, &made).into_token_stream()
        }
        Form::Pushed => {
            let sent = function.sink().and_then(|sink| sent(&sink.ty));
            let is_unit = matches!(first_argument(&output), Some(Type::Tuple(tuple)) if tuple.elems.is_empty());
            match with_first_argument(output.clone(), &sent.to_token_stream()) {
                // Of a process that is asked where it ends.
                Some(result) if is_unit || options.is_process() => result.to_token_stream(),
                _ => {
                    let error = in_signature(&output, runtime, "Ends", "Error");
                    quote!(#runtime::Result<#sent, #error>)
                }
            }
        }
    }
}

/// How an `Error` of the offload becomes an item, or, where a body pushes, a result.
fn fail(options: &Options, function: &Function, form: &Form, item: &TokenStream) -> TokenStream {
    let output = function.output();
    let (ty, place) = match form {
        Form::Pushed => (output.to_token_stream(), ends(&output)),
        _ => (item.clone(), ends(&output)),
    };
    if options.fallible().next().is_some() {
        let fail = projection_of(&ty, place, &quote!(Fallible<_>), "fail");
        return quote!(#fail());
    }
    let carrier = projection(&ty, place, "Asked", "CARRIER");
    quote!(#carrier.offload_fail())
}

/// `<_ as __offload::Streams<_>>::items`: what cannot be streamed is said so at the type, of the iterator, of what is sent,
/// and of the error. Where one of these is not what it should be, the compiler does not know the next, and says nothing of it.
fn call(function: &Function, form: &Form) -> TokenStream {
    let output = function.output();
    let inferred = |place: (Span, Span)| Token![_](place.0).into_token_stream();
    match form {
        Form::Items => projection_by(&inferred(ends(&output)), ends(&output), "Streams", "items"),
        Form::OpenedItems => {
            let place = ends(opened(&output));
            projection_by(&inferred(place), place, "Streams", "opened_items")
        }
        Form::Opened => {
            let place = ends(opened(&output));
            // What the iterator is, the error does not say.
            let opening = with_first_argument(output.clone(), &quote!(()));
            let error = error(opening.as_ref().unwrap_or(&output), &output, "Opening");
            projection_of(&inferred(place), place, &quote!(Opens<#error, _>), "opened")
        }
        Form::Pushed => {
            let sent = function.sink().and_then(|sink| sent(&sink.ty));
            let place = sent.map_or_else(|| ends(&output), |sent| ends(&sent));
            let error = error(&output, &output, "Ends");
            projection_of(&sent.to_token_stream(), place, &quote!(Pushes<#error, _>), "pushed")
        }
    }
}

/// `<<Result<(), Error> as __offload::Opening>::Error as __offload::StreamError<_>>::Itself`, at the error, if it is
/// written.
fn error(ty: &Type, output: &Type, bound: &str) -> TokenStream {
    let place = ends_of_error(output);
    let error = projection(ty, place, bound, "Error");
    projection_by(&error, place, "StreamError", "Itself")
}

/// Where the error of a result is, or the result.
fn ends_of_error(output: &Type) -> (Span, Span) {
    match output {
        Type::Path(path) => {
            arguments(path).nth(1).map_or_else(|| ends(output), |error| ends(&error))
        }
        _ => ends(output),
    }
}

/// Wraps the body of a named iterator: if the type is none, the wrapped type is unknown, and no second error follows.
fn named(function: &Function, form: &Form, job: TokenStream) -> TokenStream {
    let output = function.output();
    let (ty, method) = match form {
        Form::Items => (&output, "made_by"),
        Form::OpenedItems | Form::Opened => (opened(&output), "opened_by"),
        Form::Pushed => return job,
    };
    if opaque::has_impl_trait(ty) {
        return job;
    }
    let made_by = projection(ty, ends(ty), "Iterates", method);
    called(&made_by, job, ends(ty).1)
}

/// What is in a result, or what is none.
fn opened(output: &Type) -> &Type {
    first_argument(output).unwrap_or(output)
}

/// How an item is made of the error of what opens their iterator, where they are results.
pub(crate) fn of_opening(function: &Function, form: &Form) -> Option<TokenStream> {
    matches!(form, Form::OpenedItems).then(|| {
        let place = ends_of_error(&function.output());
        let item = projection_by(&Token![_](place.0), place, "OfOpening", "item");
        quote!(#item,)
    })
}

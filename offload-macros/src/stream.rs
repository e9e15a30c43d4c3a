//! Functions with `stream`, and what they become. Callers get a `Stream`, and await nothing.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    AssocType, FnArg, GenericArgument, PathArguments, ReturnType, Signature, Token, Type,
    TypeParamBound, TypePath, parse_quote, parse_quote_spanned,
};

use crate::borrows;
use crate::check_stream;
use crate::describe;
use crate::expand::{ends, output, projection, projection_of, runtime, wrapper, wrapper_signature};
use crate::function::{Argument, Function, is_sink};
use crate::options::{Given, Options};
use crate::outlives;

/// So many items are made ahead, unless it is said.
const ROOM: usize = 16;

/// How a body makes its items, by its result.
pub(crate) enum Form {
    /// `impl Iterator<Item = T>`
    Items,
    /// `Result<impl Iterator<Item = Result<T, _>>, E>`: an item carries the opening's error.
    OpenedItems,
    /// `Result<impl Iterator<Item = T>, E>`: the items of the stream are results.
    Opened,
    /// `out: &mut Sink<T>`
    Pushed,
}

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
///     <_ as __offload::Iterates>::items({ static …; &__FUNCTION }, __offload::None, 64, move || -> _ { __body(path) })
/// }
/// ```
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    let runtime = runtime(options);
    let form = form(function);
    let item = item(options, function, &form, &runtime);
    let this = describe::function(options, function, None);
    let fail = fail(options, function, &form, &item);
    let (signature, place) = signature(options, function, &item, &runtime);
    let call = asked(function, &form, form.call());
    let ahead = match form {
        Form::Pushed => shape(options),
        _ => room(options),
    };
    wrapper(options, function, signature, |job| {
        let given = quote!({ #this }, #fail, #ahead, #job);
        let mut given = Group::new(Delimiter::Parenthesis, given);
        // What is said of the call is said of the type.
        given.set_span(place);
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
    let place = match &function.signature.output {
        ReturnType::Type(_, ty) => ends(ty).1,
        ReturnType::Default => function.signature.ident.span(),
    };
    if let Some(made) = made(&output(function)) {
        outlives::ask_of(&made, function, &mut signature);
    }
    signature.asyncness = None;
    signature.output = parse_quote_spanned! {place=>
        -> impl #runtime::Stream<Item = #item> + ::core::marker::Send + 'static
    };
    (signature, place)
}

/// The result of a function that is used wrongly: a stream of what its items would be, as far as
/// its tokens say.
pub(crate) fn stub_result(options: &Options, function: &Function) -> ReturnType {
    let runtime = runtime(options);
    let sent = function.arguments.iter().find_map(|argument| sent(&argument.ty));
    let item = match (&function.signature.output, sent) {
        (ReturnType::Default, _) => quote!(()),
        (ReturnType::Type(_, ty), Some(sent)) => {
            with_first_argument((**ty).clone(), &sent.to_token_stream()).into_token_stream()
        }
        (ReturnType::Type(_, ty), None) => match check_stream::no_iterator(ty) {
            Some(_) if is_result(ty) => ty.to_token_stream(),
            Some((_, item)) => item.to_token_stream(),
            None => item(options, function, &form(function), &runtime),
        },
    };
    // What borrows without saying from whom is an error of its own, and that it borrows is said already.
    let item = match syn::parse2(item.clone()) {
        Ok(item) => borrows::lent_for_ever(&item).into_token_stream(),
        Err(_) => item,
    };
    parse_quote!(-> ::core::pin::Pin<#runtime::Box<dyn #runtime::Stream<Item = #item> + ::core::marker::Send>>)
}

/// Whether callers do not give it, though it is no `&mut Sink<…>` as it should be.
pub(crate) fn is_given_away(input: &FnArg) -> bool {
    matches!(input, FnArg::Typed(typed) if is_sink(&typed.ty))
}

/// What the body was to send into: a stub, which sends nothing, names it all the same.
pub(crate) fn types_of_sinks(function: &Function) -> impl Iterator<Item = &Type> {
    function.arguments.iter().map(|argument| &argument.ty).filter(|ty| sent(ty).is_some())
}

/// `T` of `&mut Sink<T>`, or of a `Sink<T>` that is given away.
pub(crate) fn sent(ty: &Type) -> Option<&Type> {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    };
    is_sink(ty).then(|| first_argument(ty))?
}

impl Form {
    fn call(&self) -> &'static str {
        match self {
            Form::Items => "items",
            Form::OpenedItems => "opened_items",
            Form::Opened => "opened",
            Form::Pushed => "pushed",
        }
    }
}

/// What the body of a stream pushes into.
pub(crate) fn sink(function: &Function) -> Option<&Argument> {
    function.arguments.iter().find(|argument| argument.is_sink())
}

pub(crate) fn form(function: &Function) -> Form {
    if sink(function).is_some() {
        return Form::Pushed;
    }
    let output = output(function);
    if !is_result(&output) {
        return Form::Items;
    }
    match first_argument(&output).and_then(made) {
        Some(made) if is_result(&made) => Form::OpenedItems,
        _ => Form::Opened,
    }
}

/// `Result<…>`, `io::Result<…>`, or what is called so.
pub(crate) fn is_result(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| {
        last.ident.to_string().ends_with("Result")
    })) && first_argument(ty).is_some()
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

/// The result with another type in the place of what comes first in it.
fn with_first_argument(mut ty: Type, first: &TokenStream) -> Option<Type> {
    let Type::Path(path) = &mut ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &mut path.path.segments.last_mut()?.arguments
    else {
        return None;
    };
    let place = arguments.args.iter_mut().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })?;
    *place = parse_quote!(#first);
    Some(ty)
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

/// What the stream's items are.
pub(crate) fn item(
    options: &Options,
    function: &Function,
    form: &Form,
    runtime: &TokenStream,
) -> TokenStream {
    let output = output(function);
    let made_by = |ty: &Type| match ty {
        Type::Path(_) => in_signature(ty, runtime, "Iterates", "Made"),
        _ => made(ty).map_or_else(|| quote!(()), |made| made.to_token_stream()),
    };
    match form {
        Form::Items => made_by(&output),
        Form::OpenedItems => first_argument(&output).map_or_else(TokenStream::new, made_by),
        Form::Opened => {
            let made = first_argument(&output).map_or_else(|| quote!(()), made_by);
            with_first_argument(output, &made).into_token_stream()
        }
        Form::Pushed => {
            let sent = sink(function).and_then(|sink| sent(&sink.ty));
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

/// [`projection`], where the runtime has no name of its own yet.
fn in_signature(ty: &Type, runtime: &TokenStream, bound: &str, output: &str) -> TokenStream {
    let (first, last) = ends(ty);
    let runtime = runtime.clone().into_iter().map(|mut token| {
        token.set_span(last);
        token
    });
    let (bound, output) = (Ident::new(bound, last), Ident::new(output, last));
    let open = Token![<](first);
    let rest = quote_spanned!(last=> as #(#runtime)*::#bound>::#output);
    quote!(#open #ty #rest)
}

/// How an `Error` of the offload becomes an item, or, where a body pushes, a result.
fn fail(options: &Options, function: &Function, form: &Form, item: &TokenStream) -> TokenStream {
    let output = output(function);
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

/// `<I as __offload::Iterates>::items`: what is no iterator is said so, at the type, and nothing else.
fn asked(function: &Function, form: &Form, what: &str) -> TokenStream {
    let output = output(function);
    let (ty, bound) = match form {
        Form::Items => (output, "Iterates"),
        Form::OpenedItems | Form::Opened => {
            (first_argument(&output).cloned().unwrap_or(output), "Iterates")
        }
        Form::Pushed => (output, "Ends"),
    };
    let place = ends(&ty);
    if borrows::infer_impl_trait(&ty).1 {
        return projection(&Token![_](place.0), place, bound, what);
    }
    projection(&ty, place, bound, what)
}

//! What is emitted when the attribute is used wrongly: the errors, and the
//! function all the same, so that its callers add no error of their own.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Error, FnArg, PatType, ReturnType, Signature, Token, Type, parse_quote};

use crate::check::item::is_offload;
use crate::check::stream::no_iterator;
use crate::expand;
use crate::expand::wrapper::{runtime, sync_function};
use crate::function::column::Column;
use crate::function::form::form;
use crate::function::other_items::is_closure;
use crate::function::{Body, Function};
use crate::options::Options;
use crate::tokens::items::{is_result, made, sent, with_first_argument};
use crate::tokens::parameters::outer_parameter;
use crate::tokens::{borrows, calls, mentions, opaque, sizes};

/// What is not a function stays as it was.
pub(crate) fn unchanged(error: &Error, item: TokenStream) -> TokenStream {
    let errors = error.to_compile_error();
    let is_closure = |input: ParseStream| {
        let is_closure = is_closure(input);
        input.parse::<TokenStream>().map(|_| is_closure)
    };
    if is_closure.parse2(item.clone()).unwrap_or(false) {
        quote!({ #errors #item })
    } else {
        quote!(#errors #item)
    }
}

/// The attribute itself went wrong: that is said, and the function stays as it was.
pub(crate) fn panicked(item: TokenStream) -> TokenStream {
    let message = "`#[offload]` cannot make anything of this function, and should have said why: \
                   please report it, with the function";
    unchanged(&Error::new(proc_macro2::Span::call_site(), message), item)
}

/// The errors, and a stub with the promised signature.
///
/// Its body is kept where it can be, as a future that nobody awaits: what only the body uses is
/// not reported as unused. A body that calls its own function would find an async one in its place,
/// and is left out; so is one whose signature has a type without a known size, or an undeclared
/// lifetime.
pub(crate) fn stub(error: &Error, options: &Options, mut function: Function) -> TokenStream {
    let errors = error.to_compile_error();
    let has_sizes = !give_sizes(options, &mut function);
    let is_declared = !declare_lifetimes(&mut function);
    let function = &function;
    let Function { visibility, .. } = function;
    let attributes = function.attributes.iter().filter(|attribute| !is_offload(attribute));
    let mut signature = function.signature.clone();
    signature.constness = None;
    signature.abi = None;
    signature.variadic = None;
    let block = function.block();
    signature.inputs = expand::resources::without(function, signature.inputs);
    if options.stream.is_some() {
        let inputs = signature.inputs.into_iter();
        signature.inputs = inputs.filter(|input| !is_given_away(input)).collect();
    }
    let is_kept = has_sizes
        && is_declared
        && !function.has_resources()
        && !mentions(block.stream(), &signature.ident.to_string());
    let sync = options.sync.as_ref().filter(|sync| sync.value.ident != signature.ident);
    let sync = sync.map(|sync| {
        let block =
            if is_kept { block.clone() } else { Group::new(Delimiter::Brace, quote!(loop {})) };
        let sync = sync_function(function, &sync.value, &block);
        quote!(#[allow(unused)] #sync)
    });
    let body = match &function.body {
        Body::Missing(Some(semicolon)) => {
            make_async(&mut signature);
            semicolon.to_token_stream()
        }
        Body::Missing(None) => {
            make_async(&mut signature);
            quote!({ loop {} })
        }
        Body::Block(_) if options.stream.is_some() => {
            // Callers await nothing.
            signature.asyncness = None;
            signature.output = stub_result(options, function);
            let given_away = types_of_sinks(function);
            quote!({ #(let _ = |_: #given_away| {};)* loop {} })
        }
        Body::Block(_) if signature.asyncness.is_some() || has_own_future(function) => {
            make_async(&mut signature);
            match &mut signature.output {
                ReturnType::Type(_, ty) if !can_elide(function) && borrows::elides(ty) => {
                    **ty = borrows::lent_for_ever(ty);
                }
                _ => {}
            }
            if is_kept { block.to_token_stream() } else { quote!({ loop {} }) }
        }
        Body::Block(_) => {
            // Not an `async fn`, which demands of types that they show what they borrow.
            // A future of what borrows from a parameter would have to say for how long.
            let boxed = match &signature.output {
                ReturnType::Type(_, ty) => boxed(ty, options, function),
                ReturnType::Default => None,
            };
            let (result, borrows) = match &signature.output {
                _ if boxed.is_some() => (boxed.into_token_stream(), true),
                ReturnType::Default => (quote!(()), false),
                ReturnType::Type(_, ty) if can_elide(function) || !borrows::elides(ty) => {
                    (ty.to_token_stream(), borrows::find(ty).is_some())
                }
                ReturnType::Type(_, ty) => {
                    (borrows::lent_for_ever(ty).into_token_stream(), borrows::find(ty).is_some())
                }
            };
            signature.output = parse_quote!(-> impl ::core::future::Future<Output = #result>);
            for input in &mut signature.inputs {
                let FnArg::Typed(PatType { ty, .. }) = input else { continue };
                if opaque::has_impl_trait(ty) {
                    **ty = borrows::lent_for_ever(ty);
                }
            }
            // Only a block that is left once may give back what it was lent.
            let unused = (is_kept && !borrows).then(|| {
                // What is said of this block is said of the body.
                let place = Span::mixed_site().located_at(block.span());
                let result = quote_spanned! {place=>
                    if false {
                        let result: #result = loop {};
                        return result;
                    }
                };
                let mut within = Group::new(Delimiter::Brace, quote!(#result #block));
                within.set_span(place);
                quote_spanned!(place=> let _ = async move #within;)
            });
            quote!({ #unused ::core::future::pending() })
        }
    };
    let spawn = spawn_stub(options, function);
    quote! {
        #errors
        #sync
        #spawn
        #(#attributes)*
        #[allow(async_fn_in_trait, refining_impl_trait, unused, clippy::all)]
        #visibility #signature #body
    }
}

/// Puts what has no size that is known into a `Box`, in the whole signature, and tells whether there was any.
fn give_sizes(options: &Options, function: &mut Function) -> bool {
    let runtime = runtime(options);
    let generics = function.signature.generics.clone();
    let mut found = function.given().any(|argument| sizes::is_maybe(&argument.ty, &generics))
        || sizes::is_maybe(&function.output(), &generics);
    if found {
        sizes::require_sized(&mut function.signature);
    }
    let is_pushed = types_of_sinks(function).next().is_some();
    if let ReturnType::Type(_, ty) = &mut function.signature.output {
        let mut made = made(ty).filter(|_| options.stream.is_some() && !is_pushed);
        let found_in_made = made.as_mut().is_some_and(|made| sizes::box_each(made, &runtime));
        found |= sizes::box_each(ty, &runtime) || found_in_made;
        if found && options.stream.is_some() && !is_pushed {
            let made = made.map_or_else(|| quote!(()), |made| made.into_token_stream());
            let iterator = quote!(impl ::core::iter::Iterator<Item = #made>);
            **ty = match with_first_argument((**ty).clone(), &iterator) {
                Some(result) if is_result(ty) => result,
                _ => parse_quote!(#iterator),
            };
        }
    }
    for input in &mut function.signature.inputs {
        if let FnArg::Typed(PatType { ty, .. }) = input {
            found |= sizes::box_each(ty, &runtime);
        }
    }
    for argument in &mut function.arguments {
        sizes::box_each(&mut argument.ty, &runtime);
    }
    found
}

/// Replaces lifetimes that nobody declares, so that the stub adds no E0261; true if there were any. A method may use one of its
/// `impl` block, so it is left alone.
fn declare_lifetimes(function: &mut Function) -> bool {
    if function.column != Column::First || function.receiver.is_some() {
        return false;
    }
    let signature = &mut function.signature;
    let declared: Vec<_> =
        signature.generics.lifetimes().map(|declared| declared.lifetime.clone()).collect();
    let mut found = false;
    for input in &mut signature.inputs {
        if let FnArg::Typed(PatType { ty, .. }) = input {
            found |= borrows::redeclare(ty, &declared, "'_");
        }
    }
    if let ReturnType::Type(_, ty) = &mut signature.output {
        found |= borrows::redeclare(ty, &declared, "'static");
    }
    found
}

fn make_async(signature: &mut Signature) {
    signature.asyncness.get_or_insert_with(|| Token![async](signature.fn_token.span));
}

/// Whether only its body makes what the function promises: an `impl Trait`, or something awaited.
/// `!` is no type of which a future could be.
fn has_own_future(function: &Function) -> bool {
    let awaits = match &function.body {
        Body::Block(block) => calls::first_await(block.stream()).is_some(),
        Body::Missing(_) => false,
    };
    let is_never = function.returns_never();
    awaits || is_never || function.returns_impl_trait()
}

/// Whether a result may borrow without saying from whom.
fn can_elide(function: &Function) -> bool {
    let lenders =
        function.arguments.iter().filter(|argument| borrows::find(&argument.ty).is_some());
    function.receiver.is_some() || lenders.count() == 1
}

/// A result that borrows from type parameters, of the function's or by their look, with a `Box` in
/// the place of each reference: how large they are is not known either.
fn boxed(ty: &Type, options: &Options, function: &Function) -> Option<Type> {
    borrows::find(ty)?;
    let generics = &function.signature.generics;
    let tokens = ty.to_token_stream();
    let own = generics
        .type_params()
        .any(|parameter| mentions(tokens.clone(), &parameter.ident.to_string()));
    let is_some = own || outer_parameter(tokens).is_some();
    is_some.then(|| borrows::boxed(ty, &runtime(options)))
}

/// The result of a function that is used wrongly: a stream of what its items would be, as far as
/// its tokens say.
fn stub_result(options: &Options, function: &Function) -> ReturnType {
    let runtime = runtime(options);
    let sent = function.arguments.iter().find_map(|argument| sent(&argument.ty));
    let item = match (&function.signature.output, sent) {
        (ReturnType::Default, _) => quote!(()),
        (ReturnType::Type(_, ty), Some(sent)) => {
            with_first_argument((**ty).clone(), &sent.to_token_stream()).into_token_stream()
        }
        (ReturnType::Type(_, ty), None) => match no_iterator(ty) {
            Some(_) if is_result(ty) => ty.to_token_stream(),
            Some((_, item)) => item.to_token_stream(),
            None => expand::stream::item(options, function, &form(function), &runtime),
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
fn is_given_away(input: &FnArg) -> bool {
    matches!(input, FnArg::Typed(typed) if sent(&typed.ty).is_some())
}

/// What the body was to send into: a stub, which sends nothing, names it all the same.
fn types_of_sinks(function: &Function) -> impl Iterator<Item = &Type> {
    function.arguments.iter().map(|argument| &argument.ty).filter(|ty| sent(ty).is_some())
}

/// What starts nothing, for a function that is used wrongly: its callers find it all the same.
fn spawn_stub(options: &Options, function: &Function) -> Option<TokenStream> {
    let ident = &options.spawn.as_ref()?.value.ident;
    let result = function.output();
    let others =
        [Some(&function.signature.ident), options.sync.as_ref().map(|sync| &sync.value.ident)];
    if others.contains(&Some(ident))
        || opaque::has_no_name(&result)
        || borrows::find(&result).is_some()
    {
        return None;
    }
    let (visibility, signature) =
        (&function.visibility, expand::spawn::signature(options, function, ident));
    Some(quote!(#[allow(unused)] #visibility #signature { loop {} }))
}

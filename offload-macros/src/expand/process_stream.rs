//! Checked `process` function with `stream` → what gives a stream of what its worker makes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::attributes::{silence_refinement, wrapper_attributes};
use super::process::{entry, hold, in_worker, send};
use super::projection::{arguments_of, called, projection};
use super::wrapper::{block, body_function, body_name, free_name, runtime, sync_function};
use super::{describe, stream};
use crate::function::Function;
use crate::function::form::{Form, form};
use crate::options::Options;
use crate::tokens::ends;
use crate::tokens::items::{made, sent};

/// Input:
///
/// ```text
/// #[offload(process, stream = 64)]
/// fn pages(document: Document, out: &mut Sink<Page>) -> Result<(), Error> { … }
/// ```
///
/// Output:
///
/// ```text
/// fn pages(document: Document) -> impl __offload::Stream<Item = Result<Page, Error>> + Send + 'static {
///     // As of a function that is awaited, and then:
///     let document = document;
///     <Page as __offload::Transfer>::pushed(
///         <Result<(), Error> as __offload::RemoteEnds>::end(),
///         {
///             static __FUNCTION: __offload::Function = __offload::Function::process(…, |arguments| {
///                 let document = <Document as __offload::InWorker>::TYPE.offload_take(arguments)?;
///                 __offload::Arguments::end(arguments)?;
///                 let mut out = <Page as __offload::InWorker>::TYPE.offload_sink(arguments)?;
///                 let result = __body(document, &mut out);
///                 __offload::Known::of(&result).offload_ended(result, out, arguments);
///                 __offload::Ok(())
///             });
///             …
///         },
///         __offload::Shape { room: 64, stall_timeout: __offload::None },
///         move |outbound| <Document as __offload::Transfer>::send(&document, outbound),
///     )
/// }
/// ```
///
/// Of an iterator, `<Result<Page, Error> as __offload::RemoteItem>` is asked for the stream.
pub(crate) fn expand(options: &Options, function: &Function) -> TokenStream {
    let sync = options.sync.as_ref().map(|sync| &sync.value);
    let sync_function = sync.map(|sync| sync_function(function, sync, &function.block()));
    let runtime = runtime(options);
    let form = form(function);
    let item = stream::item(options, function, &form, &runtime);
    let (signature, _) = stream::signature(options, function, &item, &runtime);
    let mut attributes = wrapper_attributes(function, sync.is_some());
    silence_refinement(function, &mut attributes);
    let visibility = &function.visibility;
    let hidden = body_name(function);
    let (body, body_function) = match sync {
        Some(sync) => (&sync.ident, None),
        None => (&hidden, Some(body_function(function, &hidden))),
    };
    let Asked { call, place, end, answer } = asked(function, &form, &item);
    let entry = entry(function, body, answer);
    let this = describe::function(options, function, Some(entry));
    let shape = stream::shape(options);
    let outbound = free_name(function, "__outbound");
    let holds = function.given().map(hold);
    let sends = function.given().map(|argument| send(argument, &outbound));
    let given = arguments_of(
        quote! {
            #end
            { #this },
            #shape,
            move |#outbound: &mut __offload::Outbound| {
                let _ = &#outbound;
                #(#sends)*
            },
        },
        place,
    );
    let block = block(
        function,
        quote! {
            use #runtime as __offload;
            #body_function
            #(#holds)*
            #call #given
        },
    );
    quote! {
        #sync_function
        #(#attributes)*
        #visibility #signature #block
    }
}

/// What the compiler is asked of the types.
struct Asked<A> {
    /// What makes the stream, and where the type ends that is asked for it.
    call: TokenStream,
    place: Span,
    /// How it ends, where `call` does not know.
    end: Option<TokenStream>,
    /// In the worker: of what runs the body, what sends what it makes.
    answer: A,
}

type Answer<'a> = Box<dyn FnOnce(TokenStream) -> TokenStream + 'a>;

fn asked<'a>(function: &'a Function, form: &Form, item: &TokenStream) -> Asked<Answer<'a>> {
    let output = function.output();
    let (result, arguments) = (free_name(function, "__result"), free_name(function, "__arguments"));
    let sink = function.sink();
    if let Some((sink, sent)) = sink.and_then(|sink| Some((sink, sent(&sink.ty)?))) {
        let (item_place, place) = (ends(&sent), ends(&output));
        let known = in_worker(sent, item_place);
        let end = projection(&output, place, "RemoteEnds", "end");
        let end = called(&end, TokenStream::new(), place.1);
        let held = &sink.held;
        return Asked {
            call: projection(sent, item_place, "Transfer", "pushed"),
            place: item_place.1,
            end: Some(quote!(#end,)),
            answer: Box::new(move |run| {
                quote! {
                    let mut #held = #known.offload_sink(#arguments)?;
                    let #result = #run;
                    __offload::Known::of(&#result).offload_ended(#result, #held, #arguments);
                    __offload::Ok(())
                }
            }),
        };
    }
    let method = match form {
        Form::Items | Form::Pushed => "offload_send_items",
        Form::OpenedItems => "offload_send_opened_items",
        Form::Opened => "offload_send_opened",
    };
    // An item's type as it is written, or what is around it.
    let place = match form {
        Form::Items => made(&output).map_or_else(|| ends(&output), |made| ends(&made)),
        _ => ends(&output),
    };
    let method = Ident::new(method, place.1);
    let of_opening = stream::of_opening(function, form);
    Asked {
        call: projection(item, place, "RemoteItem", "items"),
        place: place.1,
        end: None,
        answer: Box::new(move |run| {
            // What is said of the call is said of the type.
            let send = arguments_of(quote!(#result, #of_opening #arguments), place.1);
            quote! {
                let #result = #run;
                __offload::Known::of(&#result).#method #send
            }
        }),
    }
}

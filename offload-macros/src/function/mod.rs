//! The function below the attribute, in the parts that the expansion treats each in its own way.

pub(crate) mod column;
pub(crate) mod form;
pub(crate) mod other_items;
pub(crate) mod parse;

use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Lifetime, Pat, Path, ReceiverKind, ReturnType, Signature, Token, Type, Visibility,
    parse_quote_spanned,
};

use self::column::Column;
use crate::tokens::items::is_sink;
use crate::tokens::{borrows, mentions, opaque, receiver};

/// The function below the attribute.
pub(crate) struct Function {
    /// Those below `#[offload]`, and those inside the body (`#![allow(…)]`).
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// As it was written, except that `#[to_owned]` and `#[resource(…)]` are taken off its arguments.
    pub(crate) signature: Signature,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) body: Body,
    /// Whether the body can be a function inside of a function: it needs nothing of an `impl`
    /// block around it.
    pub(crate) stands_alone: bool,
    /// Where its attribute begins.
    pub(crate) column: Column,
}

/// What follows the signature.
pub(crate) enum Body {
    /// `{ … }`
    Block(Group),
    /// `;`, as in a trait; or nothing yet, in an editor.
    Missing(Option<Token![;]>),
}

/// `self`, in any of its forms.
pub(crate) struct Receiver {
    pub(crate) to_owned: Option<Attribute>,
    pub(crate) syntax: syn::Receiver,
    /// The local that is the copy of `self`: what the body calls `self` is called so instead.
    pub(crate) this: Ident,
}

/// An argument other than `self`.
pub(crate) struct Argument {
    pub(crate) to_owned: Option<Attribute>,
    /// Callers do not give it: its body borrows it.
    pub(crate) resource: Option<Attribute>,
    /// Those that decide whether the argument is there at all.
    pub(crate) cfg: Vec<Attribute>,
    /// The others; they belong where the body sees the argument.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    /// What the wrapper calls it.
    pub(crate) name: Ident,
    /// The wrapper's own local for it, which nobody else sees.
    pub(crate) held: Ident,
}

impl Receiver {
    /// What `#[to_owned]` copies: `Self`, or `Arc<Self>` of `self: &Arc<Self>`.
    pub(crate) fn borrowed(&self) -> Type {
        match &self.syntax.kind {
            ReceiverKind::Typed(_, ty) => match &**ty {
                Type::Reference(reference) => (*reference.elem).clone(),
                other => other.clone(),
            },
            _ => parse_quote_spanned!(self.syntax.self_token.span=> Self),
        }
    }

    /// The `&` of `&self` and `&mut self`, and whether there is a `mut`. What is `'static` is lent
    /// by nobody.
    pub(crate) fn reference(&self) -> Option<(&Token![&], bool)> {
        let is_static = |lifetime: &Option<Lifetime>| {
            self.to_owned.is_none()
                && lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
        };
        match &self.syntax.kind {
            ReceiverKind::Reference(_, lifetime, _) if is_static(lifetime) => None,
            ReceiverKind::Reference(and, _, mutability) => Some((and, mutability.is_some())),
            ReceiverKind::Typed(_, ty) => match &**ty {
                Type::Reference(reference) if is_static(&reference.lifetime) => None,
                Type::Reference(reference) => {
                    Some((&reference.and_token, reference.mutability.is_some()))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Receiver {
    /// Whether it names a lifetime.
    pub(crate) fn names(&self, lifetime: &Lifetime) -> bool {
        match &self.syntax.kind {
            ReceiverKind::Reference(_, named, _) => named.as_ref() == Some(lifetime),
            ReceiverKind::Typed(_, ty) => borrows::mentions_lifetime(ty, lifetime),
            _ => false,
        }
    }

    /// As it is written where nobody else names what it borrows from.
    pub(crate) fn without_lifetime(&self) -> syn::Receiver {
        let mut syntax = self.syntax.clone();
        match &mut syntax.kind {
            ReceiverKind::Reference(_, lifetime, _) => *lifetime = None,
            ReceiverKind::Typed(_, ty) => {
                if let Type::Reference(reference) = &mut **ty {
                    reference.lifetime = None;
                }
            }
            _ => {}
        }
        syntax
    }
}

impl Argument {
    /// Whether the async function has it, too: neither a resource nor a `Sink`.
    pub(crate) fn is_given(&self) -> bool {
        self.resource.is_none() && !self.is_sink()
    }

    /// `out: &mut Sink<T>`, into which the body of a stream pushes.
    pub(crate) fn is_sink(&self) -> bool {
        matches!(&self.ty, Type::Reference(reference) if reference.mutability.is_some() && is_sink(&reference.elem))
    }

    /// `out: Sink<T>` or `out: &Sink<T>`, into which no body can push.
    pub(crate) fn mistaken_sink(&self) -> Option<&Type> {
        match &self.ty {
            Type::Reference(reference) if reference.mutability.is_some() => None,
            Type::Reference(reference) => Some(&*reference.elem),
            ty => Some(ty),
        }
        .filter(|ty| is_sink(ty))
    }

    /// The type behind the `&` of `#[to_owned] name: &str`.
    pub(crate) fn borrowed(&self) -> Option<&Type> {
        match (&self.to_owned, &self.ty) {
            (Some(_), Type::Reference(reference)) => Some(&reference.elem),
            _ => None,
        }
    }

    /// `#[to_owned] name: &impl AsRef<str>`
    pub(crate) fn is_lent_without_name(&self) -> bool {
        self.borrowed().is_some_and(opaque::has_impl_trait)
    }

    /// Whether the pattern is no more than a name: `x` or `mut x`.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.pattern, Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none())
    }

    /// Whether its name says that it is not used.
    pub(crate) fn is_underscored(&self) -> bool {
        self.name.to_string().starts_with('_')
    }
}

impl Function {
    /// An argument with the name of what the expansion calls does not stand in its way.
    pub(crate) fn hide_argument(&mut self, called: &Ident) {
        for argument in &mut self.arguments {
            if argument.name == *called {
                argument.name = argument.held.clone();
            }
        }
    }

    /// The arguments that callers give.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| argument.is_given())
    }

    /// What the body borrows and callers do not give.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&Argument, &Attribute)> {
        let arguments = self.arguments.iter();
        arguments.filter_map(|argument| Some((argument, argument.resource.as_ref()?)))
    }

    pub(crate) fn has_resources(&self) -> bool {
        self.resources().next().is_some()
    }

    /// What the body of a stream pushes into.
    pub(crate) fn sink(&self) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.is_sink())
    }

    /// The type that it returns.
    pub(crate) fn output(&self) -> Type {
        match &self.signature.output {
            ReturnType::Type(_, ty) => (**ty).clone(),
            ReturnType::Default => parse_quote_spanned!(self.signature.ident.span()=> ()),
        }
    }

    /// Whether it returns `!`.
    pub(crate) fn returns_never(&self) -> bool {
        matches!(&self.signature.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)))
    }

    /// Whether there is an `impl Trait` in what it returns.
    pub(crate) fn returns_impl_trait(&self) -> bool {
        matches!(&self.signature.output, ReturnType::Type(_, ty) if opaque::has_impl_trait(ty))
    }

    /// The braces of the body, with nothing between them if there is none.
    pub(crate) fn block(&self) -> Group {
        match &self.body {
            Body::Block(block) => block.clone(),
            Body::Missing(_) => Group::new(Delimiter::Brace, TokenStream::new()),
        }
    }

    /// Whether it stands in an `impl` block, as far as its own tokens show.
    pub(crate) fn is_associated(&self) -> bool {
        self.receiver.is_some()
            || mentions(self.signature.to_token_stream(), "Self")
            || receiver::own_type(self.block().stream()).is_some()
    }
}

/// The `static` that `#[resource(DB)]` names.
pub(crate) fn resource_path(attribute: &Attribute) -> Option<Path> {
    attribute.parse_args_with(Path::parse_mod_style).ok()
}

//! The rule about types that have no size that is known: nothing of them is handed on.

use syn::{ReturnType, Type, parse_quote};

use super::advice::{self, Advice, Position};
use super::stream::no_iterator;
use crate::errors::Errors;
use crate::function::Function;
use crate::options::Options;
use crate::tokens::arguments::first_argument;
use crate::tokens::items::{is_result, made, sent};
use crate::tokens::{borrows, known, sizes, text};

/// The advice where a `process` function has a `dyn Trait`: why it cannot be sent to another process, and what can.
pub(super) const CONCRETE: &str = "another process has to know the type of what it reads, so write one that is concrete, an `enum` perhaps";

/// Adds an error at each argument and result that is of that kind, or has a part that is.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    let rule = Rule { options, function };
    for argument in &function.arguments {
        match &argument.ty {
            Type::Reference(lent) if argument.resource.is_some() => {
                let handed = if lent.mutability.is_some() { Handed::Lent } else { Handed::Shared };
                rule.check(&lent.elem, handed, errors);
            }
            // A resource that is taken by value: another rule reports that.
            _ if argument.resource.is_some() => {}
            Type::Reference(_) if argument.to_owned.is_some() => {
                rule.check_owned(&argument.ty, Handed::Taken, errors);
            }
            _ if argument.to_owned.is_some() => {}
            ty if argument.is_sink() => {
                if let (Some(sent), Some(_)) = (sent(ty), &options.stream) {
                    rule.check(sent, Handed::Sent, errors);
                }
            }
            ty => rule.check(ty, Handed::Taken, errors),
        }
    }
    let ReturnType::Type(_, ty) = &function.signature.output else { return };
    match (&options.stream, made(ty)) {
        (Some(_), _) if function.sink().is_none() && no_iterator(ty).is_some() => {}
        (Some(_), Some(made)) if sizes::find(ty).is_none() => {
            rule.check(&made, Handed::Iterated, errors);
        }
        _ => rule.check(ty, Handed::Returned, errors),
    }
}

/// What is done with what has the type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handed {
    /// For one body at a time.
    Lent,
    /// For many.
    Shared,
    Taken,
    Sent,
    /// As the items of an iterator.
    Iterated,
    Returned,
}

impl Handed {
    fn verb(self) -> &'static str {
        match self {
            Handed::Lent | Handed::Shared => "lend",
            Handed::Taken => "take",
            Handed::Sent => "send",
            Handed::Iterated => "make items of",
            Handed::Returned => "return",
        }
    }

    fn position(self) -> Position {
        match self {
            Handed::Lent | Handed::Shared | Handed::Taken => Position::Argument,
            Handed::Sent | Handed::Iterated | Handed::Returned => Position::Result,
        }
    }
}

struct Rule<'a> {
    options: &'a Options,
    function: &'a Function,
}

impl Rule<'_> {
    fn check(&self, ty: &Type, handed: Handed, errors: &mut Errors) {
        // Of what borrows that is said.
        if borrows::find(ty).is_none() {
            self.check_owned(ty, handed, errors);
        }
    }

    fn check_owned(&self, ty: &Type, handed: Handed, errors: &mut Errors) {
        if sizes::is_maybe(ty, &self.function.signature.generics) {
            // That another process has to know the type is said.
            if !self.options.is_process() {
                self.maybe(ty, handed, errors);
            }
            return;
        }
        let Some(part) = sizes::find(ty) else { return };
        let is_whole = known::is_whole(&part, ty);
        let fix = match self.instead(ty, &part, handed) {
            Ok(instead) => format!("{} {instead}", if is_whole { handed.verb() } else { "write" }),
            Err(why) => why,
        };
        errors.at(&part, format_args!("`{}` has no size that is known: {fix}", text(&part)));
    }

    /// Of a type that says of itself that it may have none.
    fn maybe(&self, ty: &Type, handed: Handed, errors: &mut Errors) {
        let mut sized = ty.clone();
        if let Type::ImplTrait(opaque) = &mut sized {
            let bounds = std::mem::take(&mut opaque.bounds);
            opaque.bounds =
                bounds.into_iter().filter(|bound| !sizes::is_maybe_bound(bound)).collect();
        }
        let is_nothing = matches!(&sized, Type::ImplTrait(opaque) if opaque.bounds.is_empty());
        let advice = (!is_nothing)
            .then(|| advice::owned(&sized, handed.position(), &self.function.signature.generics));
        let fix = match (&sized, advice) {
            (_, None) => format!("{} a type with a name", handed.verb()),
            (Type::ImplTrait(_), Some(Ok(advice))) => {
                format!("{} `{}`", handed.verb(), text(&advice.owned))
            }
            (_, Some(Ok(advice))) => format!("remove `?Sized`{}", advice.bounds),
            (_, Some(Err(why))) => why.to_owned(),
        };
        errors.at(ty, format_args!("`{}` has no size that is known: {fix}", text(ty)));
    }

    /// What is written in the place of this part of the type; or why nothing can be.
    fn instead(&self, ty: &Type, part: &Type, handed: Handed) -> Result<String, String> {
        let is_whole = known::is_whole(part, ty);
        let is_iterator = self.is_iterator(ty, part, handed);
        let stays =
            matches!(handed, Handed::Lent | Handed::Shared) || is_iterator && made(part).is_some();
        if self.options.is_process() && !stays && matches!(part, Type::TraitObject(_)) {
            return Err(CONCRETE.to_owned());
        }
        let lent: Type = match part {
            Type::Slice(slice) if is_iterator => (*slice.elem).clone(),
            Type::TraitObject(object) if handed == Handed::Shared => {
                let mut object = object.clone();
                if !object.bounds.iter().any(|bound| text(bound) == "Sync") {
                    object.bounds.push(parse_quote!(Sync));
                }
                parse_quote!(&(#object))
            }
            _ => parse_quote!(&(#part)),
        };
        let generics = &self.function.signature.generics;
        let Advice { owned, bounds } = advice::owned(&lent, handed.position(), generics)?;
        let owned = match made(part) {
            None if is_iterator => format!("impl Iterator<Item = {}>", text(&owned)),
            _ => text(&owned),
        };
        let can_fail = self.options.is_process() || self.options.fallible().next().is_some();
        Ok(if is_whole && handed == Handed::Returned && can_fail {
            format!("`Result<{owned}, offload_runtime::Error>`{bounds}")
        } else {
            format!("`{owned}`{bounds}")
        })
    }

    /// Whether the part is where the iterator of a stream is written.
    fn is_iterator(&self, ty: &Type, part: &Type, handed: Handed) -> bool {
        let ty = known::bare(ty);
        let opened = if is_result(ty) { first_argument(ty) } else { Some(ty) };
        handed == Handed::Returned
            && self.options.stream.is_some()
            && self.function.sink().is_none()
            && opened.is_some_and(|opened| known::is_whole(part, opened))
    }
}

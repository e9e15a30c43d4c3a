//! The rule about types that have no size that is known: nothing of them is handed on.

use syn::{ReturnType, Type, parse_quote};

use super::advice::{self, Position};
use super::stream::no_iterator;
use crate::errors::Errors;
use crate::function::Function;
use crate::options::Options;
use crate::tokens::items::{made, sent};
use crate::tokens::{borrows, known, sizes, text};

/// Adds an error at each argument and result that is of that kind, or has a part that is.
pub(super) fn check(options: &Options, function: &Function, errors: &mut Errors) {
    let rule = Rule { options, function };
    for argument in &function.arguments {
        match &argument.ty {
            Type::Reference(lent) if argument.resource.is_some() => {
                rule.check(&lent.elem, "lend", Position::Argument, errors);
            }
            // That it is not lent is said already.
            _ if argument.resource.is_some() => {}
            Type::Reference(_) if argument.to_owned.is_some() => {
                rule.check_owned(&argument.ty, "take", Position::Argument, errors);
            }
            _ if argument.to_owned.is_some() => {}
            ty if argument.is_sink() => {
                if let (Some(sent), Some(_)) = (sent(ty), &options.stream) {
                    rule.check(sent, "send", Position::Result, errors);
                }
            }
            ty => rule.check(ty, "take", Position::Argument, errors),
        }
    }
    let ReturnType::Type(_, ty) = &function.signature.output else { return };
    match (&options.stream, made(ty)) {
        (Some(_), _) if function.sink().is_none() && no_iterator(ty).is_some() => {}
        (Some(_), Some(made)) if sizes::find(ty).is_none() => {
            rule.check(&made, "make items of", Position::Result, errors);
        }
        _ => rule.check(ty, "return", Position::Result, errors),
    }
}

struct Rule<'a> {
    options: &'a Options,
    function: &'a Function,
}

impl Rule<'_> {
    fn check(&self, ty: &Type, verb: &str, position: Position, errors: &mut Errors) {
        // Of what borrows that is said.
        if borrows::find(ty).is_none() {
            self.check_owned(ty, verb, position, errors);
        }
    }

    fn check_owned(&self, ty: &Type, verb: &str, position: Position, errors: &mut Errors) {
        if sizes::is_maybe(ty, &self.function.signature.generics) {
            // That another process has to know the type is said.
            if !self.options.is_process() {
                self.maybe(ty, verb, position, errors);
            }
            return;
        }
        let Some(part) = sizes::find(ty) else { return };
        let is_whole = text(known::bare(ty)) == text(&part);
        let fix = match self.instead(&part, is_whole && verb == "return", position) {
            Ok(instead) => format!("{} {instead}", if is_whole { verb } else { "write" }),
            Err(why) => why,
        };
        errors.at(&part, format_args!("`{}` has no size that is known: {fix}", text(&part)));
    }

    /// Of a type that says of itself that it may have none.
    fn maybe(&self, ty: &Type, verb: &str, position: Position, errors: &mut Errors) {
        let mut sized = ty.clone();
        if let Type::ImplTrait(opaque) = &mut sized {
            let bounds = std::mem::take(&mut opaque.bounds);
            opaque.bounds =
                bounds.into_iter().filter(|bound| !sizes::is_maybe_bound(bound)).collect();
        }
        let is_nothing = matches!(&sized, Type::ImplTrait(opaque) if opaque.bounds.is_empty());
        let advice = (!is_nothing)
            .then(|| advice::owned(&sized, position, &self.function.signature.generics));
        let fix = match (&sized, advice) {
            (_, None) => format!("{verb} a type with a name"),
            (Type::ImplTrait(_), Some(Ok(advice))) => format!("{verb} `{}`", text(&advice.owned)),
            (_, Some(Ok(advice))) => format!("remove `?Sized`{}", advice.bounds),
            (_, Some(Err(why))) => why.to_owned(),
        };
        errors.at(ty, format_args!("`{}` has no size that is known: {fix}", text(ty)));
    }

    /// What is written in its place; or why nothing can be.
    fn instead(&self, part: &Type, is_result: bool, position: Position) -> Result<String, String> {
        if self.options.is_process() && matches!(part, Type::TraitObject(_)) {
            return Err("another process has to know the type of what it reads, so write one that is concrete, an `enum` \
                        perhaps"
                .to_owned());
        }
        if let (true, Some(_), Type::Slice(slice)) = (is_result, &self.options.stream, part) {
            return Ok(format!("`impl Iterator<Item = {}>`", text(&slice.elem)));
        }
        let lent: Type = parse_quote!(&(#part));
        let advice = advice::owned(&lent, position, &self.function.signature.generics)?;
        let (owned, bounds) = (text(&advice.owned), advice.bounds);
        Ok(
            if is_result && (self.options.is_process() || self.options.fallible().next().is_some())
            {
                format!("`Result<{owned}, offload_runtime::Error>`{bounds}")
            } else {
                format!("`{owned}`{bounds}")
            },
        )
    }
}

//! What can be had besides of a type that is lent: a share of it, a copy, or what is lent for ever.

use quote::ToTokens;
use syn::{Generics, Type};

use super::advice;
use crate::options::Options;
use crate::tokens::arguments::{last_name, names_parameter};
use crate::tokens::{borrows, known, mentions, opaque, text};

/// What can be had besides of a type behind a plain reference: ``, or `Arc<Config>` if it is `Sync` ``.
pub(super) fn alternatives(
    options: &Options,
    lent: &Type,
    pattern: &str,
    generics: &Generics,
) -> String {
    let lent = known::bare(lent);
    // A clone of a type that itself borrows still borrows, and so does what another process reads of it.
    let borrows = borrows::find(lent).is_some()
        || options.is_process() && borrows::static_in_message(lent).is_some();
    match lent {
        Type::Path(path) if !borrows && path.qself.is_none() => {
            let name = last_name(path);
            let is_tied = advice::tied(&name).is_some() || name == "Rc";
            if names_parameter(lent, generics)
                || is_tied
                || known::is_shared(&name)
                || contains_dyn(lent)
            {
                return String::new();
            }
            let written = text(lent);
            let copy = format!("write `#[to_owned] {pattern}: &{written}`");
            if known::CLONE.contains(&name.as_str()) && known::is_known(lent) {
                return format!(", or {copy} to give the job a copy");
            }
            // Nothing is shared with another process.
            let is_shared = name != "Arc" && !known::NOT_SYNC.contains(&name.as_str());
            let arc = if !is_shared || options.is_process() {
                String::new()
            } else {
                format!(", or `Arc<{written}>` if it is `Sync`")
            };
            format!("{arc}, or {copy} to give the job a copy if it is `Clone`")
        }
        Type::Slice(_) | Type::Array(_) | Type::Tuple(_) if !borrows && known::is_known(lent) => {
            format!(", or write `#[to_owned] {pattern}: &{}` to give the job a copy", text(lent))
        }
        _ => String::new(),
    }
}

/// What a result could be that is lent for ever: ``, or `&'static str` ``. Another process lends nothing.
pub(super) fn for_ever(options: &Options, result: &Type, generics: &Generics) -> String {
    if options.is_process()
        || contains_dyn(result)
        || opaque::has_impl_trait(result)
        || names_parameter(result, generics)
    {
        return String::new();
    }
    let condition =
        if known::is_known(&borrows::lent_for_ever(result)) { "" } else { " if it is `Sync`" };
    format!(", or `{}`{condition}", text(&borrows::lent_for_ever(result)))
}

fn contains_dyn(ty: &Type) -> bool {
    mentions(ty.to_token_stream(), "dyn")
}

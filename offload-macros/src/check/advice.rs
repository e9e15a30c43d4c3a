//! What to write in the place of a type that borrows. An error that names a fix names one that
//! compiles; where there is none for a type, it says why, and what others do.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    GenericArgument, GenericParam, Generics, Lifetime, Path, PathArguments, Type, TypeParamBound,
    TypePath, parse_quote,
};

use crate::options::Options;
use crate::tokens::arguments::{bounds, last_name};
use crate::tokens::{borrows, known, mentions, sizes, text};

/// Types that are of no use on another thread, and what to do instead.
const TIED: [(&[&str], &str); 4] = [
    (
        &known::LOCK_GUARDS,
        "a lock is released by the thread that took it: take the `Arc` of what it guards, and lock that in the body",
    ),
    (&known::CELL_GUARDS, "a `RefCell` stays on its thread: take what is in it"),
    (
        &[known::FORMATTER],
        "a formatter stays with whoever formats: return a `String`, and write that",
    ),
    (
        &[known::CONTEXT],
        "a body is not polled: leave what is polled to the caller, and take what it needs from there",
    ),
];

/// Why a type with this name is one of them.
pub(super) fn tied(name: &str) -> Option<&'static str> {
    TIED.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| *why)
}

/// What a function could take or return instead.
pub(crate) struct Advice {
    /// The owned type.
    pub(crate) owned: Type,
    /// What it demands of the function's type parameters: ``, with `T: Send + 'static` ``.
    pub(crate) bounds: String,
}

/// Where a type stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Argument,
    Result,
}

/// The type with something owned in the place of all that it borrows; or why there is none.
pub(crate) fn owned(
    ty: &Type,
    position: Position,
    generics: &Generics,
) -> Result<Advice, &'static str> {
    let mut owner = Owner { position, generics, shared: Vec::new() };
    let owned = owner.own(ty, Shared::No)?;
    let bounds = owner.bounds(&owned);
    Ok(Advice { owned, bounds })
}

/// The same of what goes where a body runs. To another process it goes in a message, in which nothing is for ever.
pub(crate) fn handed_over(
    options: &Options,
    ty: &Type,
    position: Position,
    generics: &Generics,
) -> Result<Advice, &'static str> {
    if options.is_process() {
        owned(&borrows::without_static(ty), position, generics)
    } else {
        owned(ty, position, generics)
    }
}

/// Whether something is behind an `Arc`, and seen by several threads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    No,
    Yes,
}

struct Owner<'a> {
    position: Position,
    generics: &'a Generics,
    /// Parameters that have no size: they are put behind an `Arc`.
    shared: Vec<String>,
}

type Owned = Result<Type, &'static str>;

impl Owner<'_> {
    fn own(&mut self, ty: &Type, shared: Shared) -> Owned {
        Ok(match ty {
            // What is lent for ever lends for ever.
            Type::Reference(reference) if borrows::is_for_ever(reference) => {
                borrows::lent_for_ever(ty)
            }
            Type::Reference(reference) => return self.own_behind(&reference.elem, shared),
            Type::Paren(paren) => return self.own(&paren.elem, shared),
            Type::Group(group) => return self.own(&group.elem, shared),
            Type::Slice(slice) => {
                let elem = self.own(&slice.elem, shared)?;
                parse_quote!([#elem])
            }
            Type::Array(array) => {
                let (elem, len) = (self.own(&array.elem, shared)?, &array.len);
                parse_quote!([#elem; #len])
            }
            Type::Tuple(tuple) => {
                let mut tuple = tuple.clone();
                for elem in &mut tuple.elems {
                    *elem = self.own(elem, shared)?;
                }
                Type::Tuple(tuple)
            }
            Type::Path(path) => return self.own_path(path, shared),
            Type::TraitObject(object) => {
                let bounds = self.own_bounds(object.bounds.iter(), Lifetimes::LeftOut)?;
                let bounds = with_auto_traits(bounds, shared);
                parse_quote!(dyn #(#bounds)+*)
            }
            Type::ImplTrait(opaque) => {
                let mut bounds = self.own_bounds(opaque.bounds.iter(), Lifetimes::Static)?;
                if self.position == Position::Argument {
                    bounds = with_auto_traits(bounds, shared);
                    if !bounds.iter().any(|bound| matches!(bound, TypeParamBound::Lifetime(_))) {
                        bounds.push(parse_quote!('static));
                    }
                }
                parse_quote!(impl #(#bounds)+*)
            }
            other => other.clone(),
        })
    }

    /// What owns that which a reference lends.
    fn own_behind(&mut self, lent: &Type, shared: Shared) -> Owned {
        Ok(match lent {
            Type::Paren(paren) => return self.own_behind(&paren.elem, shared),
            Type::Group(group) => return self.own_behind(&group.elem, shared),
            Type::Slice(slice) => {
                let elem = self.own(&slice.elem, shared)?;
                parse_quote!(Vec<#elem>)
            }
            Type::TraitObject(_) => {
                let object = self.own(lent, shared)?;
                parse_quote!(Box<#object>)
            }
            Type::Path(path) => match last_name(path).as_str() {
                "str" => parse_quote!(String),
                name if self.is_unsized(path) => {
                    self.shared.push(name.to_owned());
                    parse_quote!(Arc<#path>)
                }
                "Path" | "OsStr" | "CStr" => return Ok(renamed(path)),
                name if known::is_shared(name) => {
                    let inner = self.own_path(path, Shared::Yes)?;
                    parse_quote!(Arc<#inner>)
                }
                _ => return self.own(lent, shared),
            },
            _ => return self.own(lent, shared),
        })
    }

    fn own_path(&mut self, path: &TypePath, shared: Shared) -> Owned {
        let name = last_name(path);
        if let Some(why) = tied(&name) {
            return Err(why);
        }
        if name == "Arguments" && path.path.segments.len() > 1 {
            return Ok(parse_quote!(String));
        }
        let mut path = path.clone();
        let shared = if matches!(name.as_str(), "Arc" | "Rc") { Shared::Yes } else { shared };
        self.own_arguments(&mut path.path, shared)?;
        if name == "Rc" {
            let arguments = path.path.segments.last().map(|segment| &segment.arguments);
            return Ok(parse_quote!(Arc #arguments));
        }
        Ok(Type::Path(path))
    }

    /// What is between `<` and `>`.
    fn own_arguments(&mut self, path: &mut Path, shared: Shared) -> Result<(), &'static str> {
        for segment in &mut path.segments {
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { continue };
            for argument in &mut arguments.args {
                match argument {
                    GenericArgument::Type(ty) => *ty = self.own(ty, shared)?,
                    GenericArgument::AssocType(binding) => {
                        binding.ty = self.own(&binding.ty, shared)?
                    }
                    GenericArgument::Lifetime(lifetime) => {
                        *lifetime = Lifetime::new("'static", Span::call_site())
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn own_bounds<'b>(
        &mut self,
        bounds: impl Iterator<Item = &'b TypeParamBound>,
        lifetimes: Lifetimes,
    ) -> Result<Vec<TypeParamBound>, &'static str> {
        let mut owned = Vec::new();
        for bound in bounds {
            match bound {
                TypeParamBound::Lifetime(_) if lifetimes == Lifetimes::LeftOut => {}
                TypeParamBound::Lifetime(_) => owned.push(parse_quote!('static)),
                TypeParamBound::Trait(bound) if bound.lifetimes.is_none() => {
                    let mut bound = bound.clone();
                    self.own_arguments(&mut bound.path, Shared::No)?;
                    owned.push(TypeParamBound::Trait(bound));
                }
                TypeParamBound::Trait(_) => owned.push(bound.clone()),
                // `use<'a>`: there is nothing left to capture.
                _ => {}
            }
        }
        Ok(owned)
    }

    /// Whether it is a parameter of the function with `?Sized`.
    fn is_unsized(&self, path: &TypePath) -> bool {
        path.path
            .get_ident()
            .is_some_and(|ident| bounds(ident, self.generics).any(sizes::is_maybe_bound))
    }

    /// What the function's parameters have to be for it, and do not say.
    fn bounds(&self, owned: &Type) -> String {
        let mut added = Vec::new();
        for parameter in &self.generics.params {
            let GenericParam::Type(parameter) = parameter else { continue };
            let name = parameter.ident.to_string();
            if !mentions(owned.to_token_stream(), &name) {
                continue;
            }
            let bounds: Vec<String> = bounds(&parameter.ident, self.generics).map(text).collect();
            let needs = ["Send", "Sync", "'static"].into_iter().filter(|need| {
                (*need != "Sync" || self.shared.contains(&name))
                    && !bounds.iter().any(|bound| bound == need)
            });
            let needs: Vec<&str> = needs.collect();
            if !needs.is_empty() {
                added.push(format!("`{name}: {}`", needs.join(" + ")));
            }
        }
        if added.is_empty() { String::new() } else { format!(", with {}", added.join(" and ")) }
    }
}

/// What becomes of a lifetime among bounds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lifetimes {
    /// In a `Box`, `'static` is what a `dyn` has without it.
    LeftOut,
    Static,
}

fn with_auto_traits(mut bounds: Vec<TypeParamBound>, shared: Shared) -> Vec<TypeParamBound> {
    let mut add = |name: &str, bound: TypeParamBound| {
        let is_there = bounds.iter().any(|bound| {
            matches!(bound, TypeParamBound::Trait(bound) if bound.path.segments.last().is_some_and(|last| last.ident == name))
        });
        if !is_there {
            let lifetime =
                bounds.iter().position(|bound| matches!(bound, TypeParamBound::Lifetime(_)));
            bounds.insert(lifetime.unwrap_or(bounds.len()), bound);
        }
    };
    add("Send", parse_quote!(Send));
    if shared == Shared::Yes {
        add("Sync", parse_quote!(Sync));
    }
    bounds
}

/// `Path` → `PathBuf`, in the module that it is in.
fn renamed(path: &TypePath) -> Type {
    let mut path = path.clone();
    if let Some(last) = path.path.segments.last_mut() {
        let name = match last.ident.to_string().as_str() {
            "Path" => "PathBuf",
            "OsStr" => "OsString",
            _ => "CString",
        };
        last.ident = syn::Ident::new(name, last.ident.span());
    }
    Type::Path(path)
}

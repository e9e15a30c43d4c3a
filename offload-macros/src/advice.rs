//! What to write in the place of a type that borrows. An error that names a fix names one that
//! compiles; where there is none for a type, it says why, and what others do.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    GenericArgument, GenericParam, Generics, Lifetime, Path, PathArguments, Type, TypeParamBound,
    TypePath, WherePredicate, parse_quote,
};

use crate::borrows;
use crate::check::text;
use crate::function::mentions;

/// Types that are of no use on another thread, and what to do instead.
const TIED: [(&[&str], &str); 4] = [
    (
        &[
            "MutexGuard",
            "RwLockReadGuard",
            "RwLockWriteGuard",
            "MappedMutexGuard",
            "ReentrantLockGuard",
        ],
        "a lock is released by the thread that took it: take the `Arc` of what it guards, and lock that in the body",
    ),
    (&["Ref", "RefMut"], "a `RefCell` stays on its thread: take what is in it"),
    (&["Formatter"], "a formatter stays with whoever formats: return a `String`, and write that"),
    (
        &["Context"],
        "a body is not polled: leave what is polled to the caller, and take what it needs from there",
    ),
];

fn tied(name: &str) -> Option<&'static (&'static [&'static str], &'static str)> {
    TIED.iter().find(|(names, _)| names.contains(&name))
}

/// Whether a type with this name borrows, though that need not be written: `Iter<T>`.
pub(crate) fn may_hide_a_lifetime(name: &str) -> bool {
    const LENDERS: [&str; 7] = ["Cow", "Drain", "Iter", "IterMut", "Keys", "Values", "ValuesMut"];
    tied(name).is_some() || LENDERS.contains(&name)
}

/// Types of which a copy is another one, and not the same: they are shared.
const SHARED: [&str; 9] = [
    "Mutex",
    "RwLock",
    "Condvar",
    "Barrier",
    "Once",
    "OnceLock",
    "LazyLock",
    "Semaphore",
    "Notify",
];

/// Types that may move to another thread, and not be seen by two.
const NOT_SYNC: [&str; 4] = ["Cell", "RefCell", "OnceCell", "Receiver"];

/// Types that everybody knows to be `Clone`, with what is in them.
const CLONE: [&str; 40] = [
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "str",
    "Path",
    "OsStr",
    "CStr",
    "String",
    "PathBuf",
    "OsString",
    "CString",
    "Duration",
    "Instant",
    "SystemTime",
    "IpAddr",
    "SocketAddr",
    "Vec",
    "VecDeque",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "Option",
    "Result",
    "Arc",
    "Box",
];

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
            Type::Reference(reference) if is_static(reference.lifetime.as_ref()) => {
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
            Type::Path(path) => match last(path).as_str() {
                "str" => parse_quote!(String),
                name if self.is_unsized(path) => {
                    self.shared.push(name.to_owned());
                    parse_quote!(Arc<#path>)
                }
                "Path" | "OsStr" | "CStr" => return Ok(renamed(path)),
                name if is_shared(name) => {
                    let inner = self.own_path(path, Shared::Yes)?;
                    parse_quote!(Arc<#inner>)
                }
                _ => return self.own(lent, shared),
            },
            _ => return self.own(lent, shared),
        })
    }

    fn own_path(&mut self, path: &TypePath, shared: Shared) -> Owned {
        let name = last(path);
        if let Some((_, why)) = tied(&name) {
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
        path.path.get_ident().is_some_and(|ident| {
            let bounds = bounds_of(self.generics, &ident.to_string());
            bounds.iter().any(|bound| text(bound).starts_with('?'))
        })
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
            let bounds: Vec<String> = bounds_of(self.generics, &name).iter().map(text).collect();
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

/// All bounds of a parameter, also those of the `where` clause.
fn bounds_of(generics: &Generics, name: &str) -> Vec<TypeParamBound> {
    let inline = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) if parameter.ident == name => Some(parameter.bounds.iter()),
        _ => None,
    });
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let clause = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) if text(&predicate.bounded_ty) == name => {
            Some(predicate.bounds.iter())
        }
        _ => None,
    });
    inline.chain(clause).flatten().cloned().collect()
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

/// The name of a type, without the path to it.
fn last(path: &TypePath) -> String {
    path.path.segments.last().map_or(String::new(), |segment| segment.ident.to_string())
}

fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

fn is_shared(name: &str) -> bool {
    SHARED.contains(&name) || name.starts_with("Atomic")
}

/// What can be had besides of a type behind a plain reference: ``, or `Arc<Config>` if it is `Sync` ``.
pub(crate) fn alternatives(lent: &Type, pattern: &str, generics: &Generics) -> String {
    let lent = bare(lent);
    // What borrows in turn is not owned by its copy.
    let borrows = borrows::find(lent).is_some();
    match lent {
        Type::Path(path) if !borrows && path.qself.is_none() => {
            let name = last(path);
            let is_tied = tied(&name).is_some() || name == "Rc";
            if names_parameter(lent, generics) || is_tied || is_shared(&name) || contains_dyn(lent)
            {
                return String::new();
            }
            let written = text(lent);
            let copy = format!("write `#[to_owned] {pattern}: &{written}`");
            if CLONE.contains(&name.as_str()) && is_known(lent) {
                return format!(", or {copy} to give the job a copy");
            }
            let arc = if name == "Arc" || NOT_SYNC.contains(&name.as_str()) {
                String::new()
            } else {
                format!(", or `Arc<{written}>` if it is `Sync`")
            };
            format!("{arc}, or {copy} to give the job a copy if it is `Clone`")
        }
        Type::Slice(_) | Type::Array(_) | Type::Tuple(_) if !borrows && is_known(lent) => {
            format!(", or write `#[to_owned] {pattern}: &{}` to give the job a copy", text(lent))
        }
        _ => String::new(),
    }
}

/// What a result could be that is lent for ever: ``, or `&'static str` ``.
pub(crate) fn for_ever(result: &Type, generics: &Generics) -> String {
    if contains_dyn(result)
        || borrows::infer_impl_trait(result).1
        || names_parameter(result, generics)
    {
        return String::new();
    }
    let condition = if is_known(&borrows::lent_for_ever(result)) { "" } else { " if it is `Sync`" };
    format!(", or `{}`{condition}", text(&borrows::lent_for_ever(result)))
}

fn names_parameter(ty: &Type, generics: &Generics) -> bool {
    generics.params.iter().any(|parameter| {
        matches!(parameter, GenericParam::Type(parameter) if mentions(ty.to_token_stream(), &parameter.ident.to_string()))
    })
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        other => other,
    }
}

/// Whether everybody knows a type to be `Clone`, and all that is in it.
fn is_known(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            let arguments = path.path.segments.last().map(|segment| &segment.arguments);
            last(path) == "Arc"
                || CLONE.contains(&last(path).as_str()) && match arguments {
                    Some(PathArguments::AngleBracketed(arguments)) => arguments.args.iter().all(
                        |argument| matches!(argument, GenericArgument::Type(ty) if is_known(ty)),
                    ),
                    _ => true,
                }
        }
        Type::Slice(slice) => is_known(&slice.elem),
        Type::Array(array) => is_known(&array.elem),
        Type::Tuple(tuple) => tuple.elems.iter().all(is_known),
        Type::Reference(reference) => {
            is_static(reference.lifetime.as_ref()) && is_known(&reference.elem)
        }
        Type::Paren(_) | Type::Group(_) => is_known(bare(ty)),
        _ => false,
    }
}

fn contains_dyn(ty: &Type) -> bool {
    mentions(ty.to_token_stream(), "dyn")
}

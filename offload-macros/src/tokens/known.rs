//! Types that everybody knows, by their names: what is said of them is true wherever they are from.

use syn::{GenericArgument, PathArguments, Type, TypePath};

use super::arguments::last_name;
use super::borrows::is_for_ever;
use super::text;

/// Those with which a lock is held.
pub(crate) const LOCK_GUARDS: [&str; 5] =
    ["MutexGuard", "RwLockReadGuard", "RwLockWriteGuard", "MappedMutexGuard", "ReentrantLockGuard"];

/// Those with which a `RefCell` is borrowed.
pub(crate) const CELL_GUARDS: [&str; 2] = ["Ref", "RefMut"];

/// What a `Display` is given.
pub(crate) const FORMATTER: &str = "Formatter";

/// What a future is polled with.
pub(crate) const CONTEXT: &str = "Context";

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
pub(crate) const NOT_SYNC: [&str; 4] = ["Cell", "RefCell", "OnceCell", "Receiver"];

/// Types that everybody knows to be `Clone`, with what is in them.
pub(crate) const CLONE: [&str; 40] = [
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

pub(crate) fn is_shared(name: &str) -> bool {
    SHARED.contains(&name) || name.starts_with("Atomic")
}

pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        other => other,
    }
}

/// Whether a part of a type is all of it.
pub(crate) fn is_whole(part: &Type, ty: &Type) -> bool {
    text(part) == text(bare(ty))
}

/// Whether everybody knows a type to be `Clone`, and all that is in it.
pub(crate) fn is_known(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            let arguments = path.path.segments.last().map(|segment| &segment.arguments);
            last_name(path) == "Arc"
                || CLONE.contains(&last_name(path).as_str()) && match arguments {
                    Some(PathArguments::AngleBracketed(arguments)) => arguments.args.iter().all(
                        |argument| matches!(argument, GenericArgument::Type(ty) if is_known(ty)),
                    ),
                    _ => true,
                }
        }
        Type::Slice(slice) => is_known(&slice.elem),
        Type::Array(array) => is_known(&array.elem),
        Type::Tuple(tuple) => tuple.elems.iter().all(is_known),
        Type::Reference(reference) => is_for_ever(reference) && is_known(&reference.elem),
        Type::Paren(_) | Type::Group(_) => is_known(bare(ty)),
        _ => false,
    }
}

/// Types whose parameters have a size, all of them.
pub(crate) const OF_SIZED: [&str; 10] = [
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "HashMap",
    "HashSet",
    "LinkedList",
    "Option",
    "Result",
    "Vec",
    "VecDeque",
];

/// Types whose parameter needs no size.
pub(crate) const OF_UNSIZED: [&str; 5] = ["Arc", "Box", "Mutex", "Rc", "RwLock"];

/// Whether the type is one of the lists above, and so contains values of its type parameters. Not `Rc`, which is not `Send`
/// whatever is in it.
pub(crate) fn is_container(path: &TypePath) -> bool {
    let name = last_name(path);
    let is_known = OF_SIZED.iter().chain(&OF_UNSIZED).any(|known| *known == name);
    path.qself.is_none() && is_known && name != "Rc"
}

/// Types that are one value, and no iterator.
pub(crate) const VALUES: [&str; 19] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize", "String", "PathBuf", "OsString",
];

/// Types that hold items, and are no iterators: of their first parameter.
pub(crate) const COLLECTIONS: [&str; 7] =
    ["Vec", "VecDeque", "HashSet", "BTreeSet", "BinaryHeap", "LinkedList", "Option"];

/// The same, of pairs of their first two.
pub(crate) const MAPS: [&str; 2] = ["HashMap", "BTreeMap"];

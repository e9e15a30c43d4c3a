//! Follows each fix that an error names, to the letter, and compiles the result.
//!
//! Each function below is refused. Its message is taken apart: what it would have in the place of
//! the type, and every other way that it names. Each way is a program, and has to compile. What
//! holds only `if it is …` is followed for types of which that is so.

mod checked;
/// It compiles, and nothing of it runs.
#[path = "remote/followed.rs"]
#[allow(dead_code, clippy::all, clippy::pedantic)]
mod remote_followed;

use std::fs;
use std::path::Path;

use checked::{Message, PRELUDE};

/// What the programs have besides.
const TYPES: &str = "
use std::borrow::Cow;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::error;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt::{self, Debug, Display};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::Chars;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, RwLock};
use std::time::Duration;
/// `Clone`, `Send`, `Sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config { pub depth: u32 }
/// Neither `Clone` nor `Sync`.
pub struct Connection { pub used: Cell<u32> }
pub struct Cand<'a> { pub text: &'a str }
pub trait Codec { fn code(&self) -> u32; }
pub trait Named<'a> { fn name(&self) -> &'a str; }
";

/// A function up to its body: `@` is the type that is refused. And what is in the body.
const ARGUMENTS: [(&str, &str); 66] = [
    // What the standard library has an owner for.
    ("fn f(x: @&str)", "x.len();"),
    ("fn f(x: @&'static mut [&str])", ""),
    ("fn f(x: @&Path)", "x.exists();"),
    ("fn f(x: @&std::path::Path)", "x.exists();"),
    ("fn f(x: @&OsStr)", "x.len();"),
    ("fn f(x: @&CStr)", "x.to_bytes();"),
    ("fn f(x: @&[u8])", "x.len();"),
    ("fn f(x: @&[Config])", "x.len();"),
    ("fn f(x: @&[&str])", "x.len();"),
    ("fn f(x: @&[&[&Path]])", "x.len();"),
    ("fn f(x: @&[(&str, u32)])", "x.len();"),
    ("fn f(x: @&[u8; 4])", "x.len();"),
    ("fn f(x: @&String)", "x.len();"),
    ("fn f(x: @&Vec<String>)", "x.len();"),
    ("fn f(x: @&u64)", "let _ = x;"),
    ("fn f(x: @&Duration)", "x.as_secs();"),
    ("fn f(x: @&(u32, String))", "let _ = &x.1;"),
    ("fn f(x: @&HashMap<String, u32>)", "x.len();"),
    ("fn f<V: Debug>(x: @&HashMap<&str, V>)", "x.len();"),
    ("fn f(x: @&BTreeMap<&str, Vec<&str>>)", "x.len();"),
    ("fn f(x: @&&str)", "x.len();"),
    ("fn f(x: @&&&Config)", "let _ = x;"),
    ("fn f(x: @&Option<&Config>)", "x.is_some();"),
    ("fn f(x: @Option<&str>)", "x.is_some();"),
    ("fn f(x: @Option<&mut Config>)", "x.is_some();"),
    ("fn f(x: @Vec<&Path>)", "x.len();"),
    ("fn f(x: @Result<&str, &Config>)", "x.is_ok();"),
    ("fn f(x: @(&str, Option<&[u8]>))", "let _ = x.0.len();"),
    ("fn f(x: @[&str; 2])", "x.len();"),
    ("fn f(x: @Box<&str>)", "x.len();"),
    // Types of one's own.
    ("fn f(x: @&Config)", "let _ = x.depth;"),
    ("fn f(x: @&Connection)", "x.used.get();"),
    ("fn f(x: @&mut Connection)", "x.used.set(1);"),
    ("fn f(x: @&mut Config)", "x.depth = 1;"),
    ("fn f(x: @&mut Vec<u32>)", "x.push(1);"),
    ("fn f(x: @&mut HashSet<&str>)", "x.clear();"),
    ("fn f((a, b): @&mut (u32, u32))", "let _ = (a, b);"),
    ("fn f(x: @&Cand<'_>)", "x.text.len();"),
    ("fn f(x: @Cand<'_>)", "x.text.len();"),
    ("fn f(x: @Vec<Cand<'_>>)", "x.len();"),
    ("fn f<'a>(x: @Cand<'a>)", "x.text.len();"),
    ("fn f<'a>(x: @&'a str)", "x.len();"),
    ("fn f<'a>(x: @&'a Cand<'a>)", "x.text.len();"),
    ("fn f(x: @Cow<'_, str>)", "x.len();"),
    ("fn f(x: @&Cow<'_, [Config]>)", "x.len();"),
    ("fn f(x: @Chars<'_>)", "x.count();"),
    // Type parameters.
    ("fn f<T: Debug>(x: @&T)", "format!(\"{x:?}\");"),
    ("fn f<T: Debug + ?Sized>(x: @&T)", "format!(\"{x:?}\");"),
    ("fn f<T>(x: @&T) where T: (?Sized) + Display", "format!(\"{x}\");"),
    ("fn f<T: Debug, U: Debug + Send>(x: @&[(T, &U)])", "format!(\"{x:?}\");"),
    ("fn f<T: Debug>(x: @&mut Vec<T>)", "x.pop();"),
    // Without a name, or with many.
    ("fn f(x: @&dyn Codec)", "x.code();"),
    ("fn f(x: @&(dyn Codec + Sync))", "x.code();"),
    ("fn f(x: @&mut dyn Read)", "let _ = x.read(&mut []);"),
    ("fn f(x: @&dyn Fn(u32))", "x(1);"),
    ("fn f(x: @&mut dyn FnMut(&str) -> bool)", "x(\"a\");"),
    ("fn f(x: @Box<dyn Fn(&str) -> bool + '_>)", "x(\"a\");"),
    ("fn f(x: @&[Box<dyn Codec>])", "x.len();"),
    ("fn f(x: @&Arc<dyn Codec>)", "x.code();"),
    ("fn f(x: @&dyn Named<'_>)", "x.name();"),
    ("fn f(x: @&impl Codec)", "x.code();"),
    ("fn f(x: @&mut impl Write)", "let _ = x.flush();"),
    ("fn f(x: @impl Iterator<Item = &str>)", "x.count();"),
    ("fn f(x: @impl Codec + '_)", "x.code();"),
    // Shared, and tied.
    ("fn f(x: @&Mutex<Vec<u32>>)", "x.lock().unwrap().len();"),
    ("fn f(x: @&Rc<str>)", "x.len();"),
];

/// The same with results.
const RESULTS: [&str; 15] = [
    "fn f(x: String) -> @&str",
    "fn f(#[to_owned] x: &str) -> @&str",
    "fn f(x: String) -> @Option<&str>",
    "fn f(x: String) -> @Result<&[u8], Error>",
    "fn f(x: String) -> @Vec<&Path>",
    "fn f(x: String) -> @HashMap<&str, &Config>",
    "fn f(x: String) -> @Option<&(dyn error::Error + 'static)>",
    "fn f(#[to_owned] x: &str) -> @Cow<'_, str>",
    "fn f(#[to_owned] x: &str) -> @Cand<'_>",
    "fn f<'a>(x: String) -> @&'a Config",
    "fn f(x: String) -> @Box<dyn Iterator<Item = &str> + '_>",
    "fn f(x: String) -> @(&str, &str)",
    "fn f(x: String) -> @&AtomicU64",
    "fn f<T: Send + 'static>(x: Vec<T>) -> @&[T]",
    "fn f(x: String) -> @&[String]",
];

/// For these there is none, and the message says why.
const NO_FIX: [&str; 6] = [
    "fn f(x: @MutexGuard<'_, u32>)",
    "fn f(x: @&mut MutexGuard<'_, u32>)",
    "fn f(x: @RefMut<'_, u32>)",
    "fn f(x: @&mut fmt::Formatter<'_>)",
    "fn f(x: @&mut std::task::Context<'_>)",
    "fn f(x: @Option<&RwLock<MutexGuard<'_, u32>>>)",
];

/// Functions with `stream` whose result is no iterator: options besides, and what they are.
const NO_ITERATORS: [(&str, &str); 20] = [
    ("", "fn f(x: u32) -> @u32"),
    ("", "fn f(x: u32) -> @String"),
    ("", "fn f(x: u32) -> @Vec<u32>"),
    ("", "fn f(x: u32) -> @Option<String>"),
    ("", "fn f(x: u32) -> @[u8; 4]"),
    ("", "fn f(x: u32) -> @(u8, String)"),
    ("", "fn f(x: u32) -> @std::collections::HashMap<String, Vec<u8>>"),
    ("", "fn f<T: Send>(x: u32) -> @VecDeque<T>"),
    ("", "fn f(x: u32) -> Result<@Vec<u32>, Error>"),
    ("", "fn f(x: u32) -> Result<@PathBuf, String>"),
    ("", "fn f(x: u32) -> @Vec<&u32>"),
    ("", "fn f(x: u32) -> @Vec<&'static str>"),
    ("", "fn f(x: u32) -> @HashMap<&str, &[u8]>"),
    ("", "fn f(x: u32) -> @(&str, u8)"),
    ("", "fn f(x: u32) -> Result<@Vec<Cow<'_, str>>, Error>"),
    (", timeout = \"1s\"", "fn f(x: u32) -> @Option<&Config>"),
    ("", "fn f(x: u32) -> @Config"),
    ("", "fn f(x: u32) -> Result<@Connection, Error>"),
    (", timeout = \"1s\"", "fn f(x: u32) -> @Vec<u32>"),
    (", timeout = \"1s\"", "fn f(x: u32) -> @bool"),
];

/// What functions lend and send into, besides.
const STATICS: &str = "
use offload_runtime::{Limiter, Resource, SharedResource, Sink, ThreadResource};
pub static DB: Resource<Config> = Resource::new(\"db\", || Ok(Config::default()));
pub static MODEL: SharedResource<Config> = SharedResource::new(\"model\", || Ok(Config::default()));
pub static PARSER: ThreadResource<Rc<str>> = ThreadResource::new(\"parser\", || Ok(Rc::from(\"\")));
pub static NAMES: Resource<Vec<String>> = Resource::new(\"names\", || Ok(Vec::new()));
pub type Opened<T> = Result<T, Error>;
";

/// A function that is refused, what the message says it may be instead, and the function that is that.
struct Followed {
    refused: &'static str,
    says: &'static str,
    followed: &'static str,
}

/// Functions that borrow, or make a stream.
const LENT_AND_STREAMED: [Followed; 34] = [
    Followed {
        refused: "(cpu)] pub fn f(#[resource(NAMES)] names: &mut [String]) -> usize { names.len() }",
        says: "lend `Vec<String>`",
        followed: "(cpu)] pub fn f(#[resource(NAMES)] names: &mut Vec<String>) -> usize { names.len() }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] db: &Config) -> u32 { db.depth }",
        says: "a `Resource<T>` lends `&mut T`",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(MODEL)] model: &mut Config) -> u32 { model.depth }",
        says: "a `SharedResource<T>` lends `&T`",
        followed: "(cpu)] pub fn f(#[resource(MODEL)] model: &Config) -> u32 { model.depth }",
    },
    Followed {
        refused: "(thread)] pub fn f(#[resource(DB)] db: &mut String) -> usize { db.len() }",
        says: "borrowed from a `Resource<Config>`",
        followed: "(thread)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(PARSER)] parser: &String) -> usize { parser.len() }",
        says: "borrowed from a `ThreadResource<",
        followed: "(cpu)] pub fn f(#[resource(PARSER)] parser: &Rc<str>) -> usize { parser.len() }",
    },
    Followed {
        refused: "(process)] pub fn f(#[resource(MODEL)] model: &mut Config) -> Result<u32, Error> { Ok(model.depth) }",
        says: "a `SharedResource<T>` lends `&T`",
        followed: "(process)] pub fn f(#[resource(MODEL)] model: &Config) -> Result<u32, Error> { Ok(model.depth) }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] db: Config) -> u32 { db.depth }",
        says: "take `&mut Config`",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(MODEL)] model: Config) -> u32 { model.depth }",
        says: "or `&Config` of a `SharedResource`",
        followed: "(cpu)] pub fn f(#[resource(MODEL)] model: &Config) -> u32 { model.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] a: &mut Config, #[resource(DB)] b: &mut Config) -> u32 { a.depth + b.depth }",
        says: "borrow it once, and use that",
        followed: "(cpu)] pub fn f(#[resource(DB)] a: &mut Config) -> u32 { a.depth + a.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource] db: &mut Config) -> u32 { db.depth }",
        says: "`#[resource(DB)]`",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] #[to_owned] db: &mut Config) -> u32 { db.depth }",
        says: "remove `#[to_owned]`",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] db: &'static mut Config) -> u32 { db.depth }",
        says: "remove `'static`",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(NAMES)] names: &mut Vec<&str>) -> usize { names.len() }",
        says: "lend a type that owns its data",
        followed: "(cpu)] pub fn f(#[resource(NAMES)] names: &mut Vec<String>) -> usize { names.len() }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] db: &mut impl Clone) { let _ = db.clone(); }",
        says: "write the one that the `static` has",
        followed: "(cpu)] pub fn f(#[resource(DB)] db: &mut Config) { let _ = db.clone(); }",
    },
    Followed {
        refused: "(cpu)] pub fn f<T: Clone + Send + 'static>(#[resource(NAMES)] names: &mut Vec<T>) -> usize { names.len() }",
        says: "not one for every `T`: write that type",
        followed: "(cpu)] pub fn f(#[resource(NAMES)] names: &mut Vec<String>) -> usize { names.len() }",
    },
    Followed {
        refused: "(cpu)] pub fn f(#[resource(DB)] #[cfg(all())] db: &mut Config) -> u32 { db.depth }",
        says: "put `#[cfg]` on the whole function",
        followed: "(cpu)] #[cfg(all())] pub fn f(#[resource(DB)] db: &mut Config) -> u32 { db.depth }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(below: u32) -> Result<impl Iterator, Error> { Ok(0..below) }",
        says: "says what its iterator makes: `impl Iterator<Item = …>`",
        followed: "(thread, stream)] pub fn f(below: u32) -> Result<impl Iterator<Item = u32>, Error> { Ok(0..below) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(below: u32) -> Opened<impl Iterator<Item = u32>> { Ok(0..below) }",
        says: "`Opened` is not known as a `Result`: write `Result<impl Iterator<Item = u32>, …>`",
        followed: "(thread, stream)] pub fn f(below: u32) -> Result<impl Iterator<Item = u32>, Error> { Ok(0..below) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f() -> Result<impl Iterator<Item = io::Result<u32>>, String> { Ok(std::iter::empty()) }",
        says: "return the same error type in both places",
        followed: "(thread, stream)] pub fn f() -> Result<impl Iterator<Item = io::Result<u32>>, io::Error> { Ok(std::iter::empty()) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f() -> std::vec::IntoIter<Rc<u32>> { Vec::new().into_iter() }",
        says: "make items of `Arc` in place of `Rc`",
        followed: "(thread, stream)] pub fn f() -> std::vec::IntoIter<Arc<u32>> { Vec::new().into_iter() }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(below: u32) -> Result<impl Iterator<Item = u32>, Rc<str>> { Ok(0..below) }",
        says: "`Send`: `Arc` in place of `Rc`",
        followed: "(thread, stream)] pub fn f(below: u32) -> Result<impl Iterator<Item = u32>, Arc<str>> { Ok(0..below) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(out: &mut Sink<Rc<u32>>) -> Result<(), Error> { Ok(out.send(Rc::new(1))?) }",
        says: "send an `Arc` in place of an `Rc`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<Arc<u32>>) -> Result<(), Error> { Ok(out.send(Arc::new(1))?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(out: &mut Sink<&str>) -> Result<(), Error> { Ok(out.send(\"a\")?) }",
        says: "cannot borrow: send `String`, or `&'static str`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<&'static str>) -> Result<(), Error> { Ok(out.send(\"a\")?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f<'a>(out: &mut Sink<Vec<&'a u8>>) -> Result<(), Error> { Ok(out.send(Vec::new())?) }",
        says: "send `Vec<u8>`, without `'a`, or `Vec<&'static u8>`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<Vec<u8>>) -> Result<(), Error> { Ok(out.send(Vec::new())?) }",
    },
    Followed {
        refused: "(cpu, stream)] pub fn f(out: &mut Sink<Cow<'_, str>>) -> Result<(), Error> { Ok(out.send(\"a\".into())?) }",
        says: "send a type that owns its data, or `Cow<'static, str>`",
        followed: "(cpu, stream)] pub fn f(out: &mut Sink<Cow<'static, str>>) -> Result<(), Error> { Ok(out.send(\"a\".into())?) }",
    },
    Followed {
        refused: "(process, stream)] pub fn f(out: &mut Sink<&[&'static str]>) -> Result<(), Error> { Ok(out.send(&[])?) }",
        says: "send `Vec<String>`",
        followed: "(process, stream)] pub fn f(out: &mut Sink<Vec<String>>) -> Result<(), Error> { Ok(out.send(Vec::new())?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(out: &mut Sink<u32>) -> Result<(), Box<dyn error::Error>> { Ok(out.send(1)?) }",
        says: "`Box<dyn Error + Send + Sync>` in place of `Box<dyn Error>`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<u32>) -> Result<(), Box<dyn error::Error + Send + Sync>> { Ok(out.send(1)?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(#[resource(DB)] db: &mut Config) -> impl Iterator<Item = u32> { 0..db.depth }",
        says: "take `out: &mut offload_runtime::Sink<…>`, send the items into it, and return `Result<(), …>`",
        followed: "(thread, stream)] pub fn f(#[resource(DB)] db: &mut Config, out: &mut offload_runtime::Sink<u32>) -> Result<(), Error> { (0..db.depth).try_for_each(|n| Ok(out.send(n)?)) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(mut out: Sink<u32>) -> Result<(), Error> { Ok(out.send(1)?) }",
        says: "take `&mut Sink<u32>`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<u32>) -> Result<(), Error> { Ok(out.send(1)?) }",
    },
    Followed {
        refused: "(thread)] pub fn f(out: &mut Sink<u32>) -> Result<(), Error> { Ok(out.send(1)?) }",
        says: "write `#[offload(…, stream)]`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<u32>) -> Result<(), Error> { Ok(out.send(1)?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(below: u32) { let _ = below; }",
        says: "has an argument `out: &mut offload_runtime::Sink<…>` and returns `Result<(), …>`",
        followed: "(thread, stream)] pub fn f(below: u32, out: &mut offload_runtime::Sink<u32>) -> Result<(), Error> { Ok(out.send(below)?) }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(below: u32) -> Result<(), Error> { let _ = below; Ok(()) }",
        says: "with `stream` a function returns `impl Iterator<Item = …>`",
        followed: "(thread, stream)] pub fn f(below: u32) -> impl Iterator<Item = u32> { 0..below }",
    },
    Followed {
        refused: "(thread, stream)] pub fn f(out: &mut Sink<u32>) { let _ = out.send(1); }",
        says: "returns `Result<(), offload_runtime::Error>`",
        followed: "(thread, stream)] pub fn f(out: &mut Sink<u32>) -> Result<(), offload_runtime::Error> { Ok(out.send(1)?) }",
    },
    Followed {
        refused: "(thread, stall_timeout = \"1s\")] pub fn f(out: u32) -> u32 { out }",
        says: "or remove it",
        followed: "(thread)] pub fn f(out: u32) -> u32 { out }",
    },
];

/// What functions name besides, of options and bodies.
const NAMES: &str = "
use offload_runtime::{CpuPool, ThreadPool};
pub static READERS: ThreadPool = ThreadPool::new(\"readers\");
pub static CORES: CpuPool = CpuPool::new(\"cores\");
pub static FEW: Limiter = Limiter::new(2);
impl Codec for u32 { fn code(&self) -> u32 { *self } }
pub mod tokio { pub mod runtime {
    pub struct Handle;
    impl Handle {
        pub fn current() -> Handle { Handle }
        pub fn block_on<F: Future>(&self, _: F) -> F::Output { loop {} }
    }
} }
";

/// Options and signatures, and types that do not move or cannot be copied.
const SIGNATURES: [Followed; 127] = [
    Followed {
        refused: "#[offload(thread)] pub fn f(x: str) -> usize { x.len() }",
        says: "take `String`",
        followed: "#[offload(thread)] pub fn f(x: String) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(x: u8) -> [u8] { vec![x] }",
        says: "return `Vec<u8>`",
        followed: "#[offload(cpu)] pub fn f(x: u8) -> Vec<u8> { vec![x] }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: dyn Codec) -> u32 { x.code() }",
        says: "take `Box<dyn Codec + Send>`",
        followed: "#[offload(thread)] pub fn f(x: Box<dyn Codec + Send>) -> u32 { x.code() }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: u32) -> dyn Codec + Sync { Box::new(x) }",
        says: "return `Box<dyn Codec + Sync + Send>`",
        followed: "#[offload(thread)] pub fn f(x: u32) -> Box<dyn Codec + Sync + Send> { Box::new(x) }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f<T: Debug>(x: [T]) -> usize { x.len() }",
        says: "take `Vec<T>`, with `T: Send + 'static`",
        followed: "#[offload(thread)] pub fn f<T: Debug + Send + 'static>(x: Vec<T>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f<T: ?Sized + Debug>(x: T) { format!(\"{x:?}\"); }",
        says: "remove `?Sized`, with `T: Send + 'static`",
        followed: "#[offload(thread)] pub fn f<T: Debug + Send + 'static>(x: T) { format!(\"{x:?}\"); }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: impl ?Sized + Debug) { format!(\"{x:?}\"); }",
        says: "take `impl Debug + Send + 'static`",
        followed: "#[offload(thread)] pub fn f(x: impl Debug + Send + 'static) { format!(\"{x:?}\"); }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: u8) -> impl ?Sized + Debug { x }",
        says: "return `impl Debug`",
        followed: "#[offload(thread)] pub fn f(x: u8) -> impl Debug { x }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: Arc<[(str, u8)]>) -> usize { x.len() }",
        says: "write `String`",
        followed: "#[offload(thread)] pub fn f(x: Arc<[(String, u8)]>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(#[to_owned] x: &Vec<str>) -> usize { x.len() }",
        says: "write `String`",
        followed: "#[offload(thread)] pub fn f(#[to_owned] x: &Vec<String>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(#[to_owned] x: str) -> usize { x.len() }",
        says: "write `&str`",
        followed: "#[offload(thread)] pub fn f(#[to_owned] x: &str) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu, timeout = \"1s\")] pub fn f(x: u8) -> [u8] { Ok(vec![x]) }",
        says: "return `Result<Vec<u8>, offload_runtime::Error>`",
        followed: "#[offload(cpu, timeout = \"1s\")] pub fn f(x: u8) -> Result<Vec<u8>, offload_runtime::Error> { Ok(vec![x]) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: str) -> Result<usize, Error> { Ok(x.len()) }",
        says: "take `String`",
        followed: "#[offload(process)] pub fn f(x: String) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: String) -> str { Ok(x) }",
        says: "return `Result<String, offload_runtime::Error>`",
        followed: "#[offload(process)] pub fn f(x: String) -> Result<String, offload_runtime::Error> { Ok(x) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: dyn Codec) -> Result<u32, Error> { Ok(x.code()) }",
        says: "write one that is concrete, an `enum` perhaps",
        followed: "#[offload(process)] pub fn f(x: u32) -> Result<u32, Error> { Ok(x.code()) }",
    },
    Followed {
        refused: "#[offload(thread, stream)] pub fn f(x: u8) -> impl Iterator<Item = str> { 0..x }",
        says: "make items of `String`",
        followed: "#[offload(thread, stream)] pub fn f(x: u8) -> impl Iterator<Item = String> { (0..x).map(|x| x.to_string()) }",
    },
    Followed {
        refused: "#[offload(thread, stream)] pub fn f(x: u8) -> [u8] { 0..x }",
        says: "return `impl Iterator<Item = u8>`",
        followed: "#[offload(thread, stream)] pub fn f(x: u8) -> impl Iterator<Item = u8> { 0..x }",
    },
    Followed {
        refused: "#[offload(thread, stream)] pub fn f(x: u8) -> dyn Iterator<Item = u8> { Box::new(0..x) }",
        says: "return `Box<dyn Iterator<Item = u8> + Send>`",
        followed: "#[offload(thread, stream)] pub fn f(x: u8) -> Box<dyn Iterator<Item = u8> + Send> { Box::new(0..x) }",
    },
    Followed {
        refused: "#[offload(process, stream)] pub fn f(x: u8) -> dyn Iterator<Item = u8> { Ok(Box::new(0..x)) }",
        says: "return `Result<Box<dyn Iterator<Item = u8> + Send>, offload_runtime::Error>`",
        followed: "#[offload(process, stream)] pub fn f(x: u8) -> Result<Box<dyn Iterator<Item = u8> + Send>, offload_runtime::Error> { Ok(Box::new(0..x)) }",
    },
    Followed {
        refused: "#[offload(process, stream)] pub fn f(x: u8) -> [u8] { Ok(0..x) }",
        says: "return `Result<impl Iterator<Item = u8>, offload_runtime::Error>`",
        followed: "#[offload(process, stream)] pub fn f(x: u8) -> Result<impl Iterator<Item = u8>, offload_runtime::Error> { Ok(0..x) }",
    },
    Followed {
        refused: r#"#[offload(thread, stream, timeout = "1s")] pub fn f(x: u8) -> [u8] { Ok(0..x) }"#,
        says: "return `Result<impl Iterator<Item = u8>, offload_runtime::Error>`",
        followed: r#"#[offload(thread, stream, timeout = "1s")] pub fn f(x: u8) -> Result<impl Iterator<Item = u8>, offload_runtime::Error> { Ok(0..x) }"#,
    },
    Followed {
        refused: "#[offload(thread, stream)] pub fn f(x: u8) -> Result<[u8], Error> { Ok(0..x) }",
        says: "write `impl Iterator<Item = u8>`",
        followed: "#[offload(thread, stream)] pub fn f(x: u8) -> Result<impl Iterator<Item = u8>, Error> { Ok(0..x) }",
    },
    Followed {
        refused: "#[offload(thread, stream)] pub fn f(x: String) -> str { [x].into_iter() }",
        says: "return `impl Iterator<Item = String>`",
        followed: "#[offload(thread, stream)] pub fn f(x: String) -> impl Iterator<Item = String> { [x].into_iter() }",
    },
    Followed {
        refused: "pub static CODES: Resource<Box<dyn Codec + Send>> = Resource::new(\"codes\", || todo!()); #[offload(process)] pub fn f(#[resource(CODES)] x: &mut dyn Codec) -> Result<u32, Error> { Ok(x.code()) }",
        says: "lend `Box<dyn Codec + Send>`",
        followed: "pub static CODES: Resource<Box<dyn Codec + Send>> = Resource::new(\"codes\", || todo!()); #[offload(process)] pub fn f(#[resource(CODES)] x: &mut Box<dyn Codec + Send>) -> Result<u32, Error> { Ok(x.code()) }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[resource(DB)] x: &dyn Codec) -> u32 { x.code() }",
        says: "lend `Box<dyn Codec + Sync + Send>`",
        followed: "pub static CODES: SharedResource<Box<dyn Codec + Sync + Send>> = SharedResource::new(\"codes\", || todo!()); #[offload(cpu)] pub fn f(#[resource(CODES)] x: &Box<dyn Codec + Sync + Send>) -> u32 { x.code() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: dyn Codec) -> u32 { x.code() }",
        says: "take `Box<dyn Codec + Send>`, without it",
        followed: "#[offload(cpu)] pub fn f(x: Box<dyn Codec + Send>) -> u32 { x.code() }",
    },
    Followed {
        refused: "#[offload(process, stream)] pub fn f(out: &mut offload_runtime::Sink<str>) -> Result<(), Error> { Ok(out.send(String::new())?) }",
        says: "send `String`",
        followed: "#[offload(process, stream)] pub fn f(out: &mut offload_runtime::Sink<String>) -> Result<(), Error> { Ok(out.send(String::new())?) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: &'static str) -> Result<usize, Error> { Ok(x.len()) }",
        says: "write `String` in its place",
        followed: "#[offload(process)] pub fn f(x: String) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: Option<&'static [(&'static str, u8)]>) -> Result<bool, Error> { Ok(x.is_some()) }",
        says: "write `Vec<(String, u8)>` in its place",
        followed: "#[offload(process)] pub fn f(x: Option<Vec<(String, u8)>>) -> Result<bool, Error> { Ok(x.is_some()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f() -> Result<&'static Path, Error> { Ok(Path::new(\"/\")) }",
        says: "write `PathBuf` in its place",
        followed: "#[offload(process)] pub fn f() -> Result<PathBuf, Error> { Ok(Path::new(\"/\").into()) }",
    },
    Followed {
        refused: "#[offload(process, stream)] pub fn f(out: &mut Sink<&'static [u8]>) -> Result<(), Error> { Ok(out.send(b\"a\")?) }",
        says: "write `Vec<u8>` in its place",
        followed: "#[offload(process, stream)] pub fn f(out: &mut Sink<Vec<u8>>) -> Result<(), Error> { Ok(out.send(b\"a\".to_vec())?) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(#[to_owned] x: &[&'static str]) -> Result<usize, Error> { Ok(x.len()) }",
        says: "write `String` in its place",
        followed: "#[offload(process)] pub fn f(#[to_owned] x: &[String]) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(#[to_owned] x: &'static [&'static str]) -> Result<usize, Error> { Ok(x.len()) }",
        says: "take `Vec<String>` instead",
        followed: "#[offload(process)] pub fn f(x: Vec<String>) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(#[to_owned] x: &'static [&str]) -> usize { x.len() }",
        says: "take `&'static [&'static str]` instead",
        followed: "#[offload(thread)] pub fn f(x: &'static [&'static str]) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(#[to_owned] x: Vec<&'static str>) -> Result<usize, Error> { Ok(x.len()) }",
        says: "take `Vec<String>`, without it",
        followed: "#[offload(process)] pub fn f(x: Vec<String>) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: &[&'static str]) -> Result<usize, Error> { Ok(x.len()) }",
        says: "owner: take `Vec<String>` -->",
        followed: "#[offload(process)] pub fn f(x: Vec<String>) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: &Vec<&'static Path>) -> Result<usize, Error> { Ok(x.len()) }",
        says: "owner: take `Vec<PathBuf>` -->",
        followed: "#[offload(process)] pub fn f(x: Vec<PathBuf>) -> Result<usize, Error> { Ok(x.len()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f() -> Result<&[&'static str], Error> { Ok(&[]) }",
        says: "return `Result<Vec<String>, Error>`",
        followed: "#[offload(process)] pub fn f() -> Result<Vec<String>, Error> { Ok(Vec::new()) }",
    },
    Followed {
        refused: "#[offload(process, stream)] pub fn f() -> Result<Vec<&'static str>, Error> { Ok(Vec::new()) }",
        says: "return `impl Iterator<Item = String>`",
        followed: "#[offload(process, stream)] pub fn f() -> Result<impl Iterator<Item = String>, Error> { Ok(std::iter::empty()) }",
    },
    Followed {
        refused: "#[offload(cpu, stream)] pub fn f(x: u32) -> impl Iterator<Item = Rc<u32>> { (0..x).map(Rc::new) }",
        says: "make items of `Arc` in place of `Rc`",
        followed: "#[offload(cpu, stream)] pub fn f(x: u32) -> impl Iterator<Item = Arc<u32>> { (0..x).map(Arc::new) }",
    },
    Followed {
        refused: "#[offload] pub fn f(n: u32) -> u32 { n }",
        says: "`#[offload(thread)]` if it waits",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(name = "f")] pub fn f(n: u32) -> u32 { n }"#,
        says: "`#[offload(cpu)]` if it computes",
        followed: r#"#[offload(cpu, name = "f")] pub fn f(n: u32) -> u32 { n }"#,
    },
    Followed {
        refused: "#[offload(cpu, thread)] pub fn f(n: u32) -> u32 { n }",
        says: "keep `thread` if it waits",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu, cpu)] pub fn f(n: u32) -> u32 { n }",
        says: "keep one of them",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cup)] pub fn f(n: u32) -> u32 { n }",
        says: "did you mean `cpu`?",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu = true)] pub fn f(n: u32) -> u32 { n }",
        says: "write only `cpu`",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(blocking)] pub fn f(n: u32) -> u32 { n }",
        says: "this is `thread` here",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(rayon)] pub fn f(n: u32) -> u32 { n }",
        says: "this is `cpu` here",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(cpu, nmae = "f")] pub fn f(n: u32) -> u32 { n }"#,
        says: "did you mean `name`?",
        followed: r#"#[offload(cpu, name = "f")] pub fn f(n: u32) -> u32 { n }"#,
    },
    Followed {
        refused: "#[offload(cpu, name)] pub fn f(n: u32) -> u32 { n }",
        says: r#"`name = "thumb"`"#,
        followed: r#"#[offload(cpu, name = "thumb")] pub fn f(n: u32) -> u32 { n }"#,
    },
    Followed {
        refused: "#[offload(cpu, limit(4))] pub fn f(n: u32) -> u32 { n }",
        says: "`limit = 4`",
        followed: "#[offload(cpu, limit = 4)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(cpu, sync = "blocking")] pub fn f(n: u32) -> u32 { n }"#,
        says: "`sync = thumb_sync`",
        followed: "#[offload(cpu, sync = thumb_sync)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu, sync = f)] pub fn f(n: u32) -> u32 { n }",
        says: "`sync = f_sync`",
        followed: "#[offload(cpu, sync = f_sync)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu, detach = true)] pub fn f(n: u32) -> u32 { n }",
        says: "write only `detach`",
        followed: "#[offload(cpu, detach)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu limit = 4)] pub fn f(n: u32) -> u32 { n }",
        says: "expected a comma between `cpu` and this",
        followed: "#[offload(cpu, limit = 4)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(cpu, crate = "offload_runtime")] pub fn f(n: u32) -> u32 { n }"#,
        says: "`crate = path::to::offload_runtime`",
        followed: "#[offload(cpu, crate = offload_runtime)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu, limit = 0)] pub fn f(n: u32) -> u32 { n }",
        says: "`limit` is at least 1",
        followed: "#[offload(cpu, limit = 1)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(cpu, timeout = "2 seconds")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
        says: r#"`"1m30s"`"#,
        followed: r#"#[offload(cpu, timeout = "1m30s")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
    },
    Followed {
        refused: "#[offload(cpu, timeout = 30)] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }",
        says: r#"`"30s"` or `"30ms"`"#,
        followed: r#"#[offload(cpu, timeout = "30ms")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
    },
    Followed {
        refused: r#"#[offload(cpu, timeout = "0s")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
        says: r#"such as `"2s"`"#,
        followed: r#"#[offload(cpu, timeout = "2s")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
    },
    Followed {
        refused: r#"#[offload(cpu, panic = "abort")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
        says: r#"`panic = "error"`"#,
        followed: r#"#[offload(cpu, panic = "error")] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }"#,
    },
    Followed {
        refused: "#[offload(cpu, sync = g)] pub fn f(#[cfg(all())] n: u32) -> u32 { n }",
        says: "put `#[cfg]` on the whole function",
        followed: "#[cfg(all())] #[offload(cpu, sync = g)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu, attempts = 2)] pub fn f(n: u32) -> u32 { n }",
        says: "leave it out",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread, spawn = f)] pub fn f(n: u32) -> u32 { n }",
        says: "`spawn = f_soon`",
        followed: "#[offload(thread, spawn = f_soon)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread, spawn)] pub fn f(n: u32) -> u32 { n }",
        says: "`spawn = remove_soon`",
        followed: "#[offload(thread, spawn = remove_soon)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread, sync = g, spawn = g)] pub fn f(n: u32) -> u32 { n }",
        says: "give the one that starts a call another name",
        followed: "#[offload(thread, sync = g, spawn = h)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread, spawn = f_soon)] pub fn f() -> ! { loop {} }",
        says: "return `std::convert::Infallible`",
        followed: "#[offload(thread, spawn = f_soon)] pub fn f() -> std::convert::Infallible { loop {} }",
    },
    Followed {
        refused: "#[offload(thread, stream, spawn = f_soon)] pub fn f(n: u32) -> impl Iterator<Item = u32> { 0..n }",
        says: "remove `spawn`",
        followed: "#[offload(thread, stream)] pub fn f(n: u32) -> impl Iterator<Item = u32> { 0..n }",
    },
    Followed {
        refused: "#[offload(thread)] pub async fn f(n: u32) -> u32 { n }",
        says: "remove `async`",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread)] pub async fn f(n: u32) -> u32 { std::future::ready(n).await }",
        says: "`tokio::runtime::Handle::current().block_on(async { … })`",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { tokio::runtime::Handle::current().block_on(async { std::future::ready(n).await }) }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(n: u32) -> u32 { std::future::ready(n).await }",
        says: "an `async fn` without `#[offload]`",
        followed: "pub async fn f(n: u32) -> u32 { std::future::ready(n).await }",
    },
    Followed {
        refused: "#[offload(thread)] pub const fn f(n: u32) -> u32 { n }",
        says: "remove `const`",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread)] pub unsafe fn f(n: *const u32) -> u32 { unsafe { *n } }",
        says: "remove `unsafe`",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { unsafe { std::mem::transmute(n) } }",
    },
    Followed {
        refused: r#"#[offload(thread)] pub extern "C" fn f(n: u32) -> u32 { n }"#,
        says: r#"remove `extern "C"`"#,
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: r#"#[offload(thread)] pub unsafe extern "C" fn f(n: u32, mut more: ...) -> u32 { n }"#,
        says: "take a `Vec` instead of `...`",
        followed: "#[offload(thread)] pub fn f(n: u32, more: Vec<u32>) -> u32 { n + more.len() as u32 }",
    },
    Followed {
        refused: r#"#[offload(cpu, name = "")] pub fn f(n: u32) -> u32 { n }"#,
        says: "it cannot be empty",
        followed: r#"#[offload(cpu, name = "f")] pub fn f(n: u32) -> u32 { n }"#,
    },
    Followed {
        refused: "impl Own { #[offload(process, sync = Self::f_sync)] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) } }",
        says: "make both free functions, and write `sync = name`",
        followed: "#[offload(process, sync = name)] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }",
    },
    Followed {
        refused: "#[offload(thread)] #[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
        says: "keep one of them",
        followed: "#[offload(cpu)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f<'a>(n: u32) -> u32 { n }",
        says: "remove `'a`",
        followed: "#[offload(thread)] pub fn f(n: u32) -> u32 { n }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(n: u32) -> u32 { if n == 0 { 0 } else { f(n - 1) + 1 } }",
        says: "by `sync = f_sync`, and call `f_sync` here",
        followed: "#[offload(cpu, sync = f_sync)] pub fn f(n: u32) -> u32 { if n == 0 { 0 } else { f_sync(n - 1) + 1 } }",
    },
    Followed {
        refused: "#[offload(cpu, sync = g)] pub fn f(n: u32) -> u32 { if n == 0 { 0 } else { f(n - 1) + 1 } }",
        says: "call `g` here",
        followed: "#[offload(cpu, sync = g)] pub fn f(n: u32) -> u32 { if n == 0 { 0 } else { g(n - 1) + 1 } }",
    },
    Followed {
        refused: "pub trait Made { #[offload(thread)] fn f(self) -> u32; }",
        says: "declare `async fn f` in the trait",
        followed: "#[allow(async_fn_in_trait)] pub trait Made { async fn f(self) -> u32; } impl Made for u32 { #[offload(thread)] fn f(self) -> u32 { self } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(&self) -> u32 { self.depth } }",
        says: "take `self`,",
        followed: "impl Own { #[offload(cpu)] pub fn f(self) -> u32 { self.depth } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(&self) -> u32 { self.depth } }",
        says: "or `self: Arc<Self>`",
        followed: "impl Own { #[offload(cpu)] pub fn f(self: Arc<Self>) -> u32 { self.depth } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(&self) -> u32 { self.depth } }",
        says: "write `#[to_owned] &self`",
        followed: "impl Own { #[offload(cpu)] pub fn f(#[to_owned] &self) -> u32 { self.depth } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(&mut self) { self.depth = 1; } }",
        says: "take `mut self`, and return it",
        followed: "impl Own { #[offload(cpu)] pub fn f(mut self) -> Self { self.depth = 1; self } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(self: std::pin::Pin<&mut Self>) -> u32 { self.depth } }",
        says: "take `self` or",
        followed: "impl Own { #[offload(cpu)] pub fn f(self) -> u32 { self.depth } }",
    },
    Followed {
        refused: "impl Own { #[offload(cpu)] pub fn f(#[to_owned] self) -> u32 { self.depth } }",
        says: "this receiver is not: remove it",
        followed: "impl Own { #[offload(cpu)] pub fn f(self) -> u32 { self.depth } }",
    },
    Followed {
        refused: r#"impl Own { #[offload(cpu)] pub fn f(#[to_owned] &self) -> String { format!("{self:?}") } }"#,
        says: "write `{}` there, and `self` after the string",
        followed: r#"impl Own { #[offload(cpu)] pub fn f(#[to_owned] &self) -> String { format!("{:?}", self) } }"#,
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: String) -> usize { x.len() }",
        says: "is none: remove it",
        followed: "#[offload(cpu)] pub fn f(x: String) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: Option<&str>) -> bool { x.is_some() }",
        says: "take `Option<String>`, without it",
        followed: "#[offload(cpu)] pub fn f(x: Option<String>) -> bool { x.is_some() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: &mut Vec<u32>) { x.push(1); }",
        says: "take `Vec<u32>` and return it",
        followed: "#[offload(cpu)] pub fn f(mut x: Vec<u32>) -> Vec<u32> { x.push(1); x }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: &[&str]) -> usize { x.len() }",
        says: "take `Vec<String>`, without `#[to_owned]`",
        followed: "#[offload(cpu)] pub fn f(x: Vec<String>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned(String)] x: &str) -> usize { x.len() }",
        says: "takes no arguments",
        followed: "#[offload(cpu)] pub fn f(#[to_owned] x: &str) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: &'static str) -> usize { x.len() }",
        says: "is lent for ever: remove it",
        followed: "#[offload(cpu)] pub fn f(x: &'static str) -> usize { x.len() }",
    },
    Followed {
        refused: "pub struct Once(pub u32); #[offload(cpu)] pub fn f(#[to_owned] x: &Once) -> u32 { x.0 }",
        says: "give it `#[derive(Clone)]`",
        followed: "#[derive(Clone)] pub struct Once(pub u32); #[offload(cpu)] pub fn f(#[to_owned] x: &Once) -> u32 { x.0 }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: &Connection) -> u32 { x.used.get() }",
        says: "without `#[to_owned]`: as a value",
        followed: "#[offload(cpu)] pub fn f(x: Connection) -> u32 { x.used.get() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(#[to_owned] x: &AtomicU64) -> u64 { x.load(std::sync::atomic::Ordering::Relaxed) }",
        says: "or in an `Arc` if it is `Sync`",
        followed: "#[offload(cpu)] pub fn f(x: Arc<AtomicU64>) -> u64 { x.load(std::sync::atomic::Ordering::Relaxed) }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f<T: Send + 'static>(#[to_owned] x: &T) { let _ = x; }",
        says: "or a type parameter in it the bound `Clone`",
        followed: "#[offload(cpu)] pub fn f<T: Clone + Send + 'static>(#[to_owned] x: &T) { let _ = x; }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(x: Rc<u32>) -> u32 { *x }",
        says: "take an `Arc` in place of an `Rc`",
        followed: "#[offload(cpu)] pub fn f(x: Arc<u32>) -> u32 { *x }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: Vec<Rc<RefCell<u32>>>) -> usize { x.len() }",
        says: "an `Arc<Mutex<_>>` in place of an `Rc<RefCell<_>>`",
        followed: "#[offload(thread)] pub fn f(x: Vec<Arc<Mutex<u32>>>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(x: Box<dyn Codec>) -> u32 { x.code() }",
        says: "a `Box<dyn Trait + Send>` in place of a `Box<dyn Trait>`",
        followed: "#[offload(cpu)] pub fn f(x: Box<dyn Codec + Send>) -> u32 { x.code() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f<T: 'static>(x: Vec<T>) -> usize { x.len() }",
        says: "give that the bound `Send`",
        followed: "#[offload(cpu)] pub fn f<T: Send + 'static>(x: Vec<T>) -> usize { x.len() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(x: impl Codec) -> u32 { x.code() }",
        says: "give that the bound `Send`",
        followed: "#[offload(cpu)] pub fn f(x: impl Codec + Send) -> u32 { x.code() }",
    },
    Followed {
        refused: "#[offload(thread)] pub fn f(x: *mut u32) -> bool { x.is_null() }",
        says: "what belongs to one thread is made in the body",
        followed: "#[offload(thread)] pub fn f(x: u32) -> bool { let x: *const u32 = &x; x.is_null() }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f(x: u32) -> Option<Rc<u32>> { Some(x.into()) }",
        says: "return an `Arc` in place of an `Rc`",
        followed: "#[offload(cpu)] pub fn f(x: u32) -> Option<Arc<u32>> { Some(x.into()) }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f() -> Box<dyn Fn(u32) -> u32> { Box::new(|x| x) }",
        says: "a `Box<dyn Trait + Send>` in place of a `Box<dyn Trait>`",
        followed: "#[offload(cpu)] pub fn f() -> Box<dyn Fn(u32) -> u32 + Send> { Box::new(|x| x) }",
    },
    Followed {
        refused: "#[offload(cpu)] pub fn f<T: Default + 'static>() -> Vec<T> { Vec::new() }",
        says: "give that the bound `Send`",
        followed: "#[offload(cpu)] pub fn f<T: Default + Send + 'static>() -> Vec<T> { Vec::new() }",
    },
    Followed {
        refused: r#"#[offload(cpu, timeout = "1s")] pub fn f() {}"#,
        says: "return `Result<(), offload_runtime::Error>`",
        followed: r#"#[offload(cpu, timeout = "1s")] pub fn f() -> Result<(), offload_runtime::Error> { Ok(()) }"#,
    },
    Followed {
        refused: "#[offload(cpu, queue = 8)] pub fn f() -> u32 { 1 }",
        says: "return `Result<_, offload_runtime::Error>`",
        followed: "#[offload(cpu, queue = 8)] pub fn f() -> Result<u32, offload_runtime::Error> { Ok(1) }",
    },
    Followed {
        refused: r#"#[offload(cpu, panic = "error")] pub fn f() -> Option<u32> { None }"#,
        says: "`Box<dyn Error + Send + Sync>` do",
        followed: r#"#[offload(cpu, panic = "error")] pub fn f() -> Result<Option<u32>, Box<dyn error::Error + Send + Sync>> { Ok(None) }"#,
    },
    Followed {
        refused: r#"#[offload(cpu, timeout = "1s")] pub fn f() -> Result<u32, String> { Ok(1) }"#,
        says: "`std::io::Error`",
        followed: r#"#[offload(cpu, timeout = "1s")] pub fn f() -> Result<u32, std::io::Error> { Ok(1) }"#,
    },
    Followed {
        refused: "#[offload(process)] pub fn f() {}",
        says: "return `Result<(), offload_runtime::Error>`",
        followed: "#[offload(process)] pub fn f() -> Result<(), offload_runtime::Error> { Ok(()) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f() -> u32 { 1 }",
        says: "return `Result<T, offload_runtime::Error>`",
        followed: "#[offload(process)] pub fn f() -> Result<u32, offload_runtime::Error> { Ok(1) }",
    },
    Followed {
        refused: "pub struct Page(pub u32); #[offload(process)] pub fn f(x: Page) -> Result<u32, Error> { Ok(x.0) }",
        says: "`#[derive(serde::Serialize, serde::Deserialize)]`",
        followed: "#[derive(serde::Serialize, serde::Deserialize)] pub struct Page(pub u32); #[offload(process)] pub fn f(x: Page) -> Result<u32, Error> { Ok(x.0) }",
    },
    Followed {
        refused: "pub struct Page(pub u32); #[offload(process)] pub fn f() -> Result<Page, Error> { Ok(Page(1)) }",
        says: "`#[derive(serde::Serialize, serde::Deserialize)]`",
        followed: "#[derive(serde::Serialize, serde::Deserialize)] pub struct Page(pub u32); #[offload(process)] pub fn f() -> Result<Page, Error> { Ok(Page(1)) }",
    },
    Followed {
        refused: "pub struct Page(pub u32); #[offload(process)] pub fn f(#[to_owned] x: &Page) -> Result<u32, Error> { Ok(x.0) }",
        says: "`#[derive(Clone, serde::Serialize, serde::Deserialize)]`",
        followed: "#[derive(Clone, serde::Serialize, serde::Deserialize)] pub struct Page(pub u32); #[offload(process)] pub fn f(#[to_owned] x: &Page) -> Result<u32, Error> { Ok(x.0) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: Option<Option<u8>>) -> Result<bool, Error> { Ok(x.is_some()) }",
        says: "take an enum of your own",
        followed: "#[derive(serde::Serialize, serde::Deserialize)] pub enum Own { Nothing, Half, Whole(u8) } #[offload(process)] pub fn f(x: Own) -> Result<bool, Error> { Ok(matches!(x, Own::Whole(_))) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(#[cfg(all())] n: u32) -> Result<u32, Error> { Ok(n) }",
        says: "put `#[cfg]` on the whole function",
        followed: "#[cfg(all())] #[offload(process)] pub fn f(n: u32) -> Result<u32, Error> { Ok(n) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f(x: impl Codec) -> Result<u32, Error> { Ok(x.code()) }",
        says: "take a concrete type",
        followed: "#[offload(process)] pub fn f(x: u32) -> Result<u32, Error> { Ok(x) }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f<T: Default>() -> Result<u32, Error> { Ok(1) }",
        says: "write a function for each type",
        followed: "#[offload(process)] pub fn f() -> Result<u32, Error> { Ok(1) }",
    },
    Followed {
        refused: "impl Own { #[offload(process)] pub fn f(self) -> Result<u32, Error> { Ok(self.depth) } }",
        says: "make it a function that takes what it needs as arguments",
        followed: "#[offload(process)] pub fn f(depth: u32) -> Result<u32, Error> { Ok(depth) }",
    },
    Followed {
        refused: "impl Own { #[offload(process)] pub fn f(x: Vec<Self>) -> Result<usize, Error> { Ok(x.len()) } }",
        says: "write the type's own name here",
        followed: "#[derive(serde::Serialize, serde::Deserialize)] pub struct Own; impl Own { #[offload(process)] pub fn f(x: Vec<Own>) -> Result<usize, Error> { Ok(x.len()) } }",
    },
    Followed {
        refused: "#[offload(process)] pub fn f() -> Result<impl Codec, Error> { Ok(1) }",
        says: "has a type with a name",
        followed: "#[offload(process)] pub fn f() -> Result<u32, Error> { Ok(1) }",
    },
    Followed {
        refused: "#[offload(thread, pool = CORES)] pub fn f() {}",
        says: "expected a `static` of type `ThreadPool`",
        followed: "#[offload(thread, pool = READERS)] pub fn f() {}",
    },
    Followed {
        refused: "#[offload(cpu, pool = READERS)] pub fn f() {}",
        says: "expected a `static` of type `CpuPool`",
        followed: "#[offload(cpu, pool = CORES)] pub fn f() {}",
    },
    Followed {
        refused: "#[offload(cpu, limit = READERS)] pub fn f() {}",
        says: "or a `static` of type `Limiter`",
        followed: "#[offload(cpu, limit = FEW)] pub fn f() {}",
    },
];

/// A way out, as a signature without `@`.
struct Way {
    /// Words of the message that say it.
    words: String,
    signature: String,
}

/// What is between backquotes after each occurrence of `before`.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.match_indices(before)
        .map(|(start, _)| text[start + before.len()..].split('`').next().unwrap())
        .collect()
}

/// The signature with `new` in the place of its type, or of its whole argument if `new` names it.
fn replaced(signature: &str, new: &str, with_pattern: bool) -> String {
    let at = signature.find('@').unwrap();
    let end = at + 1 + end_of_type(&signature[at + 1..]);
    let start = if with_pattern {
        // Back to where the argument begins.
        let before = &signature[..at];
        let open = before.rfind(['(', ',']).unwrap() + 1;
        // A pattern may have parentheses of its own.
        if before.ends_with("): ") { before.find("(").unwrap() + 1 } else { open }
    } else {
        at
    };
    format!("{}{new}{}", &signature[..start], &signature[end..])
}

/// Where a type ends that something follows.
fn end_of_type(text: &str) -> usize {
    let mut depth = 0;
    let mut last = ' ';
    for (index, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '<' => depth += 1,
            '>' if last == '-' => {}
            ')' | ']' | '>' if depth > 0 => depth -= 1,
            ')' | ',' if depth == 0 => return index,
            _ => {}
        }
        last = letter;
    }
    text.len()
}

/// Everything that a message says one could write.
fn ways(signature: &str, message: &str) -> Vec<Way> {
    let (_, fix) = message.split_once(": ").unwrap();
    let fix = fix.rsplit_once("cannot borrow: ").map_or(fix, |(_, fix)| fix);
    let mut ways = Vec::new();
    let mut add = |words: String, mut signature: String, from: &str| {
        // What the parameters have to promise besides, up to the next way.
        let besides = from.split(", or ").next().unwrap();
        for bound in quoted(besides, ", with `").into_iter().chain(quoted(besides, "` and `")) {
            if bound.contains(": ") {
                let joint = if signature.contains(" where ") { ", " } else { " where " };
                signature = format!("{signature}{joint}{bound}");
            }
        }
        ways.push(Way { words, signature });
    };
    for before in ["take `", "return `", ", or `"] {
        for new in quoted(fix, before) {
            // `take \`mut x: T\`` names the argument as well.
            let with_pattern = new.starts_with("mut ");
            let from = &fix[fix.find(&format!("{before}{new}`")).unwrap()..];
            let from = from.strip_prefix(before).unwrap();
            add(format!("{before}{new}`"), replaced(signature, new, with_pattern), from);
        }
    }
    for new in quoted(fix, ", or write `").into_iter().chain(quoted(fix, ": write `")) {
        add(format!("write `{new}`"), replaced(signature, new, true), "");
    }
    for way in &mut ways {
        // Nothing is left that borrows.
        way.signature = way.signature.replace("fn f<'a>", "fn f");
    }
    ways
}

fn program(signature: &str, body: &str) -> String {
    // One line, so that a message can be told by it.
    format!("#[offload(cpu)] pub {} {{ {body} }}\n", signature.replace('@', ""))
}

#[test]
fn each_fix_that_an_error_names_compiles() {
    let functions: Vec<(String, String)> = ARGUMENTS
        .iter()
        .map(|(signature, body)| ((*signature).to_owned(), (*body).to_owned()))
        .chain(RESULTS.iter().map(|signature| ((*signature).to_owned(), "todo!()".to_owned())))
        .collect();
    let top = format!("{PRELUDE}{TYPES}");
    let refused: Vec<_> = functions
        .iter()
        .enumerate()
        .map(|(index, (signature, body))| {
            (format!("refused_{index:02}"), format!("{top}{}", program(signature, body)))
        })
        .collect();
    let said = checked::check("check", "advice-refused", &refused);
    let mut ways_out = Vec::new();
    for (index, (signature, body)) in functions.iter().enumerate() {
        let errors = errors(&said[&format!("refused_{index:02}")]);
        let [error] = &*errors else {
            panic!("{signature}: {} errors\n{}", errors.len(), all(&errors))
        };
        let ways = ways(signature, &error.text);
        assert!(!ways.is_empty(), "{signature}: no fix: {}", error.text);
        for way in ways {
            ways_out.push((
                format!("{signature}: {}\n{}", error.text, way.words),
                way.signature,
                body.clone(),
            ));
        }
    }
    assert!(ways_out.len() > 100, "only {}", ways_out.len());
    let followed: Vec<_> = ways_out
        .iter()
        .enumerate()
        .map(|(index, (_, signature, body))| {
            (format!("followed_{index:03}"), format!("{top}{}", program(signature, body)))
        })
        .collect();
    let said = checked::check("check", "advice-followed", &followed);
    let mut wrong = String::new();
    for (index, (words, signature, _)) in ways_out.iter().enumerate() {
        let name = format!("followed_{index:03}");
        let errors = errors(&said[&name]);
        // A condition that the type does not meet is one that the message names.
        let unmet = errors.iter().all(|error| unmet_condition(words, error));
        if !errors.is_empty() && !unmet {
            wrong += &format!("{words}\n→ {signature}\n{}\n", all(&errors));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether an error says what the message made a condition of: `if it is \`Sync\``.
fn unmet_condition(words: &str, error: &Message) -> bool {
    let (message, way) = words.rsplit_once('\n').unwrap();
    let after = message.split(way).nth(1).unwrap_or_default();
    let condition = after.split(", or ").next().unwrap();
    (condition.contains("if it is `Sync`") && error.text.contains("cannot move to another thread"))
        || (condition.contains("if it is `Clone`") && error.text.contains("Connection"))
}

#[test]
fn each_fix_of_a_stream_without_an_iterator_compiles() {
    let top = format!("{PRELUDE}{TYPES}");
    let program = |options: &str, signature: &str, body: &str| {
        format!("{top}#[offload(cpu{options})] pub {} {{ {body} }}\n", signature.replace('@', ""))
    };
    let refused: Vec<_> = NO_ITERATORS
        .iter()
        .enumerate()
        .map(|(index, (options, signature))| {
            let options = format!(", stream{options}");
            (format!("no_iterator_{index:02}"), program(&options, signature, "todo!()"))
        })
        .collect();
    let said = checked::check("check", "advice-no-iterator", &refused);
    let mut ways_out = Vec::new();
    for ((name, _), (options, signature)) in refused.iter().zip(NO_ITERATORS) {
        let errors = errors(&said[name]);
        let [error] = &*errors else { panic!("{signature}: {}", all(&errors)) };
        let new = quoted(&error.rendered, ": return `");
        let [new] = &*new else { panic!("{signature}: {}", error.rendered) };
        let followed = replaced(signature, new, false);
        let body = match followed.contains("-> Result<") {
            true => "Ok(std::iter::empty())",
            false => "std::iter::empty()",
        };
        let options_now = format!(", stream{options}");
        ways_out.push((error.text.clone(), program(&options_now, &followed, body)));
        if error.rendered.contains("or remove `stream`") {
            ways_out.push((error.text.clone(), program(options, signature, "todo!()")));
        }
    }
    let followed: Vec<_> = ways_out
        .iter()
        .enumerate()
        .map(|(index, (_, program))| (format!("iterator_{index:02}"), program.clone()))
        .collect();
    let said = checked::check("check", "advice-iterator", &followed);
    for ((name, _), (text, _)) in followed.iter().zip(&ways_out) {
        let errors = errors(&said[name]);
        assert!(errors.is_empty(), "{text}\n{}", all(&errors));
    }
}

#[test]
fn each_fix_of_a_resource_or_a_sink_compiles() {
    let cases: Vec<_> = LENT_AND_STREAMED
        .iter()
        .map(|one| {
            let [refused, followed] =
                [one.refused, one.followed].map(|function| format!("#[offload{function}"));
            (refused, one.says, followed)
        })
        .collect();
    follow("lent", &format!("{PRELUDE}{TYPES}{STATICS}"), &cases);
}

#[test]
fn each_fix_of_an_option_or_a_signature_compiles() {
    let cases: Vec<_> = SIGNATURES
        .iter()
        .map(|one| (one.refused.to_owned(), one.says, one.followed.to_owned()))
        .collect();
    follow("signatures", &format!("{PRELUDE}{TYPES}{STATICS}{NAMES}"), &cases);
}

/// Each is refused by one error that says this, and what follows it compiles.
fn follow(name: &str, top: &str, cases: &[(String, &str, String)]) {
    // A module each, with the function in one line, so that a message can be told by it.
    let program = |function: fn(&(String, &str, String)) -> String| {
        let in_modules = cases.iter().enumerate().map(|(index, case)| {
            let function = function(case);
            let own = match function.starts_with("impl Own") {
                true => "#[derive(Clone, Debug)] pub struct Own { pub depth: u32 }",
                false => "",
            };
            format!("pub mod m{index} {{ use super::*; {own}\n{function}\n}}\n")
        });
        format!("{top}{}", in_modules.collect::<String>())
    };
    let [refused_name, followed_name] =
        ["refused", "followed"].map(|what| format!("{name}_{what}"));
    let programs = [
        (refused_name.clone(), program(|(refused, _, _)| refused.clone())),
        (followed_name.clone(), program(|(_, _, followed)| followed.clone())),
    ];
    let said = checked::check("check", &format!("advice-{name}"), &programs);
    let mut refused = errors(&said[&refused_name]);
    let first_line = top.lines().count() + 2;
    let mut wrong = String::new();
    for (index, (function, says, _)) in cases.iter().enumerate() {
        let is_here =
            |error: &Message| error.place.is_some_and(|place| place.line == first_line + 3 * index);
        let (here, others) = refused.into_iter().partition(is_here);
        refused = others;
        let [error] = &here[..] else {
            wrong += &format!("{function}: {} errors\n{}\n", here.len(), all(&here));
            continue;
        };
        // As it is shown, it may be in several lines.
        let text = error.rendered.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.contains(says) {
            wrong += &format!("{function}: not {says}\n{}\n", error.rendered);
        }
    }
    wrong += &all(&refused);
    wrong += &all(&errors(&said[&followed_name]));
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the errors of `remote/fail/options.rs` say, and what each has in the place of what.
const REMOTE: [(&str, &[(&str, &str)]); 13] = [
    ("write `timeout = \"30s\"`", &[("(remote)] //~", "(remote, timeout = \"30s\")]")]),
    ("leave out `detach`", &[("\"2s\", detach)] //~", "\"2s\")]")]),
    ("`attempts` is at least 1", &[("attempts = 0)] //~", "attempts = 1)]")]),
    ("leave it out, or write `remote`", &[("(cpu, attempts = 3)] //~", "(cpu)]")]),
    ("a `static` of type `RemotePool`", &[("pool = RENDERS)] //~", "pool = FAR)]")]),
    (
        "a `static` of type `ProcessPool`",
        &[("(process, pool = FAR)] //~", "(process, pool = RENDERS)]")],
    ),
    (
        "returns nothing: return `Result<(), offload_runtime::Error>`",
        &[("nothing() { //~\n", "nothing() -> Result<(), offload_runtime::Error> {\n    Ok(())\n")],
    ),
    (
        "return `Result<T, offload_runtime::Error>`",
        &[("-> u8 { //~\n    x\n", "-> Result<u8, offload_runtime::Error> {\n    Ok(x)\n")],
    ),
    (
        "write a function for each type",
        &[("<T: Clone>(x: T) -> Result<(), Error> { //~", "(x: u32) -> Result<(), Error> {")],
    ),
    (
        "`#[derive(serde::Serialize, serde::Deserialize)]`",
        &[
            ("struct Secret", "#[derive(serde::Serialize, serde::Deserialize)]\nstruct Secret"),
            (
                "(secret: Secret) -> Result<(), Error> { //~",
                "(secret: Secret) -> Result<(), Error> {",
            ),
        ],
    ),
    ("this is `remote` here", &[("(distributed)] //~", "(remote, timeout = \"1s\")]")]),
    ("`panic = \"error\"` makes one", &[("panic = \"abort\")] //~", "panic = \"error\")]")]),
    ("has letters, digits, `-` and `_`", &[("\"a b\"); //~", "\"a-b_1\");")]),
];

#[test]
fn each_fix_of_a_remote_function_compiles() {
    let read =
        |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (mut refused, said) = (read("remote/fail/options.rs"), read("remote/fail/options.stderr"));
    for (says, changes) in REMOTE {
        assert!(said.contains(says), "nothing says {says}");
        for (from, to) in changes {
            assert_eq!(refused.matches(from).count(), 1, "{from}");
            refused = refused.replace(from, to);
        }
    }
    assert!(!refused.contains("//~"), "not each is followed:\n{refused}");
    let (functions, _) = refused.split_once("\nasync fn caller").unwrap();
    let functions = functions.split_once("use offload_runtime").unwrap().1;
    assert_eq!(read("remote/followed.rs").split_once("use offload_runtime").unwrap().1, functions);
}

/// An editor, and whoever builds with increments, is told each mistake once, too.
#[test]
fn a_type_that_is_not_what_it_should_be_is_one_error_with_increments() {
    let functions = [
        "#[offload(process)] pub fn takes(store: Store) -> Result<(), Error> { drop(store); Ok(()) }",
        "#[offload(process)] pub fn gives() -> Result<Store, Error> { todo!() }",
        "#[offload(process)] pub fn copies(#[to_owned] store: &Store) -> Result<(), Error> { let _ = store.count; Ok(()) }",
        "#[offload(process, stream)] pub fn makes() -> Result<impl Iterator<Item = Store>, Error> { Ok(std::iter::empty()) }",
        "#[offload(thread, stream)] pub fn no_iterator() -> Store { todo!() }",
        "#[offload(thread, stream)] pub fn named() -> std::vec::IntoIter<std::rc::Rc<u8>> { Vec::new().into_iter() }",
        "#[offload(thread, stream)] pub fn sends(out: &mut offload_runtime::Sink<std::rc::Rc<u8>>) -> Result<(), Error> { Ok(out.send(1.into())?) }",
        "#[offload(thread, stream)] pub fn fails() -> Result<std::ops::Range<u8>, std::rc::Rc<u8>> { Ok(0..1) }",
    ];
    let programs: Vec<_> = functions
        .iter()
        .enumerate()
        .map(|(index, function)| (format!("incremental{index}"), format!("{PRELUDE}{function}\n")))
        .collect();
    let once = checked::check("check", "advice-increments", &programs);
    let said = checked::check_with_increments("advice-increments", &programs);
    for ((name, program), once) in programs.iter().zip(once.values()) {
        let texts = |said: &[Message]| {
            errors(said).into_iter().map(|e| e.rendered.clone()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&said[name]), texts(once), "{program}");
        assert_eq!(texts(once).len(), 1, "{program}");
    }
}

#[test]
fn where_a_feature_is_missing_the_line_that_the_error_names_is_one_of_a_manifest() {
    let program = |kind: &str| {
        format!("{PRELUDE}#[offload({kind})] pub fn f(n: u32) -> Result<u32, Error> {{ Ok(n) }}\n")
    };
    let programs = [("away".to_owned(), program("process")), ("far".to_owned(), program("remote"))];
    let said = checked::check_with("[]", "check", "advice-feature", &programs);
    let lines: Vec<String> = [("away", "process"), ("far", "remote")]
        .into_iter()
        .map(|(name, kind)| {
            let errors = errors(&said[name]);
            let [error] = &*errors else { panic!("{kind}: {}", all(&errors)) };
            let line = quoted(&error.text, "write `");
            assert!(
                error.text.starts_with(&format!("`{kind}` needs the feature `{kind}`")),
                "{}",
                error.text
            );
            line[0].to_owned()
        })
        .collect();
    // Of `process` as it stands there, but for where the crate is. With `remote` this very test is built.
    let followed = [("away".to_owned(), program("process"))];
    let features = lines[0].split_once("features = ").unwrap().1.trim_end_matches(" }");
    let said = checked::check_with(features, "check", "advice-feature-followed", &followed);
    assert!(errors(&said["away"]).is_empty(), "{}", all(&errors(&said["away"])));
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let features = lines[1].split_once("features = ").unwrap().1;
    assert!(manifest.contains(features), "{}", lines[1]);
    for line in lines {
        let version = format!("offload-runtime = {{ version = \"{}\", ", env!("CARGO_PKG_VERSION"));
        assert!(line.starts_with(&version), "{line}");
    }
}

#[test]
fn a_runtime_that_is_renamed_is_one_error_until_the_attribute_says_its_name() {
    let program = |options: &str| format!("#[runtime::offload({options})]\npub fn f() {{}}\n");
    let programs = [("unsaid", "cpu"), ("said", "cpu, crate = runtime")]
        .map(|(name, options)| (name.to_owned(), program(options)));
    let said = checked::check_renamed("runtime", "advice-renamed", &programs);
    assert_eq!(said["said"], []);
    let errors = errors(&said["unsaid"]);
    let [error] = &*errors else { panic!("{}", all(&errors)) };
    assert!(error.text.contains("`offload_runtime`"), "{}", error.rendered);
    assert_eq!(error.place.map(|place| place.line), Some(1), "{}", error.rendered);
}

#[test]
fn where_there_is_no_fix_the_message_says_why() {
    let programs: Vec<_> = NO_FIX
        .iter()
        .enumerate()
        .map(|(index, signature)| {
            (format!("tied_{index:02}"), format!("{PRELUDE}{TYPES}{}", program(signature, "")))
        })
        .collect();
    for (name, said) in checked::check("check", "advice-none", &programs) {
        let errors = errors(&said);
        let [error] = &*errors else { panic!("{name}: {}", all(&errors)) };
        let (_, why) = error.text.split_once(": ").unwrap();
        assert!(!why.contains("write `#[to_owned]") && why.len() > 40, "{}", error.text);
    }
}

fn errors(messages: &[Message]) -> Vec<Message> {
    messages.iter().filter(|message| message.is_error).cloned().collect()
}

fn all(errors: &[Message]) -> String {
    errors.iter().map(|error| error.rendered.clone()).collect()
}

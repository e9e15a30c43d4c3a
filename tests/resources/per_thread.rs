//! `ThreadResource`: one instance for each thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::{Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{CpuPool, ThreadPool, ThreadResource, offload};

use crate::resource;
use crate::support::{Gate, PATIENCE, begin};

/// Neither `Send` nor `Sync`.
struct Parser {
    uses: Rc<Cell<usize>>,
    home: ThreadId,
}

fn parser() -> Result<Parser, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Parser { uses: Rc::default(), home: thread::current().id() })
}

#[test]
fn a_parser_that_is_not_send_is_made_by_each_thread_and_stays_there() {
    static POOL: CpuPool = CpuPool::new("parsers").threads(2);
    static PARSER: ThreadResource<Parser> = ThreadResource::new("parser", parser);

    #[offload(cpu, pool = POOL)]
    fn parse(gate: Gate, #[resource(PARSER)] parser: &mut Parser) -> (ThreadId, usize) {
        assert_eq!(parser.home, thread::current().id());
        gate.pass();
        parser.uses.set(parser.uses.get() + 1);
        (parser.home, parser.uses.get())
    }

    let gate = Gate::default();
    let both: Vec<_> = (0..2).map(|_| begin(parse(gate.clone()))).collect();
    gate.wait_for(2);
    let stats = resource("parser");
    assert_eq!((stats.kind, stats.size, stats.in_use, stats.made), ("thread", None, 2, 2));
    gate.open();
    // On a busy machine a third thread may stand in for one that is blocked.
    let mut uses_of: HashMap<_, _> = block_on(join_all(both)).into_iter().collect();
    for _ in 0..50 {
        let (home, uses) = block_on(parse(gate.clone()));
        let before = uses_of.insert(home, uses).unwrap_or(0);
        assert_eq!(uses, before + 1, "one instance serves all calls of its thread");
    }
    let stats = resource("parser");
    assert_eq!((stats.made, stats.in_use), (uses_of.len() as u64, 0));
}

#[test]
fn it_is_lent_as_a_shared_reference_too() {
    static PARSER: ThreadResource<Parser> = ThreadResource::new("read only", parser);

    #[offload(thread)]
    fn look(#[resource(PARSER)] parser: &Parser) -> bool {
        parser.home == thread::current().id()
    }

    assert!(block_on(look()));
}

#[test]
fn an_instance_whose_body_panicked_is_dropped() {
    static POOL: ThreadPool = ThreadPool::new("one parser").threads(1);
    static PARSER: ThreadResource<Parser> = ThreadResource::new("broken parser", parser);

    #[offload(thread, pool = POOL)]
    fn parse(panics: bool, #[resource(PARSER)] parser: &mut Parser) -> usize {
        parser.uses.set(parser.uses.get() + 1);
        assert!(!panics, "in the body");
        parser.uses.get()
    }

    assert_eq!(block_on(parse(false)), 1);
    catch_unwind(|| block_on(parse(true))).unwrap_err();
    assert_eq!(block_on(parse(false)), 1);
    assert_eq!((resource("broken parser").made, resource("broken parser").dropped), (2, 1));
}

#[test]
fn it_is_dropped_by_its_thread_when_that_ends() {
    static POOL: ThreadPool =
        ThreadPool::new("short").threads(1).keep_alive(Duration::from_millis(1));
    static SENDER: Mutex<Option<mpsc::Sender<ThreadId>>> = Mutex::new(None);
    static LOCAL: ThreadResource<Told> = ThreadResource::new("told", || Ok(Told));
    struct Told;
    impl Drop for Told {
        fn drop(&mut self) {
            SENDER.lock().unwrap().as_ref().unwrap().send(thread::current().id()).unwrap();
            // It must not end the process.
            panic!("in the destructor of a thread's own");
        }
    }

    #[offload(thread, pool = POOL)]
    fn touch(#[resource(LOCAL)] _told: &mut Told) -> ThreadId {
        thread::current().id()
    }

    let (sender, dropped) = mpsc::channel();
    *SENDER.lock().unwrap() = Some(sender);
    let home = block_on(touch());
    assert_eq!(dropped.recv_timeout(PATIENCE).unwrap(), home);
    assert_eq!(resource("told").dropped, 1);
}

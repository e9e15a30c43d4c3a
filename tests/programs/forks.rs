//! A process that makes a call, forks, and makes one in the child. The child says what becomes of it.

use std::panic::catch_unwind;

use futures::StreamExt;
use futures::executor::block_on;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use offload_runtime::{Error, offload, spawn_thread};

#[offload(thread)]
fn plain() -> u8 {
    7
}

#[offload(cpu)]
fn fallible() -> Result<u8, Error> {
    Ok(7)
}

#[offload(thread, stream)]
fn streamed() -> impl Iterator<Item = Result<u8, Error>> {
    std::iter::once(Ok(7))
}

fn main() {
    assert_eq!(block_on(plain()), 7);
    let (held, hold) = std::sync::mpsc::channel::<()>();
    let before = spawn_thread(move || hold.recv());
    // The runtime has just looked whether it is in this process.
    (0..100).for_each(|_| assert_eq!(block_on(plain()), 7));
    // SAFETY: the child calls what the runtime would have it call, which is what is tried here; the
    // other threads of this process hold no lock meanwhile, as they wait for work.
    #[expect(unsafe_code, reason = "there is no other way to fork")]
    let side = unsafe { fork() }.unwrap();
    match side {
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            drop(held);
            assert!(before.wait().unwrap().is_err());
            assert_eq!(block_on(plain()), 7);
        }
        ForkResult::Child => {
            println!("{}", block_on(fallible()).unwrap_err());
            println!("{}", spawn_thread(|| 7).wait().unwrap_err());
            println!("{}", block_on(Box::pin(streamed()).next()).unwrap().unwrap_err());
            println!("{}", before.wait().unwrap_err());
            std::panic::set_hook(Box::new(|_| {}));
            let payload = catch_unwind(|| block_on(plain())).unwrap_err();
            println!("{}", payload.downcast_ref::<String>().unwrap());
        }
    }
}

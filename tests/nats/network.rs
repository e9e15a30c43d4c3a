//! A network between a server and its clients whose cable can be pulled: two network namespaces, each of which is there as
//! long as the processes in it are, and so is what connects them.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Where the server is.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Where its clients are.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// See the [module](self).
pub(crate) struct Network {
    /// The id of a process in the server's namespace, by which that is entered.
    far: u32,
}

/// What starts a program in a network namespace that it may change. `None`: the system does not allow it.
pub(crate) fn apart() -> Option<Command> {
    // Not only for those who have these rights already.
    let ways = [&["--user", "--map-root-user", "--net"][..], &["--net"]];
    ways.into_iter().find_map(|options| {
        let command = || {
            let mut command = Command::new("unshare");
            command.args(options);
            command
        };
        let mut tried = command();
        // It does all that is done in there that not everybody may do.
        tried.args(["sh", "-c", "ip link set lo up && unshare --net ip link add type veth"]);
        let is_allowed = tried.stdout(Stdio::null()).stderr(Stdio::null()).status();
        is_allowed.is_ok_and(|status| status.success()).then(command)
    })
}

/// What starts a program in a further one, from there.
pub(crate) fn further(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", program]);
    command
}

impl Network {
    /// Connects this process's namespace with the one to which that process goes.
    pub(crate) fn to(far: u32) -> Network {
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
        while namespace(&far.to_string()) == namespace("self") {
            thread::sleep(Duration::from_millis(1));
        }
        let network = Network { far };
        ip("link set lo up");
        ip(&format!("link add near type veth peer name far netns {far}"));
        ip(&format!("address add {NEAR}/24 dev near"));
        ip("link set near up");
        network.ip_far(&format!("address add {FAR}/24 dev far"));
        network.plug_in();
        network
    }

    /// From now on nothing gets through, and nobody is told.
    pub(crate) fn pull(&self) {
        self.ip_far("link set far down");
    }

    pub(crate) fn plug_in(&self) {
        self.ip_far("link set far up");
    }

    fn ip_far(&self, words: &str) {
        let target = self.far.to_string();
        done(Command::new("nsenter").args(["--net", "--target", &target, "ip"]), words);
    }
}

fn ip(words: &str) {
    done(&mut Command::new("ip"), words);
}

fn done(command: &mut Command, words: &str) {
    let status = command.args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}: {status}");
}

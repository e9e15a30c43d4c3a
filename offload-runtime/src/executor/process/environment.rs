//! The environment variables of workers: those of the parent, but for what is set here.

use std::process::Command;

/// So many variables may be removed by name.
const MOST: usize = 16;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment {
    /// None of the parent's is kept.
    is_cleared: bool,
    /// These are not kept; as many of them as `count`.
    removed: [&'static str; MOST],
    count: usize,
    /// Added after that.
    added: &'static [(&'static str, &'static str)],
}

impl Environment {
    /// All that the parent has.
    pub(super) const INHERITED: Environment =
        Environment { is_cleared: false, removed: [""; MOST], count: 0, added: &[] };

    pub(crate) const fn clear(&mut self) {
        self.is_cleared = true;
    }

    pub(crate) const fn remove(&mut self, name: &'static str) {
        assert!(is_name(name), "the name of a variable is not empty, and has no `=` and no NUL");
        assert!(self.count < MOST, "at most 16 variables can be removed: use `env_clear`");
        self.removed[self.count] = name;
        self.count += 1;
    }

    pub(crate) const fn add(&mut self, variables: &'static [(&'static str, &'static str)]) {
        self.added = variables;
    }

    /// What it is for a program that is to be started.
    pub(super) fn apply(&self, command: &mut Command) {
        if self.is_cleared {
            command.env_clear();
        }
        for name in &self.removed[..self.count] {
            command.env_remove(name);
        }
        command.envs(self.added.iter().copied());
    }
}

const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b'=' | 0) {
            return false;
        }
        at += 1;
    }
    at > 0
}

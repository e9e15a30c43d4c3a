//! The environment variables of workers: those of the parent, but for what is set here.

use std::process::Command;

/// So many variables may be removed by name, and as often some may be added.
const MOST: usize = 16;

type Variables = &'static [(&'static str, &'static str)];

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment {
    /// None of the parent's is kept.
    is_cleared: bool,
    /// These are not kept.
    removed: List<&'static str>,
    /// Added after that, in this order.
    added: List<Variables>,
}

/// A list that grows in a `const`, up to [`MOST`].
#[derive(Clone, Copy, Debug)]
struct List<T> {
    /// The first `count` of them.
    items: [T; MOST],
    count: usize,
}

impl<T: Copy> List<T> {
    /// An empty one, which has to have something in its places all the same.
    const fn new(nothing: T) -> List<T> {
        List { items: [nothing; MOST], count: 0 }
    }

    const fn is_full(&self) -> bool {
        self.count == MOST
    }

    const fn push(&mut self, item: T) {
        self.items[self.count] = item;
        self.count += 1;
    }

    fn items(&self) -> &[T] {
        &self.items[..self.count]
    }
}

impl Environment {
    /// All that the parent has.
    pub(super) const INHERITED: Environment =
        Environment { is_cleared: false, removed: List::new(""), added: List::new(&[]) };

    pub(crate) const fn clear(&mut self) {
        self.is_cleared = true;
    }

    pub(crate) const fn remove(&mut self, name: &'static str) {
        assert_name(name);
        assert!(!self.removed.is_full(), "at most 16 variables can be removed: use `env_clear`");
        self.removed.push(name);
    }

    pub(crate) const fn add(&mut self, variables: Variables) {
        let mut at = 0;
        while at < variables.len() {
            assert_name(variables[at].0);
            assert!(!has(variables[at].1, 0), "the value of a variable has no NUL");
            at += 1;
        }
        assert!(
            !self.added.is_full(),
            "`env` can be called at most 16 times: it takes several variables"
        );
        self.added.push(variables);
    }

    /// What it is for a program that is to be started.
    pub(super) fn apply(&self, command: &mut Command) {
        if self.is_cleared {
            command.env_clear();
        }
        for name in self.removed.items() {
            command.env_remove(name);
        }
        for variables in self.added.items() {
            command.envs(variables.iter().copied());
        }
    }
}

const fn assert_name(name: &str) {
    let is_fine = !name.is_empty() && !has(name, b'=') && !has(name, 0);
    assert!(is_fine, "the name of a variable is not empty, and has no `=` and no NUL");
}

const fn has(text: &str, byte: u8) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Why a setting is none.
    fn problem(set: fn(&mut Environment)) -> String {
        let set = || set(&mut { Environment::INHERITED });
        let payload = catch_unwind(set).unwrap_err();
        (*payload.downcast_ref::<&str>().unwrap()).to_owned()
    }

    #[test]
    fn what_the_system_would_deny_is_rejected_where_it_is_set() {
        let name = "the name of a variable is not empty, and has no `=` and no NUL";
        assert_eq!(problem(|it| it.remove("")), name);
        assert_eq!(problem(|it| it.remove("A=")), name);
        assert_eq!(problem(|it| it.add(&[("A", "1"), ("B=", "2")])), name);
        assert_eq!(problem(|it| it.add(&[("\0", "1")])), name);
        assert_eq!(problem(|it| it.add(&[("A", "1\0")])), "the value of a variable has no NUL");
    }

    #[test]
    fn what_is_too_much_says_what_to_do_instead() {
        let removes = |it: &mut Environment| (0..=MOST).for_each(|_| it.remove("A"));
        assert_eq!(problem(removes), "at most 16 variables can be removed: use `env_clear`");
        let adds = |it: &mut Environment| (0..=MOST).for_each(|_| it.add(&[("A", "1")]));
        assert_eq!(
            problem(adds),
            "`env` can be called at most 16 times: it takes several variables"
        );
    }
}

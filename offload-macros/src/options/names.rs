//! How kinds and options are called, and which of them a word may have meant.

use syn::{Error, Ident};

/// The kinds: where a body may run.
const KINDS: [&str; 4] = ["thread", "cpu", "process", "remote"];

/// The options, each as one writes it.
const OPTIONS: [(&str, &str); 14] = [
    ("limit", "limit = 4"),
    ("queue", "queue = 100"),
    ("timeout", "timeout = \"2s\""),
    ("queue_timeout", "queue_timeout = \"100ms\""),
    ("pool", "pool = REPORTS"),
    ("name", "name = \"thumb\""),
    ("sync", "sync = thumb_sync"),
    ("spawn", "spawn = remove_soon"),
    ("panic", "panic = \"error\""),
    ("detach", "detach"),
    ("stream", "stream = 64"),
    ("stall_timeout", "stall_timeout = \"10s\""),
    ("attempts", "attempts = 3"),
    ("crate", "crate = path::to::offload_runtime"),
];

pub(crate) fn example(key: &Ident) -> &'static str {
    let key = key.to_string();
    OPTIONS.iter().find(|(name, _)| *name == key).map_or("", |(_, example)| example)
}

/// Words by which a kind is called elsewhere.
const SYNONYMS: [(&str, &[&str]); 4] = [
    ("thread", &["block", "block_in_place", "blocking", "io", "spawn_blocking", "threads", "wait"]),
    ("cpu", &["compute", "core", "cores", "parallel", "rayon"]),
    ("process", &["fork", "processes", "subprocess", "worker"]),
    ("remote", &["cluster", "distributed", "machine", "machines", "nats", "network"]),
];

pub(crate) fn unknown(key: &Ident) -> Error {
    let synonym = SYNONYMS.iter().find(|(_, words)| words.iter().any(|word| key == word));
    if let Some((kind, _)) = synonym {
        let message = format!(
            "there is no kind `{key}`: this is `{kind}` here; a body that waits (for files, locks, drivers) is `thread`, \
             one that computes is `cpu`, one that may crash or never end is `process`, one for other machines is `remote`"
        );
        return Error::new(key.span(), message);
    }
    let names = || KINDS.into_iter().chain(OPTIONS.into_iter().map(|(name, _)| name));
    let word = key.to_string();
    let nearest = names()
        .map(|name| (distance(&word, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .map_or(String::new(), |(_, name)| format!(", did you mean `{name}`?"));
    let list = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let message = format!(
        "unknown option `{word}`{nearest}\nthe kinds are {}\nthe options are {}",
        list(&KINDS),
        list(&OPTIONS.map(|(name, _)| name)),
    );
    Error::new(key.span(), message)
}

/// How many letters one has to add, leave out, replace or swap with the next.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                    let swapped =
                        i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
                    let swapped = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    replaced.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[from.len()][to.len()]
}

//! What things are called at the broker: streams, subjects, headers.
//!
//! | name | what it is |
//! | --- | --- |
//! | `offload-POOL` | the stream of a pool, and `workers`, the consumer that all its workers share; and its object store |
//! | `$O.offload-POOL.C.OBJECT.TRY` | what is in that: the parts of an object, as one of the tries to store it has put them there |
//! | `$O.offload-POOL.M.…` | and what is said about an object |
//! | `offload.POOL.calls` | calls, on their way into the stream |
//! | `offload.POOL.caller.CALLER` | what workers say to a caller |
//! | `offload.POOL.caller.CALLER.echo` | nothing: that nobody listens there, the server says to the caller |
//! | `offload.POOL.worker.WORKER.call.CALL` | what a caller says to the worker that has this call |
//! | `offload.POOL.worker.WORKER.call.CALL.granted.LEFT.BEAT` | what the server says to it, for the caller: the message is gone, and the body may start |
//! | `offload.POOL.worker.WORKER.pull.SLOT` | the calls that a worker gets out of the stream |
//! | `offload.POOL.present` | workers, saying which functions they know |
//! | `offload.POOL.probe` | a caller, asking them to do so |

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

/// The consumer of a stream.
pub(super) const CONSUMER: &str = "workers";

/// Which call it is, by the name of this header.
pub(super) const CALL: &str = "Offload-Call";

/// The label of the function.
pub(super) const FUNCTION: &str = "Offload-Function";

/// In milliseconds: so long after it was stored nobody waits for it any more.
pub(super) const TIMEOUT: &str = "Offload-Timeout";

/// What the server is told, so that it stores a message once that was sent twice.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Its arguments are in the object store.
pub(super) const OBJECT: &str = "Offload-Object";

/// The object store of a pool.
pub(super) fn bucket(pool: &str) -> String {
    format!("offload-{pool}")
}

/// Where the parts of an object are that has this id in the store.
pub(super) fn part(bucket: &str, id: &str) -> String {
    format!("$O.{bucket}.C.{id}")
}

/// Where it says how large an object is, and which id it has.
pub(super) fn about(bucket: &str, name: &str) -> String {
    format!("$O.{bucket}.M.{}", URL_SAFE.encode(name))
}

pub(super) fn stream(pool: &str) -> String {
    format!("offload-{pool}")
}

pub(super) fn calls(pool: &str) -> String {
    format!("offload.{pool}.calls")
}

pub(super) fn caller(pool: &str, caller: &str) -> String {
    format!("offload.{pool}.caller.{caller}")
}

pub(super) fn worker(pool: &str, worker: &str) -> String {
    format!("offload.{pool}.worker.{worker}")
}

pub(super) fn call(pool: &str, worker: &str, call: &CallId) -> String {
    format!("{}.call.{call}", self::worker(pool, worker))
}

/// Where the server says to a worker that the message of a call is gone, and so that the body may start, under these
/// terms. Only who grants the call has it say so there.
pub(super) fn granted(pool: &str, worker: &str, call: &CallId, terms: Terms) -> String {
    let Terms { left, beat } = terms;
    let left = left.map_or_else(|| FOR_EVER.to_owned(), |left| left.to_string());
    format!("{}{GRANTED}{left}.{beat}", self::call(pool, worker, call))
}

/// What stands after the name of a call where it is granted.
const GRANTED: &str = ".granted.";

/// Stands for the time of a call that has as much as it needs.
const FOR_EVER: &str = "-";

/// What a caller grants a call under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// In milliseconds: so long the answer is waited for.
    pub(super) left: Option<u64>,
    /// In milliseconds: so often the caller wants to hear that the worker works.
    pub(super) beat: u64,
}

/// What is said to a worker there is of this call; and, if the server says it, with these terms. A form that
/// is not known here has no terms that are.
pub(super) fn of_call(subject: &str) -> (&str, Option<Terms>) {
    let (subject, terms) = match subject.split_once(GRANTED) {
        Some((subject, terms)) => (subject, terms.parse().ok()),
        None => (subject, None),
    };
    (subject.rsplit('.').next().unwrap_or_default(), terms)
}

impl FromStr for Terms {
    type Err = ();

    fn from_str(text: &str) -> Result<Terms, ()> {
        let (left, beat) = text.split_once('.').ok_or(())?;
        let left = match left {
            FOR_EVER => None,
            left => Some(left.parse().map_err(drop)?),
        };
        Ok(Terms { left, beat: beat.parse().map_err(drop)? })
    }
}

pub(super) fn present(pool: &str) -> String {
    format!("offload.{pool}.present")
}

pub(super) fn probe(pool: &str) -> String {
    format!("offload.{pool}.probe")
}

/// When a message was stored, in nanoseconds since 1970, by where an acknowledgement of it goes.
pub(super) fn stored(acknowledge: &str) -> Option<u64> {
    part_after_consumer(acknowledge, 3)
}

/// How often a message was given to a worker, by the same.
pub(super) fn delivered(acknowledge: &str) -> Option<u64> {
    part_after_consumer(acknowledge, 0)
}

/// It goes to `$JS.ACK.STREAM.CONSUMER.…`, or to one where domain and account stand before the stream.
fn part_after_consumer(acknowledge: &str, number: usize) -> Option<u64> {
    let parts: Vec<_> = acknowledge.split('.').collect();
    let first = if parts.len() > 9 { 6 } else { 4 };
    parts.get(first + number)?.parse().ok()
}

/// Tells a call from all others, and one attempt at it from the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallId {
    /// Tells the process that calls from all others.
    pub(super) caller: String,
    pub(super) number: u64,
    /// From 1.
    pub(super) attempt: u32,
}

impl CallId {
    /// The object with its arguments.
    pub(super) fn arguments(&self) -> String {
        format!("{self}-arguments")
    }

    /// The object with its result.
    pub(super) fn result(&self) -> String {
        format!("{self}-result")
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.caller, self.number, self.attempt)
    }
}

impl FromStr for CallId {
    type Err = ();

    fn from_str(text: &str) -> Result<CallId, ()> {
        let mut parts = text.rsplitn(3, '-');
        let mut next = || parts.next().ok_or(());
        let attempt = next()?.parse().map_err(drop)?;
        let number = next()?.parse().map_err(drop)?;
        let caller = next()?;
        // It becomes a part of subjects.
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = !caller.is_empty() && caller.bytes().all(is_sign);
        is_name.then(|| CallId { caller: caller.to_owned(), number, attempt }).ok_or(())
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_message_is_read_from_where_its_acknowledgement_goes() {
        for reply in [
            "$JS.ACK.offload-p.workers.2.7.5.1700.0",
            "$JS.ACK.hub.acc.offload-p.workers.2.7.5.1700.0.x",
        ] {
            assert_eq!((delivered(reply), stored(reply)), (Some(2), Some(1700)), "{reply}");
        }
        assert_eq!((delivered("elsewhere"), stored("$JS.ACK.a.b.c.d.e.f")), (None, None));
    }

    #[test]
    fn the_terms_of_a_call_are_read_as_they_were_granted() {
        let id = CallId { caller: "aB3".to_owned(), number: 7, attempt: 2 };
        for left in [None, Some(0), Some(30_000)] {
            let terms = Terms { left, beat: 2000 };
            let subject = granted("p", "w", &id, terms);
            assert_eq!(of_call(&subject), ("aB3-7-2", Some(terms)));
        }
        assert_eq!(of_call(&call("p", "w", &id)), ("aB3-7-2", None));
        assert_eq!(of_call("offload.p.worker.w.call.aB3-7-2.granted.soon.1").1, None);
    }

    #[test]
    fn the_name_of_a_call_is_read_as_it_was_written_and_is_part_of_a_subject() {
        let id = CallId { caller: "web_1_aB3".to_owned(), number: 7, attempt: 2 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in ["", "a", "a-1", "a-1-x", "a.b-1-1", "*-1-1", ">-1-1", "-1-1", "a b-1-1"] {
            assert_eq!(other.parse::<CallId>(), Err(()), "{other}");
        }
    }
}

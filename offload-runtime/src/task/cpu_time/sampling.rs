//! Whether a function's bodies compute or wait, by sampling: the processor time
//! of their thread against the time that passed, without that for which it was
//! ready to run and had no processor. So that a function of the wrong kind can
//! be told, also where many bodies share few cores; and that bodies wait for a processor
//! most of their time, too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A body that takes less is not looked at: for that its kind makes no
/// difference.
const SHORTEST: Duration = Duration::from_micros(100);

/// From this many bodies on it is known what a function does …
const BODIES: u64 = 8;

/// … if they took so long together.
const TOGETHER: Duration = Duration::from_millis(20);

/// Whether bodies wait for a processor is known if they took so long together.
const LONG_TOGETHER: Duration = Duration::from_millis(500);

/// What is longer than this of its time it is most of it.
const HALF: f64 = 0.5;

/// After so many, old ones count half.
const FORGET: u64 = 256;

/// Of functions whose bodies are short, and of others, one body in so many is
/// sampled; and of each function the first ones.
const RARELY: u64 = 64;
const OFTEN: u64 = 16;

/// Who computes for that share of its time computes most of it; and who does
/// for less than the rest waits most of it.
const MOST: f64 = 0.6;

/// What is known of a function.
#[derive(Debug)]
pub(crate) struct CpuTime {
    /// Bodies, and their time and processor time in nanoseconds.
    bodies: AtomicU64,
    took: AtomicU64,
    used: AtomicU64,
    /// Of those bodies of which that is known: their whole time, and for how long of it they
    /// had no processor, in nanoseconds.
    whole: AtomicU64,
    starved: AtomicU64,
    /// The last one that was looked at was not short.
    is_long: AtomicBool,
    told: AtomicBool,
    told_starved: AtomicBool,
}

/// A body that runs.
pub(crate) struct Sample {
    /// The processor time of the thread, when it began.
    used: Duration,
    /// How long the thread has waited for a processor, if it was asked.
    ready: Option<Duration>,
    /// How long it took to find that out.
    reading: Duration,
    /// Taken last, and first when the body has ended: who gets no processor in
    /// between has not used it.
    began: Instant,
}

impl CpuTime {
    pub(crate) const fn new() -> CpuTime {
        CpuTime {
            bodies: AtomicU64::new(0),
            took: AtomicU64::new(0),
            used: AtomicU64::new(0),
            whole: AtomicU64::new(0),
            starved: AtomicU64::new(0),
            is_long: AtomicBool::new(false),
            told: AtomicBool::new(false),
            told_starved: AtomicBool::new(false),
        }
    }

    /// A body of this kind is about to begin on this thread, the `number`th of
    /// those of its function that waited about as long. `None`: it is not looked at.
    pub(crate) fn begin(&self, kind: &str, number: u64) -> Option<Sample> {
        if cfg!(offload_unsampled) {
            return None;
        }
        let is_long = self.is_long.load(Ordering::Relaxed);
        let each = if is_long { OFTEN } else { RARELY };
        let is_new = number < BODIES || is_long && self.bodies.load(Ordering::Relaxed) < BODIES;
        if !is_new && number % each != 0 {
            return None;
        }
        if ["process", "remote"].contains(&kind) {
            return None;
        }
        let asked = Instant::now();
        // This costs more: only for the first, and those that are known to be worth it.
        let ready = if is_long || number < BODIES { ready() } else { None };
        let used = used()?;
        let began = Instant::now();
        Some(Sample { used, ready, reading: began - asked, began })
    }

    /// That body of the function with this name has ended. If it is known now, and for the
    /// first time, that the function should be of another kind, or that its bodies mostly wait
    /// for a processor, that is reported.
    pub(crate) fn end(&self, name: &str, kind: &str, sample: &Sample) {
        if let Some(better) = self.judge(kind, sample) {
            report(name, kind, better, self.computing().unwrap_or_default());
        }
        if let Some(share) = self.starving().filter(|share| *share >= HALF) {
            if !self.told_starved.swap(true, Ordering::Relaxed) {
                report_starving(name, share);
            }
        }
    }

    /// That body has ended. If it is known now, and for the first time, that
    /// its function should be of another kind: that kind.
    fn judge(&self, kind: &str, sample: &Sample) -> Option<&'static str> {
        let ended = Instant::now();
        let took = ended - sample.began;
        // Anew each time: a short body may have lost its processor.
        self.is_long.store(took >= SHORTEST, Ordering::Relaxed);
        if took < SHORTEST {
            return None;
        }
        let used = used()?.saturating_sub(sample.used);
        // What a body waits for a processor, it neither computes nor waits.
        let ready = match sample.ready {
            Some(before) => ready()?.saturating_sub(before),
            // Where nobody tells, a body that computes is never said to do it
            // for longer than it does; one that waits would be.
            None if kind == "thread" && !cfg!(target_os = "linux") => Duration::ZERO,
            None => return None,
        };
        let rest = took.saturating_sub(ready);
        if sample.ready.is_some() {
            add(&self.whole, took);
            add(&self.starved, ready.min(took));
        }
        // Whoever lost its processor while it asked has an answer of another time.
        if sample.reading + ended.elapsed() > rest / 4 {
            return None;
        }
        self.add(rest, used);
        let better = self.better_kind(kind)?;
        (!self.told.swap(true, Ordering::Relaxed)).then_some(better)
    }

    /// Sums may be off by a body or two when several end at once.
    fn add(&self, took: Duration, used: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2);
        let sums = [(&self.took, nanos(took)), (&self.used, nanos(used.min(took)))];
        let bodies = self.bodies.fetch_add(1, Ordering::Relaxed);
        for (sum, more) in sums {
            let before = sum.load(Ordering::Relaxed);
            let before = if bodies >= FORGET { before / 2 } else { before };
            sum.store(before.saturating_add(more), Ordering::Relaxed);
        }
        if bodies >= FORGET {
            self.bodies.store(FORGET / 2, Ordering::Relaxed);
        }
    }

    /// For which share of their time its bodies computed, if that is known.
    pub(crate) fn computing(&self) -> Option<f64> {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        let took = read(&self.took);
        let known = read(&self.bodies) >= BODIES && Duration::from_nanos(took) >= TOGETHER;
        known.then(|| (read(&self.used) as f64 / took as f64).min(1.0))
    }

    /// For which share of their time its bodies were ready to run and had no processor, if
    /// that is known.
    pub(crate) fn starving(&self) -> Option<f64> {
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        let whole = read(&self.whole);
        let is_known = Duration::from_nanos(whole) >= LONG_TOGETHER;
        is_known.then(|| (read(&self.starved) as f64 / whole as f64).min(1.0))
    }

    /// The kind that a function of this kind should be, if it is known that it
    /// should be another.
    pub(crate) fn better_kind(&self, kind: &str) -> Option<&'static str> {
        match (kind, self.computing()?) {
            ("thread", share) if share >= MOST => Some("cpu"),
            ("cpu", share) if share <= 1.0 - MOST => Some("thread"),
            _ => None,
        }
    }
}

/// Adds to a sum, of which the old part counts half when it is long.
fn add(sum: &AtomicU64, time: Duration) {
    let before = sum.load(Ordering::Relaxed);
    let before = if before > 20 * LONG_TOGETHER.as_nanos() as u64 { before / 2 } else { before };
    let more = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
    sum.store(before.saturating_add(more), Ordering::Relaxed);
}

/// The processor time of this thread.
#[cfg(unix)]
fn used() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn used() -> Option<Duration> {
    None
}

/// How long this thread has been ready to run, and had no processor.
#[cfg(target_os = "linux")]
fn ready() -> Option<Duration> {
    use std::io::Read;

    // By hand, since it is asked often: no buffer, no length, no second look.
    let mut text = [0; 64];
    let length = std::fs::File::open("/proc/thread-self/schedstat").ok()?.read(&mut text).ok()?;
    parse_ready(text.get(..length)?)
}

/// Its line is the time on a processor, the time without, and how often it was
/// on one, which is zero only where the kernel does not count.
#[cfg(target_os = "linux")]
fn parse_ready(text: &[u8]) -> Option<Duration> {
    let mut numbers = std::str::from_utf8(text).ok()?.split_whitespace().skip(1);
    let ready = numbers.next()?.parse().ok().map(Duration::from_nanos);
    if numbers.next()? == "0" { None } else { ready }
}

#[cfg(not(target_os = "linux"))]
fn ready() -> Option<Duration> {
    None
}

/// Says which word to change.
#[cfg(feature = "tracing")]
fn report(name: &str, kind: &str, better: &str, share: f64) {
    let percent = (share * 100.0).round();
    let does = does(better);
    tracing::warn!(
        target: "offload",
        function = name,
        kind,
        better_kind = better,
        "`{name}` {does} most of its time (it computes {percent} % of it), but its kind is \
         `{kind}`: write `#[offload({better})]`"
    );
}

#[cfg(not(feature = "tracing"))]
fn report(_: &str, _: &str, _: &str, _: f64) {}

/// Says what to look at.
#[cfg(feature = "tracing")]
fn report_starving(name: &str, share: f64) {
    let percent = (share * 100.0).round();
    tracing::warn!(
        target: "offload",
        function = name,
        percent,
        "bodies of `{name}` wait for a processor {percent} % of their time: other threads or \
         processes have it; raise the priority of its pool (`Priority::Normal`), or give the \
         machine less to do"
    );
}

#[cfg(not(feature = "tracing"))]
fn report_starving(_: &str, _: f64) {}

/// What the bodies of functions of this kind do.
#[cfg(any(feature = "tracing", feature = "axum"))]
pub(crate) fn does(kind: &str) -> &'static str {
    if kind == "cpu" { "computes" } else { "waits" }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn after(bodies: u64, took: u64, used: u64) -> CpuTime {
        let cpu_time = CpuTime::new();
        for _ in 0..bodies {
            cpu_time.add(Duration::from_millis(took), Duration::from_millis(used));
        }
        cpu_time
    }

    #[test]
    fn what_is_most_of_the_time_decides() {
        for (used, of_thread, of_cpu) in [
            (100, Some("cpu"), None),
            (70, Some("cpu"), None),
            (50, None, None),
            (30, None, Some("thread")),
            (0, None, Some("thread")),
        ] {
            let cpu_time = after(BODIES, 100, used);
            assert_eq!(cpu_time.better_kind("thread"), of_thread, "{used} %");
            assert_eq!(cpu_time.better_kind("cpu"), of_cpu, "{used} %");
            assert_eq!(cpu_time.better_kind("process"), None);
        }
    }

    #[test]
    fn how_long_bodies_waited_for_a_processor_is_known_when_they_took_long_together() {
        let cpu_time = CpuTime::new();
        add(&cpu_time.whole, LONG_TOGETHER / 2);
        add(&cpu_time.starved, LONG_TOGETHER / 2);
        assert_eq!(cpu_time.starving(), None);
        add(&cpu_time.whole, LONG_TOGETHER / 2);
        assert_eq!(cpu_time.starving(), Some(0.5));
    }

    #[test]
    fn a_few_bodies_tell_nothing() {
        assert_eq!(after(BODIES - 1, 100, 100).computing(), None);
        assert_eq!(after(BODIES, 1, 1).computing(), None, "too short together");
        assert_eq!(after(BODIES, 100, 100).computing(), Some(1.0));
    }

    #[test]
    fn what_a_function_did_long_ago_is_forgotten() {
        let cpu_time = after(1000, 100, 100);
        for _ in 0..1000 {
            cpu_time.add(Duration::from_millis(100), Duration::ZERO);
        }
        assert_eq!(cpu_time.better_kind("cpu"), Some("thread"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_kernel_that_does_not_count_says_nothing_of_waiting() {
        let millis = |text: &str| parse_ready(text.as_bytes()).map(|time| time.as_millis());
        assert_eq!(millis("73000000 5000000 12\n"), Some(5));
        assert_eq!(millis("0 0 1\n"), Some(0), "it has just begun");
        assert_eq!(millis("0 0 0\n"), None);
        assert_eq!(millis(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_short_body_and_one_that_lost_its_core_while_it_was_asked_tell_nothing() {
        if ready().is_none() {
            return;
        }
        let (now, long) = (Instant::now(), Duration::from_secs(10));
        let cpu_time = CpuTime::new();
        let bodies = |began, reading| {
            cpu_time
                .judge("thread", &Sample { used: Duration::ZERO, ready: ready(), reading, began });
            cpu_time.bodies.load(Ordering::Relaxed)
        };
        assert_eq!(bodies(now + long, Duration::ZERO), 0);
        assert!(!cpu_time.is_long.load(Ordering::Relaxed), "it took no time");
        assert_eq!(bodies(now - long, long), 0);
        assert_eq!(bodies(now - long, Duration::ZERO), 1);
        assert!(cpu_time.is_long.load(Ordering::Relaxed));
    }

    #[test]
    fn the_first_bodies_are_sampled_and_then_one_in_many() {
        let cpu_time = CpuTime::new();
        let sampled = |numbers: std::ops::Range<u64>| {
            numbers.filter(|number| cpu_time.begin("thread", *number).is_some()).count() as u64
        };
        if used().is_none() {
            return;
        }
        assert_eq!(sampled(0..BODIES), BODIES);
        assert_eq!(sampled(BODIES..640), 640 / RARELY - 1);
        // Those of a crowd that comes at once have all begun before one of them ends.
        let asked = |number| cpu_time.begin("thread", number).unwrap().ready;
        assert_eq!(asked(0).is_some(), ready().is_some());
        assert_eq!(asked(RARELY), None, "it costs more than a short body is worth");
        cpu_time.is_long.store(true, Ordering::Relaxed);
        assert_eq!(sampled(640..740), 100, "until enough is known");
        (0..BODIES).for_each(|_| cpu_time.add(SHORTEST, SHORTEST));
        assert_eq!(sampled(640..1280), 640 / OFTEN);
        assert!(cpu_time.begin("process", 0).is_none(), "it computes elsewhere");
    }
}

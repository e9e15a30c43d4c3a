//! To check a password takes long, and what it says belongs to the request's span.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};

/// Computes for some tens of milliseconds.
fn check(password: &str, hash: &str) -> Result<bool, String> {
    tracing::info!("checks");
    match Argon2::default().verify_password(password.as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

mod before {
    use tokio::task::{JoinHandle, spawn_blocking};

    /// Every program that logs has this one somewhere.
    fn spawn_in_span<R: Send + 'static>(
        work: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let span = tracing::Span::current();
        spawn_blocking(move || span.in_scope(work))
    }

    #[tracing::instrument(name = "request", skip_all)]
    pub(super) async fn log_in(password: String, hash: String) -> Result<bool, String> {
        let checked = spawn_in_span(move || super::check(&password, &hash)).await;
        checked.map_err(|error| format!("the check panicked: {error}"))?
    }
}

/// The span comes along, and so does a panic; and as many checks run as there are cores, not 512.
mod after {
    use offload_runtime::offload;

    #[offload(cpu)]
    fn check(#[to_owned] password: &str, #[to_owned] hash: &str) -> Result<bool, String> {
        super::check(password, hash)
    }

    #[tracing::instrument(name = "request", skip_all)]
    pub(super) async fn log_in(password: String, hash: String) -> Result<bool, String> {
        check(&password, &hash).await
    }
}

mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_password_is_checked_in_the_span_of_its_request() {
        let log = Log::default();
        let writer = log.clone();
        // For all threads, since the check is on another one.
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        let hash = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        for password in ["correct horse", "battery staple"] {
            let is_right = password == "correct horse";
            let (password, hash) = (password.to_owned(), hash.clone());
            assert_eq!(before::log_in(password.clone(), hash.clone()).await, Ok(is_right));
            assert_eq!(after::log_in(password, hash).await, Ok(is_right));
        }
        for log_in in [
            before::log_in("x".into(), "y".into()).await,
            after::log_in("x".into(), "y".into()).await,
        ] {
            assert!(log_in.is_err(), "that is no hash");
        }
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("checks")).collect();
        assert_eq!(lines.len(), 6, "{log}");
        assert!(lines.iter().all(|line| line.contains("request")), "{log}");
    }
}

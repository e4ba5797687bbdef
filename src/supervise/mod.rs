//! Keeps the parts alive: a part that panics or fails is started again, later each time, and counted.

pub mod watchdog;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info};

use crate::stop::Stop;

/// Wait before the first restart; doubled each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How a part ended by itself.
pub enum Ended {
    /// It was asked to stop, or there is nothing left to do.
    Done,
    /// It failed and should be tried again; the text is for the log.
    Failed(String),
}

/// How often parts were restarted since the daemon started.
#[derive(Default)]
pub struct Restarts(AtomicU64);

impl Restarts {
    /// The number so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more: for parts that are supervised elsewhere.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `part` on a thread of its own until it is done or `stop` is asked.
///
/// # Errors
/// The operating system refuses another thread.
pub fn thread(
    name: &str,
    stop: Arc<Stop>,
    restarts: Arc<Restarts>,
    mut part: impl FnMut(&Stop) -> Ended + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let label = name.to_owned();
    // Linux cuts thread names at 15 bytes.
    let short: String = name
        .chars()
        .rev()
        .take(15)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    thread::Builder::new().name(short).spawn(move || {
        let mut wait = FIRST_WAIT;
        while !stop.asked() {
            match catch_unwind(AssertUnwindSafe(|| part(&stop))) {
                Ok(Ended::Done) => return,
                Ok(Ended::Failed(why)) => error!(part = label, why, "part failed"),
                Err(panic) => {
                    error!(
                        part = label,
                        why = panic_text(panic.as_ref()),
                        "part panicked"
                    );
                }
            }
            restarts.add();
            info!(
                part = label,
                wait_s = wait.as_secs(),
                "part will be started again"
            );
            stop.wait(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    })
}

/// Runs `part` as a task until it returns by itself; one that panics is started again.
pub async fn task<F>(name: &str, restarts: &Restarts, mut part: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut wait = FIRST_WAIT;
    while let Err(end) = tokio::spawn(part()).await {
        let Ok(panic) = end.try_into_panic() else {
            return;
        };
        error!(
            part = name,
            why = panic_text(panic.as_ref()),
            "part panicked"
        );
        restarts.add();
        info!(
            part = name,
            wait_s = wait.as_secs(),
            "part will be started again"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_panics_is_started_again_and_counted() {
        let (stop, restarts) = (Arc::new(Stop::default()), Arc::new(Restarts::default()));
        let mut runs = 0;
        let handle = thread(
            "test",
            Arc::clone(&stop),
            Arc::clone(&restarts),
            move |_| {
                runs += 1;
                match runs {
                    1 => panic!("on purpose"),
                    _ => Ended::Done,
                }
            },
        )
        .unwrap();
        handle.join().unwrap();
        assert_eq!(restarts.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_and_counted() {
        let restarts = Restarts::default();
        let mut runs = 0;
        task("test", &restarts, || {
            runs += 1;
            let run = runs;
            async move { assert!(run > 2, "on purpose") }
        })
        .await;
        assert_eq!(restarts.count(), 2);
    }

    #[test]
    fn a_part_that_keeps_failing_stops_when_asked() {
        let (stop, restarts) = (Arc::new(Stop::default()), Arc::new(Restarts::default()));
        let handle = thread("test", Arc::clone(&stop), restarts, |_| {
            Ended::Failed("always".into())
        })
        .unwrap();
        stop.ask();
        handle.join().unwrap();
        assert!(stop.asked());
    }
}

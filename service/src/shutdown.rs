//! How a process ends once it was told to: every part has until one deadline, counted from the signal, and is cut off there.
//!
//! Any part may be cut off at any moment, since whatever was acknowledged is on disk: `kill -9` does the same. The log output says so, and
//! the process still ends with 0, since it ended as it was told.

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// A shutdown that has started, and its deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown(Instant);

impl Shutdown {
    /// Starts the shutdown now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The deadline for requests and pushes in flight.
    pub fn work_deadline(self) -> Instant {
        self.0 + limits::SHUTDOWN
    }

    /// Waits until a part has closed, or until the deadline: a store that does not answer never closes.
    pub async fn close(self, part: &'static str, closing: impl Future<Output = ()>) {
        if timeout_at(self.0 + limits::CLOSING, closing).await.is_err() {
            tracing::warn!("{part} did not close in time and is cut off; no acknowledged change is lost");
        }
    }
}

/// Waits for the end of a service. Once `stop` was called, it waits no longer than [`limits::END`], also for a service that is still
/// starting.
///
/// # Errors
/// Those of the service.
pub async fn wait_for_end(
    service: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let overdue = async {
        stop.cancelled().await;
        sleep(limits::END).await;
    };
    tokio::select! {
        ended = service => ended.context("the service ended with an error")?,
        () = overdue => {
            tracing::warn!("the service did not end in time and is cut off; no acknowledged change is lost");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_cut_off_at_the_deadlines() {
        let shutdown = Shutdown::start();
        shutdown.close("a part", std::future::pending()).await;
        assert_eq!(shutdown.0.elapsed(), limits::CLOSING);
        shutdown.close("the next one", std::future::pending()).await;
        assert_eq!(shutdown.0.elapsed(), limits::CLOSING, "one deadline for all of them");

        let stop = CancellationToken::new();
        let service = tokio::spawn(std::future::pending());
        let told = Instant::now();
        stop.cancel();
        wait_for_end(service, stop).await.unwrap();
        assert_eq!(told.elapsed(), limits::END);
    }

    #[test]
    fn all_that_is_waited_for_is_within_what_is_promised() {
        assert!(limits::SHUTDOWN < limits::CLOSING && limits::CLOSING < limits::END);
        let end =
            limits::END + limits::THREADS + honoken_telemetry::log_output::limits::LOG_OUTPUT_AT_THE_END;
        assert!(end < std::time::Duration::from_secs(20), "{end:?}");
    }

    #[tokio::test]
    async fn a_service_that_fails_says_why() {
        let service = tokio::spawn(async { anyhow::bail!("the disk is gone") });
        let fault = wait_for_end(service, CancellationToken::new()).await.unwrap_err();
        assert_eq!(fault.to_string(), "the disk is gone");
    }
}

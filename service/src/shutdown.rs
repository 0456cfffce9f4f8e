//! How a process ends once it was told to: everything has until one deadline, counted from the signal, and is cut off there.
//!
//! That may be done to any part at any moment, since what was acknowledged is on disk: to be cut off is what `kill -9` is. It is said in the log
//! output, and the process ends with 0 all the same: it was told to end, and did.

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// The end of a process, which has begun.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown(Instant);

impl Shutdown {
    /// It begins now.
    pub fn begins() -> Self {
        Self(Instant::now())
    }

    /// Until when requests and pushes in flight may be finished.
    pub fn of_work(self) -> Instant {
        self.0 + limits::SHUTDOWN
    }

    /// Waits until a part has closed, but not for ever: a store that does not answer never lets go.
    pub async fn closes(self, part: &'static str, closing: impl Future<Output = ()>) {
        if timeout_at(self.0 + limits::CLOSING, closing).await.is_err() {
            tracing::warn!(
                "{part} did not close in time and is cut off; nothing that was acknowledged is lost"
            );
        }
    }
}

/// Waits for the end of a service. Once `stop` was called, no longer than [`limits::END`], whatever it waits for: also one that has not started
/// yet.
///
/// # Errors
/// Those of the service.
pub async fn of(service: JoinHandle<anyhow::Result<()>>, stop: CancellationToken) -> anyhow::Result<()> {
    let overdue = async {
        stop.cancelled().await;
        sleep(limits::END).await;
    };
    tokio::select! {
        ended = service => ended.context("the service ended badly")?,
        () = overdue => {
            tracing::warn!("the service did not end in time and is cut off; nothing that was acknowledged is lost");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_cut_off_at_the_deadlines() {
        let ending = Shutdown::begins();
        ending.closes("a part", std::future::pending()).await;
        assert_eq!(ending.0.elapsed(), limits::CLOSING);
        ending.closes("the next one", std::future::pending()).await;
        assert_eq!(ending.0.elapsed(), limits::CLOSING, "one deadline for all of them");

        let stop = CancellationToken::new();
        let service = tokio::spawn(std::future::pending());
        let told = Instant::now();
        stop.cancel();
        of(service, stop).await.unwrap();
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
        let fault = of(service, CancellationToken::new()).await.unwrap_err();
        assert_eq!(fault.to_string(), "the disk is gone");
    }
}

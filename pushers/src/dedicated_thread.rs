//! A thread with a runtime of its own, for the sender and its connections to APNs.
//!
//! A push and the connection that it goes on wake each other all the time. On one thread that costs next to nothing; between threads of a
//! shared runtime it costs more than the push (`docs/decisions/0038-one-thread-for-apns.md`).

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// Runs a future on a thread of that name until it ends. It is dropped together with the future that is given back, which ends with it.
///
/// # Errors
/// When the system has no thread for it.
///
/// # Panics
/// The future that is given back panics when the other did, or when the system has no runtime for it.
pub fn spawn<F>(
    name: &'static str,
    begin: impl FnOnce() -> F + Send + 'static,
) -> io::Result<impl Future<Output = F::Output> + Send>
where
    F: Future<Output: Send> + 'static,
{
    let (mut ended, end) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|fault| panic!("no runtime for the thread {name}: {fault}"));
        runtime.block_on(async move {
            tokio::select! {
                // The other end may be gone at the same moment.
                output = begin() => drop(ended.send(output)),
                () = ended.closed() => {}
            }
        });
    })?;
    Ok(async move { end.await.unwrap_or_else(|_| panic!("the thread {name} has panicked")) })
}

/// The runtime that the connections of the data stores belong to: they are driven there, whichever thread asks.
#[derive(Debug, Clone)]
pub(crate) struct Home(Handle);

impl Home {
    /// The runtime that this is called on.
    pub(crate) fn here() -> Self {
        Self(Handle::current())
    }

    /// Runs a future there. It is given up when the future that is given back is dropped.
    pub(crate) fn run<F>(&self, asking: F) -> impl Future<Output = F::Output> + Send + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = AbortOnDropHandle::new(self.0.spawn(asking));
        async move {
            match task.await {
                Ok(output) => output,
                Err(fault) => match fault.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The process is ending.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_runs_elsewhere_and_asks_here() {
        let home = Home::here();
        let here = std::thread::current().id();
        let both = spawn("elsewhere", move || async move {
            let asked = home.run(async { std::thread::current().id() }).await;
            (std::thread::current().name().map(str::to_owned), asked)
        });
        assert_eq!(both.unwrap().await, (Some("elsewhere".to_owned()), here));
    }

    #[tokio::test]
    async fn it_ends_when_no_task_waits_any_longer() {
        let (kept, dropped) = oneshot::channel::<()>();
        let waiting = spawn("waits", move || async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        drop(waiting.unwrap());
        dropped.await.unwrap_err();
    }

    #[tokio::test]
    #[should_panic(expected = "the thread fails has panicked")]
    async fn a_panic_is_not_lost() {
        spawn("fails", || async { panic!("it fails") }).unwrap().await;
    }
}

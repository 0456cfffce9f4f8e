//! Answers that come one by one.

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tonic::Status;

/// The answers to one call, in order; an error is the last.
pub(crate) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// How many answers may wait for a slow client.
const WAITING: usize = 64;

/// Where answers are put.
#[derive(Debug)]
pub(crate) struct Out<T>(mpsc::Sender<Result<T, Status>>);

/// Nobody reads the answers any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        Out(self.0.clone())
    }
}

impl<T> Out<T> {
    pub(crate) async fn send(&self, answer: T) -> Result<(), Gone> {
        self.0.send(Ok(answer)).await.map_err(|_| Gone)
    }

    pub(crate) async fn fail(&self, status: Status) -> Result<(), Gone> {
        self.0.send(Err(status)).await.map_err(|_| Gone)
    }

    /// Ends once nobody reads the answers any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Both ends of a series of answers.
pub(crate) fn series<T: Send + 'static>() -> (Out<T>, Answers<T>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let answers = stream::unfold(receiver, |mut receiver| async move {
        let answer = receiver.recv().await?;
        Some((answer, receiver))
    });
    // An empty one is asked once more after its end.
    (Out(sender), answers.fuse().boxed())
}

/// Waits for the first answer, so that a call which fails at once fails without having begun an answer, as at the real server.
pub(crate) async fn begun<T: Send + 'static>(mut answers: Answers<T>) -> Result<Answers<T>, Status> {
    match answers.next().await {
        Some(Err(status)) => Err(status),
        first => Ok(stream::iter(first).chain(answers).boxed()),
    }
}

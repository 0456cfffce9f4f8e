//! Many images at a time. Those of the same pass, and those of the same type, go one after the other.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use honoken_service::image_store::StoredFile;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::sender::Stop;
use super::journal::Journal;
use super::source::Source;
use super::upload::{Senders, Uploaded, upload};
use crate::operator::progress::Progress;

/// Images that wait or are on their way, for each of those that may be on their way at a time.
const WAITING: usize = 8;

/// An import of many images.
pub(super) struct Run {
    pub(super) source: Source,
    /// `None`: images are judged, and not sent.
    pub(super) senders: Option<Senders>,
    /// Images that are on their way at a time.
    pub(super) concurrency: usize,
}

impl Run {
    /// Sends every image, and returns the journal in any case.
    ///
    /// # Errors
    /// When the import did not come to its end.
    pub(super) async fn send_all(
        self,
        mut journal: Journal,
        total: u64,
        stop: &CancellationToken,
    ) -> (Journal, anyhow::Result<()>) {
        let mut progress = Progress::of("images", total);
        let ended = self.work(&mut journal, &mut progress, stop).await;
        progress.clear();
        (journal, ended)
    }

    async fn work(
        &self,
        journal: &mut Journal,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let paths = self.source.images().await?;
        let images = paths.map(async |path| self.source.describe(&path?).await);
        let mut images = pin!(images.buffer_unordered(self.concurrency));
        let mut workers = JoinSet::new();
        let (results, mut uploaded) = mpsc::unbounded_channel();
        let lanes: Vec<_> = (0..self.concurrency).map(|_| self.worker(&mut workers, &results)).collect();
        let (mut waiting, mut is_listed) = (0, false);
        while waiting > 0 || !is_listed {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stop::Interrupted.into()),
                Some(Uploaded { image, done }) = uploaded.recv(), if waiting > 0 => {
                    waiting -= 1;
                    journal.note(&image, &done?)?;
                    progress.advance(1);
                }
                image = images.next(), if !is_listed && waiting < WAITING * self.concurrency => {
                    let Some(image) = image.transpose()? else {
                        is_listed = true;
                        continue;
                    };
                    if journal.is_done(&image) {
                        progress.advance(1);
                    } else {
                        waiting += 1;
                        lanes[self.lane(&image.path)].send(Arc::new(image))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Images in one folder share a lane.
    fn lane(&self, path: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        path.split('/').take(2).collect::<Vec<_>>().hash(&mut hasher);
        usize::try_from(hasher.finish() % self.concurrency as u64).unwrap_or_default()
    }

    /// Starts a worker, which ends with this run. Its queue is bounded by the number of images that wait.
    fn worker(
        &self,
        workers: &mut JoinSet<()>,
        results: &mpsc::UnboundedSender<Uploaded>,
    ) -> mpsc::UnboundedSender<Arc<StoredFile>> {
        let (lane, mut images) = mpsc::unbounded_channel::<Arc<StoredFile>>();
        let (source, senders, results) = (self.source.clone(), self.senders.clone(), results.clone());
        workers.spawn(async move {
            while let Some(image) = images.recv().await {
                let done = Box::pin(upload(source.clone(), senders.clone(), image.clone())).await;
                if results.send(Uploaded { image, done }).is_err() {
                    return;
                }
            }
        });
        lane
    }
}

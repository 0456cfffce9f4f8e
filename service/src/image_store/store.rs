//! Reads and writes images by their digests, in bounded time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use honoken_domain::ids::Digest;
use honoken_telemetry::error_chain;
use honoken_telemetry::metrics::{Metric, Metrics};
use opendal::{Buffer, Error, ErrorKind, Lister, Metadata, Operator};
use prometheus::IntCounter;

use super::away::Away;
use super::operator;
use super::place::{Place, Remote};
use super::remote;
use crate::{data_dir, limits};

/// A store that cannot be used. Its text names the store and the cause, and holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the image store {place} cannot be used: {cause}")]
pub struct StoreFault {
    place: Arc<str>,
    cause: Arc<str>,
}

/// An image store. Clones share one store.
#[derive(Debug, Clone)]
pub struct ImageStore {
    operator: Operator,
    place: Place,
    name: Arc<str>,
    away: Arc<Away>,
    failures: Option<IntCounter>,
}

impl ImageStore {
    /// Opens the store of a place. One on another machine is not connected yet: see [`ImageStore::reach`].
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub fn open(place: &Place) -> Result<Self, StoreFault> {
        Self::open_within(place, limits::IMAGE_STORE_ATTEMPT)
    }

    /// The same for large files: each attempt at a part may take a minute.
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub fn open_patient(place: &Place) -> Result<Self, StoreFault> {
        Self::open_within(place, limits::LARGE_FILE_ATTEMPT)
    }

    /// The same to read alone: nothing is made in a folder, which must be there.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open_to_read(place: &Place) -> Result<Self, StoreFault> {
        let name: Arc<str> = place.to_string().into();
        let operator = operator::open_to_read(place, limits::IMAGE_STORE_ATTEMPT);
        let operator = operator
            .map_err(|problem| StoreFault { place: name.clone(), cause: error_chain(&problem).into() })?;
        Ok(Self { operator, place: place.clone(), name, away: Arc::default(), failures: None })
    }

    fn open_within(place: &Place, attempt: Duration) -> Result<Self, StoreFault> {
        let name: Arc<str> = place.to_string().into();
        let fault = |cause: String| StoreFault { place: name.clone(), cause: cause.into() };
        if let Place::Folder(folder) = place {
            data_dir::make_folder(folder).map_err(|problem| fault(format!("{problem:#}")))?;
        }
        let operator = operator::open(place, attempt).map_err(|problem| fault(error_chain(&problem)))?;
        Ok(Self { operator, place: place.clone(), name, away: Arc::default(), failures: None })
    }

    /// A store over an operator that was prepared otherwise.
    #[cfg(test)]
    #[cfg(feature = "full")]
    pub(crate) fn over(operator: Operator, place: Place) -> Self {
        let name = place.to_string().into();
        Self { operator, place, name, away: Arc::default(), failures: None }
    }

    /// With its failures counted.
    #[must_use]
    pub fn counted(mut self, metrics: &Metrics) -> Self {
        self.failures = Some(metrics.counter(Metric::ImageStoreFailures, &[]));
        self
    }

    /// The way to it.
    pub(super) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Its place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Asks a store on another machine for an image that nobody has stored, and for what it has where it can say so. So it finds out whether
    /// the store answers and lets this program in.
    ///
    /// # Errors
    /// When it does not, after a bounded time.
    pub async fn reach(&self) -> Result<(), StoreFault> {
        let Place::Remote(remote) = &self.place else { return Ok(()) };
        if let Some(cause) = remote::diagnosis(remote).await {
            return Err(StoreFault { place: self.name.clone(), cause: cause.into() });
        }
        self.read(&Digest::of(b"an image that nobody has stored")).await?;
        // A bucket that does not exist is missing like the image.
        if self.can_list() {
            self.ask(Box::pin(async { self.operator.lister_with("/").limit(1).await?.try_next().await }))
                .await?;
        }
        Ok(())
    }

    /// The bytes that are stored for a digest, if there are any. They are not compared with it.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn read(&self, digest: &Digest) -> Result<Option<Bytes>, StoreFault> {
        self.ask(Box::pin(async { self.operator.read(&path(digest)).await.map(|bytes| bytes.to_bytes()) }))
            .await
    }

    /// The bytes under a name that is no digest's, if there are any.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn read_file(&self, name: &str) -> Result<Option<Bytes>, StoreFault> {
        self.ask(Box::pin(async { self.operator.read(name).await.map(|bytes| bytes.to_bytes()) })).await
    }

    /// Stores bytes under a name that is no digest's, in place of what is there.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn write_file(&self, name: &str, bytes: Bytes) -> Result<(), StoreFault> {
        self.ask(Box::pin(async { self.operator.write(name, Buffer::from(bytes)).await })).await.map(drop)
    }

    /// The first bytes that are stored for a digest; fewer if there are not so many.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn read_head(&self, digest: &Digest, bytes: u64) -> Result<Option<Bytes>, StoreFault> {
        let path = path(digest);
        let head = self.operator.read_with(&path).range(0..bytes);
        self.ask(Box::pin(async { head.await.map(|bytes| bytes.to_bytes()) })).await
    }

    /// Whether something is stored for a digest.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn has(&self, digest: &Digest) -> Result<bool, StoreFault> {
        Ok(self.facts_of(digest).await?.is_some())
    }

    /// Stores the bytes of a digest. They are durable when this ends, as far as the store promises that.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn write(&self, digest: &Digest, bytes: Bytes) -> Result<(), StoreFault> {
        self.may_ask()?;
        let path = path(digest);
        let writing =
            Box::pin(async { self.operator.write(&path, Buffer::from(bytes.clone())).await.map(drop) });
        let mut written = answer(writing).await;
        // Where a name is given once, another request may have stored the image first.
        if let (Err(_), Place::Remote(Remote::VercelBlob { .. })) = (&written, &self.place) {
            let stored = answer(Box::pin(async { self.operator.read(&path).await })).await;
            if stored.is_ok_and(|stored| stored.to_bytes() == bytes) {
                written = Ok(());
            }
        }
        match (written, &self.place) {
            (Err(fault), _) => Err(self.failed(&fault).await),
            (Ok(()), Place::Folder(folder)) => self.sync(folder.join(path)).await,
            (Ok(()), _) => {
                self.answered();
                Ok(())
            }
        }
    }

    /// Stores the bytes of a digest in place of others that are damaged.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn replace(&self, digest: &Digest, bytes: Bytes) -> Result<(), StoreFault> {
        // A folder and the other stores put the new bytes in place in one step; Vercel Blob gives a name once.
        if let Place::Remote(Remote::VercelBlob { .. }) = self.place {
            self.remove(digest).await?;
        }
        self.write(digest, bytes).await
    }

    /// Whether it can list its images. A Redis cannot, since others may use the same database.
    pub fn can_list(&self) -> bool {
        self.operator.info().capability().list
    }

    /// Everything that is stored, or what is at the top.
    pub(super) async fn entries(&self, recursive: bool) -> Result<Option<Lister>, StoreFault> {
        self.ask(Box::pin(async { self.operator.lister_with("/").recursive(recursive).await })).await
    }

    /// What is known of what is stored for a digest.
    pub(super) async fn facts_of(&self, digest: &Digest) -> Result<Option<Metadata>, StoreFault> {
        self.facts(&path(digest)).await
    }

    /// The same for a path.
    pub(super) async fn facts(&self, path: &str) -> Result<Option<Metadata>, StoreFault> {
        self.ask(Box::pin(async { self.operator.stat(path).await })).await
    }

    /// A fault in the middle of a list.
    pub(super) fn fault(&self, fault: &Error) -> StoreFault {
        self.fault_of(about(fault))
    }

    /// A fault with this cause.
    pub(super) fn fault_of(&self, cause: String) -> StoreFault {
        StoreFault { place: self.name.clone(), cause: cause.into() }
    }

    /// Removes what is stored for a digest.
    ///
    /// # Errors
    /// When the store cannot be used. An image that is not there is not an error.
    pub async fn remove(&self, digest: &Digest) -> Result<(), StoreFault> {
        self.ask(Box::pin(async { self.operator.delete(&path(digest)).await })).await.map(drop)
    }

    /// Asks the store, and gives `None` for what it does not have.
    async fn ask<T>(&self, question: BoxFuture<'_, Result<T, Error>>) -> Result<Option<T>, StoreFault> {
        self.may_ask()?;
        match answer(question).await {
            Ok(answer) => {
                self.answered();
                Ok(Some(answer))
            }
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                self.answered();
                Ok(None)
            }
            Err(fault) => Err(self.failed(&fault).await),
        }
    }

    fn may_ask(&self) -> Result<(), StoreFault> {
        self.away.may_ask().map_err(|cause| StoreFault { place: self.name.clone(), cause })
    }

    /// Notes that the store cannot be used. A folder has no moment of rest: nothing waits for it.
    async fn failed(&self, fault: &Error) -> StoreFault {
        if let Some(failures) = &self.failures {
            failures.inc();
        }
        let Place::Remote(remote) = &self.place else {
            return StoreFault { place: self.name.clone(), cause: error_chain(fault).into() };
        };
        let cause: Arc<str> = match remote::diagnosis(remote).await {
            Some(cause) => cause.into(),
            None => about(fault).into(),
        };
        // A refusal is an answer.
        let is_refusal = matches!(fault.kind(), ErrorKind::PermissionDenied | ErrorKind::ConfigInvalid);
        if !is_refusal && self.away.failed(cause.clone()) {
            tracing::warn!("the image store {} is away: {cause}", self.name);
        }
        StoreFault { place: self.name.clone(), cause }
    }

    fn answered(&self) {
        if self.away.answered() {
            tracing::info!("the image store {} is back", self.name);
        }
    }

    /// Syncs the folders: the file itself is on disk once it is written, its name only when its folders are synced.
    async fn sync(&self, file: PathBuf) -> Result<(), StoreFault> {
        let synced = tokio::task::spawn_blocking(move || {
            file.ancestors().skip(1).take(2).try_for_each(|folder: &Path| File::open(folder)?.sync_all())
        });
        let cause = match synced.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => error_chain(&fault),
            Err(fault) => error_chain(&fault),
        };
        Err(StoreFault { place: self.name.clone(), cause: cause.into() })
    }
}

/// The answer to a question, in bounded time.
async fn answer<T>(question: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(limits::IMAGE_STORE_ANSWER, question)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unexpected, "there was no answer in time")))
}

/// The fault in a line, with what can be done about it.
fn about(fault: &Error) -> String {
    let chain = error_chain(fault);
    match fault.kind() {
        ErrorKind::PermissionDenied => format!(
            "it refuses this program (on S3 the keys need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket): {chain}"
        ),
        _ => chain,
    }
}

/// Two levels, so that no folder grows too wide.
pub(crate) fn path(digest: &Digest) -> String {
    let (head, tail) = digest.as_str().split_at(2);
    format!("{head}/{tail}")
}

/// The digest whose bytes are stored under a path; `None` for other names.
pub(crate) fn digest_of(path: &str) -> Option<Digest> {
    let (head, tail) = path.trim_start_matches('/').split_once('/')?;
    Digest::parse(format!("{head}{tail}"))
        .ok()
        .filter(|digest| self::path(digest) == format!("{head}/{tail}"))
}

//! `.pkpass` files, built when they are first asked for and kept in a bounded cache.
//!
//! The cache is keyed by everything that the bytes depend on: tag, certificate, web service URL and version of the builder. So an entry is
//! never stale, and nothing has to be evicted when a pass changes. Requests that arrive while a pass is being built wait for that build.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use honoken_domain::ids::{ETag, PassId, UnixSeconds};
use honoken_pkpass::image::{Image, ImageName};
use honoken_pkpass::{BUILDER_VERSION, BuildError, PassSource, SigningIdentity, TicketStyle};
use honoken_projections::wallet_pass::PassDocument;
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::blobs::{BlobError, Blobs};
use crate::signers::Signers;

/// Bytes of built passes kept in memory.
const CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// Why a pass could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// No certificate is installed for its type.
    #[error("no certificate is installed for the pass type of this pass")]
    NoCertificate,
    /// An image that the pass names could not be had.
    #[error("an image of the pass could not be read")]
    Image(#[source] BlobError),
    /// The files could not be put together or signed.
    #[error("the pass could not be built")]
    Build(#[source] BuildError),
    /// The certificate is expired or belongs to another pass type or team.
    #[error("the certificate cannot sign this pass")]
    Certificate(#[source] honoken_pkpass::IdentityError),
    /// The thread that built it died.
    #[error("the builder ended unexpectedly")]
    Died,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    etag: ETag,
    certificate: String,
    web_service_url: Arc<str>,
    builder_version: u32,
}

/// The cache and the builder behind it.
#[derive(Debug, Clone)]
pub struct BuiltPasses {
    cache: Cache<Key, Bytes>,
    signers: Signers,
    blobs: Blobs,
    web_service_url: Arc<str>,
    /// Signing is computation: as many at once as there are cores, however many phones ask.
    builders: Arc<Semaphore>,
}

impl BuiltPasses {
    /// An empty cache.
    pub fn new(signers: Signers, blobs: Blobs, web_service_url: &str) -> Self {
        let weigh = |_: &Key, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cache: Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build(),
            signers,
            blobs,
            web_service_url: web_service_url.into(),
            builders: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The file of the state with this tag, if it is in memory.
    pub async fn cached(&self, id: &PassId, etag: &ETag) -> Option<Bytes> {
        let identity = self.signers.get(&id.pass_type_identifier)?;
        self.cache.get(&self.key(etag, identity)).await
    }

    fn key(&self, etag: &ETag, identity: &SigningIdentity) -> Key {
        Key {
            etag: etag.clone(),
            certificate: identity.fingerprint().to_owned(),
            web_service_url: self.web_service_url.clone(),
            builder_version: BUILDER_VERSION,
        }
    }

    /// The file of this state, built if need be, by one of those who ask.
    ///
    /// # Errors
    /// [`BuildFailure`], shared by all who waited for the same build.
    pub async fn get(
        &self,
        id: &PassId,
        document: PassDocument,
        now: UnixSeconds,
    ) -> Result<Bytes, Arc<BuildFailure>> {
        let identity = self.signers.get(&id.pass_type_identifier).ok_or(BuildFailure::NoCertificate)?.clone();
        let key = self.key(&document.row.etag, &identity);
        self.cache.try_get_with(key, self.build(id, document, identity, now)).await
    }

    async fn build(
        &self,
        id: &PassId,
        document: PassDocument,
        identity: Arc<SigningIdentity>,
        now: UnixSeconds,
    ) -> Result<Bytes, BuildFailure> {
        identity
            .check(id.pass_type_identifier.as_str(), document.team_identifier.as_str(), now.0)
            .map_err(BuildFailure::Certificate)?;
        let images = self.images(&document).await?;
        let web_service_url = self.web_service_url.clone();
        let id = id.clone();
        // Never closed, so a permit always comes.
        let _turn = self.builders.acquire().await.map_err(|_| BuildFailure::Died)?;
        let built = tokio::task::spawn_blocking(move || {
            honoken_pkpass::build(&source(&id, &document, &web_service_url), &images, &identity)
        });
        let bytes = built.await.map_err(|_| BuildFailure::Died)?.map_err(BuildFailure::Build)?;
        Ok(Bytes::from(bytes))
    }

    async fn images(&self, document: &PassDocument) -> Result<BTreeMap<ImageName, Arc<Image>>, BuildFailure> {
        let mut images = BTreeMap::new();
        for (file, digest) in &document.images {
            let name = ImageName::parse(file).map_err(|fault| BuildFailure::Image(fault.into()))?;
            images.insert(name, self.blobs.get(digest).await.map_err(BuildFailure::Image)?);
        }
        Ok(images)
    }
}

fn source<'a>(id: &'a PassId, document: &'a PassDocument, web_service_url: &'a str) -> PassSource<'a> {
    PassSource {
        pass_type_identifier: id.pass_type_identifier.as_str(),
        serial_number: id.serial_number.as_str(),
        team_identifier: document.team_identifier.as_str(),
        organization_name: &document.organization_name,
        web_service_url,
        authentication_token: document.row.authentication_token.as_str(),
        ticket_style: style(document.ticket_style),
        poster: document.poster,
        voided: document.voided,
        content: document.content.as_map(),
    }
}

/// The style under the name that `pkpass` has for it.
pub fn style(style: honoken_domain::pass::TicketStyle) -> TicketStyle {
    match style {
        honoken_domain::pass::TicketStyle::Event => TicketStyle::Event,
    }
}

//! `.pkpass` files, built when they are first asked for and kept in a bounded cache.
//!
//! The cache key holds everything that the bytes depend on and that can change: tag, certificate, web service URL and version of the
//! builder. So an entry is never stale, and nothing has to be evicted when a pass changes. Requests that arrive while a pass is being built
//! wait for that build.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use honoken_domain::ids::{ETag, PassId, PassTypeIdentifier, UnixSeconds};
use honoken_domain::personalization::PersonalizationForm;
use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::{BUILDER_VERSION, BuildError, PassSource};
use honoken_projections::passes::PassDocument;
use honoken_telemetry::metrics::{BuildResult, Metric, Metrics, Queue};
use honoken_telemetry::request::{Spent, timed};
use moka::future::Cache;
use prometheus::IntCounter;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::blobs::{BlobError, Blobs};
use crate::limits;
use crate::permits::Permits;
use crate::signers::{Certified, NoSigner, Signers};

/// Bytes of built passes kept in memory.
const CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// Why a pass could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// No certificate of its type can sign it now: none is installed, or the one that is has been revoked, has expired or does not open.
    #[error("passes of {pass_type_identifier} cannot be signed: {why}")]
    NoCertificate {
        /// Its type.
        pass_type_identifier: PassTypeIdentifier,
        /// The reason, and what to do.
        why: String,
    },
    /// The certificate could not be read.
    #[error(transparent)]
    Store(NoSigner),
    /// An image of the pass could not be read.
    #[error("an image of the pass could not be read")]
    Image(#[source] BlobError),
    /// These images of a former state are not in the store any more, by their file names.
    #[error("images of the state are gone: {}", .0.join(", "))]
    ImagesGone(Vec<String>),
    /// The files could not be put together or signed.
    #[error("the pass could not be built")]
    Build(#[source] BuildError),
    /// The certificate belongs to another pass type or team.
    #[error("the certificate of {pass_type_identifier} cannot sign this pass")]
    Certificate {
        /// The pass type of the certificate.
        pass_type_identifier: PassTypeIdentifier,
        /// Why it cannot.
        #[source]
        source: honoken_pkpass::IdentityError,
    },
    /// The thread that built it panicked.
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
    /// Signing is computation: as many run at once as there are cores, however many phones ask.
    builders: Arc<Semaphore>,
    /// A request with a permit may hold the parts of a pass in memory.
    permits: Arc<Permits>,
    metrics: Metrics,
    hits: IntCounter,
}

/// Permits for each core: more than one, so that some requests read the parts of a pass while others sign.
const PERMITS: usize = 4;

impl BuiltPasses {
    /// An empty cache.
    pub fn new(
        signers: Signers,
        blobs: Blobs,
        web_service_url: &str,
        builds_waiting: u32,
        metrics: &Metrics,
    ) -> Self {
        let weigh = |_: &Key, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cache: Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build(),
            signers,
            blobs,
            web_service_url: web_service_url.into(),
            builders: Arc::new(Semaphore::new(cores)),
            permits: Arc::new(Permits::new(
                Queue::Build,
                PERMITS * cores,
                builds_waiting,
                limits::BUILD_TURN,
                metrics,
            )),
            metrics: metrics.clone(),
            hits: metrics.counter(Metric::PassesCached, &[]),
        }
    }

    /// The file of the state with this tag, if it is in memory.
    pub async fn cached(&self, id: &PassId, etag: &ETag) -> Option<Bytes> {
        let certified = self.signers.get(&id.pass_type_identifier)?;
        let file = self.cache.get(&self.key(etag, &certified)).await;
        if file.is_some() {
            self.hits.inc();
        }
        file
    }

    /// The permits to build a pass. There are more than cores, so that some requests read while others sign.
    pub fn permits(&self) -> &Permits {
        &self.permits
    }

    /// Bytes of the files in memory.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.weighted_size()
    }

    /// The certificates that it signs with.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    fn key(&self, etag: &ETag, certified: &Certified) -> Key {
        Key {
            etag: etag.clone(),
            certificate: certified.revision.clone(),
            web_service_url: self.web_service_url.clone(),
            builder_version: BUILDER_VERSION,
        }
    }

    /// The file of this state, built if it is not in the cache. Of several requests at the same time, one builds it.
    ///
    /// # Errors
    /// [`BuildFailure`], shared by all requests that waited for the same build.
    pub async fn get(
        &self,
        id: &PassId,
        document: PassDocument,
        now: UnixSeconds,
    ) -> Result<Bytes, Arc<BuildFailure>> {
        let pass_type_identifier = &id.pass_type_identifier;
        // A file that was signed in time stays as it is; only a new one needs a certificate that is valid now.
        let certified = match self.signers.get(pass_type_identifier) {
            Some(certified) => certified,
            None => self.usable(pass_type_identifier, now)?,
        };
        let key = self.key(&document.row.etag, &certified);
        let (was_built, is_incomplete) = (AtomicBool::new(false), AtomicBool::new(false));
        let stored_under = key.clone();
        let build = async {
            was_built.store(true, Ordering::Relaxed);
            let outcome = self.build(id, document, certified, now, &is_incomplete).await;
            let result = if outcome.is_ok() { BuildResult::Built } else { BuildResult::Failed };
            self.metrics.count(Metric::PassesBuilt, &[result.into()]);
            outcome
        };
        let outcome = timed(Spent::Building, self.cache.try_get_with(key, build)).await;
        if outcome.is_ok() && !was_built.load(Ordering::Relaxed) {
            self.hits.inc();
        }
        if is_incomplete.load(Ordering::Relaxed) {
            // The image may be back by the next request.
            self.cache.invalidate(&stored_under).await;
        }
        outcome
    }

    /// The files of a state as it was, in an archive that no phone takes: without a signature, and without the address and the token that a phone
    /// would ask with.
    ///
    /// # Errors
    /// [`BuildFailure`]; every image that is gone is named.
    pub async fn unsigned(&self, id: &PassId, document: PassDocument) -> Result<Bytes, Arc<BuildFailure>> {
        let (mut images, mut gone) = (BTreeMap::new(), Vec::new());
        let read = self.blobs.get_all(document.images.values()).await;
        for (file, image) in document.images.keys().zip(read) {
            let name = ImageFile::parse(file).map_err(|fault| BuildFailure::Image(fault.into()))?;
            match image {
                Ok(image) => {
                    images.insert(name, image);
                }
                Err(BlobError::Unknown(_) | BlobError::Damaged(_)) => gone.push(file.clone()),
                Err(fault) => return Err(BuildFailure::Image(fault).into()),
            }
        }
        if !gone.is_empty() {
            return Err(BuildFailure::ImagesGone(gone).into());
        }
        let id = id.clone();
        let _permit = self.builders.acquire().await.map_err(|_| BuildFailure::Died)?;
        let built = tokio::task::spawn_blocking(move || {
            let form = document.open_form.as_ref().map(form_members);
            honoken_pkpass::build_unsigned(&source(&id, &document, form.as_ref(), ""), &images)
        });
        let bytes = built.await.map_err(|_| BuildFailure::Died)?.map_err(BuildFailure::Build)?;
        Ok(Bytes::from(bytes))
    }

    fn usable(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        now: UnixSeconds,
    ) -> Result<Arc<Certified>, BuildFailure> {
        self.signers.usable(pass_type_identifier, now).map_err(|why| BuildFailure::NoCertificate {
            pass_type_identifier: pass_type_identifier.clone(),
            why,
        })
    }

    async fn build(
        &self,
        id: &PassId,
        document: PassDocument,
        certified: Arc<Certified>,
        now: UnixSeconds,
        is_incomplete: &AtomicBool,
    ) -> Result<Bytes, BuildFailure> {
        let pass_type_identifier = id.pass_type_identifier.clone();
        self.usable(&pass_type_identifier, now)?;
        let signer = Box::pin(self.signers.load(&pass_type_identifier, &certified)).await;
        let signer = signer.map_err(|fault| match fault {
            NoSigner::None(why) => {
                BuildFailure::NoCertificate { pass_type_identifier: pass_type_identifier.clone(), why }
            }
            NoSigner::Unavailable(_) => BuildFailure::Store(fault),
        })?;
        signer
            .identity
            .check(pass_type_identifier.as_str(), document.team_identifier.as_str(), now.0)
            .map_err(|source| BuildFailure::Certificate { pass_type_identifier, source })?;
        let images = self.images(id, &document).await?;
        if images.len() < document.images.len() {
            is_incomplete.store(true, Ordering::Relaxed);
            self.metrics.count(Metric::PassesIncomplete, &[]);
        }
        let web_service_url = self.web_service_url.clone();
        let id = id.clone();
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.builders.acquire().await.map_err(|_| BuildFailure::Died)?;
        let signing = self.metrics.histogram(Metric::PassSigning, &[]);
        let built = tokio::task::spawn_blocking(move || {
            let _timer = signing.start_timer();
            let form = document.open_form.as_ref().map(form_members);
            let source = source(&id, &document, form.as_ref(), &web_service_url);
            honoken_pkpass::build(&source, &images, &signer.identity)
        });
        let bytes = built.await.map_err(|_| BuildFailure::Died)?.map_err(BuildFailure::Build)?;
        Ok(Bytes::from(bytes))
    }

    /// The images of a pass. One that the store has lost is left out, as long as there is an icon: a phone would rather have the pass without a
    /// logo than none.
    async fn images(
        &self,
        id: &PassId,
        document: &PassDocument,
    ) -> Result<BTreeMap<ImageFile, Arc<Image>>, BuildFailure> {
        let (mut images, mut lost_icon) = (BTreeMap::new(), None);
        let read = self.blobs.get_all(document.images.values()).await;
        for (file, image) in document.images.keys().zip(read) {
            let name = ImageFile::parse(file).map_err(|fault| BuildFailure::Image(fault.into()))?;
            match image {
                Ok(image) => {
                    images.insert(name, image);
                }
                Err(lost @ (BlobError::Unknown(_) | BlobError::Damaged(_))) => {
                    tracing::warn!(
                        pass.id = %id,
                        image.file = %file,
                        "leaves {file} out of pass {id}: {lost}; upload the image again"
                    );
                    if name.is_icon() {
                        lost_icon = Some(lost);
                    }
                }
                Err(fault) => return Err(BuildFailure::Image(fault)),
            }
        }
        let has_icon = images.keys().any(ImageFile::is_icon);
        match lost_icon.filter(|_| !has_icon) {
            Some(lost) => Err(BuildFailure::Image(lost)),
            None => Ok(images),
        }
    }
}

/// The members of `personalization.json`.
fn form_members(form: &PersonalizationForm) -> Map<String, Value> {
    match serde_json::to_value(form) {
        Ok(Value::Object(members)) => members,
        // A structure of texts and lists is always an object.
        _ => Map::new(),
    }
}

fn source<'a>(
    id: &'a PassId,
    document: &'a PassDocument,
    form: Option<&'a Map<String, Value>>,
    web_service_url: &'a str,
) -> PassSource<'a> {
    PassSource {
        pass_type_identifier: id.pass_type_identifier.as_str(),
        serial_number: id.serial_number.as_str(),
        team_identifier: document.team_identifier.as_str(),
        organization_name: &document.organization_name,
        web_service_url,
        authentication_token: document.row.authentication_token.as_str(),
        kind: document.kind,
        voided: document.voided,
        content: document.content.as_map(),
        localizations: &document.localizations,
        leaves_out_nfc: document.nfc_left_out,
        personalization: form,
    }
}

#[cfg(test)]
mod tests {
    use honoken_domain::content::Content;
    use honoken_domain::ids::{AuthenticationToken, OrganizationId, TeamIdentifier};
    use honoken_domain::images::Images;
    use honoken_domain::localizations::Localizations;
    use honoken_domain::sealed::{SealingKey, SealingKeys};
    use honoken_event_store::Position;
    use honoken_pkpass::{Credential, CredentialFiles, PassKind, TicketStyle};
    use honoken_projections::passes::PassRow;
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::LabelSets;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::dev::{authority, drawing, sample};
    use crate::ids::SystemIds;
    use crate::install;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    /// Elliptic keys: their signatures are random, so two builds never have the same bytes, and equal bytes are one build.
    fn signers() -> Signers {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let new_key = || PKey::from_ec_key(EcKey::generate(&group)?);
        let [_, intermediate, pass] = authority::chain(&new_key, &SystemIds, NOW).unwrap();
        let credential = Credential::read(CredentialFiles {
            certificate: &pass.certificate.to_pem().unwrap(),
            private_key: Some(&pass.key.private_key_to_pem_pkcs8().unwrap()),
            password: None,
            intermediate: Some(&intermediate.certificate.to_pem().unwrap()),
        });
        let credential = credential.unwrap();
        let keys = SealingKeys::new([(1, SealingKey::new([1; 32]))].into(), 1).unwrap();
        let installation =
            install::installation(&credential, install::Enhanced::ByName, &keys, &SystemIds).unwrap();
        Signers::of(&installation, credential.identity)
    }

    fn built_passes(signers: Signers, blobs: Blobs) -> BuiltPasses {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        BuiltPasses::new(signers, blobs, "https://example.com", limits::BUILDS_WAITING, &metrics)
    }

    fn id() -> PassId {
        PassId::parse(&format!("{}/1", sample::PASS_TYPE)).unwrap()
    }

    async fn document(blobs: &Blobs) -> PassDocument {
        let mut images = Images::new();
        for drawing in drawing::brand() {
            images.insert(drawing.file, blobs.put(drawing.bytes).await.unwrap());
        }
        PassDocument {
            row: PassRow {
                authentication_token: AuthenticationToken::parse("0123456789abcdef").unwrap(),
                etag: ETag::parse("a".repeat(64)).unwrap(),
                updated_at: NOW,
            },
            organization_id: OrganizationId::parse("dev").unwrap(),
            organization_name: "Dev".into(),
            team_identifier: TeamIdentifier::parse(sample::TEAM).unwrap(),
            kind: PassKind::plain(TicketStyle::Event),
            voided: false,
            retired: false,
            content: Content::from_value(json!({ "description": "d" })).unwrap(),
            images,
            own_localizations: Localizations::new(),
            localizations: Localizations::new(),
            nfc_left_out: false,
            open_form: None,
            update_tag: Position(1),
            registrations: 0,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn requests_that_arrive_together_share_one_build() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let document = document(&blobs).await;
        let signers = signers();
        let built = built_passes(signers.clone(), blobs.clone());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let (built, document) = (built.clone(), document.clone());
            tasks.spawn(async move { built.get(&id(), document, NOW).await.unwrap() });
        }
        let files = tasks.join_all().await;
        assert!(files.iter().all(|file| *file == files[0]), "more than one build");
        assert_eq!(built.cached(&id(), &document.row.etag).await.unwrap(), files[0]);

        let another = built_passes(signers, blobs);
        assert_ne!(another.get(&id(), document, NOW).await.unwrap(), files[0], "two builds differ");
    }

    #[tokio::test]
    async fn a_pass_is_built_without_a_lost_logo_and_not_without_its_icon() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let document = document(&blobs).await;
        let lose = |slot: &str| {
            for (file, digest) in &document.images {
                if file.starts_with(slot) {
                    let (head, tail) = digest.as_str().split_at(2);
                    std::fs::remove_file(folder.path().join(head).join(tail)).unwrap();
                }
            }
        };
        lose("logo");
        // What is in memory is not lost, so each time the store is opened anew.
        let opened = || built_passes(signers(), Blobs::in_folder(folder.path()).unwrap());
        let built = opened();
        let file = built.get(&id(), document.clone(), NOW).await.unwrap();
        let read = honoken_pkpass::reader::inspect(&file);
        assert!(read.valid, "{read}");
        assert!(!String::from_utf8_lossy(&file).contains("logo.png"));
        assert_eq!(
            built.cached(&id(), &document.row.etag).await,
            None,
            "it is built anew when the image is back"
        );
        for drawing in drawing::brand() {
            blobs.put(drawing.bytes).await.unwrap();
        }
        let whole = opened().get(&id(), document.clone(), NOW).await.unwrap();
        assert!(String::from_utf8_lossy(&whole).contains("logo.png"));

        lose("icon");
        let fault = opened().get(&id(), document.clone(), NOW).await.unwrap_err();
        assert!(matches!(*fault, BuildFailure::Image(BlobError::Unknown(_))), "{fault}");
    }

    #[tokio::test]
    async fn a_pass_that_nobody_can_sign_is_not_built() {
        let folder = TempDir::new().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let document = document(&blobs).await;
        let nobody = built_passes(Signers::none(), blobs.clone());
        let fault = nobody.get(&id(), document.clone(), NOW).await.unwrap_err();
        assert!(fault.to_string().contains("`honoken certs install`"), "{fault}");
        assert!(matches!(*fault, BuildFailure::NoCertificate { .. }));

        let expired = built_passes(signers(), blobs);
        let fault = expired.get(&id(), document, UnixSeconds(i64::MAX)).await.unwrap_err();
        assert!(matches!(*fault, BuildFailure::NoCertificate { .. }));
        assert!(fault.to_string().contains("expired"), "{fault}");
    }
}

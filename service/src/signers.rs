//! The certificates that sign passes, by pass type. They come from the read model. What is known of each is in memory; certificates and keys
//! are opened and parsed when one is installed or renewed, those that were used last are kept, and others are parsed again when they are needed.
//!
//! A problem with a certificate is logged when it is found, and every day: the pass type, the date, and what to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::certificate::{Certificate, Installation};
use honoken_domain::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::{SealingKeys, UnsealError};
use honoken_event_store::Position;
use honoken_pkpass::{IdentityError, SigningIdentity};
use honoken_projections::certificates::CertificateRow;
use honoken_projections::{Progress, QueryError, ReadModel};
use honoken_pushers::ports::PassCertificate;
use honoken_telemetry::error_chain;
use moka::future::Cache;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::follower::{Follower, Table};
use crate::validity::ends_within;

pub use crate::validity::{Standing, date, days_left, standing};

/// The advice for an expired or revoked certificate.
const RENEW: &str = "renew it with `honoken certs request` and `honoken certs install`";

/// The advice for a certificate that does not open.
const UNUSABLE: &str = "set the encryption key that it was sealed under, or install it again";

/// Why a certificate of the read model cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its key does not open.
    #[error("its private key does not open")]
    Sealed(#[source] UnsealError),
    /// This process has no encryption keys.
    #[error("its private key is sealed under encryption key {version}, which this process does not have")]
    NoKeys {
        /// The number of the key.
        version: u32,
    },
    /// The stored bytes are not a signing identity.
    #[error("its stored form cannot be used")]
    Identity(#[source] IdentityError),
}

/// Opens and parses a certificate.
///
/// # Errors
/// [`Unusable`] gives the reason.
pub fn open(keys: Option<&SealingKeys>, installation: &Installation) -> Result<SigningIdentity, Unusable> {
    let version = installation.private_key.key_version();
    let keys = keys.ok_or(Unusable::NoKeys { version })?;
    let owner = Installation::owner(&installation.pass_type_identifier, &installation.fingerprint);
    let private_key = keys.open(&installation.private_key, &owner).map_err(Unusable::Sealed)?;
    let (certificate, intermediate) =
        (installation.certificate.as_bytes(), installation.intermediate.as_bytes());
    SigningIdentity::from_pem(certificate, &private_key, intermediate).map_err(Unusable::Identity)
}

/// Names what a certificate signs with: another one when the files would differ.
pub fn revision(installation: &Installation) -> String {
    let parts = [installation.certificate.as_str(), &installation.intermediate].concat();
    Digest::of(parts.as_bytes()).to_string()
}

/// A certificate that can sign.
pub struct Signer {
    /// Certificate, key and intermediate.
    pub identity: SigningIdentity,
    /// The same, as pushes use it.
    for_pushing: Arc<PassCertificate>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("revision", &self.for_pushing.revision).finish_non_exhaustive()
    }
}

impl Signer {
    fn new(installation: &Installation, identity: SigningIdentity) -> Self {
        let for_pushing = Arc::new(PassCertificate {
            certificate: identity.certificate().to_owned(),
            chain: identity.chain().iter().map(ToOwned::to_owned).collect(),
            key: identity.private_key().to_owned(),
            revision: revision(installation),
        });
        Self { identity, for_pushing }
    }
}

/// What is known of a certificate that can sign, without the certificate itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Names what is signed with: another one when the files would differ.
    pub revision: String,
    team_identifier: TeamIdentifier,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl Certified {
    fn of(installation: &Installation) -> Self {
        let Installation { team_identifier, not_before, not_after, .. } = installation;
        Self {
            revision: revision(installation),
            team_identifier: team_identifier.clone(),
            not_before: *not_before,
            not_after: *not_after,
        }
    }

    fn standing(&self, now: UnixSeconds) -> Standing {
        standing(self.not_before, self.not_after, now)
    }
}

/// Parsed certificates, by revision: those that were used last.
type Parsed = Cache<String, Arc<Signer>>;

/// The most certificates that are kept parsed. One takes some ten kilobytes.
const MOST_PARSED: u64 = 1024;

/// Where a certificate is read from that is not parsed any more.
struct Source {
    read_model: ReadModel,
    keys: Option<SealingKeys>,
}

/// Why there is no certificate to sign with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoSigner {
    /// None signs the passes of the type now; the sentence says why, and what to do.
    #[error("{0}")]
    None(String),
    /// The read model is unavailable.
    #[error("the certificate could not be read")]
    Unavailable(#[source] Arc<QueryError>),
}

/// The state of a certificate, in the word that operators see. `opens` says whether this process can use its key.
pub fn state(row: &CertificateRow, opens: bool, now: UnixSeconds) -> &'static str {
    let Installation { not_before, not_after, .. } = row.installation;
    match (row.revoked, opens) {
        (true, _) => "revoked",
        (false, false) => "unusable",
        (false, true) => match standing(not_before, not_after, now) {
            Standing::Good => "good",
            Standing::Expiring => "expiring",
            Standing::NotYetValid => "not yet valid",
            Standing::Expired => "expired",
        },
    }
}

/// The state of the latest certificate of a pass type.
#[derive(Debug, Clone)]
enum Known {
    Signs(Arc<Certified>),
    Unusable { why: Arc<Unusable>, not_after: UnixSeconds, team_identifier: TeamIdentifier },
    Revoked { team_identifier: TeamIdentifier },
}

type Installed = BTreeMap<PassTypeIdentifier, (Position, Known)>;

/// The certificates that sign, by pass type. Clones see the same ones.
#[derive(Clone)]
pub struct Signers {
    installed: watch::Receiver<Arc<Installed>>,
    parsed: Parsed,
    source: Option<Arc<Source>>,
    /// How far in the event log they are known.
    followed: watch::Receiver<Position>,
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signers").field("installed", &self.installed).finish_non_exhaustive()
    }
}

/// The numbers of certificates, by standing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Those that can sign.
    pub usable: usize,
    /// The signing certificates that expire within thirty days.
    pub expiring: usize,
    /// Expired, not valid yet, or sealed under a key that this process lacks.
    pub unusable: usize,
}

impl Signers {
    /// For a process that signs nothing.
    pub fn none() -> Self {
        let (_, installed) = watch::channel(Arc::default());
        Self { installed, parsed: parsed(), source: None, followed: watch::channel(Position(0)).1 }
    }

    /// The certificates of the read model as it is now, and a future that keeps them up to date until the projector ends.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn follow(
        read_model: ReadModel,
        keys: Option<SealingKeys>,
        clock: Arc<dyn Clock>,
        progress: watch::Receiver<Progress>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), QueryError> {
        let (installed, receiver) = watch::channel(Arc::default());
        let source = Some(Arc::new(Source { read_model: read_model.clone(), keys: keys.clone() }));
        let parsed = parsed();
        let table =
            Certificates { keys, clock, installed, parsed: parsed.clone(), announced: BTreeMap::new() };
        let (followed, follow) = Follower::start(table, read_model, progress).await?;
        Ok((Self { installed: receiver, parsed, source, followed }, follow))
    }

    /// Waits until this process signs as the event log says up to a position, for a bounded time.
    pub async fn reach(&self, position: Position, limit: Duration) -> bool {
        let mut followed = self.followed.clone();
        let reached = followed.wait_for(|followed| *followed >= position);
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// A single certificate, without a read model.
    #[cfg(test)]
    pub(crate) fn of(installation: &Installation, identity: SigningIdentity) -> Self {
        let certified = Arc::new(Certified::of(installation));
        let parsed = parsed();
        let signer = Arc::new(Signer::new(installation, identity));
        futures::executor::block_on(parsed.insert(certified.revision.clone(), signer));
        let installed = [(installation.pass_type_identifier.clone(), (Position(1), Known::Signs(certified)))];
        let installed = watch::channel(Arc::new(installed.into())).1;
        Self { installed, parsed, source: None, followed: watch::channel(Position(1)).1 }
    }

    /// As if no certificate had been used for long.
    #[cfg(test)]
    pub(crate) fn forget_parsed(&self) {
        self.parsed.invalidate_all();
    }

    /// What is known of the certificate that signs passes of this type, whether it is valid now or not.
    pub fn get(&self, pass_type_identifier: &PassTypeIdentifier) -> Option<Arc<Certified>> {
        match self.installed.borrow().get(pass_type_identifier) {
            Some((_, Known::Signs(certified))) => Some(certified.clone()),
            Some((_, Known::Unusable { .. } | Known::Revoked { .. })) | None => None,
        }
    }

    /// The parsed certificate of this revision. One that was not used for long is read and parsed again, once for all that wait for it.
    ///
    /// # Errors
    /// When it cannot be read, or another one has taken its place.
    pub async fn load(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        certified: &Certified,
    ) -> Result<Arc<Signer>, NoSigner> {
        let reading = self.read(pass_type_identifier, certified);
        let loaded = self.parsed.try_get_with_by_ref(&certified.revision, reading).await;
        loaded.map_err(Arc::unwrap_or_clone)
    }

    async fn read(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        certified: &Certified,
    ) -> Result<Arc<Signer>, NoSigner> {
        let replaced = || {
            NoSigner::None(format!(
                "the certificate of {pass_type_identifier} is being replaced: try again in a moment"
            ))
        };
        let source = self.source.clone().ok_or_else(replaced)?;
        let row = source.read_model.certificate(pass_type_identifier).await;
        let row = row.map_err(|fault| NoSigner::Unavailable(Arc::new(fault)))?;
        let row = row.filter(|row| revision(&row.installation) == certified.revision);
        let installation = row.ok_or_else(replaced)?.installation;
        let parsed = tokio::task::spawn_blocking(move || {
            open(source.keys.as_ref(), &installation).map(|identity| Signer::new(&installation, identity))
        });
        match parsed.await {
            Ok(Ok(signer)) => Ok(Arc::new(signer)),
            Ok(Err(fault)) => {
                let told = error_chain(&fault);
                Err(NoSigner::None(format!(
                    "the certificate of {pass_type_identifier} cannot be used: {told}; {UNUSABLE}"
                )))
            }
            Err(_) => Err(replaced()),
        }
    }

    /// The certificate that authenticates pushes for this type when its team has no APNs key.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn for_pushing(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        now: UnixSeconds,
    ) -> Result<Arc<PassCertificate>, NoSigner> {
        let certified = self.usable(pass_type_identifier, now).map_err(NoSigner::None)?;
        Ok(self.load(pass_type_identifier, &certified).await?.for_pushing.clone())
    }

    /// The certificate that signs passes of this type now.
    ///
    /// # Errors
    /// A sentence that says why there is none, and what to do.
    pub fn usable(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        now: UnixSeconds,
    ) -> Result<Arc<Certified>, String> {
        let about = || format!("the certificate of {pass_type_identifier}");
        match self.installed.borrow().get(pass_type_identifier) {
            Some((_, Known::Signs(signer))) => match signer.standing(now) {
                Standing::Good | Standing::Expiring => Ok(signer.clone()),
                Standing::Expired => {
                    Err(format!("{} expired on {}: {RENEW}", about(), date(signer.not_after)))
                }
                Standing::NotYetValid => {
                    Err(format!("{} is not valid before {}", about(), date(signer.not_before)))
                }
            },
            Some((_, Known::Unusable { .. })) => Err(format!("{} cannot be used: {UNUSABLE}", about())),
            Some((_, Known::Revoked { .. })) => Err(format!("{} was revoked: {RENEW}", about())),
            None => Err(format!(
                "no certificate of {pass_type_identifier} is installed: install it with `honoken certs install`"
            )),
        }
    }

    /// The team of a pass type, if a certificate of it is installed.
    pub fn team_of(&self, pass_type_identifier: &PassTypeIdentifier) -> Option<TeamIdentifier> {
        let installed = self.installed.borrow();
        let (_, known) = installed.get(pass_type_identifier)?;
        Some(match known {
            Known::Signs(certified) => certified.team_identifier.clone(),
            Known::Unusable { team_identifier, .. } | Known::Revoked { team_identifier } => {
                team_identifier.clone()
            }
        })
    }

    /// The last seconds of the certificates that sign now.
    fn ends(&self, now: UnixSeconds) -> Vec<UnixSeconds> {
        let installed = self.installed.borrow();
        let ends = installed.values().filter_map(|(_, known)| match known {
            Known::Signs(signer) if matches!(signer.standing(now), Standing::Good | Standing::Expiring) => {
                Some(signer.not_after)
            }
            _ => None,
        });
        ends.collect()
    }

    /// How many certificates that sign now end within so many days.
    pub fn ending_within(&self, days: i64, now: UnixSeconds) -> usize {
        let within = |end: &UnixSeconds| end.0 - now.0 <= days * 24 * 60 * 60;
        self.ends(now).iter().filter(|end| within(end)).count()
    }

    /// The end of the certificate that ends first, if that was announced.
    pub fn first_end(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        self.ends(now).into_iter().min().filter(|end| ends_within(*end, now).is_some())
    }

    /// Counts the certificates by standing.
    pub fn count(&self, now: UnixSeconds) -> Count {
        let mut count = Count::default();
        for (_, known) in self.installed.borrow().values() {
            match known {
                Known::Signs(signer) => match signer.standing(now) {
                    Standing::Good => count.usable += 1,
                    Standing::Expiring => {
                        count.usable += 1;
                        count.expiring += 1;
                    }
                    Standing::NotYetValid | Standing::Expired => count.unusable += 1,
                },
                Known::Unusable { .. } => count.unusable += 1,
                Known::Revoked { .. } => {}
            }
        }
        count
    }
}

/// `wallet_cert`, followed.
struct Certificates {
    keys: Option<SealingKeys>,
    clock: Arc<dyn Clock>,
    installed: watch::Sender<Arc<Installed>>,
    parsed: Parsed,
    /// The number of days that was announced last for each certificate.
    announced: BTreeMap<PassTypeIdentifier, (Position, i64)>,
}

impl Certificates {
    /// Notes within how many days a certificate ends. Returns whether that was not announced before.
    fn is_news(
        &mut self,
        pass_type_identifier: &PassTypeIdentifier,
        position: Position,
        end: UnixSeconds,
    ) -> bool {
        let Some(days) = ends_within(end, self.clock.unix_seconds()) else { return false };
        let announced = Some((position, days));
        self.announced.insert(pass_type_identifier.clone(), (position, days)) != announced
    }
}

impl Table for Certificates {
    type Row = CertificateRow;
    const AGGREGATE: &'static str = Certificate::NAME;
    const NAME: &'static str = "certificates";

    async fn changed_after(
        read_model: &ReadModel,
        position: Position,
    ) -> Result<Vec<CertificateRow>, QueryError> {
        read_model.certificates_changed_after(position).await
    }

    fn position(row: &CertificateRow) -> Position {
        row.position
    }

    fn differs_from_known(&self, row: &CertificateRow) -> bool {
        let known = self.installed.borrow();
        let known = known.get(&row.installation.pass_type_identifier);
        known.is_none_or(|(position, _)| *position != row.position)
    }

    async fn update(&mut self, rows: Vec<CertificateRow>) {
        let mut opened = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let (keys, some) = (self.keys.clone(), rows.by_ref().take(OPENED_TOGETHER).collect::<Vec<_>>());
            // Parsing many keys takes a while, so it is not done on the threads that answer requests.
            let parsing = tokio::task::spawn_blocking(move || {
                some.into_iter().map(|row| open_row(keys.as_ref(), row)).collect::<Vec<_>>()
            });
            let Ok(parsed) = parsing.await else { return };
            for Opened { pass_type_identifier, position, known, signer } in parsed {
                if let (Known::Signs(certified), Some(signer)) = (&known, signer) {
                    self.parsed.insert(certified.revision.clone(), Arc::new(signer)).await;
                }
                opened.push((pass_type_identifier, (position, known)));
            }
        }
        let now = self.clock.unix_seconds();
        for (pass_type_identifier, (position, known)) in &opened {
            if let Known::Signs(signer) = known {
                self.is_news(pass_type_identifier, *position, signer.not_after);
            }
            log_state(pass_type_identifier, known, now, "from now on");
        }
        let mut installed = Installed::clone(&self.installed.borrow());
        installed.extend(opened);
        self.installed.send_replace(Arc::new(installed));
    }

    fn log_problems(&self) {
        let now = self.clock.unix_seconds();
        for (pass_type_identifier, (_, known)) in &**self.installed.borrow() {
            let is_fine = match known {
                // That it ends is told once for each of the announced days.
                Known::Signs(signer) => matches!(signer.standing(now), Standing::Good | Standing::Expiring),
                Known::Revoked { .. } => true,
                Known::Unusable { .. } => false,
            };
            if !is_fine {
                log_state(pass_type_identifier, known, now, "still");
            }
        }
    }

    fn log_news(&mut self) {
        let now = self.clock.unix_seconds();
        let installed = self.installed.borrow().clone();
        for (pass_type_identifier, (position, known)) in &*installed {
            if let Known::Signs(signer) = known
                && self.is_news(pass_type_identifier, *position, signer.not_after)
            {
                log_state(pass_type_identifier, known, now, "still");
            }
        }
    }
}

/// Rows that are parsed before their certificates go to the cache, so that no more of them are in memory.
const OPENED_TOGETHER: usize = 64;

/// The cache of parsed certificates.
fn parsed() -> Parsed {
    Cache::new(MOST_PARSED)
}

/// A row that was opened.
struct Opened {
    pass_type_identifier: PassTypeIdentifier,
    position: Position,
    known: Known,
    signer: Option<Signer>,
}

fn open_row(keys: Option<&SealingKeys>, row: CertificateRow) -> Opened {
    let CertificateRow { installation, revoked, position, .. } = row;
    let (known, signer) = if revoked {
        (Known::Revoked { team_identifier: installation.team_identifier.clone() }, None)
    } else {
        match open(keys, &installation) {
            Ok(identity) => {
                let certified = Arc::new(Certified::of(&installation));
                (Known::Signs(certified), Some(Signer::new(&installation, identity)))
            }
            Err(fault) => {
                let (not_after, team_identifier) =
                    (installation.not_after, installation.team_identifier.clone());
                (Known::Unusable { why: Arc::new(fault), not_after, team_identifier }, None)
            }
        }
    };
    Opened { pass_type_identifier: installation.pass_type_identifier, position, known, signer }
}

/// Logs the state of a certificate, at a level that fits it.
fn log_state(pass_type_identifier: &PassTypeIdentifier, known: &Known, now: UnixSeconds, since: &str) {
    match known {
        Known::Revoked { .. } => {
            tracing::info!(
                pass.r#type = %pass_type_identifier,
                "the certificate of {pass_type_identifier} was revoked: its passes cannot be signed"
            );
        }
        Known::Unusable { why, not_after, .. } => {
            tracing::error!(
                pass.r#type = %pass_type_identifier,
                "the certificate of {pass_type_identifier}, valid until {}, cannot be used: {}; {UNUSABLE}",
                date(*not_after),
                error_chain(&**why)
            );
        }
        Known::Signs(signer) => {
            let (from, until) = (date(signer.not_before), date(signer.not_after));
            match signer.standing(now) {
                Standing::Good | Standing::Expiring => {
                    if let Some(days) = ends_within(signer.not_after, now) {
                        tracing::warn!(
                            pass.r#type = %pass_type_identifier,
                            "the certificate of {pass_type_identifier} expires on {until}, within {days} days: {RENEW}"
                        );
                    } else {
                        tracing::info!(
                            pass.r#type = %pass_type_identifier,
                            "the certificate of {pass_type_identifier} signs {since}, until {until}"
                        );
                    }
                }
                Standing::NotYetValid => tracing::error!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} is not valid before {from}: its passes cannot be signed until then"
                ),
                Standing::Expired => tracing::error!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} expired on {until}: its passes cannot be signed; {RENEW}"
                ),
            }
        }
    }
}

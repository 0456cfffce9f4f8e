//! The certificates that sign passes, by pass type. They come from the read model, and are opened and parsed once, and again when one is
//! installed, renewed or revoked.
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
use tokio::sync::watch;

use crate::clock::Clock;
use crate::follower::{Follower, Table};

/// Expiry is announced this long before it happens.
pub const WARN_BEFORE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Days before the end of a certificate at which that is announced, once each.
pub const ANNOUNCED_DAYS: [i64; 5] = [1, 7, 14, 30, 60];

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
    /// Changes whenever the files that it signs would differ.
    pub revision: String,
    /// The same, in the form that pushes use.
    for_pushing: Arc<PassCertificate>,
    team_identifier: TeamIdentifier,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Signer {
    fn new(installation: &Installation, identity: SigningIdentity) -> Self {
        let revision = revision(installation);
        let for_pushing = Arc::new(PassCertificate {
            certificate: identity.certificate().to_owned(),
            chain: identity.chain().iter().map(ToOwned::to_owned).collect(),
            key: identity.private_key().to_owned(),
            revision: revision.clone(),
        });
        let Installation { not_before, not_after, .. } = *installation;
        let team_identifier = installation.team_identifier.clone();
        Self { identity, revision, for_pushing, team_identifier, not_before, not_after }
    }

    fn standing(&self, now: UnixSeconds) -> Standing {
        standing(self.not_before, self.not_after, now)
    }
}

/// Whether a certificate can sign at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can sign.
    Good,
    /// It can sign, and expires soon.
    Expiring,
    /// It is not valid yet.
    NotYetValid,
    /// It has expired.
    Expired,
}

/// The standing of a certificate with these dates.
pub fn standing(not_before: UnixSeconds, not_after: UnixSeconds, now: UnixSeconds) -> Standing {
    if now < not_before {
        Standing::NotYetValid
    } else if now > not_after {
        Standing::Expired
    } else if not_after.0 - now.0 < WARN_BEFORE_SECONDS {
        Standing::Expiring
    } else {
        Standing::Good
    }
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

/// The least of the announced numbers of days within which a certificate ends; `None` while it lasts longer, and behind its end.
pub fn ends_within(not_after: UnixSeconds, now: UnixSeconds) -> Option<i64> {
    let left = not_after.0 - now.0;
    (left >= 0).then(|| ANNOUNCED_DAYS.into_iter().find(|days| left <= days * 24 * 60 * 60)).flatten()
}

/// The whole days until a moment; negative behind it.
pub fn days_left(not_after: UnixSeconds, now: UnixSeconds) -> i64 {
    (not_after.0 - now.0).div_euclid(24 * 60 * 60)
}

/// The state of the latest certificate of a pass type.
#[derive(Debug, Clone)]
enum Known {
    Signs(Arc<Signer>),
    Unusable { why: Arc<Unusable>, not_after: UnixSeconds, team_identifier: TeamIdentifier },
    Revoked { team_identifier: TeamIdentifier },
}

type Installed = BTreeMap<PassTypeIdentifier, (Position, Known)>;

/// The certificates that sign, by pass type. Clones see the same ones.
#[derive(Debug, Clone)]
pub struct Signers {
    installed: watch::Receiver<Arc<Installed>>,
    /// How far in the event log they are known.
    followed: watch::Receiver<Position>,
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
        Self { installed: watch::channel(Arc::default()).1, followed: watch::channel(Position(0)).1 }
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
        let table = Certificates { keys, clock, installed, announced: BTreeMap::new() };
        let (followed, follow) = Follower::start(table, read_model, progress).await?;
        Ok((Self { installed: receiver, followed }, follow))
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
        let known = Known::Signs(Arc::new(Signer::new(installation, identity)));
        let installed = [(installation.pass_type_identifier.clone(), (Position(1), known))];
        let installed = watch::channel(Arc::new(installed.into())).1;
        Self { installed, followed: watch::channel(Position(1)).1 }
    }

    /// The certificate that signs passes of this type.
    pub fn get(&self, pass_type_identifier: &PassTypeIdentifier) -> Option<Arc<Signer>> {
        match self.installed.borrow().get(pass_type_identifier) {
            Some((_, Known::Signs(signer))) => Some(signer.clone()),
            Some((_, Known::Unusable { .. } | Known::Revoked { .. })) | None => None,
        }
    }

    /// The certificate that authenticates pushes for this type when its team has no APNs key.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn for_pushing(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        now: UnixSeconds,
    ) -> Result<Arc<PassCertificate>, String> {
        self.usable(pass_type_identifier, now).map(|signer| signer.for_pushing.clone())
    }

    /// The certificate that signs passes of this type now.
    ///
    /// # Errors
    /// A sentence that says why there is none, and what to do.
    pub fn usable(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        now: UnixSeconds,
    ) -> Result<Arc<Signer>, String> {
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
            Known::Signs(signer) => signer.team_identifier.clone(),
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
        let keys = self.keys.clone();
        // Parsing many keys takes a while, so it is not done on the threads that answer requests.
        let opened = tokio::task::spawn_blocking(move || {
            rows.into_iter().map(|row| open_row(keys.as_ref(), row)).collect()
        });
        let Ok(opened) = opened.await else { return };
        let opened: Vec<(PassTypeIdentifier, (Position, Known))> = opened;
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

fn open_row(keys: Option<&SealingKeys>, row: CertificateRow) -> (PassTypeIdentifier, (Position, Known)) {
    let CertificateRow { installation, revoked, position, .. } = row;
    let known = if revoked {
        Known::Revoked { team_identifier: installation.team_identifier.clone() }
    } else {
        match open(keys, &installation) {
            Ok(identity) => Known::Signs(Arc::new(Signer::new(&installation, identity))),
            Err(fault) => Known::Unusable {
                why: Arc::new(fault),
                not_after: installation.not_after,
                team_identifier: installation.team_identifier.clone(),
            },
        }
    };
    (installation.pass_type_identifier, (position, known))
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

/// A moment in readable form, `2027-05-14 17:30:00 UTC`.
pub fn date(at: UnixSeconds) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_announced_once_for_each_number_of_days() {
        let (end, day) = (UnixSeconds(400 * 86_400), 86_400);
        let mut announced = Vec::new();
        let mut last = None;
        // Every hour of the last hundred days, and of ten days behind the end.
        for hour in 300 * 24..410 * 24 {
            let within = ends_within(end, UnixSeconds(hour * 3600));
            if within.is_some() && within != last {
                announced.push((within.unwrap(), (end.0 - hour * 3600) / day));
            }
            last = within;
        }
        assert_eq!(announced, [(60, 60), (30, 30), (14, 14), (7, 7), (1, 1)]);
        assert_eq!(ends_within(end, UnixSeconds(end.0 + 1)), None);
    }

    #[test]
    fn a_certificate_is_announced_thirty_days_before_its_end() {
        let of = |now| standing(UnixSeconds(1000), UnixSeconds(1000 + 400 * 86_400), UnixSeconds(now));
        assert_eq!(of(999), Standing::NotYetValid);
        assert_eq!(of(1000), Standing::Good);
        assert_eq!(of(1000 + 370 * 86_400), Standing::Good);
        assert_eq!(of(1000 + 370 * 86_400 + 1), Standing::Expiring);
        assert_eq!(of(1000 + 400 * 86_400), Standing::Expiring);
        assert_eq!(of(1000 + 400 * 86_400 + 1), Standing::Expired);
    }

    #[test]
    fn a_date_is_one_for_people() {
        assert_eq!(date(UnixSeconds(1_810_226_400)), "2027-05-13 16:40:00 UTC");
    }
}

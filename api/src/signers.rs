//! Which certificate signs which pass type: those of the read model, opened and parsed once, and anew when one is installed, renewed or revoked.
//!
//! Whatever is wrong with a certificate is said in the log when it is found, and every day: the pass type, the date, and what to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::certificate::{Certificate, Installation};
use honoken_domain::ids::{Digest, PassTypeIdentifier, UnixSeconds};
use honoken_domain::sealed::{SealingKeys, UnsealError};
use honoken_event_store::{Position, error_chain};
use honoken_pkpass::{IdentityError, SigningIdentity};
use honoken_projections::wallet_cert::CertificateRow;
use honoken_projections::{Progress, QueryError, ReadModel};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::clock::Clock;

/// Expiry is announced this long before it happens.
pub const WARN_BEFORE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Between two announcements.
const DAY: Duration = Duration::from_hours(24);

/// Between two looks at the read model, however fast it changes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Why a certificate of the read model cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its key does not open.
    #[error("its private key does not open")]
    Sealed(#[source] UnsealError),
    /// This process has no encryption keys.
    #[error("its private key is sealed under encryption key {version}, and this process has none")]
    NoKeys {
        /// The number of the key.
        version: u32,
    },
    /// What is stored is no identity.
    #[error("what is stored of it cannot be used")]
    Identity(#[source] IdentityError),
}

/// Opens and parses a certificate.
///
/// # Errors
/// [`Unusable`] says why it cannot be done.
pub fn open(keys: Option<&SealingKeys>, installation: &Installation) -> Result<SigningIdentity, Unusable> {
    let version = installation.private_key.key_version();
    let keys = keys.ok_or(Unusable::NoKeys { version })?;
    let owner = Installation::owner(&installation.pass_type_identifier, &installation.fingerprint);
    let private_key = keys.open(&installation.private_key, &owner).map_err(Unusable::Sealed)?;
    let (certificate, intermediate) =
        (installation.certificate.as_bytes(), installation.intermediate.as_bytes());
    SigningIdentity::from_pem(certificate, &private_key, intermediate).map_err(Unusable::Identity)
}

/// A certificate that can sign.
#[derive(Debug)]
pub struct Signer {
    /// Certificate, key and intermediate.
    pub identity: SigningIdentity,
    /// Another one whenever what it signs would look different.
    pub revision: String,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl Signer {
    fn new(installation: &Installation, identity: SigningIdentity) -> Self {
        let parts = [installation.certificate.as_str(), &installation.intermediate].concat();
        let revision = Digest::of(parts.as_bytes()).to_string();
        let Installation { not_before, not_after, .. } = *installation;
        Self { identity, revision, not_before, not_after }
    }

    fn standing(&self, now: UnixSeconds) -> Standing {
        standing(self.not_before, self.not_after, now)
    }
}

/// How a certificate stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It signs, and will for a while.
    Good,
    /// It signs, and not for long.
    Expiring,
    /// Too early.
    NotYetValid,
    /// Too late.
    Expired,
}

/// How a certificate of these dates stands.
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

/// The last certificate of a pass type.
#[derive(Debug, Clone)]
enum Known {
    Signs(Arc<Signer>),
    Unusable { why: Arc<Unusable>, not_after: UnixSeconds },
    Revoked,
}

type Installed = BTreeMap<PassTypeIdentifier, (Position, Known)>;

/// The certificates that sign, by pass type. Clones see the same ones.
#[derive(Debug, Clone)]
pub struct Signers(watch::Receiver<Arc<Installed>>);

/// How many certificates there are, and how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Certificates)]
pub struct Count {
    /// They sign.
    pub usable: usize,
    /// Those of them that expire within thirty days.
    pub expiring: usize,
    /// Expired, not valid yet, or sealed under a key that is not here.
    pub unusable: usize,
}

impl Signers {
    /// For a process that signs nothing.
    pub fn none() -> Self {
        Self(watch::channel(Arc::default()).1)
    }

    /// Those of the read model as it is now, and what keeps them as it is from then on: that ends when the projector does.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn follow(
        read_model: ReadModel,
        keys: Option<SealingKeys>,
        clock: Arc<dyn Clock>,
        progress: watch::Receiver<Progress>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), QueryError> {
        let (sender, receiver) = watch::channel(Arc::default());
        let mut follower = Follower {
            read_model,
            keys,
            clock,
            progress,
            installed: sender,
            seen: Position(0),
            from_the_beginning: true,
        };
        follower.look().await?;
        Ok((Self(receiver), follower.run()))
    }

    /// A single one, without a read model.
    #[cfg(test)]
    pub(crate) fn of(installation: &Installation, identity: SigningIdentity) -> Self {
        let known = Known::Signs(Arc::new(Signer::new(installation, identity)));
        let installed = [(installation.pass_type_identifier.clone(), (Position(1), known))];
        Self(watch::channel(Arc::new(installed.into())).1)
    }

    /// What signs passes of this type.
    pub fn get(&self, pass_type_identifier: &PassTypeIdentifier) -> Option<Arc<Signer>> {
        match self.0.borrow().get(pass_type_identifier) {
            Some((_, Known::Signs(signer))) => Some(signer.clone()),
            Some((_, Known::Unusable { .. } | Known::Revoked)) | None => None,
        }
    }

    /// How they stand.
    pub fn count(&self, now: UnixSeconds) -> Count {
        let mut count = Count::default();
        for (_, known) in self.0.borrow().values() {
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
                Known::Revoked => {}
            }
        }
        count
    }
}

/// Keeps up with the read model.
struct Follower {
    read_model: ReadModel,
    keys: Option<SealingKeys>,
    clock: Arc<dyn Clock>,
    progress: watch::Receiver<Progress>,
    installed: watch::Sender<Arc<Installed>>,
    /// Every change up to here is known.
    seen: Position,
    /// A change behind `seen` may still come.
    from_the_beginning: bool,
}

impl Follower {
    async fn run(mut self) {
        let mut daily = tokio::time::interval(DAY);
        daily.tick().await;
        loop {
            tokio::select! {
                changed = self.progress.changed() => if changed.is_err() { return },
                _ = daily.tick() => self.announce(),
            }
            while let Err(fault) = self.look().await {
                tracing::warn!(error = error_chain(&fault), "the certificates could not be looked at");
                if self.progress.has_changed().is_err() {
                    return;
                }
                tokio::time::sleep(BETWEEN_LOOKS * 10).await;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Takes in what has changed.
    async fn look(&mut self) -> Result<(), QueryError> {
        let progress = self.progress.borrow_and_update().clone();
        if progress.position < self.seen {
            // The tables are being filled again, from another log perhaps.
            self.seen = Position(0);
            self.from_the_beginning = true;
        }
        // A certificate whose event is parked changes behind those that are known, when the event is applied after all.
        let is_parked = progress.parked.iter().any(|(aggregate_type, _)| aggregate_type == Certificate::NAME);
        let after = if is_parked || self.from_the_beginning { Position(0) } else { self.seen };
        let rows = self.read_model.certificates_changed_after(after).await?;
        self.from_the_beginning = is_parked;
        let known = self.installed.borrow().clone();
        let news: Vec<_> = rows
            .into_iter()
            .filter(|row| {
                let known = known.get(&row.installation.pass_type_identifier);
                known.is_none_or(|(position, _)| *position != row.position)
            })
            .collect();
        let Some(last) = news.iter().map(|row| row.position).max() else { return Ok(()) };
        let keys = self.keys.clone();
        // Parsing many keys takes a while, and so it is not done where requests are answered.
        let opened = tokio::task::spawn_blocking(move || {
            news.into_iter().map(|row| learned(keys.as_ref(), row)).collect()
        });
        let Ok(opened) = opened.await else { return Ok(()) };
        let opened: Vec<(PassTypeIdentifier, (Position, Known))> = opened;
        let now = self.clock.unix_seconds();
        for (pass_type_identifier, (_, known)) in &opened {
            tell(pass_type_identifier, known, now, "from here on");
        }
        let mut installed = Installed::clone(&known);
        installed.extend(opened);
        self.installed.send_replace(Arc::new(installed));
        self.seen = self.seen.max(last);
        Ok(())
    }

    /// Says again what is wrong.
    fn announce(&self) {
        let now = self.clock.unix_seconds();
        for (pass_type_identifier, (_, known)) in &**self.installed.borrow() {
            let is_fine = match known {
                Known::Signs(signer) => signer.standing(now) == Standing::Good,
                Known::Revoked => true,
                Known::Unusable { .. } => false,
            };
            if !is_fine {
                tell(pass_type_identifier, known, now, "still");
            }
        }
    }
}

fn learned(keys: Option<&SealingKeys>, row: CertificateRow) -> (PassTypeIdentifier, (Position, Known)) {
    let CertificateRow { installation, revoked, position, .. } = row;
    let known = if revoked {
        Known::Revoked
    } else {
        match open(keys, &installation) {
            Ok(identity) => Known::Signs(Arc::new(Signer::new(&installation, identity))),
            Err(fault) => Known::Unusable { why: Arc::new(fault), not_after: installation.not_after },
        }
    };
    (installation.pass_type_identifier, (position, known))
}

/// One sentence about a certificate, as loud as it is bad.
fn tell(pass_type_identifier: &PassTypeIdentifier, known: &Known, now: UnixSeconds, since: &str) {
    let what_to_do = "renew it with `honoken certs request` and `honoken certs install`";
    match known {
        Known::Revoked => {
            tracing::info!(
                pass.r#type = %pass_type_identifier,
                "the certificate of {pass_type_identifier} was revoked: its passes cannot be signed"
            );
        }
        Known::Unusable { why, not_after } => {
            tracing::error!(
                pass.r#type = %pass_type_identifier,
                "the certificate of {pass_type_identifier}, valid until {}, cannot be used: {}; set the encryption key that it was sealed under, or \
                 install it again",
                date(*not_after),
                error_chain(&**why)
            );
        }
        Known::Signs(signer) => {
            let (from, until) = (date(signer.not_before), date(signer.not_after));
            match signer.standing(now) {
                Standing::Good => tracing::info!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} signs {since}, until {until}"
                ),
                Standing::Expiring => tracing::warn!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} expires on {until}: {what_to_do}"
                ),
                Standing::NotYetValid => tracing::error!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} is not valid before {from}: its passes cannot be signed until then"
                ),
                Standing::Expired => tracing::error!(
                    pass.r#type = %pass_type_identifier,
                    "the certificate of {pass_type_identifier} expired on {until}: its passes cannot be signed; {what_to_do}"
                ),
            }
        }
    }
}

/// A moment for people, `2027-05-14 17:30:00 UTC`.
pub fn date(at: UnixSeconds) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

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

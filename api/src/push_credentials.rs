//! What pushes are authenticated with: the newest APNs key of the pass type's team, else the certificate that signs its passes. Both are those
//! of the read model, opened and parsed once, and anew when one is installed, renewed or revoked.
//! <https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns>

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use honoken_domain::apns_key::{ApnsKey, ApnsKeyInstallation};
use honoken_domain::ids::{ApnsKeyId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::sealed::{SealingKeys, UnsealError};
use honoken_event_store::{Position, error_chain};
use honoken_projections::wallet_apns_key::ApnsKeyRow;
use honoken_projections::{Progress, QueryError, ReadModel};
use honoken_pushers::ports;
use honoken_pushers::ports::{Credential, Credentials, NoCredential};
use tokio::sync::watch;

use crate::apns_keys::file::{self, KeyFileError};
use crate::clock::Clock;
use crate::following::{Follower, Table};
use crate::signers::Signers;

/// Why an APNs key of the read model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It does not open.
    #[error("it does not open")]
    Sealed(#[source] UnsealError),
    /// This process has no encryption keys.
    #[error("it is sealed under encryption key {version}, and this process has none")]
    NoKeys {
        /// The number of the key.
        version: u32,
    },
    /// What is stored is no key.
    #[error("what is stored of it cannot be used")]
    Key(#[source] KeyFileError),
}

/// Opens and parses an APNs key.
///
/// # Errors
/// [`Unusable`] says why it cannot be done.
pub fn open(
    keys: Option<&SealingKeys>,
    installation: &ApnsKeyInstallation,
) -> Result<ports::ApnsKey, Unusable> {
    let version = installation.private_key.key_version();
    let keys = keys.ok_or(Unusable::NoKeys { version })?;
    let owner = ApnsKeyInstallation::owner(&installation.id(), &installation.fingerprint);
    let pem = keys.open(&installation.private_key, &owner).map_err(Unusable::Sealed)?;
    Ok(ports::ApnsKey {
        team_id: installation.team_identifier.to_string(),
        key_id: installation.key_identifier.to_string(),
        key: file::parse(&pem).map_err(Unusable::Key)?,
        revision: installation.fingerprint.to_string(),
    })
}

/// A key as it was installed last.
#[derive(Clone)]
enum Known {
    Pushes { key: Arc<ports::ApnsKey>, installed: Position },
    Unusable(Arc<Unusable>),
    Revoked,
}

type Installed = BTreeMap<ApnsKeyId, (Position, Known)>;

/// `wallet_apns_key`, followed.
struct ApnsKeys {
    keys: Option<SealingKeys>,
    installed: watch::Sender<Arc<Installed>>,
}

impl Table for ApnsKeys {
    type Row = ApnsKeyRow;
    const AGGREGATE: &'static str = ApnsKey::NAME;
    const NAME: &'static str = "APNs keys";

    async fn changed_after(
        read_model: &ReadModel,
        position: Position,
    ) -> Result<Vec<ApnsKeyRow>, QueryError> {
        read_model.apns_keys_changed_after(position).await
    }

    fn position(row: &ApnsKeyRow) -> Position {
        row.position
    }

    fn is_news(&self, row: &ApnsKeyRow) -> bool {
        let known = self.installed.borrow();
        known.get(&row.installation.id()).is_none_or(|(position, _)| *position != row.position)
    }

    async fn take_in(&mut self, news: Vec<ApnsKeyRow>) {
        let keys = self.keys.clone();
        let opened = tokio::task::spawn_blocking(move || {
            news.into_iter().map(|row| learned(keys.as_ref(), row)).collect()
        });
        let Ok(opened) = opened.await else { return };
        let opened: Vec<(ApnsKeyId, (Position, Known))> = opened;
        for (id, (_, known)) in &opened {
            tell(id, known);
        }
        let mut installed = Installed::clone(&self.installed.borrow());
        installed.extend(opened);
        self.installed.send_replace(Arc::new(installed));
    }

    fn announce(&self) {
        for (id, (_, known)) in &**self.installed.borrow() {
            if let Known::Unusable(_) = known {
                tell(id, known);
            }
        }
    }
}

fn learned(keys: Option<&SealingKeys>, row: ApnsKeyRow) -> (ApnsKeyId, (Position, Known)) {
    let ApnsKeyRow { installation, installed, active, position, .. } = row;
    let known = if active {
        match open(keys, &installation) {
            Ok(key) => Known::Pushes { key: Arc::new(key), installed },
            Err(fault) => Known::Unusable(Arc::new(fault)),
        }
    } else {
        Known::Revoked
    };
    (installation.id(), (position, known))
}

/// One sentence about a key, as loud as it is bad.
fn tell(id: &ApnsKeyId, known: &Known) {
    let ApnsKeyId { team_identifier: team, key_identifier: key } = id;
    match known {
        Known::Pushes { .. } => tracing::info!("the APNs key {key} of team {team} is there to push with"),
        Known::Revoked => {
            tracing::info!("the APNs key {key} of team {team} was revoked: nothing is pushed with it");
        }
        Known::Unusable(why) => tracing::error!(
            "the APNs key {key} of team {team} cannot be used: {}; set the encryption key that it was sealed under, or revoke it and install it again",
            error_chain(&**why)
        ),
    }
}

/// Finds what to push with. Clones see the same credentials.
#[derive(Clone)]
pub struct PushCredentials(Source);

#[derive(Clone)]
enum Source {
    Installed(Arc<InstalledCredentials>),
    /// Why nothing is pushed.
    None(&'static str),
}

struct InstalledCredentials {
    signers: Signers,
    keys: watch::Receiver<Arc<Installed>>,
    read_model: ReadModel,
    /// Whose the pass types are, which never changes.
    teams: RwLock<HashMap<PassTypeIdentifier, TeamIdentifier>>,
    clock: Arc<dyn Clock>,
}

impl PushCredentials {
    /// Those of the read model as it is now, and what keeps the APNs keys as they are from then on: that ends when the projector does. The
    /// certificates are kept by who gave `signers`.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn follow(
        read_model: ReadModel,
        keys: Option<SealingKeys>,
        signers: Signers,
        clock: Arc<dyn Clock>,
        progress: watch::Receiver<Progress>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), QueryError> {
        let (installed, receiver) = watch::channel(Arc::default());
        let table = ApnsKeys { keys, installed };
        let follow = Follower::start(table, read_model.clone(), progress).await?;
        let teams = RwLock::default();
        let source = InstalledCredentials { signers, keys: receiver, read_model, teams, clock };
        Ok((Self(Source::Installed(Arc::new(source))), follow))
    }

    /// For a process that never pushes, with the reason.
    pub fn not_sent(why: &'static str) -> Self {
        Self(Source::None(why))
    }
}

impl Credentials for PushCredentials {
    async fn of(&self, topic: &PassTypeIdentifier) -> Result<Credential, NoCredential> {
        match &self.0 {
            Source::Installed(installed) => installed.of(topic).await,
            Source::None(why) => Err(NoCredential::NotSent((*why).to_owned())),
        }
    }
}

impl InstalledCredentials {
    async fn of(&self, topic: &PassTypeIdentifier) -> Result<Credential, NoCredential> {
        let team = self.team_of(topic).await?;
        if let Some(key) = team.as_ref().and_then(|team| self.newest_key_of(team)) {
            return Ok(Credential::Key(key));
        }
        let certificate = self.signers.for_pushing(topic, self.clock.unix_seconds());
        certificate.map(Credential::Certificate).map_err(|why| {
            let team = team.map_or_else(|| "its team".to_owned(), |team| format!("team {team}"));
            NoCredential::NotInstalled(format!(
                "{why}; or install an APNs key of {team} with `honoken apns-keys install`"
            ))
        })
    }

    /// A key that does not open here is passed over: it was told of, and another one may do.
    fn newest_key_of(&self, team: &TeamIdentifier) -> Option<Arc<ports::ApnsKey>> {
        let installed = self.keys.borrow();
        let of_team = installed.iter().filter(|(id, _)| id.team_identifier == *team);
        let usable = of_team.filter_map(|(_, (_, known))| match known {
            Known::Pushes { key, installed } => Some((*installed, key)),
            Known::Unusable(_) | Known::Revoked => None,
        });
        usable.max_by_key(|(installed, _)| *installed).map(|(_, key)| key.clone())
    }

    async fn team_of(&self, topic: &PassTypeIdentifier) -> Result<Option<TeamIdentifier>, NoCredential> {
        if let Some(team) = self.signers.team_of(topic) {
            return Ok(Some(team));
        }
        if let Some(team) = self.teams.read().unwrap_or_else(PoisonError::into_inner).get(topic) {
            return Ok(Some(team.clone()));
        }
        let row = self.read_model.pass_type(topic).await;
        let row = row.map_err(|fault| NoCredential::Unavailable(Box::new(fault)))?;
        let Some(row) = row else { return Ok(None) };
        let mut teams = self.teams.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(teams.entry(topic.clone()).or_insert(row.team_identifier).clone()))
    }
}

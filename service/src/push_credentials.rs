//! The credentials of pushes: the newest APNs key of the pass type's team, else the certificate that signs its passes. Both come from the
//! read model, and are opened and parsed once, and again when one is installed, renewed or revoked.
//! <https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns>

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use honoken_domain::apns_key::{ApnsKey, ApnsKeyInstallation};
use honoken_domain::ids::{ApnsKeyId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::sealed::{SealingKeys, UnsealError};
use honoken_event_store::Position;
use honoken_projections::apns_keys::ApnsKeyRow;
use honoken_projections::{Progress, QueryError, ReadModel};
use honoken_pushers::ports::{self, Credential, Credentials, NoCredential};
use honoken_telemetry::error_chain;
use tokio::sync::watch;

use crate::apns_keys::file::{self, KeyFileError};
use crate::clock::Clock;
use crate::follower::{Follower, Table};
use crate::push_destination::Destination;
use crate::signers::{NoSigner, Signers};

/// Why an APNs key of the read model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It does not open.
    #[error("its private key does not open")]
    Sealed(#[source] UnsealError),
    /// This process has no encryption keys.
    #[error("it is sealed under encryption key {version}, which this process does not have")]
    NoKeys {
        /// The number of the key.
        version: u32,
    },
    /// The stored bytes are not a key.
    #[error("its stored form cannot be used")]
    Key(#[source] KeyFileError),
}

/// Opens and parses an APNs key.
///
/// # Errors
/// [`Unusable`] gives the reason.
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

/// The state of a key.
#[derive(Clone)]
enum Known {
    Pushes { key: Arc<ports::ApnsKey>, installed: Position },
    Unusable(Arc<Unusable>),
    Revoked,
}

/// All keys, and for each team the one that pushes use.
#[derive(Clone, Default)]
struct Installed {
    known: BTreeMap<ApnsKeyId, (Position, Known)>,
    newest: HashMap<TeamIdentifier, Arc<ports::ApnsKey>>,
}

impl Installed {
    fn of(known: BTreeMap<ApnsKeyId, (Position, Known)>) -> Self {
        // A key that does not open here is skipped: that was logged, and another one may be usable.
        let usable = known.iter().filter_map(|(id, (_, known))| match known {
            Known::Pushes { key, installed } => Some((*installed, &id.team_identifier, key)),
            Known::Unusable(_) | Known::Revoked => None,
        });
        let mut usable: Vec<_> = usable.collect();
        usable.sort_by_key(|(installed, ..)| *installed);
        let newest = usable.into_iter().map(|(_, team, key)| (team.clone(), key.clone())).collect();
        Self { known, newest }
    }
}

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

    fn differs_from_known(&self, row: &ApnsKeyRow) -> bool {
        let known = self.installed.borrow();
        known.known.get(&row.installation.id()).is_none_or(|(position, _)| *position != row.position)
    }

    async fn update(&mut self, rows: Vec<ApnsKeyRow>) {
        let keys = self.keys.clone();
        let opened = tokio::task::spawn_blocking(move || {
            rows.into_iter().map(|row| open_row(keys.as_ref(), row)).collect()
        });
        let Ok(opened) = opened.await else { return };
        let opened: Vec<(ApnsKeyId, (Position, Known))> = opened;
        for (id, (_, known)) in &opened {
            log_state(id, known);
        }
        let mut known = self.installed.borrow().known.clone();
        known.extend(opened);
        self.installed.send_replace(Arc::new(Installed::of(known)));
    }

    fn log_problems(&self) {
        for (id, (_, known)) in &self.installed.borrow().known {
            if let Known::Unusable(_) = known {
                log_state(id, known);
            }
        }
    }
}

fn open_row(keys: Option<&SealingKeys>, row: ApnsKeyRow) -> (ApnsKeyId, (Position, Known)) {
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

/// Logs the state of a key, at a level that fits it.
fn log_state(id: &ApnsKeyId, known: &Known) {
    let ApnsKeyId { team_identifier: team, key_identifier: key } = id;
    match known {
        Known::Pushes { .. } => tracing::info!("the APNs key {key} of team {team} can be used for pushes"),
        Known::Revoked => {
            tracing::info!("the APNs key {key} of team {team} was revoked: no push is sent with it");
        }
        Known::Unusable(why) => tracing::error!(
            "the APNs key {key} of team {team} cannot be used: {}; set the encryption key that it was sealed under, or revoke it and install it again",
            error_chain(&**why)
        ),
    }
}

/// Finds the credential for a push. Clones see the same credentials.
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
    /// The team of each pass type without a certificate. One that moves to another team has a certificate from then on.
    teams: RwLock<HashMap<PassTypeIdentifier, TeamIdentifier>>,
    clock: Arc<dyn Clock>,
    destination: Destination,
}

impl PushCredentials {
    /// The credentials of the read model as it is now, and a future that keeps the APNs keys up to date until the projector ends. The
    /// caller that passes `signers` keeps the certificates up to date.
    ///
    /// # Errors
    /// When the read model cannot be asked.
    pub async fn follow(
        read_model: ReadModel,
        keys: Option<SealingKeys>,
        signers: Signers,
        clock: Arc<dyn Clock>,
        progress: watch::Receiver<Progress>,
        destination: Destination,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), QueryError> {
        let (installed, receiver) = watch::channel(Arc::default());
        let table = ApnsKeys { keys, installed };
        let (_, follow) = Follower::start(table, read_model.clone(), progress).await?;
        let teams = RwLock::default();
        let source = InstalledCredentials { signers, keys: receiver, read_model, teams, clock, destination };
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
        let permission = self.read_model.push_permission(topic).await;
        let permission = permission.map_err(|fault| NoCredential::Unavailable(Box::new(fault)))?;
        if permission.is_some_and(|organization| organization.disabled) {
            return Err(NoCredential::NotSent(format!("the organisation of {topic} is disabled")));
        }
        if self.destination == Destination::Apple
            && permission.is_some_and(|organization| organization.is_test)
        {
            return Err(NoCredential::NotSent(format!(
                "{topic} belongs to a test organisation, for which nothing is pushed to Apple"
            )));
        }
        let team = self.team_of(topic).await?;
        if let Some(team) = &team
            && let Some(key) = self.keys.borrow().newest.get(team)
        {
            return Ok(Credential::Key(key.clone()));
        }
        let certificate = self.signers.for_pushing(topic, self.clock.unix_seconds()).await;
        certificate.map(Credential::Certificate).map_err(|fault| match fault {
            NoSigner::Unavailable(_) => NoCredential::Unavailable(Box::new(fault)),
            NoSigner::None(why) => {
                let team = team.map_or_else(|| "its team".to_owned(), |team| format!("team {team}"));
                NoCredential::NotInstalled(format!(
                    "pushes of {topic} have no credential: {why}; or install an APNs key of {team} with `honoken apns-keys install`"
                ))
            }
        })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use honoken_domain::apns_key::ApnsKeyCommand;
    use honoken_domain::certificate::{Certificate, CertificateCommand};
    use honoken_domain::ids::{CertRef, Digest, OrganizationId};
    use honoken_domain::organization::{Organization, OrganizationCommand};
    use honoken_domain::pass_type::{PassType, PassTypeCommand};
    use honoken_domain::sealed::SealingKey;
    use honoken_event_store::Metadata;
    use honoken_pkpass::CredentialFiles;
    use honoken_projections::Part;
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::{LabelSets, Metrics};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use tempfile::TempDir;

    use super::*;
    use crate::apns_keys::file::KeyFile;
    use crate::apns_keys::file::tests::a_p8;
    use crate::apns_keys::seal;
    use crate::commands::Carried;
    use crate::data_dir::Folder;
    use crate::dev::{authority, sample};
    use crate::ids::SystemIds;
    use crate::image_store::ImageOptions;
    use crate::install;
    use crate::rebuilds;
    use crate::retention::RetentionDays;
    use crate::storage::Storage;
    use crate::stores::Stores;

    const NOW: i64 = 1_700_000_000;

    /// The limit on each wait: only a failure takes this long.
    const LIMIT: Duration = Duration::from_secs(20);

    struct HeldClock(AtomicI64);

    impl Clock for HeldClock {
        fn unix_ms(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }

        fn steady_ms(&self) -> i64 {
            self.unix_ms()
        }
    }

    fn sealing_keys(version: u32) -> SealingKeys {
        SealingKeys::new([(version, SealingKey::new([7; 32]))].into(), version).unwrap()
    }

    fn topic() -> PassTypeIdentifier {
        sample::pass_type()
    }

    /// A service with a pass type, and the credentials of its pushes.
    struct World {
        stores: Stores,
        credentials: PushCredentials,
        signers: Signers,
        clock: Arc<HeldClock>,
        _folder: TempDir,
    }

    impl World {
        async fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let open = || Ok(Arc::new(Folder::open(folder.path())?));
            let storage = Storage::of(None, folder.path(), open).unwrap();
            let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
            let clock = Arc::new(HeldClock(AtomicI64::new(NOW * 1000)));
            let times = rebuilds::times(clock.clone(), RetentionDays::default());
            let (images, part) = (ImageOptions::default(), (Part::Run, times));
            let stores =
                Stores::open(&storage, folder.path(), &images, part, &SystemIds, metrics).await.unwrap();
            let keys = Some(sealing_keys(1));
            let (read_model, progress) = (stores.read_model.clone(), stores.projector.progress());
            let followed = Signers::follow(read_model.clone(), keys.clone(), clock.clone(), progress.clone());
            let (signers, follow) = followed.await.unwrap();
            tokio::spawn(follow);
            let followed = PushCredentials::follow(
                read_model,
                keys,
                signers.clone(),
                clock.clone(),
                progress,
                Destination::Apple,
            );
            let (credentials, follow) = followed.await.unwrap();
            tokio::spawn(follow);
            let world = Self { stores, credentials, signers, clock, _folder: folder };
            let create = PassTypeCommand::Create {
                pass_type_identifier: topic(),
                organization_id: OrganizationId::parse("club").unwrap(),
                team_identifier: TeamIdentifier::parse(sample::TEAM).unwrap(),
            };
            world.asks::<PassType>(sample::PASS_TYPE, create).await;
            world.stores.caught_up().await.unwrap();
            world
        }

        fn metadata(&self) -> Metadata {
            Metadata { recorded_at_ms: self.clock.unix_ms(), ..Metadata::default() }
        }

        async fn asks<A: Carried<Services = ()>>(&self, id: &str, command: A::Command) {
            self.stores.dispatcher.dispatch::<A>(id, command, &(), &self.metadata()).await.unwrap();
        }

        async fn installs_certificate(&self) {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let new_key = || PKey::from_ec_key(EcKey::generate(&group)?);
            let now = self.clock.unix_seconds();
            let [_, intermediate, pass] = authority::chain(&new_key, &SystemIds, now).unwrap();
            let credential = honoken_pkpass::Credential::read(CredentialFiles {
                certificate: &pass.certificate.to_pem().unwrap(),
                private_key: Some(&pass.key.private_key_to_pem_pkcs8().unwrap()),
                password: None,
                intermediate: Some(&intermediate.certificate.to_pem().unwrap()),
            })
            .unwrap();
            let (keys, metadata) = (sealing_keys(1), self.metadata());
            let dispatcher = &self.stores.dispatcher;
            let enhanced = install::Enhanced::ByName;
            let installation = install::installation(&credential, enhanced, &keys, &SystemIds).unwrap();
            let cert_ref = CertRef::of_pass_type(&topic());
            let takeover = install::Takeover::Forced;
            install::install(dispatcher, &cert_ref, installation, takeover, &SystemIds, &metadata)
                .await
                .unwrap();
        }

        /// Installs a key under this id, sealed under the encryption key of this number, and returns its public half.
        async fn installs_key(&self, id: &str, sealed_under: u32) -> Digest {
            let file = KeyFile::read(&a_p8()).unwrap();
            let key = ApnsKeyId::parse(id).unwrap();
            let installation = seal::installation(&key, &file, &sealing_keys(sealed_under), &SystemIds);
            self.asks::<ApnsKey>(id, ApnsKeyCommand::Install(installation)).await;
            file.fingerprint
        }

        async fn revokes_key(&self, id: &str) {
            self.asks::<ApnsKey>(id, ApnsKeyCommand::Revoke).await;
        }

        /// The credential of a push now: `Credential::id`, or the reason why there is none.
        async fn pushes_with(&self) -> String {
            match self.credentials.of(&topic()).await {
                Ok(credential) => credential.id(),
                Err(NoCredential::NotInstalled(why)) => why,
                Err(fault) => panic!("{fault}"),
            }
        }

        /// Waits until pushes use the wanted credential.
        async fn will_push_with(&self, wanted: impl Fn(&str) -> bool) -> String {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            let found = async {
                loop {
                    looks.tick().await;
                    let found = self.pushes_with().await;
                    if wanted(&found) {
                        return found;
                    }
                }
            };
            match tokio::time::timeout(LIMIT, found).await {
                Ok(found) => found,
                Err(elapsed) => panic!("{elapsed}, and it is still: {}", self.pushes_with().await),
            }
        }

        async fn closes(self) {
            drop(self.credentials);
            self.stores.close(crate::shutdown::Shutdown::start()).await;
        }
    }

    fn team_key(key: &str) -> String {
        format!("{}/{key}", sample::TEAM)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_pushed_to_apple_for_a_test_organisation() {
        let world = World::new().await;
        world.installs_certificate().await;
        let create = |id: &str, test| OrganizationCommand::Create {
            organization_id: OrganizationId::parse(id).unwrap(),
            name: "A club".to_owned(),
            test,
        };
        world.asks::<Organization>("club", create("club", true)).await;
        world.stores.caught_up().await.unwrap();
        let refused = world.credentials.of(&topic()).await;
        assert!(matches!(refused, Err(NoCredential::NotSent(why)) if why.contains("test organisation")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_certificate_that_is_not_parsed_any_more_is_parsed_once_for_all_that_wait_for_it() {
        let world = World::new().await;
        world.installs_certificate().await;
        let first = world.will_push_with(|id| id.starts_with("certificate:")).await;
        let certified = world.signers.get(&topic()).unwrap();
        world.signers.forget_parsed();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (signers, certified) = (world.signers.clone(), certified.clone());
            waiting.spawn(async move { signers.load(&topic(), &certified).await.unwrap() });
        }
        let loaded = waiting.join_all().await;
        assert!(loaded.iter().all(|one| Arc::ptr_eq(one, &loaded[0])), "it was parsed more than once");

        world.installs_certificate().await;
        world.will_push_with(|id| id.starts_with("certificate:") && id != first).await;
        let old = world.signers.load(&topic(), &certified).await.unwrap();
        assert!(
            Arc::ptr_eq(&old, &loaded[0]),
            "a request in flight finishes with the one that it began with"
        );
        world.signers.forget_parsed();
        let fault = world.signers.load(&topic(), &certified).await.unwrap_err();
        assert!(matches!(fault, NoSigner::None(_)), "another certificate is not taken for it: {fault}");
        world.closes().await;
    }

    #[tokio::test]
    async fn the_newest_key_of_the_team_comes_before_the_certificate_of_the_pass_type() {
        let world = World::new().await;
        world.installs_certificate().await;
        let certificate = world.will_push_with(|id| id.starts_with("certificate:")).await;

        world.installs_key("ANOTHER123/KEY1234567", 1).await;
        let first = world.installs_key(&team_key("KEYNUMBER1"), 1).await;
        world.will_push_with(|id| id == format!("key:{}:KEYNUMBER1:{first}", sample::TEAM)).await;
        world.installs_key(&team_key("KEYNUMBER2"), 1).await;
        world.will_push_with(|id| id.contains("KEYNUMBER2")).await;
        // A key that this process cannot open does not stop pushes with other keys.
        world.installs_key(&team_key("KEYNUMBER3"), 2).await;
        world.revokes_key(&team_key("KEYNUMBER2")).await;
        world.will_push_with(|id| id.contains("KEYNUMBER1")).await;
        let replaced = world.installs_key(&team_key("KEYNUMBER1"), 1).await;
        assert_ne!(replaced, first);
        world.will_push_with(|id| id.ends_with(replaced.as_str())).await;
        world.revokes_key(&team_key("KEYNUMBER1")).await;
        world.will_push_with(|id| id == certificate).await;
        world.closes().await;
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_pushed_with_and_a_revoked_one_is_not() {
        let world = World::new().await;
        let nothing = world.pushes_with().await;
        assert!(nothing.contains("no certificate of pass.dev.honoken.event is installed"), "{nothing}");
        assert!(
            nothing.contains("honoken apns-keys install") && nothing.contains(sample::TEAM),
            "it says what to do: {nothing}"
        );
        world.installs_certificate().await;
        let first = world.will_push_with(|id| id.starts_with("certificate:")).await;
        world.installs_certificate().await;
        world.will_push_with(|id| id.starts_with("certificate:") && id != first).await;
        world.asks::<Certificate>(sample::PASS_TYPE, CertificateCommand::Revoke).await;
        let nothing = world.will_push_with(|why| why.contains("was revoked")).await;
        assert!(nothing.contains("honoken certs install"), "{nothing}");
        world.closes().await;
    }

    #[tokio::test]
    async fn nothing_is_pushed_with_a_certificate_that_is_over() {
        let world = World::new().await;
        world.installs_certificate().await;
        world.will_push_with(|id| id.starts_with("certificate:")).await;
        world.clock.0.store((NOW + 10 * 366 * 86_400) * 1000, Ordering::Relaxed);
        let nothing = world.pushes_with().await;
        assert!(nothing.contains("expired on") && nothing.contains("honoken certs request"), "{nothing}");
        world.clock.0.store((NOW - 10 * 366 * 86_400) * 1000, Ordering::Relaxed);
        let nothing = world.pushes_with().await;
        assert!(nothing.contains("is not valid before"), "{nothing}");
        world.closes().await;
    }

    #[tokio::test]
    async fn what_was_opened_once_is_not_opened_again() {
        let world = World::new().await;
        world.installs_certificate().await;
        world.will_push_with(|id| id.starts_with("certificate:")).await;
        let of = async || world.credentials.of(&topic()).await.unwrap();
        let (Credential::Certificate(one), Credential::Certificate(two)) = (of().await, of().await) else {
            panic!("there is a certificate alone");
        };
        assert!(Arc::ptr_eq(&one, &two));
        assert!(one.certificate.public_key().unwrap().public_eq(&one.key) && one.chain.len() == 1);
        world.installs_key(&team_key("KEYNUMBER1"), 1).await;
        world.will_push_with(|id| id.contains("KEYNUMBER1")).await;
        let (Credential::Key(one), Credential::Key(two)) = (of().await, of().await) else {
            panic!("there is a key");
        };
        assert!(Arc::ptr_eq(&one, &two));
        drop((one, two));
        world.closes().await;
    }

    #[tokio::test]
    async fn a_pass_type_that_nobody_has_is_pushed_with_nothing() {
        let world = World::new().await;
        world.installs_key(&team_key("KEYNUMBER1"), 1).await;
        world.will_push_with(|id| id.contains("KEYNUMBER1")).await;
        let unknown = PassTypeIdentifier::parse("pass.com.example.unknown").unwrap();
        let found = world.credentials.of(&unknown).await;
        assert!(matches!(found, Err(NoCredential::NotInstalled(_))), "{found:?}");
        world.closes().await;
    }

    #[tokio::test]
    async fn who_never_pushes_says_why() {
        let credentials = PushCredentials::not_sent("there is nobody to push to");
        let found = credentials.of(&topic()).await;
        assert!(
            matches!(&found, Err(NoCredential::NotSent(why)) if why == "there is nobody to push to"),
            "{found:?}"
        );
    }
}

//! The rules of an APNs key (`decide`) and its memory (`apply`).

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::apns_key::{ApnsKeyCommand, ApnsKeyError, ApnsKeyEvent, ApnsKeyInstallation};
use crate::ids::{Digest, KeyRef};
use crate::sealed::Sealed;

/// An APNs key as its events tell it. The default is an id under which none was ever installed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApnsKey {
    in_use: Option<InUse>,
    /// The one that was revoked last.
    revoked: Option<Revoked>,
}

/// What has to be remembered of the one that is pushed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct InUse {
    fingerprint: Digest,
    private_key: Sealed,
    key_ref: Option<KeyRef>,
}

/// What has to be remembered of one that was revoked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Revoked {
    fingerprint: Digest,
    key_ref: Option<KeyRef>,
}

impl InUse {
    fn of(installation: ApnsKeyInstallation) -> Self {
        let ApnsKeyInstallation { fingerprint, private_key, key_ref, .. } = installation;
        Self { fingerprint, private_key, key_ref }
    }

    fn revoked(self) -> Revoked {
        Revoked { fingerprint: self.fingerprint, key_ref: self.key_ref }
    }
}

/// Whether a known key is the one that is given. Its seal is another each time, and says nothing; without a name it keeps the one it has.
fn is_same(fingerprint: &Digest, key_ref: Option<&KeyRef>, given: &ApnsKeyInstallation) -> bool {
    *fingerprint == given.fingerprint && (given.key_ref.is_none() || given.key_ref.as_ref() == key_ref)
}

impl ApnsKey {
    /// The name under which the log keeps APNs keys; frozen.
    pub const NAME: &'static str = "ApnsKey";

    /// The fingerprint of the one that is pushed with.
    pub fn fingerprint(&self) -> Option<&Digest> {
        self.in_use.as_ref().map(|in_use| &in_use.fingerprint)
    }

    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`ApnsKeyError`] says why not.
    pub fn decide(&self, command: ApnsKeyCommand) -> Result<Vec<ApnsKeyEvent>, ApnsKeyError> {
        match (command, &self.in_use) {
            (ApnsKeyCommand::InstallFirst(_), in_use) if in_use.is_some() || self.revoked.is_some() => {
                Ok(Vec::new())
            }
            (ApnsKeyCommand::InstallFirst(installation), _) => {
                Ok(vec![ApnsKeyEvent::Installed(installation)])
            }
            (ApnsKeyCommand::Install(installation), Some(in_use))
                if is_same(&in_use.fingerprint, in_use.key_ref.as_ref(), &installation) =>
            {
                Ok(Vec::new())
            }
            (ApnsKeyCommand::Keep(installation), Some(in_use))
                if is_same(&in_use.fingerprint, in_use.key_ref.as_ref(), &installation) =>
            {
                Ok(vec![ApnsKeyEvent::Revoked { fingerprint: installation.fingerprint }])
            }
            (ApnsKeyCommand::Keep(installation), in_use) => {
                let is_kept = in_use.is_none()
                    && self.revoked.as_ref().is_some_and(|revoked| {
                        is_same(&revoked.fingerprint, revoked.key_ref.as_ref(), &installation)
                    });
                if is_kept {
                    return Ok(Vec::new());
                }
                let fingerprint = installation.fingerprint.clone();
                Ok(vec![ApnsKeyEvent::Installed(installation), ApnsKeyEvent::Revoked { fingerprint }])
            }
            // Another name, or another private key under the same id: the file of another key had been installed by mistake.
            (ApnsKeyCommand::Install(installation), _) => Ok(vec![ApnsKeyEvent::Installed(installation)]),
            (ApnsKeyCommand::Reseal { .. } | ApnsKeyCommand::Revoke, None) => Err(ApnsKeyError::Unknown),
            (ApnsKeyCommand::Reseal { fingerprint, .. }, Some(in_use))
                if in_use.fingerprint != fingerprint =>
            {
                Err(ApnsKeyError::AnotherInstalled { installed: in_use.fingerprint.clone() })
            }
            (ApnsKeyCommand::Reseal { private_key, .. }, Some(in_use))
                if in_use.private_key == private_key =>
            {
                Ok(Vec::new())
            }
            (ApnsKeyCommand::Reseal { fingerprint, private_key }, Some(_)) => {
                Ok(vec![ApnsKeyEvent::Resealed { fingerprint, private_key }])
            }
            (ApnsKeyCommand::Revoke, Some(in_use)) => {
                Ok(vec![ApnsKeyEvent::Revoked { fingerprint: in_use.fingerprint.clone() }])
            }
        }
    }
}

impl Aggregate for ApnsKey {
    const TYPE: &'static str = Self::NAME;
    type Command = ApnsKeyCommand;
    type Event = ApnsKeyEvent;
    type Error = ApnsKeyError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ApnsKeyCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ApnsKeyError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ApnsKeyEvent) {
        match event {
            ApnsKeyEvent::Installed(installation) => {
                *self = Self { in_use: Some(InUse::of(installation)), revoked: None };
            }
            ApnsKeyEvent::Resealed { private_key: anew, .. } => {
                if let Some(InUse { private_key, .. }) = &mut self.in_use {
                    *private_key = anew;
                }
            }
            ApnsKeyEvent::Revoked { .. } => self.revoked = self.in_use.take().map(InUse::revoked),
        }
    }
}

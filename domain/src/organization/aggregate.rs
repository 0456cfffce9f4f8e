//! The rules of an organisation (`decide`) and its memory (`apply`).

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, UnixSeconds};
use crate::organization::{
    MOST_KEYS, OrganizationChange, OrganizationCommand, OrganizationError, OrganizationEvent, Scopes,
};

/// An organisation as its events tell it. The default is an id that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// The first name, which passes keep.
    name: Option<String>,
    /// The name for operators, if it is another one.
    renamed: Option<String>,
    test: bool,
    disabled: bool,
    image_bytes: Option<u64>,
    keys: BTreeMap<Digest, ApiKey>,
    revoked_digests: BTreeSet<Digest>,
}

/// A key that is not revoked; it may have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ApiKey {
    label: String,
    scopes: Scopes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<UnixSeconds>,
}

impl Organization {
    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`OrganizationError`] says why not.
    pub fn decide(&self, command: OrganizationCommand) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        match (command, &self.name) {
            (OrganizationCommand::Create { organization_id, name, test }, None) => {
                Ok(vec![OrganizationEvent::Created { organization_id, name, test }])
            }
            (OrganizationCommand::Create { name, test, .. }, Some(_))
                if Some(name.as_str()) == self.shown_name() && test == self.test =>
            {
                Ok(Vec::new())
            }
            (OrganizationCommand::Create { .. }, Some(_)) => Err(OrganizationError::AlreadyCreated),
            (OrganizationCommand::Change(change), Some(_)) => Ok(self.changed(change)),
            (
                OrganizationCommand::Change(_)
                | OrganizationCommand::AddApiKey { .. }
                | OrganizationCommand::RotateApiKey { .. }
                | OrganizationCommand::RevokeApiKey { .. },
                None,
            ) => Err(OrganizationError::Unknown),
            (OrganizationCommand::AddApiKey { key_digest, label, scopes, expires_at }, Some(_)) => {
                self.add_key(key_digest, ApiKey { label, scopes, expires_at })
            }
            (
                OrganizationCommand::RotateApiKey { key_digest, new_digest, new_expires_at, now, ends_at },
                Some(_),
            ) => {
                let key = self.key(&key_digest)?;
                if key.expires_at.is_some_and(|end| end <= now) {
                    return Err(OrganizationError::KeyExpired);
                }
                let new = ApiKey { expires_at: new_expires_at, ..key.clone() };
                let mut events = self.add_key(new_digest, new)?;
                if key.expires_at.is_none_or(|end| ends_at < end) {
                    events.push(OrganizationEvent::ApiKeyExpiryChanged { key_digest, expires_at: ends_at });
                }
                Ok(events)
            }
            (OrganizationCommand::RevokeApiKey { key_digest }, Some(_)) => match self.key(&key_digest) {
                Ok(_) => Ok(vec![OrganizationEvent::ApiKeyRevoked { key_digest }]),
                Err(OrganizationError::KeyRevoked) => Ok(Vec::new()),
                Err(refusal) => Err(refusal),
            },
        }
    }

    fn changed(&self, change: OrganizationChange) -> Vec<OrganizationEvent> {
        let OrganizationChange { name, disabled, image_bytes } = change;
        let renamed = name.filter(|name| Some(name.as_str()) != self.shown_name());
        let renamed = renamed.map(|name| OrganizationEvent::Renamed { name });
        let disabled = disabled.filter(|disabled| *disabled != self.disabled).map(|disabled| {
            if disabled { OrganizationEvent::Disabled {} } else { OrganizationEvent::Enabled {} }
        });
        let limited = image_bytes.filter(|bytes| *bytes != self.image_bytes);
        let limited = limited.map(|bytes| OrganizationEvent::ImagesLimited { bytes });
        [renamed, disabled, limited].into_iter().flatten().collect()
    }

    /// Its name for operators; none for an id that nobody has used.
    pub fn shown_name(&self) -> Option<&str> {
        self.renamed.as_deref().or(self.name.as_deref())
    }

    /// Whether it is for trying.
    pub fn is_test(&self) -> bool {
        self.test
    }

    /// Whether it may not act at present.
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// The most bytes that its images may have in all.
    pub fn image_bytes(&self) -> Option<u64> {
        self.image_bytes
    }

    fn key(&self, digest: &Digest) -> Result<&ApiKey, OrganizationError> {
        match self.keys.get(digest) {
            Some(key) => Ok(key),
            None if self.revoked_digests.contains(digest) => Err(OrganizationError::KeyRevoked),
            None => Err(OrganizationError::UnknownKey),
        }
    }

    fn add_key(&self, key_digest: Digest, key: ApiKey) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        let ApiKey { label, scopes, expires_at } = key;
        match self.key(&key_digest) {
            Ok(known) if known.scopes == scopes => Ok(Vec::new()),
            Ok(_) => Ok(vec![OrganizationEvent::ApiKeyScopesChanged { key_digest, scopes }]),
            Err(OrganizationError::UnknownKey) if self.keys.len() < MOST_KEYS => {
                Ok(vec![OrganizationEvent::ApiKeyAdded { key_digest, label, scopes, expires_at }])
            }
            Err(OrganizationError::UnknownKey) => Err(OrganizationError::TooManyKeys),
            Err(refusal) => Err(refusal),
        }
    }
}

impl Aggregate for Organization {
    const TYPE: &'static str = "Organization";
    type Command = OrganizationCommand;
    type Event = OrganizationEvent;
    type Error = OrganizationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: OrganizationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OrganizationError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: OrganizationEvent) {
        match event {
            OrganizationEvent::Created { name, test, .. } => {
                self.name = Some(name);
                self.test = test;
            }
            OrganizationEvent::Renamed { name } => self.renamed = Some(name),
            OrganizationEvent::Disabled {} => self.disabled = true,
            OrganizationEvent::Enabled {} => self.disabled = false,
            OrganizationEvent::ImagesLimited { bytes } => self.image_bytes = bytes,
            OrganizationEvent::ApiKeyAdded { key_digest, label, scopes, expires_at } => {
                self.keys.insert(key_digest, ApiKey { label, scopes, expires_at });
            }
            OrganizationEvent::ApiKeyScopesChanged { key_digest, scopes } => {
                if let Some(key) = self.keys.get_mut(&key_digest) {
                    key.scopes = scopes;
                }
            }
            OrganizationEvent::ApiKeyExpiryChanged { key_digest, expires_at } => {
                if let Some(key) = self.keys.get_mut(&key_digest) {
                    key.expires_at = Some(expires_at);
                }
            }
            OrganizationEvent::ApiKeyRevoked { key_digest } => {
                self.keys.remove(&key_digest);
                self.revoked_digests.insert(key_digest);
            }
        }
    }
}

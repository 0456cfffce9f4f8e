//! The rules of an organisation (`decide`) and its memory (`apply`).

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::organization::{OrganizationCommand, OrganizationError, OrganizationEvent, Scopes};

/// An organisation as its events tell it. The default is an id that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    name: Option<String>,
    keys: BTreeMap<Digest, Scopes>,
    revoked_digests: BTreeSet<Digest>,
}

impl Organization {
    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`OrganizationError`] says why not.
    pub fn decide(&self, command: OrganizationCommand) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        match (command, &self.name) {
            (OrganizationCommand::Create { organization_id, name }, None) => {
                Ok(vec![OrganizationEvent::Created { organization_id, name }])
            }
            (OrganizationCommand::Create { name, .. }, Some(taken)) if name == *taken => Ok(Vec::new()),
            (OrganizationCommand::Create { .. }, Some(_)) => Err(OrganizationError::AlreadyCreated),
            (OrganizationCommand::AddApiKey { .. } | OrganizationCommand::RevokeApiKey { .. }, None) => {
                Err(OrganizationError::Unknown)
            }
            (OrganizationCommand::AddApiKey { key_digest, .. }, Some(_))
                if self.revoked_digests.contains(&key_digest) =>
            {
                Err(OrganizationError::KeyRevoked)
            }
            (OrganizationCommand::AddApiKey { key_digest, label, scopes }, Some(_)) => {
                Ok(match self.keys.get(&key_digest) {
                    Some(known) if *known == scopes => Vec::new(),
                    Some(_) => vec![OrganizationEvent::ApiKeyScopesChanged { key_digest, scopes }],
                    None => vec![OrganizationEvent::ApiKeyAdded { key_digest, label, scopes }],
                })
            }
            (OrganizationCommand::RevokeApiKey { key_digest }, Some(_))
                if self.revoked_digests.contains(&key_digest) =>
            {
                Ok(Vec::new())
            }
            (OrganizationCommand::RevokeApiKey { key_digest }, Some(_)) => {
                if self.keys.contains_key(&key_digest) {
                    Ok(vec![OrganizationEvent::ApiKeyRevoked { key_digest }])
                } else {
                    Err(OrganizationError::UnknownKey)
                }
            }
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
            OrganizationEvent::Created { name, .. } => self.name = Some(name),
            OrganizationEvent::ApiKeyAdded { key_digest, scopes, .. }
            | OrganizationEvent::ApiKeyScopesChanged { key_digest, scopes } => {
                self.keys.insert(key_digest, scopes);
            }
            OrganizationEvent::ApiKeyRevoked { key_digest } => {
                self.keys.remove(&key_digest);
                self.revoked_digests.insert(key_digest);
            }
        }
    }
}

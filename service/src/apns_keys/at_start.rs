//! Installs the key that the environment names, unless a key of that name was ever installed.

use std::sync::Arc;

use anyhow::Context;
use honoken_domain::apns_key::{ApnsKey, ApnsKeyCommand};
use honoken_domain::ids::ApnsKeyId;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::Metadata;

use crate::apns_keys::file::KeyFile;
use crate::apns_keys::seal;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::encryption_keys;
use crate::ids::{self, IdSource};

/// An APNs key from the environment.
#[derive(Debug, Clone)]
pub struct ConfiguredKey {
    /// Its name and its team.
    pub id: ApnsKeyId,
    /// The private key.
    pub file: Arc<KeyFile>,
}

/// Installs the configured key, sealed under these keys. A later decision of an operator about it is left alone.
///
/// # Errors
/// When the event log is unavailable.
pub async fn ensure(
    configured: Option<&ConfiguredKey>,
    keys: Option<&SealingKeys>,
    dispatcher: &Commands,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let Some(ConfiguredKey { id, file }) = configured else { return Ok(()) };
    let Some(keys) = keys else {
        tracing::error!(
            "APNS_AUTH_KEY_P8 was not installed: the encryption key to seal it under is missing; {}",
            encryption_keys::HOW_TO_SET
        );
        return Ok(());
    };
    let metadata = Metadata {
        actor: "system:configuration".to_owned(),
        organization: None,
        request_id: ids::request_id(ids),
        recorded_at_ms: clock.unix_ms(),
        urgent: false,
    };
    let install = ApnsKeyCommand::InstallFirst(seal::installation(id, file, keys, ids));
    let installed = dispatcher.dispatch::<ApnsKey>(&id.to_string(), install, &(), &metadata).await;
    let installed = installed.context("could not install the APNs key of APNS_AUTH_KEY_P8")?;
    let in_use = installed.aggregate.fingerprint();
    if !installed.events.is_empty() {
        tracing::info!("installed the APNs key {id} of APNS_AUTH_KEY_P8; the variable is no longer needed");
    } else if in_use.is_some_and(|in_use| *in_use != file.fingerprint) {
        tracing::warn!(
            "APNS_AUTH_KEY_P8 holds another private key than the one that is installed as {id}, and has no effect: `honoken apns-keys install` replaces it"
        );
    } else if in_use.is_none() {
        tracing::warn!(
            "the APNs key {id} of APNS_AUTH_KEY_P8 was revoked and stays revoked: `honoken apns-keys install` installs it again"
        );
    }
    Ok(())
}

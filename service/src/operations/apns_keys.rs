//! Installs an APNs key under a name, and stops pushing with it.

use honoken_domain::apns_key::{ApnsKey, ApnsKeyCommand, ApnsKeyError, ApnsKeyEvent};
use honoken_domain::ids::{ApnsKeyId, KeyRef};
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{Committed, DispatchError, Position};
use honoken_projections::QueryError;
use honoken_projections::apns_keys::ApnsKeyRow;

use crate::apns_keys::file::KeyFile;
use crate::apns_keys::seal;
use crate::operations::context::Context;
use crate::push_credentials;

/// A key as an operator wants it.
#[derive(Debug)]
pub struct Order {
    /// Its name; without one it keeps the one it has.
    pub key_ref: Option<KeyRef>,
    /// Apple's name for it, and its team.
    pub id: ApnsKeyId,
    /// The key.
    pub file: KeyFile,
    /// Whether its team's pass types are pushed with it.
    pub is_active: bool,
}

/// Why a key was not installed. Each sentence names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum InstallFailure {
    /// Another key has the name.
    #[error("the APNs key `{key_ref}` is the key {key_id}: revoke that one first, or choose another name")]
    AnotherKey {
        /// The name.
        key_ref: KeyRef,
        /// The key that has it.
        key_id: ApnsKeyId,
    },
    /// The event log is unavailable.
    #[error(transparent)]
    ApnsKey(#[from] DispatchError<ApnsKeyError>),
    /// The read model is unavailable.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was so already.
    None,
    /// It is pushed with from here on, perhaps under another name.
    Installed,
    /// It did not open any more, and is sealed anew.
    SealedAnew,
    /// It is known, and not pushed with.
    Kept,
}

/// The key of a name, also when it was revoked.
///
/// # Errors
/// When the read model is unavailable.
pub async fn named(context: &Context<'_>, key_ref: &KeyRef) -> Result<Option<ApnsKeyRow>, QueryError> {
    let rows = context.read_model.apns_keys_changed_after(Position(0)).await?;
    Ok(of_name(rows, key_ref))
}

/// Of several keys that had a name one after the other, the one that has it.
pub fn of_name(rows: Vec<ApnsKeyRow>, key_ref: &KeyRef) -> Option<ApnsKeyRow> {
    let named = rows.into_iter().filter(|row| row.installation.name() == *key_ref);
    named.max_by_key(|row| (row.active, row.installed))
}

/// Installs a key. The same key again changes nothing, unless it does not open any more or has another name.
///
/// # Errors
/// [`InstallFailure`]. Nothing has changed then.
pub async fn install(
    context: &Context<'_>,
    keys: &SealingKeys,
    order: Order,
) -> Result<(Change, Position), InstallFailure> {
    let Order { key_ref, id, file, is_active } = order;
    if let Some(key_ref) = &key_ref
        && let Some(row) = named(context, key_ref).await?
        && row.active
        && row.installation.id() != id
    {
        return Err(InstallFailure::AnotherKey { key_ref: key_ref.clone(), key_id: row.installation.id() });
    }
    let mut installation = seal::installation(&id, &file, keys, context.ids);
    installation.key_ref = key_ref;
    let row = context.read_model.apns_key(&id).await?;
    let in_use = row.filter(|row| row.active && row.installation.fingerprint == file.fingerprint);
    let is_locked = in_use.is_some_and(|row| push_credentials::open(Some(keys), &row.installation).is_err());
    let reseal = ApnsKeyCommand::Reseal {
        fingerprint: installation.fingerprint.clone(),
        private_key: installation.private_key.clone(),
    };
    let command =
        if is_active { ApnsKeyCommand::Install(installation) } else { ApnsKeyCommand::Keep(installation) };
    let mut committed = tell(context, &id, command).await?;
    if committed.events.is_empty() && is_active && is_locked {
        committed = tell(context, &id, reseal).await?;
    }
    let change = match committed.events.last() {
        Some(ApnsKeyEvent::Installed(_)) => Change::Installed,
        Some(ApnsKeyEvent::Resealed { .. }) => Change::SealedAnew,
        Some(ApnsKeyEvent::Revoked { .. }) => Change::Kept,
        None => Change::None,
    };
    Ok((change, committed.position))
}

/// Stops pushing with a key. `None` when it is not pushed with.
///
/// # Errors
/// When the event log is unavailable.
pub async fn revoke(
    context: &Context<'_>,
    id: &ApnsKeyId,
) -> Result<Option<Position>, DispatchError<ApnsKeyError>> {
    match tell(context, id, ApnsKeyCommand::Revoke).await {
        Err(DispatchError::Refused(ApnsKeyError::Unknown)) => Ok(None),
        revoked => Ok(Some(revoked?.position)),
    }
}

async fn tell(
    context: &Context<'_>,
    id: &ApnsKeyId,
    command: ApnsKeyCommand,
) -> Result<Committed<ApnsKey>, DispatchError<ApnsKeyError>> {
    let told =
        context.dispatcher.dispatch::<ApnsKey>(&id.to_string(), command, &(), context.metadata).await?;
    if !told.events.is_empty() {
        context.settle(&told).await;
    }
    Ok(told)
}

//! `honoken keys`: the API keys of integrators, and the encryption keys under which private keys are sealed.

use anyhow::Context;
use clap::{Args, Subcommand};
use honoken_domain::ids::{Digest, OrganizationId, UnixSeconds};
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError, Scope, Scopes};
use honoken_domain::rfc3339;
use honoken_event_store::DispatchError;
use honoken_projections::organizations::{ApiKeyRow, OrganizationRow};
use honoken_service::ids;
use honoken_service::operations::organizations;
use honoken_service::signers::date;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::operator::list::{Entry, ListOptions};
use crate::operator::print::print_line;
use crate::operator::resealing;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions};
use crate::spelling::nearest;

const CREATE_EXAMPLES: &str = "\
Examples:
  honoken keys create --organization club --name \"The Club\" --label till
  key=$(honoken keys create --organization club --label website)
  honoken keys create --organization club --label take-over --scopes passes:import

Scopes: passes:read, passes:write (issue and change passes, and see them), passes:import (issue passes of another service with their tokens,
register devices), passes:erase, assets:write, links:write, webhooks:write, jobs:write, templates:write. A key that is made without --scopes has
all of them but passes:import and passes:erase.

The key is printed once, alone on standard output, and is stored nowhere: only its SHA-256 is.";

const LIST_EXAMPLES: &str = "\
Examples:
  honoken keys list
  honoken keys list --json | jq -r '.[] | select(.revoked | not) | .key'";

const REVOKE_EXAMPLES: &str = "\
Examples:
  honoken keys revoke 2c70e12b7a06

The name of a key is the beginning of its SHA-256: `honoken keys list` shows it, and events have it as `api-key:…`. A revoked key is refused
within a second, and for ever.";

/// The subcommands of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make an API key for an organisation; with `--name` the organisation too, if it is missing.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Create),
    /// List the API keys by the beginning of their digests; the keys themselves are stored nowhere.
    #[command(after_help = LIST_EXAMPLES)]
    List(ListOptions),
    /// Refuse an API key from now on, for ever.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(Revoke),
    /// Seal the private key of every certificate, and every APNs key, under the current encryption key.
    #[command(after_help = resealing::EXAMPLES)]
    Reseal(resealing::Reseal),
}

/// The organisation and the purpose of a key.
#[derive(Debug, Args)]
pub struct Create {
    /// The organisation that the key acts for. It must exist, or be given a `--name`.
    #[arg(long, value_name = "ID", value_parser = |text: &str| OrganizationId::parse(text))]
    organization: OrganizationId,
    /// The name of a new organisation for people: the `organizationName` of its passes, which cannot be changed later. Only with it an organisation is made.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The purpose of the key, in your words.
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// What the holder of the key may do, separated by commas. Without this option: all but `passes:import` and `passes:erase`.
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', value_parser = Scope::parse)]
    scopes: Option<Vec<Scope>>,
    /// The moment from which on the key is refused, like `2027-03-01T19:30:00+01:00`. Without this option it does not end by itself.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    expires_at: Option<UnixSeconds>,
    #[command(flatten)]
    location: StorageOptions,
}

/// The key to revoke.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The name of the key: the beginning of its SHA-256, twelve digits or more.
    #[arg(value_name = "KEY", value_parser = key_name)]
    key: String,
    #[command(flatten)]
    location: StorageOptions,
}

fn moment(text: &str) -> Result<UnixSeconds, &'static str> {
    rfc3339::parse(text).ok_or("a moment is written as in RFC 3339, like 2027-03-01T19:30:00+01:00")
}

/// Parses the name of a key. The API key itself is refused: others could see it, and the history of the shell would keep it.
fn key_name(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches("api-key:");
    let is_one = (ApiKeyRow::ID_DIGITS..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one {
        Ok(text.to_lowercase())
    } else {
        Err("the name of a key is 12 hex digits or more: `honoken keys list` shows it".to_owned())
    }
}

/// `honoken keys`
///
/// # Errors
/// With a sentence that says what to do.
pub async fn run(command: &KeysCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create(options) => create(options, environment).await,
        KeysCommand::List(options) => list(options, environment).await,
        KeysCommand::Revoke(options) => revoke(options, environment).await,
        KeysCommand::Reseal(options) => resealing::run(options, environment).await,
    }
}

/// Makes sure that there is an organisation. One that is missing is made only where a name for people is given, so that no mistyped id makes one.
///
/// # Errors
/// When it is missing and has no name, when it exists under another name or another one has this name, or the event log is unavailable.
pub(crate) async fn ensure_organization(
    session: &Session,
    environment: &Environment,
    organization_id: &OrganizationId,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let known = session.read_model.organization_name(organization_id).await?;
    if known.is_some() && (name.is_none() || known.as_deref() == name) {
        return Ok(());
    }
    if known.is_none() {
        check_new(session, organization_id, name).await?;
    }
    let name = name.unwrap_or_default();
    anyhow::ensure!(organizations::is_a_name(name), "--name {}", organizations::NAME_RULE);
    match organizations::create(&session.context(environment), organization_id, name, false).await {
        Err(DispatchError::Refused(OrganizationError::AlreadyCreated)) => anyhow::bail!(
            "the organisation {organization_id} exists already, as \"{}\": leave out --name, or rename it with `PATCH /admin/organizations/{organization_id}`",
            known.unwrap_or_default()
        ),
        created => {
            created?;
            Ok(())
        }
    }
}

/// Organisations that are read at a time.
const PAGE: u32 = 500;

/// Refuses an organisation that is most likely a mistyped one.
async fn check_new(
    session: &Session,
    organization_id: &OrganizationId,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let mut existing: Vec<OrganizationRow> = Vec::new();
    loop {
        let after = existing.last().map_or("", |row| row.organization_id.as_str());
        let page = session.read_model.organizations(after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        existing.extend(page);
    }
    if let Some(namesake) = existing.iter().find(|row| Some(row.name.as_str()) == name) {
        anyhow::bail!(
            "there is no organisation {organization_id}, and \"{}\" is the name of {}: is that meant? Give a new organisation a name of its own",
            namesake.name,
            namesake.organization_id
        );
    }
    if name.is_some() {
        return Ok(());
    }
    let ids = existing.iter().map(|row| row.organization_id.as_str());
    let meant = nearest(organization_id.as_str(), ids).map(|id| format!(" (is {id} meant?)"));
    anyhow::bail!(
        "there is no organisation {organization_id}{}: give --name NAME to make one, whose passes show that name",
        meant.unwrap_or_default()
    )
}

async fn create(options: &Create, environment: &Environment) -> anyhow::Result<()> {
    let Create { organization, name, label, scopes, expires_at, location } = options;
    let is_a_label =
        !label.trim().is_empty() && label.chars().count() <= 256 && !label.chars().any(char::is_control);
    anyhow::ensure!(is_a_label, "--label must have 1 to 256 characters and no control characters");
    let is_to_come = expires_at.is_none_or(|end| end > environment.clock.unix_seconds());
    anyhow::ensure!(is_to_come, "--expires-at must be in the future");
    let place = location.place(&environment.config)?;
    let key = Zeroizing::new(format!("honoken_{}", ids::secret(&*environment.ids)));
    // Without a name it is for an organisation that exists.
    let presence = if name.is_some() { LogPresence::CreateIfMissing } else { LogPresence::MustExist };
    Session::with(&place, presence, environment, async |session| {
        let work = async {
            ensure_organization(session, environment, organization, name.as_deref()).await?;
            let add = OrganizationCommand::AddApiKey {
                key_digest: Digest::of(key.as_bytes()),
                label: label.clone(),
                scopes: scopes.clone().map(Scopes::of).unwrap_or_default(),
                expires_at: *expires_at,
            };
            let id = organization.as_str();
            let added = session.dispatcher.dispatch::<Organization>(id, add, &(), session.metadata()).await?;
            session.settle(added.position).await;
            print_line(&key)
        };
        let target = format!("/organizations/{organization}/keys");
        place.notes(environment, "createApiKey", target, work).await
    })
    .await
}

async fn list(options: &ListOptions, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        options.print(&session.read_model.api_keys().await?)
    })
    .await
}

impl Entry<7> for ApiKeyRow {
    const TITLES: [&'static str; 7] = ["KEY", "ORGANISATION", "LABEL", "ADDED", "ENDS", "STATE", "SCOPES"];

    fn line(&self) -> [String; 7] {
        [
            self.id().to_owned(),
            self.organization_id.to_string(),
            self.label.clone(),
            date(self.added_at),
            self.expires_at.map_or_else(|| "-".to_owned(), date),
            if self.revoked { "revoked" } else { "valid" }.to_owned(),
            self.scopes.names().collect::<Vec<_>>().join(","),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "key": self.id(),
            "organizationId": self.organization_id,
            "organizationName": self.organization_name,
            "label": self.label,
            "addedAt": rfc3339::checked(self.added_at),
            "expiresAt": self.expires_at.and_then(rfc3339::checked),
            "revoked": self.revoked,
            "scopes": self.scopes.names().collect::<Vec<_>>(),
        })
    }
}

async fn revoke(options: &Revoke, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let keys = session.read_model.api_keys().await?;
        let mut meant = keys.iter().filter(|key| key.key_digest.as_str().starts_with(&options.key));
        let key = meant.next().with_context(|| {
            format!("no API key has the name {}: `honoken keys list` shows the existing ones", options.key)
        })?;
        anyhow::ensure!(
            meant.next().is_none(),
            "several keys begin like that: give more digits of the one you mean"
        );
        let ApiKeyRow { organization_id, label, .. } = key;
        let work = async {
            let revoke = OrganizationCommand::RevokeApiKey { key_digest: key.key_digest.clone() };
            let (id, metadata) = (organization_id.as_str(), session.metadata());
            let revoked = session.dispatcher.dispatch::<Organization>(id, revoke, &(), metadata).await?;
            session.settle(revoked.position).await;
            print_line(&format!("the key {} of {organization_id} ({label}) is refused from now on", key.id()))
        };
        let target = format!("/organizations/{organization_id}/keys/{}", key.id());
        place.notes(environment, "revokeApiKey", target, work).await
    })
    .await
}

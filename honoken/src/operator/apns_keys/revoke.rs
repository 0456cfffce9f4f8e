//! `honoken apns-keys revoke`: stops pushing with a key.

use clap::Args;
use honoken_domain::ids::{ApnsKeyId, KeyIdentifier, TeamIdentifier};
use honoken_service::operations::apns_keys;

use crate::operator::print::print_line;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken apns-keys revoke --team-id ABCDE12345 --key-id KEY1234567

The team's pass types are pushed with another key of the team from then on, or with their own certificates. If the key fell into other hands, revoke it at Apple
as well: https://developer.apple.com/account/resources/authkeys/list";

/// The key to revoke.
#[derive(Debug, Args)]
pub struct Options {
    /// The developer team of the key.
    #[arg(long, value_name = "ID", value_parser = |text: &str| TeamIdentifier::parse(text))]
    team_id: TeamIdentifier,
    /// The id of the key at Apple.
    #[arg(long, value_name = "ID", value_parser = |text: &str| KeyIdentifier::parse(text))]
    key_id: KeyIdentifier,
    #[command(flatten)]
    location: StorageOptions,
}

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let id = ApnsKeyId { team_identifier: options.team_id.clone(), key_identifier: options.key_id.clone() };
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let work = async {
            let revoked = apns_keys::revoke(&session.context(environment), &id).await?;
            anyhow::ensure!(
                revoked.is_some(),
                "no APNs key {id} is in use; `honoken apns-keys list` shows those that are"
            );
            print_line(&format!("the APNs key {id} is no longer used for pushes"))
        };
        place.notes(environment, "revokeApnsKey", format!("/apns-keys/{id}"), work).await
    })
    .await
}

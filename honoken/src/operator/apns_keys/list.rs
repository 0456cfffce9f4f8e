//! `honoken apns-keys list`: lists the APNs keys.

use honoken_domain::apns_key::ApnsKeyInstallation;
use honoken_domain::rfc3339;
use honoken_event_store::Position;
use honoken_service::apns_keys::standing::{self, Standing};
use honoken_service::signers::date;
use serde_json::{Value, json};

use crate::operator::list::{Entry, ListOptions};
use crate::operator::session::{Environment, LogPresence, Session, opening_keys};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken apns-keys list
  honoken apns-keys list --json | jq -r '.[] | select(.state == \"in use\") | .keyIdentifier'

STATE is `in use` (the pass types of the team are pushed with it), `spare` (a newer one of the team is in use), `unusable` (it does not open with the
encryption keys of this command) or `revoked`. SEALED is the number of the encryption key that it is sealed under, 0 for the data folder's own.";

pub(super) async fn run(options: &ListOptions, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let keys = opening_keys(&place, &options.location, environment)?;
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let rows = session.read_model.apns_keys_changed_after(Position(0)).await?;
        options.print(&standing::of(rows, keys.as_ref()))
    })
    .await
}

impl Entry<5> for Standing {
    const TITLES: [&'static str; 5] = ["TEAM", "KEY", "INSTALLED", "SEALED", "STATE"];

    fn line(&self) -> [String; 5] {
        let ApnsKeyInstallation { team_identifier, key_identifier, private_key, .. } = &self.row.installation;
        [
            team_identifier.to_string(),
            key_identifier.to_string(),
            date(self.row.installed_at),
            private_key.key_version().to_string(),
            self.state.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let ApnsKeyInstallation { team_identifier, key_identifier, fingerprint, private_key, .. } =
            &self.row.installation;
        json!({
            "keyRef": self.row.installation.name(),
            "teamIdentifier": team_identifier,
            "keyIdentifier": key_identifier,
            "fingerprint": fingerprint,
            "keyVersion": private_key.key_version(),
            "installedAt": rfc3339::checked(self.row.installed_at),
            "state": self.state,
            "problem": self.problem,
        })
    }

    fn problem(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        Some(format!("{}: {problem}", self.row.installation.id()))
    }
}

//! `honoken apns-keys list`: lists the APNs keys.

use honoken_domain::apns_key::ApnsKeyInstallation;
use honoken_domain::rfc3339;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::Position;
use honoken_projections::apns_keys::ApnsKeyRow;
use honoken_service::push_credentials;
use honoken_service::signers::date;
use honoken_telemetry::error_chain;
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
    let storage = options.location.storage(&environment.config)?;
    let keys = opening_keys(&storage, &options.location, environment)?;
    Session::with(&storage, LogPresence::MustExist, environment, async |session| {
        let shown = shown(session.read_model.apns_keys_changed_after(Position(0)).await?, keys.as_ref());
        options.print(&shown)
    })
    .await
}

struct Shown {
    row: ApnsKeyRow,
    state: &'static str,
    problem: Option<String>,
}

/// By team, and the newest of each first.
fn shown(mut rows: Vec<ApnsKeyRow>, keys: Option<&SealingKeys>) -> Vec<Shown> {
    rows.sort_by(|a, b| {
        let team = |row: &ApnsKeyRow| row.installation.team_identifier.clone();
        team(a).cmp(&team(b)).then(b.installed.cmp(&a.installed))
    });
    let mut in_use = None;
    let mut shown = Vec::new();
    for row in rows {
        let opened = push_credentials::open(keys, &row.installation);
        let team = &row.installation.team_identifier;
        let state = match (row.active, &opened) {
            (false, _) => "revoked",
            (true, Err(_)) => "unusable",
            (true, Ok(_)) if in_use.as_ref() == Some(team) => "spare",
            (true, Ok(_)) => {
                in_use = Some(team.clone());
                "in use"
            }
        };
        let problem = opened.err().filter(|_| row.active).map(|fault| error_chain(&fault));
        shown.push(Shown { row, state, problem });
    }
    shown
}

impl Entry<5> for Shown {
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
        let ApnsKeyInstallation { team_identifier, key_identifier, fingerprint, private_key } =
            &self.row.installation;
        json!({
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

//! `honoken certs list`: lists the certificates.

use honoken_domain::certificate::Installation;
use honoken_domain::ids::{CertRef, PassTypeIdentifier, UnixSeconds};
use honoken_domain::rfc3339;
use honoken_domain::sealed::SealingKeys;
use honoken_projections::certificates::CertificateRow;
use honoken_service::signers::{self, date};
use honoken_telemetry::error_chain;
use serde_json::{Value, json};

use crate::operator::list::{Entry, ListOptions};
use crate::operator::session::{Environment, LogPresence, Session, opening_keys};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs list
  honoken certs list --json | jq -r '.[] | select(.daysLeft < 30) | .passTypeIdentifier'

STATE is `good`, `expiring` (within 30 days), `expired`, `not yet valid`, `unusable` (it does not open with the encryption keys of this
command) or `revoked`. NAME is what `--cert-ref` and the routes of operators know it by. NFC says whether it may sign passes with NFC. KEY is the number of the encryption key that it is sealed under, 0 for the data folder's own.";

pub(super) async fn run(options: &ListOptions, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let keys = opening_keys(&place, &options.location, environment)?;
    let now = environment.clock.unix_seconds();
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let rows = session.read_model.all_named_certificates().await?;
        let rows = rows.into_iter().filter_map(|named| named.installed);
        let mut shown: Vec<Shown> = rows.map(|row| Shown::new(row, keys.as_ref(), now)).collect();
        shown.sort_by(|a, b| a.name().cmp(&b.name()));
        options.print(&shown)
    })
    .await
}

struct Shown {
    row: CertificateRow,
    state: &'static str,
    days_left: i64,
    problem: Option<String>,
}

impl Shown {
    fn new(row: CertificateRow, keys: Option<&SealingKeys>, now: UnixSeconds) -> Self {
        let opened = signers::open(keys, &row.installation);
        let state = signers::state(&row, opened.is_ok(), now);
        let problem = opened.err().filter(|_| !row.revoked).map(|fault| error_chain(&fault));
        let days_left = signers::days_left(row.installation.not_after, now);
        Self { row, state, days_left, problem }
    }

    fn name(&self) -> (&PassTypeIdentifier, &CertRef) {
        (&self.row.installation.pass_type_identifier, &self.row.cert_ref)
    }
}

impl Entry<9> for Shown {
    const TITLES: [&'static str; 9] =
        ["PASS TYPE", "TEAM", "SERIAL", "NOT AFTER", "DAYS", "NFC", "KEY", "STATE", "NAME"];

    fn line(&self) -> [String; 9] {
        let Installation {
            pass_type_identifier,
            team_identifier,
            certificate_serial,
            not_after,
            private_key,
            ..
        } = &self.row.installation;
        [
            pass_type_identifier.to_string(),
            team_identifier.to_string(),
            certificate_serial.clone(),
            date(*not_after),
            self.days_left.to_string(),
            if self.row.installation.allows_nfc() { "yes" } else { "no" }.to_owned(),
            private_key.key_version().to_string(),
            self.state.to_owned(),
            self.row.cert_ref.to_string(),
        ]
    }

    fn json(&self) -> Value {
        let Installation {
            pass_type_identifier,
            team_identifier,
            certificate_serial,
            fingerprint,
            not_before,
            not_after,
            private_key,
            ..
        } = &self.row.installation;
        json!({
            "certRef": self.row.cert_ref,
            "passTypeIdentifier": pass_type_identifier,
            "teamIdentifier": team_identifier,
            "certificateSerial": certificate_serial,
            "fingerprint": fingerprint,
            "notBefore": rfc3339::checked(*not_before),
            "notAfter": rfc3339::checked(*not_after),
            "daysLeft": self.days_left,
            "isEnhanced": self.row.installation.allows_nfc(),
            "keyVersion": private_key.key_version(),
            "installedAt": rfc3339::checked(self.row.installed_at),
            "state": self.state,
            "problem": self.problem,
        })
    }

    fn problem(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        Some(format!("{}: {problem}", self.row.installation.pass_type_identifier))
    }
}

//! What an operator should know about a certificate that was installed all the same.

use honoken_domain::ids::UnixSeconds;
use honoken_projections::certificates::{CertificateRow, NamedCertificate};

use crate::signers::{self, Standing, date};

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name.
    pub code: &'static str,
    /// A sentence that says what to do.
    pub detail: String,
}

impl Warning {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// What an operator should know about a certificate; nothing about one that was revoked.
pub fn of(named: &NamedCertificate, now: UnixSeconds) -> Vec<Warning> {
    let Some(row) = named.installed.as_ref().filter(|row| !row.revoked) else { return Vec::new() };
    let mut warnings = Vec::new();
    if !honoken_pkpass::is_issued_by_apple(row.installation.certificate.as_bytes()) {
        warnings.push(Warning::new(
            "not_issued_by_apple",
            "none of Apple's intermediates has issued the certificate: no phone will take a pass that it signs",
        ));
    }
    warnings.extend(of_dates(row, now));
    let pass_type = &row.installation.pass_type_identifier;
    if !named.has_owner {
        let detail = format!(
            "no organisation has {pass_type} yet: give it to one with `PUT /admin/pass-types/{pass_type}`, or name `organization` here"
        );
        warnings.push(Warning::new("no_organization", detail));
    } else if !named.is_named {
        let detail = format!(
            "the passes of {pass_type} are signed with another certificate: `PUT /admin/pass-types/{pass_type}` with this `certRef` changes that"
        );
        warnings.push(Warning::new("not_in_use", detail));
    }
    warnings
}

fn of_dates(row: &CertificateRow, now: UnixSeconds) -> Option<Warning> {
    let (from, until) = (row.installation.not_before, row.installation.not_after);
    match signers::standing(from, until, now) {
        Standing::Good => None,
        Standing::Expiring => Some(Warning::new(
            "expires_soon",
            format!("the certificate expires on {}: renew it", date(until)),
        )),
        Standing::NotYetValid => {
            Some(Warning::new("not_yet_valid", format!("the certificate is not valid before {}", date(from))))
        }
        Standing::Expired => {
            Some(Warning::new("expired", format!("the certificate expired on {}: renew it", date(until))))
        }
    }
}

//! A certificate as operators see it: never its key.

use honoken_domain::certificate::Installation;
use honoken_domain::ids::UnixSeconds;
use honoken_domain::rfc3339;
use honoken_domain::sealed::SealingKeys;
use honoken_projections::certificates::NamedCertificate;
use honoken_service::operations::certificate_warnings::{self, Warning};
use honoken_service::signers;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::examples;

/// A certificate, or a key that waits for one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Certificate, example = examples::certificate)]
pub struct CertificateAnswer {
    cert_ref: String,
    pass_type_identifier: String,
    team_identifier: String,
    is_enhanced: bool,
    #[schema(required = true)]
    description: Option<String>,
    /// `null`, like the members that follow, while a key waits for its first certificate.
    #[schema(format = DateTime, required = true)]
    not_before: Option<String>,
    #[schema(format = DateTime, required = true)]
    not_after: Option<String>,
    /// Whole days; negative behind the end.
    #[schema(required = true)]
    days_left: Option<i64>,
    /// SHA-256 of the certificate.
    #[schema(required = true)]
    fingerprint: Option<String>,
    /// Changes when the files that it signs would differ.
    #[schema(required = true)]
    revision: Option<String>,
    #[schema(format = DateTime, required = true)]
    installed_at: Option<String>,
    /// The number of the encryption key that it is sealed under.
    #[schema(required = true)]
    key_version: Option<u32>,
    #[schema(pattern = "^(good|expiring|expired|not yet valid|unusable|revoked|requested)$")]
    state: &'static str,
    /// The pass types whose passes it signs.
    pass_types: Vec<String>,
    /// Whether a key waits here for its certificate: the next one may leave out `signerKey`.
    requested: bool,
    /// What an operator should know.
    warnings: Vec<WarningAnswer>,
}

/// Something that an operator should know.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorsWarning)]
pub struct WarningAnswer {
    severity: &'static str,
    /// Stable name of the rule.
    code: &'static str,
    /// RFC 6901 pointer; empty for the certificate as a whole.
    pointer: &'static str,
    /// A sentence for a person.
    detail: String,
}

impl From<Warning> for WarningAnswer {
    fn from(Warning { code, detail }: Warning) -> Self {
        Self { severity: "warning", code, pointer: "", detail }
    }
}

/// A certificate after an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateChange, example = examples::certificate_change)]
pub struct CertificateChange {
    #[serde(flatten)]
    #[schema(inline)]
    certificate: CertificateAnswer,
    /// Whether the order has changed anything.
    changed: bool,
}

impl CertificateChange {
    /// The answer to an order.
    pub fn new(certificate: CertificateAnswer, changed: bool) -> Self {
        Self { certificate, changed }
    }
}

impl CertificateAnswer {
    /// What there is under a name.
    pub fn new(named: &NamedCertificate, keys: Option<&SealingKeys>, now: UnixSeconds) -> Self {
        let warnings = certificate_warnings::of(named, now).into_iter().map(WarningAnswer::from).collect();
        let cert_ref = named.cert_ref.to_string();
        let requested = named.requested.is_some();
        let Some(row) = &named.installed else {
            let key = named.requested.as_ref();
            return Self {
                cert_ref,
                pass_type_identifier: key.map(|key| key.pass_type_identifier.to_string()).unwrap_or_default(),
                team_identifier: key.map(|key| key.team_identifier.to_string()).unwrap_or_default(),
                is_enhanced: false,
                description: None,
                not_before: None,
                not_after: None,
                days_left: None,
                fingerprint: None,
                revision: None,
                installed_at: None,
                key_version: None,
                state: if requested { "requested" } else { "revoked" },
                pass_types: Vec::new(),
                requested,
                warnings,
            };
        };
        let Installation { pass_type_identifier, team_identifier, not_before, not_after, .. } =
            &row.installation;
        let opens = row.revoked || signers::open(keys, &row.installation).is_ok();
        let signs = named.is_named && !row.revoked;
        Self {
            cert_ref,
            pass_type_identifier: pass_type_identifier.to_string(),
            team_identifier: team_identifier.to_string(),
            is_enhanced: row.installation.allows_nfc(),
            description: row.installation.description.clone(),
            not_before: rfc3339::checked(*not_before),
            not_after: rfc3339::checked(*not_after),
            days_left: Some(signers::days_left(*not_after, now)),
            fingerprint: Some(row.installation.fingerprint.to_string()),
            revision: Some(signers::revision(&row.installation)),
            installed_at: rfc3339::checked(row.installed_at),
            key_version: Some(row.installation.private_key.key_version()),
            state: signers::state(row, opens, now),
            pass_types: if signs { vec![pass_type_identifier.to_string()] } else { Vec::new() },
            requested,
            warnings,
        }
    }
}

//! A pass that nobody keeps, to see whether a certificate signs and whether a phone takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use honoken_domain::ids::UnixSeconds;
use honoken_domain::localizations::Localizations;
use honoken_domain::sealed::SealingKeys;
use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::{BuildError, IdentityError, PassKind, PassSource, TicketStyle};
use honoken_projections::certificates::CertificateRow;
use serde_json::{Map, Value, json};

use crate::dev::drawing;
use crate::ids::{self, IdSource};
use crate::signers::{self, Unusable};

/// Why there is no such pass.
#[derive(Debug, thiserror::Error)]
pub enum TestPassFailure {
    /// The certificate was revoked.
    #[error("the certificate was revoked: it signs nothing")]
    Revoked,
    /// It does not open.
    #[error("the certificate cannot be used")]
    Unusable(#[source] Unusable),
    /// It is not valid now.
    #[error("the certificate cannot sign now")]
    CannotSign(#[source] IdentityError),
    /// The file could not be made.
    #[error("the pass could not be built")]
    Build(#[source] BuildError),
    /// The thread that built it ended.
    #[error("the builder ended unexpectedly")]
    Died,
}

/// A `.pkpass` signed with this certificate. It is issued to nobody, names no web service, and has a serial number of its own.
///
/// # Errors
/// [`TestPassFailure`].
pub async fn build(
    row: CertificateRow,
    keys: Option<SealingKeys>,
    ids: &dyn IdSource,
    now: UnixSeconds,
) -> Result<Vec<u8>, TestPassFailure> {
    if row.revoked {
        return Err(TestPassFailure::Revoked);
    }
    let serial_number = format!("honoken-test-{}", ids::request_id(ids));
    // Opening a key and signing are computation.
    let built = tokio::task::spawn_blocking(move || sign(&row, keys.as_ref(), &serial_number, now));
    built.await.map_err(|_| TestPassFailure::Died)?
}

fn sign(
    row: &CertificateRow,
    keys: Option<&SealingKeys>,
    serial_number: &str,
    now: UnixSeconds,
) -> Result<Vec<u8>, TestPassFailure> {
    let identity = signers::open(keys, &row.installation).map_err(TestPassFailure::Unusable)?;
    let (pass_type, team) = (identity.pass_type_identifier(), identity.team_identifier());
    identity.check(pass_type, team, now.0).map_err(TestPassFailure::CannotSign)?;
    let content = content(&row.cert_ref.to_string());
    let source = PassSource {
        pass_type_identifier: pass_type,
        serial_number,
        team_identifier: team,
        organization_name: "Honoken",
        web_service_url: "",
        authentication_token: "",
        kind: PassKind::plain(TicketStyle::Generic),
        voided: false,
        content: &content,
        localizations: &Localizations::new(),
        leaves_out_nfc: true,
        personalization: None,
    };
    honoken_pkpass::build(&source, &icons(), &identity).map_err(TestPassFailure::Build)
}

fn content(cert_ref: &str) -> Map<String, Value> {
    let field = json!({ "key": "certificate", "label": "Signed with", "value": cert_ref });
    let content =
        json!({ "description": "A test of a certificate", "generic": { "primaryFields": [field] } });
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

fn icons() -> BTreeMap<ImageFile, Arc<Image>> {
    let drawn = drawing::sample_icon().into_iter();
    drawn
        .filter_map(|icon| Some((ImageFile::parse(&icon.file).ok()?, Arc::new(Image::new(icon.bytes)))))
        .collect()
}

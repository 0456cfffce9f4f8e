//! The certificates that sign the passes of each type.

use honoken_database::statements::{Row, sql};
use honoken_domain::certificate::Installation;
use honoken_domain::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::Sealed;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// The last certificate of a pass type.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateRow {
    /// The certificate, with its key sealed.
    pub installation: Installation,
    /// The time of its installation.
    pub installed_at: UnixSeconds,
    /// Whether it no longer signs.
    pub revoked: bool,
    /// The position of its last change in the event log.
    pub position: Position,
}

impl ReadModel {
    /// The certificates that were changed behind a position, revoked ones too, in the order of their changes; all of them from 0 on. Cheap
    /// when there are none.
    pub async fn certificates_changed_after(
        &self,
        position: Position,
    ) -> Result<Vec<CertificateRow>, QueryError> {
        let rows = sql(
            "select pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate, intermediate,
                    private_key, installed_at, revoked, is_enhanced, position
             from wallet_cert
             where position > $1
             order by position",
        )
        .bind(position.0.cast_signed())
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(row).collect()).map_err(QueryError::of("certificates"))
    }

    /// The last certificate of a pass type, also when it was revoked.
    pub async fn certificate(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
    ) -> Result<Option<CertificateRow>, QueryError> {
        let found = sql(
            "select pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate, intermediate,
                    private_key, installed_at, revoked, is_enhanced, position
             from wallet_cert
             where pass_type_identifier = $1",
        )
        .bind(pass_type_identifier.as_str())
        .fetch_optional(&self.readers)
        .await;
        found.and_then(|found| found.as_ref().map(row).transpose()).map_err(QueryError::of("a certificate"))
    }
}

fn row(row: &Row) -> sqlx::Result<CertificateRow> {
    let text = |column| row.get::<String>(column);
    Ok(CertificateRow {
        installation: Installation {
            pass_type_identifier: PassTypeIdentifier::parse(text("pass_type_identifier")?)
                .map_err(invalid_value)?,
            team_identifier: TeamIdentifier::parse(text("team_identifier")?).map_err(invalid_value)?,
            certificate_serial: text("certificate_serial")?,
            fingerprint: Digest::parse(text("fingerprint")?).map_err(invalid_value)?,
            not_before: UnixSeconds(row.get("not_before")?),
            not_after: UnixSeconds(row.get("not_after")?),
            certificate: text("certificate")?,
            intermediate: text("intermediate")?,
            private_key: Sealed::parse(text("private_key")?).map_err(invalid_value)?,
            is_enhanced: row.get("is_enhanced")?,
            job: None,
        },
        installed_at: UnixSeconds(row.get("installed_at")?),
        revoked: row.get("revoked")?,
        position: Position(row.get::<i64>("position")?.cast_unsigned()),
    })
}

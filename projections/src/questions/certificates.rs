//! Certificates: those that sign the passes of each type, and all of them by name.

use honoken_database::statements::{Row, sql};
use honoken_domain::certificate::{Installation, RequestedKey};
use honoken_domain::ids::{CertRef, Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::Sealed;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// The certificate of a pass type, or of a name.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateRow {
    /// The name that operators know it by.
    pub cert_ref: CertRef,
    /// The certificate, with its key sealed.
    pub installation: Installation,
    /// The time of its installation.
    pub installed_at: UnixSeconds,
    /// Whether it no longer signs.
    pub revoked: bool,
    /// The position of the last change in the event log: of the certificate, or of the pass type's choice of it.
    pub position: Position,
}

/// What there is under the name of a certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedCertificate {
    /// The name.
    pub cert_ref: CertRef,
    /// The certificate that was installed last, also when it was revoked.
    pub installed: Option<CertificateRow>,
    /// The key that waits for its certificate.
    pub requested: Option<RequestedKey>,
    /// Whether the pass type of the certificate names it, so that it signs.
    pub is_named: bool,
    /// Whether an organisation owns the pass type of the certificate.
    pub has_owner: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    At,
    Behind,
}

impl ReadModel {
    /// The certificates that sign, of pass types for which that was changed behind a position, revoked ones too, in the order of the changes; all of
    /// them from 0 on. Cheap when there are none.
    pub async fn certificates_changed_after(
        &self,
        position: Position,
    ) -> Result<Vec<CertificateRow>, QueryError> {
        let rows = sql(
            "select cert_ref, pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate,
                    intermediate, private_key, installed_at, revoked, is_enhanced, position
             from wallet_cert
             where position > $1
             order by position",
        )
        .bind(position.0.cast_signed())
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(row).collect()).map_err(QueryError::of("certificates"))
    }

    /// The certificate that signs the passes of a type, also when it was revoked.
    pub async fn certificate(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
    ) -> Result<Option<CertificateRow>, QueryError> {
        let found = sql(
            "select cert_ref, pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate,
                    intermediate, private_key, installed_at, revoked, is_enhanced, position
             from wallet_cert
             where pass_type_identifier = $1",
        )
        .bind(pass_type_identifier.as_str())
        .fetch_optional(&self.readers)
        .await;
        found.and_then(|found| found.as_ref().map(row).transpose()).map_err(QueryError::of("a certificate"))
    }

    /// What there is under the name of a certificate.
    pub async fn named_certificate(
        &self,
        cert_ref: &CertRef,
    ) -> Result<Option<NamedCertificate>, QueryError> {
        let found = self.named_from(cert_ref.as_str(), Start::At, 1).await?;
        Ok(found.into_iter().next().filter(|named| named.cert_ref == *cert_ref))
    }

    /// The names of certificates behind a name, in their order, with what there is under them; `limit` of them at the most.
    pub async fn named_certificates(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<NamedCertificate>, QueryError> {
        self.named_from(after, Start::Behind, limit).await
    }

    async fn named_from(
        &self,
        name: &str,
        start: Start,
        limit: u32,
    ) -> Result<Vec<NamedCertificate>, QueryError> {
        let rows = sql(
            "select cert.cert_ref, cert.pass_type_identifier, cert.team_identifier, cert.certificate_serial, cert.fingerprint, cert.not_before,
                    cert.not_after, cert.certificate, cert.intermediate, cert.private_key, cert.installed_at, cert.revoked, cert.is_enhanced,
                    cert.description, cert.requested_pass_type, cert.requested_team, cert.requested_public_key, cert.requested_private_key,
                    cert.position, pass_type.organization_id as owner,
                    coalesce(pass_type.cert_ref, pass_type.pass_type_identifier) as named
             from wallet_cert_ref cert
             left join wallet_pass_type pass_type on pass_type.pass_type_identifier = cert.pass_type_identifier
             where cert.cert_ref >= $1 and (cert.cert_ref > $1 or $2)
             order by cert.cert_ref
             limit $3",
        )
        .bind(name)
        .bind(start == Start::At)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(named_row).collect()).map_err(QueryError::of("certificates"))
    }
}

impl ReadModel {
    /// Everything that there is under any name, in the order of the names.
    pub async fn all_named_certificates(&self) -> Result<Vec<NamedCertificate>, QueryError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut page = self.named_certificates(&after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            last.cert_ref.as_str().clone_into(&mut after);
            all.append(&mut page);
        }
    }
}

/// Names that are read at a time.
const PAGE: u32 = 200;

fn row(row: &Row) -> sqlx::Result<CertificateRow> {
    let text = |column| row.get::<String>(column);
    let pass_type_identifier =
        PassTypeIdentifier::parse(text("pass_type_identifier")?).map_err(invalid_value)?;
    let cert_ref = match row.get::<Option<String>>("cert_ref")? {
        Some(cert_ref) => CertRef::parse(cert_ref).map_err(invalid_value)?,
        // A row from before certificates had names.
        None => CertRef::of_pass_type(&pass_type_identifier),
    };
    Ok(CertificateRow {
        cert_ref,
        installation: Installation {
            pass_type_identifier,
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
            description: None,
            requested_key: None,
        },
        installed_at: UnixSeconds(row.get("installed_at")?),
        revoked: row.get("revoked")?,
        position: Position(row.get::<i64>("position")?.cast_unsigned()),
    })
}

fn named_row(found: &Row) -> sqlx::Result<NamedCertificate> {
    let cert_ref = CertRef::parse(found.get::<String>("cert_ref")?).map_err(invalid_value)?;
    let is_installed = found.get::<Option<String>>("fingerprint")?.is_some();
    let mut installed = is_installed.then(|| row(found)).transpose()?;
    if let Some(installed) = &mut installed {
        installed.installation.description = found.get("description")?;
    }
    let named: Option<String> = found.get("named")?;
    Ok(NamedCertificate {
        is_named: named.as_deref() == Some(cert_ref.as_str()),
        has_owner: found.get::<Option<String>>("owner")?.is_some(),
        requested: requested_key(found)?,
        installed,
        cert_ref,
    })
}

fn requested_key(row: &Row) -> sqlx::Result<Option<RequestedKey>> {
    let Some(public_key) = row.get::<Option<String>>("requested_public_key")? else { return Ok(None) };
    let text = |column| row.get::<String>(column);
    Ok(Some(RequestedKey {
        pass_type_identifier: PassTypeIdentifier::parse(text("requested_pass_type")?)
            .map_err(invalid_value)?,
        team_identifier: TeamIdentifier::parse(text("requested_team")?).map_err(invalid_value)?,
        public_key: Digest::parse(public_key).map_err(invalid_value)?,
        private_key: Sealed::parse(text("requested_private_key")?).map_err(invalid_value)?,
    }))
}

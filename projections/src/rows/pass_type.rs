//! A pass type with its default images and texts, for commands and for the projector.

use honoken_database::statements::{Row, Source, sql};
use honoken_domain::ids::{CertRef, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::images::DefaultImages;
use honoken_domain::localizations::Localizations;

use crate::rows::columns::invalid_value;

/// A pass type with all that a command for one of its passes needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassTypeRow {
    /// The identifier.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The organisation that owns it.
    pub organization_id: OrganizationId,
    /// The team whose certificate signs its passes.
    pub team_identifier: TeamIdentifier,
    /// The certificate that signs its passes.
    pub cert_ref: CertRef,
    /// The images to which its passes fall back.
    pub default_images: DefaultImages,
    /// The texts in other languages to which its passes fall back.
    pub default_localizations: Localizations,
    /// Whether the certificate that was installed last may sign passes with `nfc`.
    pub allows_nfc: bool,
}

/// One pass type, by its identifier.
pub(crate) async fn find_pass_type<'a>(
    from: impl Into<Source<'a>>,
    identifier: &PassTypeIdentifier,
) -> sqlx::Result<Option<PassTypeRow>> {
    let row = sql("select pass_type_identifier, organization_id, team_identifier, cert_ref, assets, localizations,
                (select assets from wallet_brand_assets where id = 1) as brand_assets,
                coalesce((select allows_nfc from wallet_cert certificate
                          where certificate.pass_type_identifier = wallet_pass_type.pass_type_identifier), false) as allows_nfc
         from wallet_pass_type
         where pass_type_identifier = $1")
    .bind(identifier.as_str())
    .fetch_optional(from)
    .await?;
    row.as_ref().map(pass_type_row).transpose()
}

/// Reads a row of `wallet_pass_type`, with the images of the brand as `brand_assets`, and with `allows_nfc`.
pub(crate) fn pass_type_row(row: &Row) -> sqlx::Result<PassTypeRow> {
    let pass_type_identifier = PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?);
    let pass_type_identifier = pass_type_identifier.map_err(invalid_value)?;
    let cert_ref = row.get::<Option<String>>("cert_ref")?.map(CertRef::parse).transpose();
    Ok(PassTypeRow {
        cert_ref: cert_ref
            .map_err(invalid_value)?
            .unwrap_or_else(|| CertRef::of_pass_type(&pass_type_identifier)),
        pass_type_identifier,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        team_identifier: TeamIdentifier::parse(row.get::<String>("team_identifier")?)
            .map_err(invalid_value)?,
        default_images: DefaultImages {
            pass_type: row.json("assets")?,
            brand: row.optional_json("brand_assets")?.unwrap_or_default(),
        },
        default_localizations: row.json("localizations")?,
        allows_nfc: row.get("allows_nfc")?,
    })
}

//! An organisation, its API key, a pass type, the brand's images and an event ticket, each created once, through the same commands as any
//! other data. The futures are boxed for the reason that [`crate::stores`] gives.

use anyhow::Context;
use futures::future::BoxFuture;
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsCommand};
use honoken_domain::content::Content;
use honoken_domain::ids::{
    CertRef, Digest, OrganizationId, PassId, PassTypeIdentifier, SerialNumber, TeamIdentifier,
};
use honoken_domain::images::Images;
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError, Scopes};
use honoken_domain::pass::{
    Circumstances, IssuePass, OrderedToken, Pass, PassCommand, Precondition, TicketStyle,
};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{DispatchError, Metadata, Position};
use honoken_pkpass::Credential;
use honoken_projections::certificates::CertificateRow;
use honoken_projections::pass_types::PassTypeRow;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::clock::Clock;
use crate::dev::drawing::{self, Drawing};
use crate::ids::{self, IdSource};
use crate::install::{Enhanced, Takeover};
use crate::stores::Stores;
use crate::{content_rules, install, limits, signers};

/// The pass type of the sample, and of the development certificate.
pub const PASS_TYPE: &str = "pass.dev.honoken.event";
/// The team of the development certificate.
pub const TEAM: &str = "HONOKENDEV";
/// The name of the development organisation.
pub const ORGANIZATION_NAME: &str = "Honoken Development";
/// The serial number of the sample.
pub const SERIAL_NUMBER: &str = "SAMPLE-1";

/// The id of the development organisation.
pub const ORGANIZATION: &str = "dev";

/// [`PASS_TYPE`], checked.
pub fn pass_type() -> PassTypeIdentifier {
    PassTypeIdentifier::parse(PASS_TYPE).expect("a constant that is a pass type identifier")
}

fn organization() -> OrganizationId {
    OrganizationId::parse(ORGANIZATION).expect("a constant that is an organisation id")
}

/// Creates the parts that are missing. Parts that exist are left as they are, also when they have been changed since.
///
/// # Errors
/// When a store is unavailable.
pub fn ensure<'a>(
    stores: &'a Stores,
    clock: &'a dyn Clock,
    ids: &'a dyn IdSource,
    api_key: &'a SecretString,
) -> BoxFuture<'a, anyhow::Result<()>> {
    Box::pin(async move {
        let setup = Setup { stores, clock };
        setup.organization(api_key).await.context("could not make the development organisation")?;
        if stores.read_model.brand_assets().await?.is_none() {
            setup.images().await.context("could not store the development images")?;
        }
        let id = PassId {
            pass_type_identifier: pass_type(),
            serial_number: SerialNumber::parse(SERIAL_NUMBER).context("the sample's serial number")?,
        };
        if stores.read_model.pass_row(&id).await?.is_none() {
            setup.ticket(id, ids).await.context("could not issue the sample")?;
        }
        Ok(())
    })
}

/// Installs the certificate of the folder's authority when another one signs, or none. One that an operator revoked stays revoked.
///
/// # Errors
/// When a store is unavailable.
pub fn certificate<'a>(
    stores: &'a Stores,
    clock: &'a dyn Clock,
    ids: &'a dyn IdSource,
    keys: &'a SealingKeys,
    credential: &'a Credential,
) -> BoxFuture<'a, anyhow::Result<()>> {
    Box::pin(async move {
        let cert_ref = CertRef::of_pass_type(&pass_type());
        let row = stores.read_model.named_certificate(&cert_ref).await?.and_then(|named| named.installed);
        let is_this =
            |row: &CertificateRow| row.installation.fingerprint.as_str() == credential.identity.fingerprint();
        let is_of_others = |row: &CertificateRow| row.installation.team_identifier.as_str() != TEAM;
        if row.as_ref().is_some_and(is_of_others) {
            tracing::info!("an operator has installed a certificate of another team as {cert_ref}: it stays");
            return Ok(());
        }
        let mut enhanced = Enhanced::ByName;
        if let Some(row) = row.filter(is_this) {
            if row.installation.allows_nfc() {
                enhanced = Enhanced::Said;
            }
            if row.revoked {
                tracing::warn!(
                    "the development certificate was revoked: remove the folder `certificates`, and the next start makes another one"
                );
                return Ok(());
            }
            if signers::open(Some(keys), &row.installation).is_ok() {
                return Ok(());
            }
            tracing::warn!("the development certificate was sealed under another key, and is sealed anew");
        }
        let setup = Setup { stores, clock };
        let about = "could not install the development certificate";
        let installation = install::installation(credential, enhanced, keys, ids).context(about)?;
        let (dispatcher, metadata) = (&stores.dispatcher, setup.metadata());
        // The folder's authority may be younger than the certificate that signs, and end earlier.
        let installed =
            install::install(dispatcher, &cert_ref, installation, Takeover::Forced, ids, &metadata).await;
        setup.settle(installed.context(about)?.position).await
    })
}

struct Setup<'a> {
    stores: &'a Stores,
    clock: &'a dyn Clock,
}

impl Setup<'_> {
    fn metadata(&self) -> Metadata {
        Metadata {
            actor: "system:dev".to_owned(),
            organization: Some(ORGANIZATION.to_owned()),
            request_id: "dev-setup".to_owned(),
            urgent: false,
            recorded_at_ms: self.clock.unix_ms(),
        }
    }

    /// Waits until the read model has caught up, so that the next step sees this one.
    async fn settle(&self, position: Position) -> anyhow::Result<()> {
        let mut progress = self.stores.projector.progress();
        let reached = progress.wait_for(|progress| progress.position >= position);
        tokio::time::timeout(limits::REQUEST, reached).await.context("the read model does not follow")??;
        Ok(())
    }

    async fn pass_type_row(&self) -> anyhow::Result<Option<PassTypeRow>> {
        Ok(self.stores.read_model.pass_type(&pass_type()).await?)
    }

    async fn organization(&self, api_key: &SecretString) -> anyhow::Result<()> {
        let dispatcher = &self.stores.dispatcher;
        let metadata = self.metadata();
        let create = OrganizationCommand::Create {
            organization_id: organization(),
            name: ORGANIZATION_NAME.to_owned(),
            test: false,
        };
        dispatcher.dispatch::<Organization>(ORGANIZATION, create, &(), &metadata).await?;
        let add_key = OrganizationCommand::AddApiKey {
            key_digest: Digest::of(api_key.expose_secret().as_bytes()),
            label: "development".to_owned(),
            scopes: Scopes::all(),
            expires_at: None,
        };
        match dispatcher.dispatch::<Organization>(ORGANIZATION, add_key, &(), &metadata).await {
            Err(DispatchError::Refused(OrganizationError::KeyRevoked)) => tracing::warn!(
                "the API key of the data folder was revoked: remove the file secrets/api-key, and the next start makes another one"
            ),
            added => drop(added?),
        }
        let create = PassTypeCommand::Create {
            pass_type_identifier: pass_type(),
            organization_id: organization(),
            team_identifier: TeamIdentifier::parse(TEAM)?,
        };
        let created = dispatcher.dispatch::<PassType>(PASS_TYPE, create, &(), &metadata).await?;
        self.settle(created.position).await
    }

    async fn images(&self) -> anyhow::Result<()> {
        let dispatcher = &self.stores.dispatcher;
        let metadata = self.metadata();
        let command =
            PassTypeCommand::PutAssets { assets: self.store(drawing::pass_type_logo()).await?, job: None };
        dispatcher.dispatch::<PassType>(PASS_TYPE, command, &(), &metadata).await?;
        // The last step, in one command: once the brand has images, the step was finished.
        let command =
            BrandAssetsCommand::PutAssets { assets: self.store(drawing::brand()).await?, job: None };
        let brand = dispatcher.dispatch::<BrandAssets>(BRAND_ID, command, &(), &metadata).await?;
        self.settle(brand.position).await
    }

    async fn store(&self, drawings: Vec<Drawing>) -> anyhow::Result<Images> {
        let mut images = Images::new();
        for Drawing { file, bytes } in drawings {
            images.insert(file, self.stores.blobs.put(bytes).await?);
        }
        Ok(images)
    }

    async fn ticket(&self, id: PassId, ids: &dyn IdSource) -> anyhow::Result<()> {
        let assets = self.store(drawing::sample_icon()).await?;
        let row = self.pass_type_row().await?.context("the development pass type is missing")?;
        let circumstances = Circumstances {
            now: self.clock.unix_seconds(),
            organization_id: organization(),
            default_images: row.default_images,
            default_localizations: row.default_localizations,
            allows_nfc: row.allows_nfc,
            precondition: Precondition::None,
            rules: content_rules::refusals,
        };
        let issue = PassCommand::Issue(Box::new(IssuePass {
            id: id.clone(),
            ticket_style: TicketStyle::Event,
            poster: false,
            content: content()?,
            assets,
            localizations: Localizations::new(),
            voided: false,
            authentication_token: OrderedToken::Fresh(ids::authentication_token(ids)),
        }));
        let dispatcher = &self.stores.dispatcher;
        let issued =
            dispatcher.dispatch::<Pass>(&id.to_string(), issue, &circumstances, &self.metadata()).await?;
        self.settle(issued.position).await
    }
}

fn content() -> anyhow::Result<Content> {
    Ok(Content::from_value(json!({
        "description": "Ticket for the opening night",
        "eventTicket": {
            "headerFields": [{ "key": "seat", "label": "SEAT", "value": "12A" }],
            "primaryFields": [{ "key": "event", "label": "EVENT", "value": "Opening Night" }],
            "secondaryFields": [
                { "key": "venue", "label": "VENUE", "value": "Town Hall" },
                { "key": "section", "label": "SECTION", "value": "Stalls" }
            ],
            "auxiliaryFields": [{
                "key": "date",
                "label": "DATE",
                "value": "2027-05-14T19:30:00+02:00",
                "dateStyle": "PKDateStyleMedium",
                "timeStyle": "PKDateStyleShort"
            }]
        },
        // A number to try increments with; phones ignore it.
        "userInfo": { "visits": 1 },
        "backgroundColor": "rgb(94, 53, 177)",
        "foregroundColor": "rgb(255, 255, 255)",
        "labelColor": "rgb(209, 196, 233)",
        "barcodes": [{
            "format": "PKBarcodeFormatQR",
            "message": "HONOKEN-SAMPLE-1",
            "messageEncoding": "iso-8859-1"
        }]
    }))?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sample_has_no_faults() {
        let findings = honoken_pkpass::lint(
            honoken_pkpass::PassKind::plain(honoken_pkpass::TicketStyle::Event),
            super::content().unwrap().as_map(),
        );
        assert_eq!(findings, []);
    }
}

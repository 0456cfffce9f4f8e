//! Events of every aggregate, for readers that go through the whole event log.

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, DomainEvent};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apns_key::ApnsKey;
use crate::brand_assets::{BrandAssets, BrandAssetsEvent};
use crate::certificate::Certificate;
use crate::ids::Digest;
use crate::images::Images;
use crate::job::Job;
use crate::organization::Organization;
use crate::pass::{Pass, PassEvent};
use crate::pass_type::{PassType, PassTypeEvent};
use crate::registration::Registration;
use crate::uploaded_image::UploadedImage;

/// An event that decodes: its name, and the images that its aggregate has from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyEvent {
    /// The name that this release gives it.
    pub event_type: String,
    /// The images of the aggregate's own, all of them; `None` where the event says nothing about them.
    pub own_images: Option<BTreeSet<Digest>>,
    /// Those that it shows, likewise.
    pub shown_images: Option<BTreeSet<Digest>>,
}

/// Why an event does not decode.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Its aggregate is of a later release, or of none.
    #[error("this release does not know the aggregate `{0}`")]
    UnknownAggregate(String),
    /// Its payload is not one that its aggregate reads.
    #[error("its payload does not decode")]
    Payload(#[from] serde_json::Error),
}

impl AnyEvent {
    /// Decodes the payload of an event, already upcast, as its aggregate does.
    ///
    /// # Errors
    /// [`Undecodable`] when this release has no such aggregate, or the aggregate does not read it.
    pub fn decode(aggregate_type: &str, payload: Value) -> Result<Self, Undecodable> {
        match aggregate_type {
            Pass::TYPE => of::<Pass>(payload, images_of_a_pass),
            PassType::TYPE => of::<PassType>(payload, |event| match event {
                PassTypeEvent::AssetsChanged { assets, .. } => (Some(digests(assets)), None),
                PassTypeEvent::Created { .. }
                | PassTypeEvent::Assigned { .. }
                | PassTypeEvent::LocalizationsChanged { .. } => (None, None),
            }),
            BrandAssets::TYPE => {
                of::<BrandAssets>(payload, |BrandAssetsEvent::Changed { assets, .. }| {
                    (Some(digests(assets)), None)
                })
            }
            // An upload that nothing shows may have been removed by `honoken blobs gc`.
            UploadedImage::TYPE => of::<UploadedImage>(payload, without_images),
            Registration::TYPE => of::<Registration>(payload, without_images),
            Organization::TYPE => of::<Organization>(payload, without_images),
            Certificate::TYPE => of::<Certificate>(payload, without_images),
            ApnsKey::TYPE => of::<ApnsKey>(payload, without_images),
            Job::TYPE => of::<Job>(payload, without_images),
            other => Err(Undecodable::UnknownAggregate(other.to_owned())),
        }
    }
}

/// Own and shown images.
type Named = (Option<BTreeSet<Digest>>, Option<BTreeSet<Digest>>);

fn of<A: Aggregate>(payload: Value, images: impl FnOnce(&A::Event) -> Named) -> Result<AnyEvent, Undecodable>
where
    A::Event: DeserializeOwned,
{
    let event: A::Event = serde_json::from_value(payload)?;
    let (own_images, shown_images) = images(&event);
    Ok(AnyEvent { event_type: event.event_type(), own_images, shown_images })
}

fn without_images<E>(_: &E) -> Named {
    (None, None)
}

fn images_of_a_pass(event: &PassEvent) -> Named {
    let (own, shown) = match event {
        PassEvent::Issued(issued) => (Some(&issued.assets), Some(&issued.images)),
        PassEvent::Repaired(repaired) => (Some(&repaired.assets), Some(&repaired.images)),
        PassEvent::AssetsChanged { assets, images, .. } => (Some(assets), Some(images)),
        PassEvent::HiddenAssetsChanged { assets, .. } => (Some(assets), None),
        PassEvent::ContentChanged { images, .. } => (None, images.as_ref()),
        PassEvent::MetadataChanged { images, .. }
        | PassEvent::NfcChanged { images, .. }
        | PassEvent::PersonalizationChanged { images, .. }
        | PassEvent::Personalized { images, .. } => (None, Some(images)),
        PassEvent::LocalizationsChanged { .. }
        | PassEvent::HiddenLocalizationsChanged { .. }
        | PassEvent::HiddenPersonalizationChanged { .. }
        | PassEvent::Voided { .. }
        | PassEvent::Reinstated { .. }
        | PassEvent::Retired { .. } => (None, None),
    };
    (own.map(digests), shown.map(digests))
}

fn digests(images: &Images) -> BTreeSet<Digest> {
    images.values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// Every digest below a member that holds images.
    fn named(value: &Value, found: &mut BTreeSet<Digest>) {
        for (member, value) in value.as_object().into_iter().flatten() {
            match member.as_str() {
                "assets" | "images" => {
                    let files = value.as_object().into_iter().flatten();
                    found.extend(files.map(|(_, digest)| Digest::parse(digest.as_str().unwrap()).unwrap()));
                }
                _ => named(value, found),
            }
        }
    }

    #[test]
    fn every_event_ever_written_decodes_and_names_its_images() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/events");
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let fixture: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let aggregate_type = fixture["aggregateType"].as_str().unwrap();
            let event = AnyEvent::decode(aggregate_type, fixture["payload"].clone());
            let event = event.unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
            assert_eq!(event.event_type, fixture["eventType"], "{}", path.display());
            let mut expected = BTreeSet::new();
            named(&fixture["payload"], &mut expected);
            let images = [event.own_images, event.shown_images].into_iter().flatten().flatten();
            assert_eq!(images.collect::<BTreeSet<_>>(), expected, "{}", path.display());
        }
    }

    #[test]
    fn an_event_of_an_unknown_aggregate_or_with_another_payload_is_refused() {
        let unknown = AnyEvent::decode("Wallet", json!({}));
        assert!(matches!(unknown, Err(Undecodable::UnknownAggregate(name)) if name == "Wallet"));
        assert!(matches!(AnyEvent::decode("Pass", json!({ "PassLost": {} })), Err(Undecodable::Payload(_))));
    }
}

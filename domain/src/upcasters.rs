//! How events written by earlier versions are read.
//!
//! An event's name and version are frozen when it ships. When its JSON has to change, the version goes up and an upcaster joins the
//! list below, which reshapes the old JSON before it is decoded. `fixtures/events/` holds one file per name and version that was ever
//! written; a test decodes them all.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};

/// Reshapes stored events to the versions that this release decodes.
#[derive(Default)]
pub struct Upcasters(Vec<Box<dyn EventUpcaster>>);

impl Upcasters {
    /// Those of this release, oldest first. Every event is still at version 1, so there are none.
    pub fn current() -> Self {
        Self::default()
    }

    /// Adds one, to run after those that are there.
    #[must_use]
    pub fn with(mut self, upcaster: impl EventUpcaster + 'static) -> Self {
        self.0.push(Box::new(upcaster));
        self
    }

    /// The event as this release expects it.
    pub fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        self.0.iter().fold(event, |event, upcaster| {
            if upcaster.can_upcast(&event.event_type, &event.event_version) {
                upcaster.upcast(event)
            } else {
                event
            }
        })
    }
}

impl std::fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upcasters({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use cqrs_es::persist::SemanticVersionEventUpcaster;
    use cqrs_es::{Aggregate, DomainEvent};
    use serde_json::{Value, json};

    use super::*;
    use crate::apns_key::ApnsKey;
    use crate::brand_assets::BrandAssets;
    use crate::certificate::Certificate;
    use crate::job::Job;
    use crate::organization::Organization;
    use crate::pass::Pass;
    use crate::pass_type::PassType;
    use crate::registration::Registration;
    use crate::uploaded_image::UploadedImage;

    fn stored(event_type: &str, version: &str, payload: Value) -> SerializedEvent {
        SerializedEvent::new(
            "id".into(),
            1,
            "T".into(),
            event_type.into(),
            version.into(),
            payload,
            json!({}),
        )
    }

    /// Decodes as `A` would, and returns what is written today for the same event: name, version and JSON.
    fn decode<A: Aggregate>(event: SerializedEvent) -> (String, String, Value) {
        let event: A::Event =
            serde_json::from_value(event.payload).expect("an event once written decodes for ever");
        (event.event_type(), event.event_version(), serde_json::to_value(&event).unwrap())
    }

    #[test]
    fn every_event_ever_written_decodes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/events");
        let mut seen = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let fixture: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let text = |key: &str| fixture[key].as_str().unwrap().to_owned();
            let (event_type, version) = (text("eventType"), text("eventVersion"));
            let event =
                Upcasters::current().upcast(stored(&event_type, &version, fixture["payload"].clone()));
            let decoded = match text("aggregateType").as_str() {
                "Pass" => decode::<Pass>(event),
                "Registration" => decode::<Registration>(event),
                "Organization" => decode::<Organization>(event),
                "PassType" => decode::<PassType>(event),
                "BrandAssets" => decode::<BrandAssets>(event),
                "Certificate" => decode::<Certificate>(event),
                "ApnsKey" => decode::<ApnsKey>(event),
                "Job" => decode::<Job>(event),
                "UploadedImage" => decode::<UploadedImage>(event),
                other => panic!("{} is of an unknown aggregate {other}", path.display()),
            };
            assert_eq!(decoded.0, event_type, "{}", path.display());
            if decoded.1 == version {
                assert_eq!(decoded.2, fixture["payload"], "{} is written differently today", path.display());
            }
            seen.insert(event_type);
        }
        assert_eq!(seen.len(), 50, "one fixture per event: {seen:?}");
    }

    #[test]
    fn an_old_event_passes_every_upcaster_in_turn() {
        let upcasters = Upcasters::default()
            .with(SemanticVersionEventUpcaster::new(
                "SeatChanged",
                "2",
                Box::new(|old| json!({ "seat": old["place"] })),
            ))
            .with(SemanticVersionEventUpcaster::new(
                "SeatChanged",
                "3",
                Box::new(|old| json!({ "seat": { "number": old["seat"] } })),
            ));
        let now = upcasters.upcast(stored("SeatChanged", "1", json!({ "place": "12A" })));
        assert_eq!(now.payload, json!({ "seat": { "number": "12A" } }));
        assert_eq!(now.event_version, "3.0.0");
        let untouched = stored("Other", "1", json!({ "place": "12A" }));
        assert_eq!(upcasters.upcast(untouched.clone()), untouched);
    }
}

//! What a stored state of an aggregate looks like, so that one of another release is known and left alone.

use cqrs_es::Aggregate;

/// An aggregate whose state may be stored and read back instead of all its events.
///
/// `fixtures/snapshots/` holds the stored state of each under its current shape. When a change to the aggregate's fields alters it, or `apply`
/// comes to mean something else, raise the shape: stored states of the old one are ignored, and made anew from the events.
pub trait Snapshot: Aggregate + Clone + 'static {
    /// Raised whenever a stored state would not be what the events lead to.
    const SHAPE: u32;

    /// The name of the event that states the whole aggregate: with it, earlier events are not needed, whether they can be read or not.
    const WHOLE: Option<&'static str> = None;
}

impl Snapshot for crate::pass::Pass {
    const SHAPE: u32 = 4;
    const WHOLE: Option<&'static str> = Some(crate::pass::REPAIRED);
}

impl Snapshot for crate::registration::Registration {
    const SHAPE: u32 = 3;
    const WHOLE: Option<&'static str> = Some(crate::registration::REPAIRED);
}

impl Snapshot for crate::organization::Organization {
    const SHAPE: u32 = 6;
}

impl Snapshot for crate::pass_type::PassType {
    const SHAPE: u32 = 3;
}

impl Snapshot for crate::brand_assets::BrandAssets {
    const SHAPE: u32 = 1;
}

impl Snapshot for crate::certificate::Certificate {
    const SHAPE: u32 = 3;
}

impl Snapshot for crate::apns_key::ApnsKey {
    const SHAPE: u32 = 2;
}

impl Snapshot for crate::job::Job {
    const SHAPE: u32 = 1;
}

impl Snapshot for crate::uploaded_image::UploadedImage {
    const SHAPE: u32 = 1;
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde::de::DeserializeOwned;
    use serde_json::Value;

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

    fn fixture(folder: &str, file: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder).join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        serde_json::from_str(&text).unwrap()
    }

    fn event<E: DeserializeOwned>(name: &str) -> E {
        let file = if name.contains('.') { format!("{name}.json") } else { format!("{name}.v1.json") };
        serde_json::from_value(fixture("events", &file)["payload"].clone()).unwrap()
    }

    /// The state that these events lead to is stored as the fixture of the current shape says, and read back whole.
    #[track_caller]
    fn check<A: Snapshot + PartialEq + std::fmt::Debug>(events: &[&str]) {
        let mut aggregate = A::default();
        for name in events {
            aggregate.apply(event(name));
        }
        let stored = serde_json::to_value(&aggregate).unwrap();
        assert_eq!(
            stored,
            fixture("snapshots", &format!("{}.{}.json", A::TYPE, A::SHAPE)),
            "raise the shape of {}",
            A::TYPE
        );
        assert_eq!(serde_json::from_value::<A>(stored).unwrap(), aggregate);
    }

    #[test]
    fn a_stored_state_is_what_its_shape_says() {
        check::<Pass>(&[
            "PassIssued",
            "PassContentChanged",
            "PassAssetsChanged",
            "PassLocalizationsChanged",
            "PassVoided",
            "PassReinstated",
            "PassMetadataChanged",
            "PassContentChanged.v1.increment",
            "PassContentChanged.v1.replacement",
            "PassPersonalizationChanged",
            "PassPersonalized",
            "PassNfcChanged",
            "PassRetired",
        ]);
        check::<PassType>(&[
            "PassTypeCreated",
            "PassTypeAssetsChanged",
            "PassTypeLocalizationsChanged",
            "PassTypeAssigned",
        ]);
        check::<Registration>(&[
            "DeviceRegistered.v1.imported",
            "PushTokenChanged.v1.imported",
            "DeviceRegistered",
            "PushTokenChanged",
            "PushTokenConfirmed",
        ]);
        check::<Organization>(&[
            "OrganizationCreated",
            "ApiKeyAdded",
            "ApiKeyRevoked",
            "ApiKeyAdded.v1.scopes",
            "ApiKeyScopesChanged",
            "ApiKeyAdded.v1.expiry",
            "ApiKeyExpiryChanged",
            "OrganizationRenamed",
            "OrganizationDisabled",
            "OrganizationImagesLimited",
        ]);
        check::<BrandAssets>(&["BrandAssetsChanged"]);
        check::<Certificate>(&[
            "CertificateInstalled",
            "CertificateRenewed",
            "CertificateResealed",
            "CertificateRequested",
            "CertificateRequestResealed",
        ]);
        check::<ApnsKey>(&["ApnsKeyInstalled.v1.named", "ApnsKeyResealed"]);
        check::<Job>(&["JobStarted", "JobAdvanced", "JobFinished"]);
        check::<UploadedImage>(&["ImageUploaded"]);
    }
}

//! An image that an organisation has uploaded: from then on its digest is the organisation's to name. There is one for each organisation and
//! digest, so that no stream grows with the number of images and no upload waits for another. All in one file: there is little to it, and nothing
//! to refuse.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::ids::{Digest, OrganizationId, UploadedImageId};

/// An upload as its events tell it. The default is an image that the organisation has not uploaded, or that was removed since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UploadedImage {
    bytes: Option<u64>,
}

/// What an integrator or an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum UploadedImageCommand {
    /// Count the image as the organisation's. Its bytes are stored already.
    Upload {
        /// Whose it is, and its digest.
        id: UploadedImageId,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Count it no more: its bytes were removed.
    Remove {
        /// Whose it was, and its digest.
        id: UploadedImageId,
    },
}

/// What can have happened. The JSON of this type is a promise: `fixtures/events/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadedImageEvent {
    /// The organisation uploaded the image, for the first time or the first time since it was removed.
    #[serde(rename = "ImageUploaded", rename_all = "camelCase")]
    Uploaded {
        /// Who uploaded it.
        organization_id: OrganizationId,
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Nothing referred to the image, and its bytes were removed. The organisation may still name it, once the bytes are there again.
    #[serde(rename = "ImageRemoved", rename_all = "camelCase")]
    Removed {
        /// Who had uploaded it.
        organization_id: OrganizationId,
        /// SHA-256 of its bytes.
        digest: Digest,
    },
}

/// An upload refuses nothing; what an image is, is checked when its bytes are stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadedImageError {}

impl UploadedImage {
    /// Decides a command: the events it leads to, none if it changes nothing.
    pub fn decide(&self, command: UploadedImageCommand) -> Vec<UploadedImageEvent> {
        match command {
            UploadedImageCommand::Upload { id: UploadedImageId { organization_id, digest }, bytes }
                if self.bytes.is_none() =>
            {
                vec![UploadedImageEvent::Uploaded { organization_id, digest, bytes }]
            }
            UploadedImageCommand::Remove { id: UploadedImageId { organization_id, digest } }
                if self.bytes.is_some() =>
            {
                vec![UploadedImageEvent::Removed { organization_id, digest }]
            }
            UploadedImageCommand::Upload { .. } | UploadedImageCommand::Remove { .. } => Vec::new(),
        }
    }
}

impl DomainEvent for UploadedImageEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Uploaded { .. } => "ImageUploaded".to_owned(),
            Self::Removed { .. } => "ImageRemoved".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for UploadedImage {
    const TYPE: &'static str = "UploadedImage";
    type Command = UploadedImageCommand;
    type Event = UploadedImageEvent;
    type Error = UploadedImageError;
    type Services = ();

    async fn handle(
        &mut self,
        command: UploadedImageCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), UploadedImageError> {
        for event in self.decide(command) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: UploadedImageEvent) {
        match event {
            UploadedImageEvent::Uploaded { bytes, .. } => self.bytes = Some(bytes),
            UploadedImageEvent::Removed { .. } => self.bytes = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn id() -> UploadedImageId {
        UploadedImageId { organization_id: OrganizationId::parse("club").unwrap(), digest: Digest::of(b"x") }
    }

    fn upload() -> UploadedImageCommand {
        UploadedImageCommand::Upload { id: id(), bytes: 1 }
    }

    fn remove() -> UploadedImageCommand {
        UploadedImageCommand::Remove { id: id() }
    }

    fn uploaded() -> UploadedImageEvent {
        let UploadedImageId { organization_id, digest } = id();
        UploadedImageEvent::Uploaded { organization_id, digest, bytes: 1 }
    }

    fn removed() -> UploadedImageEvent {
        let UploadedImageId { organization_id, digest } = id();
        UploadedImageEvent::Removed { organization_id, digest }
    }

    fn check(
        history: Vec<UploadedImageEvent>,
        command: UploadedImageCommand,
        expected: Vec<UploadedImageEvent>,
    ) {
        TestFramework::<UploadedImage>::with(()).given(history).when(command).then_expect_events(expected);
    }

    #[test]
    fn an_image_is_uploaded_once_however_often_it_comes() {
        check(vec![], upload(), vec![uploaded()]);
        check(vec![uploaded()], upload(), vec![]);
    }

    #[test]
    fn an_image_that_was_removed_is_removed_once_and_can_be_uploaded_again() {
        check(vec![], remove(), vec![]);
        check(vec![uploaded()], remove(), vec![removed()]);
        check(vec![uploaded(), removed()], remove(), vec![]);
        check(vec![uploaded(), removed()], upload(), vec![uploaded()]);
    }
}

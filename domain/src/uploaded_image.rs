//! An image that an organisation has uploaded: from then on its digest is the organisation's to name. There is one for each organisation and
//! digest, so that no stream grows with the number of images and no upload waits for another. All in one file: there are one command and one
//! event, and nothing to refuse.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::ids::{Digest, OrganizationId, UploadedImageId};

/// An upload as its event tells it. The default is an image that the organisation has not uploaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UploadedImage {
    bytes: Option<u64>,
}

/// What an integrator asks.
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
}

/// What can have happened. The JSON of this type is a promise: `fixtures/events/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadedImageEvent {
    /// The organisation uploaded the image for the first time.
    #[serde(rename = "ImageUploaded", rename_all = "camelCase")]
    Uploaded {
        /// Who uploaded it.
        organization_id: OrganizationId,
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// An upload refuses nothing; what an image is, is checked when its bytes are stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadedImageError {}

impl UploadedImage {
    /// Decides a command: the events it leads to, none if it changes nothing.
    pub fn decide(&self, command: UploadedImageCommand) -> Vec<UploadedImageEvent> {
        let UploadedImageCommand::Upload { id: UploadedImageId { organization_id, digest }, bytes } = command;
        if self.bytes.is_some() {
            return Vec::new();
        }
        vec![UploadedImageEvent::Uploaded { organization_id, digest, bytes }]
    }
}

impl DomainEvent for UploadedImageEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Uploaded { .. } => "ImageUploaded".to_owned(),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    #[test]
    fn an_image_is_uploaded_once_however_often_it_comes() {
        let organization_id = OrganizationId::parse("club").unwrap();
        let digest = Digest::of(b"x");
        let id = UploadedImageId { organization_id: organization_id.clone(), digest: digest.clone() };
        let upload = || UploadedImageCommand::Upload { id: id.clone(), bytes: 1 };
        let uploaded = UploadedImageEvent::Uploaded { organization_id, digest, bytes: 1 };
        let given = |history| TestFramework::<UploadedImage>::with(()).given(history);
        given(vec![]).when(upload()).then_expect_events(vec![uploaded.clone()]);
        given(vec![uploaded]).when(upload()).then_expect_events(vec![]);
    }
}

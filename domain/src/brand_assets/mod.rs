//! The images that every pass falls back to in the end. There is one set, under the id [`BRAND_ID`]. All in one file: there is one command,
//! one event, and nothing to refuse.

use strum::IntoStaticStr;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use crate::images::Images;

/// The id of the only [`BrandAssets`].
pub const BRAND_ID: &str = "brand";

/// The brand's images as their events tell them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BrandAssets {
    assets: Images,
}

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BrandAssetsCommand {
    /// Give every pass these images to fall back to, beside those that are there.
    PutAssets {
        /// File names and digests of bytes that are stored already.
        assets: Images,
    },
}

/// What can have happened. The JSON of this type is a promise: `fixtures/events/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BrandAssetsEvent {
    /// The images changed.
    #[serde(rename = "BrandAssetsChanged", rename_all = "camelCase")]
    Changed {
        /// All of them.
        assets: Images,
    },
}

/// The brand's images refuse nothing; what an image is, is checked when its bytes are stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrandAssetsError {}

impl BrandAssets {
    /// Decides a command: the events it leads to, none if it changes nothing.
    pub fn decide(&self, command: BrandAssetsCommand) -> Vec<BrandAssetsEvent> {
        let BrandAssetsCommand::PutAssets { assets: more } = command;
        let mut assets = self.assets.clone();
        assets.extend(more);
        if assets == self.assets { Vec::new() } else { vec![BrandAssetsEvent::Changed { assets }] }
    }
}

impl DomainEvent for BrandAssetsEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Changed { .. } => "BrandAssetsChanged".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for BrandAssets {
    const TYPE: &'static str = "BrandAssets";
    type Command = BrandAssetsCommand;
    type Event = BrandAssetsEvent;
    type Error = BrandAssetsError;
    type Services = ();

    async fn handle(
        &mut self,
        command: BrandAssetsCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), BrandAssetsError> {
        for event in self.decide(command) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: BrandAssetsEvent) {
        match event {
            BrandAssetsEvent::Changed { assets } => self.assets = assets,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::ids::Digest;

    fn images(files: &[&str]) -> Images {
        files.iter().map(|file| ((*file).to_owned(), Digest::of(b"x"))).collect()
    }

    fn put(files: &[&str]) -> BrandAssetsCommand {
        BrandAssetsCommand::PutAssets { assets: images(files) }
    }

    fn changed(files: &[&str]) -> BrandAssetsEvent {
        BrandAssetsEvent::Changed { assets: images(files) }
    }

    #[test]
    fn images_are_put_beside_the_others_once() {
        let given = |history| TestFramework::<BrandAssets>::with(()).given(history);
        given(vec![]).when(put(&["icon.png"])).then_expect_events(vec![changed(&["icon.png"])]);
        given(vec![changed(&["icon.png"])])
            .when(put(&["logo.png"]))
            .then_expect_events(vec![changed(&["icon.png", "logo.png"])]);
        given(vec![changed(&["icon.png"])]).when(put(&["icon.png"])).then_expect_events(vec![]);
    }
}

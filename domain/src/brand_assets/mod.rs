//! The images that every pass falls back to in the end. There is one set, under the id [`BRAND_ID`]. All in one file: there are three
//! commands, one event, and nothing to refuse.

use strum::IntoStaticStr;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use crate::ids::JobId;
use crate::images::{self, Images};

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
        /// The job that brings them to the passes that exist already. Without one these stay as they are.
        job: Option<JobId>,
    },
    /// Give every pass an image to fall back to at every scale, in place of all that are there for its slot.
    PutScales {
        /// File names and digests of bytes that are stored already.
        assets: Images,
        /// As above.
        job: Option<JobId>,
    },
    /// Take one of these images away.
    RemoveAsset {
        /// File name, `logo@2x.png`.
        file: String,
        /// As above.
        job: Option<JobId>,
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
        /// The job that brings them to the passes that exist already: named here, so that there is no change without its job.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
}

/// The brand's images refuse nothing; what an image is, is checked when its bytes are stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrandAssetsError {}

impl BrandAssets {
    /// Decides a command: the events it leads to, none if it changes nothing.
    pub fn decide(&self, command: BrandAssetsCommand) -> Vec<BrandAssetsEvent> {
        let mut assets = self.assets.clone();
        let job = match command {
            BrandAssetsCommand::PutAssets { assets: more, job } => {
                assets.extend(more);
                job
            }
            BrandAssetsCommand::PutScales { assets: more, job } => {
                assets = images::in_place_of_slots(&assets, more);
                job
            }
            BrandAssetsCommand::RemoveAsset { file, job } => {
                assets.remove(&file);
                job
            }
        };
        if assets == self.assets { Vec::new() } else { vec![BrandAssetsEvent::Changed { assets, job }] }
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
            BrandAssetsEvent::Changed { assets, .. } => self.assets = assets,
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
        BrandAssetsCommand::PutAssets { assets: images(files), job: None }
    }

    fn changed(files: &[&str]) -> BrandAssetsEvent {
        BrandAssetsEvent::Changed { assets: images(files), job: None }
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

    #[test]
    fn an_image_that_is_taken_away_is_gone_once_and_names_its_job() {
        let job = JobId::parse("job-1").ok();
        let remove = |file: &str| BrandAssetsCommand::RemoveAsset { file: file.to_owned(), job: job.clone() };
        let without = BrandAssetsEvent::Changed { assets: images(&["icon.png"]), job: job.clone() };
        let given = |history| TestFramework::<BrandAssets>::with(()).given(history);
        let both = || changed(&["icon.png", "logo.png"]);
        given(vec![both()]).when(remove("logo.png")).then_expect_events(vec![without.clone()]);
        given(vec![both(), without]).when(remove("logo.png")).then_expect_events(vec![]);
    }
}

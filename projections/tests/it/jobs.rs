//! Jobs and how far they are, and passes that came too late for one.

use std::collections::BTreeSet;

use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsCommand};
use honoken_domain::ids::{Digest, JobId, PassId, UnixSeconds};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::job::{Job, JobCommand, JobCursor, JobFailure, JobWork, KEPT_FAILURES};
use honoken_domain::localizations::Localizations;
use honoken_domain::pass::{Circumstances, Pass, PassCommand, Precondition};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_event_store::{Committed, Position};
use honoken_projections::jobs::{JobRow, JobState};

use crate::world::{
    Engine, OTHER, TICKET, World, assert_same, club, on_both_engines, order, pass_id, pass_type, ticket,
};

fn image(file: &str, bytes: &str) -> Images {
    Images::from([(file.to_owned(), Digest::of(bytes.as_bytes()))])
}

fn job(name: &str) -> JobId {
    JobId::parse(name).unwrap()
}

/// A brand with this icon, and a type without images.
fn icon(bytes: &str) -> DefaultImages {
    DefaultImages { pass_type: Images::new(), brand: image("icon.png", bytes) }
}

impl World {
    async fn changes_brand_icon(&self, bytes: &str, job: Option<JobId>) -> Position {
        let command = BrandAssetsCommand::PutAssets { assets: image("icon.png", bytes), job };
        self.dispatch::<BrandAssets>(BRAND_ID, command, &()).await.unwrap().position
    }

    async fn changes_type_logo(&self, bytes: &str, job: Option<JobId>) -> Position {
        let command = PassTypeCommand::PutAssets { assets: image("logo.png", bytes), job };
        self.dispatch::<PassType>(TICKET, command, &()).await.unwrap().position
    }

    /// Carries out a command that was decided on these images, whatever they are by now.
    async fn asks_under(
        &self,
        id: &PassId,
        command: PassCommand,
        defaults: DefaultImages,
    ) -> Committed<Pass> {
        let circumstances = Circumstances {
            now: self.tick(),
            organization_id: club(),
            default_localizations: Localizations::new(),
            default_images: defaults,
            allows_nfc: false,
            precondition: Precondition::None,
            rules: |_, _| Vec::new(),
        };
        self.dispatch::<Pass>(&id.to_string(), command, &circumstances).await.unwrap()
    }

    async fn notes(&self, id: &JobId, command: JobCommand) {
        self.dispatch::<Job>(id.as_str(), command, &()).await.unwrap();
    }
}

fn place(serial: &str) -> JobCursor {
    JobCursor::from(&ticket(serial))
}

fn failure(serial: &str) -> JobFailure {
    JobFailure {
        pass: Some(ticket(serial)),
        subject: None,
        code: "missing_image".into(),
        detail: "no icon".into(),
    }
}

async fn a_change_begins_its_job_which_says_how_far_it_is(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.changes_type_logo("a", Some(job("first"))).await;
    world.changes_brand_icon("b", Some(job("second"))).await;
    world.changes_brand_icon("c", None).await;
    running.reaches(world.head()).await;
    let model = &running.model;
    let waiting = model.job(&job("first")).await.unwrap().unwrap();
    let work = JobWork::PassTypeAssets { organization_id: club(), pass_type_identifier: pass_type(TICKET) };
    let expected = JobRow {
        id: job("first"),
        work: work.clone(),
        state: JobState::Waiting,
        cursor: None,
        total: None,
        done: 0,
        failed: 0,
        failures: vec![],
        started_at: None,
        finished_at: None,
    };
    assert_eq!(waiting, expected);
    assert_eq!(
        model.next_job(&BTreeSet::new()).await.unwrap(),
        Some(expected.clone()),
        "jobs run in the order of their changes"
    );
    assert_eq!(model.job(&job("nobody")).await.unwrap(), None);

    world.notes(&job("first"), JobCommand::Start { work, total: 3, at: UnixSeconds(50) }).await;
    let step = |from: Option<&str>, to: &str, failures| JobCommand::Advance {
        from: from.map(place),
        to: place(to),
        done: 2,
        failures,
    };
    world.notes(&job("first"), step(None, "B", vec![failure("A")])).await;
    world.notes(&job("first"), step(Some("B"), "D", vec![failure("C"); KEPT_FAILURES])).await;
    running.reaches(world.head()).await;
    let mut failures = vec![failure("A")];
    failures.extend(vec![failure("C"); KEPT_FAILURES - 1]);
    let expected = JobRow {
        state: JobState::Running,
        cursor: Some(place("D")),
        total: Some(4),
        done: 4,
        failed: 1 + KEPT_FAILURES as u64,
        failures,
        started_at: Some(UnixSeconds(50)),
        ..expected
    };
    assert_eq!(model.next_job(&BTreeSet::new()).await.unwrap(), Some(expected.clone()));

    world.notes(&job("first"), JobCommand::Finish { from: Some(place("D")), at: UnixSeconds(60) }).await;
    running.reaches(world.head()).await;
    let finished = JobRow { state: JobState::Finished, finished_at: Some(UnixSeconds(60)), ..expected };
    assert_eq!(model.job(&job("first")).await.unwrap(), Some(finished));
    let next = model.next_job(&BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!((next.id, next.work), (job("second"), JobWork::BrandAssets));
    running.stops().await;
    let live = world.tables().await;
    assert_eq!(live["wallet_job"].len(), 2);
    assert_same(&live, &world.projected_anew().await);
}

async fn the_images_of_passes_are_read_step_by_step(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for id in [ticket("A"), ticket("B"), ticket("C"), pass_id(OTHER, "D")] {
        world.issues(&id, "1").await;
    }
    let logo = Digest::of(b"own");
    world
        .asks(&ticket("B"), PassCommand::PutAsset { file: "logo.png".into(), digest: logo.clone() })
        .await
        .unwrap();
    running.reaches(world.head()).await;
    let model = &running.model;
    let ids = async |of_type: Option<&str>, after: Option<&PassId>| {
        let of_type = of_type.map(pass_type);
        let found = model.shown_parts(of_type.as_ref(), after, 2).await.unwrap();
        found.into_iter().map(|pass| pass.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, None).await, [pass_id(OTHER, "D"), ticket("A")]);
    assert_eq!(ids(None, Some(&ticket("A"))).await, [ticket("B"), ticket("C")]);
    assert_eq!(ids(Some(TICKET), None).await, [ticket("A"), ticket("B")]);
    assert_eq!(ids(Some(OTHER), Some(&pass_id(OTHER, "D"))).await, []);
    assert_eq!(model.count_passes(None).await.unwrap(), 4);
    assert_eq!(model.count_passes(Some(&pass_type(TICKET))).await.unwrap(), 3);
    let own = &model.shown_parts(Some(&pass_type(TICKET)), Some(&ticket("A")), 1).await.unwrap()[0];
    assert_eq!(own.assets, Images::from([("logo.png".to_owned(), logo.clone())]));
    assert_eq!(own.images["logo.png"], logo);
    running.stops().await;
}

/// The race: a command has read the old image, the image changes, the job goes by, and only then the command appends.
async fn a_pass_that_came_too_late_is_noted_until_it_has_caught_up(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let late = async || running.model.outdated_passes(None, 100).await.unwrap();
    world.changes_brand_icon("old", None).await;
    world.asks_under(&ticket("before"), order(&ticket("before"), "1"), icon("old")).await;
    world.asks_under(&ticket("own"), order(&ticket("own"), "1"), icon("old")).await;
    running.reaches(world.head()).await;
    assert_eq!(late().await, []);

    world.changes_brand_icon("new", None).await;
    running.reaches(world.head()).await;
    assert_eq!(late().await, [], "those that were there before are the job's");
    world.asks_under(&ticket("late"), order(&ticket("late"), "1"), icon("old")).await;
    world.asks_under(&ticket("right"), order(&ticket("right"), "1"), icon("new")).await;
    let put = PassCommand::PutAsset { file: "logo.png".into(), digest: Digest::of(b"logo") };
    world.asks_under(&ticket("own"), put, icon("old")).await;
    let put = PassCommand::PutAsset { file: "icon.png".into(), digest: Digest::of(b"hides") };
    world.asks_under(&ticket("before"), put, icon("old")).await;
    running.reaches(world.head()).await;
    assert_eq!(late().await, [ticket("late"), ticket("own")]);
    assert_eq!(running.model.outdated_passes(Some(&ticket("late")), 100).await.unwrap(), [ticket("own")]);

    // What else happens to it makes it no younger.
    world.changes(&ticket("late"), "2").await;
    running.reaches(world.head()).await;
    assert_eq!(late().await, [ticket("late"), ticket("own")]);
    world.asks_under(&ticket("late"), PassCommand::ResolveDefaults, icon("new")).await;
    running.reaches(world.head()).await;
    assert_eq!(late().await, [ticket("own")]);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

/// Everything is applied in one batch, and yet each pass is compared with the images of its own place in the log.
async fn a_pass_is_compared_with_the_images_of_its_place_in_the_log(engine: Engine) {
    let world = World::new(engine).await;
    world.changes_brand_icon("old", None).await;
    world.asks_under(&ticket("before"), order(&ticket("before"), "1"), icon("old")).await;
    world.changes_brand_icon("new", None).await;
    world.asks_under(&ticket("late"), order(&ticket("late"), "1"), icon("old")).await;
    world.asks_under(&ticket("caught-up"), order(&ticket("caught-up"), "1"), icon("old")).await;
    world.asks_under(&ticket("caught-up"), PassCommand::ResolveDefaults, icon("new")).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    assert_eq!(running.model.outdated_passes(None, 100).await.unwrap(), [ticket("late")]);
    running.stops().await;
}

async fn a_pass_that_would_be_left_without_an_image_that_it_needs_is_not_too_late(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.changes_brand_icon("old", None).await;
    let remove = BrandAssetsCommand::RemoveAsset { file: "icon.png".into(), job: None };
    world.dispatch::<BrandAssets>(BRAND_ID, remove, &()).await.unwrap();
    world.asks_under(&ticket("A"), order(&ticket("A"), "1"), icon("old")).await;
    running.reaches(world.head()).await;
    assert_eq!(running.model.outdated_passes(None, 100).await.unwrap(), []);
    assert_eq!(running.model.brand_assets().await.unwrap(), Some(Images::new()));
    running.stops().await;
}

on_both_engines! {
    a_change_begins_its_job_which_says_how_far_it_is,
    the_images_of_passes_are_read_step_by_step,
    a_pass_that_came_too_late_is_noted_until_it_has_caught_up,
    a_pass_is_compared_with_the_images_of_its_place_in_the_log,
    a_pass_that_would_be_left_without_an_image_that_it_needs_is_not_too_late,
}

//! A release beside one whose tables have a newer version, as in an upgrade without a stop.

use honoken_tests::load::{Load, Pair};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Serving};

use super::{Backstage, Cast, assert_each_was_woken};

/// The variable that names the program of the newer release.
const NEWER: &str = "HONOKEN_TEST_NEWER";

/// An integrator at one process, whose phones ask the other, and the other way round.
fn pairs(stage: &Backstage, one: &Serving, other: &Serving) -> Vec<Pair> {
    let pair = |asked: &Serving, beside: &Serving| Pair {
        integrator: asked.integrator(stage.home.ready()),
        devices: beside.devices(),
    };
    vec![pair(one, other), pair(other, one)]
}

/// The version of the tables that a process reads.
async fn version(stage: &Backstage, process: &Serving) -> u64 {
    let wallet = process.operator(stage.home.ready()).wallet_projection().await;
    wallet["version"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a second program: scripts/rolling-upgrade"]
async fn a_newer_release_takes_over_without_a_stop_and_wakes_nobody_for_it() {
    if Engine::leaves_to_postgres() {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to tell a test where the program is"
    )]
    let newer = std::env::var(NEWER).unwrap_or_else(|_| panic!("{NEWER} names no program"));
    let stage = Backstage::new().await;
    let mut old = stage.serve("old").start().await;
    let before = version(&stage, &old).await;
    let cast = Cast::of(&old.as_known(stage.home.ready()), stage.home.storage());
    let (_, fleet) = cast.has_phones("still", 20).await;
    cast.integrator.moves_to("still", "2B").await;
    stage.apns.wait_for(20).await;
    cast.settles().await;

    // It comes, and fills its tables while both answer.
    let new = stage.serve("new").with_program(&newer).start().await;
    let load = Load::start(1, pairs(&stage, &old, &new)).await;
    load.is_served(100).await;
    eventually(PATIENCE, "the newer release reads its own tables", async || {
        (version(&stage, &new).await == before + 1).then_some(())
    })
    .await;
    assert_eq!(version(&stage, &old).await, before, "and the older one its own");
    load.is_served(200).await;
    load.ends().await.assert_kept(&stage.home.storage(), &new.integrator(stage.home.ready())).await;

    // The older one goes, and comes once more: a step back.
    assert_eq!(old.terminate().await.code(), Some(0));
    let load = Load::start(2, pairs(&stage, &new, &new)).await;
    load.is_served(100).await;
    load.is_projected_again().await;
    load.ends().await.assert_kept(&stage.home.storage(), &new.integrator(stage.home.ready())).await;
    let old = stage.serve("old again").start().await;
    eventually(PATIENCE, "the older release reads its own tables again", async || {
        (version(&stage, &old).await == before).then_some(())
    })
    .await;
    let load = Load::start(3, pairs(&stage, &old, &new)).await;
    load.is_served(100).await;
    load.ends().await.assert_kept(&stage.home.storage(), &old.integrator(stage.home.ready())).await;

    let cast = Cast::of(&old.as_known(stage.home.ready()), stage.home.storage());
    cast.settles().await;
    assert_each_was_woken(&stage.apns, &fleet, 1);
}

//! While an event is parked, no phone is given a tag that would hide it later.

use std::collections::BTreeSet;

use honoken_domain::ids::UnixSeconds;
use honoken_event_store::Position;
use honoken_projections::updated_serials::Since;

use crate::world::{Engine, Running, TICKET, World, newer_release, on_both_engines, ticket};

/// The tags that a phone can be given now, whatever it holds.
async fn tags(running: &Running, held: &BTreeSet<u64>) -> BTreeSet<u64> {
    let mut given = BTreeSet::new();
    let positions = held.iter().map(|&tag| Since::Position(Position(tag)));
    for since in [Since::Nothing, Since::Moment(UnixSeconds(0))].into_iter().chain(positions) {
        given.extend(running.lists("phone", TICKET, since).await.map(|(_, up_to)| up_to));
    }
    given
}

async fn a_phone_with_any_tag_it_was_given_is_told_about_an_event_that_was_parked(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for serial in ["A", "B"] {
        world.issues(&ticket(serial), "1").await;
        world.registers("phone", &ticket(serial), "aa").await;
    }
    running.reaches(world.head()).await;
    let mut held = tags(&running, &BTreeSet::new()).await;
    assert!(!held.is_empty());

    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    for seat in ["2", "3", "4"] {
        let changed = world.changes(&ticket("B"), seat).await;
        running.reaches(changed.position).await;
        let given = tags(&running, &held).await;
        assert!(given.iter().all(|tag| *tag < broken.0), "{given:?} go beyond {broken}");
        held.extend(given);
        let (serials, _) = running
            .lists("phone", TICKET, Since::Position(Position(broken.0 - 1)))
            .await
            .expect("what changed behind the parked event is told all the same");
        assert_eq!(serials, ["B"]);
    }
    running.stops().await;

    let running = world.projects_as(newer_release()).await;
    let behind = world.changes(&ticket("B"), "5").await;
    running.reaches(behind.position).await;
    held.extend(tags(&running, &held).await);
    running.projector.retry(broken).await.unwrap();
    for tag in held {
        let (serials, up_to) = running.lists("phone", TICKET, Since::Position(Position(tag))).await.unwrap();
        assert!(
            serials.contains(&"A".to_owned()),
            "a phone with the tag {tag} is told only about {serials:?}"
        );
        assert_eq!(up_to, behind.position.0, "nothing holds the tag back any more");
    }
    running.stops().await;
}

async fn a_skipped_event_no_longer_holds_the_tags_back(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("B"), "1").await;
    world.registers("phone", &ticket("B"), "aa").await;
    let broken =
        world.records("Loyalty", "points", ("Earned", "1"), &serde_json::json!({ "Earned": {} })).await;
    let changed = world.changes(&ticket("B"), "2").await;
    running.reaches(changed.position).await;
    let up_to = async || running.lists("phone", TICKET, Since::Nothing).await.unwrap().1;
    assert_eq!(up_to().await, broken.0 - 1);
    running.projector.skip(broken, "no such thing".into()).await.unwrap();
    assert_eq!(up_to().await, changed.position.0);
    running.stops().await;
}

on_both_engines! {
    a_phone_with_any_tag_it_was_given_is_told_about_an_event_that_was_parked,
    a_skipped_event_no_longer_holds_the_tags_back,
}

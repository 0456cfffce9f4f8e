//! What is said of the log, and when.

use honoken_domain::pass::PassCommand;
use honoken_event_store::Position;
use honoken_projections::Progress;
use honoken_pushers::source::{OutgoingMessage, Source};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{EPOCH, Engine, World, newer_release, on_both_engines, ticket};

on_both_engines!(
    every_change_is_said_and_issuing_is_none,
    what_readers_do_not_see_is_not_said,
    a_pass_that_stands_still_says_nothing_and_is_reported,
    a_pass_is_said_as_it_is_now,
);

async fn every_change_is_said_and_issuing_is_none(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let changed = world.changes("A", "1").await;
    let unchanged = world.changes("A", "1").await;
    assert_eq!(unchanged.events, []);
    let voided = world.asks("B", PassCommand::Void).await;
    let urgent =
        world.records("A", "1", "content", &json!({ "requestId": "r-urgent", "urgent": "true" })).await;

    let page = world.source().read_after(Position(0), 1000).await.unwrap();
    assert_eq!(page.up_to, world.head());
    assert!(page.standing_still.is_empty());
    let [first, second, third] = &page.messages[..] else { panic!("{:?}", page.messages) };
    assert_eq!((first.pass(), first.position(), first.current), (ticket("A"), changed.position, false));
    assert_eq!((second.pass(), second.position(), second.current), (ticket("B"), voided.position, true));
    assert_eq!((third.position(), third.current), (urgent, true));
    assert_eq!(first.message.etag, *changed.events[0].etag());
    assert_eq!(first.message.organisation_id.as_str(), "club");
    assert_eq!(first.message.update_tag, format!("{EPOCH}-{}", changed.position));
    assert_eq!(first.message.updated_at, "2023-11-14T22:13:22Z");
    assert!(first.request_id.as_deref().unwrap().starts_with("r-17000000"));
    assert_eq!(
        (third.request_id.as_deref(), third.message.urgent, first.message.urgent),
        (Some("r-urgent"), true, false)
    );

    // The JSON is a promise, and so is the id.
    let json = serde_json::to_value(&second.message).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 9, "{keys:?}");
    assert_eq!(json["eventId"], uuid_of("00c0ffee:Pass:pass.com.example.ticket/B:2"));
    let again = world.source().read_after(Position(0), 1000).await.unwrap();
    assert_eq!(again, page);
    let rest = world.source().read_after(changed.position, 1).await.unwrap();
    assert_eq!((rest.messages.len(), rest.up_to), (1, voided.position));
}

fn uuid_of(name: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

/// The log and the rows are further than the projection has told: whoever hears of a change asks for it at once, maybe another process.
async fn what_readers_do_not_see_is_not_said(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let first = world.changes("A", "1").await.position;
    let second = world.changes("A", "2").await.position;
    let (tell, progress) = watch::channel(Progress::default());
    let mut source = Source::new(world.log.clone(), newer_release(), world.model.clone(), progress);
    let page = source.read_after(Position(0), 1000).await.unwrap();
    assert_eq!((page.messages.len(), page.up_to), (0, Position(0)));

    tell.send_modify(|progress| progress.position = first);
    source.wait_beyond(Position(0)).await;
    let page = source.read_after(Position(0), 1000).await.unwrap();
    assert_eq!((page.messages.len(), page.up_to), (1, first));
    tell.send_modify(|progress| progress.position = second);
    source.wait_beyond(first).await;
    let page = source.read_after(first, 1000).await.unwrap();
    assert_eq!((page.messages.len(), page.up_to), (1, second));
}

async fn a_pass_that_stands_still_says_nothing_and_is_reported(engine: Engine) {
    let mut world = World::new(engine, &["A", "B"]).await;
    let before = world.changes("A", "1").await.position;
    let parked = world.changes_in_the_old_way("A").await;
    let waiting = world.changes_unseen("A", "2").await.position;
    let other = world.changes("B", "1").await.position;

    let page = world.source().read_after(Position(0), 1000).await.unwrap();
    let said: Vec<_> = page.messages.iter().map(OutgoingMessage::position).collect();
    assert_eq!(said, [before, other]);
    assert_eq!(page.standing_still.into_iter().collect::<Vec<_>>(), [(ticket("A"), waiting)]);
    assert_eq!(world.source().parked().into_iter().collect::<Vec<_>>(), [ticket("A")]);

    world.is_upgraded_and_retries(parked).await;
    let page = world.source_as(newer_release()).read_after(before, 1000).await.unwrap();
    let said: Vec<_> = page.messages.iter().map(OutgoingMessage::position).collect();
    assert_eq!(said, [parked, waiting, other]);
    assert!(page.standing_still.is_empty());
    // A process of the older release does not know what the parked event says, and the later one says more.
    let page = world.source().read_after(before, 1000).await.unwrap();
    let said: Vec<_> = page.messages.iter().map(OutgoingMessage::position).collect();
    assert_eq!(said, [waiting, other]);
}

async fn a_pass_is_said_as_it_is_now(engine: Engine) {
    let world = World::new(engine, &["A", "B", "C"]).await;
    world.changes("A", "1").await;
    let now = world.changes("A", "2").await;
    let passes = [ticket("A"), ticket("B"), ticket("nobody's")];
    let states = world.source().current_states(&passes).await.unwrap();
    let [state] = &states[..] else { panic!("{states:?}") };
    let page = world.source().read_after(Position(0), 1000).await.unwrap();
    assert_eq!(Some(state), page.messages.last());
    assert_eq!(state.position(), now.position);
}

//! An event that cannot be applied holds up its own aggregate, and nothing else.

use std::sync::Arc;

use honoken_domain::brand_assets::BRAND_ID;
use honoken_domain::ids::Digest;
use honoken_domain::pass::Pass;
use honoken_event_store::{EventLog, Position};
use honoken_projections::passes::PassDocument;
use honoken_projections::{OperationError, WALLET};
use serde_json::json;

use crate::filling::rebuilds;
use crate::world::{
    Engine, LIMIT, NEVER, Running, TICKET, World, assert_same, content, newer_release, on_both_engines,
    ticket,
};

async fn document(running: &Running, serial: &str) -> PassDocument {
    running.model.pass_document(&ticket(serial)).await.unwrap().unwrap()
}

async fn later_events_of_the_same_pass_wait_and_others_go_on(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let issued = world.issues(&ticket("A"), "1").await;
    world.issues(&ticket("B"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let behind = world.changes(&ticket("A"), "3").await;
    let other = world.changes(&ticket("B"), "3").await;

    assert!(running.projector.shows(&other, LIMIT).await);
    assert!(!running.projector.shows(&behind, LIMIT).await, "it waits");
    assert!(!running.projector.shows(&issued, LIMIT).await, "the pass stands still");
    assert_eq!(document(&running, "A").await.content, content("1"));
    assert_eq!(document(&running, "A").await.update_tag, issued.position);
    assert_eq!(document(&running, "B").await.content, content("3"));

    let parked = running.model.parked_events(WALLET, 10).await.unwrap();
    assert_eq!(running.model.parked_count(WALLET).await.unwrap(), 2);
    assert_eq!(running.model.parked_events(WALLET, 1).await.unwrap(), parked[..1]);
    let [first, second] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!((first.position, first.waiting), (broken, false));
    assert_eq!((second.position, second.waiting), (behind.position, true));
    assert_eq!(first.aggregate_type, "Pass");
    assert_eq!(first.aggregate_id, ticket("A").to_string());
    assert_eq!((first.sequence, first.event_type.as_str()), (2, "PassContentChanged"));
    assert!(first.error.contains("missing field `content`"), "{}", first.error);
    running.stops().await;
}

async fn a_retry_while_the_event_is_still_broken_says_so_and_changes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    let behind = world.changes(&ticket("A"), "3").await;
    running.reaches(behind.position).await;
    let fault = running.projector.retry(broken).await.unwrap_err();
    assert!(
        matches!(&fault, OperationError::StillUnappliable(reason) if reason.contains("missing field")),
        "{fault}"
    );
    assert_eq!(running.parked().await, [(broken.0, false), (behind.position.0, true)]);
    assert_eq!(document(&running, "A").await.content, content("1"));
    running.stops().await;
}

async fn only_an_event_that_holds_up_its_aggregate_can_be_retried_or_skipped(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let issued = world.issues(&ticket("A"), "1").await;
    world.changes_in_the_old_way(&ticket("A"), "2").await;
    let behind = world.changes(&ticket("A"), "3").await;
    running.reaches(behind.position).await;
    for position in [Position(0), issued.position, behind.position, Position(999), Position(u64::MAX)] {
        let retried = running.projector.retry(position).await;
        assert!(matches!(retried, Err(OperationError::NotParked)), "{position}: {retried:?}");
        let skipped = running.projector.skip(position, "no".into()).await;
        assert!(matches!(skipped, Err(OperationError::NotParked)), "{position}: {skipped:?}");
    }
    assert_eq!(running.parked().await.len(), 2);
    running.stops().await;
}

async fn an_event_that_is_skipped_is_left_out_and_the_rest_is_applied_in_order(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    world.changes(&ticket("A"), "3").await;
    let last = world.changes(&ticket("A"), "4").await;
    running.reaches(last.position).await;
    running.projector.skip(broken, "the customer called".into()).await.unwrap();

    assert!(running.projector.shows(&last, LIMIT).await);
    let document = document(&running, "A").await;
    assert_eq!((document.content, document.update_tag), (content("4"), last.position));
    assert_eq!(Some(&document.row.etag), last.aggregate.etag());
    assert_eq!(running.parked().await, []);
    let skipped = "select position || ' ' || reason from skipped_event where error like '%missing field%'";
    assert_eq!(world.column(skipped).await, [format!("{broken} the customer called")]);
    running.stops().await;
}

async fn a_skip_succeeds_even_if_the_next_event_cannot_be_applied_either(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    let first = world.changes_in_the_old_way(&ticket("A"), "2").await;
    world.changes(&ticket("A"), "3").await;
    let second = world.changes_in_the_old_way(&ticket("A"), "4").await;
    let last = world.changes(&ticket("A"), "5").await;
    running.reaches(last.position).await;

    running.projector.skip(first, "one".into()).await.expect("the event asked for was skipped");
    assert_eq!(document(&running, "A").await.content, content("3"));
    assert_eq!(running.parked().await, [(second.0, false), (last.position.0, true)]);
    assert!(!running.projector.shows(&last, LIMIT).await);
    running.projector.skip(second, "two".into()).await.unwrap();
    assert_eq!(document(&running, "A").await.content, content("5"));
    assert_eq!(running.parked().await, []);
    running.stops().await;
}

async fn parked_events_survive_a_restart_and_a_newer_release_applies_them(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    let broken = world.changes_in_the_old_way(&ticket("A"), "2").await;
    running.reaches(broken).await;
    running.stops().await;

    let behind = world.changes(&ticket("A"), "3").await;
    let running = world.projects_as(newer_release()).await;
    assert!(
        !running.projector.shows(&behind, LIMIT).await,
        "it waits behind what was parked before the restart"
    );
    assert_eq!(running.parked().await, [(broken.0, false), (behind.position.0, true)]);
    running.projector.retry(broken).await.unwrap();
    assert!(running.projector.shows(&behind, LIMIT).await);
    assert_eq!(running.parked().await, []);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew_as(newer_release()).await);
}

async fn what_cannot_be_applied_of_any_aggregate_is_parked(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let nonsense = json!({ "Nonsense": {} });
    let mut expected = Vec::new();
    for (aggregate_type, aggregate_id) in [
        ("Pass", "pass.com.example.ticket/Z"),
        ("Pass", "no slash"),
        ("Registration", "pass.com.example.ticket/phone"),
        ("Registration", "pass.com.example.ticket/"),
        ("PassType", TICKET),
        ("PassType", "not a pass type"),
        ("Organization", "club"),
        ("Organization", "not an organisation"),
        ("BrandAssets", BRAND_ID),
        ("Loyalty", "points"),
    ] {
        let position = world.records(aggregate_type, aggregate_id, ("Nonsense", "1"), &nonsense).await;
        expected.push((position.0, false));
    }
    let fine = world.issues(&ticket("A"), "1").await;
    assert!(running.projector.shows(&fine, LIMIT).await);
    assert_eq!(running.parked().await, expected);
    let errors = world.column("select error from parked_event where aggregate_type = 'Loyalty'").await;
    assert_eq!(errors, ["this release does not know the aggregate `Loyalty`"]);
    running.stops().await;
}

async fn broken_events_in_the_middle_of_a_large_batch_cost_only_their_own_passes(engine: Engine) {
    let world = Arc::new(World::new(engine).await);
    issues_many(&world, 0..300).await;
    world.issues(&ticket("broken-1"), "1").await;
    world.issues(&ticket("broken-2"), "1").await;
    let first = world.changes_in_the_old_way(&ticket("broken-1"), "2").await;
    let behind = world.changes(&ticket("broken-1"), "3").await;
    let second = world.changes_in_the_old_way(&ticket("broken-2"), "2").await;
    issues_many(&world, 300..900).await;

    let running = world.projects().await;
    running.reaches(world.head()).await;
    assert_eq!(running.parked().await, [(first.0, false), (behind.position.0, true), (second.0, false)]);
    assert_eq!(world.column("select cast(count(*) as text) from wallet_pass").await, ["902"]);
    running.stops().await;

    let running = world.projects_as(newer_release()).await;
    running.projector.retry(second).await.unwrap();
    running.projector.retry(first).await.unwrap();
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew_as(newer_release()).await);
}

async fn issues_many(world: &Arc<World>, numbers: std::ops::Range<u32>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in numbers {
        let world = world.clone();
        tasks.spawn(async move { world.issues(&ticket(&number.to_string()), "1").await.position });
    }
    tasks.join_all().await;
}

/// Postgres keeps no U+0000 in what is not escaped. No request brings one in, but nothing that is in the log may stop the projection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_server_refuses_is_parked_by_projector_and_rebuild() {
    let world = World::new(Engine::Postgres).await;
    for serial in ["A", "B", "C"] {
        world.issues(&ticket(serial), "1").await;
    }
    let assets = json!({ "PassHiddenAssetsChanged": {
        "assets": { "\0.png": Digest::of(b"1") }, "etag": Digest::of(b"2"), "updatedAt": 1_800_000_000,
    }});
    let in_assets =
        world.records("Pass", &ticket("A").to_string(), ("PassHiddenAssetsChanged", "1"), &assets).await;
    let name = json!({ "Nonsense\0": {} });
    let in_reason = world.records("Pass", &ticket("B").to_string(), ("Nonsense", "1"), &name).await;
    let last = world.changes(&ticket("C"), "2").await;
    let running = world.projects().await;
    assert!(running.projector.shows(&last, LIMIT).await);
    assert_eq!(running.parked().await, [(in_assets.0, false), (in_reason.0, false)]);
    running.stops().await;

    let before = world.all_tables().await;
    let model = world.stores.location().read_model().await;
    rebuilds(&model, &world.log, NEVER).await;
    model.close().await;
    assert_same(&world.all_tables().await, &before);
}

/// A row that a disk or a hand has spoilt is not even JSON. Postgres's columns take nothing else.
#[tokio::test]
async fn a_row_of_the_log_that_is_not_json_is_parked_like_any_other() {
    let world = World::new(Engine::Sqlite).await;
    for serial in ["A", "B", "C"] {
        world.issues(&ticket(serial), "1").await;
    }
    let spoilt = world.changes(&ticket("B"), "2").await;
    let last = world.changes(&ticket("C"), "2").await;
    let mut log = world.log_sql().await;
    let mut spoil = async |column: &str, text: &str| {
        log.execute(&format!("update events set {column} = '{text}' where position = {}", spoilt.position))
            .await;
    };
    let payload = world.log.load::<Pass>(&ticket("B").to_string(), 1).await.unwrap()[0].payload.to_string();
    spoil("payload", "{\"PassContentChanged\": {\"content\": {\"seat\": \"secret").await;

    let running = world.projects().await;
    running.reaches(last.position).await;
    assert_eq!(document(&running, "C").await.content, content("2"));
    assert_eq!(running.parked().await, [(spoilt.position.0, false)]);
    let parked = running.model.parked_events(WALLET, 1).await.unwrap().remove(0);
    assert_eq!((parked.aggregate_id, parked.sequence), (ticket("B").to_string(), 2));
    assert!(!parked.error.contains("secret"), "{}", parked.error);
    let retried = running.projector.retry(spoilt.position).await;
    assert!(matches!(retried, Err(OperationError::StillUnappliable(_))), "{retried:?}");

    spoil("payload", &payload).await;
    spoil("metadata", "").await;
    running.projector.retry(spoilt.position).await.unwrap_err();
    spoil("metadata", "{}").await;
    running.projector.retry(spoilt.position).await.unwrap();
    assert_eq!(document(&running, "B").await.content, content("2"));
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

on_both_engines! {
    later_events_of_the_same_pass_wait_and_others_go_on,
    a_retry_while_the_event_is_still_broken_says_so_and_changes_nothing,
    only_an_event_that_holds_up_its_aggregate_can_be_retried_or_skipped,
    an_event_that_is_skipped_is_left_out_and_the_rest_is_applied_in_order,
    a_skip_succeeds_even_if_the_next_event_cannot_be_applied_either,
    parked_events_survive_a_restart_and_a_newer_release_applies_them,
    what_cannot_be_applied_of_any_aggregate_is_parked,
    broken_events_in_the_middle_of_a_large_batch_cost_only_their_own_passes,
}

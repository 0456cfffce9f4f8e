//! From the log to the stream.

use honoken_event_store::Position;
use honoken_pushers::ledger::{Part, feeds};
use honoken_pushers::nats::Nats;
use honoken_test_nats::Server;

use crate::world::{
    Engine, Relaying, World, connect, eventually, hears, is_silent, jetstream, on_both_engines,
};

on_both_engines!(
    every_change_is_published_with_its_id_and_its_request,
    a_crash_between_publishing_and_noting_it_publishes_nothing_twice,
    changes_wait_while_the_broker_is_away,
    a_broker_that_comes_later_gets_everything,
    nothing_is_published_while_an_operator_has_paused,
);

async fn messages(nats: &Nats) -> u64 {
    nats.stream().await.unwrap().cached_info().state.messages
}

async fn every_change_is_published_with_its_id_and_its_request(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let server = Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let changed = world.changes("A", "1").await;
    relaying.reaches(changed.position).await;
    assert_eq!(ledger.fed(feeds::RELAY).await.unwrap(), Some(world.head()));
    let figures = *relaying.figures.borrow();
    assert_eq!((figures.leads, figures.published, figures.swept), (true, 1, 0));

    let stream = nats.stream().await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);
    let message = stream.get_raw_message(1).await.unwrap();
    let page = world.source().read_after(Position(0), 1000).await.unwrap();
    let said = &page.messages[0];
    let header = |name: &str| message.headers.get(name).map(async_nats::HeaderValue::as_str);
    assert_eq!(message.subject.as_str(), "honoken.pass.content_changed");
    assert_eq!(header("Nats-Msg-Id").unwrap(), said.message.event_id.to_string());
    assert_eq!(header("Honoken-Request-Id"), said.request_id.as_deref());
    let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(json, serde_json::to_value(&said.message).unwrap());
    assert_eq!(json["position"], changed.position.0);

    // It cannot grow without bound.
    let config = &stream.cached_info().config;
    assert!(config.max_bytes > 0 && !config.max_age.is_zero());
    relaying.stops().await;
}

/// What is published cannot be noted; then the process is killed.
async fn a_crash_between_publishing_and_noting_it_publishes_nothing_twice(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let server = Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let before = world.changes("A", "1").await.position;
    relaying.reaches(before).await;
    let mut feed = jetstream(&nats);
    hears(&mut feed, &ledger, 1).await;
    eventually("a sweep", async || ledger.fed("sweep").await.unwrap() == Some(before)).await;

    let mut lock = world.sql().await;
    let (stalls, goes_on) = match engine {
        Engine::Sqlite => ("begin immediate", "rollback"),
        Engine::Postgres => (
            "create function waits() returns trigger language plpgsql as $$
             begin
                 perform pg_advisory_xact_lock(7);
                 return new;
             end $$;
             create trigger waits before update of position on feed_checkpoint for each row execute function waits();
             select pg_advisory_lock(7)",
            "select pg_advisory_unlock(7)",
        ),
    };
    lock.execute(stalls).await;
    let after = world.changes("B", "1").await.position;
    eventually("the message", async || messages(&nats).await == 2).await;
    relaying.dies().await;
    assert_eq!(ledger.fed(feeds::RELAY).await.unwrap(), Some(before));
    lock.execute(goes_on).await;

    let relaying = Relaying::start(world.relay(&ledger, &nats));
    relaying.reaches(after).await;
    assert_eq!(relaying.figures.borrow().published, 1, "it was published again");
    assert_eq!(messages(&nats).await, 2, "and the broker had it already");
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("B".to_owned(), after.0)]);
    is_silent(&mut feed).await;
    relaying.stops().await;
}

/// Killed and restarted with its store, while somebody listens.
async fn changes_wait_while_the_broker_is_away(engine: Engine) {
    let world = World::new(engine, &["A", "B"]).await;
    let mut server = Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let mut feed = jetstream(&nats);
    let mut expected = Vec::new();
    let mut heard = Vec::new();
    for round in 0..3 {
        expected.push(("A".to_owned(), world.changes("A", &format!("there {round}")).await.position.0));
        heard.extend(hears(&mut feed, &ledger, 1).await);
        server.kill().await;
        eventually("the loss", async || !nats.is_connected()).await;
        for seat in 0..10 {
            let position = world.changes("B", &format!("away {round} {seat}")).await.position;
            expected.push(("B".to_owned(), position.0));
        }
        server.start_again().await;
        // While the feed waits for the connection to come back.
        while heard.last() != expected.last() {
            heard.extend(hears(&mut feed, &ledger, 1).await);
        }
    }
    // What was acknowledged just before the end may come again; nothing is lost.
    heard.sort_by_key(|(_, position)| *position);
    heard.dedup();
    assert_eq!(heard, expected);
    relaying.stops().await;
}

async fn a_broker_that_comes_later_gets_everything(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let mut server = Server::start().await;
    server.stop().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let mut feed = jetstream(&nats);
    let position = world.changes("A", "1").await.position.0;
    is_silent(&mut feed).await;
    server.start_again().await;
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), position)]);
    relaying.stops().await;
}

async fn nothing_is_published_while_an_operator_has_paused(engine: Engine) {
    let world = World::new(engine, &["A"]).await;
    let server = Server::start().await;
    let nats = connect(&server).await;
    let ledger = world.ledger().await;
    let relaying = Relaying::start(world.relay(&ledger, &nats));
    let mut feed = jetstream(&nats);
    world.changes("A", "1").await;
    hears(&mut feed, &ledger, 1).await;
    ledger.pause(Part::Relay, "somebody", 1).await.unwrap();
    let mut figures = relaying.figures.clone();
    crate::world::soon("the pause", figures.wait_for(|figures| figures.paused)).await.unwrap();
    let position = world.changes("A", "2").await.position.0;
    is_silent(&mut feed).await;
    ledger.resume(Part::Relay, 2).await.unwrap();
    assert_eq!(hears(&mut feed, &ledger, 1).await, [("A".to_owned(), position)]);
    relaying.stops().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_relays_one_works_and_the_other_takes_over() {
    let world = World::new(Engine::Postgres, &["A"]).await;
    let server = Server::start().await;
    let (of_one, of_other) = (connect(&server).await, connect(&server).await);
    let (one, other) = (world.ledger_of("one").await, world.ledger_of("other").await);
    let leading = Relaying::start(world.relay(&one, &of_one));
    let mut figures = leading.figures.clone();
    crate::world::soon("the lead", figures.wait_for(|figures| figures.leads)).await.unwrap();
    let standing_by = Relaying::start(world.relay(&other, &of_other));
    let mut feed = jetstream(&of_other);
    for seat in 0..20 {
        world.changes("A", &seat.to_string()).await;
    }
    hears(&mut feed, &other, 20).await;
    assert!(!standing_by.figures.borrow().leads);
    leading.dies().await;
    one.close().await;
    let position = world.changes("A", "over").await.position.0;
    assert_eq!(hears(&mut feed, &other, 1).await, [("A".to_owned(), position)]);
    standing_by.reaches(world.head()).await;
    let figures = *standing_by.figures.borrow();
    assert_eq!((figures.leads, figures.published), (true, 1));
    is_silent(&mut feed).await;

    // In order, the lead is handed on at once; and one that cannot reach the broker leaves it to another.
    let third = Relaying::start(world.relay(&other, &of_one));
    standing_by.stops().await;
    let mut figures = third.figures.clone();
    crate::world::soon("the lead", figures.wait_for(|figures| figures.leads)).await.unwrap();
    third.stops().await;
}

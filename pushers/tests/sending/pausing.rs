//! An operator stops the pusher, and lets it go on.

use honoken_pushers::ledger::Part;

use crate::fake_apns::FakeApns;
use crate::world::{Engine, Setup, World, eventually, on_both_engines};

on_both_engines![nothing_is_sent_while_it_is_paused_and_nothing_is_lost];

async fn nothing_is_sent_while_it_is_paused_and_nothing_is_lost(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 3).await;
    // As another process does it.
    let elsewhere = world.opens_ledger().await;
    assert!(elsewhere.pause(Part::Pusher, "operator", 5).await.unwrap());
    assert!(!elsewhere.pause(Part::Pusher, "another", 6).await.unwrap(), "it was paused already");
    let paused = world.ledger.paused(Part::Pusher).await.unwrap().unwrap();
    assert_eq!((paused.at_ms, paused.by.as_str()), (5, "operator"));
    assert_eq!(world.ledger.paused(Part::Relay).await.unwrap(), None);

    let process = Setup::of(&world, &apns).starts(&world);
    process.post.says(&world.changes(&pass, "1").await);
    // An operator's push goes into the ledger and no further.
    let pushed =
        world.ledger.push_without_change(&world.read_model, &pass, "push", world.now()).await.unwrap();
    assert_eq!(pushed, Some(3));
    world.ends_with(&[("pending", 3)]).await;
    assert_eq!(apns.requests(), 0);

    assert!(elsewhere.resume(Part::Pusher, world.now()).await.unwrap());
    assert!(!elsewhere.resume(Part::Pusher, world.now()).await.unwrap(), "it was not paused any more");
    world.ends_with(&[("sent", 6)]).await;

    // While it works, and noticed within a second.
    elsewhere.pause(Part::Pusher, "operator", 5).await.unwrap();
    let process_sees = async || world.ledger.paused(Part::Pusher).await.unwrap().is_some();
    eventually("it is paused", process_sees).await;
    elsewhere.resume(Part::Pusher, world.now()).await.unwrap();
    process.post.says(&world.changes(&pass, "2").await);
    world.ends_with(&[("sent", 9)]).await;
    process.stops().await;
    elsewhere.close().await;
}

//! The first change is pushed at once; what comes inside the window is one push at its end.

use std::time::Duration;

use crate::fake_apns::{Answer, FakeApns, accepted};
use crate::world::{Engine, Process, Setup, World, eventually, fans_out, on_both_engines};

on_both_engines![
    changes_inside_the_window_are_one_push_at_its_end,
    phones_that_are_pushed_to_together_have_their_windows,
    changes_of_two_passes_of_one_phone_are_one_push,
    an_urgent_change_does_not_wait,
    an_urgent_change_while_a_push_is_under_way_does_not_wait,
    a_pass_that_changes_all_the_time_is_pushed_at_every_turn,
    what_comes_while_a_push_is_under_way_is_not_lost,
    without_a_window_every_state_is_a_push,
    of_several_states_that_wait_the_newest_is_sent,
];

const WINDOW: Duration = Duration::from_secs(30);

fn starts(world: &World, apns: &std::sync::Arc<FakeApns>) -> Process {
    let mut setup = Setup::of(world, apns);
    setup.settings.window = WINDOW;
    setup.starts(world)
}

async fn changes_inside_the_window_are_one_push_at_its_end(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = starts(&world, &apns);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 1)]).await;
    for seat in ["2", "3", "4"] {
        process.post.says(&world.changes(&pass, seat).await);
    }
    process.post.is_done(4).await;
    world.time.passes(WINDOW.saturating_sub(Duration::from_millis(1)));
    // Another phone is pushed to meanwhile, so that the sender has looked.
    let other = world.issues("b").await;
    world.registers("another", &other, "another").await;
    process.post.says(&world.changes(&other, "1").await);
    apns.gets(2).await;
    eventually("it is noted", async || world.states().await.get("sent") == Some(&2)).await;
    assert_eq!(apns.by_token()["token-0"], 1, "the window is not over");
    world.time.passes(Duration::from_millis(1));
    // Those that were superseded when they were sent out never came into the ledger.
    eventually("the end of the window", async || !world.states().await.contains_key("pending")).await;
    assert_eq!(apns.by_token()["token-0"], 2);
    assert_eq!(world.last(&pass).await[0].state.as_str(), "sent");
    process.stops().await;
}

async fn phones_that_are_pushed_to_together_have_their_windows(engine: Engine) {
    const PHONES: usize = 40;
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, PHONES).await;
    let process = starts(&world, &apns);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 40)]).await;
    process.post.says(&world.changes(&pass, "2").await);
    process.post.is_done(2).await;
    let in_window = format!("select 'n', count(*) from wake where due_at = {}", world.now() + 30_000);
    assert_eq!(world.asks_ledger(&in_window).await["n"], 40, "due at the end of their windows");
    assert_eq!(apns.requests(), PHONES);
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 80)]).await;
    process.stops().await;
    assert!(apns.by_token().values().all(|pushes| *pushes == 2));
}

async fn changes_of_two_passes_of_one_phone_are_one_push(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let (a, b) = (world.issues("a").await, world.issues("b").await);
    world.registers_many(&a, 1).await;
    world.registers_many(&b, 1).await;
    let messages = [world.changes(&a, "1").await, world.changes(&b, "1").await];
    fans_out(&world, &messages).await;
    let process = starts(&world, &apns);
    world.ends_with(&[("sent", 2)]).await;
    assert_eq!(apns.requests(), 1);
    assert_eq!(world.last(&a).await[0].apns_id, world.last(&b).await[0].apns_id);
    process.stops().await;
}

async fn an_urgent_change_does_not_wait(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = starts(&world, &apns);
    process.post.says(&world.changes(&pass, "1").await);
    world.ends_with(&[("sent", 1)]).await;
    let mut urgent = world.changes(&pass, "2").await;
    urgent.urgent = true;
    process.post.says(&urgent);
    world.ends_with(&[("sent", 2)]).await;
    assert!(world.last(&pass).await[0].urgent);
    process.stops().await;
}

async fn an_urgent_change_while_a_push_is_under_way_does_not_wait(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = starts(&world, &apns);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    let mut urgent = world.changes(&pass, "2").await;
    urgent.urgent = true;
    process.post.says(&urgent);
    process.post.is_done(2).await;
    apns.lets_go();
    world.ends_with(&[("sent", 2)]).await;
    assert_eq!(apns.requests(), 2);
    process.stops().await;
}

async fn a_pass_that_changes_all_the_time_is_pushed_at_every_turn(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = starts(&world, &apns);
    for turn in 1..=3 {
        for change in 0..3 {
            // Each is fanned out before the next, so that none is superseded there.
            process.post.says(&world.changes(&pass, &format!("{turn}.{change}")).await);
            process.post.is_done((turn - 1) * 3 + change + 1).await;
            if apns.requests() == 0 {
                world.ends_with(&[("sent", 1)]).await;
            }
        }
        world.time.passes(WINDOW);
        apns.gets(turn + 1).await;
        eventually("it is noted", async || !world.states().await.contains_key("pending")).await;
    }
    // The first at once, and one at the end of each window.
    assert_eq!(apns.requests(), 4);
    let states = world.states().await;
    assert_eq!((states["sent"], states["superseded"]), (4, 5), "{states:?}");
    process.stops().await;
}

async fn what_comes_while_a_push_is_under_way_is_not_lost(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Later(accepted()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 1).await;
    let process = starts(&world, &apns);
    process.post.says(&world.changes(&pass, "1").await);
    apns.gets(1).await;
    process.post.says(&world.changes(&pass, "2").await);
    process.post.is_done(2).await;
    apns.lets_go();
    world.ends_with(&[("pending", 1), ("sent", 1)]).await;
    world.time.passes(WINDOW);
    world.ends_with(&[("sent", 2)]).await;
    process.stops().await;
}

async fn without_a_window_every_state_is_a_push(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_accepts();
    let (a, b) = (world.issues("a").await, world.issues("b").await);
    world.registers_many(&a, 1).await;
    world.registers_many(&b, 1).await;
    let messages = [world.changes(&a, "1").await, world.changes(&b, "1").await];
    fans_out(&world, &messages).await;
    let process = Setup::of(&world, &apns).starts(&world);
    world.ends_with(&[("sent", 2)]).await;
    assert_eq!(apns.requests(), 2);
    process.post.says(&world.changes(&a, "2").await);
    world.ends_with(&[("sent", 3)]).await;
    process.stops().await;
}

async fn of_several_states_that_wait_the_newest_is_sent(engine: Engine) {
    let world = World::new(engine).await;
    let apns = FakeApns::that_answers(|_| Answer::Now(accepted()));
    let pass = world.issues("a").await;
    world.registers_many(&pass, 2).await;
    for seat in ["1", "2", "3"] {
        fans_out(&world, &[world.changes(&pass, seat).await]).await;
    }
    // Nobody is there any more.
    world.unregisters("device-1", &pass).await;
    let process = starts(&world, &apns);
    world.ends_with(&[("sent", 1), ("superseded", 5)]).await;
    let last = world.last(&pass).await;
    let sent: Vec<_> = last.iter().filter(|delivery| delivery.state.as_str() == "sent").collect();
    assert_eq!(sent[0].position, last[0].position);
    assert_eq!(apns.requests(), 1);
    process.stops().await;
}

//! Subscriptions: what is stored, then what comes, and checkpoints also while nothing matches.

use eventstore::{
    Position, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions, Subscription,
    SubscriptionEvent, SubscriptionFilter, TombstoneStreamOptions,
};
use honoken_test_kurrentdb::Kurrent;

use super::{append, at, client, number, soon};

/// What one subscription said, up to the point that a test waits for.
#[derive(Debug, Default)]
struct Said {
    numbers: Vec<u64>,
    checkpoints: Vec<Position>,
    caught_up: usize,
}

/// Listens until the condition holds, for a while.
async fn listen(subscription: &mut Subscription, until: impl Fn(&Said) -> bool) -> Said {
    let mut said = Said::default();
    soon(async {
        while !until(&said) {
            match subscription.next_subscription_event().await.expect("it goes on") {
                SubscriptionEvent::EventAppeared(event) => {
                    said.numbers.push(number(event.get_original_event()));
                }
                SubscriptionEvent::Checkpoint(place) => said.checkpoints.push(place),
                SubscriptionEvent::CaughtUp(_) => said.caught_up += 1,
                _ => {}
            }
        }
        said
    })
    .await
}

fn of(prefix: &str, from: StreamPosition<Position>) -> SubscribeToAllOptions {
    let filter = SubscriptionFilter::on_stream_name().add_prefix(prefix);
    SubscribeToAllOptions::default().position(from).filter(filter)
}

#[tokio::test]
async fn a_stream_is_followed_from_its_beginning_into_the_present() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, 0..100).await;
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let mut subscription = client.subscribe_to_stream(stream.as_str(), &options).await;
    let said = listen(&mut subscription, |said| said.caught_up == 1).await;
    assert_eq!(said.numbers, (0..100).collect::<Vec<_>>());
    append(&client, &stream, 100..103).await;
    let said = listen(&mut subscription, |said| said.numbers.len() == 3).await;
    assert_eq!(said.numbers, [100, 101, 102]);
    append(&client, &stream, 103..200).await;
    let said = listen(&mut subscription, |said| said.numbers.len() == 97).await;
    assert_eq!(said.numbers, (103..200).collect::<Vec<_>>(), "more at once than a live subscription keeps");
}

#[tokio::test]
async fn a_stream_is_followed_from_behind_a_revision_or_from_now_on() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, 0..10).await;
    for (from, expected) in [
        (StreamPosition::Position(7), &[8, 9, 10][..]),
        (StreamPosition::End, &[11]),
        (StreamPosition::Position(12), &[13]),
    ] {
        let options = SubscribeToStreamOptions::default().start_from(from);
        let mut subscription = client.subscribe_to_stream(stream.as_str(), &options).await;
        listen(&mut subscription, |said| said.caught_up == 1 || said.numbers.len() == 2).await;
        let next = super::numbers(&client, &stream).await.unwrap().len();
        append(&client, &stream, [u32::try_from(next).unwrap()]).await;
        if expected == [13] {
            append(&client, &stream, [13]).await;
        }
        let said = listen(&mut subscription, |said| said.numbers.last() == expected.last()).await;
        assert!(expected.ends_with(&said.numbers), "from {from:?}: {:?}", said.numbers);
    }
}

#[tokio::test]
async fn a_subscription_to_a_stream_ends_with_its_tombstone() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1]).await;
    let mut subscription =
        client.subscribe_to_stream(stream.as_str(), &SubscribeToStreamOptions::default()).await;
    listen(&mut subscription, |said| said.caught_up == 1).await;
    client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    let ended = soon(async {
        loop {
            if let Err(fault) = subscription.next_subscription_event().await {
                return fault;
            }
        }
    });
    let ended = ended.await;
    assert!(matches!(ended, eventstore::Error::ResourceDeleted), "{ended:?}");
}

#[tokio::test]
async fn all_streams_are_followed_by_their_beginning() {
    let kurrent = Kurrent::start();
    let (client, prefix) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &format!("{prefix}a"), 0..50).await;
    append(&client, &Kurrent::fresh_prefix(), 900..950).await;
    append(&client, &format!("{prefix}b"), 50..100).await;
    let mut subscription = client.subscribe_to_all(&of(&prefix, StreamPosition::Start)).await;
    let said = listen(&mut subscription, |said| said.caught_up == 1).await;
    assert_eq!(said.numbers, (0..100).collect::<Vec<_>>());
    append(&client, &Kurrent::fresh_prefix(), [999]).await;
    let last = append(&client, &format!("{prefix}c"), [100]).await;
    assert_eq!(listen(&mut subscription, |said| !said.numbers.is_empty()).await.numbers, [100]);
    let mut resumed = client.subscribe_to_all(&of(&prefix, StreamPosition::Position(last.position))).await;
    listen(&mut resumed, |said| said.caught_up == 1).await;
    append(&client, &format!("{prefix}d"), [101]).await;
    let said = listen(&mut resumed, |said| !said.numbers.is_empty()).await;
    assert_eq!(said.numbers, [101], "the event at the place is not sent again");
}

#[tokio::test]
async fn checkpoints_come_while_nothing_matches() {
    let kurrent = Kurrent::start();
    let (client, other, nothing) = (client(&kurrent), Kurrent::fresh_prefix(), Kurrent::fresh_prefix());
    let before = append(&client, &other, [0]).await.position;
    append(&client, &other, 1..500).await;
    let mut subscription = client.subscribe_to_all(&of(&nothing, StreamPosition::Position(before))).await;
    let said = listen(&mut subscription, |said| said.caught_up == 1).await;
    assert!(said.numbers.is_empty() && said.checkpoints.len() >= 15, "one for 32 events: {said:?}");
    assert!(said.checkpoints.is_sorted_by(|before, after| before.commit < after.commit), "{said:?}");
    for number in 500..500 + 64 {
        append(&client, &other, [number]).await;
    }
    let live = listen(&mut subscription, |said| !said.checkpoints.is_empty()).await;
    assert!(live.checkpoints[0].commit > said.checkpoints.last().unwrap().commit);
    let mut resumed =
        client.subscribe_to_all(&of(&other, StreamPosition::Position(said.checkpoints[14]))).await;
    let said = listen(&mut resumed, |said| said.caught_up == 1).await;
    assert!(said.numbers.ends_with(&[563]) && said.numbers.is_sorted(), "{said:?}");
    assert!(said.numbers[0] > 300, "what was looked at before does not come again");
}

#[tokio::test]
async fn a_place_behind_the_end_waits_until_the_log_has_passed_it() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let written = append(&client, &stream, [1]).await.position;
    let ahead = StreamPosition::Position(at(written.commit + 300));
    let mut subscription = client.subscribe_to_all(&of(&stream, ahead)).await;
    listen(&mut subscription, |said| said.caught_up == 1).await;
    append(&client, &stream, 2..12).await;
    let said = listen(&mut subscription, |said| said.numbers.last() == Some(&11)).await;
    assert!(said.numbers[0] > 2, "what came before the place is never sent: {said:?}");
}

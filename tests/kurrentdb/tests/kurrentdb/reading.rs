//! Reading a stream and all streams, both ways.

use eventstore::{
    Client, Error, ReadAllOptions, ReadEvent, ReadStream, ReadStreamOptions, StreamPosition,
    SubscriptionFilter,
};
use honoken_test_kurrentdb::Kurrent;

use super::{append, at, client, number, numbers};

/// What a reading gives: the numbers of its events, and in the end the last revision that is told.
async fn given(mut read: ReadStream) -> (Vec<u64>, Option<u64>) {
    let (mut found, mut last) = (Vec::new(), None);
    while let Some(event) = read.next_read_event().await.expect("it is read") {
        match event {
            ReadEvent::Event(event) => found.push(number(event.get_original_event())),
            ReadEvent::LastStreamPosition(revision) => last = Some(revision),
            ReadEvent::FirstStreamPosition(_) | ReadEvent::LastAllStreamPosition(_) => {}
        }
    }
    (found, last)
}

async fn read(client: &Client, stream: &str, options: ReadStreamOptions) -> (Vec<u64>, Option<u64>) {
    given(client.read_stream(stream, &options).await.expect("it is there")).await
}

async fn all(client: &Client, options: ReadAllOptions) -> Vec<u64> {
    given(client.read_all(&options).await.expect("it can be read")).await.0
}

#[tokio::test]
async fn a_stream_is_read_from_anywhere_both_ways() {
    // The client turns round at an end, so the way that is meant comes behind the place.
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, 0..1000).await;
    let options = || ReadStreamOptions::default().max_count(5000);
    let from = |revision| StreamPosition::Position(revision);
    let all: Vec<u64> = (0..1000).collect();
    let reversed: Vec<u64> = (0..1000).rev().collect();
    assert_eq!(read(&client, &stream, options()).await, (all, Some(999)));
    assert_eq!(read(&client, &stream, options().backwards().position(StreamPosition::End)).await.0, reversed);
    assert_eq!(read(&client, &stream, options().position(from(998))).await.0, [998, 999]);
    assert_eq!(read(&client, &stream, options().position(from(1000))).await, (vec![], Some(999)));
    assert_eq!(
        read(&client, &stream, options().position(StreamPosition::End).forwards()).await.0,
        [0_u64; 0]
    );
    assert_eq!(read(&client, &stream, options().backwards().position(from(2))).await.0, [2, 1, 0]);
    assert_eq!(read(&client, &stream, options().position(StreamPosition::Start).backwards()).await.0, [0]);
    let few = options().max_count(2);
    assert_eq!(read(&client, &stream, few.clone().position(from(7))).await.0, [7, 8]);
    assert_eq!(read(&client, &stream, few.backwards().position(from(5000))).await.0, [999, 998]);
}

#[tokio::test]
async fn a_stream_without_events_is_not_found() {
    let kurrent = Kurrent::start();
    let missing = numbers(&client(&kurrent), &Kurrent::fresh_prefix()).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
}

#[tokio::test]
async fn all_streams_are_read_in_order_both_ways() {
    let kurrent = Kurrent::start();
    let (client, prefix) = (client(&kurrent), Kurrent::fresh_prefix());
    let (one, other) = (format!("{prefix}one"), format!("{prefix}other"));
    let mut places = Vec::new();
    for round in 0..300 {
        let stream = if round % 3 == 0 { &one } else { &other };
        places.push(append(&client, stream, [round]).await.position);
    }
    assert!(places.is_sorted_by(|before, after| before.commit < after.commit));
    let ours = || SubscriptionFilter::on_stream_name().add_prefix(&prefix);
    let options = || ReadAllOptions::default().filter(ours()).max_count(10_000);
    let expected: Vec<u64> = (0..300).collect();
    assert_eq!(all(&client, options().position(StreamPosition::Start)).await, expected);
    let reversed: Vec<u64> = (0..300).rev().collect();
    assert_eq!(all(&client, options().backwards().position(StreamPosition::End)).await, reversed);
    let from = StreamPosition::Position(places[200]);
    assert_eq!(all(&client, options().position(from)).await, expected[200..], "that at the place included");
    assert_eq!(all(&client, options().backwards().position(from)).await, reversed[100..], "and not included");
    assert_eq!(all(&client, options().position(from).max_count(3)).await, [200, 201, 202]);
    let third = |prefix: &str| SubscriptionFilter::on_stream_name().add_prefix(format!("{prefix}one"));
    let third = options().filter(third(&prefix)).position(StreamPosition::Start).max_count(3);
    assert_eq!(all(&client, third).await, [0, 3, 6]);
}

#[tokio::test]
async fn filters_go_by_stream_and_by_type_with_beginnings_and_patterns() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1, 2]).await;
    let found = async |filter| {
        let options = ReadAllOptions::default().position(StreamPosition::Start).filter(filter);
        let mut read = client.read_all(&options.max_count(1_000_000)).await.unwrap();
        let (mut ours, mut others) = (0, 0);
        while let Some(event) = read.next().await.unwrap() {
            let event = event.get_original_event();
            if event.stream_id() == stream { ours += 1 } else { others += 1 }
        }
        (ours, others > 0)
    };
    let (by_stream, by_type) = (SubscriptionFilter::on_stream_name, SubscriptionFilter::on_event_type);
    assert_eq!(found(by_stream().add_prefix(&stream).add_prefix("nothing")).await, (2, false));
    assert_eq!(found(by_stream().regex(format!("^{stream}$"))).await, (2, false));
    assert_eq!(found(by_type().regex("^(?!Noted)")).await, (0, true), "look-ahead is understood");
    assert_eq!(found(by_type().add_prefix("Not")).await.0, 2);
    assert_eq!(found(by_type().add_prefix("$")).await, (0, true), "the server has events of its own");
    assert_eq!(found(by_type().exclude_system_events()).await.0, 2);
}

#[tokio::test]
async fn a_place_at_which_no_event_begins_cannot_be_read_from() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let written = append(&client, &stream, [1]).await;
    append(&client, &stream, [2]).await;
    let place = StreamPosition::Position(at(written.position.commit + 5));
    let mut read = match client.read_all(&ReadAllOptions::default().position(place).max_count(1)).await {
        Ok(read) => read,
        Err(fault) => return assert!(matches!(fault, Error::ServerError(_)), "{fault:?}"),
    };
    let fault = read.next().await;
    assert!(matches!(fault, Err(Error::ServerError(_))), "{fault:?}");
}

//! Revisions that a writer expects, positions, and events that were stored before.

use bytes::Bytes;
use eventstore::{
    CurrentRevision, Error, EventData, ReadAllOptions, ReadStreamOptions, StreamPosition, StreamState,
};
use honoken_test_kurrentdb::Kurrent;

use super::{append, client, expecting, fresh_id, note, notes, numbers};

#[tokio::test]
async fn a_stream_has_revisions_without_gaps_and_positions_with() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let first = append(&client, &stream, [1]).await;
    let third = append(&client, &stream, [2, 3]).await;
    assert_eq!((first.next_expected_version, third.next_expected_version), (0, 2));
    assert!(third.position.commit > first.position.commit + 2, "positions are bytes, not numbers");
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn the_answer_names_the_place_of_the_last_event() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let written = append(&client, &stream, [1, 2]).await;
    let options = ReadAllOptions::default().position(StreamPosition::Position(written.position)).max_count(1);
    let mut read = client.read_all(&options).await.unwrap();
    let event = read.next().await.unwrap().expect("there is one at its position");
    let event = event.get_original_event();
    assert_eq!((event.stream_id(), event.revision), (stream.as_str(), 1));
    assert_eq!(event.position, written.position);
    assert_eq!(event.position.commit, event.position.prepare);
}

#[tokio::test]
async fn another_revision_than_the_expected_one_is_a_conflict_that_names_it() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let missing = |expected| (StreamState::StreamRevision(expected), CurrentRevision::NoStream);
    for (expected, found) in [missing(0), missing(7), (StreamState::StreamExists, CurrentRevision::NoStream)]
    {
        let refused = client.append_to_stream(stream.as_str(), &expecting(expected), note(1)).await;
        let Err(Error::WrongExpectedVersion { expected: told, current }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((told, current), (expected, found));
    }
    append(&client, &stream, [1, 2]).await;
    for expected in [0, 2, 9].map(StreamState::StreamRevision).into_iter().chain([StreamState::NoStream]) {
        let refused = client.append_to_stream(stream.as_str(), &expecting(expected), note(3)).await;
        let Err(Error::WrongExpectedVersion { expected: told, current }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((told, current), (expected, CurrentRevision::Current(1)));
    }
    for (expected, number) in [(StreamState::StreamRevision(1), 3), (StreamState::StreamExists, 4)] {
        client.append_to_stream(stream.as_str(), &expecting(expected), note(number)).await.unwrap();
    }
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_same_events_again_get_the_first_answer() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let events = notes([1, 2]).into_iter().map(|event| event.id(fresh_id())).collect::<Vec<_>>();
    let options = expecting(StreamState::NoStream);
    let first = client.append_to_stream(stream.as_str(), &options, events.clone()).await.unwrap();
    append(&client, &stream, [3]).await;
    for expected in [StreamState::NoStream, StreamState::Any, StreamState::StreamExists] {
        let options = expecting(expected);
        let again = client.append_to_stream(stream.as_str(), &options, events.clone()).await.unwrap();
        assert_eq!((again.next_expected_version, again.position), (1, first.position), "{expected:?}");
    }
    let mut mixed = events.clone();
    mixed[1] = note(9);
    let refused = client.append_to_stream(stream.as_str(), &options, mixed).await;
    assert!(matches!(refused, Err(Error::WrongExpectedVersion { .. })), "a part of it is new: {refused:?}");
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn the_same_events_in_another_stream_are_others() {
    let kurrent = Kurrent::start();
    let (client, stream, other) = (client(&kurrent), Kurrent::fresh_prefix(), Kurrent::fresh_prefix());
    let event = note(1).id(fresh_id());
    for stream in [&stream, &other] {
        client.append_to_stream(stream.as_str(), &expecting(StreamState::Any), event.clone()).await.unwrap();
    }
    assert_eq!(numbers(&client, &other).await.unwrap(), [1]);
}

#[tokio::test]
async fn everything_about_an_event_comes_back() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let (id, data) = (fresh_id(), Bytes::from_static(b"\x00\xff no JSON"));
    let event =
        EventData::binary("Ünicode", data.clone()).id(id).metadata(Bytes::from_static(b"{\"by\":\"me\"}"));
    client.append_to_stream(stream.as_str(), &expecting(StreamState::NoStream), event).await.unwrap();
    let mut read = client.read_stream(stream.as_str(), &ReadStreamOptions::default()).await.unwrap();
    let event = read.next().await.unwrap().unwrap();
    let event = event.get_original_event();
    assert_eq!((event.id, &*event.event_type, &event.data), (id, "Ünicode", &data));
    assert_eq!((&*event.custom_metadata, event.is_json), (&b"{\"by\":\"me\"}"[..], false));
    let created = event.created.timestamp();
    assert!((1_700_000_000..4_000_000_000).contains(&created), "steps of 100 ns since 1970: {created}");
}

#[tokio::test]
async fn a_large_append_is_refused_whole() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let half = || EventData::binary("Half", Bytes::from(vec![0; 600 * 1024]));
    let options = expecting(StreamState::Any);
    let refused = client.append_to_stream(stream.as_str(), &options, vec![half(), half()]);
    let Err(Error::Grpc { message, .. }) = refused.await else { panic!("it is refused") };
    assert_eq!(message, "Maximum Append Size of 1048576 Exceeded.");
    let missing = numbers(&client, &stream).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    client.append_to_stream(stream.as_str(), &expecting(StreamState::NoStream), half()).await.unwrap();
}

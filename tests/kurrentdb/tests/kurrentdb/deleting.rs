//! Streams that were deleted, for now or for ever, and streams of which only a part is seen.

use eventstore::{
    AppendToStreamOptions, DeleteStreamOptions, Error, ReadAllOptions, ReadStreamOptions,
    StreamMetadataBuilder, StreamPosition, StreamState, SubscriptionFilter, TombstoneStreamOptions,
};
use honoken_test_kurrentdb::Kurrent;

use super::{append, client, expecting, note, numbers};

#[tokio::test]
async fn a_deleted_stream_is_not_found_and_goes_on_with_its_revisions() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let written = append(&client, &stream, [1, 2]).await;
    let deleted = client.delete_stream(stream.as_str(), &DeleteStreamOptions::default()).await.unwrap();
    assert!(deleted.expect("it has a place").commit > written.position.commit);
    let missing = numbers(&client, &stream).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)), "{missing:?}");
    let options = ReadAllOptions::default()
        .filter(SubscriptionFilter::on_stream_name().add_prefix(&stream))
        .position(StreamPosition::Start);
    let mut all = client.read_all(&options.max_count(1000)).await.unwrap();
    let mut kept = 0;
    while all.next().await.unwrap().is_some() {
        kept += 1;
    }
    assert_eq!(kept, 2, "everybody who reads all streams still sees its events");
    let refused =
        client.append_to_stream(stream.as_str(), &expecting(StreamState::StreamExists), note(3)).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    let again =
        client.append_to_stream(stream.as_str(), &expecting(StreamState::NoStream), note(3)).await.unwrap();
    assert_eq!(again.next_expected_version, 2);
    assert_eq!(numbers(&client, &stream).await.unwrap(), [3]);
}

#[tokio::test]
async fn deleting_another_revision_or_nothing_is_refused() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let refused = client.delete_stream(stream.as_str(), &DeleteStreamOptions::default()).await;
    let Err(Error::Grpc { code, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(format!("{code:?}"), "FailedPrecondition");
    assert!(message.contains("Expected version: -2, Actual version: -1"), "{message}");
    append(&client, &stream, [1]).await;
    let options = DeleteStreamOptions::default().stream_state(StreamState::StreamRevision(3));
    let refused = client.delete_stream(stream.as_str(), &options).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_tombstone_is_for_ever() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1]).await;
    client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    let read = client.read_stream(stream.as_str(), &ReadStreamOptions::default()).await.map(|_| ());
    assert!(matches!(read, Err(Error::ResourceDeleted)), "the call itself fails: {read:?}");
    for expected in [StreamState::Any, StreamState::NoStream, StreamState::StreamRevision(0)] {
        let refused = client.append_to_stream(stream.as_str(), &expecting(expected), note(2)).await;
        assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    }
    let again = client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
}

#[tokio::test]
async fn metadata_hides_the_first_events() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, 1..=10).await;
    for (metadata, seen) in [
        (StreamMetadataBuilder::new().max_count(3).build(), &[8, 9, 10][..]),
        (StreamMetadataBuilder::new().truncate_before(6).build(), &[7, 8, 9, 10]),
        (StreamMetadataBuilder::new().build(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ] {
        client
            .set_stream_metadata(stream.as_str(), &AppendToStreamOptions::default(), &metadata)
            .await
            .unwrap();
        assert_eq!(numbers(&client, &stream).await.unwrap(), seen);
    }
}

//! Many appends over one call.

use eventstore::{BatchAppendOptions, Error, StreamState};
use honoken_test_kurrentdb::Kurrent;

use super::{append, client, fresh_id, note, notes, numbers, soon};

#[tokio::test]
async fn appends_of_a_batch_are_answered_one_by_one() {
    let kurrent = Kurrent::start();
    let (client, prefix) = (client(&kurrent), Kurrent::fresh_prefix());
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let streams: Vec<String> = (0..20).map(|number| format!("{prefix}{number}")).collect();
    let appends =
        streams.iter().map(|stream| batch.append_to_stream(stream, StreamState::NoStream, notes([1, 2, 3])));
    for (answer, stream) in soon(futures::future::join_all(appends)).await.into_iter().zip(&streams) {
        let answer = answer.expect("it is stored");
        assert_eq!((answer.stream_name(), answer.current_revision()), (stream.as_str(), Some(2)));
        let position = answer.current_position().expect("it has a place");
        assert_eq!(position.commit, position.prepare);
        assert_eq!(numbers(&client, stream).await.unwrap(), [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_conflict_in_a_batch_is_a_status_of_its_own() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1]).await;
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let refused = soon(batch.append_to_stream(&stream, StreamState::NoStream, notes([2]))).await;
    let Err(Error::Grpc { code, message }) = refused else { panic!("{refused:?}") };
    assert_eq!((format!("{code:?}"), &*message), ("AlreadyExists".to_owned(), "WrongExpectedVersion"));
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1]);
}

#[tokio::test]
async fn the_same_batch_again_gets_the_first_answer() {
    let kurrent = Kurrent::start();
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let event = note(1).id(fresh_id());
    let append = || batch.append_to_stream(&stream, StreamState::NoStream, vec![event.clone()]);
    let (first, again) = (soon(append()).await.unwrap(), soon(append()).await.unwrap());
    assert_eq!((first.current_revision(), first.current_position()), (Some(0), again.current_position()));
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1]);
}

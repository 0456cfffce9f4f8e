//! What a test can let go wrong, as the client sees it.

use std::net::TcpStream;
use std::time::Duration;

use eventstore::{
    AppendToStreamOptions, BatchAppendOptions, Error, ReadAllOptions, ReadStreamOptions, StreamPosition,
    StreamState, SubscribeToAllOptions, SubscriptionEvent,
};
use honoken_test_kurrentdb::{Kurrent, Refusal};

use super::{append, client, expecting, fresh_id, note, numbers, soon};

#[tokio::test]
async fn a_stopped_server_comes_back_at_its_port_with_what_it_stored() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (first, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&first, &stream, [1]).await;
    kurrent.stop();
    let address = kurrent.connection_string();
    let address = address.trim_start_matches("esdb://").trim_end_matches("?tls=false");
    assert!(TcpStream::connect(address).is_err(), "the port is closed");
    let away = numbers(&first, &stream).await;
    assert!(matches!(away, Err(Error::ServerError(_))), "{away:?}");
    kurrent.start_again();
    let again = client(&kurrent);
    assert_eq!(numbers(&again, &stream).await.unwrap(), [1]);
    append(&again, &stream, [2]).await;
    assert_eq!(numbers(&again, &stream).await.unwrap(), [1, 2]);
}

#[test]
fn a_test_that_blocks_has_a_server_too() {
    let kurrent = Kurrent::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = Kurrent::fresh_prefix();
    let client = runtime.block_on(async { client(&kurrent) });
    runtime.block_on(append(&client, &stream, [1]));
    assert_eq!(runtime.block_on(numbers(&client, &stream)).unwrap(), [1]);
}

#[tokio::test]
async fn a_cut_connection_ends_a_subscription_with_an_error() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let client = client(&kurrent);
    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut subscription = client.subscribe_to_all(&options).await;
    let confirmed = soon(subscription.next_subscription_event()).await;
    assert!(matches!(confirmed, Ok(SubscriptionEvent::Confirmed(_))), "{confirmed:?}");
    kurrent.cut_connections();
    let ended = soon(async {
        loop {
            if let Err(fault) = subscription.next_subscription_event().await {
                return fault;
            }
        }
    });
    assert!(matches!(ended.await, Error::ServerError(_)));
    append(&super::client(&kurrent), &Kurrent::fresh_prefix(), [1]).await;
}

#[tokio::test]
async fn a_reading_that_is_cut_ends_with_an_error() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (first, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&first, &stream, 0..1000).await;
    kurrent.cut_a_read_after(500);
    let options = ReadStreamOptions::default().max_count(1000);
    let mut found = Vec::new();
    let read = async {
        let mut read = first.read_stream(stream.as_str(), &options).await?;
        while let Some(event) = read.next().await? {
            found.push(super::number(event.get_original_event()));
        }
        Ok(())
    };
    let ended = soon(read).await;
    assert!(matches!(ended, Err(Error::ServerError(_))), "{ended:?}");
    assert!(found.len() < 1000 && found.iter().copied().eq(0..found.len() as u64), "{found:?}");
    assert_eq!(numbers(&client(&kurrent), &stream).await.unwrap().len(), 1000, "once is enough");
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_stored_once() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (first, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&first, &stream, [1]).await;
    kurrent.lose_answers(1);
    let (event, options) = (note(2).id(fresh_id()), expecting(StreamState::StreamRevision(0)));
    let lost = soon(first.append_to_stream(stream.as_str(), &options, event.clone())).await;
    assert!(matches!(lost, Err(Error::ServerError(_))), "{lost:?}");
    let client = client(&kurrent);
    let again = soon(client.append_to_stream(stream.as_str(), &options, event)).await.unwrap();
    assert_eq!(again.next_expected_version, 1);
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1, 2]);
    assert_eq!(kurrent.appends(), 3);
    kurrent.lose_answers(1);
    let batch = client.batch_append(&BatchAppendOptions::default()).await.unwrap();
    let lost = soon(batch.append_to_stream(&stream, StreamState::Any, vec![note(3)])).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(numbers(&super::client(&kurrent), &stream).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_refused_append_has_the_reason_and_is_not_stored() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1]).await;
    let try_append =
        async || client.append_to_stream(stream.as_str(), &AppendToStreamOptions::default(), note(2)).await;
    for (refusal, expected) in [
        (Refusal::NotReady, "ServerError"),
        (Refusal::Busy, "Server Is Too Busy"),
        (Refusal::AccessDenied, "AccessDenied"),
        (Refusal::TimedOut, "Operation timed out"),
        (Refusal::Exhausted, "ResourceExhausted"),
    ] {
        kurrent.refuse_appends(Some(refusal));
        let refused = try_append().await.expect_err("it is refused");
        assert!(format!("{refused:?}").contains(expected), "{refused:?}");
    }
    let leader = Refusal::NotLeader { host: "localhost".into(), port: 9 };
    kurrent.refuse_appends(Some(leader));
    let Err(Error::NotLeaderException(endpoint)) = try_append().await else { panic!("it does not lead") };
    assert_eq!((&*endpoint.host, endpoint.port), ("localhost", 9));
    kurrent.refuse_appends(None);
    let client = super::client(&kurrent);
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1]);
    append(&client, &stream, [3]).await;
}

#[tokio::test]
async fn a_server_that_hangs_answers_later() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1]).await;
    kurrent.hang(true);
    let mut asked = Box::pin(numbers(&client, &stream));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "no answer: {early:?}");
    kurrent.hang(false);
    assert_eq!(soon(asked).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_server_that_is_set_back_forgets_and_takes_positions_again() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (first, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    let kept = append(&first, &stream, [1]).await.position;
    let lost = append(&first, &stream, [2]).await.position;
    assert_eq!(kurrent.position(), lost.commit);
    kurrent.set_back(kept.commit);
    let client = client(&kurrent);
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1]);
    let again = append(&client, &stream, [7]).await;
    assert_eq!((again.next_expected_version, again.position), (1, lost));
    let options = ReadAllOptions::default().backwards().position(StreamPosition::End).max_count(1);
    let mut read = client.read_all(&options).await.unwrap();
    let newest = read.next().await.unwrap().unwrap();
    assert_eq!(super::number(newest.get_original_event()), 7);
}

#[tokio::test]
async fn a_damaged_event_comes_as_it_is_now() {
    let Some(kurrent) = Kurrent::with_faults() else { return };
    let (client, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&client, &stream, [1, 2, 3]).await;
    let reads = kurrent.reads();
    kurrent.replace_event_bytes(&stream, 1, &b"{\"number\":99}"[..]);
    assert_eq!(numbers(&client, &stream).await.unwrap(), [1, 99, 3]);
    assert_eq!(kurrent.reads(), reads + 1);
}

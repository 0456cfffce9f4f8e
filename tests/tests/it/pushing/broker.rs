//! With NATS between the log and those who wake phones: what is said there, and what its loss does not cost.

use async_nats::jetstream;
use futures::StreamExt;
use honoken_test_nats::Server;
use honoken_tests::waiting::{PATIENCE, eventually};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Cast, Stage, all, assert_each_was_woken};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_about_a_change_is_what_the_answer_said() {
    let nats = Server::start().await;
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let mut heard = client.subscribe("honoken.pass.content_changed").await.expect("a subscription");
    client.flush().await.expect("it is known");
    let Stage { honoken, apns } = Stage::with(&[("NATS_URL", &nats.url())]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    let path = format!("{}/content", cast.integrator.path("A-1"));
    let headers = [("content-type", "application/json"), ("x-request-id", "order-7")];
    let answer = cast
        .integrator
        .request(Method::PUT, &path, &headers, json!({ "description": "d", "seat": "2B" }).to_string())
        .await;
    let change = honoken_tests::Change::read(answer.assert_status(StatusCode::OK));
    let message = tokio::time::timeout(PATIENCE, heard.next()).await.expect("in time").expect("a message");
    let said: Value = serde_json::from_slice(&message.payload).expect("JSON");
    let event_id = said["eventId"].as_str().expect("a name").to_owned();
    assert_eq!(
        said,
        json!({
            "eventId": event_id,
            "organisationId": said["organisationId"],
            "passTypeIdentifier": cast.integrator.pass_type_identifier(),
            "serialNumber": "A-1",
            "etag": change.etag,
            "updatedAt": answer.json()["updatedAt"],
            "updateTag": change.update_tag,
            "position": change.position,
            "urgent": false,
        })
    );
    let headers = message.headers.expect("headers");
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("Nats-Msg-Id"), Some(event_id));
    assert_eq!(header("Honoken-Request-Id").as_deref(), Some("order-7"));
    apns.wait_for(3).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(3, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_changes_and_reads_go_on_and_phones_are_woken_afterwards() {
    let mut nats = Server::start().await;
    let Stage { mut honoken, apns } = Stage::with(&[("NATS_URL", &nats.url())]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 5).await;
    cast.integrator.moves_to("A-1", "1").await;
    apns.wait_for(5).await;
    cast.settles().await;

    nats.kill().await;
    for seat in ["2", "3"] {
        cast.integrator.moves_to("A-1", seat).await;
    }
    let ready = honoken.request(Method::GET, "/health/ready", http::HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);
    let pushing = cast.pushing().await;
    assert!(pushing["relay"]["lag"].as_u64() >= Some(2), "{pushing}");
    nats.start_again().await;
    apns.wait_for(10).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 2);

    // A process that finds no broker starts all the same.
    nats.kill().await;
    honoken.kill().await;
    honoken.restart().await;
    let change = cast.integrator.moves_to("A-1", "4").await;
    nats.start_again().await;
    apns.wait_for(15).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 3);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(5, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_deletes_loses_no_wake_up() {
    let nats = Server::start().await;
    let Stage { honoken, apns } = Stage::with(&[("NATS_URL", &nats.url())]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 5).await;
    cast.settles().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("a connection"));
    cast.orders("/admin/pusher/pause", StatusCode::OK).await;
    let change = cast.integrator.moves_to("A-1", "2B").await;
    eventually(PATIENCE, "the broker has the message", async || {
        (cast.pushing().await["relay"]["lag"] == 0).then_some(())
    })
    .await;
    assert_eq!(apns.count(), 0);
    // The message is nowhere any more, and the relay believes that it has arrived.
    jetstream.delete_stream("HONOKEN").await.expect("it was there");
    cast.orders("/admin/pusher/resume", StatusCode::OK).await;
    apns.wait_until("all are woken", |apns| apns.wakes().len() == 5).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(5, "sent"));
    let last = cast.integrator.moves_to("A-1", "3C").await;
    apns.wait_for(10).await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &last.etag).await, all(5, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_between_the_broker_and_the_checkpoint_wakes_nobody_twice() {
    let nats = Server::start().await;
    let Stage { mut honoken, apns } = Stage::with(&[("NATS_URL", &nats.url())]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 5).await;
    for (times, seat) in (1..).zip(["2", "3", "4", "5", "6"]) {
        let change = cast.integrator.moves_to("A-1", seat).await;
        apns.wait_for(5 * times).await;
        cast.settles().await;
        honoken.kill().await;
        honoken.restart().await;
        cast.settles().await;
        assert_eq!(cast.deliveries("A-1", &change.etag).await, all(5, "sent"));
    }
    assert_each_was_woken(&apns, &fleet, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_ends_where_an_operator_sees_it() {
    let nats = Server::start().await;
    let Stage { honoken, apns } = Stage::with(&[("NATS_URL", &nats.url())]).await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 2).await;
    cast.settles().await;
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let jetstream = jetstream::new(client);
    let published = jetstream.publish("honoken.pass.content_changed", "{\"eventId\": 7}".into()).await;
    published.expect("it is sent").await.expect("the stream takes it");
    let messages = eventually(PATIENCE, "the message is parked", async || {
        let answer = cast.operator.request(Method::GET, "/admin/pushing/messages", &Value::Null).await;
        let messages = answer.assert_status(StatusCode::OK).json()["messages"].clone();
        messages.as_array().filter(|list| !list.is_empty()).cloned()
    })
    .await;
    assert_eq!((messages.len(), &messages[0]["payload"]), (1, &json!("{\"eventId\": 7}")));
    assert!(messages[0]["reason"].as_str().expect("why").contains("line 1 column"), "{}", messages[0]);
    assert_eq!(cast.pushing().await["parkedMessages"], 1);
    let path = format!("/admin/pushing/messages/{}", messages[0]["id"].as_str().expect("a name"));
    let retried = cast.operator.request(Method::POST, &format!("{path}/retry"), &Value::Null).await;
    honoken_tests::problem::assert_problem(&retried, 409);
    let dropped = cast.operator.request(Method::DELETE, &path, &Value::Null).await;
    dropped.assert_status(StatusCode::NO_CONTENT);
    assert_eq!(cast.pushing().await["parkedMessages"], 0);

    // Those behind it are not kept up.
    cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(2).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
}

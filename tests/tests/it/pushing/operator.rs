//! What an operator sees and does about waking phones.

use honoken_tests::problem::assert_problem;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Backstage, Cast, Stage, all, assert_each_was_woken};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_pusher_is_paused_nobody_is_woken_and_nothing_is_lost() {
    let Stage { mut honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    let paused = cast.orders("/admin/pusher/pause", StatusCode::OK).await;
    assert_eq!(
        (&paused["paused"], &paused["by"]),
        (&json!(true), &json!(honoken.ready().admin_username)),
        "{paused}"
    );
    assert_eq!(
        cast.orders("/admin/pusher/pause", StatusCode::OK).await,
        paused,
        "the second time changes nothing"
    );
    let change = cast.integrator.moves_to("A-1", "2B").await;
    cast.integrator.state("A-1").await;
    honoken.kill().await;
    honoken.restart().await;
    let pushing = cast.pushing().await;
    assert_eq!((&pushing["pusher"]["paused"], &pushing["relay"]["paused"]), (&json!(true), &json!(false)));
    assert_eq!(apns.count(), 0);

    let resumed = cast.orders("/api/admin/pusher/resume", StatusCode::OK).await;
    assert_eq!(resumed, json!({ "paused": false, "since": null, "by": null }));
    apns.wait_for(3).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(3, "sent"));
    assert_eq!(cast.orders("/admin/pusher/resume", StatusCode::OK).await["paused"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_relay_is_paused_its_lag_grows_and_what_was_overtaken_is_not_sent() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 2).await;
    cast.settles().await;
    assert_eq!(cast.orders("/admin/relay/pause", StatusCode::OK).await["paused"], true);
    for seat in ["2", "3", "4"] {
        cast.integrator.moves_to("A-1", seat).await;
    }
    let pushing = cast.pushing().await;
    assert!(pushing["relay"]["lag"].as_u64() >= Some(3), "{pushing}");
    assert_eq!((apns.count(), &pushing["deliveries"]["pending"]), (0, &json!(0)));
    cast.orders("/admin/relay/resume", StatusCode::OK).await;
    apns.wait_for(2).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
    assert_eq!(apns.count(), 2, "only the last of three states is worth a push");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_wake_phones_without_a_change_but_not_in_production() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 2).await;
    let path = format!("/admin/push/{}/A-1", cast.integrator.pass_type_identifier());
    for times in 1..=2 {
        assert_eq!(cast.orders(&path, StatusCode::ACCEPTED).await, json!({ "devices": 2 }));
        apns.wait_for(times * 2).await;
    }
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 2);
    let unknown = format!("/admin/push/{}/none", cast.integrator.pass_type_identifier());
    let answer = cast.operator.request(Method::POST, &unknown, &Value::Null).await;
    assert_problem(&answer, 404);

    let stage = Backstage::new().await;
    for (environment, status) in [("production", 403), ("", 403), ("staging", 202)] {
        let serve = stage.serve("serve").with_variable("ENVIRONMENT", environment);
        let mut serving = serve.start().await;
        let cast = Cast::of(&serving.as_known(stage.home.ready()), stage.home.storage());
        let sample = format!(
            "/admin/push/{}/{}",
            stage.home.ready().pass_type_identifier,
            stage.home.ready().serial_number
        );
        let answer = cast.operator.request(Method::POST, &sample, &Value::Null).await;
        if status == 403 {
            assert_problem(&answer, 403);
            assert_eq!(answer.json()["code"], "not_in_production");
        } else {
            assert_eq!(answer.assert_status(StatusCode::ACCEPTED).json(), json!({ "devices": 0 }));
        }
        assert_eq!(serving.terminate().await.code(), Some(0));
    }
    assert_eq!(stage.apns.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_parks_is_not_there() {
    let Stage { honoken, apns: _ } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let answer = cast.operator.request(Method::GET, "/admin/pushing/messages", &Value::Null).await;
    assert_eq!(answer.assert_status(StatusCode::OK).json(), json!({ "messages": [] }));
    for (method, path) in [
        (Method::POST, "/admin/pushing/messages/none/retry"),
        (Method::DELETE, "/admin/pushing/messages/none"),
    ] {
        assert_problem(&cast.operator.request(method, path, &Value::Null).await, 404);
    }
}

//! What wakes phones and what does not, and when.

use honoken_tests::device::{device, push_token};
use honoken_tests::drawing;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{a_ticket, job_of};
use http::{Method, StatusCode};
use serde_json::json;

use super::{Backstage, Cast, Stage, all, assert_each_was_woken};
use crate::a_service;

/// A tag as a header has it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_wakes_each_phone_once_and_says_nothing_but_the_topic() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    let change = cast.integrator.moves_to("A-1", "2B").await;
    let received = apns.wait_for(3).await;
    cast.settles().await;
    assert_eq!(apns.count(), 3);
    assert_each_was_woken(&apns, &fleet, 1);
    let topic = cast.integrator.pass_type_identifier();
    for push in &received {
        assert_eq!((push.topic(), &*push.body), (topic, b"{}".as_slice()));
        assert_eq!(push.header("apns-push-type"), Some("background"));
        assert_eq!(push.header("apns-priority"), Some("5"));
        assert!(push.provider_token().is_none(), "the certificate says who pushes");
    }
    let connections = apns.connections();
    assert!(connections.iter().all(|connection| connection.certificate_topic.as_deref() == Some(topic)));
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(3, "sent"));

    let shown = cast.shown("A-1").await;
    assert_eq!(shown.len(), 3);
    for delivery in shown {
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("sent"), &json!(1)), "{delivery}");
        assert_eq!(delivery["etag"], change.etag.as_str());
        let name = delivery["device"].as_str().expect("a name");
        assert!(
            name.ends_with('…')
                && (0..3).any(|number| device(number).starts_with(name.trim_end_matches('…')))
        );
        let apns_id = delivery["apnsId"].as_str().expect("Apple's name of the push");
        assert!(received.iter().any(|push| push.apns_id() == Some(apns_id)));
        assert!(delivery.get("lastError").is_none() && delivery["createdAt"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_key_of_the_team_is_pushed_with() {
    let stage = Backstage::new().await;
    let serving = stage.serve("serve").start().await;
    let cast = Cast::of(&serving.as_known(stage.home.ready()), stage.home.storage());
    let (_, fleet) = cast.has_phones("A-1", 5).await;
    let change = cast.integrator.moves_to("A-1", "2B").await;
    // The stand-in has checked signature, issuer, key, time and topic, or it would not have woken anybody.
    let received = stage.apns.wait_for(5).await;
    cast.settles().await;
    assert_each_was_woken(&stage.apns, &fleet, 1);
    assert!(received.iter().all(|push| push.provider_token() == received[0].provider_token()));
    assert!(received[0].provider_token().is_some());
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(5, "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_never_comes_before_the_state_that_it_announces() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (pass, _) = cast.has_phones("A-1", 1).await;
    let pass_type = cast.integrator.pass_type_identifier().to_owned();
    let (_, mut tag) = cast.devices.lists(&device(0), &pass_type, None).await.expect("the pass is listed");
    let mut held = cast.integrator.state("A-1").await["etag"].as_str().expect("a tag").to_owned();
    for number in 1..=40_u64 {
        let seat = number.to_string();
        let woken = async {
            apns.wait_for(number).await;
            let listed = cast.devices.lists(&device(0), &pass_type, Some(&tag)).await;
            let not_held = quoted(&held);
            let got = cast.devices.get(&pass, &[("if-none-match", &not_held)]).await;
            (listed, got)
        };
        let (change, (listed, got)) = tokio::join!(cast.integrator.moves_to("A-1", &seat), woken);
        let (serials, next) = listed.expect("a phone that is woken is told of the change");
        assert_eq!(serials, ["A-1"]);
        got.assert_status(StatusCode::OK).assert_header("etag", &quoted(&change.etag));
        (tag, held) = (next, change.etag);
    }
    assert_eq!(apns.count(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_phone_would_show_otherwise_wakes_it_and_nothing_else_does() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let integrator = &cast.integrator;
    let (pass, fleet) = cast.has_phones("A-1", 2).await;
    let mut times = 0;
    let mut wakes = async |what: &str| {
        times += 1;
        let count = times * fleet.len() as u64;
        apns.wait_until(what, |apns| apns.count() >= count).await;
        assert_eq!(apns.count(), count, "{what} wakes each phone once");
    };
    let first = integrator.state("A-1").await["position"].as_u64().expect("a position");
    integrator.moves_to("A-1", "2B").await;
    wakes("another content").await;
    let again = integrator.replace("A-1", &a_ticket("2B")).await;
    assert_eq!(again.json()["changed"], false);
    integrator.merges("A-1", &json!({ "seat": "3C" })).await;
    wakes("a patch, and the same content before it not").await;
    integrator.draw_as("A-1", &json!({ "ticketStyle": "generic" })).await.assert_status(StatusCode::OK);
    wakes("another style").await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(7)).await;
    wakes("an image").await;
    integrator.voids("A-1").await;
    wakes("voiding").await;
    assert_eq!(integrator.void("A-1").await.json()["changed"], false);
    integrator.reinstates("A-1").await;
    wakes("reinstating, and voiding what is void not").await;
    integrator.restores("A-1", first).await;
    wakes("a former content, style and image, which are one change").await;
    assert_eq!(integrator.restore("A-1", first).await.json()["changed"], false);
    // A phone that gets a pass now has nothing to be told; nor have those that hold another one.
    integrator.issues("A-2").await;
    cast.devices.register(&device(9), &push_token(9, 0), &pass).await.assert_status(StatusCode::CREATED);
    cast.devices.unregister(&device(9), &pass).await.assert_status(StatusCode::OK);
    integrator.retires("A-1").await;
    wakes("retiring, and neither issuing nor registering").await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 8);
    assert_eq!(apns.count(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_all_passes_of_a_type_wakes_every_phone_that_shows_it() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 2).await;
    let answer = cast.integrator.put_type_asset("logo.png", drawing::logo(8)).await;
    job_of(&answer);
    apns.wait_for(2).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_with_one_push_token_are_woken_as_one() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (pass, _) = cast.has_phones("A-1", 1).await;
    cast.devices.register(&device(5), &push_token(0, 0), &pass).await.assert_status(StatusCode::CREATED);
    cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(1).await;
    cast.settles().await;
    assert_eq!(apns.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_push_token_is_woken_in_place_of_the_old_one() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (pass, _) = cast.has_phones("A-1", 1).await;
    cast.devices.register(&device(0), &push_token(0, 1), &pass).await.assert_status(StatusCode::OK);
    cast.integrator.moves_to("A-1", "2B").await;
    let received = apns.wait_for(1).await;
    cast.settles().await;
    assert_eq!(received.iter().map(|push| &*push.token).collect::<Vec<_>>(), [push_token(0, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stand_in_dev_writes_down_that_nothing_was_sent() {
    let honoken = a_service().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    cast.has_phones("A-1", 2).await;
    let change = cast.integrator.moves_to("A-1", "2B").await;
    cast.settles().await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(2, "failed"));
    for delivery in cast.shown("A-1").await {
        let why = delivery["lastError"].as_str().expect("why");
        assert!(why.starts_with("not sent") && why.contains("HONOKEN_APNS_ENDPOINT"), "{delivery}");
        assert_eq!(delivery["attempts"], 0, "{delivery}");
    }
    assert_eq!(cast.registrations("A-1").await, 2);
    honoken.home().prints("recorded and not sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_wakes_nobody() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (_, fleet) = cast.has_phones("A-1", 3).await;
    cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(3).await;
    cast.settles().await;
    honoken.operator().rebuilds().await;
    honoken.operator().rebuilds().await;
    cast.settles().await;
    // What would be said again is said before this.
    cast.integrator.moves_to("A-1", "3C").await;
    apns.wait_for(6).await;
    cast.settles().await;
    assert_eq!(apns.count(), 6);
    assert_each_was_woken(&apns, &fleet, 2);
}

/// Long enough that everything below happens within it, on a machine that is busy.
const WINDOW: &str = "6";

#[tokio::test(flavor = "multi_thread")]
async fn changes_within_a_window_become_one_push_unless_they_are_urgent() {
    let stage = Backstage::new().await;
    let serving = stage.serve("serve").with_variable("HONOKEN_PUSH_WINDOW_SECONDS", WINDOW).start().await;
    let cast = Cast::of(&serving.as_known(stage.home.ready()), stage.home.storage());
    let (one, _) = cast.has_phones("A-1", 1).await;
    cast.integrator.issues("A-2").await;
    let other = cast.integrator.credentials("A-2").await;
    cast.devices.register(&device(0), &push_token(0, 0), &other).await.assert_status(StatusCode::CREATED);
    assert_eq!(one.pass_type_identifier, other.pass_type_identifier);

    let first = cast.integrator.moves_to("A-1", "first").await;
    let at_once = stage.apns.wait_for(1).await[0].at;
    for seat in ["2", "3", "4"] {
        cast.integrator.moves_to("A-1", seat).await;
    }
    let last = cast.integrator.moves_to("A-1", "last").await;
    let beside = cast.integrator.moves_to("A-2", "beside").await;
    let received = stage.apns.wait_for(2).await;
    assert!(
        received[1].at.saturating_sub(at_once) >= std::time::Duration::from_secs(5),
        "the window is waited for"
    );
    cast.settles().await;
    assert_eq!(stage.apns.count(), 2, "one push for two passes and five states");
    for (serial, change) in [("A-1", &first), ("A-1", &last), ("A-2", &beside)] {
        assert_eq!(cast.deliveries(serial, &change.etag).await, all(1, "sent"), "{serial}");
    }
    let before = cast.shown("A-1").await;
    assert!(before.iter().filter(|delivery| delivery["state"] == "sent").count() == 2, "{before:?}");

    // Within the next window, and not waiting for its end.
    let path = format!("{}/content?urgent=true", cast.integrator.path("A-1"));
    cast.integrator.json(Method::PUT, &path, &a_ticket("gate")).await.assert_status(StatusCode::OK);
    let received = stage.apns.wait_for(3).await;
    assert!(
        received[2].at.saturating_sub(received[1].at) < std::time::Duration::from_secs(5),
        "urgent waits for nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_of_pushes_adds_up() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    cast.has_phones("A-1", 4).await;
    cast.integrator.moves_to("A-1", "2B").await;
    apns.wait_for(4).await;
    cast.settles().await;
    eventually(PATIENCE, "the metrics say what has happened", async || {
        let scrape = honoken.metrics().await;
        let said = [
            ("honoken_pushes_total{outcome=\"accepted\"}", 4.0),
            ("honoken_push_duration_seconds_count", 4.0),
            ("honoken_deliveries_ended_total{state=\"sent\"}", 4.0),
            ("honoken_deliveries_pending", 0.0),
            ("honoken_relay_lag", 0.0),
            ("honoken_messages_published_total", 1.0),
            ("honoken_push_credentials_parked", 0.0),
        ];
        said.iter().all(|(series, value)| (scrape.get(series) - value).abs() < f64::EPSILON).then_some(())
    })
    .await;
}

//! Phones that another service has registered.

use honoken_simulator::Phone;
use honoken_tests::a_ticket;
use honoken_tests::device::{device, push_token};
use honoken_tests::waiting::{PATIENCE, eventually};
use http::{Method, StatusCode};
use serde_json::json;

use super::Stage;

#[tokio::test]
async fn a_phone_of_the_old_service_is_woken_and_gets_its_pass_with_the_token_that_it_has() {
    let stage = Stage::new().await;
    let integrator = stage.honoken.integrator();
    let mut order = integrator.order("OLD-1", &a_ticket("1A"));
    order["authenticationToken"] = json!("the-token-of-the-old-service");
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let (phone, token) = (device(1), push_token(1, 0));
    let path = format!("{}/registrations/{phone}", integrator.path("OLD-1"));
    let registered = integrator.json(Method::PUT, &path, &json!({ "pushToken": token })).await;
    registered.assert_status(StatusCode::CREATED);
    assert_eq!(stage.apns.count(), 0, "importing wakes nobody");

    integrator.moves_to("OLD-1", "2B").await;
    eventually(PATIENCE, "the phone is woken", async || stage.apns.wakes().get(&token).map(drop)).await;

    // The phone has never asked here: it holds the pass that the old service gave it, and a date as its tag.
    let pass = integrator.credentials("OLD-1").await;
    assert_eq!(pass.token, "the-token-of-the-old-service");
    let devices = stage.honoken.devices();
    let since = Some("2020-01-01T00:00:00Z");
    let (serials, _) =
        devices.lists(&phone, integrator.pass_type_identifier(), since).await.expect("the pass has changed");
    assert_eq!(serials, ["OLD-1"]);
    let got = devices.get(&pass, &[("if-modified-since", "Wed, 01 Jan 2020 00:00:00 GMT")]).await;
    got.assert_status(StatusCode::OK);
    let mut other = Phone::new(device(2), push_token(2, 0));
    other.add(got.body.clone()).await.expect("a phone takes the file");
    other.assert_content();
    assert!(stage.apns.violations().is_empty(), "{:?}", stage.apns.violations());
}

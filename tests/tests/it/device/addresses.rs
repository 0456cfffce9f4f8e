//! Section 9, 1 to 3: prefixes, slashes, and serial numbers that need encoding.

use honoken_tests::device::{a_phone, device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::{DeviceRoutes, a_ticket};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;
use crate::a_service;

#[tokio::test]
async fn the_device_routes_are_found_under_every_prefix() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    let prefixes = ["/v1", "/api/v1", "//v1", "/wallet/v1", "/a/b/c/v1", "/tenants/7//v1", "/wallet/v2/v1"];
    for (number, prefix) in prefixes.into_iter().enumerate() {
        let devices = DeviceRoutes::below(honoken.url(prefix));
        let registered = devices.register(&device(number), &push_token(number, 0), &pass).await;
        assert_eq!(registered.status, StatusCode::CREATED, "{prefix}");
        let (serials, tag) = devices.lists(&device(number), pass_type, None).await.unwrap();
        assert_eq!(serials, ["A-1"], "{prefix}");
        assert_eq!(devices.lists(&device(number), pass_type, Some(&tag)).await, None, "{prefix}");
        assert_eq!(devices.get(&pass, &[]).await.status, StatusCode::OK, "{prefix}");
        assert_eq!(devices.log(r#"{"logs":["x"]}"#).await.status, StatusCode::OK, "{prefix}");
        assert_eq!(devices.unregister(&device(number), &pass).await.status, StatusCode::OK, "{prefix}");
    }
}

#[tokio::test]
async fn a_serial_number_may_hold_anything() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let longest = "座".repeat(256);
    let serials = [
        "a/b",
        "/",
        "//",
        "two words",
        " ",
        "100%",
        "%2F",
        "%",
        "%zz",
        "..",
        ".",
        "../../etc/passwd",
        "a?b=c",
        "a#b",
        "a+b",
        "a&b",
        "a;b=c",
        "a\\b",
        "'\"<>",
        "{serial}",
        ":serial",
        "*",
        "é",
        "e\u{301}",
        "Straße 7/ü %20",
        "🎫",
        "👩‍👩‍👧",
        "座席",
        "\u{202e}rtl",
        "\u{feff}",
        "v1/passes/x/y",
        "/v1/log",
        "null",
        "0",
        "-",
        "~",
        longest.as_str(),
    ];
    let mut phone = a_phone(1);
    for serial in serials {
        integrator.issues(serial).await;
        assert_eq!(integrator.state(serial).await["serialNumber"], serial);
        let installed = phone.add(integrator.downloads(serial).await).await.unwrap();
        assert_eq!(installed.registered, Some(StatusCode::CREATED), "{serial:?}");
        integrator.moves_to(serial, "2B").await;
        let updates = phone.wakes().await;
        assert_eq!(updates.len(), 1, "{serial:?}: {updates:?}");
        assert!(updates[0].serial_number == serial && updates[0].changed, "{serial:?}: {updates:?}");
    }
    phone.assert_content();
    for serial in serials {
        assert_eq!(phone.removes(serial).await.unwrap().status, Some(StatusCode::OK), "{serial:?}");
    }
    phone.assert_content();
    assert!(phone.polls().await.is_empty());
}

#[tokio::test]
async fn serial_numbers_that_look_alike_are_different_passes() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let alike = ["é", "e\u{301}", "a", "A", "a ", "%61", "a+b", "a b", "a%20b"];
    for (at, serial) in alike.into_iter().enumerate() {
        integrator.issues_with(serial, &a_ticket(&at.to_string())).await;
    }
    for (at, serial) in alike.into_iter().enumerate() {
        assert_eq!(integrator.state(serial).await["content"]["seat"], at.to_string(), "{serial:?}");
    }
}

#[tokio::test]
async fn a_path_that_does_not_decode_is_a_wrong_token_to_a_phone() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let authorization = pass.authorization();
    let headers = [("authorization", authorization.as_str())];
    for serial in ["%ff", "%c3%28", "%00", "%0a", "%7f", "%C2%85"] {
        let path = format!("/passes/{}/{serial}", pass.pass_type_identifier);
        let answer = honoken.devices().request(Method::GET, &path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{serial}");
        assert_problem(&answer, 401);
    }
}

#[tokio::test]
async fn other_paths_below_v1_are_404() {
    let (honoken, integrator, _) = a_service_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    for path in ["", "/", "/devices", "/passes", &format!("/passes/{pass_type}"), "/log/x", "/nothing"] {
        let answer = honoken.devices().request(Method::GET, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path:?}");
        assert_problem(&answer, 404);
    }
}

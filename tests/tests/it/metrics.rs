//! `/metrics`: what is counted is what happened, and nothing of it names anybody.

use honoken_tests::device::{a_phone, device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Scrape, a_ticket};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::{a_home_for_serve, a_service};

#[tokio::test]
async fn what_phones_and_integrators_do_is_counted() {
    let honoken = a_service().await;
    let (integrator, devices) = (honoken.integrator(), honoken.devices());
    let before = honoken.metrics().await;

    integrator.issues("A-1").await;
    integrator.moves_to("A-1", "2B").await;
    integrator.replace("A-1", &a_ticket("2B")).await.assert_status(StatusCode::OK);
    assert_problem(&integrator.issue(&integrator.order("A-1", &a_ticket("9Z"))).await, 409);
    let pass = integrator.credentials("A-1").await;
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::OK);
    assert!(devices.lists(&device(1), integrator.pass_type_identifier(), None).await.is_some());
    assert!(devices.lists(&device(2), integrator.pass_type_identifier(), None).await.is_none());
    devices.get(&pass, &[]).await.assert_status(StatusCode::OK);
    devices.get(&pass, &[("if-none-match", "*")]).await.assert_status(StatusCode::NOT_MODIFIED);
    assert_problem(&devices.get(&pass.with_token("wrong"), &[]).await, 401);
    devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);

    let after = honoken.metrics().await;
    for (series, expected) in [
        (r#"honoken_commands_total{aggregate="Pass",command="issue",result="changed"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Pass",command="issue",result="refused"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Pass",command="replace_content",result="changed"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Pass",command="replace_content",result="unchanged"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Registration",command="register",result="changed"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Registration",command="register",result="unchanged"}"#, 1.0),
        (r#"honoken_commands_total{aggregate="Registration",command="unregister",result="changed"}"#, 1.0),
        (r#"honoken_command_duration_seconds_count{aggregate="Pass"}"#, 4.0),
        (r#"honoken_device_polls_total{status="200"}"#, 1.0),
        (r#"honoken_device_polls_total{status="204"}"#, 1.0),
        (r#"honoken_device_downloads_total{status="200"}"#, 1.0),
        (r#"honoken_device_downloads_total{status="304"}"#, 1.0),
        (r#"honoken_device_downloads_total{status="401"}"#, 1.0),
        (r#"honoken_device_registrations_total{status="201"}"#, 1.0),
        (r#"honoken_device_registrations_total{status="200"}"#, 1.0),
        (r#"honoken_device_unregistrations_total{status="200"}"#, 1.0),
        (r#"honoken_passes_built_total{result="built"}"#, 1.0),
        ("honoken_passes_cached_total", 1.0),
        ("honoken_pass_signing_seconds_count", 1.0),
        (r#"honoken_requests_total{area="manage",route="/manage/v1/passes",status="201"}"#, 1.0),
        (r#"honoken_requests_total{area="manage",route="/manage/v1/passes",status="409"}"#, 1.0),
        (r#"honoken_requests_total{area="device",route="/v1/passes/{type}/{serial}",status="304"}"#, 1.0),
        (r#"honoken_request_duration_seconds_count{area="device",route="/v1/passes/{type}/{serial}"}"#, 3.0),
        ("honoken_requests_panicked_total", 0.0),
        (r#"honoken_requests_shed_total{queue="device"}"#, 0.0),
    ] {
        assert!((after.since(&before, series) - expected).abs() < f64::EPSILON, "{series}: {after:#?}");
    }
}

#[tokio::test]
async fn how_things_stand_is_what_the_operator_is_told() {
    let honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    let wallet = honoken.operator().wallet_projection().await;
    let metrics = honoken.metrics().await;
    let head = wallet["head"].as_f64().unwrap();
    for (series, expected) in [
        ("honoken_log_head", head),
        ("honoken_projection_position", head),
        ("honoken_projection_lag", 0.0),
        ("honoken_projection_parked", 0.0),
        // The one that asks.
        (r#"honoken_requests_in_flight{area="service"}"#, 1.0),
        (r#"honoken_requests_in_flight{area="manage"}"#, 0.0),
        (r#"honoken_requests_waiting{queue="build"}"#, 0.0),
    ] {
        assert!((metrics.get(series) - expected).abs() < f64::EPSILON, "{series}: {metrics:#?}");
    }
    for series in [
        "honoken_connections_open",
        r#"honoken_store_connections_limit{store="log"}"#,
        r#"honoken_store_connections{state="idle",store="read_model"}"#,
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(metrics.get(series) >= 1.0, "{series}: {metrics:#?}");
    }
}

#[tokio::test]
async fn what_phones_complain_about_is_counted_by_class() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let mut phone = a_phone(1);
    phone.add(integrator.downloads("A-1").await).await.unwrap();
    phone.wakes().await;
    phone.sends_log().await;
    let lines = json!({ "logs": ["something new", "encountered error: Authentication failure"] });
    honoken.devices().log(lines.to_string()).await.assert_status(StatusCode::OK);
    let metrics = honoken.metrics().await;
    for class in ["spurious_push", "unknown", "authentication_failure"] {
        let series = format!("honoken_device_messages_total{{class=\"{class}\"}}");
        assert!((metrics.get(&series) - 1.0).abs() < f64::EPSILON, "{class}: {metrics:#?}");
    }
}

#[tokio::test]
async fn callers_cannot_make_the_number_of_series_grow() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let odd = async |name: &str| {
        let paths = [
            format!("/{name}"),
            format!("/v1/passes/{name}/{name}"),
            format!("/v1/devices/{name}/registrations/{name}"),
            format!("/manage/v1/passes/{name}/{name}"),
        ];
        for path in paths {
            integrator.request(Method::GET, &path, &[], "").await;
        }
        honoken.devices().log(json!({ "logs": [name] }).to_string()).await;
    };
    odd("first").await;
    // The look itself is counted, and seen by the next.
    honoken.metrics().await;
    let before = honoken.metrics().await;
    for number in 0..20 {
        odd(&format!("name-{number}")).await;
    }
    let after = honoken.metrics().await;
    let series = |scrape: &Scrape| {
        scrape.beginning_with("honoken_").map(|(series, _)| series.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(series(&after), series(&before));
    assert!(series(&after).iter().all(|series| !series.contains("name-") && !series.contains("first")));
}

#[tokio::test]
async fn metrics_can_be_answered_elsewhere_and_then_only_there() {
    let home = a_home_for_serve().await;
    let serve = home
        .home()
        .serve("measured")
        .with_variable("HONOKEN_METRICS_LISTEN", "127.0.0.1:0")
        .with_variable("SERVICE_NAME", "tickets")
        .with_variable("HONOKEN_RELEASE_VERSION", "1.2.3")
        .with_variable("GIT_SHA", "c0ffee")
        .with_variable("ENVIRONMENT", "staging");
    let mut serving = serve.start().await;
    let everybody = serving.request(Method::GET, "/metrics", HeaderMap::new(), "").await;
    assert_problem(&everybody, 404);
    let address = eventually(PATIENCE, "the address of the metrics", async || {
        let output = serving.output();
        let (_, rest) = output.split_once("metrics are answered at ")?;
        Some(rest.split_once("/metrics")?.0.to_owned())
    })
    .await;
    let metrics = Scrape::of(&format!("{address}/metrics")).await;
    let build = r#"honoken_build_info{environment="staging",git_sha="c0ffee",service_name="tickets",service_version="1.2.3"}"#;
    assert!((metrics.get(build) - 1.0).abs() < f64::EPSILON, "{metrics:#?}");
    assert!(
        (metrics.get(r#"honoken_requests_total{area="service",route="-",status="404"}"#) - 1.0).abs()
            < f64::EPSILON,
        "it counts what happens at the other door: {metrics:#?}"
    );
    let nothing_else = honoken_simulator::HttpClient::new()
        .request(Method::GET, &format!("{address}/health/live"), HeaderMap::new(), "")
        .await
        .unwrap();
    assert_problem(&nothing_else, 404);
    assert_eq!(serving.terminate().await.code(), Some(0));
}

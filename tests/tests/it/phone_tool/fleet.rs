//! Many phones at once.

use std::process::Stdio;

use honoken_tests::waiting::{PATIENCE, eventually};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::between::{Between, Meddling, Turn, an_answer};
use super::{SERIAL, Scene, ends, output, text};

/// The figures of one route.
#[track_caller]
fn route<'report>(report: &'report Value, name: &str) -> &'report Value {
    let routes = report["routes"].as_array().expect("the routes");
    routes.iter().find(|route| route["route"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

#[tokio::test]
async fn every_phone_registers_lists_fetches_asks_again_and_leaves() {
    let scene = Scene::is_set().await;
    let between = Between::starts(&scene.url(), Meddling::none()).await;
    let arguments =
        ["--count", "40", "--concurrency", "8", "--rounds", "2", "--json", "--server", &between.url];
    let ran = scene.reads(&output(scene.phones(&arguments)).await);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{:#}", ran.report);
    for (name, statuses) in [
        ("register", json!({ "201": 40 })),
        ("firstList", json!({ "200": 40 })),
        ("get", json!({ "200": 40 })),
        ("getAgain", json!({ "304": 40 })),
        ("list", json!({ "204": 80 })),
        ("unregister", json!({ "200": 40 })),
    ] {
        let route = route(&ran.report, name);
        assert_eq!(route["statuses"], statuses, "{name}");
        assert_eq!((&route["unexpected"], &route["unanswered"]), (&json!(0), &json!(0)));
        let times = ["p50Ms", "p90Ms", "p99Ms", "maxMs"].map(|name| route[name].as_f64().unwrap());
        assert!(times[0] > 0.0 && times.is_sorted(), "{name}: {times:?}");
    }
    assert_eq!((&ran.report["phones"], &ran.report["requests"]), (&json!(40), &json!(280)));
    assert_eq!((&ran.report["stillRegistered"], &ran.report["interrupted"]), (&json!(0), &json!(false)));
    assert_eq!(scene.registrations().await, 0);
    // One more has looked whether there is anybody.
    assert!(between.most_connections() <= 9, "{} connections", between.most_connections());
}

#[tokio::test]
async fn the_table_says_the_same_to_people() {
    let scene = Scene::is_set().await;
    let output = output(scene.phones(&["--count", "5", "--concurrency", "2"])).await;
    let table = text(&output.stdout);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    assert!(line("register").ends_with("201: 5") && line("get if modified").ends_with("304: 5"), "{table}");
    for title in ["requests", "p50 ms", "p90 ms", "p99 ms", "max ms", "statuses"] {
        assert!(table.lines().next().unwrap().contains(title), "{table}");
    }
    assert!(
        table.contains("5 phones, 25 requests in ") && table.ends_with("still registered: 0\n"),
        "{table}"
    );
}

#[tokio::test]
async fn phones_that_are_kept_stay_and_several_passes_are_given_out_in_turn() {
    let scene = Scene::is_set().await;
    let folder = scene.honoken.home().folder().join("passes");
    std::fs::create_dir(&folder).unwrap();
    for serial in ["B-1", "B-2", "B-3"] {
        scene.integrator.issues(serial).await;
        std::fs::write(folder.join(format!("{serial}.pkpass")), scene.integrator.downloads(serial).await)
            .unwrap();
    }
    std::fs::write(folder.join("notes.txt"), "no pass").unwrap();
    let mut command = scene.honoken.home().command(&["phones", "--count", "9", "--keep", "--json", "--pass"]);
    command.arg(&folder).arg("--pass").arg(&scene.pass);
    let ran = scene.reads(&output(command).await);
    assert_eq!((ran.code, &ran.report["stillRegistered"]), (Some(0), &json!(9)), "{:#}", ran.report);
    for (serial, expected) in [("B-1", 3), ("B-2", 2), ("B-3", 2), (SERIAL, 2)] {
        assert_eq!(scene.integrator.state(serial).await["registrations"], expected, "{serial}");
    }
}

#[tokio::test]
async fn answers_that_no_phone_expects_are_counted_and_end_with_1() {
    let scene = Scene::is_set().await;
    let busy = Meddling::with_requests(|asked| {
        let get = asked.is_get_pass();
        if get { Turn::Answer(an_answer(503, "")) } else { Turn::Forward(asked) }
    });
    let between = Between::starts(&scene.url(), busy).await;
    let arguments = ["--count", "4", "--json", "--server", &between.url];
    let ran = scene.reads(&output(scene.phones(&arguments)).await);
    assert_eq!(ran.code, Some(1));
    let get = route(&ran.report, "get");
    assert_eq!((&get["statuses"], &get["unexpected"]), (&json!({ "503": 4 }), &json!(4)));
    assert_eq!(get["firstFailure"], "answered with 503");
    assert_eq!(scene.registrations().await, 0, "they leave all the same");

    let silent = Meddling::with_requests(|asked| {
        if asked.method == Method::DELETE { Turn::Silence } else { Turn::Forward(asked) }
    });
    let between = Between::starts(&scene.url(), silent).await;
    let arguments = ["--count", "3", "--json", "--timeout", "1", "--server", &between.url];
    let ran = scene.reads(&output(scene.phones(&arguments)).await);
    let unregister = route(&ran.report, "unregister");
    assert_eq!((ran.code, &unregister["unanswered"]), (Some(1), &json!(3)));
    assert!(unregister["firstFailure"].as_str().unwrap().contains("within 1s"), "{unregister}");
    assert_eq!(ran.report["stillRegistered"], json!(3));
    assert_eq!(scene.registrations().await, 3);

    let table = text(
        &output(scene.phones(&["--count", "2", "--timeout", "1", "--server", &between.url])).await.stdout,
    );
    assert!(
        table.contains("no answer: 2") && table.contains("not as expected: unregister, 2 times"),
        "{table}"
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_a_failure_in_spite_of_its_status() {
    let scene = Scene::is_set().await;
    let odd = Meddling::with_answers(|asked, answer| {
        let list = asked.is_list() && answer.status == StatusCode::OK;
        if list { an_answer(200, r#"{"serialNumbers": [1]}"#) } else { answer }
    });
    let between = Between::starts(&scene.url(), odd).await;
    let ran = scene.reads(&output(scene.phones(&["--count", "2", "--json", "--server", &between.url])).await);
    let list = route(&ran.report, "firstList");
    assert_eq!((ran.code, &list["unexpected"]), (Some(1), &json!(2)));
    assert!(list["firstFailure"].as_str().unwrap().contains("malformed"), "{list}");

    let long = Meddling::with_answers(|asked, answer| {
        let list = asked.is_list() && answer.status == StatusCode::OK;
        let long = json!({ "serialNumbers": [SERIAL], "lastUpdated": "9".repeat(2_000) });
        if list { an_answer(200, long.to_string()) } else { answer }
    });
    let between = Between::starts(&scene.url(), long).await;
    let ran = scene.reads(&output(scene.phones(&["--count", "2", "--json", "--server", &between.url])).await);
    assert_eq!(route(&ran.report, "firstList")["firstFailure"], "a tag of 2000 bytes");
}

#[tokio::test]
async fn a_fleet_that_is_interrupted_leaves() {
    let scene = Scene::is_set().await;
    let server = scene.url();
    let arguments = ["--count", "20", "--rounds", "1000000", "--json", "--server", &server];
    let mut command = scene.phones(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    eventually(PATIENCE, "all are registered", async || (scene.registrations().await == 20).then_some(()))
        .await;
    let id = child.id().expect("it is running").to_string();
    let mut kill = tokio::process::Command::new("/bin/bash");
    assert!(kill.args(["-c", "kill -s INT \"$0\"", &id]).status().await.expect("bash").success());
    let ran = scene.reads(&ends(child).await);
    assert_eq!((&ran.report["interrupted"], &ran.report["stillRegistered"]), (&json!(true), &json!(0)));
    assert_eq!((ran.code, scene.registrations().await), (Some(0), 0));
}

//! One fault at a time, and the rules that it breaks: these, and no others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use honoken_simulator::Answer;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::between::{Asked, Between, Meddling, Turn, an_answer};
use super::{SERIAL, Scene};

/// Plays against the service behind this meddling: ends with 1, and breaks exactly these rules.
async fn assert_breaks(scene: &Scene, meddling: Meddling, rules: &[&str]) -> super::Ran {
    let between = Between::starts(&scene.url(), meddling).await;
    let ran = scene.tries_out(&between.url, &[]).await;
    assert_eq!(ran.rules("broken"), rules, "{:#}", ran.report);
    assert_eq!((ran.code, ran.report["summary"]["broken"].as_u64()), (Some(1), Some(rules.len() as u64)));
    ran
}

/// Like [`assert_breaks`], and nothing stays behind.
async fn assert_breaks_and_leaves(scene: &Scene, meddling: Meddling, rules: &[&str]) -> super::Ran {
    let ran = assert_breaks(scene, meddling, rules).await;
    assert_eq!(scene.registrations().await, 0, "somebody is still registered: {:#}", ran.report);
    assert_eq!(ran.report["leftBehind"], json!([]));
    ran
}

fn with_status(answer: Answer, from: u16, to: u16) -> Answer {
    if answer.status.as_u16() != from {
        return answer;
    }
    Answer { status: StatusCode::from_u16(to).expect("a status"), ..answer }
}

fn with_header(mut answer: Answer, name: HeaderName, value: Option<&'static str>) -> Answer {
    answer.headers.remove(&name);
    answer.headers.extend(value.map(|value| (name, HeaderValue::from_static(value))));
    answer
}

/// With another list, where there is one.
fn with_list(asked: &Asked, answer: Answer, change: impl Fn(&mut Value)) -> Answer {
    if !asked.is_list() || answer.status != StatusCode::OK {
        return answer;
    }
    let mut list = answer.json();
    change(&mut list);
    Answer { body: list.to_string().into(), ..answer }
}

fn names_another(asked: &Asked) -> bool {
    !asked.target.contains(SERIAL)
}

#[tokio::test]
async fn statuses_that_phones_do_not_take_are_named() {
    let scene = Scene::is_set().await;
    let unknown =
        Meddling::with_answers(
            |asked, answer| {
                if names_another(asked) { with_status(answer, 401, 404) } else { answer }
            },
        );
    let rules =
        ["register.unknown-serial-is-401", "get.unknown-serial-is-401", "unregister.unknown-serial-is-401"];
    let ran = assert_breaks_and_leaves(&scene, unknown, &rules).await;
    assert!(ran.seen("get.unknown-serial-is-401").starts_with("404 Not Found"));

    let lists = Meddling::with_answers(
        |asked, answer| {
            if asked.is_list() { with_status(answer, 204, 404) } else { answer }
        },
    );
    let rules = [
        "register.refused-leaves-nothing",
        "list.unknown-device-is-204",
        "list.nothing-new-is-204",
        "list.other-type-is-204",
        "unregister.ends-the-list",
    ];
    assert_breaks_and_leaves(&scene, lists, &rules).await;

    let natural = Meddling::with_answers(|asked, answer| {
        if asked.is_unregistration() { with_status(answer, 200, 204) } else { answer }
    });
    assert_breaks_and_leaves(&scene, natural, &["unregister.is-200", "unregister.again-is-200"]).await;

    let always_200 =
        Meddling::with_answers(
            |asked, answer| {
                if asked.is_registration() { with_status(answer, 201, 200) } else { answer }
            },
        );
    let rules = ["register.new-is-201", "register.after-unregistering-is-201"];
    assert_breaks_and_leaves(&scene, always_200, &rules).await;

    let conflict =
        Meddling::with_answers(
            |asked, answer| {
                if asked.is_registration() { with_status(answer, 200, 409) } else { answer }
            },
        );
    let rules = ["register.again-is-200", "register.new-push-token-is-200"];
    assert_breaks_and_leaves(&scene, conflict, &rules).await;

    let no_head = Meddling::with_answers(|asked, answer| {
        if asked.method == Method::HEAD { with_status(answer, 200, 405) } else { answer }
    });
    assert_breaks_and_leaves(&scene, no_head, &["get.head-is-like-get"]).await;

    let no_log = Meddling::with_requests(|asked| {
        let log = asked.target.ends_with("/log");
        if log { Turn::Answer(an_answer(500, "no such table")) } else { Turn::Forward(asked) }
    });
    let ran = assert_breaks_and_leaves(&scene, no_log, &["log.is-200", "any.no-server-error"]).await;
    assert_eq!(ran.seen("log.is-200"), "500 Internal Server Error: no such table");
}

#[tokio::test]
async fn a_service_that_takes_any_token_is_found_out() {
    let scene = Scene::is_set().await;
    let token = scene.token.clone();
    let open = Meddling::with_requests(move |asked| {
        let shown = format!("ApplePass {token}");
        Turn::Forward(asked.with(header::AUTHORIZATION, Some(&shown)))
    });
    let rules = [
        "register.wrong-token-is-401",
        "register.no-token-is-401",
        "get.wrong-token-is-401",
        "get.no-token-is-401",
        "unregister.wrong-token-is-401",
        "unregister.no-token-is-401",
        "unregister.refused-changes-nothing",
    ];
    assert_breaks_and_leaves(&scene, open, &rules).await;

    let hasty = Meddling::with_requests(|asked| {
        let since = asked.is_get_pass() && asked.headers.contains_key(header::IF_MODIFIED_SINCE);
        if since { Turn::Answer(an_answer(304, "")) } else { Turn::Forward(asked) }
    });
    let rules = [
        "get.older-date-is-200",
        "get.unreadable-date-is-200",
        "get.304-repeats-the-etag",
        "get.wrong-token-is-401",
    ];
    assert_breaks_and_leaves(&scene, hasty, &rules).await;
}

#[tokio::test]
async fn lists_that_phones_do_not_understand_are_named() {
    let scene = Scene::is_set().await;
    let number = Meddling::with_answers(|asked, answer| {
        with_list(asked, answer, |list| list["lastUpdated"] = json!(42))
    });
    let ran = assert_breaks_and_leaves(&scene, number, &["list.is-strings"]).await;
    assert!(ran.rules("notReached").contains(&"list.nothing-new-is-204"));

    let no_tag = Meddling::with_answers(|asked, answer| {
        with_list(asked, answer, |list| drop(list.as_object_mut().unwrap().remove("lastUpdated")))
    });
    assert_breaks_and_leaves(&scene, no_tag, &["list.is-strings"]).await;

    let stale = Meddling::with_answers(|asked, answer| {
        with_list(asked, answer, |list| list["lastUpdated"] = json!("0000000000"))
    });
    assert_breaks_and_leaves(&scene, stale, &["list.nothing-new-is-204"]).await;

    let html = Meddling::with_answers(|asked, answer| {
        if asked.is_list() { with_header(answer, header::CONTENT_TYPE, Some("text/html")) } else { answer }
    });
    assert_breaks_and_leaves(&scene, html, &["list.is-json"]).await;

    let strangers = Meddling::with_answers(|asked, answer| {
        with_list(asked, answer, |list| list["serialNumbers"] = json!([SERIAL, "B-2"]))
    });
    assert_breaks_and_leaves(&scene, strangers, &["list.names-only-registered"]).await;

    let twice = Meddling::with_answers(|asked, answer| {
        with_list(asked, answer, |list| list["serialNumbers"] = json!([SERIAL, SERIAL]))
    });
    assert_breaks_and_leaves(&scene, twice, &["list.names-each-once"]).await;

    let strict = Meddling::with_requests(|asked| {
        let foreign = asked.target.contains("passesUpdatedSince=2014");
        if foreign { Turn::Answer(an_answer(400, "no such tag")) } else { Turn::Forward(asked) }
    });
    assert_breaks_and_leaves(&scene, strict, &["list.foreign-tag-is-no-error"]).await;

    // 200 with an empty list where 204 is due, and the other way round.
    let empty = Meddling::with_answers(|asked, answer| match (asked.is_list(), answer.status.as_u16()) {
        (true, 200) => an_answer(204, ""),
        (true, 204) => an_answer(200, r#"{"serialNumbers": [], "lastUpdated": "1"}"#),
        _ => answer,
    });
    let rules = [
        "register.refused-leaves-nothing",
        "list.unknown-device-is-204",
        "list.first-names-all",
        "list.other-type-is-204",
        "unregister.refused-changes-nothing",
        "unregister.ends-the-list",
    ];
    assert_breaks_and_leaves(&scene, empty, &rules).await;
}

#[tokio::test]
async fn passes_that_phones_do_not_take_are_named() {
    let scene = Scene::is_set().await;
    let bytes = Meddling::with_answers(|_, answer| {
        if answer.header("content-type") != Some("application/vnd.apple.pkpass") {
            return answer;
        }
        with_header(answer, header::CONTENT_TYPE, Some("application/octet-stream"))
    });
    assert_breaks_and_leaves(&scene, bytes, &["get.is-pkpass"]).await;

    let cut = Meddling::with_answers(|asked, answer| {
        let half = answer.body.len() / 2;
        let cut = asked.is_get_pass() && answer.status == StatusCode::OK;
        if cut { Answer { body: answer.body.slice(..half), ..answer } } else { answer }
    });
    assert_breaks_and_leaves(&scene, cut, &["get.is-a-valid-file"]).await;

    scene.integrator.issues("B-2").await;
    let other = scene.integrator.downloads("B-2").await;
    let wrong = Meddling::with_answers(move |asked, answer| {
        let wrong = asked.is_get_pass() && answer.status == StatusCode::OK;
        if wrong { Answer { body: other.clone(), ..answer } } else { answer }
    });
    let ran =
        assert_breaks_and_leaves(&scene, wrong, &["get.is-the-requested-pass", "get.keeps-the-token"]).await;
    assert!(ran.seen("get.is-the-requested-pass").contains("B-2"));

    let public = Meddling::with_answers(|_, answer| {
        with_header(answer, header::CACHE_CONTROL, Some("public, max-age=60"))
    });
    assert_breaks_and_leaves(&scene, public, &["get.is-not-for-shared-caches"]).await;

    // Every second fetch sees another version.
    let turn = AtomicBool::new(false);
    let before = scene.integrator.downloads(SERIAL).await;
    scene.integrator.moves_to(SERIAL, "14C").await;
    let versions = [before, scene.integrator.downloads(SERIAL).await];
    let restless = Meddling::with_answers(move |asked, answer| {
        if !asked.is_get_pass() || answer.status != StatusCode::OK {
            return answer;
        }
        let at = usize::from(turn.fetch_not(Ordering::SeqCst));
        Answer { body: versions[at].clone(), ..answer }
    });
    assert_breaks_and_leaves(&scene, restless, &["get.same-state-same-manifest"]).await;
}

#[tokio::test]
async fn conditions_that_are_not_honoured_are_named() {
    let scene = Scene::is_set().await;
    let undated = Meddling::with_answers(|_, answer| with_header(answer, header::LAST_MODIFIED, None));
    let ran = assert_breaks_and_leaves(&scene, undated, &["get.has-last-modified"]).await;
    assert!(ran.rules("notReached").contains(&"get.unchanged-is-304"));

    let odd = Meddling::with_answers(|_, answer| {
        let dated = answer.headers.contains_key(header::LAST_MODIFIED);
        if dated { with_header(answer, header::LAST_MODIFIED, Some("2026-11-21T09:00:00Z")) } else { answer }
    });
    let rules = ["get.has-last-modified", "get.unchanged-is-304"];
    assert_breaks_and_leaves(&scene, odd, &rules).await;

    let deaf = Meddling::with_requests(|asked| Turn::Forward(asked.with(header::IF_MODIFIED_SINCE, None)));
    assert_breaks_and_leaves(&scene, deaf, &["get.unchanged-is-304"]).await;

    let deaf = Meddling::with_requests(|asked| Turn::Forward(asked.with(header::IF_NONE_MATCH, None)));
    assert_breaks_and_leaves(&scene, deaf, &["get.same-etag-is-304"]).await;

    let any = Meddling::with_requests(|asked| {
        let conditional = asked.headers.contains_key(header::IF_NONE_MATCH);
        Turn::Forward(if conditional { asked.with(header::IF_NONE_MATCH, Some("*")) } else { asked })
    });
    assert_breaks_and_leaves(&scene, any, &["get.other-etag-is-200"]).await;

    let forgetful = Meddling::with_answers(|_, answer| {
        let unchanged = answer.status == StatusCode::NOT_MODIFIED;
        if unchanged { with_header(answer, header::ETAG, None) } else { answer }
    });
    assert_breaks_and_leaves(&scene, forgetful, &["get.304-repeats-the-etag"]).await;

    let without = Meddling::with_answers(|_, answer| with_header(answer, header::ETAG, None));
    let between = Between::starts(&scene.url(), without).await;
    let ran = scene.tries_out(&between.url, &[]).await;
    assert_eq!(ran.code, Some(0), "an ETag is not demanded: {:#}", ran.report);
    assert!(ran.rules("notReached").contains(&"get.same-etag-is-304"));
}

#[tokio::test]
async fn registrations_that_are_not_what_they_seem_are_named() {
    let scene = Scene::is_set().await;
    let lenient = Meddling::with_requests(|asked| {
        let empty = asked.is_registration() && asked.body == "{}";
        if empty { Turn::Answer(an_answer(201, "")) } else { Turn::Forward(asked) }
    });
    let ran = assert_breaks_and_leaves(&scene, lenient, &["register.without-push-token-is-400"]).await;
    assert!(ran.rules("notReached").contains(&"register.refused-leaves-nothing"));

    let jealous = Mutex::new(false);
    let jealous = Meddling::with_answers(move |asked, answer| {
        let mut left = jealous.lock().unwrap();
        *left |= asked.is_unregistration() && answer.status == StatusCode::OK;
        if *left && asked.is_get_pass() { an_answer(404, "") } else { answer }
    });
    assert_breaks_and_leaves(&scene, jealous, &["get.needs-no-registration"]).await;

    let deaf = Meddling::with_requests(|asked| {
        if asked.is_registration() { Turn::Answer(an_answer(403, "")) } else { Turn::Forward(asked) }
    });
    let rules = [
        "register.new-is-201",
        "register.wrong-token-is-401",
        "register.no-token-is-401",
        "register.unknown-serial-is-401",
    ];
    let ran = assert_breaks_and_leaves(&scene, deaf, &rules).await;
    let not_reached = ran.rules("notReached");
    assert!(not_reached.contains(&"list.first-names-all") && not_reached.contains(&"unregister.is-200"));
    assert!(ran.rules("kept").contains(&"get.unchanged-is-304"), "fetching needs no registration");

    // Says yes to the end of a registration, and keeps it.
    let shown = format!("ApplePass {}", scene.token);
    let clinging = Meddling::with_requests(move |asked| {
        let right = asked.header(header::AUTHORIZATION) == Some(&shown) && asked.target.contains(SERIAL);
        let swallowed = asked.is_unregistration() && right;
        if swallowed { Turn::Answer(an_answer(200, "")) } else { Turn::Forward(asked) }
    });
    let rules = ["register.after-unregistering-is-201", "unregister.ends-the-list"];
    assert_breaks(&scene, clinging, &rules).await;

    // Says no, whatever the token: what stays behind is said.
    let stubborn = Meddling::with_requests(move |asked| {
        if asked.is_unregistration() { Turn::Answer(an_answer(401, "")) } else { Turn::Forward(asked) }
    });
    let ran = assert_breaks(&scene, stubborn, &["unregister.is-200"]).await;
    let left = ran.report["leftBehind"][0].as_str().expect("somebody is still registered");
    assert!(left.contains(SERIAL), "{left}");
}

#[tokio::test]
async fn redirects_silence_and_bodies_without_end_are_named() {
    let scene = Scene::is_set().await;
    let moved = Meddling::with_requests(|asked| {
        if !asked.is_get_pass() {
            return Turn::Forward(asked);
        }
        let answer = an_answer(302, "");
        Turn::Answer(with_header(answer, header::LOCATION, Some("https://storage.example.com/pass")))
    });
    let rules = [
        "get.is-200",
        "get.wrong-token-is-401",
        "get.no-token-is-401",
        "get.unknown-serial-is-401",
        "get.unknown-type-is-401",
        "get.needs-no-registration",
        "any.no-redirect",
    ];
    let ran = assert_breaks_and_leaves(&scene, moved, &rules).await;
    assert_eq!(ran.seen("get.is-200"), "302 Found to https://storage.example.com/pass");

    let silent =
        Meddling::with_requests(
            |asked| {
                if asked.is_get_pass() { Turn::Silence } else { Turn::Forward(asked) }
            },
        );
    let ran = assert_breaks_and_leaves(&scene, silent, &["any.answers-in-time"]).await;
    assert!(ran.rules("notReached").contains(&"get.is-200"));

    let endless =
        Meddling::with_requests(
            |asked| {
                if asked.is_get_pass() { Turn::Endless } else { Turn::Forward(asked) }
            },
        );
    assert_breaks_and_leaves(&scene, endless, &["any.answers-in-time"]).await;
}

#[tokio::test]
async fn what_a_service_says_reaches_the_report_without_secrets_and_without_steering_the_terminal() {
    let scene = Scene::is_set().await;
    let parrot = Meddling::with_requests(|asked| {
        if !asked.is_get_pass() {
            return Turn::Forward(asked);
        }
        let shown = asked.header(header::AUTHORIZATION).unwrap_or_default().to_owned();
        Turn::Answer(an_answer(
            418,
            format!("\u{1b}[31m{shown} asked for {} {}", asked.target, "x".repeat(5_000)),
        ))
    });
    let between = Between::starts(&scene.url(), parrot).await;
    let ran = scene.tries_out(&between.url, &[]).await;
    let seen = ran.seen("get.is-200");
    assert!(seen.starts_with("418 I'm a teapot:  [31mApplePass [redacted] asked for /v1/passes/"), "{seen}");
    assert!(seen.chars().count() < 250, "{seen}");
}

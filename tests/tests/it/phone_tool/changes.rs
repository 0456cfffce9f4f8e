//! A change while the tool waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use honoken_simulator::Answer;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::between::{Between, Meddling, Turn, an_answer};
use super::{Ran, SERIAL, Scene, ends, starts_and_waits};

const RULES: [&str; 8] = [
    "change.is-listed",
    "change.is-never-hidden",
    "change.has-a-new-tag",
    "change.is-sent",
    "change.has-a-new-date",
    "change.keeps-the-token",
    "change.settles",
    "change.is-listed-to-latecomers",
];

/// Waits with the tool, and changes the pass when it says so.
async fn sees_a_change(scene: &Scene, server: &str, seat: &str, before: impl FnOnce()) -> Ran {
    let command = scene.phone(&["--json", "--wait", "60", "--server", server]);
    let child = starts_and_waits(command).await;
    before();
    scene.integrator.moves_to(SERIAL, seat).await;
    scene.reads(&ends(child).await)
}

/// Meddling that begins when the pass is about to change.
async fn assert_breaks(
    scene: &Scene,
    seat: &str,
    meddling: impl FnOnce(Arc<AtomicBool>) -> Meddling,
    rules: &[&str],
) {
    let changes = Arc::new(AtomicBool::new(false));
    let between = Between::starts(&scene.url(), meddling(Arc::clone(&changes))).await;
    let ran = sees_a_change(scene, &between.url, seat, || changes.store(true, Ordering::SeqCst)).await;
    assert_eq!(ran.rules("broken"), rules, "{:#}", ran.report);
    assert_eq!((ran.code, scene.registrations().await), (Some(1), 0));
}

#[tokio::test]
async fn a_change_while_it_waits_is_judged_and_our_service_keeps_every_rule() {
    let scene = Scene::is_set().await;
    let ran = sees_a_change(&scene, &scene.url(), "14C", || {}).await;
    assert_eq!(ran.code, Some(0), "{:#}", ran.report);
    assert_eq!(ran.rules("notReached"), ["any.is-https"]);
    let kept = ran.rules("kept");
    assert!(RULES.iter().all(|rule| kept.contains(rule)), "{kept:?}");
    assert_eq!(scene.registrations().await, 0);
}

#[tokio::test]
async fn without_a_change_the_rules_about_changes_are_not_reached() {
    let scene = Scene::is_set().await;
    for (arguments, why) in [(&[][..], "--wait SECONDS"), (&["--wait", "1"], "within 1 s")] {
        let ran = scene.tries_out(&scene.url(), arguments).await;
        assert_eq!(ran.code, Some(0));
        let not_reached = ran.rules("notReached");
        assert!(RULES.iter().all(|rule| not_reached.contains(rule)), "{not_reached:?}");
        let rules = ran.report["rules"].as_array().unwrap();
        let listed = rules.iter().find(|rule| rule["id"] == RULES[0]).unwrap();
        assert!(listed["why"].as_str().unwrap().contains(why), "{listed}");
    }
}

#[tokio::test]
async fn updates_that_are_lost_or_are_others_are_named() {
    let scene = Scene::is_set().await;
    let hidden = |changes: Arc<AtomicBool>| {
        Meddling::with_answers(move |asked, answer| {
            let hides = changes.load(Ordering::SeqCst) && asked.target.contains("passesUpdatedSince");
            if hides { an_answer(204, "") } else { answer }
        })
    };
    assert_breaks(&scene, "1", hidden, &["change.is-listed", "change.is-never-hidden"]).await;

    let stale = |changes: Arc<AtomicBool>| {
        Meddling::with_requests(move |asked| {
            let since = asked.is_get_pass() && asked.headers.contains_key(header::IF_MODIFIED_SINCE);
            let stale = changes.load(Ordering::SeqCst) && since;
            if stale { Turn::Answer(an_answer(304, "")) } else { Turn::Forward(asked) }
        })
    };
    assert_breaks(&scene, "2", stale, &["change.is-sent"]).await;

    let old = scene.integrator.downloads(SERIAL).await;
    let cached = |changes: Arc<AtomicBool>| {
        Meddling::with_answers(move |asked, answer| {
            let cached =
                changes.load(Ordering::SeqCst) && asked.is_get_pass() && answer.status == StatusCode::OK;
            if cached { Answer { body: old.clone(), ..answer } } else { answer }
        })
    };
    assert_breaks(&scene, "3", cached, &["change.is-sent"]).await;

    scene.integrator.issues("B-2").await;
    let other = scene.integrator.downloads("B-2").await;
    let swapped = |changes: Arc<AtomicBool>| {
        Meddling::with_answers(move |asked, answer| {
            let swaps =
                changes.load(Ordering::SeqCst) && asked.is_get_pass() && answer.status == StatusCode::OK;
            if swaps { Answer { body: other.clone(), ..answer } } else { answer }
        })
    };
    assert_breaks(&scene, "4", swapped, &["get.is-the-requested-pass", "change.keeps-the-token"]).await;

    let used_up = |changes: Arc<AtomicBool>| {
        let told = AtomicBool::new(false);
        Meddling::with_answers(move |asked, answer| {
            let first_tag = changes.load(Ordering::SeqCst) && asked.target.contains("passesUpdatedSince");
            if !first_tag || answer.status != StatusCode::OK || !told.swap(true, Ordering::SeqCst) {
                return answer;
            }
            an_answer(204, "")
        })
    };
    assert_breaks(&scene, "5", used_up, &["change.is-listed-to-latecomers"]).await;
}

#[tokio::test]
async fn tags_and_dates_that_stay_are_named() {
    let scene = Scene::is_set().await;
    let same_tag = |_| {
        let first = Mutex::new(None);
        Meddling::with_answers(move |asked, answer| {
            if !asked.is_list() || answer.status != StatusCode::OK {
                return answer;
            }
            let mut list = answer.json();
            let mut first = first.lock().unwrap();
            let tag = first.get_or_insert_with(|| list["lastUpdated"].clone());
            list["lastUpdated"] = tag.clone();
            Answer { body: list.to_string().into(), ..answer }
        })
    };
    assert_breaks(&scene, "1", same_tag, &["change.has-a-new-tag", "change.settles"]).await;

    let no_tag = |changes: Arc<AtomicBool>| {
        Meddling::with_answers(move |asked, answer| {
            let changed = changes.load(Ordering::SeqCst) && asked.target.contains("passesUpdatedSince");
            if !changed || answer.status != StatusCode::OK {
                return answer;
            }
            Answer { body: json!({ "serialNumbers": [SERIAL] }).to_string().into(), ..answer }
        })
    };
    assert_breaks(&scene, "2", no_tag, &["list.is-strings", "change.has-a-new-tag"]).await;

    // A date that does not move, as one of whole seconds does not when a pass changes twice in one.
    let same_date = |_| {
        let first: Arc<Mutex<Option<HeaderValue>>> = Arc::default();
        Meddling::with_answers(move |_, mut answer| {
            if let Some(date) = answer.headers.get(header::LAST_MODIFIED).cloned() {
                let first = first.lock().unwrap().get_or_insert(date).clone();
                answer.headers.insert(header::LAST_MODIFIED, first);
            }
            answer
        })
    };
    assert_breaks(&scene, "3", same_date, &["change.has-a-new-date", "change.settles"]).await;
}

#[tokio::test]
async fn an_interruption_leaves_the_service_as_it_was() {
    let scene = Scene::is_set().await;
    for signal in ["INT", "TERM"] {
        let child =
            starts_and_waits(scene.phone(&["--json", "--wait", "600", "--server", &scene.url()])).await;
        assert_eq!(scene.registrations().await, 1, "it is registered while it waits");
        let id = child.id().expect("it is running").to_string();
        let mut kill = tokio::process::Command::new("/bin/bash");
        assert!(
            kill.args(["-c", "kill -s \"$0\" \"$1\"", signal, &id]).status().await.expect("bash").success()
        );
        let ran = scene.reads(&ends(child).await);
        assert_eq!(scene.registrations().await, 0, "SIG{signal}");
        assert!(ran.rules("notReached").contains(&"unregister.is-200"), "{:#}", ran.report);
    }
}

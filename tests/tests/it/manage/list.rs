//! Lists of passes, page by page and by the words on them.

use std::collections::BTreeSet;

use honoken_tests::problem::assert_problem;
use honoken_tests::{Credentials, Integrator, a_ticket};
use http::StatusCode;
use serde_json::Value;

use super::a_service_with_a_pass;
use crate::a_service;

fn names(passes: &[Value]) -> Vec<(String, String)> {
    let text = |pass: &Value, key: &str| pass[key].as_str().expect("a text").to_owned();
    passes.iter().map(|pass| (text(pass, "passTypeIdentifier"), text(pass, "serialNumber"))).collect()
}

#[tokio::test]
async fn a_listed_pass_is_its_state_without_what_is_on_it() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass: Credentials = integrator.credentials("A-1").await;
    honoken.devices().register("phone", "token", &pass).await.assert_status(StatusCode::CREATED);
    let (listed, _) = integrator.lists("").await;
    let listed = listed.iter().find(|pass| pass["serialNumber"] == "A-1").unwrap();
    let mut state = integrator.state("A-1").await;
    for beside in ["content", "assets", "deliveries"] {
        state.as_object_mut().unwrap().remove(beside);
    }
    assert_eq!(*listed, state);
    assert_eq!(listed["registrations"], 1);
}

#[tokio::test]
async fn pages_meet_every_pass_once_while_passes_are_issued_and_changed() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for number in 0..30 {
        integrator.issues(&format!("P-{:02}", number * 11 % 30)).await;
    }
    let there: BTreeSet<_> = names(&integrator.lists("limit=200").await.0).into_iter().collect();
    assert_eq!(there.len(), 31, "with the sample of `dev`");
    for query in ["", "q=p-", "passTypeIdentifier=pass.dev.honoken.event"] {
        let mut round = 0;
        let meanwhile = async || {
            round += 1;
            integrator.moves_to("P-00", &format!("{query}{round}")).await;
            integrator.moves_to("P-29", &format!("{query}{round}")).await;
            integrator.issues(&format!("{query}A{round}")).await;
            integrator.issues(&format!("P-{round}-{query}")).await;
        };
        let met = names(&integrator.lists_all(query, 4, meanwhile).await);
        assert!(met.is_sorted_by(|one, next| one < next), "{met:?}");
        let met: BTreeSet<_> = met.into_iter().collect();
        let expected = there.iter().filter(|(_, serial)| query != "q=p-" || serial.starts_with("P-"));
        assert!(expected.clone().all(|pass| met.contains(pass)), "a pass was skipped");
    }
}

#[tokio::test]
async fn there_are_50_on_a_page_unless_asked_otherwise() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for number in 0..51 {
        integrator.issues(&format!("P-{number:02}")).await;
    }
    let (passes, next) = integrator.lists("").await;
    assert_eq!((passes.len(), next.is_some()), (50, true));
    let (passes, next) = integrator.lists("limit=52").await;
    assert_eq!((passes.len(), next), (52, None));
    let (passes, next) = integrator.lists("limit=200").await;
    assert_eq!((passes.len(), next), (52, None));
    let (passes, next) = integrator.lists("limit=51").await;
    assert_eq!((passes.len(), next.is_some()), (51, true));
    let (last, next) = integrator.lists(&format!("cursor={}", next.unwrap())).await;
    assert_eq!((last.len(), next), (1, None));
}

#[tokio::test]
async fn passes_are_found_by_serial_number_and_by_the_words_on_them() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for (serial, event) in [("ORDER-7", "Die Zauberflöte"), ("ORDER-8", "Tosca")] {
        let mut content = a_ticket("14C");
        content["eventName"] = event.into();
        integrator.issues_with(serial, &content).await;
    }
    for (query, expected) in [
        ("q=order-7", &["ORDER-7"][..]),
        ("q=ZAUBERFL%C3%96TE", &["ORDER-7"]),
        ("q=zauber+14c", &["ORDER-7"]),
        ("q=die%20tosca", &[]),
        ("q=order", &["ORDER-7", "ORDER-8"]),
        ("q=order&passTypeIdentifier=pass.dev.honoken.event", &["ORDER-7", "ORDER-8"]),
        ("q=order&passTypeIdentifier=pass.nobody", &[]),
        ("q=opening+town", &["SAMPLE-1"]),
    ] {
        assert_eq!(integrator.lists_serials(query).await, expected, "{query}");
    }
    integrator.moves_to("ORDER-7", "2B").await;
    assert_eq!(integrator.lists_serials("q=zauber").await, [] as [&str; 0]);
    assert_eq!(integrator.lists_serials("q=14c").await, ["ORDER-8"]);
    assert_eq!(integrator.lists_serials("q=2b").await, ["ORDER-7"]);
    assert_eq!(integrator.lists_serials("q=").await.len(), 3, "nothing is asked for");
}

#[tokio::test]
async fn another_organisation_sees_none_of_them() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let (_, next) = integrator.lists("limit=1").await;
    honoken.terminate().await;
    honoken.storage().founds_another_organization("another-key", "pass.another").await;
    honoken.restart().await;
    let another: Integrator = honoken.integrator().with_authorization("Bearer another-key");
    for query in [
        "",
        "q=a-1",
        "q=opening",
        "passTypeIdentifier=pass.dev.honoken.event",
        "q=a&passTypeIdentifier=pass.dev.honoken.event",
        &format!("cursor={}", next.unwrap()),
    ] {
        let (passes, next) = another.lists(query).await;
        assert_eq!((passes, next), (vec![], None), "{query}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_understood_is_refused_by_name() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let long = format!("q={}", "x".repeat(257));
    for (query, name) in [
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=cGFzcw", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=1", "limit"),
        ("passTypeIdentifier=nonsense", "passTypeIdentifier"),
        ("passTypeIdentifier=", "passTypeIdentifier"),
        ("Limit=1", "Limit"),
        ("offset=3", "offset"),
        ("q=%ff", "q"),
        ("q=a%00b", "q"),
        ("q=%25", "q"),
        ("q=a+b+c+d+e+f+g+h+i", "q"),
        (&long, "q"),
    ] {
        let problem = assert_problem(&integrator.list(query).await, 422);
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{name}`")), "{query}: {problem}");
    }
}

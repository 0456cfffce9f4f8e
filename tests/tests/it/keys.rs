//! API keys on the command line.

use honoken_tests::Engine;
use honoken_tests::waiting::{PATIENCE, eventually};
use http::StatusCode;
use serde_json::Value;

use crate::certs::{Office, integrator, issues, said};

async fn listed(office: &Office) -> Value {
    serde_json::from_str(&office.does(&["keys", "list", "--json"]).await).expect("JSON")
}

/// The name of the key with this label.
async fn name_of(office: &Office, label: &str) -> String {
    let keys = listed(office).await;
    let mut keys = keys.as_array().expect("a list").iter();
    let key = keys.find(|key| key["label"] == label).expect("the key is listed");
    key["key"].as_str().expect("a name").to_owned()
}

#[tokio::test]
async fn a_key_is_printed_once_and_alone_and_works() {
    let office = Office::new().await;
    office.is_set_up().await;
    let create = ["keys", "create", "--organization", "club", "--label", "till"];
    let output = office.runs(&create).await;
    let key = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && key.ends_with('\n') && key.lines().count() == 1, "{}", said(&output));
    let key = key.trim();
    assert!(key.starts_with("honoken_") && key.len() >= 43, "{key}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(key));
    let list = office.does(&["keys", "list"]).await;
    assert!(list.contains("club") && list.contains("till") && list.contains("valid"), "{list}");
    assert!(!list.contains(key));

    let serving = office.serves("serve").await;
    issues(&integrator(&serving, key), "A-1").await;
    let name = honoken_tests::etag::sha256(key.as_bytes())[..12].to_owned();
    assert!(list.contains(&name), "it is listed under the name that events have it by");
}

#[tokio::test]
async fn a_revoked_key_is_refused_without_a_restart_and_others_are_not() {
    let office = Office::new().await;
    office.is_set_up().await;
    let (till, gate) = (office.makes_api_key("till").await, office.makes_api_key("gate").await);
    let mut serving = office.serves("serve").await;
    issues(&integrator(&serving, &till), "A-1").await;
    issues(&integrator(&serving, &gate), "A-2").await;

    office.makes_room(&mut serving).await;
    let name = name_of(&office, "till").await;
    let told = office.does(&["keys", "revoke", &name]).await;
    assert!(told.contains(&name) && told.contains("till"), "{told}");
    let before = office.home.storage().recorded().await;
    office.does(&["keys", "revoke", &name]).await;
    assert_eq!(office.home.storage().recorded().await, before, "the second time changes nothing");
    office.goes_on(&mut serving).await;

    eventually(PATIENCE, "the key is refused", async || {
        let status = integrator(&serving, &till).get("A-1").await.status;
        (status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    integrator(&serving, &gate).state("A-1").await;
    office.makes_room(&mut serving).await;
    let keys = listed(&office).await;
    let revoked = |label: &str| {
        let key = keys.as_array().unwrap().iter().find(|key| key["label"] == label).unwrap();
        key["revoked"].as_bool().unwrap()
    };
    assert!(revoked("till") && !revoked("gate"));
}

#[tokio::test]
async fn a_key_that_is_not_there_an_organisation_of_another_name_and_a_key_itself_are_refused() {
    let office = Office::new().await;
    office.is_set_up().await;
    let key = office.makes_api_key("till").await;
    let before = office.home.storage().recorded().await;
    let refused = async |arguments: &[&str]| {
        let output = office.runs(arguments).await;
        assert!(!output.status.success() && output.stdout.is_empty(), "{}", said(&output));
        said(&output)
    };
    let said = refused(&["keys", "revoke", "0123456789ab"]).await;
    assert!(said.contains("honoken keys list"), "{said}");
    let said = refused(&["keys", "revoke", "0123"]).await;
    assert!(said.contains("12 hex digits"), "{said}");
    let said = refused(&["keys", "revoke", &key]).await;
    assert!(said.contains("12 hex digits"), "{said}");
    let said =
        refused(&["keys", "create", "--organization", "club", "--name", "Another", "--label", "x"]).await;
    assert!(said.contains("The Club") && said.contains("leave out --name"), "{said}");
    let said = refused(&["keys", "create", "--organization", "no spaces", "--label", "x"]).await;
    assert!(said.contains("organizationId"), "{said}");
    let said = refused(&["keys", "create", "--organization", "club", "--label", ""]).await;
    assert!(said.contains("--label"), "{said}");
    for wrong in ["passes:everything", "passes", "passes:write,", ""] {
        let said =
            refused(&["keys", "create", "--organization", "club", "--label", "x", "--scopes", wrong]).await;
        assert!(said.contains("there is no scope") && said.contains("`passes:import`"), "{wrong}: {said}");
    }
    for wrong in ["tomorrow", "2020-01-01T00:00:00Z", ""] {
        let arguments = ["keys", "create", "--organization", "club", "--label", "x", "--expires-at", wrong];
        let said = refused(&arguments).await;
        assert!(said.contains("--expires-at"), "{wrong}: {said}");
    }
    assert_eq!(office.home.storage().recorded().await, before);
}

#[tokio::test]
async fn a_key_is_listed_with_its_end() {
    let office = Office::new().await;
    office.is_set_up().await;
    let create = ["keys", "create", "--organization", "club", "--label", "fair"];
    office.does(&[&create[..], &["--expires-at", "2099-03-01T19:30:00+01:00"]].concat()).await;
    office.makes_api_key("till").await;
    let keys = listed(&office).await;
    let end = |label: &str| {
        let mut keys = keys.as_array().expect("a list").iter();
        keys.find(|key| key["label"] == label).expect("the key is listed")["expiresAt"].clone()
    };
    assert_eq!((end("fair"), end("till")), ("2099-03-01T18:30:00Z".into(), Value::Null));
    let list = office.does(&["keys", "list"]).await;
    assert!(list.contains("ENDS") && list.contains("2099-03-01"), "{list}");
}

#[tokio::test]
async fn a_key_is_listed_with_its_scopes() {
    let office = Office::new().await;
    office.is_set_up().await;
    office.makes_api_key("till").await;
    let create = ["keys", "create", "--organization", "club", "--label", "take-over"];
    office.does(&[&create[..], &["--scopes", "passes:import,passes:write"]].concat()).await;
    let scopes = async |label: &str| {
        let keys = listed(&office).await;
        let mut keys = keys.as_array().expect("a list").iter();
        keys.find(|key| key["label"] == label).expect("the key is listed")["scopes"].clone()
    };
    assert_eq!(scopes("take-over").await, serde_json::json!(["passes:write", "passes:import"]));
    let default = serde_json::json!([
        "passes:read",
        "passes:write",
        "assets:write",
        "links:write",
        "webhooks:write",
        "jobs:write",
        "templates:write"
    ]);
    assert_eq!(scopes("till").await, default);
    let list = office.does(&["keys", "list"]).await;
    assert!(list.contains("SCOPES") && list.contains("passes:write,passes:import"), "{list}");
}

#[tokio::test]
async fn a_folder_in_use_is_left_alone_with_a_word_on_what_to_do() {
    if Engine::leaves_out("on Postgres commands work beside the service") {
        return;
    }
    let office = Office::new().await;
    office.makes_api_key("till").await;
    let _serving = office.serves("serve").await;
    for arguments in [
        &["keys", "create", "--organization", "club", "--label", "x"][..],
        &["keys", "list"],
        &["keys", "revoke", "0123456789ab"],
        &["keys", "reseal"],
        &["apns-keys", "list"],
        &["certs", "list"],
        &["certs", "revoke", "--pass-type", "pass.com.example.ticket"],
    ] {
        let output = office.runs(arguments).await;
        let said = said(&output);
        assert!(
            !output.status.success() && said.contains("another process is using"),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("stop it and try again") && said.contains("Postgres"), "{arguments:?}: {said}");
    }
}

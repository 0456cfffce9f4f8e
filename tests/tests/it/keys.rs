//! API keys on the command line.

use std::os::unix::fs::PermissionsExt;

use honoken_tests::apple::{A_YEAR, Lasts};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Operator};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::certs::{KEY_TWO, Office, V1, V2, integrator, issues, said};

const PASSWORD: &str = "correct-horse-battery";

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
async fn a_mistyped_organisation_is_not_made_and_the_one_that_is_meant_is_named() {
    let office = Office::new().await;
    let certified = office.gets_certificate("first", A_YEAR).await;
    let install = office.installation(&certified, &["--organization", "club"]);
    let install: Vec<&str> = install.iter().map(String::as_str).collect();
    let told = office.is_refused(&install).await;
    assert!(told.contains("there is no organisation club") && told.contains("--name NAME"), "{told}");
    office.installs(&certified, &["--organization", "club", "--name", "The Club"]).await;

    let create = |id| ["keys", "create", "--organization", id, "--label", "till"];
    let told = office.is_refused(&create("clbu")).await;
    assert!(told.contains("is club meant?") && told.contains("--name NAME"), "{told}");
    let told = office.is_refused(&create("restaurant")).await;
    assert!(told.contains("there is no organisation restaurant") && !told.contains("meant"), "{told}");
    let named = [&create("clbu")[..], &["--name", "The Club"]].concat();
    let told = office.is_refused(&named).await;
    assert!(told.contains("is the name of club"), "a copied command with a mistyped id: {told}");

    let output = office.runs(&[&create("restaurant")[..], &["--name", "The Restaurant"]].concat()).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("made the organisation restaurant"), "{}", said(&output));
    office.does(&create("restaurant")).await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_without_a_restart_and_others_are_not() {
    let office = Office::new().await;
    office.is_set_up().await;
    let (till, gate) = (office.makes_api_key("till").await, office.makes_api_key("gate").await);
    let serving = office.serves("serve").await;
    issues(&integrator(&serving, &till), "A-1").await;
    issues(&integrator(&serving, &gate), "A-2").await;

    let name = name_of(&office, "till").await;
    let told = office.does(&["keys", "revoke", &name]).await;
    assert!(told.contains(&name) && told.contains("till"), "{told}");
    let before = office.home.storage().recorded().await;
    office.does(&["keys", "revoke", &name]).await;
    assert_eq!(office.home.storage().recorded().await, before, "the second time changes nothing");

    eventually(PATIENCE, "the key is refused", async || {
        let status = integrator(&serving, &till).get("A-1").await.status;
        (status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    integrator(&serving, &gate).state("A-1").await;
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
async fn commands_work_while_the_service_runs_and_it_takes_note_at_once() {
    let operator = [("HONOKEN_ADMIN_USERNAME", "vera"), ("HONOKEN_ADMIN_PASSWORD", PASSWORD)];
    let office = Office::with(&[&[V1], &operator[..]].concat()).await;
    office.is_set_up().await;
    let serving = office.serves("serve").await;
    let till = office.makes_api_key("till").await;
    issues(&integrator(&serving, &till), "A-1").await;
    assert_eq!(listed(&office).await.as_array().map(Vec::len), Some(1));
    let refusal = office.is_refused(&["keys", "revoke", "0123456789ab"]).await;
    assert!(refusal.contains("no API key has the name"), "{refusal}");

    // The service has the organisation in memory as it was before, and each goes on from what the other has done.
    let operator = Operator::known_as(serving.base_url(), "vera", PASSWORD);
    let makes = async |label: &str| {
        let order = json!({ "label": label });
        let made = operator.request(Method::POST, "/admin/organizations/club/keys", &order).await;
        made.assert_status(StatusCode::CREATED);
    };
    makes("gate").await;
    office.does(&["keys", "revoke", &name_of(&office, "gate").await]).await;
    makes("door").await;
    let keys = listed(&office).await;
    let states = ["till", "gate", "door"].map(|label| {
        let key = keys.as_array().unwrap().iter().find(|key| key["label"] == label);
        key.unwrap_or_else(|| panic!("{label}: {keys}"))["revoked"].clone()
    });
    assert_eq!(states, [json!(false), json!(true), json!(false)]);
}

#[tokio::test]
async fn the_socket_of_a_running_service_is_for_its_owner_and_a_dead_one_is_no_hindrance() {
    if Engine::leaves_out("on Postgres commands need no socket") {
        return;
    }
    let office = Office::new().await;
    office.makes_api_key("till").await;
    let socket = office.home.data_dir().join("honoken.sock");
    assert!(!socket.exists(), "a command alone needs none");
    let mut serving = office.serves("serve").await;
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    serving.kill().await;
    assert!(socket.exists(), "nobody has removed it");
    assert_eq!(
        listed(&office).await.as_array().map(Vec::len),
        Some(1),
        "nothing runs, so the files are read"
    );
    serving.restart().await;
    office.makes_api_key("gate").await;
    serving.terminate().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_key_that_the_service_could_not_open_is_not_sealed_beside_it() {
    if Engine::leaves_out("on Postgres nothing asks the processes for their keys") {
        return;
    }
    let mut office = Office::new().await;
    office.is_set_up().await;
    let renewed = office.gets_certificate("renewed", Lasts::days(-1, 700)).await;
    let _serving = office.serves("serve").await;
    office.has(&[V2]);
    let refusal = office.is_refused_to_install(&renewed).await;
    assert!(
        refusal.contains("seals under key 1") && refusal.contains("HONOKEN_ENCRYPTION_KEY_"),
        "{refusal}"
    );
    office.has(&[("HONOKEN_ENCRYPTION_KEY_V1", KEY_TWO)]);
    let refusal = office.is_refused_to_install(&renewed).await;
    assert!(refusal.contains("does not have the same"), "{refusal}");
    office.has(&[V1]);
    office.installs(&renewed, &[]).await;
}

#[tokio::test]
async fn what_needs_the_files_alone_says_so_while_the_service_runs() {
    if Engine::leaves_out("on Postgres commands work beside the service") {
        return;
    }
    let office = Office::new().await;
    office.makes_api_key("till").await;
    let _serving = office.serves("serve").await;
    for arguments in [&["log", "restored"][..], &["migrate"]] {
        let said = said(&office.runs(arguments).await);
        assert!(said.contains("another process is using"), "{arguments:?}: {said}");
        assert!(said.contains("stop it and try again") && said.contains("Postgres"), "{arguments:?}: {said}");
    }
}

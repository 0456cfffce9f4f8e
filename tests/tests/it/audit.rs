//! What operators did is on record: every action, and every read that may show a secret. Callers whose credentials are wrong again and again are
//! told of.

use honoken_tests::device::{Credentials, device, push_token};
use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::{Home, copy_folder};
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Operator};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::document::Document;
use crate::event_log_moves::url;
use crate::manage::a_service_with_a_pass;
use crate::{PROGRAM, a_service, assert_done};

async fn page(operator: &Operator, query: &str) -> Value {
    let answer = operator.request(Method::GET, &format!("/admin/audit{query}"), &Value::Null).await;
    answer.assert_status(StatusCode::OK).json()
}

async fn entries(operator: &Operator, query: &str) -> Vec<Value> {
    page(operator, query).await["entries"].as_array().expect("a list").clone()
}

/// The reads that show nothing secret.
const NOT_NOTED: [&str; 12] = [
    "getAnyJob",
    "getApnsKey",
    "getBrandAsset",
    "getCertificate",
    "getPushing",
    "listApnsKeys",
    "listAudit",
    "listCertificates",
    "listOrganizations",
    "listParkedEvents",
    "listPassTypes",
    "listProjections",
];

#[tokio::test]
async fn every_action_of_an_operator_and_every_read_that_may_show_a_secret_is_one_entry_and_one_line() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let operations = Document::of(&honoken).await.operations();
    let operations: Vec<_> =
        operations.into_iter().filter(|operation| operation.path.starts_with("/admin/")).collect();
    assert!(operations.len() > 20, "{}", operations.len());
    for operation in operations {
        for prefix in ["", "/api"] {
            let before = entries(&operator, "").await;
            let segments = operation.path.split('/').map(|segment| {
                let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
                name.map_or(segment, |name| &operation.in_path[name])
            });
            let path = segments.collect::<Vec<_>>().join("/");
            let answer =
                operator.request(operation.method.clone(), &format!("{prefix}{path}"), &Value::Null).await;
            let after = entries(&operator, "").await;
            let name = &operation.id;
            if NOT_NOTED.contains(&name.as_str()) {
                assert_eq!(after, before, "{name}");
                continue;
            }
            let entry = &after[0];
            assert_eq!(&after[1..], &before[..before.len().min(99)], "{name}: one entry");
            assert_eq!(entry["actor"], honoken.ready().admin_username, "{name}");
            assert_eq!(entry["from"], "127.0.0.1", "{name}");
            assert_eq!(entry["action"], name.as_str());
            assert_eq!(entry["target"], path.strip_prefix("/admin").expect("the prefix"), "{name}");
            assert_eq!(entry["result"], answer.status.as_u16(), "{name}");
            assert!(entry["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{entry}");
            let line = honoken.logs(&format!(": {name} ")).await;
            assert!(line.contains(&honoken.ready().admin_username) && line.contains("127.0.0.1"), "{line}");
        }
    }
}

#[tokio::test]
async fn what_an_operator_may_not_do_is_on_record_and_what_a_stranger_tries_is_not() {
    let honoken = a_service().await;
    let owner = honoken.operator();
    let order = json!({ "name": "vera", "role": "viewer", "password": "the password of vera" });
    owner.request(Method::POST, "/admin/operators", &order).await.assert_status(StatusCode::CREATED);
    let vera = Operator::known_as(&honoken.url(""), "vera", "the password of vera");
    let refused = vera.request(Method::POST, "/admin/relay/pause", &Value::Null).await;
    assert_problem(&refused, 403);
    let foreign = owner.clone().with_header("sec-fetch-site", "cross-site");
    assert_problem(&foreign.request(Method::POST, "/admin/relay/pause", &Value::Null).await, 403);
    let stranger = Operator::known_as(&honoken.url(""), "vera", "guessed");
    assert_problem(&stranger.request(Method::POST, "/admin/relay/pause", &Value::Null).await, 401);
    let told: Vec<_> = entries(&owner, "?action=pauseRelay").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[1]["actor"], &told[1]["result"]), (&json!("vera"), &json!(403)));
    assert_eq!(
        (&told[0]["actor"], &told[0]["result"]),
        (&json!(honoken.ready().admin_username), &json!(403))
    );
    let of_vera = entries(&owner, "?actor=vera").await;
    assert_eq!(of_vera, [told[1].clone()]);
    assert!(entries(&owner, "?actor=vera&action=addOperator").await.is_empty());
    let everything = json!(entries(&owner, "").await).to_string() + &honoken.output_so_far().await;
    assert!(!everything.contains("the password of vera") && !everything.contains("guessed"));
    let unknown = owner.request(Method::GET, "/admin/audit?who=vera", &Value::Null).await;
    assert_problem(&unknown, 422);
}

#[tokio::test]
async fn the_record_comes_in_pages_and_outlives_a_rebuild() {
    let mut honoken = a_service().await;
    let operator = honoken.operator();
    for _ in 0..130 {
        let answer = operator.request(Method::GET, "/admin/operators", &Value::Null).await;
        answer.assert_status(StatusCode::OK);
    }
    let first = page(&operator, "?action=listOperators").await;
    let next = first["next"].as_str().expect("there is another page").to_owned();
    let second = page(&operator, &format!("?action=listOperators&cursor={next}")).await;
    let count = |page: &Value| page["entries"].as_array().map(Vec::len);
    assert_eq!((count(&first), count(&second), &second["next"]), (Some(100), Some(30), &Value::Null));
    honoken.terminate().await;
    honoken.storage().throws_read_model_away().await;
    honoken.restart().await;
    let again = page(&honoken.operator(), &format!("?action=listOperators&cursor={next}")).await;
    assert_eq!(again, second);
}

/// The lines about wrong credentials.
async fn told(honoken: &Honoken, of: &str) -> Vec<String> {
    let output = honoken.output_so_far().await;
    output.lines().filter(|line| line.contains(of) && line.contains("wrong")).map(str::to_owned).collect()
}

#[tokio::test]
async fn wrong_tokens_keys_and_passwords_are_counted_and_told_once_a_minute_without_the_secret() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let right = integrator.credentials("A-1").await;
    let wrong = Credentials { token: "a-token-that-was-guessed".to_owned(), ..right };
    for number in 0..5 {
        let answer = honoken.devices().register(&device(number), &push_token(number, 0), &wrong).await;
        answer.assert_status(StatusCode::UNAUTHORIZED);
    }
    let guesser = integrator.clone().with_authorization("Bearer a-key-that-was-guessed");
    let operator = Operator::known_as(&honoken.url(""), "admin", "a-password-that-was-guessed");
    for _ in 0..5 {
        assert_problem(&guesser.get("A-1").await, 401);
        let answer = operator.request(Method::GET, "/admin/projections", &Value::Null).await;
        assert_problem(&answer, 401);
    }
    let scrape = honoken.metrics().await;
    for kind in ["token", "key", "password"] {
        let counted = scrape.get(&format!(r#"honoken_credentials_refused_total{{credentials="{kind}"}}"#));
        assert_eq!(format!("{counted:.0}"), "5", "{kind}");
    }
    eventually(PATIENCE, "the guesses are told of", async || {
        (told(&honoken, "passwords of operators").await.len() == 1).then_some(())
    })
    .await;
    for of in ["tokens of passes", "API keys"] {
        let lines = told(&honoken, of).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("127.0.0.1") && lines[0].contains("A-1"), "{lines:?}");
    }
    assert!(!honoken.output_so_far().await.contains("that-was-guessed"));
}

/// Entries of the command line, the latest first: action, target and result.
async fn commands(operator: &Operator) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let all = entries(operator, "").await.into_iter();
    let commands = all.filter(|entry| text(&entry["actor"]).starts_with("command-line:"));
    commands.map(|entry| (text(&entry["action"]), text(&entry["target"]), entry["result"].clone())).collect()
}

#[tokio::test]
async fn a_command_is_an_entry_in_the_name_of_the_user_of_the_system_whether_the_service_runs_or_not() {
    let mut honoken = a_service().await;
    let create = ["keys", "create", "--organization", "dev", "--label", "till"];
    let made = honoken.home().runs(&create).await;
    let key = String::from_utf8(made.stdout).expect("text");
    let id = sha256(key.trim().as_bytes())[..12].to_owned();
    let refused = honoken.home().runs(&["keys", "create", "--organization", "dve", "--label", "x"]).await;
    assert!(!refused.status.success());
    let keys = |organization: &str| format!("/organizations/{organization}/keys");
    let entry = |action: &str, target: String, result: u32| (action.to_owned(), target, json!(result));
    let beside = [entry("createApiKey", keys("dve"), 1), entry("createApiKey", keys("dev"), 0)];
    assert_eq!(commands(&honoken.operator()).await, beside);

    honoken.terminate().await;
    let revoked = honoken.home().runs(&["keys", "revoke", &id]).await;
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    for quiet in [&["keys", "list"][..], &["rebuild"]] {
        let output = honoken.home().runs(quiet).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    honoken.restart().await;
    let alone = [
        entry("rebuild", "/projections/wallet/rebuild".to_owned(), 0),
        entry("revokeApiKey", format!("{}/{id}", keys("dev")), 0),
    ];
    assert_eq!(commands(&honoken.operator()).await, [&alone[..], &beside[..]].concat());

    let user = entries(&honoken.operator(), "?action=revokeApiKey").await[0].clone();
    let actor = user["actor"].as_str().expect("text");
    let whoami = std::process::Command::new("id").arg("-un").output().expect("the program id");
    assert_eq!(actor, format!("command-line:{}", String::from_utf8_lossy(&whoami.stdout).trim()));
    let named = "select count(*) || '' from events where cast(metadata as text) like $1";
    let named = honoken.storage().reads(Part::Log, named, &[&format!("%\"operator:{actor}\"%")]).await;
    assert_eq!(named, ["2"], "the events name the user too");
}

#[tokio::test]
async fn what_moves_a_log_or_images_and_what_migrates_is_an_entry_where_it_comes_from_or_gets_to() {
    let mut honoken = a_service().await;
    let folder = honoken.home().folder().to_owned();
    let place = |name: &str| folder.join(name).display().to_string();
    let (from, to) = (format!("fs:{}", honoken.home().data_dir().join("blobs").display()), place("images"));
    let images = format!("fs:{to}");
    assert_done(&honoken.home().runs(&["blobs", "copy", "--from", &from, "--to", &images]).await);
    let copy = format!("sqlite:{}", place("copy"));
    let log = url(honoken.home());
    let copying = honoken.home().command(&["log", "copy", "--from", &log, "--to", &copy]).output().await;
    assert_done(&copying.expect("it ends"));
    let entry = |action: &str, target: &str| (action.to_owned(), target.to_owned(), json!(0));
    let beside = [entry("copyLog", &copy), entry("copyImages", &images)];
    assert_eq!(commands(&honoken.operator()).await, beside);
    let exported = assert_done(&honoken.home().runs(&["log", "export"]).await);
    honoken.terminate().await;
    assert_done(&honoken.home().runs(&["migrate"]).await);
    assert_done(&honoken.home().runs(&["blobs", "copy", "--from", &from, "--to", &images]).await);
    honoken.restart().await;
    let alone = [entry("copyImages", &images), entry("migrate", "/migrate")];
    assert_eq!(commands(&honoken.operator()).await, [&alone[..], &beside[..]].concat());

    let file = place("log.ndjson");
    std::fs::write(&file, exported).expect("it can be written");
    let home = Home::new(PROGRAM).await;
    assert_done(&home.runs(&["log", "import", &file]).await);
    for folder in ["blobs", "secrets", "certificates"] {
        copy_folder(&honoken.home().data_dir().join(folder), &home.data_dir().join(folder));
    }
    let imported = Honoken::start_in(home).await;
    assert_eq!(commands(&imported.operator()).await, [entry("importLog", &file)]);
}

//! APNs keys on the command line and from the environment.

use std::fs;
use std::path::{Path, PathBuf};

use honoken_tests::Engine;
use honoken_tests::storage::files_below;
use honoken_tests::waiting::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::certs::{CURRENT, Office, V1, V2, said, traces};

const TEAM: &str = "ABCDE12345";
const KEY: &str = "KEY1234567";

/// Makes a key with `openssl`, as Apple would with these arguments.
async fn a_key(office: &Office, name: &str, arguments: &[&str]) -> PathBuf {
    let file = office.home.folder().join(name);
    let mut command = tokio::process::Command::new("openssl");
    let output = command.arg("genpkey").args(arguments).arg("-out").arg(&file).output();
    let output = output.await.expect("openssl starts");
    assert!(output.status.success(), "{}", said(&output));
    file
}

async fn a_p8(office: &Office, name: &str) -> PathBuf {
    a_key(office, name, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]).await
}

fn text(file: &Path) -> &str {
    file.to_str().expect("a path that is text")
}

fn install<'a>(key: &'a str, file: &'a Path) -> [&'a str; 7] {
    ["apns-keys", "install", "--team-id", TEAM, "--key-id", key, text(file)]
}

/// A key of the team of all passes.
pub(crate) async fn installs_an_apns_key(office: &Office) {
    let p8 = a_p8(office, "AuthKey_KEY1234567.p8").await;
    office.does(&install("KEY1234567", &p8)).await;
}

fn revoke(key: &str) -> [&str; 6] {
    ["apns-keys", "revoke", "--team-id", TEAM, "--key-id", key]
}

async fn listed(office: &Office) -> Value {
    serde_json::from_str(&office.does(&["apns-keys", "list", "--json"]).await).expect("JSON")
}

/// The keys with their states, in the order of the list.
async fn states(office: &Office) -> Vec<(String, String)> {
    let keys = listed(office).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let keys = keys.as_array().expect("a list").iter();
    keys.map(|key| (text(&key["keyIdentifier"]), text(&key["state"]))).collect()
}

fn state(key: &str, state: &str) -> (String, String) {
    (key.to_owned(), state.to_owned())
}

#[tokio::test]
async fn the_newest_key_of_a_team_is_in_use_until_it_is_revoked() {
    let office = Office::new().await;
    let (first, second) = (a_p8(&office, "AuthKey_KEY1234567.p8").await, a_p8(&office, "second.p8").await);
    let told = office.does(&install(KEY, &first)).await;
    assert!(told.contains("installed") && told.contains(&format!("{TEAM}/{KEY}")), "{told}");
    let one = &listed(&office).await[0];
    assert_eq!(
        (&one["teamIdentifier"], &one["keyVersion"], &one["problem"]),
        (&json!(TEAM), &json!(1), &Value::Null)
    );
    assert_eq!(one["fingerprint"].as_str().unwrap().len(), 64);

    office.does(&install("KEY7654321", &second)).await;
    assert_eq!(states(&office).await, [state("KEY7654321", "in use"), state(KEY, "spare")]);
    let table = office.does(&["apns-keys", "list"]).await;
    assert!(table.starts_with("TEAM") && table.contains("spare"), "{table}");

    let told = office.does(&revoke("KEY7654321")).await;
    assert!(told.contains("KEY7654321"), "{told}");
    assert_eq!(states(&office).await, [state("KEY7654321", "revoked"), state(KEY, "in use")]);
    let refusal = office.is_refused(&revoke("KEY7654321")).await;
    assert!(refusal.contains("honoken apns-keys list"), "{refusal}");
    let refusal = office.is_refused(&revoke("UNKNOWN123")).await;
    assert!(refusal.contains("UNKNOWN123"), "{refusal}");

    office.does(&install("KEY7654321", &second)).await;
    assert_eq!(states(&office).await, [state("KEY7654321", "in use"), state(KEY, "spare")]);
}

#[tokio::test]
async fn a_running_process_takes_the_key_that_a_command_installs_and_leaves_the_one_it_revokes() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let office = Office::new().await;
    let serving = office.serves("serve").await;
    let p8 = a_p8(&office, "one.p8").await;
    let says = async |words: &str| {
        eventually(PATIENCE, "it is noticed", async || serving.output().contains(words).then_some(())).await;
    };
    office.does(&install(KEY, &p8)).await;
    says(&format!("the APNs key {KEY} of team {TEAM} can be used for pushes")).await;
    office.does(&revoke(KEY)).await;
    says(&format!("the APNs key {KEY} of team {TEAM} was revoked")).await;
}

#[tokio::test]
async fn installing_a_key_twice_changes_nothing_and_the_right_file_replaces_a_wrong_one() {
    let office = Office::new().await;
    let (wrong, right) = (a_p8(&office, "AuthKey_OTHER12345.p8").await, a_p8(&office, "right.p8").await);
    let output = office.runs(&install(KEY, &wrong)).await;
    assert!(output.status.success() && said(&output).contains("is --key-id right?"), "{}", said(&output));
    let before = office.home.storage().recorded().await;
    let told = office.does(&install(KEY, &wrong)).await;
    assert!(told.contains("no change was made"), "{told}");
    assert_eq!(office.home.storage().recorded().await, before);
    let fingerprint = listed(&office).await[0]["fingerprint"].clone();
    office.does(&install(KEY, &right)).await;
    assert_eq!(states(&office).await, [state(KEY, "in use")]);
    assert_ne!(listed(&office).await[0]["fingerprint"], fingerprint);
}

#[tokio::test]
async fn what_is_no_key_for_apns_is_named_and_nothing_is_installed() {
    let office = Office::new().await;
    let rsa = a_key(&office, "rsa.key", &["-algorithm", "RSA"]).await;
    let p384 = a_key(&office, "p384.key", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]).await;
    let encrypted =
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes128", "-pass", "pass:geheim"];
    let encrypted = a_key(&office, "encrypted.p8", &encrypted).await;
    let certificate = office.apple.intermediate_file();
    let missing = office.home.folder().join("missing.p8");
    for (file, expected) in [
        (&rsa, "an RSA key"),
        (&p384, "P-256"),
        (&encrypted, "is encrypted"),
        (&certificate, "holds no private key"),
        (&missing, "missing.p8"),
    ] {
        let refusal = office.is_refused(&install(KEY, file)).await;
        assert!(refusal.contains(expected), "{expected}: {refusal}");
        assert!(!refusal.contains("geheim"), "{refusal}");
    }
    let right = a_p8(&office, "right.p8").await;
    for (team, key, expected) in [("abcde12345", KEY, "teamIdentifier"), (TEAM, "KEY", "keyIdentifier")] {
        let output =
            office.runs(&["apns-keys", "install", "--team-id", team, "--key-id", key, text(&right)]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    assert_eq!(listed(&office).await, json!([]));
}

#[tokio::test]
async fn apns_keys_are_sealed_anew_with_the_certificates() {
    let mut office = Office::new().await;
    office.is_set_up().await;
    let (first, spare) = (a_p8(&office, "first.p8").await, a_p8(&office, "spare.p8").await);
    office.does(&install(KEY, &first)).await;
    office.does(&install("REVOKED123", &spare)).await;
    office.does(&revoke("REVOKED123")).await;

    // Too early: what does not open is named, and nothing is in use.
    office.has(&[V2]);
    let listed_blind = listed(&office).await;
    assert!(listed_blind[1]["problem"].as_str().unwrap().contains("encryption key 1"), "{listed_blind}");
    assert_eq!(states(&office).await, [state("REVOKED123", "revoked"), state(KEY, "unusable")]);
    let refusal = office.is_refused(&["keys", "reseal"]).await;
    assert!(
        refusal.contains(KEY)
            && refusal.contains("1 certificates, 1 APNs keys and 0 keys of personal data are still"),
        "{refusal}"
    );

    office.has(&[V1, V2, (CURRENT, "2")]);
    let told = office.does(&["keys", "reseal"]).await;
    assert!(told.starts_with("1 certificates, 1 APNs keys and 0 keys"), "{told}");
    let before = office.home.storage().recorded().await;
    assert!(office.does(&["keys", "reseal"]).await.starts_with("0 certificates, 0 APNs keys and 0 keys"));
    assert_eq!(office.home.storage().recorded().await, before, "the second time changes nothing");

    office.has(&[V2]);
    assert_eq!(listed(&office).await[1]["keyVersion"], json!(2));
    assert_eq!(states(&office).await[1], state(KEY, "in use"));
    // A key whose seal opens no more is installed again, and is then the same key under a new seal.
    let fingerprint = listed(&office).await[1]["fingerprint"].clone();
    office.has(&[V1]);
    let told = office.does(&install(KEY, &first)).await;
    assert!(told.contains("sealed anew"), "{told}");
    let one = &listed(&office).await[1];
    assert_eq!(
        (&one["state"], &one["keyVersion"], &one["fingerprint"]),
        (&json!("in use"), &json!(1), &fingerprint)
    );
}

/// The variables with which a key is installed at the first start.
fn configured<'a>(key: &'a str, p8: &'a str) -> [(&'a str, &'a str); 4] {
    [V1, ("APNS_TEAM_ID", TEAM), ("APNS_KEY_ID", key), ("APNS_AUTH_KEY_P8", p8)]
}

#[tokio::test]
async fn a_configured_key_is_installed_at_the_first_start_and_never_again() {
    let mut office = Office::new().await;
    let p8 = a_p8(&office, "AuthKey_KEY1234567.p8").await;
    let escaped = fs::read_to_string(&p8).unwrap().replace('\n', "\\n");
    office.has(&configured(KEY, &escaped));
    let mut serving = office.serves("serve").await;
    let storage = office.home.storage();
    let keys =
        async || storage.recorded().await.values().filter(|event| event.aggregate_type == "ApnsKey").count();
    assert_eq!(keys().await, 1);
    serving.logs("installed the APNs key").await;
    assert_eq!(serving.terminate().await.code(), Some(0));
    assert_eq!(states(&office).await, [state(KEY, "in use")]);

    // The same file by its path, and then another one: neither changes anything.
    office.has(&configured(KEY, text(&p8)));
    office.serves("again").await.terminate().await;
    let other = a_p8(&office, "other.p8").await;
    office.has(&configured(KEY, text(&other)));
    let mut serving = office.serves("other").await;
    serving.logs("holds another private key").await;
    serving.terminate().await;
    assert_eq!(keys().await, 1);

    office.does(&revoke(KEY)).await;
    let mut serving = office.serves("revoked").await;
    serving.logs("was revoked and stays revoked").await;
    serving.terminate().await;
    assert_eq!((keys().await, states(&office).await), (2, vec![state(KEY, "revoked")]));
}

#[tokio::test]
async fn a_process_that_only_pushes_installs_its_configured_key_too() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let office = Office::new().await;
    let p8 = a_p8(&office, "one.p8").await;
    let serve = office.home.serve("pusher").with_roles("projector,relay,pusher");
    let variables = configured(KEY, text(&p8)).into_iter();
    let serve = variables.fold(serve, |serve, (name, value)| serve.with_variable(name, value));
    let _serving = serve.start().await;
    assert_eq!(states(&office).await, [state(KEY, "in use")]);
}

#[tokio::test]
async fn a_configured_key_that_is_none_stops_the_start_and_is_not_repeated() {
    let mut office = Office::new().await;
    let rsa = a_key(&office, "rsa.key", &["-algorithm", "RSA"]).await;
    let pem = fs::read_to_string(&rsa).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for (value, expected) in
        [(pem.as_str(), "an RSA key"), (&body, "neither the text"), (text(&rsa), "an RSA key")]
    {
        office.has(&configured(KEY, value));
        let refusal = office.is_refused(&["apns-keys", "list"]).await;
        assert!(refusal.contains("APNS_AUTH_KEY_P8") && refusal.contains(expected), "{refusal}");
        assert!(!refusal.contains(&body[..64]), "{refusal}");
    }
    office.has(&[V1, ("APNS_TEAM_ID", TEAM)]);
    let refusal = office.is_refused(&["apns-keys", "list"]).await;
    assert!(refusal.contains("APNS_KEY_ID is missing"), "{refusal}");
    office.has(&[V1, ("HONOKEN_APNS_CA_FILE", text(&rsa))]);
    assert!(office.is_refused(&["apns-keys", "list"]).await.contains("HONOKEN_APNS_CA_FILE"));
    office.has(&[V1, ("HONOKEN_APNS_ENDPOINT", "http://localhost")]);
    assert!(office.is_refused(&["apns-keys", "list"]).await.contains("HONOKEN_APNS_ENDPOINT"));
}

#[tokio::test]
async fn an_apns_key_is_nowhere_to_be_found() {
    let mut office = Office::new().await;
    let (one, two) = (a_p8(&office, "one.p8").await, a_p8(&office, "two.p8").await);
    let installed = office.runs(&install(KEY, &one)).await;
    let p8 = fs::read_to_string(&two).unwrap();
    office.has(&configured("KEY7654321", &p8));
    let mut serving = office.serves("serve").await;
    serving.terminate().await;
    let listed = office.runs(&["apns-keys", "list", "--json"]).await;
    assert!(said(&listed).contains("KEY7654321"), "{}", said(&listed));
    let storage = office.home.storage();
    let database = format!("{:?} {:?}", storage.recorded().await, storage.dump_read_model().await);
    assert_eq!(database.matches("ApnsKeyInstalled").count(), 2);
    let mut places = vec![
        ("what was said".to_owned(), (said(&installed) + &said(&listed)).into_bytes()),
        ("the database".to_owned(), database.into_bytes()),
        ("the log".to_owned(), serving.output().into_bytes()),
    ];
    for file in files_below(&office.home.data_dir()) {
        places.push((file.display().to_string(), fs::read(&file).unwrap()));
    }
    for secret in [traces(&one), traces(&two)].concat() {
        for (place, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{} is in {place}", String::from_utf8_lossy(&secret));
        }
    }
}

#[tokio::test]
async fn a_read_model_that_is_filled_again_has_the_keys_as_before() {
    let office = Office::new().await;
    let (one, two) = (a_p8(&office, "one.p8").await, a_p8(&office, "two.p8").await);
    office.does(&install(KEY, &one)).await;
    office.does(&install("KEY7654321", &two)).await;
    office.does(&revoke("KEY7654321")).await;
    let storage = office.home.storage();
    let before = storage.dump_read_model().await["wallet_apns_key"].clone();
    assert_eq!(before.len(), 2);
    office.does(&["rebuild"]).await;
    assert_eq!(storage.dump_read_model().await["wallet_apns_key"], before);
}

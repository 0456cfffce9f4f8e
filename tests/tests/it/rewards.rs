//! Persons who enrol in a rewards programme with a pass: the form that Wallet offers, the token that is signed, the data that is sealed.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use honoken_simulator::Answer;
use honoken_tests::device::device;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Integrator, Operator, Serving, a_ticket, drawing, package};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::apns_keys::installs_an_apns_key;
use crate::certs::{CURRENT, Certified, Office, V1, V2, integrator};
use crate::nfc::{a_ticket_with_nfc, issues, warnings};

/// A shop whose passes may have a form.
pub(crate) struct Shop {
    pub(crate) office: Office,
    certified: Certified,
    pub(crate) serving: Serving,
    api_key: String,
}

const TOKEN: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

fn form() -> Value {
    json!({
        "requiredPersonalizationFields": ["PKPassPersonalizationFieldName", "PKPassPersonalizationFieldEmailAddress"],
        "description": "Join the club",
        "termsAndConditions": "<a href=\"https://example.com/terms\">Terms</a>",
    })
}

fn person() -> Value {
    json!({ "fullName": "Adalberta Lovelace", "givenName": "Adalberta", "familyName": "Lovelace", "emailAddress": "adalberta@example.com" })
}

fn filled_in(token: &str) -> Value {
    json!({ "personalizationToken": token, "requiredPersonalizationInfo": person() })
}

fn path(integrator: &Integrator, serial_number: &str) -> String {
    format!("{}/personalization", integrator.path(serial_number))
}

impl Shop {
    pub(crate) async fn opens() -> Self {
        let office = Office::new().await;
        let certified = office.is_set_up().await;
        let more = ["--enhanced"];
        office.installs(&certified, &more).await;
        let api_key = office.makes_api_key("till").await;
        let serving = office.serves("serve").await;
        Self { office, certified, serving, api_key }
    }

    fn integrator(&self) -> Integrator {
        integrator(&self.serving, &self.api_key)
    }

    fn root(&self) -> PathBuf {
        self.office.apple.root()
    }

    /// A pass with all that a form needs, and the form.
    async fn issues_with_form(&self, serial_number: &str) -> Value {
        let shop = self.integrator();
        issues(&shop, serial_number, &a_ticket_with_nfc("1A")).await;
        shop.puts_asset_quietly(serial_number).await;
        let put = shop.json(Method::PUT, &path(&shop, serial_number), &form()).await;
        put.assert_status(StatusCode::OK).json()
    }

    /// A person enrols with a new pass.
    pub(crate) async fn enrols(&self, serial_number: &str) {
        self.issues_with_form(serial_number).await;
        let enrolled = self.personalizes("", serial_number, filled_in(TOKEN).to_string()).await;
        enrolled.assert_status(StatusCode::OK);
    }

    async fn personalizes(&self, prefix: &str, serial_number: &str, body: impl Into<Bytes>) -> Answer {
        let pass_type = self.integrator().pass_type_identifier().to_owned();
        let path = format!("{prefix}/v1/passes/{pass_type}/{serial_number}/personalize");
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().expect("a header"));
        self.serving.request(Method::POST, &path, headers, body.into()).await
    }
}

/// Gives a pass the logo of a form.
trait Logo {
    async fn puts_asset_quietly(&self, serial_number: &str);
}

impl Logo for Integrator {
    async fn puts_asset_quietly(&self, serial_number: &str) {
        let logo = drawing::png(150, 40, 9);
        self.put_asset(serial_number, "personalizationLogo.png", logo).await.assert_status(StatusCode::OK);
    }
}

/// The serial numbers of the passes that have a key for their persons.
async fn person_keys(shop: &Shop) -> Vec<String> {
    shop.office.home.storage().reads(Part::PersonKeys, "select serial_number from person_key", &[]).await
}

async fn files(integrator: &Integrator, serial_number: &str) -> Vec<String> {
    package::files(&integrator.downloads(serial_number).await).into_keys().collect()
}

fn has_form(files: &[String]) -> bool {
    let [form, logo] =
        ["personalization.json", "personalizationLogo.png"].map(|file| files.iter().any(|it| it == file));
    assert_eq!(form, logo, "they come and go together: {files:?}");
    form
}

#[tokio::test]
async fn a_form_is_in_the_file_while_it_has_all_that_wallet_needs() {
    let shop = Shop::opens().await;
    let till = shop.integrator();
    let issued = issues(&till, "card", &a_ticket("1A")).await;
    assert_problem(&till.request(Method::GET, &path(&till, "card"), &[], "").await, 404);

    let put =
        till.json(Method::PUT, &path(&till, "card"), &form()).await.assert_status(StatusCode::OK).json();
    assert_eq!(warnings(&put), [("personalization_left_out".to_owned(), String::new())]);
    assert_eq!((&put["changed"], &put["etag"]), (&json!(false), &issued["etag"]), "phones see no change");
    let got = till.request(Method::GET, &path(&till, "card"), &[], "").await;
    assert_eq!(got.assert_status(StatusCode::OK).json(), form());

    let content = a_ticket_with_nfc("1A");
    let replaced = till.replace("card", &content).await.assert_status(StatusCode::OK).json();
    assert!(replaced["warnings"].to_string().contains("personalizationLogo.png"), "{replaced}");
    assert!(!has_form(&files(&till, "card").await));
    let logo = till.put_asset("card", "personalizationLogo.png", drawing::png(150, 40, 9)).await;
    assert!(warnings(&logo.assert_status(StatusCode::OK).json()).is_empty(), "{}", logo.excerpt());
    assert!(has_form(&files(&till, "card").await));

    let state = till.state("card").await;
    let pkpass = till.downloads("card").await;
    package::assert_verifies(&pkpass, &shop.root()).await;
    let in_file: Value = serde_json::from_slice(&package::files(&pkpass)["personalization.json"].0).unwrap();
    assert_eq!(in_file, form());
    let hashed = json!({
        "assets": state["assets"], "content": state["content"], "personalization": form(),
        "pass": {
            "passTypeIdentifier": state["passTypeIdentifier"], "serialNumber": "card", "ticketStyle": "event",
            "poster": false, "voided": false, "updatedAtSec": honoken_tests::etag::unix_seconds(&state["updatedAt"]),
        },
    });
    let canonical = serde_json_canonicalizer::to_string(&hashed).unwrap();
    assert_eq!(state["etag"], honoken_tests::etag::sha256(canonical.as_bytes()));

    let without = till.replace("card", &a_ticket("1A")).await.assert_status(StatusCode::OK).json();
    assert!(without["warnings"].to_string().contains("`nfc` in its content"), "{without}");
    assert!(!has_form(&files(&till, "card").await));
    till.replaces("card", &content).await;
    assert!(has_form(&files(&till, "card").await));
    let removed = till.request(Method::DELETE, &path(&till, "card"), &[], "").await;
    assert_eq!(removed.assert_status(StatusCode::OK).json()["changed"], json!(true));
    assert!(!has_form(&files(&till, "card").await));
    assert_problem(&till.request(Method::GET, &path(&till, "card"), &[], "").await, 404);
}

#[tokio::test]
async fn a_person_enrols_and_the_pass_is_served_without_the_form() {
    let mut shop = Shop::opens().await;
    let till = shop.integrator();
    let put = shop.issues_with_form("card").await;
    let pass = till.credentials("card").await;
    shop.serving.devices().register(&device(1), "token", &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = shop.serving.devices().lists(&device(1), &pass.pass_type_identifier, None).await.unwrap();

    let mut body = filled_in(TOKEN);
    body["requiredPersonalizationInfo"]["phoneNumber"] = json!("+49 30 1234");
    body["newInANewSystem"] = json!(true);
    let answer = shop.personalizes("", "card", body.to_string()).await;
    answer.assert_status(StatusCode::OK).assert_header("content-type", "application/octet-stream");
    assert!(package::is_signature_over(&answer.body, TOKEN.as_bytes(), &shop.root()).await);
    let decoded = STANDARD.decode(TOKEN).unwrap();
    assert!(!package::is_signature_over(&answer.body, &decoded, &shop.root()).await, "it is never decoded");

    let (serials, _) =
        shop.serving.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.unwrap();
    assert_eq!(serials, ["card"]);
    let state = till.state("card").await;
    assert_ne!(state["etag"], put["etag"]);
    assert!(!has_form(&files(&till, "card").await));
    let mut expected = form();
    expected["person"] = person();
    let got = till.request(Method::GET, &path(&till, "card"), &[], "").await;
    assert_eq!(
        got.assert_status(StatusCode::OK).json(),
        expected,
        "what the form did not ask for is not kept"
    );

    let again = shop.personalizes("/api", "card", filled_in(TOKEN).to_string()).await;
    assert_eq!(again.assert_status(StatusCode::OK).body, answer.body, "the same token, the same answer");
    assert_eq!(till.state("card").await["etag"], state["etag"]);
    let other = shop.personalizes("", "card", filled_in("another-token").to_string()).await;
    assert_problem(&other, 401);

    // Neither the events, nor the history, nor the log output tell who it is.
    let history = till.history("card", "").await.assert_status(StatusCode::OK).json().to_string();
    assert!(history.contains("PassPersonalized") && !history.contains("signature"), "{history}");
    let events = format!("{:?}", shop.office.home.storage().recorded().await);
    let output = shop.serving.output_so_far().await;
    for text in [&history, &events, &output] {
        for secret in ["Adalberta", "adalberta@example.com", TOKEN] {
            assert!(!text.contains(secret), "{secret} is told");
        }
    }

    // The read model is the same when it is filled again, and the person still opens.
    assert_eq!(shop.serving.terminate().await.code(), Some(0));
    let storage = shop.office.home.storage();
    let live = storage.dump_read_model().await;
    shop.office.does(&["rebuild"]).await;
    assert_eq!(storage.dump_read_model().await, live);
    shop.serving.restart().await;
    let till = shop.integrator();
    let got = till.request(Method::GET, &path(&till, "card"), &[], "").await;
    assert_eq!(got.assert_status(StatusCode::OK).json(), expected);
    assert_eq!(till.state("card").await["etag"], state["etag"]);
}

#[tokio::test]
async fn a_person_is_forgotten_with_the_form_for_ever() {
    let shop = Shop::opens().await;
    let till = shop.integrator();
    shop.issues_with_form("card").await;
    let enrols = |token: &'static str| shop.personalizes("", "card", filled_in(token).to_string());
    enrols(TOKEN).await.assert_status(StatusCode::OK);
    let again =
        till.json(Method::PUT, &path(&till, "card"), &form()).await.assert_status(StatusCode::OK).json();
    assert_eq!(warnings(&again), [("already_enrolled".to_owned(), String::new())]);

    for changed in [false, false] {
        let removed = till.request(Method::DELETE, &path(&till, "card"), &[], "").await;
        assert_eq!(
            removed.assert_status(StatusCode::OK).json()["changed"],
            json!(changed),
            "phones see no change"
        );
        assert_problem(&till.request(Method::GET, &path(&till, "card"), &[], "").await, 404);
    }
    assert_problem(&enrols(TOKEN).await, 401);
    let keys = person_keys(&shop).await;
    assert!(keys.is_empty(), "the key is destroyed: {keys:?}");

    let put =
        till.json(Method::PUT, &path(&till, "card"), &form()).await.assert_status(StatusCode::OK).json();
    assert_eq!((&put["changed"], warnings(&put)), (&json!(true), Vec::new()));
    assert!(has_form(&files(&till, "card").await), "the form is offered anew");
    enrols(TOKEN).await.assert_status(StatusCode::OK);
    let got = till.request(Method::GET, &path(&till, "card"), &[], "").await;
    assert_eq!(got.assert_status(StatusCode::OK).json()["person"], person());
    till.retires("card").await;
    assert_problem(&enrols(TOKEN).await, 401);
    let removed = till.request(Method::DELETE, &path(&till, "card"), &[], "").await;
    removed.assert_status(StatusCode::OK);
    assert!(person_keys(&shop).await.is_empty(), "a retired pass keeps no person either");
}

#[tokio::test]
async fn no_answer_is_ever_a_signature_over_a_manifest() {
    let shop = Shop::opens().await;
    let till = shop.integrator();
    shop.issues_with_form("card").await;
    let manifest = package::files(&till.downloads("card").await)["manifest.json"].0.clone();
    // A forger would take one that is short enough.
    let short = br#"{"pass.json":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}"#.to_vec();
    for manifest in [manifest, short] {
        let text = String::from_utf8(manifest.clone()).unwrap();
        let base64 = STANDARD.encode(&manifest);
        for (number, token) in
            [text.clone(), format!("\u{feff}{text}"), base64.clone()].into_iter().enumerate()
        {
            let serial_number = format!("card-{}-{number}", manifest.len());
            shop.issues_with_form(&serial_number).await;
            let answer = shop.personalizes("", &serial_number, filled_in(&token).to_string()).await;
            let is_token = token == base64 && token.len() <= 512;
            assert_eq!(answer.status, if is_token { StatusCode::OK } else { StatusCode::UNAUTHORIZED });
            for forged in [manifest.clone(), [b"\xef\xbb\xbf", manifest.as_slice()].concat()] {
                assert!(!package::is_signature_over(&answer.body, &forged, &shop.root()).await, "{token}");
            }
        }
    }
}

#[tokio::test]
async fn everything_else_is_one_constant_401() {
    let shop = Shop::opens().await;
    let till = shop.integrator();
    shop.issues_with_form("card").await;
    issues(&till, "bare", &a_ticket("2B")).await;
    let right = filled_in(TOKEN).to_string();
    let with = |token: Value, info: Value| {
        json!({ "personalizationToken": token, "requiredPersonalizationInfo": info }).to_string()
    };
    let long = with(json!(TOKEN), json!({ "fullName": "x".repeat(513) }));
    let mut refused = Vec::new();
    for (serial_number, body) in [
        ("unknown", right.clone()),
        ("bare", right.clone()),
        ("%00", right.clone()),
        ("card", String::new()),
        ("card", "{".into()),
        ("card", "[]".into()),
        ("card", "x".repeat(20 * 1024)),
        ("card", with(json!(""), person())),
        ("card", with(json!("a b"), person())),
        ("card", with(json!("a\u{0}"), person())),
        ("card", with(json!("x".repeat(513)), person())),
        ("card", with(json!(7), person())),
        ("card", with(json!(TOKEN), json!("Adalberta"))),
        ("card", with(json!(TOKEN), json!({ "fullName": 7 }))),
        ("card", long),
    ] {
        let answer = shop.personalizes("", serial_number, body.clone()).await;
        assert_problem(&answer, 401);
        answer.assert_header("www-authenticate", "ApplePass");
        refused.push(answer.body);
    }
    assert!(refused.iter().all(|body| *body == refused[0]));
    let wrong_token =
        shop.serving.devices().get(&till.credentials("card").await.with_token("0123456789abcdef"), &[]).await;
    assert_eq!(wrong_token.body, refused[0], "the same as on the other routes of phones");
    shop.personalizes("", "card", right).await.assert_status(StatusCode::OK);
}

#[tokio::test]
async fn a_form_that_wallet_would_not_take_is_refused_with_its_place() {
    let shop = Shop::opens().await;
    let till = shop.integrator();
    issues(&till, "card", &a_ticket("1A")).await;
    let head = till.state("card").await["position"].clone();
    for (body, pointer) in [
        (
            json!({ "requiredPersonalizationFields": [], "description": "d" }),
            "/requiredPersonalizationFields",
        ),
        (
            json!({ "requiredPersonalizationFields": ["PKPassPersonalizationFieldAge"], "description": "d" }),
            "/requiredPersonalizationFields/0",
        ),
        (json!({ "requiredPersonalizationFields": ["PKPassPersonalizationFieldName"] }), "/description"),
    ] {
        let answer = till.json(Method::PUT, &path(&till, "card"), &body).await;
        assert_problem(&answer, 422);
        assert_points_at(&answer, pointer);
    }
    assert_eq!(till.state("card").await["position"], head);
    assert_problem(&till.json(Method::PUT, &path(&till, "unknown"), &form()).await, 404);
    assert_problem(&till.request(Method::DELETE, &path(&till, "unknown"), &[], "").await, 404);
    till.retires("card").await;
    assert_problem(&till.json(Method::PUT, &path(&till, "card"), &form()).await, 409);
}

#[tokio::test]
async fn a_certificate_that_may_not_takes_the_form_out_of_the_file() {
    let shop = Shop::opens().await;
    shop.issues_with_form("card").await;
    let etag = shop.integrator().state("card").await["etag"].clone();
    for (more, is_offered) in [(&[][..], false), (&["--enhanced"][..], true)] {
        shop.office.installs(&shop.certified, more).await;
        let till = shop.integrator();
        honoken_tests::waiting::eventually(
            honoken_tests::waiting::PATIENCE,
            "the pass is stated anew",
            async || (has_form(&files(&till, "card").await) == is_offered).then_some(()),
        )
        .await;
        assert_ne!(till.state("card").await["etag"], etag);
    }
}

#[tokio::test]
async fn who_asks_too_often_from_one_address_is_told_to_wait() {
    let office = Office::with(&[crate::certs::V1, ("RATE_LIMIT_PERSONALIZATIONS", "3")]).await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    let shop = Shop { office, certified, serving, api_key };
    for _ in 0..3 {
        assert_problem(&shop.personalizes("", "unknown", filled_in(TOKEN).to_string()).await, 401);
    }
    let refused = shop.personalizes("", "unknown", filled_in(TOKEN).to_string()).await;
    assert_problem(&refused, 429);
    refused.assert_header("retry-after", "20");
}

#[tokio::test]
async fn every_secret_is_sealed_anew_while_the_service_runs() {
    let mut shop = Shop::opens().await;
    shop.issues_with_form("A-1").await;
    shop.personalizes("", "A-1", filled_in(TOKEN).to_string()).await.assert_status(StatusCode::OK);
    installs_an_apns_key(&shop.office).await;
    shop.serving.terminate().await;

    let (name, password) = ("vera", "correct-horse-battery");
    let operator = [("HONOKEN_ADMIN_USERNAME", name), ("HONOKEN_ADMIN_PASSWORD", password)];
    shop.office.has(&[&[V1, V2, (CURRENT, "2")], &operator[..]].concat());
    shop.serving = shop.office.serves("second").await;
    let operator = Operator::known_as(shop.serving.base_url(), name, password);
    let reseals = async || {
        let started = operator.request(Method::POST, "/admin/reseal", &Value::Null).await;
        let job = started.assert_status(StatusCode::ACCEPTED).json()["job"].clone();
        assert_eq!(
            (&job["kind"], &job["total"], &job["encryptionKey"]),
            (&json!("reseal"), &json!(3), &json!(2)),
            "{job}"
        );
        let id = job["id"].as_str().expect("an id").to_owned();
        eventually(PATIENCE, "every secret was looked at", async || {
            Some(operator.job(&id).await).filter(|job| job["state"] == "finished")
        })
        .await
    };
    let job = reseals().await;
    assert_eq!((&job["done"], &job["failed"], &job["leftOut"]), (&json!(3), &json!(0), &json!([])), "{job}");
    let sealed = async || {
        let apns_keys: Value =
            serde_json::from_str(&shop.office.does(&["apns-keys", "list", "--json"]).await).expect("JSON");
        let asked = "select sealed_key from person_key";
        let persons = shop.office.home.storage().reads(Part::PersonKeys, asked, &[]).await;
        assert!(persons.len() == 1 && persons[0].starts_with("2:"), "{persons:?}");
        (shop.office.lists().await[0]["keyVersion"].clone(), apns_keys[0]["keyVersion"].clone())
    };
    assert_eq!(sealed().await, (json!(2), json!(2)));
    let again = reseals().await;
    assert_eq!((&again["done"], &again["failed"]), (&json!(3), &json!(0)), "nothing is left to do: {again}");

    // What key 1 has sealed is in the event log alone, so it is needed no more.
    shop.serving.terminate().await;
    shop.office.has(&[V2]);
    shop.serving = shop.office.serves("third").await;
    let integrator = shop.integrator();
    package::assert_verifies(&integrator.downloads("A-1").await, &shop.root()).await;
    let read = integrator.json(Method::GET, &path(&integrator, "A-1"), &Value::Null).await;
    assert_eq!(read.assert_status(StatusCode::OK).json()["person"], person());
}

#[tokio::test]
async fn a_command_lets_the_running_service_seal_anew() {
    if honoken_tests::Engine::leaves_out("on Postgres the command does it itself") {
        return;
    }
    let mut shop = Shop::opens().await;
    shop.issues_with_form("A-1").await;
    shop.personalizes("", "A-1", filled_in(TOKEN).to_string()).await.assert_status(StatusCode::OK);
    shop.serving.terminate().await;
    shop.office.has(&[V1, V2, (CURRENT, "2")]);
    let _serving = shop.office.serves("second").await;
    let told = shop.office.does(&["keys", "reseal"]).await;
    assert!(told.contains("secrets looked at: 2") && told.contains("under encryption key 2"), "{told}");
    assert_eq!(shop.office.lists().await[0]["keyVersion"], 2);
    shop.office.has(&[V1]);
    let refusal = shop.office.is_refused(&["keys", "reseal"]).await;
    assert!(refusal.contains("seals under key 2"), "{refusal}");
}

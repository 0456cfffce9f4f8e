//! APNs keys over HTTP, while the service runs.

use std::fs;

use honoken_simulator::apns::{Answer as Refusal, FakeApns, Options, Rule, TokenKey};
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::storage::files_below;
use http::{Method, StatusCode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use serde_json::{Value, json};

use super::{KEY, TEAM, trusts};
use crate::a_service;

/// A key as Apple gives it, and its public half as Apple keeps it.
fn a_p8() -> (String, EcKey<Public>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = EcKey::generate(&group).expect("a key");
    let public = EcKey::from_public_key(&group, key.public_key()).expect("its public half");
    let pem = PKey::from_ec_key(key).and_then(|key| key.private_key_to_pem_pkcs8()).expect("PEM");
    (String::from_utf8(pem).expect("PEM is text"), public)
}

#[tokio::test]
async fn an_apns_key_is_installed_tried_named_and_revoked_while_the_service_runs() {
    let mut honoken = a_service().await;
    let (p8, public) = a_p8();
    let known = TokenKey { team_id: TEAM.to_owned(), key_id: KEY.to_owned(), key: public, topics: None };
    let apns = FakeApns::start(Options { keys: vec![known], ..Options::default() }).expect("a stand-in");
    let ca_file = trusts(&honoken, &apns);
    let operator = honoken.operator();
    let order = |key: &str, p8: &str| json!({ "teamId": TEAM, "keyId": key, "p8": p8 });
    let put = operator.request(Method::PUT, "/admin/apns-keys/club", &order(KEY, &p8)).await;
    let answer = put.assert_status(StatusCode::OK).json();
    assert_eq!((&answer["keyRef"], &answer["changed"]), (&json!("club"), &json!(true)));
    assert_eq!((&answer["state"], &answer["isActive"]), (&json!("in use"), &json!(true)));
    let again = operator.request(Method::PUT, "/admin/apns-keys/club", &order(KEY, &p8)).await;
    assert_eq!(again.assert_status(StatusCode::OK).json()["changed"], false);

    // Nothing is pushed anywhere, so there is nobody to ask.
    let test = "/admin/apns-keys/club/test";
    let refused = operator.request(Method::POST, test, &Value::Null).await;
    assert_eq!(assert_problem(&refused, 409)["code"], "nothing_is_pushed");
    honoken.has_variable("HONOKEN_APNS_ENDPOINT", apns.url());
    honoken.has_variable("HONOKEN_APNS_CA_FILE", ca_file);
    honoken.kill().await;
    honoken.restart().await;
    let operator = honoken.operator();
    let trial = async |name: &str| {
        let path = format!("/admin/apns-keys/{name}/test");
        operator.request(Method::POST, &path, &Value::Null).await.assert_status(StatusCode::OK).json()
    };
    assert_eq!(trial("club").await["result"], "taken");
    let rule = apns.answer(Rule::always(Refusal::refused(400, "BadDeviceToken")));
    assert_eq!(trial("club").await["result"], "taken", "it is the device that APNs does not know");
    apns.forget(rule);

    // A key that Apple does not know.
    let (stranger, _) = a_p8();
    let put = operator.request(Method::PUT, "/admin/apns-keys/other", &order("OTHER12345", &stranger)).await;
    put.assert_status(StatusCode::OK);
    let tried = trial("other").await;
    assert_eq!((&tried["result"], &tried["reason"]), (&json!("refused"), &json!("InvalidProviderToken")));
    let listed = operator.request(Method::GET, "/admin/apns-keys", &Value::Null).await.json();
    let states: Vec<_> = listed["apnsKeys"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["in use", "spare"]);

    // A name has one key, and a key that is put aside is not pushed with.
    let taken = operator.request(Method::PUT, "/admin/apns-keys/other", &order(KEY, &p8)).await;
    assert_eq!(assert_problem(&taken, 409)["code"], "another_key");
    let mut aside = order("OTHER12345", &stranger);
    aside["isActive"] = false.into();
    for changed in [true, false] {
        let put = operator.request(Method::PUT, "/admin/apns-keys/other", &aside).await;
        let answer = put.assert_status(StatusCode::OK).json();
        assert_eq!((&answer["isActive"], &answer["changed"]), (&json!(false), &json!(changed)));
    }
    let refused = operator.request(Method::POST, "/admin/apns-keys/other/test", &Value::Null).await;
    assert_eq!(assert_problem(&refused, 409)["code"], "revoked");
    for _ in 0..2 {
        let gone = operator.request(Method::DELETE, "/admin/apns-keys/club", &Value::Null).await;
        gone.assert_status(StatusCode::NO_CONTENT);
    }
    let shown = operator.request(Method::GET, "/admin/apns-keys/club", &Value::Null).await.json();
    assert_eq!((&shown["state"], &shown["isActive"]), (&json!("revoked"), &json!(false)));
    for (method, path) in [
        (Method::GET, "/admin/apns-keys/nobody"),
        (Method::DELETE, "/admin/apns-keys/nobody"),
        (Method::POST, "/admin/apns-keys/nobody/test"),
    ] {
        assert_problem(&operator.request(method, path, &Value::Null).await, 404);
    }
    for (pointer, wrong) in [
        ("/p8", order(KEY, "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----")),
        ("/keyId", order("short", &p8)),
        ("/isActive", json!({ "teamId": TEAM, "keyId": KEY, "p8": p8, "isActive": 1 })),
        ("/force", json!({ "teamId": TEAM, "keyId": KEY, "p8": p8, "force": true })),
    ] {
        let refused = operator.request(Method::PUT, "/admin/apns-keys/third", &wrong).await;
        assert_problem(&refused, 422);
        assert_points_at(&refused, pointer);
    }
    assert_problem(&operator.request(Method::GET, "/admin/apns-keys/third", &Value::Null).await, 404);

    let secret: String = p8.lines().filter(|line| !line.starts_with("-----")).take(1).collect();
    for file in files_below(honoken.home().folder()) {
        let bytes = fs::read(&file).expect("a file");
        let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{} has the private key", file.display());
    }
    assert!(!honoken.home().output().contains(&secret), "the output has the private key");
}

//! Sealed secrets and the keys that open them: what is lost is told before anything is made anew.

use std::fs;

use honoken_tests::Engine;
use honoken_tests::storage::Part;

use crate::certs::{CURRENT, Office, PASS_TYPE, V1, V2, said};

#[tokio::test]
async fn a_sealed_key_is_number_nonce_and_ciphertext() {
    let office = Office::new().await;
    office.is_set_up().await;
    let asked = "select cast(payload as text) from events where event_type = 'CertificateInstalled'";
    let payload = office.home.storage().reads(Part::Log, asked, &[]).await.remove(0);
    let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
    let sealed = payload["CertificateInstalled"]["privateKey"].as_str().expect("text");
    let parts: Vec<&str> = sealed.split(':').collect();
    let [number, nonce, text] = parts.as_slice() else { panic!("{sealed}") };
    assert_eq!((*number, nonce.len()), ("1", 16), "twelve bytes are sixteen characters");
    assert!(text.len() > 100 && text.len().is_multiple_of(4), "base64 with its padding");
}

#[tokio::test]
async fn a_missing_key_file_over_sealed_secrets_stops_the_start_and_no_key_is_made() {
    if Engine::leaves_out("several processes are given their keys, and make none") {
        return;
    }
    let office = Office::with(&[]).await;
    let certified = office.is_set_up().await;
    let file = office.home.data_dir().join("secrets").join("encryption-key");
    let aside = office.home.folder().join("encryption-key");
    fs::rename(&file, &aside).expect("the key was made");

    let output = office.home.serve("serve").command().output().await.expect("it ends by itself");
    let told = said(&output);
    let what = format!("the certificate of {PASS_TYPE} (key 0)");
    assert!(!output.status.success(), "{told}");
    for words in [&what, "secrets/encryption-key", "HONOKEN_ENCRYPTION_KEY_V1", "honoken certs revoke"] {
        assert!(told.contains(words), "{told}");
    }
    let refused = office.runs(&["apns-keys", "list"]).await;
    assert!(refused.status.success(), "what needs no key goes on: {}", said(&refused));
    assert!(!file.exists(), "no new key was made");

    fs::rename(&aside, &file).expect("it is put back");
    let mut serving = office.serves("again").await;
    serving.terminate().await;
    // What is lost for good is revoked; then a new key is made for what comes.
    fs::remove_file(&file).expect("it is there");
    office.does(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;
    office.installs(&certified, &[]).await;
    assert!(file.exists());
    office.serves("renewed").await;
}

#[tokio::test]
async fn resealing_leaves_out_what_is_revoked_and_says_so() {
    let mut office = Office::new().await;
    office.is_set_up().await;
    office.does(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;
    office.has(&[V1, V2, (CURRENT, "2")]);
    let told = office.does(&["keys", "reseal"]).await;
    assert!(told.contains("0 certificates") && told.contains("1 revoked"), "{told}");
    assert!(told.contains("all that is in use is sealed under encryption key 2"), "{told}");
}

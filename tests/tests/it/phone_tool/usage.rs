//! The command line of the tool: its exit codes, its JSON, where it finds a service, and what it refuses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::between::{Between, Meddling};
use super::{SERIAL, Scene, output, text};

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn our_service_keeps_every_rule_and_is_left_as_it_was() {
    let scene = Scene::is_set().await;
    let before = scene.integrator.state(SERIAL).await;
    // Without --server the pass says where.
    let ran = scene.reads(&output(scene.phone(&["--json"])).await);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{:#}", ran.report);
    assert_eq!(ran.rules("broken"), [""; 0]);
    assert_eq!(scene.integrator.state(SERIAL).await, before);
    let android = scene.tries_out(&scene.url(), &["--android"]).await;
    assert_eq!((android.code, android.rules("kept")), (Some(0), ran.rules("kept")));
}

#[tokio::test]
async fn the_json_has_the_same_keys_each_time_and_agrees_with_the_text() {
    let scene = Scene::is_set().await;
    let server = scene.url();
    let ran = scene.tries_out(&server, &[]).await;
    let all =
        ["leftBehind", "passTypeIdentifier", "requests", "rules", "serialNumber", "summary", "webServiceURL"];
    assert_eq!(keys(&ran.report), BTreeSet::from(all));
    assert_eq!(
        (&ran.report["serialNumber"], &ran.report["webServiceURL"]),
        (&SERIAL.into(), &server.as_str().into())
    );
    assert!(ran.report["requests"].as_u64().unwrap() > 30);
    let shown = text(&output(scene.phone(&["--server", &server])).await.stdout);
    let rules = ran.report["rules"].as_array().unwrap();
    for rule in rules {
        assert_eq!(keys(rule), BTreeSet::from(["id", "seen", "sentence", "source", "verdict", "why"]));
        let word = match rule["verdict"].as_str().unwrap() {
            "kept" => "kept",
            "notReached" => "not reached",
            other => panic!("{other}"),
        };
        assert_eq!(rule["why"].is_string(), word == "not reached", "{rule}");
        assert!(rule["seen"].is_null(), "{rule}");
        let line = shown.lines().find(|line| line.contains(rule["id"].as_str().unwrap())).expect("a line");
        assert!(line.starts_with(word) && line.ends_with(rule["sentence"].as_str().unwrap()), "{line}");
    }
    let summary = &ran.report["summary"];
    let counts = ["kept", "broken", "notReached"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(usize::try_from(counts.iter().sum::<u64>()).unwrap(), rules.len());
    let last = shown.lines().last().unwrap();
    assert!(last.starts_with(&format!("{} kept, 0 broken, {} not reached", counts[0], counts[2])), "{last}");
}

#[tokio::test]
async fn where_there_is_nothing_to_judge_it_ends_with_2_and_says_what_to_do() {
    let scene = Scene::is_set().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let folder = scene.honoken.home().folder();
    let odd = folder.join("odd.pkpass");
    std::fs::write(&odd, "no pass").unwrap();
    let pass = scene.pass.to_str().unwrap();
    for name in ["phone", "phones"] {
        for (arguments, hint) in [
            (&["--pass", pass, "--server", &format!("http://{nobody}")][..], "Connection refused"),
            (&["--pass", pass, "--server", "http://nowhere.invalid"], "nowhere.invalid"),
            (&["--pass", pass, "--server", "passes.example.com"], "https://"),
            (&["--pass", pass, "--server", "ftp://passes.example.com"], "https"),
            (&["--pass", pass, "--server", "http://a:hunter2@127.0.0.1/"], "password"),
            (&["--pass", pass, "--server", "http://127.0.0.1/?v1"], "/v1/"),
            (&["--pass", pass, "--timeout", "0"], "--timeout"),
            (&["--pass", pass, "--ca", odd.to_str().unwrap()], "PEM"),
            (&["--pass", pass, "--ca", "missing.pem"], "missing.pem"),
            (&["--pass", odd.to_str().unwrap()], "honoken inspect"),
            (&["--pass", "missing.pkpass"], "missing.pkpass"),
            (&[], "/manage/v1/passes/"),
        ] {
            let count: &[&str] = if name == "phones" { &["--count", "3"] } else { &[] };
            let command = scene.honoken.home().command(&[&[name], count, arguments].concat());
            let output = output(command).await;
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {said}");
            assert!(said.contains(hint) && output.stdout.is_empty(), "{name} {arguments:?}: {said}");
            assert!(
                !said.contains(&scene.token) && !said.contains("hunter2 "),
                "{name} {arguments:?}: {said}"
            );
        }
    }
    assert_eq!(scene.registrations().await, 0);
}

/// A root, and what it issued for 127.0.0.1: root, certificate and key, each in a PEM file.
async fn a_certificate(folder: &Path) -> [PathBuf; 3] {
    let files = ["root.pem", "tls.pem", "tls.key"].map(|name| folder.join(name));
    let script = "
        curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
        openssl req -x509 $curve -subj /CN=root -keyout root.key -out root.pem
        openssl req -x509 $curve -subj /CN=server -CA root.pem -CAkey root.key -keyout tls.key -out tls.pem \\
            -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let mut command = Command::new("/bin/bash");
    let output = command.args(["-ec", script]).current_dir(folder).output().await.expect("bash");
    assert!(output.status.success(), "{}", text(&output.stderr));
    files
}

#[tokio::test]
async fn https_is_spoken_with_those_that_somebody_vouches_for() {
    let scene = Scene::is_set().await;
    let [root, certificate, key] = a_certificate(scene.honoken.home().folder()).await;
    let chain = CertificateDer::pem_file_iter(&certificate).unwrap().map(Result::unwrap).collect();
    let private_key = PrivateKeyDer::from_pem_file(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let tls = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, private_key).unwrap()));
    let between = Between::listens(&scene.url(), Meddling::none(), Some(tls)).await;

    let vouched = ["--ca", root.to_str().unwrap()];
    let ran = scene.tries_out(&between.url, &vouched).await;
    assert_eq!(ran.code, Some(0), "{:#}", ran.report);
    assert!(ran.rules("kept").contains(&"any.is-https"));
    let fleet = [&["--count", "3", "--server", &between.url], &vouched[..]].concat();
    assert_eq!(output(scene.phones(&fleet)).await.status.code(), Some(0));

    for (name, count) in [("phone", &[][..]), ("phones", &["--count", "3"])] {
        let arguments = [&["--server", between.url.as_str()], count].concat();
        let refused = output(scene.tool(name, &arguments)).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("certificate"), "{said}");
    }
}

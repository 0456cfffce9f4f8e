//! Pushing with the certificate of a pass type.

use std::sync::Arc;

use honoken_pushers::apns::ApnsClient;
use honoken_pushers::outcome::Outcome;
use honoken_pushers::ports::{Apns as _, Credential, PassCertificate};
use honoken_simulator::apns::{Authority, FakeApns, Identity, Options};

use crate::harness::{Clock, TOPIC, assert_accepted, options_for, push};

fn credential(identity: Identity, revision: &str) -> Credential {
    let Identity { certificate, key } = identity;
    Credential::Certificate(Arc::new(PassCertificate {
        certificate,
        chain: Vec::new(),
        key,
        revision: revision.to_owned(),
    }))
}

fn server(authority: &Authority) -> FakeApns {
    let client_authorities = Some(authority.pem().expect("its certificate"));
    FakeApns::start(Options { client_authorities, ..Options::default() }).expect("a server")
}

fn client(apns: &FakeApns) -> ApnsClient {
    ApnsClient::new(options_for(apns), Arc::new(Clock::at_start())).expect("a client")
}

#[tokio::test]
async fn the_server_sees_the_certificate_of_the_pass_type_and_no_token() {
    let apple = Authority::new().unwrap();
    let apns = server(&apple);
    let credential = credential(apple.pass_type(TOPIC, "TEAM123456").unwrap(), "1");
    let client = client(&apns);
    let pushes: Vec<_> = (0..50).map(|number| push(&format!("{number:02x}"))).collect();
    let outcomes = futures::future::join_all(pushes.iter().map(|push| client.push(&credential, push))).await;
    assert_accepted(&outcomes);
    let connections = apns.connections();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].certificate_topic.as_deref(), Some(TOPIC));
    assert!(connections[0].certificate.as_ref().unwrap().contains("TEAM123456"));
    assert!(apns.received().iter().all(|received| received.header("authorization").is_none()));
    assert_eq!(apns.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn each_certificate_has_a_connection_of_its_own() {
    let apple = Authority::new().unwrap();
    let apns = server(&apple);
    let client = client(&apns);
    for (topic, revision) in [(TOPIC, "1"), ("pass.com.example.other", "2"), (TOPIC, "3")] {
        let credential = credential(apple.pass_type(topic, "TEAM123456").unwrap(), revision);
        let outcome = client.push(&credential, &push("aa")).await;
        if topic == TOPIC {
            assert_accepted(&[outcome]);
        } else {
            let reason = "DeviceTokenNotForTopic".to_owned();
            assert_eq!(outcome, Outcome::TokenDead { reason, since_ms: None, certain: false });
        }
    }
    let topics: Vec<_> = apns.connections().into_iter().filter_map(|seen| seen.certificate_topic).collect();
    assert_eq!(topics, [TOPIC, "pass.com.example.other", TOPIC]);
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_the_operators_business() {
    let (apple, stranger) = (Authority::new().unwrap(), Authority::new().unwrap());
    let apns = server(&apple);
    let credential = credential(stranger.pass_type(TOPIC, "TEAM123456").unwrap(), "1");
    let client = client(&apns);
    for _ in 0..3 {
        let outcome = client.push(&credential, &push("aa")).await;
        let Outcome::Misconfigured { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.starts_with("APNs refused the pass type certificate"), "{reason}");
    }
    assert_eq!(apns.count(), 0);
    assert!(apns.connections_begun() <= 2, "{} connections", apns.connections_begun());
}

#[tokio::test]
async fn a_server_that_asks_for_no_certificate_has_not_taken_ours() {
    let apple = Authority::new().unwrap();
    let (_, known) = crate::harness::apns_key("KEY1234567");
    let apns = FakeApns::start(Options { keys: vec![known], ..Options::default() }).unwrap();
    let credential = credential(apple.pass_type(TOPIC, "TEAM123456").unwrap(), "1");
    let outcome = client(&apns).push(&credential, &push("aa")).await;
    assert_eq!(outcome, Outcome::Misconfigured { reason: "MissingProviderToken".to_owned() });
}

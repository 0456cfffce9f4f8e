//! NATS over TLS and with an nkey: what is right connects, and each thing that is wrong is told as what it is.

use std::fs;

use honoken_test_nats::Server;
use honoken_tests::authority::Authority;
use honoken_tests::{Engine, Honoken, Serve};

use crate::a_home_for_serve;

/// The seed of a user's nkey, and its public half: the ones that NATS' own documentation shows.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// The settings of a server that shows this certificate.
fn tls(authority: &Authority, server: &str, more: &str) -> String {
    let (certificate, key) =
        (authority.text(&format!("{server}.pem")), authority.text(&format!("{server}.key")));
    format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, {more} }}")
}

/// `serve`, in which NATS is configured so.
fn serve(home: &Honoken, name: &str, variables: &[(&str, &str)]) -> Serve {
    let serve = home.home().serve(name);
    variables.iter().fold(serve, |serve, (variable, value)| serve.with_variable(variable, value))
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told_as_what_it_is() {
    let home = a_home_for_serve().await;
    let authority = Authority::new().await;
    let other = Authority::new().await;
    authority.certifies("localhost", "DNS:localhost,IP:127.0.0.1", "serverAuth").await;
    authority.certifies("elsewhere", "DNS:broker.example", "serverAuth").await;
    let ca = authority.text("ca.pem");
    let demands = format!("ca_file: {ca:?}, verify: true");
    let cases = [
        (tls(&authority, "localhost", ""), other.text("ca.pem"), "NATS_CA_FILE"),
        (tls(&authority, "elsewhere", ""), ca.clone(), "its certificate is for another name"),
        (String::new(), ca.clone(), "it does not speak TLS"),
        (
            tls(&authority, "localhost", &demands),
            ca.clone(),
            "it demands a client certificate: set NATS_CLIENT_CERT_FILE",
        ),
    ];
    for (number, (settings, ca_file, reason)) in cases.into_iter().enumerate() {
        let server = Server::start_with(&settings).await;
        let url = format!("tls://localhost:{}", server.port());
        let variables = [("NATS_URL", url.as_str()), ("NATS_CA_FILE", &ca_file)];
        let mut serving = serve(&home, &format!("wrong-{number}"), &variables).start().await;
        let line = serving.logs(reason).await;
        assert!(line.contains("NATS is unreachable") && line.contains("localhost"), "{line}");
        assert!(!serving.output().contains("connected to NATS"), "{}", serving.output());
        assert!(serving.terminate().await.success());
    }
}

#[tokio::test]
async fn a_server_that_demands_a_client_certificate_and_an_nkey_gets_both() {
    let home = a_home_for_serve().await;
    let authority = Authority::new().await;
    authority.certifies("localhost", "DNS:localhost,IP:127.0.0.1", "serverAuth").await;
    authority.certifies("honoken", "DNS:honoken", "clientAuth").await;
    let ca = authority.text("ca.pem");
    let settings = tls(&authority, "localhost", &format!("ca_file: {ca:?}, verify: true"));
    let server =
        Server::start_with(&format!("{settings}\nauthorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}")).await;
    let seed = authority.file("relay.nk");
    fs::write(&seed, format!("# of the relay\n{SEED}\n")).expect("a file");
    let url = format!("nats://localhost:{}", server.port());
    let (certificate, key, seed) =
        (authority.text("honoken.pem"), authority.text("honoken.key"), authority.text("relay.nk"));
    let variables = [
        ("NATS_URL", url.as_str()),
        ("NATS_CA_FILE", &ca),
        ("NATS_CLIENT_CERT_FILE", &certificate),
        ("NATS_CLIENT_KEY_FILE", &key),
        ("NATS_CREDS_FILE", &seed),
    ];
    let mut serving = serve(&home, "right", &variables).start().await;
    serving.logs("created the JetStream stream HONOKEN").await;
    assert!(!serving.output().contains(SEED), "a seed is a secret");
    assert!(serving.terminate().await.success());
}

/// The rights that `docs/nats.md` names are enough, and it names no more than are needed for what happens here.
#[tokio::test]
async fn the_rights_that_the_documentation_names_are_enough() {
    if Engine::leaves_out("the rights do not depend on the database") {
        return;
    }
    let documentation = include_str!("../../../docs/nats.md");
    let granted = |about: &str| -> Vec<String> {
        let (_, rest) = documentation.split_once(about).expect("the documentation names them");
        let (_, block) = rest.split_once("```").expect("a block");
        let (block, _) = block.split_once("```").expect("its end");
        block.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let quoted = |subjects: Vec<String>| format!("{subjects:?}");
    let (publish, subscribe) = (quoted(granted("has to publish on")), quoted(granted("has to subscribe to")));
    let server = Server::start_with(&format!(
        "authorization {{ users: [\n
           {{ user: honoken, password: secret, permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}\n
           {{ user: till, password: secret }} ] }}"
    ))
    .await;
    let home = a_home_for_serve().await;
    let url = format!("nats://honoken:secret@127.0.0.1:{}", server.port());
    let mut serving = serve(&home, "rights", &[("NATS_URL", url.as_str())]).start().await;
    serving.logs("created the JetStream stream HONOKEN").await;
    let integrator = serving.integrator(home.ready());
    integrator.issues("A-1").await;
    integrator.moves_to("A-1", "2B").await;

    let till = async_nats::ConnectOptions::with_user_and_password("till".to_owned(), "secret".to_owned());
    let client = till.connect(server.url()).await.expect("it answers");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Honoken-Api-Key", home.ready().api_key.as_str());
    let order = serde_json::json!({
        "passTypeIdentifier": integrator.pass_type_identifier(), "serialNumber": "A-1", "content": honoken_tests::a_ticket("3C"),
    });
    let asks = client.request_with_headers(
        "honoken.command.pass.update_requested",
        headers,
        order.to_string().into(),
    );
    asks.await.expect("JetStream has it");
    honoken_tests::waiting::eventually(
        honoken_tests::waiting::PATIENCE,
        "the command is carried out",
        async || (integrator.state("A-1").await["content"]["seat"] == "3C").then_some(()),
    )
    .await;
    assert!(
        !server.log().contains("Permissions Violation") && !serving.output().contains("ermissions"),
        "{}",
        serving.output()
    );
    assert!(serving.terminate().await.success());
}

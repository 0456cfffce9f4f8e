//! What tests may expect of the NATS server they are given.

use async_nats::jetstream::{self, stream};
use honoken_test_nats::Server;

async fn stream(server: &Server) -> stream::Stream {
    let client = async_nats::connect(server.url()).await.expect("the server answers");
    let config =
        stream::Config { name: "NOTES".into(), subjects: vec!["note".into()], ..stream::Config::default() };
    jetstream::new(client).get_or_create_stream(config).await.expect("the server has JetStream")
}

async fn notes(server: &Server, note: &'static str) {
    let client = async_nats::connect(server.url()).await.expect("the server answers");
    let jetstream = jetstream::new(client);
    let acknowledged = jetstream.publish("note", note.into()).await.expect("it is sent");
    acknowledged.await.expect("the server stores it");
}

async fn noted(server: &Server) -> u64 {
    stream(server).await.cached_info().state.messages
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_store() {
    let mut server = Server::start().await;
    stream(&server).await;
    notes(&server, "one").await;
    server.kill().await;
    assert!(async_nats::connect(server.url()).await.is_err(), "nobody is there");
    server.start_again().await;
    assert_eq!(noted(&server).await, 1);
    assert!(!server.log().contains("Server Exiting"), "{}", server.log());
}

#[tokio::test]
async fn a_stopped_server_comes_back_with_its_store() {
    let mut server = Server::start().await;
    stream(&server).await;
    notes(&server, "one").await;
    server.stop().await;
    assert!(async_nats::connect(server.url()).await.is_err(), "nobody is there");
    server.start_again().await;
    assert_eq!(noted(&server).await, 1);
    assert!(server.log().contains("Server Exiting"), "{}", server.log());
}

#[tokio::test]
async fn every_server_has_a_store_of_its_own() {
    let (one, other) = (Server::start().await, Server::start().await);
    stream(&one).await;
    notes(&one, "one").await;
    assert_eq!(noted(&other).await, 0);
}

#[tokio::test]
async fn a_server_goes_with_its_test() {
    let server = Server::start().await;
    let url = server.url();
    drop(server);
    assert!(async_nats::connect(url).await.is_err(), "nobody is there");
}

//! Commands over NATS: a system that knows nothing but a subject changes passes, as it would over HTTP, however often either side dies.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use async_nats::{Client, HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use honoken_test_nats::Server;
use honoken_test_postgres::Cluster;
use honoken_tests::server::{Home, Ready};
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, Integrator, a_ticket};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{CACHE, PROGRAM, a_home_in};

const SUBJECT: &str = "honoken.command.pass.update_requested";
const REFUSED: &str = "honoken.command.refused";

/// A system that may publish commands.
struct Sender {
    client: Client,
    key: String,
    pass_type_identifier: String,
}

impl Sender {
    async fn of(nats: &Server, honoken: &Honoken) -> Self {
        let client = async_nats::connect(nats.url()).await.expect("the broker is there");
        let ready = honoken.ready();
        let pass_type_identifier = ready.pass_type_identifier.clone();
        Self { client, key: ready.api_key.clone(), pass_type_identifier }
    }

    /// The same, once the service listens: the stream is there a moment before, and a command that comes earlier is carried out and not answered.
    async fn that_is_heard(nats: &Server, honoken: &Honoken) -> Self {
        let sender = Self::of(nats, honoken).await;
        eventually(PATIENCE, "the stream is there", async || {
            jetstream::new(sender.client.clone()).get_stream("HONOKEN").await.ok().map(|_| ())
        })
        .await;
        sender.waits_until_it_is_answered().await;
        sender
    }

    fn order(&self, serial_number: &str, content: &Value) -> Value {
        json!({
            "passTypeIdentifier": self.pass_type_identifier, "serialNumber": serial_number, "content": content,
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Honoken-Api-Key", self.key.as_str());
        headers
    }

    /// Sends a message and waits for what JetStream says first and the service then.
    async fn asks_with(&self, headers: HeaderMap, payload: impl Into<Bytes>) -> (Value, Message) {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.expect("the connection is there");
        self.client
            .publish_with_reply_and_headers(SUBJECT, inbox, headers, payload.into())
            .await
            .expect("the connection is there");
        let stored = next(&mut answers).await;
        (json_of(&stored), next(&mut answers).await)
    }

    async fn asks(&self, order: &Value) -> Value {
        let (stored, answer) = self.asks_with(self.headers(), order.to_string()).await;
        assert_eq!(stored["stream"], "HONOKEN", "{stored}");
        json_of(&answer)
    }

    /// Has the broker store a message, and waits for nobody to read it.
    async fn sends(&self, order: &Value) {
        let jetstream = jetstream::new(self.client.clone());
        let payload = order.to_string().into();
        let sent = jetstream
            .publish_with_headers(SUBJECT, self.headers(), payload)
            .await
            .expect("the connection is there");
        sent.await.expect("the broker stores it");
    }

    /// Waits until the service listens again. What is sent before is carried out, too, but nobody knows whom to answer.
    async fn waits_until_it_is_answered(&self) {
        eventually(PATIENCE, "the service answers", async || {
            let probe = self.order("missing", &json!({}));
            timeout(Duration::from_secs(1), self.asks(&probe)).await.ok().map(|_| ())
        })
        .await;
    }

    async fn hears_of_refusals(&self) -> Subscriber {
        let refused = self.client.subscribe(REFUSED).await.expect("the connection is there");
        self.client.flush().await.expect("the connection is there");
        refused
    }

    async fn stream(&self) -> stream::Stream {
        jetstream::new(self.client.clone()).get_stream("HONOKEN").await.expect("the stream is there")
    }

    /// Waits until no command is left in the stream.
    async fn waits_until_nothing_is_left(&self) {
        eventually(PATIENCE, "no command is left in the stream", async || {
            // Neither the first nor the last message is asked for: nats-server 2.9 finds none when messages behind it were deleted.
            let mut left = self.stream().await.info_with_subjects(SUBJECT).await.ok()?;
            left.next().await.is_none().then_some(())
        })
        .await;
    }
}

async fn next(messages: &mut Subscriber) -> Message {
    timeout(PATIENCE, messages.next()).await.expect("a message comes in time").expect("the connection lasts")
}

fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap_or_else(|fault| panic!("{fault}: {:?}", message.payload))
}

/// Everything about a message as text, to look for what must not be in it.
fn text_of(message: &Message) -> String {
    format!("{:?} {}", message.headers, String::from_utf8_lossy(&message.payload))
}

async fn a_service_at(nats: &Server) -> (Honoken, Integrator, Sender) {
    let home = Home::new(PROGRAM).await.with_variable("NATS_URL", nats.url());
    let honoken = Honoken::start_in_with_certificates(home, CACHE.as_ref()).await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let sender = Sender::that_is_heard(nats, &honoken).await;
    (honoken, integrator, sender)
}

/// The seats that a pass has had, oldest first, issue included.
async fn seats(honoken: &Honoken, serial_number: &str) -> Vec<String> {
    let sql = "select cast(payload as text) from events where aggregate_type = $1 and aggregate_id like $2 order by sequence";
    let pattern = format!("%/{serial_number}");
    let events = honoken.storage().reads(Part::Log, sql, &["Pass", &pattern]).await;
    let seat = |event: &String| {
        let event: Value = serde_json::from_str(event).expect("JSON");
        let change = event.as_object().and_then(|event| event.values().next()).expect("one event");
        change["content"]["seat"].as_str().expect("every event has a content").to_owned()
    };
    events.iter().map(seat).collect()
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_command_changes_a_pass_and_is_answered_as_over_http() {
    let nats = Server::start().await;
    let (_honoken, integrator, sender) = a_service_at(&nats).await;
    let content = a_ticket("2B");
    let mut headers = sender.headers();
    headers.insert("Honoken-Request-Id", "find-me-4711");
    let order = sender.order("A-1", &content).to_string();
    let (_, answer) = sender.asks_with(headers, order).await;
    let answered = answer.headers.clone().expect("headers");
    assert_eq!(answered.get("Content-Type").unwrap().as_str(), "application/json");
    assert_eq!(answered.get("Honoken-Request-Id").unwrap().as_str(), "find-me-4711");
    let change = json_of(&answer);
    assert_eq!((&change["changed"], &change["projected"]), (&json!(true), &json!(true)), "{change}");
    let state = integrator.state("A-1").await;
    assert_eq!(state["content"], content);

    let again =
        json_of(&sender.asks_with(sender.headers(), sender.order("A-1", &content).to_string()).await.1);
    let over_http = integrator.replace("A-1", &content).await.json();
    assert_eq!(again, over_http, "the same answer, whichever way it is asked");
    assert_eq!(again["changed"], false);
    for member in ["etag", "updatedAt", "updateTag", "position"] {
        assert_eq!(change[member], state[member], "{member}");
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_is_told_without_the_key() {
    let nats = Server::start().await;
    let home = Home::new(PROGRAM).await.with_variable("NATS_URL", nats.url());
    let mut honoken = Honoken::start_in_with_certificates(home, CACHE.as_ref()).await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    integrator.issues("gone").await;
    integrator.retires("gone").await;
    honoken.terminate().await;
    let (another_key, another_type) = ("another organisation's key", "pass.another.organisation");
    honoken.storage().founds_another_organization(another_key, another_type).await;
    let create = ["keys", "create", "--organization", "dev", "--label", "x", "--scopes", "links:write"];
    let reading_key = String::from_utf8(honoken.home().runs(&create).await.stdout).expect("a key is text");
    honoken.restart().await;
    let integrator = honoken.integrator();
    let sender = Sender::that_is_heard(&nats, &honoken).await;
    let mut refusals = sender.hears_of_refusals().await;
    let before = integrator.state("A-1").await;

    let order = |serial: &str, content: Value| sender.order(serial, &content).to_string();
    let fine = || order("A-1", a_ticket("2B"));
    let (mut wrong, mut another, mut twice) = (HeaderMap::new(), HeaderMap::new(), sender.headers());
    let mut reading = HeaderMap::new();
    reading.insert("Honoken-Api-Key", reading_key.trim());
    wrong.insert("Honoken-Api-Key", "wr0ng-and-s3cret");
    another.insert("Honoken-Api-Key", another_key);
    twice.append("Honoken-Api-Key", sender.key.as_str());
    let another_type = json!({ "passTypeIdentifier": another_type, "serialNumber": "A-1", "content": {} });
    let large = order("A-1", json!({ "description": "x".repeat(256 * 1024) }));
    let invalid = order("A-1", json!({ "description": "a", "eventDateISO": "2027-03-01 19:30" }));
    let mut misspelled = sender.order("A-1", &a_ticket("2B"));
    misspelled["serial"] = "A-1".into();
    let mine = || sender.headers();
    let cases: [(&str, HeaderMap, String, u16, &[&str]); 13] = [
        ("no key", HeaderMap::new(), fine(), 401, &[]),
        ("a wrong key", wrong, fine(), 401, &[]),
        ("two keys", twice, fine(), 401, &[]),
        ("a key without the scope", reading, fine(), 403, &[]),
        ("somebody else's pass", another, fine(), 404, &[]),
        ("somebody else's type", mine(), another_type.to_string(), 404, &[]),
        ("no such pass", mine(), order("B-1", a_ticket("2B")), 404, &[]),
        ("a retired pass", mine(), order("gone", a_ticket("2B")), 409, &[]),
        ("broken JSON", mine(), "{\"serialNumber\": ".to_owned(), 400, &[""]),
        ("too large", mine(), large, 413, &[]),
        ("an invalid content", mine(), invalid, 422, &["/content/eventDateISO"]),
        ("no object", mine(), order("A-1", json!([])), 422, &["/content"]),
        ("a misspelled member", mine(), misspelled.to_string(), 422, &["/serial"]),
    ];
    for (what, headers, payload, status, pointers) in cases {
        let (_, answer) = sender.asks_with(headers, payload.clone()).await;
        let content_type = answer.headers.as_ref().and_then(|headers| headers.get("Content-Type"));
        assert_eq!(content_type.unwrap().as_str(), "application/problem+json", "{what}");
        let problem = json_of(&answer);
        assert_eq!(problem["status"], status, "{what}: {problem}");
        let told: Vec<&str> = problem["errors"].as_array().map_or_else(Vec::new, |faults| {
            faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect()
        });
        assert_eq!(told, pointers, "{what}: {problem}");

        let refusal = next(&mut refusals).await;
        let text = text_of(&refusal);
        for secret in [sender.key.as_str(), "wr0ng-and-s3cret", another_key] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
        let refusal = json_of(&refusal);
        assert_eq!(refusal["problem"], problem, "{what}");
        let message: Value = serde_json::from_str(&payload).unwrap_or_else(|_| payload.clone().into());
        assert_eq!(refusal["message"], message, "{what}");
    }
    assert_eq!(integrator.state("A-1").await, before);
    assert!(!honoken.output_so_far().await.contains("wr0ng-and-s3cret"), "a key is in the log");
    sender.waits_until_nothing_is_left().await;
}

#[tokio::test]
async fn an_urgent_command_says_so_in_the_metadata_of_its_event() {
    let nats = Server::start().await;
    let (honoken, _, sender) = a_service_at(&nats).await;
    let mut order = sender.order("A-1", &a_ticket("2B"));
    order["urgent"] = true.into();
    assert_eq!(sender.asks(&order).await["changed"], true);
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("3C"))).await["changed"], true);
    let sql = "select cast(metadata as text) from events where aggregate_type = $1 and aggregate_id like $2 order by sequence";
    let metadata = honoken.storage().reads(Part::Log, sql, &["Pass", "%/A-1"]).await;
    let urgent = |text: &String| serde_json::from_str::<Value>(text).unwrap()["urgent"].clone();
    let urgent: Vec<Value> = metadata.iter().map(urgent).collect();
    assert_eq!(urgent, [Value::Null, "true".into(), Value::Null]);
    assert!(metadata.iter().all(|text| text.contains("api-key:")), "{metadata:?}");
}

#[tokio::test]
async fn a_thousand_commands_are_carried_out_in_order_and_none_is_kept() {
    let nats = Server::start().await;
    let (honoken, _, sender) = a_service_at(&nats).await;
    for number in 0..1_000 {
        let payload = sender.order("A-1", &a_ticket(&number.to_string())).to_string();
        sender.client.publish_with_headers(SUBJECT, sender.headers(), payload.into()).await.unwrap();
    }
    sender.client.flush().await.unwrap();
    eventually(3 * PATIENCE, "the last command is carried out", async || {
        let seats = seats(&honoken, "A-1").await;
        (seats.last().unwrap() == "999").then_some(())
    })
    .await;
    assert_eq!(seats(&honoken, "A-1").await[1..], numbered(0..1_000));
    sender.waits_until_nothing_is_left().await;
}

#[tokio::test]
async fn commands_wait_for_a_service_that_is_not_there() {
    let nats = Server::start().await;
    let (mut honoken, _, sender) = a_service_at(&nats).await;
    honoken.terminate().await;
    for number in 0..20 {
        sender.sends(&sender.order("A-1", &a_ticket(&number.to_string()))).await;
    }
    honoken.restart().await;
    sender.waits_until_nothing_is_left().await;
    assert_eq!(seats(&honoken, "A-1").await[1..], numbered(0..20));
}

#[tokio::test]
async fn a_service_that_is_killed_again_and_again_carries_every_command_out_once_and_in_order() {
    let nats = Server::start().await;
    let (mut honoken, _, sender) = a_service_at(&nats).await;
    let total = 200;
    for number in 0..total {
        sender.sends(&sender.order("A-1", &a_ticket(&number.to_string()))).await;
    }
    for _ in 0..4 {
        let before = seats(&honoken, "A-1").await.len();
        eventually(PATIENCE, "some more are carried out", async || {
            (seats(&honoken, "A-1").await.len() > before + 10).then_some(())
        })
        .await;
        // In the middle of whichever it is at.
        honoken.kill().await;
        honoken.restart().await;
    }
    sender.waits_until_nothing_is_left().await;
    assert_eq!(seats(&honoken, "A-1").await[1..], numbered(0..total));
}

/// Every command of an organisation counts against its limit, and more of them wait than a lane holds.
#[tokio::test]
async fn an_organisation_over_its_limit_holds_nobody_up_but_itself() {
    const KEY: &str = "the-key-of-another-organisation";
    const TYPE: &str = "pass.another.organisation";
    let nats = Server::start().await;
    let (mut honoken, integrator, sender) = a_service_at(&nats).await;
    integrator.issues("A-2").await;
    honoken.terminate().await;
    honoken.storage().founds_another_organization(KEY, TYPE).await;
    honoken.has_variable("RATE_LIMIT_MANAGE_PER_SECOND", "20");
    honoken.restart().await;
    let ready =
        Ready { api_key: KEY.to_owned(), pass_type_identifier: TYPE.to_owned(), ..honoken.ready().clone() };
    Integrator::new(&ready).issues("B-1").await;
    let other =
        Sender { client: sender.client.clone(), key: KEY.to_owned(), pass_type_identifier: TYPE.to_owned() };
    other.waits_until_it_is_answered().await;

    let total = 300;
    for number in 0..total {
        let serial_number = if number % 3 == 0 { "A-1" } else { "A-2" };
        sender.sends(&sender.order(serial_number, &a_ticket(&number.to_string()))).await;
    }
    let carried_out = async || {
        let (first, second) = (seats(&honoken, "A-1").await, seats(&honoken, "A-2").await);
        first.len() + second.len() - 2
    };
    for seat in ["2B", "3C", "4D"] {
        assert_eq!(other.asks(&other.order("B-1", &a_ticket(seat))).await["changed"], true);
    }
    let before = carried_out().await;
    assert!(before < total, "the others are carried out already, so nobody knows whether they held this up");
    // Whatever is in hand, and however much of it, is found again.
    honoken.kill().await;
    honoken.restart().await;
    other.waits_until_it_is_answered().await;
    assert_eq!(other.asks(&other.order("B-1", &a_ticket("5E"))).await["changed"], true);
    sender.waits_until_nothing_is_left().await;
    let (of_first, of_second): (Vec<usize>, Vec<usize>) = (0..total).partition(|number| number % 3 == 0);
    let as_seats = |numbers: Vec<usize>| numbers.iter().map(usize::to_string).collect::<Vec<_>>();
    assert_eq!(seats(&honoken, "A-1").await[1..], as_seats(of_first));
    assert_eq!(seats(&honoken, "A-2").await[1..], as_seats(of_second));
    assert_eq!(seats(&honoken, "B-1").await[1..], ["2B", "3C", "4D", "5E"]);
}

#[tokio::test]
async fn a_message_that_comes_again_is_carried_out_once_whatever_has_happened_since() {
    let mut nats = Server::start().await;
    let (honoken, integrator, sender) = a_service_at(&nats).await;
    let named = |name: &str| {
        let mut headers = sender.headers();
        headers.insert("Nats-Msg-Id", name);
        headers
    };
    let order = sender.order("A-1", &a_ticket("2B")).to_string();
    let first = json_of(&sender.asks_with(named("m-1"), order.clone()).await.1);
    assert_eq!(first["changed"], true);
    sender.waits_until_nothing_is_left().await;
    // The broker forgets which messages it has seen, and the sender has never heard that it was taken.
    nats.kill().await;
    nats.start_again().await;
    sender.waits_until_it_is_answered().await;
    let (stored, again) = sender.asks_with(named("m-1"), order.clone()).await;
    assert_ne!(stored["duplicate"], true, "the broker has forgotten: {stored}");
    assert_eq!(json_of(&again), first, "the same message has the same answer");
    integrator.moves_to("A-1", "3C").await;
    sender.waits_until_nothing_is_left().await;
    nats.stop().await;
    nats.start_again().await;
    sender.waits_until_it_is_answered().await;
    let (_, again) = sender.asks_with(named("m-1"), order).await;
    assert_eq!(json_of(&again)["changed"], true);
    assert_eq!(seats(&honoken, "A-1").await, ["1A", "2B", "3C"], "what came since stays");

    sender.waits_until_nothing_is_left().await;
    nats.stop().await;
    nats.start_again().await;
    let other = sender.order("A-1", &a_ticket("9Z")).to_string();
    sender.waits_until_it_is_answered().await;
    let (_, refused) = sender.asks_with(named("m-1"), other).await;
    assert_eq!(json_of(&refused)["code"], "idempotency_key_reused");
    assert_eq!(seats(&honoken, "A-1").await, ["1A", "2B", "3C"]);
}

#[tokio::test]
async fn a_broker_that_goes_and_comes_back_holds_nobody_up() {
    let mut nats = Server::start().await;
    let (honoken, integrator, sender) = a_service_at(&nats).await;
    for number in 0..10 {
        sender.sends(&sender.order("A-1", &a_ticket(&number.to_string()))).await;
    }
    nats.kill().await;
    integrator.issues("B-1").await;
    integrator.moves_to("B-1", "2B").await;
    nats.start_again().await;
    eventually(PATIENCE, "all commands are carried out", async || {
        (seats(&honoken, "A-1").await.last().unwrap() == "9").then_some(())
    })
    .await;
    assert_eq!(seats(&honoken, "A-1").await[1..], numbered(0..10));
    let sender = Sender::that_is_heard(&nats, &honoken).await;
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("10"))).await["changed"], true);
}

#[tokio::test]
async fn a_stream_and_a_consumer_that_somebody_deletes_are_made_anew() {
    let nats = Server::start().await;
    let (_honoken, integrator, sender) = a_service_at(&nats).await;
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("2B"))).await["changed"], true);
    sender.stream().await.delete_consumer("commands").await.unwrap();
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("3C"))).await["changed"], true);
    let jetstream = jetstream::new(sender.client.clone());
    jetstream.delete_stream("HONOKEN").await.unwrap();
    eventually(PATIENCE, "the stream is there again", async || {
        jetstream.get_stream("HONOKEN").await.ok().map(|_| ())
    })
    .await;
    // The broker shows a stream a moment before it stores what is sent there.
    sender.waits_until_it_is_answered().await;
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("4D"))).await["changed"], true);
    assert_eq!(integrator.state("A-1").await["content"]["seat"], "4D");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_for_a_store_that_is_away_and_keep_their_order() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let (nats, mut cluster) = (Server::start().await, Cluster::start().await);
    let home = Home::with_database(cluster.create_database().await, PROGRAM);
    let home = home.with_variable("NATS_URL", nats.url());
    let honoken = Honoken::start_in_with_certificates(home, CACHE.as_ref()).await;
    honoken.integrator().issues("A-1").await;
    let sender = Sender::that_is_heard(&nats, &honoken).await;
    let mut refusals = sender.hears_of_refusals().await;
    assert_eq!(sender.asks(&sender.order("A-1", &a_ticket("first"))).await["changed"], true);
    cluster.kill().await;
    for number in 0..20 {
        sender.sends(&sender.order("A-1", &a_ticket(&number.to_string()))).await;
    }
    let tried = eventually(PATIENCE, "the first of them is tried and waits", async || {
        honoken.home().output().contains("pass.update_requested 503").then_some(())
    });
    tried.await;
    cluster.start_again().await;
    sender.waits_until_nothing_is_left().await;
    assert_eq!(seats(&honoken, "A-1").await[2..], numbered(0..20));
    // The next refusal is the first one: nothing was refused meanwhile.
    assert_eq!(sender.asks(&sender.order("missing", &a_ticket("1A"))).await["status"], 404);
    assert_eq!(json_of(&next(&mut refusals).await)["message"]["serialNumber"], "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_share_the_commands_and_keep_their_order() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let nats = Server::start().await;
    let home = Home::on(Engine::Postgres, PROGRAM).await.with_variable("NATS_URL", nats.url());
    let home = a_home_in(home).await;
    let start = |name: &str| home.home().serve(name).start();
    let (one, mut other) = (start("one").await, start("other").await);
    let integrator = one.integrator(home.ready());
    integrator.issues("A-1").await;
    let sender = Sender::that_is_heard(&nats, &home).await;
    for number in 0..50 {
        let order = sender.order("A-1", &a_ticket(&number.to_string()));
        assert_eq!(sender.asks(&order).await["changed"], true, "whichever process has it answers");
    }
    for number in 50..150 {
        sender.sends(&sender.order("A-1", &a_ticket(&number.to_string()))).await;
        if number == 100 {
            other.kill().await;
        }
    }
    sender.waits_until_nothing_is_left().await;
    assert_eq!(seats(&home, "A-1").await[1..], numbered(0..150));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_key_of_a_test_organisation_says_so() {
    let nats = Server::start().await;
    let (honoken, integrator, mut sender) = a_service_at(&nats).await;
    let order = sender.order("A-1", &a_ticket("2B")).to_string();
    let (_, answer) = sender.asks_with(sender.headers(), order.clone()).await;
    let mark =
        |answer: &Message| answer.headers.as_ref().and_then(|headers| headers.get("Honoken-Test")).cloned();
    assert_eq!(mark(&answer), None);
    let operator = honoken.operator();
    let trial = json!({ "id": "trial", "name": "Trial", "test": true });
    operator.request(Method::POST, "/admin/organizations", &trial).await.assert_status(StatusCode::CREATED);
    let key =
        operator.request(Method::POST, "/admin/organizations/trial/keys", &json!({ "label": "x" })).await;
    key.json()["key"].as_str().expect("a key").clone_into(&mut sender.key);
    let (_, answer) = sender.asks_with(sender.headers(), order).await;
    assert_eq!(json_of(&answer)["code"], "not_found", "the pass is that of another organisation");
    assert_eq!(mark(&answer).expect("a mark").as_str(), "true");
    assert_eq!(integrator.state("A-1").await["content"], a_ticket("2B"));
}

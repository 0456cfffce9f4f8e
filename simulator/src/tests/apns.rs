//! The fake of Apple's push servers, asked by a bare HTTP/2 client.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use h2::client::SendRequest;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::sha::sha256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::apns::{Answer, FakeApns, Identity, Options, REFUSALS, REFUSED_STREAM, Rule, TokenKey};

const TOPIC: &str = "pass.com.example.ticket";
const NOW: i64 = 1_700_000_000;

/// A client that sends what it is told to.
struct Client(SendRequest<Bytes>);

impl Client {
    async fn connect(apns: &FakeApns, identity: Option<&Identity>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(apns.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = vec![CertificateDer::from(identity.certificate.to_der().unwrap())];
                let key = PrivateKeyDer::try_from(identity.key.private_key_to_pkcs8().unwrap()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(apns.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn asks(
        &self,
        request: Request<()>,
        body: &'static str,
    ) -> Result<(Response<()>, Value), h2::Error> {
        let mut sender = self.0.clone().ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body.as_bytes()), true)?;
        }
        let (head, mut body) = response.await?.into_parts();
        let mut text = Vec::new();
        while let Some(part) = body.data().await {
            text.extend_from_slice(&part?);
        }
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        Ok((Response::from_parts(head, ()), body))
    }

    async fn pushes(&self, request: Request<()>) -> (u16, Value) {
        let (response, body) = self.asks(request, "{}").await.unwrap();
        (response.status().as_u16(), body["reason"].clone())
    }
}

fn push(token: &str, bearer: Option<&str>) -> Request<()> {
    let mut request =
        Request::builder().method(Method::POST).uri(format!("https://localhost/3/device/{token}"));
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("bearer {bearer}"));
    }
    let request = request.header("apns-topic", TOPIC).header("apns-push-type", "background");
    request.header("apns-priority", "5").body(()).unwrap()
}

fn new_key() -> EcKey<Private> {
    EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()
}

fn provider_token(key: &EcKey<Private>, key_id: &str, iat: i64) -> String {
    let coded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed =
        [coded(json!({"alg": "ES256", "kid": key_id})), coded(json!({"iss": "TEAM123456", "iat": iat}))];
    let signed = signed.join(".");
    let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), key).unwrap();
    let [r, s] = [signature.r(), signature.s()].map(|number| number.to_vec_padded(32).unwrap());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode([r, s].concat()))
}

fn with_key(key: &EcKey<Private>) -> Options {
    let public = EcKey::from_public_key(key.group(), key.public_key()).unwrap();
    let key = TokenKey {
        team_id: "TEAM123456".to_owned(),
        key_id: "KEY1234567".to_owned(),
        key: public,
        topics: None,
    };
    Options { keys: vec![key], now: Arc::new(|| NOW), ..Options::default() }
}

#[tokio::test]
async fn a_push_is_accepted_and_remembered() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let client = Client::connect(&apns, None).await;
    let mut request = push("ab12", None);
    let id = "0f0e1d2c-0000-4000-8000-000000000001";
    request.headers_mut().insert("apns-id", id.parse().unwrap());
    let (response, _) = client.asks(request, "{}").await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["apns-id"], id);
    let received = apns.wait_for(1).await;
    assert_eq!((received[0].token.as_str(), received[0].topic(), received[0].number), ("ab12", TOPIC, 1));
    assert_eq!(&received[0].body[..], b"{}");
    assert_eq!(apns.wakes_of("ab12").len(), 1);
    assert!(apns.wakes_of("ab13").is_empty());
    assert!(apns.violations().is_empty());
}

#[tokio::test]
async fn it_answers_what_it_is_told_to() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let client = Client::connect(&apns, None).await;
    for (status, reason) in REFUSALS {
        apns.answer(Rule::next(1, Answer::refused(status, reason)));
        assert_eq!(client.pushes(push("ab", None)).await, (status, json!(reason)));
    }
    assert!(apns.wakes_of("ab").is_empty());

    apns.answer(
        Rule::always(Answer::unregistered(1_508_249_865_488).header("retry-after", "7")).for_token("dd"),
    );
    assert_eq!(client.pushes(push("ab", None)).await.0, 200);
    let (response, body) = client.asks(push("dd", None), "{}").await.unwrap();
    assert_eq!(response.status(), 410);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(body, json!({"reason": "Unregistered", "timestamp": 1_508_249_865_488_i64}));
    apns.answer_normally();
    assert_eq!(client.pushes(push("dd", None)).await.0, 200);

    apns.answer(Rule::always(Answer::refused(500, "InternalServerError")).every(3).behind(1));
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(client.pushes(push("ee", None)).await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 500, 200, 200, 500]);
}

#[tokio::test]
async fn a_push_that_breaks_apples_rules_is_refused() {
    let key = new_key();
    let apns = FakeApns::start(with_key(&key)).unwrap();
    let client = Client::connect(&apns, None).await;
    let bearer = provider_token(&key, "KEY1234567", NOW);
    let good = || push("ab", Some(&bearer));
    let with = |name: &'static str, value: &str| {
        let mut request = good();
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    assert_eq!(client.pushes(good()).await, (200, Value::Null));
    assert_eq!(client.pushes(push("not-hex", Some(&bearer))).await, (400, json!("BadDeviceToken")));
    assert_eq!(client.pushes(push("", Some(&bearer))).await, (400, json!("MissingDeviceToken")));
    assert_eq!(client.pushes(push("ab", None)).await, (403, json!("MissingProviderToken")));
    assert_eq!(client.pushes(with("apns-priority", "10")).await, (400, json!("BadPriority")));
    assert_eq!(client.pushes(with("apns-push-type", "pass")).await, (400, json!("InvalidPushType")));
    assert_eq!(client.pushes(with("apns-expiration", "soon")).await, (400, json!("BadExpirationDate")));
    assert_eq!(client.pushes(with("apns-id", "1")).await, (400, json!("BadMessageId")));
    let mut twice = good();
    twice.headers_mut().append("apns-topic", TOPIC.parse().unwrap());
    assert_eq!(client.pushes(twice).await, (400, json!("DuplicateHeaders")));
    let mut none = good();
    none.headers_mut().remove("apns-topic");
    assert_eq!(client.pushes(none).await, (400, json!("MissingTopic")));
    let mut get = good();
    *get.method_mut() = Method::GET;
    assert_eq!(client.pushes(get).await, (405, json!("MethodNotAllowed")));
    let mut elsewhere = good();
    *elsewhere.uri_mut() = "https://localhost/2/device/ab".parse().unwrap();
    assert_eq!(client.pushes(elsewhere).await, (404, json!("BadPath")));
    let (_, body) = client.asks(good(), "").await.unwrap();
    assert_eq!(body["reason"], "PayloadEmpty");
    let large: &'static str = Box::leak("x".repeat(20_000).into_boxed_str());
    let (response, body) = client.asks(good(), large).await.unwrap();
    assert_eq!((response.status().as_u16(), &body["reason"]), (413, &json!("PayloadTooLarge")));
}

#[tokio::test]
async fn a_provider_token_is_checked_as_apple_does() {
    let key = new_key();
    let apns = FakeApns::start(with_key(&key)).unwrap();
    let answer = async |bearer: String| {
        let client = Client::connect(&apns, None).await;
        client.pushes(push("ab", Some(&bearer))).await
    };
    let right = |iat| provider_token(&key, "KEY1234567", iat);
    assert_eq!(answer(right(NOW - 3599)).await.0, 200);
    assert_eq!(answer(right(NOW - 3599)).await.0, 200, "another signature of the same moment");
    assert_eq!(answer(right(NOW)).await.0, 200);
    assert_eq!(answer(right(NOW - 600)).await, (429, json!("TooManyProviderTokenUpdates")));
    assert_eq!(answer(right(NOW - 3601)).await, (403, json!("ExpiredProviderToken")));
    assert_eq!(answer(right(NOW + 300)).await, (403, json!("InvalidProviderToken")));
    assert_eq!(answer(provider_token(&key, "KEY7654321", NOW)).await, (403, json!("InvalidProviderToken")));
    assert_eq!(
        answer(provider_token(&new_key(), "KEY1234567", NOW)).await,
        (403, json!("InvalidProviderToken"))
    );
    assert_eq!(answer("a.b".to_owned()).await, (403, json!("InvalidProviderToken")));
}

#[tokio::test]
async fn a_certificate_stands_for_its_topic() {
    let authority = crate::apns::Authority::new().unwrap();
    let client_authorities = Some(authority.pem().unwrap());
    let apns = FakeApns::start(Options { client_authorities, ..Options::default() }).unwrap();
    let mine = Client::connect(&apns, Some(&authority.pass_type(TOPIC, "TEAM123456").unwrap())).await;
    assert_eq!(mine.pushes(push("ab", None)).await.0, 200);
    let theirs = authority.pass_type("pass.com.example.other", "TEAM123456").unwrap();
    let theirs = Client::connect(&apns, Some(&theirs)).await;
    assert_eq!(theirs.pushes(push("ab", None)).await, (400, json!("DeviceTokenNotForTopic")));
    let nobody = Client::connect(&apns, None).await;
    assert_eq!(nobody.pushes(push("ab", None)).await, (403, json!("MissingProviderToken")));
    let topics: Vec<_> = apns.connections().into_iter().map(|seen| seen.certificate_topic).collect();
    assert_eq!(topics, [Some(TOPIC.to_owned()), Some("pass.com.example.other".to_owned()), None]);
}

#[tokio::test]
async fn what_is_held_is_answered_when_it_is_released() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let client = Client::connect(&apns, None).await;
    apns.hold();
    let asked = async { futures_of(&client, 5).await };
    let released = async {
        apns.wait_for(5).await;
        apns.release();
    };
    let (statuses, ()) = tokio::join!(asked, released);
    assert_eq!(statuses, [Ok(200); 5]);
    assert_eq!(apns.wakes().len(), 5);
}

/// The statuses, or the codes of the errors, of so many pushes at once.
async fn futures_of(client: &Client, count: usize) -> Vec<Result<u16, Option<u32>>> {
    let mut pushes = tokio::task::JoinSet::new();
    for number in 0..count {
        let client = Client(client.0.clone());
        pushes.spawn(async move {
            let answer = client.asks(push(&format!("{number:02x}"), None), "{}").await;
            let answer = answer.map(|(response, _)| response.status().as_u16());
            (number, answer.map_err(|error| error.reason().map(u32::from)))
        });
    }
    let mut answers = pushes.join_all().await;
    answers.sort_unstable_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn going_away_leaves_the_newest_and_answers_the_others() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let client = Client::connect(&apns, None).await;
    apns.hold();
    let asked = async { futures_of(&client, 5).await };
    let disturbed = async {
        apns.wait_for(5).await;
        apns.go_away("Shutdown", 2);
        apns.release();
    };
    let (statuses, ()) = tokio::join!(asked, disturbed);
    assert_eq!(statuses.iter().filter(|status| **status == Ok(200)).count(), 3, "{statuses:?}");
    assert_eq!(apns.wakes().len(), 3);
    apns.wait_until("the end of the connection", |apns| apns.connections()[0].over).await;
}

#[tokio::test]
async fn streams_and_connections_break_on_demand() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let client = Client::connect(&apns, None).await;
    apns.answer(Rule::next(1, Answer::reset(REFUSED_STREAM)));
    assert_eq!(futures_of(&client, 1).await, [Err(Some(REFUSED_STREAM))]);
    apns.answer(Rule::next(1, Answer::close().though_taken()));
    assert!(client.asks(push("ab", None), "{}").await.is_err());
    assert_eq!(apns.wakes_of("ab").len(), 1);
    apns.refuse_connections(true);
    let mut stream = TcpStream::connect(apns.address()).await.unwrap();
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn more_streams_than_were_announced_are_refused() {
    let apns = FakeApns::start(Options { max_streams: 2, ..Options::default() }).unwrap();
    let client = Client::connect(&apns, None).await;
    apns.latency(Duration::from_millis(20));
    assert_eq!(futures_of(&client, 1).await, [Ok(200)], "after which it knows the settings");
    assert_eq!(futures_of(&client, 6).await, [Ok(200); 6], "the client keeps to them");
    assert!(apns.connections()[0].most_streams <= 2, "{:?}", apns.connections());
    assert!(apns.violations().is_empty());
    apns.max_streams(4);
    assert_eq!(futures_of(&client, 8).await, [Ok(200); 8]);
    assert!(apns.violations().is_empty());
}

#[tokio::test]
async fn http_1_is_refused() {
    let apns = FakeApns::start(Options::default()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(apns.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(apns.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    assert!(TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
}

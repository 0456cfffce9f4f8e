//! Whatever is sent to whatever route: an answer, never a 5xx, and one that the document describes.
//!
//! The routes come from the document of the running service, so a new one is covered by being there. What is sent is made by chance, with
//! the same seed in every run; half of it is an example of the document with something wrong in it, which gets further than mere noise.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt};
use honoken_simulator::HttpClient;
use honoken_tests::problem::assert_is_problem;
use honoken_tests::{Honoken, Ready, drawing};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

use crate::a_service;
use crate::document::{Document, Operation};

/// Requests for each operation.
const CASES: usize = 120;

/// At a time: the service is asked as it will be, by many.
const TOGETHER: usize = 8;

/// Longer than the service takes for anything; whoever answers later hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// One request.
#[derive(Debug, Clone)]
struct Case {
    /// For every name in the path another value than the example, or none.
    segments: Vec<Option<Vec<u8>>>,
    query: Option<String>,
    headers: Vec<Option<Vec<u8>>>,
    credentials: Option<Vec<u8>>,
    content_type: Option<Vec<u8>>,
    /// With the type that it is of.
    body: (Option<String>, Vec<u8>),
    only_head: bool,
}

fn bytes() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => any::<String>().prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 1..40),
        2 => select(vec!["..", ".", "%", "\0", "\u{1f}", "\u{7f}", "a/b", "\u{202e}", "é\u{301}", "🎫", " ", "*", "{x}", "\u{feff}", "wallet", "pass.dev.honoken.event"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (250..260usize, any::<char>()).prop_map(|(count, c)| c.to_string().repeat(count).into_bytes()),
        1 => select(vec![i64::MIN, -1, 0, 1, 1 << 53, i64::MAX]).prop_map(|number| number.to_string().into_bytes()),
        1 => Just(b"99999999999999999999999999".to_vec()),
    ]
    .prop_filter("a segment of a path is not empty", |bytes| !bytes.is_empty())
    .boxed()
}

/// What a header may hold at all: visible ASCII, spaces, and bytes that say nothing.
fn header() -> BoxedStrategy<Vec<u8>> {
    let odd = vec![
        "",
        "*",
        "\"",
        "W/\"\"",
        ",,,",
        "\"a\", \"b\"",
        "-1",
        "NaN",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "0",
        "a045723f-14",
    ];
    prop_oneof![
        3 => vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..60),
        3 => select(odd).prop_map(|text| text.as_bytes().to_vec()),
        1 => (1..600usize).prop_map(|count| vec![b'x'; count]),
    ]
    .boxed()
}

/// JSON as it may come over a wire, and what only looks like it. Numbers, escapes and repeated names stay as they are written.
fn json_text() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "0.1",
            "1e308",
            "1e400",
            "-1e-400",
            "9007199254740991",
            "9007199254740993",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "1.0000000000000000000001",
            "01",
            "+1",
            ".5",
            "NaN",
            "Infinity",
            "'x'",
            "\u{feff}1"
        ])
        .prop_map(str::to_owned),
        select(vec![
            r#""""#,
            r#""\u0000""#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud83d\ude00""#,
            r#""\u202e\u200d""#,
            r#""\x""#,
            "\"\u{0}\"",
            "\"\u{7f}\u{85}\"",
            r#""unended"#,
            r#""/~0~1""#
        ])
        .prop_map(str::to_owned),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        select(vec![
            "pass.dev.honoken.event",
            "SAMPLE-1",
            "event",
            "/content/seat",
            "icon.png",
            "wallet",
            "2027-03-01T19:30+01:00",
            "rgb(1,2,3)"
        ])
        .prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![
            3 => select(vec!["passTypeIdentifier", "serialNumber", "ticketStyle", "poster", "content", "assets", "pushToken", "logs", "reason", "eventTicket", "primaryFields", "key", "value", "barcodes", "op", "path", "pointer", "by", "", "__proto__"])
                .prop_map(|name| Value::from(name).to_string()),
            1 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        ];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            vec((name, inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

/// Nesting beyond any limit.
fn deep() -> BoxedStrategy<String> {
    (60..30_000usize, any::<bool>(), any::<bool>())
        .prop_map(|(depth, objects, closed)| {
            let (open, close) = if objects { ("{\"a\":", "}") } else { ("[", "]") };
            let end = if closed { close.repeat(depth) } else { String::new() };
            format!("{}1{end}", open.repeat(depth))
        })
        .boxed()
}

/// An example with one thing changed, anywhere in it.
fn spoiled(example: Value) -> BoxedStrategy<String> {
    let stand_in = "\"stands in\"";
    (any::<Index>(), json_text(), 0..4)
        .prop_map(move |(place, other, how)| {
            let mut example = example.clone();
            let places = places(&example);
            let pointer = place.get(&places).clone();
            if how == 0
                && let Some((parent, name)) = pointer.rsplit_once('/')
                && let Some(Value::Object(object)) = example.pointer_mut(parent)
            {
                object.remove(name);
                return example.to_string();
            }
            let target = example.pointer_mut(&pointer).expect("it was found there");
            match (how, target) {
                (1, Value::Object(object)) => {
                    object.insert("added".to_owned(), "stands in".into());
                }
                (_, target) => *target = "stands in".into(),
            }
            let spoiled = example.to_string().replacen(stand_in, &other, 1);
            // A name that is there twice.
            if how == 2 && spoiled.len() > 2 {
                spoiled.replacen('{', &format!("{{\"description\":{other},"), 1)
            } else {
                spoiled
            }
        })
        .boxed()
}

/// The pointers to everything in a value, itself included.
fn places(value: &Value) -> Vec<String> {
    let below = |prefix: String, value: &Value| {
        places(value).into_iter().map(move |place| format!("{prefix}{place}")).collect::<Vec<_>>()
    };
    let mut found = vec![String::new()];
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.extend(below(format!("/{}", name.replace('~', "~0").replace('/', "~1")), value));
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                found.extend(below(format!("/{index}"), value));
            }
        }
        _ => {}
    }
    found
}

/// A body of one of the types that are described, and that type.
fn body(operation: &Operation) -> BoxedStrategy<(Option<String>, Vec<u8>)> {
    if operation.bodies.is_empty() {
        let noise = vec(any::<u8>(), 0..200);
        return prop_oneof![9 => Just(Vec::new()), 1 => noise].prop_map(|bytes| (None, bytes)).boxed();
    }
    select(operation.bodies.clone())
        .prop_flat_map(|(media, example)| {
            body_of(&media, &example).prop_map(move |body| (Some(media.clone()), body))
        })
        .boxed()
}

fn body_of(media: &str, example: &Value) -> BoxedStrategy<Vec<u8>> {
    let noise = vec(any::<u8>(), 0..200);
    if !media.ends_with("json") {
        let image = drawing::logo(7);
        return prop_oneof![4 => Just(image.clone()), 2 => noise, 2 => (any::<Index>(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut image = image.clone();
            let at = at.index(image.len());
            image[at] = byte;
            image
        })]
        .boxed();
    }
    let example = if example.is_null() { Value::Object(Map::new()) } else { example.clone() };
    prop_oneof![
        2 => Just(example.to_string().into_bytes()),
        6 => spoiled(example).prop_map(String::into_bytes),
        4 => json_text().prop_map(String::into_bytes),
        1 => deep().prop_map(String::into_bytes),
        1 => noise,
    ]
    .boxed()
}

fn rarely<T: std::fmt::Debug + Clone + 'static>(strategy: BoxedStrategy<T>) -> BoxedStrategy<Option<T>> {
    prop_oneof![6 => Just(None), 1 => strategy.prop_map(Some)].boxed()
}

fn case(operation: &Operation) -> BoxedStrategy<Case> {
    let query =
        (select(operation.query.iter().cloned().chain(["q".to_owned()]).collect::<Vec<_>>()), bytes())
            .prop_map(|(name, value)| format!("{name}={}", percent_encode(&value, SEGMENT)));
    let is_get = operation.method == Method::GET;
    (
        vec(rarely(bytes()), operation.in_path.len()),
        prop_oneof![Just(None), query.prop_map(Some)],
        vec(prop_oneof![2 => Just(None), 1 => header().prop_map(Some)], operation.headers.len()),
        prop_oneof![9 => Just(None), 1 => header().prop_map(Some)],
        prop_oneof![9 => Just(None), 1 => header().prop_map(Some)],
        body(operation),
        (0..8).prop_map(move |chance| is_get && chance == 0),
    )
        .prop_map(|(segments, query, headers, credentials, content_type, body, only_head)| Case {
            segments,
            query,
            headers,
            credentials,
            content_type,
            body,
            only_head,
        })
        .boxed()
}

/// The operator's credentials.
pub(crate) fn basic(ready: &Ready) -> HeaderValue {
    let pair = STANDARD.encode(format!("{}:{}", ready.admin_username, ready.admin_password));
    HeaderValue::try_from(format!("Basic {pair}")).expect("Base64 is visible ASCII")
}

/// What proves who asks, by the name in the document.
struct Credentials {
    api_key: HeaderValue,
    operator: HeaderValue,
    token: HeaderValue,
}

impl Credentials {
    async fn of(honoken: &Honoken) -> Self {
        let ready = honoken.ready();
        let sample = honoken.integrator().credentials(&ready.serial_number).await;
        Self {
            api_key: HeaderValue::try_from(format!("Bearer {}", ready.api_key)).expect("visible ASCII"),
            operator: basic(ready),
            token: HeaderValue::try_from(format!("ApplePass {}", sample.token)).expect("visible ASCII"),
        }
    }

    fn for_scheme(&self, scheme: &str) -> HeaderValue {
        match scheme {
            "apiKey" => self.api_key.clone(),
            "operator" => self.operator.clone(),
            "authenticationToken" => self.token.clone(),
            other => panic!("say here how to prove oneself by {other}"),
        }
    }
}

/// The request as it goes out: method, path, headers, body.
fn written(
    operation: &Operation,
    case: &Case,
    credentials: &Credentials,
) -> (Method, String, HeaderMap, Vec<u8>) {
    let mut path = operation.path.clone();
    for ((name, example), other) in operation.in_path.iter().zip(&case.segments) {
        let value = other.as_deref().unwrap_or(example.as_bytes());
        path = path.replace(&format!("{{{name}}}"), &percent_encode(value, SEGMENT).to_string());
    }
    if let Some(query) = &case.query {
        let _ = write!(path, "?{query}");
    }
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::try_from(name).expect("a name from the document"), value);
        }
    };
    let (media, body) = &case.body;
    if let Some(media) = media {
        insert("content-type", case.content_type.as_deref().unwrap_or(media.as_bytes()));
    }
    for (name, value) in operation.headers.iter().zip(&case.headers) {
        if let Some(value) = value {
            insert(name, value);
        }
    }
    if let Some(scheme) = &operation.security {
        let proof = credentials.for_scheme(scheme);
        insert("authorization", case.credentials.as_deref().unwrap_or(proof.as_bytes()));
    }
    let method = if case.only_head { Method::HEAD } else { operation.method.clone() };
    (method, path, headers, body.clone())
}

#[tokio::test]
async fn whatever_is_sent_is_answered_as_described() {
    let mut honoken = a_service().await;
    let mut document = Document::of(&honoken).await;
    let credentials = Credentials::of(&honoken).await;
    let mut operations = document.operations();
    // What takes away comes last, or it leaves little to ask the others about.
    operations.sort_by_key(|operation| operation.method == Method::DELETE);
    let mut runner = TestRunner::deterministic();
    let mut accepted = BTreeSet::new();

    for operation in &operations {
        let strategy = case(operation);
        let cases = (0..CASES).map(|_| strategy.new_tree(&mut runner).expect("a case").current());
        let asked = cases.map(|case| {
            let (method, path, headers, body) = written(operation, &case, &credentials);
            let url = honoken.url(&path);
            async move {
                let client = HttpClient::new();
                let answer = client.request(method.clone(), &url, headers.clone(), body.clone());
                let answer = tokio::time::timeout(PATIENCE, answer).await;
                ((method, path, headers, body), answer)
            }
        });
        let mut answers = stream::iter(asked).buffered(TOGETHER);
        while let Some(((method, path, headers, body), answer)) = answers.next().await {
            let sent = format!(
                "{} {path}\n{headers:?}\n{}",
                method,
                String::from_utf8_lossy(&body[..body.len().min(2000)])
            );
            let answer = answer.unwrap_or_else(|_| panic!("no answer in {PATIENCE:?}: {sent}"));
            let answer = answer.unwrap_or_else(|error| panic!("{error:?}: {sent}"));
            assert!(answer.status.as_u16() < 500, "{}: {}\n{sent}", answer.status, answer.excerpt());
            if answer.status.as_u16() >= 400 && method != Method::HEAD {
                assert_is_problem(&answer);
            } else if answer.status.as_u16() < 400 {
                accepted.insert(operation.id.clone());
            }
            let mut as_sent = operation.clone();
            as_sent.method = method;
            if let Some(fault) = document.contradicts(&as_sent, &answer) {
                panic!("{}: {fault}\n{sent}", operation.id);
            }
        }
    }
    // Mere refusals would prove little.
    let never: Vec<&str> =
        operations.iter().map(|it| it.id.as_str()).filter(|id| !accepted.contains(*id)).collect();
    assert!(never.len() * 2 < operations.len(), "never got through: {never:?}");

    honoken.assert_alive();
    let live = honoken.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    live.assert_status(StatusCode::OK);
    let output = honoken.output_so_far().await;
    assert!(!output.contains("panicked"), "{output}");
}

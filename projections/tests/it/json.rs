//! What is on a pass comes back as it was issued, whatever it is, from either engine.

use honoken_domain::content::Content;
use honoken_domain::ids::PassId;
use honoken_domain::json::parse;
use honoken_domain::pass::PassCommand;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

use crate::world::{Engine, LIMIT, Running, World, order, ticket};

/// Numbers that one database or the other writes in a way of its own.
const DOUBLES: &[f64] = &[
    1e15,
    1e16,
    1e17,
    9.3e18,
    1e19,
    1.8e19,
    1e20,
    1e21,
    1e22,
    1e300,
    -1e300,
    f64::MAX,
    f64::MIN,
    -0.0,
    0.1,
    0.5,
    1.5,
    1e-5,
    1e-6,
    1e-7,
    123e-20,
    5e-324,
    2.225e-308,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
];

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::sample::select(DOUBLES).prop_map(Value::from),
        (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO)
            .prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        // Any characters but the one that Postgres cannot keep, which no request gets past.
        "[^\u{0}]{0,12}",
        proptest::sample::select(vec![
            "",
            " ",
            "\"",
            "\\",
            "\\u0041",
            "\u{1}\u{1f}\u{7f}",
            "\u{2028}",
            "\u{feff}",
            "\u{fffd}\u{ffff}",
            "e\u{301}",
            "é",
            "🎫",
            "\u{10ffff}",
            "null",
            "1e17",
            "__proto__",
            "$1",
            "':'::jsonb",
        ])
        .prop_map(String::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        2 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// As a request would bring it in.
fn content() -> impl Strategy<Value = Content> {
    proptest::collection::btree_map(text(), value(), 0..6).prop_map(|entries| {
        let written = serde_json::to_vec(&entries).unwrap();
        Content::from_value(parse(&written).unwrap()).unwrap()
    })
}

async fn comes_back(world: &World, running: &Running, number: usize, content: &Content) {
    let id: PassId = ticket(&number.to_string());
    let mut issue = order(&id, "");
    if let PassCommand::Issue(issue) = &mut issue {
        issue.content = content.clone();
    }
    let issued = world.asks(&id, issue).await.unwrap();
    assert!(running.projector.shows(&issued, LIMIT).await);
    let document = running.model.pass_document(&id).await.unwrap().unwrap();
    assert_eq!(document.content, *content);
    assert_eq!(
        serde_json::to_string(&document.content).unwrap(),
        serde_json::to_string(content).unwrap(),
        "byte for byte"
    );
    assert_eq!(Some(&document.row.etag), issued.aggregate.etag());
}

fn any_content_comes_back(engine: Engine) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (world, running) = runtime.block_on(async {
        let world = World::new(engine).await;
        let running = world.projects().await;
        (world, running)
    });
    let mut issued = 0..;
    let issued = std::cell::RefCell::new(&mut issued);
    TestRunner::new(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })
        .run(&content(), |content| {
            let number = issued.borrow_mut().next().unwrap();
            runtime.block_on(comes_back(&world, &running, number, &content));
            Ok(())
        })
        .unwrap();
    let all = format!(
        "{{{}}}",
        DOUBLES
            .iter()
            .enumerate()
            .map(|(at, double)| format!("\"{at}\":{double:e}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    let all = Content::from_value(parse(all.as_bytes()).unwrap()).unwrap();
    runtime.block_on(async {
        comes_back(&world, &running, usize::MAX, &all).await;
        running.stops().await;
    });
}

#[test]
fn any_content_comes_back_from_a_file_as_it_was_issued() {
    any_content_comes_back(Engine::Sqlite);
}

#[test]
fn any_content_comes_back_from_a_server_as_it_was_issued() {
    any_content_comes_back(Engine::Postgres);
}

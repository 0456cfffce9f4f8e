//! Increments, and how a retry is known.

use cqrs_es::Aggregate;
use serde_json::{Map, Number, Value};

use super::*;

fn points(value: Value) -> Content {
    let card = Map::from_iter([("points".to_owned(), value), ("name".to_owned(), "Ada".into())]);
    Content::from_value(Map::from_iter([("card".to_owned(), Value::Object(card))]).into()).unwrap()
}

fn number(value: Value) -> Number {
    match value {
        Value::Number(number) => number,
        other => panic!("not a number: {other}"),
    }
}

fn increment(pointer: &str, by: Value, key: Option<&str>) -> Increment {
    Increment {
        pointer: PointerBuf::parse(pointer).unwrap(),
        by: number(by),
        key: key.map(|key| Digest::of(key.as_bytes())),
    }
}

fn count(by: Value, key: Option<&str>) -> PassCommand {
    PassCommand::Increment(increment("/card/points", by, key))
}

fn starting_at(value: Value) -> PassEvent {
    let PassEvent::Issued(mut issued) = issued("1A", NOW) else { unreachable!() };
    issued.content = points(value);
    PassEvent::Issued(issued)
}

fn counted(value: &Value, key: Option<(&str, Value)>, updated_at: i64) -> PassEvent {
    let content = points(value.clone());
    let images = image("icon.png", "brand icon");
    let id = id();
    let etag = Tagged {
        id: &id,
        ticket_style: TicketStyle::Event,
        poster: false,
        voided: false,
        updated_at: UnixSeconds(updated_at),
        content: &content,
        images: &images,
        localizations: &Localizations::new(),
        open_form: None,
    }
    .etag();
    let increment = key.map(|(key, by)| KeyedIncrement {
        key: Digest::of(key.as_bytes()),
        request: increment("/card/points", by, None).request(),
        value: number(value.clone()),
    });
    PassEvent::ContentChanged {
        content,
        increment,
        replacement: None,
        nfc_left_out: None,
        images: None,
        etag,
        updated_at: UnixSeconds(updated_at),
    }
}

#[test]
fn a_number_goes_up_and_down() {
    let history = vec![starting_at(json!(40))];
    check(history.clone(), at(NOW + 1), count(json!(2), None), vec![counted(&json!(42), None, NOW + 1)]);
    check(history, at(NOW + 1), count(json!(-41), None), vec![counted(&json!(-1), None, NOW + 1)]);
}

#[test]
fn a_tenth_and_two_tenths_are_three_tenths() {
    let history = vec![starting_at(json!(0.1))];
    check(history, at(NOW + 1), count(json!(0.2), None), vec![counted(&json!(0.3), None, NOW + 1)]);
}

#[test]
fn adding_nothing_changes_nothing() {
    check(vec![starting_at(json!(40))], at(NOW + 1), count(json!(0), Some("k")), vec![]);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let cases = [
        ("/card/missing", json!(1), PassError::NothingToIncrement),
        ("/card/points/0", json!(1), PassError::NothingToIncrement),
        ("/card/name", json!(1), PassError::NotANumber),
        ("/card", json!(1), PassError::NotANumber),
        ("", json!(1), PassError::NotANumber),
        ("/card/points", json!(9_007_199_254_740_991_i64), PassError::IncrementOutOfRange),
        ("/card/points", json!(1e300), PassError::IncrementOutOfRange),
        ("/card/points", json!(1e-300), PassError::IncrementOutOfRange),
    ];
    for (pointer, by, expected) in cases {
        let command = PassCommand::Increment(increment(pointer, by, None));
        refuse(vec![starting_at(json!(40))], at(NOW + 1), command, &expected);
    }
}

#[test]
fn a_key_is_kept_in_the_event() {
    let expected = counted(&json!(42), Some(("k", json!(2))), NOW + 1);
    check(vec![starting_at(json!(40))], at(NOW + 1), count(json!(2), Some("k")), vec![expected]);
}

#[test]
fn the_same_key_again_changes_nothing_and_is_told_the_same_value() {
    let history = vec![
        starting_at(json!(40)),
        counted(&json!(42), Some(("k", json!(2))), NOW + 1),
        counted(&json!(7), None, NOW + 2),
    ];
    check(history.clone(), at(NOW + 3), count(json!(2), Some("k")), vec![]);
    let mut pass = Pass::default();
    for event in history {
        pass.apply(event);
    }
    let told = |key| pass.value_after(&increment("/card/points", json!(2), key));
    assert_eq!(told(Some("k")), Some(42.into()));
    assert_eq!(told(None), Some(7.into()));
}

#[test]
fn the_same_key_again_is_known_whatever_state_the_caller_knew() {
    let stale = Precondition::OneOf(vec![tag("0X", &Images::new(), false, 1)]);
    let history = vec![starting_at(json!(40)), counted(&json!(42), Some(("k", json!(2))), NOW + 1)];
    let knowing = Circumstances { precondition: stale, ..at(NOW + 2) };
    check(history, knowing, count(json!(2), Some("k")), vec![]);
}

#[test]
fn the_same_key_for_another_increment_is_refused() {
    let history = || vec![starting_at(json!(40)), counted(&json!(42), Some(("k", json!(2))), NOW + 1)];
    refuse(history(), at(NOW + 2), count(json!(3), Some("k")), &PassError::KeyReused);
    let elsewhere = PassCommand::Increment(increment("/card", json!(2), Some("k")));
    refuse(history(), at(NOW + 2), elsewhere, &PassError::KeyReused);
}

#[test]
fn another_organisation_cannot_learn_a_value_by_its_key() {
    let stranger =
        Circumstances { organization_id: OrganizationId::parse("stranger").unwrap(), ..at(NOW + 2) };
    let history = vec![starting_at(json!(40)), counted(&json!(42), Some(("k", json!(2))), NOW + 1)];
    refuse(history, stranger, count(json!(2), Some("k")), &PassError::Unknown);
}

#[test]
fn the_last_keys_are_remembered_and_no_more() {
    let keys: Vec<String> = (0..=REMEMBERED).map(|number| format!("key-{number}")).collect();
    let mut history = vec![starting_at(json!(0))];
    for (count, key) in keys.iter().enumerate() {
        let now = NOW + 1 + i64::try_from(count).unwrap();
        history.push(counted(&json!(count + 1), Some((key, json!(1))), now));
    }
    let now = NOW + 1_000;
    check(history.clone(), at(now), count(json!(1), Some("key-1")), vec![]);
    let total = json!(REMEMBERED + 2);
    let forgotten = vec![counted(&total, Some(("key-0", json!(1))), now)];
    check(history, at(now), count(json!(1), Some("key-0")), forgotten);
}

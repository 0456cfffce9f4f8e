//! Orders that may come twice, and how the second one is known.

use cqrs_es::Aggregate;

use super::*;

fn order(seat: &str, key: &str) -> KeyedContent {
    KeyedContent { content: content(seat), key: Digest::of(key.as_bytes()) }
}

fn once(seat: &str, key: &str) -> PassCommand {
    PassCommand::ReplaceContentOnce(order(seat, key))
}

fn replaced(seat: &str, key: &str, now: i64) -> PassEvent {
    let PassEvent::ContentChanged { content, increment, etag, updated_at, .. } = changed(seat, now) else {
        unreachable!()
    };
    let replacement = Some(order(seat, key).remembered());
    PassEvent::ContentChanged {
        content,
        increment,
        replacement,
        nfc_left_out: None,
        images: None,
        etag,
        updated_at,
    }
}

#[test]
fn the_key_of_an_order_is_kept_in_the_event() {
    check(vec![issued("1A", NOW)], at(NOW + 1), once("2B", "k"), vec![replaced("2B", "k", NOW + 1)]);
}

#[test]
fn an_order_that_comes_again_changes_nothing_whatever_has_happened_since() {
    let history = vec![issued("1A", NOW), replaced("2B", "k", NOW + 1), changed("3C", NOW + 2)];
    check(history.clone(), at(NOW + 3), once("2B", "k"), vec![]);
    let stale = Precondition::OneOf(vec![tag("0X", &Images::new(), false, 1)]);
    let knowing = Circumstances { precondition: stale, ..at(NOW + 3) };
    check(history.clone(), knowing, once("2B", "k"), vec![]);
    let retired = vec![issued("1A", NOW), replaced("2B", "k", NOW + 1), {
        let etag = tag("2B", &image("icon.png", "brand icon"), true, NOW + 2);
        PassEvent::Retired { etag, updated_at: UnixSeconds(NOW + 2) }
    }];
    check(retired, at(NOW + 3), once("2B", "k"), vec![]);
    let mut pass = Pass::default();
    for event in history {
        pass.apply(event);
    }
    assert!(pass.has_carried_out(&Digest::of(b"k")) && !pass.has_carried_out(&Digest::of(b"other")));
}

#[test]
fn the_same_content_under_another_key_is_another_order() {
    let history = vec![issued("1A", NOW), replaced("2B", "k", NOW + 1), changed("3C", NOW + 2)];
    check(history, at(NOW + 3), once("2B", "other"), vec![replaced("2B", "other", NOW + 3)]);
}

#[test]
fn the_same_key_with_another_content_is_refused() {
    let history = vec![issued("1A", NOW), replaced("2B", "k", NOW + 1)];
    refuse(history, at(NOW + 2), once("3C", "k"), &PassError::OrderReused);
}

#[test]
fn an_order_with_a_key_is_checked_like_any_other() {
    let stranger =
        Circumstances { organization_id: OrganizationId::parse("stranger").unwrap(), ..at(NOW + 2) };
    let history = || vec![issued("1A", NOW), replaced("2B", "k", NOW + 1)];
    refuse(history(), stranger, once("2B", "k"), &PassError::Unknown);
    refuse(vec![], at(NOW), once("2B", "k"), &PassError::Unknown);
    let equal = once("2B", "other");
    check(history(), at(NOW + 2), equal, vec![]);
}

#[test]
fn the_last_orders_are_remembered_and_no_more() {
    let keys: Vec<String> = (0..=REMEMBERED).map(|number| format!("key-{number}")).collect();
    let mut history = vec![issued("1A", NOW)];
    for (count, key) in keys.iter().enumerate() {
        let now = NOW + 1 + i64::try_from(count).unwrap();
        history.push(replaced(&format!("{count}"), key, now));
    }
    let now = NOW + 1_000;
    check(history.clone(), at(now), once("1", "key-1"), vec![]);
    check(history, at(now), once("0", "key-0"), vec![replaced("0", "key-0", now)]);
}

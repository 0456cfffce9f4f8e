//! A pass that is stated anew needs none of its earlier events.

use super::*;
use crate::pass::PassRepaired;

fn after(events: &[PassEvent]) -> Pass {
    let mut pass = Pass::default();
    for event in events {
        pass.apply(event.clone());
    }
    pass
}

fn repaired(history: &[PassEvent], now: i64) -> PassRepaired {
    let events = after(history).decide(PassCommand::Repair, &at(now)).unwrap();
    let [PassEvent::Repaired(repaired)] = events.as_slice() else { panic!("{events:?}") };
    PassRepaired::clone(repaired)
}

#[test]
fn one_event_says_all_that_the_earlier_ones_said() {
    let etag = |seat, updated_at| tag(seat, &image("icon.png", "brand icon"), false, updated_at);
    let retired = PassEvent::Retired { etag: etag("1A", NOW + 2), updated_at: UnixSeconds(NOW + 2) };
    let form = PassEvent::PersonalizationChanged {
        form: Some(
            serde_json::from_value(json!({ "requiredPersonalizationFields": [], "description": "Join" }))
                .unwrap(),
        ),
        nfc_left_out: Some(false),
        images: image("icon.png", "brand icon"),
        etag: etag("1A", NOW + 1),
        updated_at: UnixSeconds(NOW + 1),
    };
    let histories = [
        vec![issued("1A", NOW)],
        vec![issued("1A", NOW), voided("1A", NOW + 1)],
        vec![issued("1A", NOW), voided("1A", NOW + 1), retired],
        vec![issued("1A", NOW), form],
    ];
    for history in histories {
        let event = PassEvent::Repaired(Box::new(repaired(&history, NOW + 9)));
        let alone = after(std::slice::from_ref(&event));
        let mut with_history = history.clone();
        with_history.push(event);
        assert_eq!(alone, after(&with_history));
        assert_ne!(
            alone.etag(),
            after(&history).etag(),
            "phones are told: they may have seen the lost event"
        );
        assert_eq!(alone.updated_at(), Some(UnixSeconds(NOW + 9)));
    }
}

#[test]
fn a_late_order_and_a_token_are_still_known() {
    let repaired = PassEvent::Repaired(Box::new(repaired(&[issued("1A", NOW)], NOW + 9)));
    check(vec![repaired.clone()], at(NOW + 20), issue("1A"), vec![]);
    refuse(vec![repaired], at(NOW + 20), issue("2B"), &PassError::AlreadyIssued);
}

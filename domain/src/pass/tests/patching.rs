//! Patches and the rules for what they lead to.

use super::*;

fn merge(patch: serde_json::Value) -> PassCommand {
    PassCommand::PatchContent { patch: ContentPatch::Merge(patch) }
}

fn operations(patch: serde_json::Value) -> PassCommand {
    PassCommand::PatchContent { patch: ContentPatch::Operations(serde_json::from_value(patch).unwrap()) }
}

/// Circumstances in which no seat may be forbidden.
fn strict(now: i64) -> Circumstances {
    let rules: ContentRules = |_, content| match content.as_map().get("seat") {
        Some(seat) if seat == "forbidden" => vec![fault()],
        _ => Vec::new(),
    };
    Circumstances { rules, ..at(now) }
}

fn fault() -> ContentFault {
    ContentFault { code: "forbidden".into(), pointer: "/seat".into(), detail: "not that seat".into() }
}

#[test]
fn a_patch_is_applied_to_what_the_content_is_by_then() {
    let history = vec![issued("1A", NOW), changed("2B", NOW + 1)];
    let command = operations(json!([
        { "op": "test", "path": "/seat", "value": "2B" },
        { "op": "replace", "path": "/seat", "value": "3C" },
    ]));
    check(history.clone(), at(NOW + 9), command, vec![changed("3C", NOW + 9)]);
    check(history, at(NOW + 9), merge(json!({ "seat": "3C" })), vec![changed("3C", NOW + 9)]);
}

#[test]
fn a_patch_that_leads_back_to_the_same_content_changes_nothing() {
    for command in [
        merge(json!({})),
        merge(json!({ "seat": "1A", "row": null })),
        operations(json!([])),
        operations(json!([{ "op": "test", "path": "/seat", "value": "1A" }])),
        operations(json!([{ "op": "add", "path": "/x", "value": 1 }, { "op": "remove", "path": "/x" }])),
    ] {
        check(vec![issued("1A", NOW)], at(NOW + 9), command, vec![]);
    }
}

#[test]
fn a_test_that_does_not_hold_refuses_the_whole_patch() {
    let command = operations(json!([
        { "op": "replace", "path": "/seat", "value": "3C" },
        { "op": "test", "path": "/seat", "value": "1A" },
    ]));
    refuse(vec![issued("1A", NOW)], at(NOW + 9), command, &PassError::PatchTestFailed { operation: 1 });
}

#[test]
fn no_change_leads_to_content_that_breaks_a_rule() {
    let unacceptable = PassError::UnacceptableContent { faults: vec![fault()] };
    for command in [
        replace("forbidden"),
        merge(json!({ "seat": "forbidden" })),
        operations(json!([{ "op": "replace", "path": "/seat", "value": "forbidden" }])),
    ] {
        refuse(vec![issued("1A", NOW)], strict(NOW + 1), command, &unacceptable);
    }
    check(vec![issued("1A", NOW)], strict(NOW + 1), replace("2B"), vec![changed("2B", NOW + 1)]);
}

#[test]
fn a_patch_that_mends_a_content_goes_through() {
    let history = vec![issued("forbidden", NOW)];
    check(history, strict(NOW + 1), merge(json!({ "seat": "1A" })), vec![changed("1A", NOW + 1)]);
}

#[test]
fn the_rules_are_those_of_the_style_that_the_pass_has_by_then() {
    let rules: ContentRules = |kind, _| {
        if kind.style == TicketStyle::Generic { vec![fault()] } else { Vec::new() }
    };
    let generic = PassEvent::MetadataChanged {
        ticket_style: TicketStyle::Generic,
        poster: false,
        images: image("icon.png", "brand icon"),
        etag: tag("1A", &Images::new(), false, 1),
        updated_at: UnixSeconds(NOW + 1),
    };
    let strict = || Circumstances { rules, ..at(NOW + 2) };
    let unacceptable = PassError::UnacceptableContent { faults: vec![fault()] };
    refuse(vec![issued("1A", NOW), generic], strict(), replace("2B"), &unacceptable);
    check(vec![issued("1A", NOW)], strict(), replace("2B"), vec![changed("2B", NOW + 2)]);
}

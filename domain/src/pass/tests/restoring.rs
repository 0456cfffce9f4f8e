//! A pass gets the parts back that it had.

use super::*;
use crate::localizations::{Language, Localization};

fn decide(
    history: &[PassEvent],
    command: PassCommand,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    pass(history).decide(command, at)
}

fn pass(history: &[PassEvent]) -> Pass {
    let mut pass = Pass::default();
    for event in history {
        pass.apply(event.clone());
    }
    pass
}

fn former(history: &[PassEvent]) -> PassCommand {
    PassCommand::Restore(Box::new(pass(history).restorable().expect("it was issued")))
}

/// The history with what a command adds to it.
fn then(mut history: Vec<PassEvent>, command: PassCommand, at: &Circumstances) -> Vec<PassEvent> {
    let events = decide(&history, command, at).expect("it is allowed");
    assert!(!events.is_empty());
    history.extend(events);
    history
}

/// A poster with a background and German texts of its own becomes a store card without either.
fn changed_in_every_part() -> (Vec<PassEvent>, Vec<PassEvent>) {
    let german = Localization { strings: [("Seat".to_owned(), "Platz".to_owned())].into() };
    let order = IssuePass {
        poster: true,
        assets: image("background.png", "own"),
        localizations: [(Language::parse("de").unwrap(), german)].into(),
        ..order("1A")
    };
    let issued = decide(&[], PassCommand::Issue(Box::new(order)), &at(NOW)).unwrap();
    let plain =
        PassCommand::ChangeMetadata { ticket_style: Some(TicketStyle::StoreCard), poster: Some(false) };
    let mut history = then(issued.clone(), plain, &at(NOW + 1));
    history = then(history, PassCommand::ReplaceContent { content: content("2B") }, &at(NOW + 2));
    let no_image = PassCommand::RemoveAsset { file: "background.png".to_owned() };
    history = then(history, no_image, &at(NOW + 3));
    let no_texts = PassCommand::RemoveLocalization { language: Language::parse("de").unwrap() };
    (issued, then(history, no_texts, &at(NOW + 4)))
}

#[test]
fn every_part_comes_back_and_the_last_event_names_the_state() {
    let (issued, history) = changed_in_every_part();
    let restored = then(history, former(&issued), &at(NOW + 100));
    let (before, after) = (pass(&issued), pass(&restored));
    assert_eq!(after.restorable(), before.restorable());
    assert_eq!(after.shown_images(), before.shown_images());
    assert_eq!(after.shown_localizations(), before.shown_localizations());
    let (kind, content) = after.shown().unwrap();
    let expected = Tagged {
        id: &id(),
        ticket_style: kind.style,
        poster: kind.poster,
        voided: false,
        updated_at: after.updated_at().unwrap(),
        content,
        images: after.shown_images().unwrap(),
        localizations: after.shown_localizations().unwrap(),
        open_form: None,
    };
    assert_eq!(after.etag(), Some(&expected.etag()));
    assert_eq!(decide(&restored, former(&issued), &at(NOW + 200)), Ok(vec![]), "it is so already");
}

#[test]
fn a_void_pass_stays_void_and_a_retired_one_as_it_is() {
    let (issued, history) = changed_in_every_part();
    let voided = then(history, PassCommand::Void, &at(NOW + 10));
    let restored = then(voided.clone(), former(&issued), &at(NOW + 20));
    assert_eq!(pass(&restored).is_voided_and_retired(), Some((true, false)));
    let retired = then(voided, PassCommand::Retire, &at(NOW + 20));
    assert_eq!(decide(&retired, former(&issued), &at(NOW + 30)), Err(PassError::Retired));
}

#[test]
fn the_rules_of_today_are_asked_about_the_state_that_comes_back_and_no_other() {
    let (issued, history) = changed_in_every_part();
    // No content is acceptable on a store card, which the pass is on its way back.
    let posters_only: ContentRules = |kind, _| {
        let fault = ContentFault { code: "a".into(), pointer: "/seat".into(), detail: "no".into() };
        if kind.poster { Vec::new() } else { vec![fault] }
    };
    let at = Circumstances { rules: posters_only, ..at(NOW + 10) };
    let restored = then(history.clone(), former(&issued), &at);
    assert!(matches!(
        decide(&restored, former(&history), &at),
        Err(PassError::UnacceptableContent { faults }) if faults.len() == 1
    ));
}

#[test]
fn a_state_without_an_image_that_it_needs_does_not_come_back() {
    let with_background = Circumstances {
        default_images: DefaultImages {
            pass_type: image("background.png", "type"),
            ..at(NOW).default_images
        },
        ..at(NOW)
    };
    let order = IssuePass { poster: true, ..order("1A") };
    let issued = decide(&[], PassCommand::Issue(Box::new(order)), &with_background).unwrap();
    let plain = PassCommand::ChangeMetadata { ticket_style: None, poster: Some(false) };
    let history = then(issued.clone(), plain, &at(NOW + 1));
    assert!(matches!(decide(&history, former(&issued), &at(NOW + 2)), Err(PassError::MissingImage { .. })));
}

#[test]
fn another_organisation_learns_nothing_and_an_old_tag_is_refused() {
    let (issued, history) = changed_in_every_part();
    let stranger = Circumstances { organization_id: OrganizationId::parse("other").unwrap(), ..at(NOW + 10) };
    assert_eq!(decide(&history, former(&issued), &stranger), Err(PassError::Unknown));
    let old = pass(&issued).etag().unwrap().clone();
    let old = Circumstances { precondition: Precondition::OneOf(vec![old]), ..at(NOW + 10) };
    assert!(matches!(decide(&history, former(&issued), &old), Err(PassError::PreconditionFailed { .. })));
}

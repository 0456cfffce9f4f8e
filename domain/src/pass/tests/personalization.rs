//! `nfc` by certificate, and the form of a rewards programme.

use cqrs_es::Aggregate;

use super::*;
use crate::personalization::{Enrolment, PersonalizationField, PersonalizationForm, TokenSignature};
use crate::sealed::{SealingKey, SealingKeys};

/// Circumstances of a type with a logo for forms, whose certificate may sign `nfc` or not.
fn with_nfc(allows_nfc: bool, now: i64) -> Circumstances {
    let default_images = DefaultImages {
        pass_type: image("personalizationLogo.png", "logo"),
        brand: image("icon.png", "brand icon"),
    };
    Circumstances { default_images, allows_nfc, ..at(now) }
}

fn with_content(content: serde_json::Value) -> PassCommand {
    PassCommand::Issue(Box::new(IssuePass { content: Content::from_value(content).unwrap(), ..order("1A") }))
}

fn nfc_card() -> PassCommand {
    with_content(json!({ "eventName": "Opening", "nfc": { "message": "m" } }))
}

fn form(description: &str) -> PersonalizationForm {
    PersonalizationForm {
        required_personalization_fields: vec![PersonalizationField::Name],
        description: description.into(),
        terms_and_conditions: None,
    }
}

fn set(description: &str) -> PassCommand {
    PassCommand::SetPersonalization(form(description))
}

fn enrolment(token: &str) -> Enrolment {
    let keys = SealingKeys::new([(1, SealingKey::new([1; 32]))].into(), 1).unwrap();
    Enrolment {
        token: Digest::of(token.as_bytes()),
        signature: TokenSignature::new(token.into()),
        person: keys.seal(b"{}", token, [2; 12]),
    }
}

fn personalize(token: &str) -> PassCommand {
    PassCommand::Personalize(Box::new(enrolment(token)))
}

/// A pass that has been told things, each at its own second.
struct Told(Pass, i64);

impl Told {
    fn of(commands: impl IntoIterator<Item = (PassCommand, bool)>) -> Self {
        let mut told = Self(Pass::default(), NOW);
        for (command, allows_nfc) in commands {
            told.asks(command, allows_nfc).unwrap();
        }
        told
    }

    fn asks(&mut self, command: PassCommand, allows_nfc: bool) -> Result<Vec<PassEvent>, PassError> {
        self.1 += 10;
        let events = self.0.decide(command, &with_nfc(allows_nfc, self.1))?;
        for event in &events {
            self.0.apply(event.clone());
        }
        Ok(events)
    }

    fn offers_form(&self) -> bool {
        self.0.open_form().is_some_and(|(_, is_in_file)| is_in_file)
    }
}

#[test]
fn the_event_says_whether_nfc_is_left_out_and_nothing_about_passes_without() {
    for (command, allows_nfc, expected) in [
        (nfc_card(), true, Some(false)),
        (nfc_card(), false, Some(true)),
        (issue("1A"), true, None),
        (issue("1A"), false, None),
    ] {
        let events = Pass::default().decide(command, &with_nfc(allows_nfc, NOW)).unwrap();
        let [PassEvent::Issued(issued)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(issued.nfc_left_out, expected);
    }
}

#[test]
fn another_certificate_brings_nfc_back_and_takes_it_away_with_another_tag_each_time() {
    let mut pass = Told::of([(nfc_card(), false)]);
    assert!(pass.0.leaves_out_nfc());
    assert!(pass.asks(PassCommand::ResolveDefaults, false).unwrap().is_empty(), "it is so already");
    let mut tags = vec![pass.0.etag().unwrap().clone()];
    for (allows_nfc, left_out) in [(true, false), (false, true)] {
        let events = pass.asks(PassCommand::ResolveDefaults, allows_nfc).unwrap();
        assert!(
            matches!(events[..], [PassEvent::NfcChanged { nfc_left_out, .. }] if nfc_left_out == left_out)
        );
        assert_eq!(pass.0.leaves_out_nfc(), left_out);
        tags.push(pass.0.etag().unwrap().clone());
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    let mut plain = Told::of([(issue("1A"), false), (PassCommand::ResolveDefaults, false)]);
    assert!(plain.asks(PassCommand::ResolveDefaults, true).unwrap().is_empty(), "it has no nfc");
}

#[test]
fn a_pass_from_before_the_decision_keeps_its_nfc_until_a_certificate_says_otherwise() {
    let events = Pass::default().decide(nfc_card(), &with_nfc(true, NOW)).unwrap();
    let PassEvent::Issued(mut issued) = events.into_iter().next().unwrap() else { unreachable!() };
    issued.nfc_left_out = None;
    let mut pass = Told(Pass::default(), NOW);
    pass.0.apply(PassEvent::Issued(issued));
    assert!(!pass.0.leaves_out_nfc());
    assert!(pass.asks(PassCommand::ResolveDefaults, true).unwrap().is_empty());
    assert_eq!(pass.asks(PassCommand::ResolveDefaults, false).unwrap().len(), 1);
    assert!(pass.0.leaves_out_nfc());
}

#[test]
fn a_form_is_in_the_file_and_in_the_tag_only_with_all_that_it_needs() {
    let mut pass = Told::of([(issue("1A"), true)]);
    let etag = pass.0.etag().cloned();
    let events = pass.asks(set("Join"), true).unwrap();
    assert!(
        matches!(events[..], [PassEvent::HiddenPersonalizationChanged { .. }]),
        "there is no nfc: {events:?}"
    );
    assert_eq!(pass.0.etag().cloned(), etag);
    assert!(pass.asks(set("Join"), true).unwrap().is_empty(), "the same form again");

    let content = Content::from_value(json!({ "eventName": "Opening", "nfc": {} })).unwrap();
    let events = pass.asks(PassCommand::ReplaceContent { content }, true).unwrap();
    assert!(
        matches!(&events[..], [PassEvent::ContentChanged { images: Some(images), .. }] if images.len() == 2)
    );
    assert!(pass.offers_form());

    let events = pass.asks(set("Join us"), true).unwrap();
    assert!(matches!(events[..], [PassEvent::PersonalizationChanged { .. }]), "{events:?}");
    pass.asks(PassCommand::ResolveDefaults, false).unwrap();
    assert!(!pass.offers_form() && pass.0.leaves_out_nfc());
    pass.asks(PassCommand::ResolveDefaults, true).unwrap();
    assert!(pass.offers_form());
    pass.asks(PassCommand::ReplaceContent { content: content_without_nfc() }, true).unwrap();
    assert!(!pass.offers_form());
}

fn content_without_nfc() -> Content {
    Content::from_value(json!({ "eventName": "Closing" })).unwrap()
}

#[test]
fn a_form_is_hashed_while_it_is_in_the_file() {
    let mut pass = Told::of([(nfc_card(), true), (set("Join"), true)]);
    assert!(pass.offers_form());
    let images = {
        let mut images = image("icon.png", "brand icon");
        images.extend(image("personalizationLogo.png", "logo"));
        images
    };
    let content = Content::from_value(json!({ "eventName": "Opening", "nfc": { "message": "m" } })).unwrap();
    let (id, join) = (id(), form("Join"));
    let tagged = Tagged {
        id: &id,
        ticket_style: TicketStyle::Event,
        poster: false,
        voided: false,
        updated_at: UnixSeconds(pass.1),
        content: &content,
        images: &images,
        localizations: &Localizations::new(),
        open_form: Some(&join),
    };
    assert_eq!(pass.0.etag(), Some(&tagged.etag()));
    assert!(tagged.canonical_text().contains("\"personalization\":{\"description\":\"Join\""));

    pass.asks(personalize("t"), true).unwrap();
    let images = image("icon.png", "brand icon");
    let tagged = Tagged { updated_at: UnixSeconds(pass.1), images: &images, open_form: None, ..tagged };
    assert_eq!(pass.0.etag(), Some(&tagged.etag()));
    assert!(!tagged.canonical_text().contains("personalization"));
}

#[test]
fn a_person_enrols_once_and_the_same_token_again_changes_nothing() {
    let mut pass = Told::of([(nfc_card(), true)]);
    assert_eq!(pass.asks(personalize("t"), true), Err(PassError::NoOpenForm), "there is no form");
    pass.asks(set("Join"), true).unwrap();
    assert_eq!(pass.asks(personalize("t"), true).unwrap().len(), 1);
    assert_eq!(pass.0.enrolment(), Some(&enrolment("t")));
    assert!(!pass.offers_form());
    assert!(pass.asks(personalize("t"), true).unwrap().is_empty());
    assert_eq!(pass.asks(personalize("other"), true), Err(PassError::NoOpenForm));

    let events = pass.asks(set("Join again"), true).unwrap();
    assert!(matches!(events[..], [PassEvent::HiddenPersonalizationChanged { .. }]), "{events:?}");
    assert!(pass.0.enrolment().is_some() && !pass.offers_form(), "another form does not undo an enrolment");
}

#[test]
fn a_form_is_taken_away_with_its_enrolment_also_from_a_retired_pass() {
    let mut pass = Told::of([(nfc_card(), true), (set("Join"), true), (personalize("t"), true)]);
    pass.asks(PassCommand::Retire, true).unwrap();
    assert_eq!(pass.asks(personalize("t"), true), Err(PassError::Retired));
    assert_eq!(pass.asks(PassCommand::RemovePersonalization, true).unwrap().len(), 1);
    assert!(pass.0.enrolment().is_none());
    assert!(pass.asks(PassCommand::RemovePersonalization, true).unwrap().is_empty());

    let mut pass = Told::of([(nfc_card(), true), (set("Join"), true), (personalize("t"), true)]);
    pass.asks(PassCommand::RemovePersonalization, true).unwrap();
    pass.asks(set("Join"), true).unwrap();
    assert!(pass.offers_form(), "the form is offered anew");
    pass.asks(personalize("new"), true).unwrap();
    assert_eq!(pass.0.enrolment(), Some(&enrolment("new")));
}

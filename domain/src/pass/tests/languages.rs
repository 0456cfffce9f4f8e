//! Texts in other languages.

use super::*;
use crate::localizations::{Language, Localization, MAX_LANGUAGES, TooLarge};

fn german() -> Language {
    Language::parse("de").unwrap()
}

fn texts(pairs: &[(&str, &str)]) -> Localization {
    Localization {
        strings: pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
    }
}

fn in_german(pairs: &[(&str, &str)]) -> Localizations {
    if pairs.is_empty() { Localizations::new() } else { Localizations::from([(german(), texts(pairs))]) }
}

/// The type of the pass has these German texts.
fn with_texts(pairs: &[(&str, &str)], now: i64) -> Circumstances {
    Circumstances { default_localizations: in_german(pairs), ..at(now) }
}

fn put(pairs: &[(&str, &str)]) -> PassCommand {
    PassCommand::PutLocalization { language: german(), localization: texts(pairs) }
}

/// The tag of the pass with these texts.
fn tag_with(shown: &Localizations, updated_at: i64) -> ETag {
    Tagged {
        id: &id(),
        ticket_style: TicketStyle::Event,
        poster: false,
        voided: false,
        updated_at: UnixSeconds(updated_at),
        content: &content("1A"),
        images: &image("icon.png", "brand icon"),
        localizations: shown,
        open_form: None,
    }
    .etag()
}

fn changed_to(own: &[(&str, &str)], shown: &[(&str, &str)], updated_at: i64) -> PassEvent {
    PassEvent::LocalizationsChanged {
        localizations: in_german(own),
        shown_localizations: in_german(shown),
        etag: tag_with(&in_german(shown), updated_at),
        updated_at: UnixSeconds(updated_at),
    }
}

#[test]
fn a_pass_is_issued_with_its_own_texts_and_those_of_its_type() {
    let own = in_german(&[("Gate", "Flugsteig")]);
    let order = IssuePass { localizations: own.clone(), ..order("1A") };
    let events = Pass::default()
        .decide(PassCommand::Issue(Box::new(order.clone())), &with_texts(&[("Seat", "Platz")], NOW));
    let [PassEvent::Issued(issued)] = &events.unwrap()[..] else { panic!("one event") };
    let shown = in_german(&[("Gate", "Flugsteig"), ("Seat", "Platz")]);
    assert_eq!((&issued.localizations, &issued.shown_localizations), (&own, &shown));
    assert_eq!(issued.etag, tag_with(&shown, NOW));
    let history = vec![PassEvent::Issued(issued.clone())];
    check(history.clone(), at(NOW + 5), PassCommand::Issue(Box::new(order.clone())), vec![]);
    let other = IssuePass { localizations: in_german(&[("Gate", "Tor")]), ..order };
    refuse(history, at(NOW + 5), PassCommand::Issue(Box::new(other)), &PassError::AlreadyIssued);
}

#[test]
fn texts_take_the_place_of_those_in_the_same_language() {
    let first = changed_to(&[("Gate", "Tor")], &[("Gate", "Tor")], NOW + 1);
    check(vec![issued("1A", NOW)], at(NOW + 1), put(&[("Gate", "Tor")]), vec![first.clone()]);
    check(vec![issued("1A", NOW), first.clone()], at(NOW + 2), put(&[("Gate", "Tor")]), vec![]);
    let second = changed_to(&[("Seat", "Platz")], &[("Seat", "Platz")], NOW + 2);
    check(vec![issued("1A", NOW), first.clone()], at(NOW + 2), put(&[("Seat", "Platz")]), vec![second]);
    let remove = PassCommand::RemoveLocalization { language: german() };
    let none = changed_to(&[], &[], NOW + 3);
    check(vec![issued("1A", NOW), first], at(NOW + 3), remove.clone(), vec![none]);
    check(vec![issued("1A", NOW)], at(NOW + 3), remove, vec![]);
}

#[test]
fn own_texts_that_say_what_the_type_says_change_no_state() {
    let shown = changed_to(&[], &[("Gate", "Tor")], NOW + 1);
    let kept = PassEvent::HiddenLocalizationsChanged {
        localizations: in_german(&[("Gate", "Tor")]),
        etag: tag_with(&in_german(&[("Gate", "Tor")]), NOW + 1),
        updated_at: UnixSeconds(NOW + 1),
    };
    let at = with_texts(&[("Gate", "Tor")], NOW + 5);
    check(
        vec![issued("1A", NOW)],
        with_texts(&[("Gate", "Tor")], NOW + 1),
        PassCommand::ResolveDefaults,
        vec![shown.clone()],
    );
    check(vec![issued("1A", NOW), shown], at, put(&[("Gate", "Tor")]), vec![kept]);
}

#[test]
fn images_and_texts_that_change_together_are_two_states() {
    let at = Circumstances {
        default_localizations: in_german(&[("Gate", "Tor")]),
        ..at_with_icon(NOW + 9, "new icon")
    };
    let mut pass = Pass::default();
    pass.apply(issued("1A", NOW));
    let events = pass.decide(PassCommand::ResolveDefaults, &at).unwrap();
    let [images, texts] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(images, PassEvent::AssetsChanged { updated_at: UnixSeconds(at), .. } if *at == NOW + 9));
    assert!(
        matches!(texts, PassEvent::LocalizationsChanged { updated_at: UnixSeconds(at), .. } if *at == NOW + 10)
    );
    for event in events {
        pass.apply(event);
    }
    assert_eq!(pass.decide(PassCommand::ResolveDefaults, &at).unwrap(), [], "nothing is left to do");
    let replaced = pass.decide(replace("1A"), &at).unwrap();
    assert_eq!(replaced, [], "the same content");
}

#[test]
fn a_pass_that_would_lack_an_image_gets_the_texts_alone() {
    let without_icon =
        Circumstances { default_images: DefaultImages::default(), ..with_texts(&[("Gate", "Tor")], NOW + 9) };
    let texts = changed_to(&[], &[("Gate", "Tor")], NOW + 9);
    check(vec![issued("1A", NOW)], without_icon.clone(), PassCommand::ResolveDefaults, vec![texts.clone()]);
    let missing = PassError::MissingImage { one_of: &[ImageSlot::Icon] };
    refuse(vec![issued("1A", NOW), texts], without_icon, PassCommand::ResolveDefaults, &missing);
}

#[test]
fn a_pass_has_not_more_languages_than_the_limit() {
    let language = |number: usize| Language::parse(&format!("en-{number}")).unwrap();
    let full = (0..MAX_LANGUAGES).map(|number| (language(number), texts(&[("A", "B")]))).collect();
    let PassEvent::Issued(mut issued) = issued("1A", NOW) else { unreachable!() };
    issued.localizations = full;
    let too_many = PassError::LocalizationsTooLarge(TooLarge::Languages);
    refuse(vec![PassEvent::Issued(issued)], at(NOW + 1), put(&[("A", "B")]), &too_many);
}

//! The rules of a pass, one sentence each. Counting, patches, repeated orders, another style, repair and the end of a pass have files of their own.

mod anew;
mod counting;
mod languages;
mod metadata;
mod patching;
mod personalization;
mod repeated_orders;
mod restoring;
mod retiring;

use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use honoken_styles::ImageSlot;
use serde_json::json;

use super::*;
use crate::content::Content;
use crate::etag::Tagged;
use crate::ids::{AuthenticationToken, Digest, ETag, OrganizationId, PassId, UnixSeconds};
use crate::images::{DefaultImages, Images};
use crate::localizations::Localizations;

const NOW: i64 = 1_700_000_000;

fn id() -> PassId {
    PassId::parse("pass.com.example.ticket/A-1").unwrap()
}

fn content(seat: &str) -> Content {
    Content::from_value(json!({ "eventName": "Opening", "seat": seat })).unwrap()
}

fn image(file: &str, bytes: &str) -> Images {
    Images::from([(file.to_owned(), Digest::of(bytes.as_bytes()))])
}

fn at(now: i64) -> Circumstances {
    Circumstances {
        now: UnixSeconds(now),
        organization_id: OrganizationId::parse("club").unwrap(),
        default_localizations: Localizations::new(),
        default_images: DefaultImages { pass_type: Images::new(), brand: image("icon.png", "brand icon") },
        allows_nfc: false,
        precondition: Precondition::None,
        rules: |_, _| Vec::new(),
    }
}

fn order(seat: &str) -> IssuePass {
    IssuePass {
        id: id(),
        ticket_style: TicketStyle::Event,
        poster: false,
        content: content(seat),
        assets: Images::new(),
        localizations: Localizations::new(),
        voided: false,
        authentication_token: OrderedToken::Fresh(
            AuthenticationToken::parse("0123456789abcdef0123").unwrap(),
        ),
    }
}

fn issue(seat: &str) -> PassCommand {
    PassCommand::Issue(Box::new(order(seat)))
}

fn tag(seat: &str, images: &Images, voided: bool, updated_at: i64) -> ETag {
    Tagged {
        id: &id(),
        ticket_style: TicketStyle::Event,
        poster: false,
        voided,
        updated_at: UnixSeconds(updated_at),
        content: &content(seat),
        images,
        localizations: const { &Localizations::new() },
        open_form: None,
    }
    .etag()
}

fn issued(seat: &str, updated_at: i64) -> PassEvent {
    let images = image("icon.png", "brand icon");
    PassEvent::Issued(Box::new(PassIssued {
        organization_id: OrganizationId::parse("club").unwrap(),
        pass_type_identifier: id().pass_type_identifier,
        serial_number: id().serial_number,
        ticket_style: TicketStyle::Event,
        poster: false,
        content: content(seat),
        assets: Images::new(),
        etag: tag(seat, &images, false, updated_at),
        images,
        localizations: Localizations::new(),
        shown_localizations: Localizations::new(),
        nfc_left_out: None,
        authentication_token: AuthenticationToken::parse("0123456789abcdef0123").unwrap(),
        updated_at: UnixSeconds(updated_at),
    }))
}

fn changed(seat: &str, updated_at: i64) -> PassEvent {
    let etag = tag(seat, &image("icon.png", "brand icon"), false, updated_at);
    PassEvent::ContentChanged {
        content: content(seat),
        increment: None,
        replacement: None,
        nfc_left_out: None,
        images: None,
        etag,
        updated_at: UnixSeconds(updated_at),
    }
}

fn voided(seat: &str, updated_at: i64) -> PassEvent {
    let etag = tag(seat, &image("icon.png", "brand icon"), true, updated_at);
    PassEvent::Voided { etag, updated_at: UnixSeconds(updated_at) }
}

fn reinstated(seat: &str, updated_at: i64) -> PassEvent {
    let etag = tag(seat, &image("icon.png", "brand icon"), false, updated_at);
    PassEvent::Reinstated { etag, updated_at: UnixSeconds(updated_at) }
}

fn replace(seat: &str) -> PassCommand {
    PassCommand::ReplaceContent { content: content(seat) }
}

#[track_caller]
fn check(history: Vec<PassEvent>, at: Circumstances, command: PassCommand, expected: Vec<PassEvent>) {
    TestFramework::<Pass>::with(at).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<PassEvent>, at: Circumstances, command: PassCommand, expected: &PassError) {
    let found = TestFramework::<Pass>::with(at).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn issuing_fixes_content_images_token_tag_and_time() {
    check(vec![], at(NOW), issue("1A"), vec![issued("1A", NOW)]);
}

#[test]
fn issuing_takes_the_images_of_a_pass_before_all_others() {
    let own = image("icon@2x.png", "own icon");
    let order = IssuePass { assets: own.clone(), ..order("1A") };
    let PassEvent::Issued(mut expected) = issued("1A", NOW) else { unreachable!() };
    expected.etag = tag("1A", &own, false, NOW);
    expected.images.clone_from(&own);
    expected.assets = own;
    check(vec![], at(NOW), PassCommand::Issue(Box::new(order)), vec![PassEvent::Issued(expected)]);
}

#[test]
fn issuing_without_any_icon_is_refused() {
    let bare = Circumstances { default_images: DefaultImages::default(), ..at(NOW) };
    refuse(vec![], bare, issue("1A"), &PassError::MissingImage { one_of: &[ImageSlot::Icon] });
}

#[test]
fn issuing_a_poster_without_a_background_is_refused() {
    let poster = IssuePass { poster: true, ..order("1A") };
    let command = PassCommand::Issue(Box::new(poster));
    refuse(
        vec![],
        at(NOW),
        command,
        &PassError::MissingImage { one_of: &[ImageSlot::Background, ImageSlot::Artwork] },
    );
}

#[test]
fn issuing_the_same_again_does_nothing_even_after_changes() {
    check(vec![issued("1A", NOW)], at(NOW + 9), issue("1A"), vec![]);
    check(vec![issued("1A", NOW), changed("2B", NOW + 1)], at(NOW + 9), issue("1A"), vec![]);
}

#[test]
fn issuing_again_with_a_fresh_token_is_still_the_same_order() {
    let retry = IssuePass {
        authentication_token: OrderedToken::Fresh(
            AuthenticationToken::parse("another-random-token").unwrap(),
        ),
        ..order("1A")
    };
    check(vec![issued("1A", NOW)], at(NOW), PassCommand::Issue(Box::new(retry)), vec![]);
}

/// The order of [`order`], which names the token that phones show.
fn issue_with_token(seat: &str, token: &str) -> PassCommand {
    let authentication_token = OrderedToken::Known(AuthenticationToken::parse(token).unwrap());
    PassCommand::Issue(Box::new(IssuePass { authentication_token, ..order(seat) }))
}

#[test]
fn a_pass_is_issued_with_the_token_that_the_order_names() {
    check(vec![], at(NOW), issue_with_token("1A", "0123456789abcdef0123"), vec![issued("1A", NOW)]);
}

#[test]
fn an_order_that_names_the_token_is_the_same_order_only_with_that_token() {
    let history = vec![issued("1A", NOW), changed("2B", NOW + 1)];
    check(history.clone(), at(NOW + 9), issue_with_token("1A", "0123456789abcdef0123"), vec![]);
    refuse(
        history.clone(),
        at(NOW + 9),
        issue_with_token("1A", "another-known-token"),
        &PassError::OtherToken,
    );
    refuse(history, at(NOW + 9), issue_with_token("2B", "another-known-token"), &PassError::AlreadyIssued);
}

#[test]
fn a_pass_that_was_issued_admits_devices_and_stays_as_it_is() {
    check(vec![issued("1A", NOW)], at(NOW + 1), PassCommand::AdmitDevice, vec![]);
    check(vec![issued("1A", NOW), voided("1A", NOW + 1)], at(NOW + 2), PassCommand::AdmitDevice, vec![]);
    refuse(vec![], at(NOW), PassCommand::AdmitDevice, &PassError::Unknown);
    let stranger = Circumstances { organization_id: OrganizationId::parse("stranger").unwrap(), ..at(NOW) };
    refuse(vec![issued("1A", NOW)], stranger, PassCommand::AdmitDevice, &PassError::Unknown);
}

#[test]
fn issuing_a_taken_serial_with_other_content_is_refused() {
    refuse(vec![issued("1A", NOW)], at(NOW), issue("2B"), &PassError::AlreadyIssued);
    // The content it has now is not the content it was issued with.
    refuse(vec![issued("1A", NOW), changed("2B", NOW + 1)], at(NOW), issue("2B"), &PassError::AlreadyIssued);
}

#[test]
fn replacing_content_leads_to_a_new_tag_and_time() {
    check(vec![issued("1A", NOW)], at(NOW + 60), replace("2B"), vec![changed("2B", NOW + 60)]);
}

#[test]
fn a_second_change_in_the_same_second_gets_the_next_second() {
    let history = vec![issued("1A", NOW), changed("2B", NOW + 1)];
    check(history, at(NOW), replace("3C"), vec![changed("3C", NOW + 2)]);
}

#[test]
fn a_clock_that_jumps_back_never_takes_time_back() {
    check(vec![issued("1A", NOW)], at(NOW - 5_000), replace("2B"), vec![changed("2B", NOW + 1)]);
}

#[test]
fn replacing_content_with_its_equal_changes_nothing() {
    check(vec![issued("1A", NOW)], at(NOW + 60), replace("1A"), vec![]);
}

#[test]
fn equal_content_in_another_spelling_changes_nothing() {
    let spelled = |text: &str| Content::from_value(crate::json::parse(text.as_bytes()).unwrap()).unwrap();
    let history = vec![issued("1A", NOW), {
        let content = spelled(r#"{"n":10,"a":"é"}"#);
        let etag = tag("1A", &Images::new(), false, NOW + 1);
        PassEvent::ContentChanged {
            content,
            increment: None,
            replacement: None,
            nfc_left_out: None,
            images: None,
            etag,
            updated_at: UnixSeconds(NOW + 1),
        }
    }];
    let command = PassCommand::ReplaceContent { content: spelled("{ \"a\": \"\\u00e9\", \"n\": 1.0e1 }") };
    check(history, at(NOW + 60), command, vec![]);
}

#[test]
fn changing_back_to_an_earlier_content_is_a_change_with_a_tag_of_its_own() {
    let history = vec![issued("1A", NOW), changed("2B", NOW + 1)];
    check(history, at(NOW + 2), replace("1A"), vec![changed("1A", NOW + 2)]);
    assert_ne!(changed("1A", NOW + 2), changed("1A", NOW));
}

#[test]
fn voiding_and_reinstating_change_the_tag() {
    check(vec![issued("1A", NOW)], at(NOW + 1), PassCommand::Void, vec![voided("1A", NOW + 1)]);
    let history = vec![issued("1A", NOW), voided("1A", NOW + 1)];
    check(history, at(NOW + 2), PassCommand::Reinstate, vec![reinstated("1A", NOW + 2)]);
}

#[test]
fn voiding_a_void_pass_and_reinstating_a_valid_one_change_nothing() {
    check(vec![issued("1A", NOW), voided("1A", NOW + 1)], at(NOW + 2), PassCommand::Void, vec![]);
    check(vec![issued("1A", NOW)], at(NOW + 2), PassCommand::Reinstate, vec![]);
}

#[test]
fn a_void_pass_can_still_be_changed_and_stays_void() {
    let images = image("icon.png", "brand icon");
    let expected = PassEvent::ContentChanged {
        content: content("2B"),
        increment: None,
        replacement: None,
        nfc_left_out: None,
        images: None,
        etag: tag("2B", &images, true, NOW + 2),
        updated_at: UnixSeconds(NOW + 2),
    };
    check(vec![issued("1A", NOW), voided("1A", NOW + 1)], at(NOW + 2), replace("2B"), vec![expected]);
}

#[test]
fn an_image_of_its_own_takes_the_place_of_the_default() {
    let own = image("icon.png", "own icon");
    let command = PassCommand::PutAsset { file: "icon.png".into(), digest: Digest::of(b"own icon") };
    let expected = PassEvent::AssetsChanged {
        assets: own.clone(),
        etag: tag("1A", &own, false, NOW + 1),
        images: own,
        updated_at: UnixSeconds(NOW + 1),
    };
    check(vec![issued("1A", NOW)], at(NOW), command, vec![expected]);
}

#[test]
fn putting_the_image_that_is_there_changes_nothing() {
    let own = image("icon.png", "own icon");
    let put = PassCommand::PutAsset { file: "icon.png".into(), digest: Digest::of(b"own icon") };
    let there = PassEvent::AssetsChanged {
        assets: own.clone(),
        etag: tag("1A", &own, false, NOW + 1),
        images: own,
        updated_at: UnixSeconds(NOW + 1),
    };
    check(vec![issued("1A", NOW), there], at(NOW + 5), put, vec![]);
}

#[test]
fn removing_an_image_of_its_own_shows_the_default_again() {
    let (own, brand) = (image("icon.png", "own icon"), image("icon.png", "brand icon"));
    let there = PassEvent::AssetsChanged {
        assets: own.clone(),
        etag: tag("1A", &own, false, NOW + 1),
        images: own,
        updated_at: UnixSeconds(NOW + 1),
    };
    let expected = PassEvent::AssetsChanged {
        assets: Images::new(),
        etag: tag("1A", &brand, false, NOW + 5),
        images: brand,
        updated_at: UnixSeconds(NOW + 5),
    };
    let command = PassCommand::RemoveAsset { file: "icon.png".into() };
    check(vec![issued("1A", NOW), there], at(NOW + 5), command, vec![expected]);
}

#[test]
fn an_image_that_the_style_does_not_show_is_kept_and_changes_no_state() {
    let footer = image("footer.png", "own footer");
    let (etag, updated_at) = (tag("1A", &image("icon.png", "brand icon"), false, NOW), UnixSeconds(NOW));
    let kept = PassEvent::HiddenAssetsChanged { assets: footer, etag: etag.clone(), updated_at };
    let put = PassCommand::PutAsset { file: "footer.png".into(), digest: Digest::of(b"own footer") };
    check(vec![issued("1A", NOW)], at(NOW + 5), put.clone(), vec![kept.clone()]);
    check(vec![issued("1A", NOW), kept.clone()], at(NOW + 6), put, vec![]);

    let remove = PassCommand::RemoveAsset { file: "footer.png".into() };
    let gone = PassEvent::HiddenAssetsChanged { assets: Images::new(), etag, updated_at };
    check(vec![issued("1A", NOW), kept.clone()], at(NOW + 7), remove, vec![gone]);
    let boarding = PassCommand::ChangeMetadata { ticket_style: Some(TicketStyle::Boarding), poster: None };
    let mut pass = Pass::default();
    for event in [issued("1A", NOW), kept] {
        pass.apply(event);
    }
    let shown = pass.decide(boarding, &at(NOW + 8)).unwrap();
    assert!(
        matches!(&shown[..], [PassEvent::MetadataChanged { images, .. }] if images.contains_key("footer.png"))
    );
}

#[test]
fn an_image_of_its_own_that_is_the_default_one_changes_no_state() {
    let put = PassCommand::PutAsset { file: "icon.png".into(), digest: Digest::of(b"brand icon") };
    let events = {
        let mut pass = Pass::default();
        pass.apply(issued("1A", NOW));
        pass.decide(put, &at(NOW + 5)).unwrap()
    };
    assert!(events.iter().all(|event| !event.is_seen()) && events.len() == 1, "{events:?}");
}

#[test]
fn removing_an_image_that_is_not_there_changes_nothing() {
    check(vec![issued("1A", NOW)], at(NOW + 5), PassCommand::RemoveAsset { file: "logo.png".into() }, vec![]);
}

#[test]
fn removing_the_last_icon_is_refused() {
    let own = image("icon.png", "own icon");
    let there = PassEvent::AssetsChanged {
        assets: own.clone(),
        etag: tag("1A", &own, false, NOW + 1),
        images: own,
        updated_at: UnixSeconds(NOW + 1),
    };
    let bare = Circumstances { default_images: DefaultImages::default(), ..at(NOW + 5) };
    let command = PassCommand::RemoveAsset { file: "icon.png".into() };
    refuse(
        vec![issued("1A", NOW), there],
        bare,
        command,
        &PassError::MissingImage { one_of: &[ImageSlot::Icon] },
    );
}

#[test]
fn a_pass_that_was_never_issued_is_unknown() {
    for command in [replace("1A"), PassCommand::Void, PassCommand::Reinstate] {
        refuse(vec![], at(NOW), command, &PassError::Unknown);
    }
}

#[test]
fn another_organisation_cannot_learn_that_the_pass_exists() {
    let stranger =
        || Circumstances { organization_id: OrganizationId::parse("stranger").unwrap(), ..at(NOW) };
    for command in [replace("2B"), PassCommand::Void, issue("1A"), issue("2B")] {
        refuse(vec![issued("1A", NOW)], stranger(), command, &PassError::Unknown);
    }
}

#[test]
fn a_change_is_refused_when_the_caller_knows_another_state() {
    let current = tag("1A", &image("icon.png", "brand icon"), false, NOW);
    let stale = tag("0X", &Images::new(), false, 1);
    let knowing = |tags: Vec<ETag>| Circumstances { precondition: Precondition::OneOf(tags), ..at(NOW + 1) };
    let history = || vec![issued("1A", NOW)];
    check(
        history(),
        knowing(vec![stale.clone(), current.clone()]),
        replace("2B"),
        vec![changed("2B", NOW + 1)],
    );
    for tags in [vec![stale], vec![]] {
        refuse(
            history(),
            knowing(tags),
            replace("2B"),
            &PassError::PreconditionFailed { current: Some(current.clone()) },
        );
    }
}

#[test]
fn a_pass_that_does_not_exist_has_no_state_that_a_caller_could_know() {
    for precondition in [Precondition::Any, Precondition::OneOf(vec![])] {
        let knowing = Circumstances { precondition, ..at(NOW) };
        refuse(vec![], knowing, issue("1A"), &PassError::PreconditionFailed { current: None });
    }
}

#[test]
fn a_change_to_whatever_state_there_is_goes_through() {
    let knowing = Circumstances { precondition: Precondition::Any, ..at(NOW + 1) };
    check(vec![issued("1A", NOW)], knowing, replace("2B"), vec![changed("2B", NOW + 1)]);
}

/// The same pass when the brand has another icon.
fn at_with_icon(now: i64, bytes: &str) -> Circumstances {
    let default_images = DefaultImages { pass_type: Images::new(), brand: image("icon.png", bytes) };
    Circumstances { default_images, ..at(now) }
}

#[test]
fn a_pass_that_falls_back_shows_the_new_image_with_a_new_tag_and_time() {
    let images = image("icon.png", "new icon");
    let etag = tag("1A", &images, false, NOW + 9);
    let expected =
        PassEvent::AssetsChanged { assets: Images::new(), images, etag, updated_at: UnixSeconds(NOW + 9) };
    check(
        vec![issued("1A", NOW)],
        at_with_icon(NOW + 9, "new icon"),
        PassCommand::ResolveDefaults,
        vec![expected.clone()],
    );
    check(
        vec![issued("1A", NOW), expected],
        at_with_icon(NOW + 10, "new icon"),
        PassCommand::ResolveDefaults,
        vec![],
    );
}

#[test]
fn a_pass_whose_own_image_hides_the_new_one_is_left_alone() {
    let own = image("icon@2x.png", "own icon");
    let PassEvent::Issued(mut issued) = issued("1A", NOW) else { unreachable!() };
    (issued.assets, issued.images) = (own.clone(), own);
    check(
        vec![PassEvent::Issued(issued)],
        at_with_icon(NOW + 9, "new icon"),
        PassCommand::ResolveDefaults,
        vec![],
    );
}

#[test]
fn a_pass_keeps_its_images_when_it_would_be_left_without_one_that_it_needs() {
    let none = Circumstances { default_images: DefaultImages::default(), ..at(NOW + 9) };
    refuse(
        vec![issued("1A", NOW)],
        none,
        PassCommand::ResolveDefaults,
        &PassError::MissingImage { one_of: &[ImageSlot::Icon] },
    );
}

#[test]
fn a_pass_whose_image_was_lost_is_stated_anew_once() {
    let icon = Digest::of(b"brand icon");
    let images = image("icon.png", "brand icon");
    let again = |image: &Digest| PassCommand::StateAnew { image: image.clone(), as_of: UnixSeconds(NOW + 9) };
    let anew = |updated_at| PassEvent::AssetsChanged {
        assets: Images::new(),
        images: images.clone(),
        etag: tag("1A", &images, false, updated_at),
        updated_at: UnixSeconds(updated_at),
    };
    check(vec![issued("1A", NOW)], at(NOW + 30), again(&icon), vec![anew(NOW + 30)]);
    check(vec![issued("1A", NOW)], at(NOW + 9), again(&icon), vec![anew(NOW + 10)]);
    check(vec![issued("1A", NOW), anew(NOW + 10)], at(NOW + 31), again(&icon), vec![]);
    check(vec![issued("1A", NOW)], at(NOW + 30), again(&Digest::of(b"another")), vec![]);
}

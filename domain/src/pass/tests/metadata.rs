//! Another style, another layout.

use super::*;

fn drawn_as(ticket_style: Option<TicketStyle>, poster: Option<bool>) -> PassCommand {
    PassCommand::ChangeMetadata { ticket_style, poster }
}

/// The event that makes the pass something else.
fn became(style: TicketStyle, poster: bool, images: &Images, updated_at: i64) -> PassEvent {
    let (id, content) = (id(), content("1A"));
    let etag = Tagged {
        id: &id,
        ticket_style: style,
        poster,
        voided: false,
        updated_at: UnixSeconds(updated_at),
        content: &content,
        images,
        localizations: const { &Localizations::new() },
        open_form: None,
    }
    .etag();
    let (images, updated_at) = (images.clone(), UnixSeconds(updated_at));
    PassEvent::MetadataChanged { ticket_style: style, poster, images, etag, updated_at }
}

fn images(files: &[&str]) -> Images {
    files.iter().map(|file| ((*file).to_owned(), Digest::of(file.as_bytes()))).collect()
}

fn with_brand(files: &[&str]) -> Circumstances {
    let default_images = DefaultImages { pass_type: Images::new(), brand: images(files) };
    Circumstances { default_images, ..at(NOW + 1) }
}

#[test]
fn another_style_shows_the_images_of_its_own_slots() {
    let at = with_brand(&["icon.png", "background.png", "strip.png"]);
    let expected = became(TicketStyle::StoreCard, false, &images(&["icon.png", "strip.png"]), NOW + 1);
    check(vec![issued("1A", NOW)], at, drawn_as(Some(TicketStyle::StoreCard), None), vec![expected]);
}

#[test]
fn what_is_not_named_stays() {
    let at = || with_brand(&["icon.png", "background.png"]);
    let poster = became(TicketStyle::Event, true, &images(&["icon.png", "background.png"]), NOW + 1);
    check(vec![issued("1A", NOW)], at(), drawn_as(None, Some(true)), vec![poster.clone()]);
    let history = vec![issued("1A", NOW), poster];
    check(history, at(), drawn_as(Some(TicketStyle::Event), None), vec![]);
}

#[test]
fn naming_what_it_is_changes_nothing() {
    for command in [
        drawn_as(None, None),
        drawn_as(Some(TicketStyle::Event), None),
        drawn_as(None, Some(false)),
        drawn_as(Some(TicketStyle::Event), Some(false)),
    ] {
        check(vec![issued("1A", NOW)], at(NOW + 1), command, vec![]);
    }
}

#[test]
fn a_poster_needs_its_background() {
    let command = drawn_as(None, Some(true));
    refuse(
        vec![issued("1A", NOW)],
        at(NOW + 1),
        command,
        &PassError::MissingImage { one_of: &[ImageSlot::Background, ImageSlot::Artwork] },
    );
}

#[test]
fn only_event_tickets_are_posters() {
    let no_poster = PassError::NoPoster { style: "coupon" };
    let both = drawn_as(Some(TicketStyle::Coupon), Some(true));
    refuse(vec![issued("1A", NOW)], at(NOW + 1), both, &no_poster);
    let poster = became(TicketStyle::Event, true, &images(&["icon.png"]), NOW + 1);
    let history = vec![issued("1A", NOW), poster];
    refuse(history, at(NOW + 2), drawn_as(Some(TicketStyle::Coupon), None), &no_poster);
    let order = IssuePass { ticket_style: TicketStyle::Coupon, poster: true, ..order("1A") };
    refuse(vec![], at(NOW), PassCommand::Issue(Box::new(order)), &no_poster);
}

#[test]
fn the_content_has_to_fit_the_new_style() {
    let fault = || ContentFault { code: "style".into(), pointer: "/eventName".into(), detail: "no".into() };
    let at = Circumstances {
        rules: |kind, _| match kind.style {
            TicketStyle::Boarding => {
                vec![ContentFault { code: "style".into(), pointer: "/eventName".into(), detail: "no".into() }]
            }
            _ => Vec::new(),
        },
        ..at(NOW + 1)
    };
    let unacceptable = PassError::UnacceptableContent { faults: vec![fault()] };
    refuse(vec![issued("1A", NOW)], at, drawn_as(Some(TicketStyle::Boarding), None), &unacceptable);
}

#[test]
fn a_retry_of_the_order_is_known_by_the_style_it_was_issued_with() {
    let generic = became(TicketStyle::Generic, false, &images(&["icon.png"]), NOW + 1);
    let history = || vec![issued("1A", NOW), generic.clone()];
    check(history(), at(NOW + 2), issue("1A"), vec![]);
    let order = IssuePass { ticket_style: TicketStyle::Generic, ..order("1A") };
    refuse(history(), at(NOW + 2), PassCommand::Issue(Box::new(order)), &PassError::AlreadyIssued);
}

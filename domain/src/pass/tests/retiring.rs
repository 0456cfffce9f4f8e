//! The end of a pass.

use super::*;

fn retired(seat: &str, updated_at: i64) -> PassEvent {
    let etag = tag(seat, &image("icon.png", "brand icon"), true, updated_at);
    PassEvent::Retired { etag, updated_at: UnixSeconds(updated_at) }
}

#[test]
fn retiring_voids_the_pass_under_a_new_tag() {
    check(vec![issued("1A", NOW)], at(NOW + 1), PassCommand::Retire, vec![retired("1A", NOW + 1)]);
}

#[test]
fn a_void_pass_is_retired_under_a_tag_of_its_own() {
    let history = vec![issued("1A", NOW), voided("1A", NOW + 1)];
    check(history, at(NOW + 1), PassCommand::Retire, vec![retired("1A", NOW + 2)]);
}

#[test]
fn retiring_again_changes_nothing() {
    check(vec![issued("1A", NOW), retired("1A", NOW + 1)], at(NOW + 2), PassCommand::Retire, vec![]);
}

#[test]
fn a_retired_pass_refuses_every_change() {
    let increment = Increment { pointer: PointerBuf::parse("/points").unwrap(), by: 1.into(), key: None };
    for command in [
        replace("1A"),
        replace("2B"),
        PassCommand::PatchContent { patch: ContentPatch::Merge(json!({})) },
        PassCommand::Increment(increment),
        PassCommand::ChangeMetadata { ticket_style: None, poster: None },
        PassCommand::PutAsset { file: "icon.png".into(), digest: Digest::of(b"own icon") },
        PassCommand::RemoveAsset { file: "icon.png".into() },
        PassCommand::AdmitDevice,
        PassCommand::Void,
        PassCommand::Reinstate,
    ] {
        let history = vec![issued("1A", NOW), retired("1A", NOW + 1)];
        refuse(history, at(NOW + 2), command, &PassError::Retired);
    }
}

#[test]
fn the_serial_number_of_a_retired_pass_is_never_free_again() {
    let history = || vec![issued("1A", NOW), retired("1A", NOW + 1)];
    check(history(), at(NOW + 2), issue("1A"), vec![]);
    refuse(history(), at(NOW + 2), issue("2B"), &PassError::AlreadyIssued);
}

#[test]
fn another_organisation_cannot_retire_a_pass_nor_learn_that_it_is() {
    let stranger =
        || Circumstances { organization_id: OrganizationId::parse("stranger").unwrap(), ..at(NOW + 2) };
    for history in [vec![issued("1A", NOW)], vec![issued("1A", NOW), retired("1A", NOW + 1)]] {
        refuse(history, stranger(), PassCommand::Retire, &PassError::Unknown);
    }
}

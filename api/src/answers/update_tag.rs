//! Update tags: `{epoch}-{position}`, opaque to the phone. [`honoken_conditional::update_tag`] reads them.

use honoken_conditional::update_tag::{self, Seen};
use honoken_domain::ids::UnixSeconds;
use honoken_event_store::{Epoch, Position};
use honoken_projections::updated_serials::Since;

/// The tag of a position.
pub fn render(epoch: Epoch, position: Position) -> String {
    format!("{epoch}-{position}")
}

/// The changes that a phone with this tag has seen.
pub fn read(tag: &str, epoch: Epoch, head: Position) -> Since {
    match update_tag::read(tag, &epoch.to_string(), head.0) {
        Seen::Nothing => Since::Nothing,
        Seen::Position(position) => Since::Position(Position(position)),
        Seen::Moment(seconds) => Since::Moment(UnixSeconds(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_tag_is_read_as_its_position() {
        let (epoch, head) = (Epoch(0x00c0_ffee), Position(100));
        assert_eq!(render(epoch, Position(42)), "00c0ffee-42");
        assert_eq!(read("00c0ffee-42", epoch, head), Since::Position(Position(42)));
        assert_eq!(read("00c0ffee-101", epoch, head), Since::Nothing);
        assert_eq!(read("1700000000", epoch, head), Since::Moment(UnixSeconds(1_700_000_000)));
    }
}

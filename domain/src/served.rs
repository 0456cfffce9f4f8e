//! What of a pass is in its file, where that depends on more than the pass: `nfc` on the certificate that signs, and the form of a rewards
//! programme on `nfc` and on its logo.
//!
//! Wallet opens a pass with `nfc` only when Apple has allowed its certificate to sign such passes, and offers a form only with `nfc` and a logo.
//! A part that a phone would refuse is left out of the file, and the event that leads to the state says so.

use honoken_styles::{ImageFile, ImageSlot, PassKind};

use crate::content::Content;
use crate::images::{self, DefaultImages, Images};

/// The member of a content that only some certificates may sign.
pub const NFC: &str = "nfc";

/// Whether a content speaks to readers over NFC.
pub fn has_nfc(content: &Content) -> bool {
    content.as_map().contains_key(NFC)
}

/// Whether `nfc` is left out of the file of a pass with this content; none when the content has no `nfc`.
pub fn leaves_out_nfc(content: &Content, allows_nfc: bool) -> Option<bool> {
    has_nfc(content).then_some(!allows_nfc)
}

/// What decides which images end up in a pass, and whether its form does.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// What it is drawn as.
    pub kind: PassKind,
    /// Images of its own.
    pub own: &'a Images,
    /// Whether its content has `nfc`.
    pub has_nfc: bool,
    /// Whether `nfc` is left out of its file, if that was decided.
    pub nfc_left_out: Option<bool>,
    /// Whether it has a form that no person has filled in.
    pub has_open_form: bool,
}

impl Parts<'_> {
    /// The images that end up in the pass: those that its kind shows, and the logo of a form that is in the file.
    pub fn images(&self, defaults: &DefaultImages, allows_nfc: bool) -> Images {
        let mut images = images::resolve(self.kind, self.own, defaults);
        images.extend(self.form_logo(defaults, allows_nfc));
        images
    }

    /// These images with the logo of the form as it is decided now.
    pub fn with_form_logo(&self, images: &Images, defaults: &DefaultImages, allows_nfc: bool) -> Images {
        let others = images.iter().filter(|(file, _)| !is_form_logo(file));
        let others = others.map(|(file, digest)| (file.clone(), digest.clone()));
        others.chain(self.form_logo(defaults, allows_nfc)).collect()
    }

    /// The pass's own, else the type's, else the brand's; none while the form is left out.
    fn form_logo(&self, defaults: &DefaultImages, allows_nfc: bool) -> Images {
        let has_nfc_in_file = self.has_nfc && self.nfc_left_out != Some(true) && allows_nfc;
        if !(self.has_open_form && has_nfc_in_file) {
            return Images::new();
        }
        let logos = [self.own, &defaults.pass_type, &defaults.brand].map(|from| {
            let logos = from.iter().filter(|(file, _)| is_form_logo(file));
            logos.map(|(file, digest)| (file.clone(), digest.clone())).collect::<Images>()
        });
        logos.into_iter().find(|logos| !logos.is_empty()).unwrap_or_default()
    }
}

fn is_form_logo(file: &str) -> bool {
    ImageFile::parse(file).is_ok_and(|file| file.slot() == ImageSlot::PersonalizationLogo)
}

/// Whether the form of a pass with these images is in its file: its logo is among them then, and else never.
pub fn shows_form(images: &Images) -> bool {
    images.keys().any(|file| is_form_logo(file))
}

#[cfg(test)]
mod tests {
    use honoken_styles::TicketStyle;

    use super::*;
    use crate::ids::Digest;

    fn image(file: &str, bytes: &str) -> Images {
        Images::from([(file.to_owned(), Digest::of(bytes.as_bytes()))])
    }

    #[test]
    fn the_logo_of_the_form_is_there_only_with_all_that_the_form_needs() {
        let own = image("personalizationLogo@2x.png", "own");
        let all = Parts {
            kind: PassKind::plain(TicketStyle::StoreCard),
            own: &own,
            has_nfc: true,
            nfc_left_out: Some(false),
            has_open_form: true,
        };
        let defaults = DefaultImages { pass_type: image("icon.png", "icon"), ..DefaultImages::default() };
        let shows = |parts: Parts<'_>, allows_nfc| shows_form(&parts.images(&defaults, allows_nfc));
        assert!(shows(all, true));
        assert!(shows(Parts { nfc_left_out: None, ..all }, true), "a pass from before there was a decision");
        assert!(!shows(all, false));
        assert!(!shows(Parts { has_nfc: false, ..all }, true));
        assert!(!shows(Parts { nfc_left_out: Some(true), ..all }, true));
        assert!(!shows(Parts { has_open_form: false, ..all }, true));
        assert!(!shows(Parts { own: &Images::new(), ..all }, true), "there is no logo");
    }

    #[test]
    fn the_logo_is_that_of_the_pass_or_else_the_types_and_comes_and_goes_alone() {
        let own = image("personalizationLogo.png", "own");
        let parts = Parts {
            kind: PassKind::plain(TicketStyle::Event),
            own: &own,
            has_nfc: true,
            nfc_left_out: Some(false),
            has_open_form: true,
        };
        let of_type = image("personalizationLogo@2x.png", "type");
        let defaults = DefaultImages { pass_type: of_type.clone(), ..DefaultImages::default() };
        assert_eq!(parts.images(&defaults, true), own);
        let without = Parts { own: &Images::new(), ..parts };
        assert_eq!(without.images(&defaults, true), of_type);

        let shown = image("icon.png", "icon");
        let with = parts.with_form_logo(&shown, &defaults, true);
        assert_eq!(with.len(), 2);
        let closed = Parts { has_open_form: false, ..parts };
        assert_eq!(closed.with_form_logo(&with, &defaults, true), shown);
    }
}

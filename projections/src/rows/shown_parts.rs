//! The images and the texts that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, Images};
use honoken_domain::localizations::{self, Localizations};
use honoken_domain::pass::PassKind;
use honoken_domain::served::Parts;
use honoken_styles::ImageSlot;

use crate::rows::columns::{invalid_value, pass_id, pass_kind};
use crate::rows::nfc::{NfcInFile, nfc_in_file};
use crate::rows::pass_type::PassTypeRow;

/// The images and texts that a pass shows, and the columns that decide which ones it would show today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownParts {
    /// The pass.
    pub id: PassId,
    /// The organisation that issued it.
    pub organization_id: OrganizationId,
    /// What it is drawn as.
    pub kind: PassKind,
    /// Whether it is retired, so that it can no longer change.
    pub retired: bool,
    /// Images of its own.
    pub assets: Images,
    /// The images that end up in it.
    pub images: Images,
    /// Texts of its own in other languages.
    pub own_localizations: Localizations,
    /// The texts in other languages that end up in it.
    pub localizations: Localizations,
    /// Whether `nfc` is in its file.
    pub nfc: NfcInFile,
    /// Whether it has a form that no person has filled in.
    pub has_open_form: bool,
}

/// Whether the images and texts of a pass are those that it would show today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It shows what it would show today.
    Current,
    /// It would show something else.
    Outdated,
    /// It would be left without an image that it needs, and keeps those that it has.
    Lacking {
        /// The empty slots, of which one is enough.
        one_of: &'static [ImageSlot],
        /// Whether it would show other texts.
        are_texts_outdated: bool,
    },
}

impl Freshness {
    /// Whether resolving the defaults again would change the pass.
    pub const fn is_outdated(self) -> bool {
        matches!(self, Self::Outdated | Self::Lacking { are_texts_outdated: true, .. })
    }
}

impl ShownParts {
    /// Compares what the file of the pass shows with what it would show today, with the present defaults of its type and such a certificate.
    pub fn freshness(&self, pass_type: &PassTypeRow) -> Freshness {
        match self.nfc {
            NfcInFile::Undecided | NfcInFile::Kept if !pass_type.allows_nfc => Freshness::Outdated,
            NfcInFile::LeftOut if pass_type.allows_nfc => Freshness::Outdated,
            NfcInFile::None | NfcInFile::Undecided | NfcInFile::Kept | NfcInFile::LeftOut => {
                self.freshness_of_defaults(pass_type)
            }
        }
    }

    /// The same for a pass that was appended just now. What an event from before a decision left undecided stays so until a certificate is
    /// installed.
    pub(crate) fn freshness_when_appended(&self, pass_type: &PassTypeRow) -> Freshness {
        match self.nfc {
            NfcInFile::Undecided => self.freshness_of_defaults(pass_type),
            NfcInFile::None | NfcInFile::Kept | NfcInFile::LeftOut => self.freshness(pass_type),
        }
    }

    fn freshness_of_defaults(&self, pass_type: &PassTypeRow) -> Freshness {
        let parts = Parts {
            kind: self.kind,
            own: &self.assets,
            has_nfc: self.nfc != NfcInFile::None,
            nfc_left_out: self.nfc.left_out(),
            has_open_form: self.has_open_form,
        };
        let images = parts.images(&pass_type.default_images, pass_type.allows_nfc);
        let texts = localizations::resolve(&self.own_localizations, &pass_type.default_localizations);
        let are_texts_outdated = texts != self.localizations;
        if images == self.images {
            return if are_texts_outdated { Freshness::Outdated } else { Freshness::Current };
        }
        match images::missing_slots(self.kind, &images) {
            Some(one_of) => Freshness::Lacking { one_of, are_texts_outdated },
            None => Freshness::Outdated,
        }
    }
}

/// Reads the columns of a pass and its content.
pub(crate) fn shown_parts(row: &Row) -> sqlx::Result<ShownParts> {
    Ok(ShownParts {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        kind: pass_kind(row)?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
        own_localizations: row.json("localizations")?,
        localizations: row.json("shown_localizations")?,
        nfc: nfc_in_file(row)?,
        has_open_form: row.get("has_open_form")?,
    })
}

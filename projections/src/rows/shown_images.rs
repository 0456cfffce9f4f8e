//! The images that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, DefaultImages, Images};
use honoken_domain::pass::PassKind;
use honoken_domain::served::Parts;
use honoken_styles::ImageSlot;

use crate::rows::columns::{invalid_value, pass_id, pass_kind};
use crate::rows::nfc::{NfcInFile, nfc_in_file};

/// The images that a pass shows, and the columns that decide which ones it would show today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownImages {
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
    /// Whether `nfc` is in its file.
    pub nfc: NfcInFile,
    /// Whether it has a form that no person has filled in.
    pub has_open_form: bool,
}

/// Whether the images of a pass are those that it would show today.
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
    },
}

impl ShownImages {
    /// Compares what the file of the pass shows with what it would show today, under these defaults and such a certificate.
    pub fn freshness(&self, defaults: &DefaultImages, allows_nfc: bool) -> Freshness {
        match self.nfc {
            NfcInFile::Undecided | NfcInFile::Kept if !allows_nfc => Freshness::Outdated,
            NfcInFile::LeftOut if allows_nfc => Freshness::Outdated,
            NfcInFile::None | NfcInFile::Undecided | NfcInFile::Kept | NfcInFile::LeftOut => {
                self.freshness_of_images(defaults, allows_nfc)
            }
        }
    }

    /// The same for a pass that was appended just now. What an event from before a decision left undecided stays so until a certificate is
    /// installed.
    pub(crate) fn freshness_when_appended(&self, defaults: &DefaultImages, allows_nfc: bool) -> Freshness {
        match self.nfc {
            NfcInFile::Undecided => self.freshness_of_images(defaults, allows_nfc),
            NfcInFile::None | NfcInFile::Kept | NfcInFile::LeftOut => self.freshness(defaults, allows_nfc),
        }
    }

    fn freshness_of_images(&self, defaults: &DefaultImages, allows_nfc: bool) -> Freshness {
        let parts = Parts {
            kind: self.kind,
            own: &self.assets,
            has_nfc: self.nfc != NfcInFile::None,
            nfc_left_out: self.nfc.left_out(),
            has_open_form: self.has_open_form,
        };
        compare(self.kind, &self.images, &parts.images(defaults, allows_nfc))
    }
}

fn compare(kind: PassKind, shown: &Images, resolved: &Images) -> Freshness {
    if resolved == shown {
        return Freshness::Current;
    }
    match images::missing_slots(kind, resolved) {
        Some(one_of) => Freshness::Lacking { one_of },
        None => Freshness::Outdated,
    }
}

/// Reads the columns of a pass and its content.
pub(crate) fn shown_images(row: &Row) -> sqlx::Result<ShownImages> {
    Ok(ShownImages {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        kind: pass_kind(row)?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
        nfc: nfc_in_file(row)?,
        has_open_form: row.get("has_open_form")?,
    })
}

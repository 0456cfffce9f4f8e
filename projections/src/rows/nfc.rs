//! The column that says whether `nfc` is in the file of a pass.

use honoken_database::statements::Row;
use honoken_domain::content::Content;
use honoken_domain::served;

/// What became of the `nfc` of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NfcInFile {
    /// Its content has none.
    None,
    /// It is in the file: the last event that says something about the content is from before this was decided.
    Undecided,
    /// It is in the file.
    Kept,
    /// It is left out of the file.
    LeftOut,
}

impl NfcInFile {
    const ALL: [Self; 4] = [Self::None, Self::Undecided, Self::Kept, Self::LeftOut];

    /// That of a content, and of the decision in the same event.
    pub(crate) fn of(content: &Content, left_out: Option<bool>) -> Self {
        match left_out {
            Some(left_out) => Self::decided(left_out),
            None if served::has_nfc(content) => Self::Undecided,
            None => Self::None,
        }
    }

    pub(crate) fn decided(left_out: bool) -> Self {
        if left_out { Self::LeftOut } else { Self::Kept }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Undecided => "undecided",
            Self::Kept => "kept",
            Self::LeftOut => "leftOut",
        }
    }

    /// The decision, as the pass knows it.
    pub fn left_out(self) -> Option<bool> {
        match self {
            Self::None | Self::Undecided => None,
            Self::Kept => Some(false),
            Self::LeftOut => Some(true),
        }
    }
}

/// Reads the column `nfc`.
pub(crate) fn nfc_in_file(row: &Row) -> sqlx::Result<NfcInFile> {
    let name: &str = row.get("nfc")?;
    let known = NfcInFile::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or_else(|| sqlx::Error::Decode(format!("unknown state of nfc {name:?}").into()))
}

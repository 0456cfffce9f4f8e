//! The texts of a pass in several languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Language;

/// The texts of a pass by language. A phone looks up every text of pass.json as a key in the texts of its language, and shows the key where
/// there is none.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
pub type Localizations = BTreeMap<Language, Localization>;

/// One language of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Localization {
    /// The texts that are shown, by the texts of pass.json in whose place they stand.
    pub strings: BTreeMap<String, String>,
}

//! Languages of a pass, as its folders name them: `de` of `de.lproj`.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a language.
const LONGEST: usize = 35;

/// A language, as the folder of its texts and images is named without `.lproj`: `en`, `pt-BR`, `zh-Hans`.
///
/// Two to eight letters, then any number of subtags of one to eight letters or digits behind `-` or `_` (the shape of RFC 5646). Whether a phone
/// knows the language is not checked: one that is unknown is never chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

/// The ending of the folder of a language.
const FOLDER: &str = ".lproj";

impl Language {
    /// Reads a language.
    ///
    /// # Errors
    /// [`UnknownLanguage`] says which names are accepted.
    pub fn parse(text: &str) -> Result<Self, UnknownLanguage> {
        let mut subtags = text.split(['-', '_']);
        let first = subtags.next().unwrap_or_default();
        let is_first = (2..=8).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if is_first && subtags.all(is_subtag) && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnknownLanguage { language: text.to_owned() })
        }
    }

    /// Reads the language of a folder such as `de.lproj`; none of another folder.
    pub fn of_folder(folder: &str) -> Option<Self> {
        Self::parse(folder.strip_suffix(FOLDER)?).ok()
    }

    /// The folder of its texts and images.
    pub fn folder(&self) -> String {
        format!("{self}{FOLDER}")
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Language {
    type Error = UnknownLanguage;

    fn try_from(text: String) -> Result<Self, UnknownLanguage> {
        Self::parse(&text)
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}

/// A name that no folder of a language has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a language is written like `de`, `pt-BR` or `zh-Hans`: letters and digits, with a hyphen between the parts"
)]
pub struct UnknownLanguage {
    /// The name that was sent.
    pub language: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_written_as_folders_name_them() {
        for text in ["de", "pt-BR", "zh-Hans", "zh-Hans-CN", "en_GB", "es-419", "Base", "English"] {
            let language = Language::parse(text).unwrap();
            assert_eq!(language.as_str(), text);
            assert_eq!(Language::of_folder(&language.folder()), Some(language.clone()));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = format!("en{}", "-abcdefgh".repeat(5));
        for text in [
            "",
            "d",
            "de-",
            "-de",
            "d1",
            "de/..",
            "..",
            "de.lproj",
            "de--AT",
            "de AT",
            "ä",
            "abcdefghi",
            &long,
        ] {
            assert!(Language::parse(text).is_err(), "{text}");
        }
        assert_eq!(Language::of_folder("de"), None);
        assert_eq!(Language::of_folder("../x.lproj"), None);
    }
}

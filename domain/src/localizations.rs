//! Which texts a pass has in which language: its own, else those of its pass type.
//!
//! The choice is made for each text: a pass that says one text otherwise keeps the others of its type. What is chosen is carried in the event.

use thiserror::Error;

pub use honoken_styles::{Language, Localization, Localizations};

use crate::content::MAX_CONTENT_BYTES;

/// The most languages of a pass, and of a pass type.
pub const MAX_LANGUAGES: usize = 50;

/// The most texts of one language.
pub const MAX_STRINGS: usize = 1_000;

/// Why texts are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LocalizationFault {
    /// There is none.
    #[error("`strings` must hold at least one text; to remove a language, delete it")]
    Empty,
    /// There are more than [`MAX_STRINGS`].
    #[error("a language has at most {MAX_STRINGS} texts")]
    TooMany,
    /// A key is empty: no text of a pass is.
    #[error(
        "a key of `strings` must not be empty: it is the text of pass.json in whose place the other stands"
    )]
    EmptyKey,
    /// U+0000 ends a text on a phone.
    #[error("texts must not hold the character U+0000")]
    Nul {
        /// The key of the text.
        key: String,
    },
}

/// Checks the texts of one language.
///
/// # Errors
/// The first [`LocalizationFault`].
pub fn check(localization: &Localization) -> Result<(), LocalizationFault> {
    let strings = &localization.strings;
    if strings.is_empty() {
        return Err(LocalizationFault::Empty);
    }
    if strings.len() > MAX_STRINGS {
        return Err(LocalizationFault::TooMany);
    }
    if strings.contains_key("") {
        return Err(LocalizationFault::EmptyKey);
    }
    match strings.iter().find(|(key, text)| key.contains('\0') || text.contains('\0')) {
        Some((key, _)) => Err(LocalizationFault::Nul { key: key.clone() }),
        None => Ok(()),
    }
}

/// Why the languages of a pass or a type are too many or too large together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooLarge {
    /// There are more than [`MAX_LANGUAGES`].
    #[error("a pass and a pass type have at most {MAX_LANGUAGES} languages")]
    Languages,
    /// Keys and texts have more bytes than a content may have.
    #[error("the texts of all languages together have more than {MAX_CONTENT_BYTES} bytes")]
    Bytes,
}

/// Checks the languages together.
///
/// # Errors
/// [`TooLarge`].
pub fn check_size(localizations: &Localizations) -> Result<(), TooLarge> {
    if localizations.len() > MAX_LANGUAGES {
        return Err(TooLarge::Languages);
    }
    let texts = localizations.values().flat_map(|localization| &localization.strings);
    let bytes: usize = texts.map(|(key, text)| key.len() + text.len()).sum();
    if bytes > MAX_CONTENT_BYTES { Err(TooLarge::Bytes) } else { Ok(()) }
}

/// The texts that end up in a pass: every text of its own, and those of its type beside them.
pub fn resolve(own: &Localizations, of_type: &Localizations) -> Localizations {
    let mut resolved = of_type.clone();
    for (language, localization) in own {
        let strings = &mut resolved.entry(language.clone()).or_default().strings;
        strings.extend(localization.strings.clone());
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn localizations(texts: &[(&str, &str, &str)]) -> Localizations {
        let mut localizations = Localizations::new();
        for (language, key, text) in texts {
            let language = Language::parse(language).unwrap();
            let strings = &mut localizations.entry(language).or_default().strings;
            strings.insert((*key).to_owned(), (*text).to_owned());
        }
        localizations
    }

    #[test]
    fn a_text_of_its_own_comes_before_that_of_the_type_and_leaves_the_others() {
        let of_type =
            localizations(&[("de", "Gate", "Tor"), ("de", "Seat", "Platz"), ("fr", "Gate", "Porte")]);
        let own = localizations(&[("de", "Gate", "Flugsteig"), ("it", "Gate", "Uscita")]);
        let expected = localizations(&[
            ("de", "Gate", "Flugsteig"),
            ("de", "Seat", "Platz"),
            ("fr", "Gate", "Porte"),
            ("it", "Gate", "Uscita"),
        ]);
        assert_eq!(resolve(&own, &of_type), expected);
        assert_eq!(resolve(&Localizations::new(), &Localizations::new()), Localizations::new());
    }

    #[test]
    fn texts_have_bounds() {
        let of = |pairs: &[(&str, &str)]| Localization {
            strings: pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
        };
        assert_eq!(check(&of(&[("Gate", "")])), Ok(()), "an empty text is shown as one");
        assert_eq!(check(&of(&[])), Err(LocalizationFault::Empty));
        assert_eq!(check(&of(&[("", "x")])), Err(LocalizationFault::EmptyKey));
        assert_eq!(check(&of(&[("A", "x\0")])), Err(LocalizationFault::Nul { key: "A".into() }));
        let many: Vec<String> = (0..=MAX_STRINGS).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (&**key, "x")).collect();
        assert_eq!(check(&of(&many)), Err(LocalizationFault::TooMany));

        let language = |number: usize| Language::parse(&format!("en-{number}")).unwrap();
        let languages = |count| (0..count).map(|number| (language(number), of(&[("A", "x")]))).collect();
        assert_eq!(check_size(&languages(MAX_LANGUAGES)), Ok(()));
        assert_eq!(check_size(&languages(MAX_LANGUAGES + 1)), Err(TooLarge::Languages));
        let long = "x".repeat(MAX_CONTENT_BYTES);
        assert_eq!(check_size(&localizations(&[("de", "A", &long)])), Err(TooLarge::Bytes));
    }
}

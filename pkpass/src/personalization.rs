//! The answer to a phone whose owner has filled in the form of a rewards programme: its token, signed.
//!
//! <https://developer.apple.com/documentation/walletpasses/personalize>

use std::fmt;

use openssl::error::ErrorStack;

use crate::{SigningIdentity, signature};

/// The file with the form.
pub(crate) const PERSONALIZATION: &str = "personalization.json";

/// Characters of the longest token.
const MOST_CHARACTERS: usize = 512;

/// The token that a phone sends with a filled-in form, and whose signature it expects.
///
/// It is 1 to 512 of the letters, digits and signs with which base64, base64url and UUIDs are written. A manifest begins with a brace, so a
/// token is never one: a signature over a manifest would be a pass that somebody else has put together.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalizationToken(String);

/// Text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a personalisation token must be 1 to {MOST_CHARACTERS} of A-Z a-z 0-9 + / = _ - .")]
pub struct NotAToken;

impl PersonalizationToken {
    /// Reads a token, as it came.
    ///
    /// # Errors
    /// [`NotAToken`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.".contains(&byte);
        let is_a_token = (1..=MOST_CHARACTERS).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_a_token { Ok(Self(text.to_owned())) } else { Err(NotAToken) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The detached signature over the text as it came, DER: it is never decoded. It takes a good part of a millisecond of a core.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn sign(&self, identity: &SigningIdentity) -> Result<Vec<u8>, ErrorStack> {
        signature::sign(self.0.as_bytes(), identity)
    }
}

impl fmt::Debug for PersonalizationToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PersonalizationToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_a_manifest() {
        for token in ["a", "QUJD+/==", "3f2a-_.9", &"x".repeat(512)] {
            assert_eq!(PersonalizationToken::parse(token).unwrap().as_str(), token);
        }
        for other in
            ["", "{}", "{\"a\":\"b\"}", "\u{feff}{}", " a", "a b", "a\n", "ä", "a\0", "a,b", &"x".repeat(513)]
        {
            assert!(PersonalizationToken::parse(other).is_err(), "{other:?}");
        }
        assert!(!format!("{:?}", PersonalizationToken::parse("secret").unwrap()).contains("secret"));
    }
}

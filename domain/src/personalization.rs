//! The form of a rewards programme that Wallet offers with a pass, and the enrolment of a person.
//!
//! <https://developer.apple.com/documentation/walletpasses/personalize>

use std::iter;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, PassId};
use crate::sealed::Sealed;

/// A part of a person's data that a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PersonalizationField {
    /// The name: in full, and in its parts.
    #[serde(rename = "PKPassPersonalizationFieldName")]
    Name,
    /// The postal code, and the country that it belongs to.
    #[serde(rename = "PKPassPersonalizationFieldPostalCode")]
    PostalCode,
    /// The address for e-mail.
    #[serde(rename = "PKPassPersonalizationFieldEmailAddress")]
    EmailAddress,
    /// The telephone number.
    #[serde(rename = "PKPassPersonalizationFieldPhoneNumber")]
    PhoneNumber,
}

impl PersonalizationField {
    /// All of them, in Apple's order.
    pub const ALL: [Self; 4] = [Self::Name, Self::PostalCode, Self::EmailAddress, Self::PhoneNumber];

    /// Apple's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "PKPassPersonalizationFieldName",
            Self::PostalCode => "PKPassPersonalizationFieldPostalCode",
            Self::EmailAddress => "PKPassPersonalizationFieldEmailAddress",
            Self::PhoneNumber => "PKPassPersonalizationFieldPhoneNumber",
        }
    }

    /// Reads Apple's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// The members of a person's data that a phone sends for it.
    pub const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Name => &["fullName", "givenName", "familyName"],
            Self::PostalCode => &["postalCode", "ISOCountryCode"],
            Self::EmailAddress => &["emailAddress"],
            Self::PhoneNumber => &["phoneNumber"],
        }
    }
}

/// The form: `personalization.json`, as it is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonalizationForm {
    /// What the person is asked for; at least one, none twice.
    pub required_personalization_fields: Vec<PersonalizationField>,
    /// The text under the logo.
    pub description: String,
    /// The text that the person agrees to; links are HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_and_conditions: Option<String>,
}

impl PersonalizationForm {
    /// The texts that the person reads.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        iter::once(&*self.description).chain(self.terms_and_conditions.as_deref())
    }
}

/// A person who has filled in the form of a pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// SHA-256 of the token that the phone sent: the same token again gets the same answer.
    pub token: Digest,
    /// The answer that the phone got: the signature over the token.
    pub signature: TokenSignature,
    /// The person's data, sealed for [`Enrolment::owner`] under a key of the pass alone, which is not in the event log.
    pub person: Sealed,
}

impl Enrolment {
    /// Whose the sealed data is: of this pass and of this enrolment, so that it opens nowhere else.
    pub fn owner(pass: &PassId, token: &Digest) -> String {
        format!("person/{pass}/{token}")
    }
}

/// A detached signature over a personalisation token: DER, in JSON as base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenSignature(Vec<u8>);

/// Text that is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature must be base64")]
pub struct NotBase64;

impl TokenSignature {
    /// A signature of these bytes.
    pub fn new(der: Vec<u8>) -> Self {
        Self(der)
    }

    /// Its DER.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for TokenSignature {
    type Error = NotBase64;

    fn try_from(text: String) -> Result<Self, NotBase64> {
        STANDARD.decode(text).map(Self).map_err(|_| NotBase64)
    }
}

impl From<TokenSignature> for String {
    fn from(signature: TokenSignature) -> Self {
        STANDARD.encode(signature.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_stored_under_apples_name() {
        for field in PersonalizationField::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
            assert_eq!(PersonalizationField::parse(field.as_str()), Some(field));
        }
        assert_eq!(PersonalizationField::parse("PKPassPersonalizationFieldShoeSize"), None);
    }

    #[test]
    fn a_signature_is_stored_as_base64_and_read_back() {
        let signature = TokenSignature::new(vec![0x30, 0xff, 0x00]);
        let stored = serde_json::to_value(&signature).unwrap();
        assert_eq!(stored, "MP8A");
        assert_eq!(serde_json::from_value::<TokenSignature>(stored).unwrap(), signature);
        assert!(serde_json::from_str::<TokenSignature>("\"*\"").is_err());
    }
}

//! Names of things: each is checked once, by `parse`, and trusted from there on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that is not acceptable: which one, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {rule}")]
pub struct InvalidId {
    /// The field, spelled as callers spell it.
    pub name: &'static str,
    /// What an acceptable value looks like.
    pub rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $name:literal, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks and wraps a value.
            ///
            /// # Errors
            /// [`InvalidId`] names the field and the rule it breaks.
            pub fn parse(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(&value) { Ok(Self(value)) } else { Err(InvalidId { name: $name, rule: $rule }) }
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::parse(value)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    };
}

macro_rules! shown {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), self.0)
            }
        }
    )*};
}

macro_rules! redacted {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "([redacted])"))
            }
        }
    )*};
}

id!(
    /// `passTypeIdentifier`: `pass.` and a reverse domain name, as registered with Apple.
    PassTypeIdentifier,
    "passTypeIdentifier",
    "must be `pass.` followed by letters, digits, `-` and `.`, 128 characters at most, such as `pass.com.example.ticket`",
    |value| value.len() <= 128
        && value.strip_prefix("pass.").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        })
);

id!(
    /// `serialNumber`: unique within its pass type, never changed. 1 to 256 characters, none of them a control character.
    SerialNumber,
    "serialNumber",
    "must have 1 to 256 characters and no control characters",
    |value| (1..=256).contains(&value.chars().count()) && !value.chars().any(char::is_control)
);

id!(
    /// `deviceLibraryIdentifier`: chosen by the phone, opaque, and the only secret of its list call: never logged whole.
    DeviceLibraryIdentifier,
    "deviceLibraryIdentifier",
    "must have 1 to 256 characters and no control characters",
    |value| (1..=256).contains(&value.chars().count()) && !value.chars().any(char::is_control)
);

id!(
    /// `pushToken`: where APNs reaches the phone. Opaque: whoever puts it into a URL encodes it.
    PushToken,
    "pushToken",
    "must have 1 to 1024 characters and no control characters",
    |value| (1..=1024).contains(&value.chars().count()) && !value.chars().any(char::is_control)
);

id!(
    /// `authenticationToken`: what a phone shows to act on one pass. Apple asks for 16 characters or more.
    AuthenticationToken,
    "authenticationToken",
    "must be 16 to 256 visible ASCII characters",
    |value| (16..=256).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
);

id!(
    /// The name an organisation has in this service.
    OrganizationId,
    "organizationId",
    "must be 1 to 64 letters, digits, `-` and `_`",
    |value| (1..=64).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);

id!(
    /// The name of a background job, made by this service.
    JobId,
    "job id",
    "must be 1 to 64 letters, digits and `-`",
    |value| (1..=64).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);

id!(
    /// `certRef`: the name under which operators install a certificate, renew it and revoke it. Without another one it is the pass type
    /// identifier.
    CertRef,
    "certRef",
    "must be 1 to 128 letters, digits, `-`, `_` and `.`, and begin with a letter or a digit",
    |value| value.len() <= 128
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
);

id!(
    /// `keyRef`: the name under which operators install an APNs key. Without another one it is Apple's id of the key.
    KeyRef,
    "keyRef",
    "must be 1 to 128 letters, digits, `-`, `_` and `.`, and begin with a letter or a digit",
    |value| value.len() <= 128
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
);

id!(
    /// `teamIdentifier`: Apple's name for a developer team, the `OU` of its certificates.
    TeamIdentifier,
    "teamIdentifier",
    "must be 10 capital letters and digits",
    |value| value.len() == 10 && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
);

id!(
    /// `keyIdentifier`: Apple's name for a key of a developer team, the `kid` of what is signed with it.
    KeyIdentifier,
    "keyIdentifier",
    "must be 10 capital letters and digits",
    |value| value.len() == 10 && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
);

id!(
    /// SHA-256 of some bytes: 64 lowercase hex digits.
    Digest,
    "digest",
    "must be the SHA-256 of uploaded bytes as 64 lowercase hex digits",
    is_lower_hex_64
);

id!(
    /// Name of one state of a pass, 64 lowercase hex digits; see [`crate::etag`].
    ETag,
    "etag",
    "must be 64 lowercase hex digits",
    is_lower_hex_64
);

shown!(
    PassTypeIdentifier,
    SerialNumber,
    OrganizationId,
    JobId,
    CertRef,
    KeyRef,
    TeamIdentifier,
    KeyIdentifier,
    Digest,
    ETag
);
redacted!(DeviceLibraryIdentifier, PushToken, AuthenticationToken);

fn is_lower_hex_64(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl CertRef {
    /// The name of the certificate of a pass type for which no other name was chosen.
    pub fn of_pass_type(pass_type_identifier: &PassTypeIdentifier) -> Self {
        Self(pass_type_identifier.0.clone())
    }
}

impl KeyRef {
    /// The name of a key for which no other name was chosen.
    pub fn of_key(key_identifier: &KeyIdentifier) -> Self {
        Self(key_identifier.0.clone())
    }
}

impl DeviceLibraryIdentifier {
    /// The first six characters, for logs: enough to follow one phone, too few to ask in its name.
    pub fn shortened(&self) -> String {
        let head: String = self.0.chars().take(6).collect();
        format!("{head}…")
    }
}

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::{Digest as _, Sha256};
        Self(hex::encode(Sha256::digest(bytes)))
    }
}

/// The identity of a pass: its type and its serial number. Stored as its aggregate id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PassId {
    /// The pass type.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The serial number within it.
    pub serial_number: SerialNumber,
}

impl PassId {
    /// Reads an aggregate id, `{passTypeIdentifier}/{serialNumber}`.
    ///
    /// # Errors
    /// [`InvalidId`] when there is no `/` or a part is not acceptable. A pass type identifier has no `/`, so the first one divides.
    pub fn parse(aggregate_id: &str) -> Result<Self, InvalidId> {
        let (pass_type_identifier, serial_number) = split(aggregate_id)?;
        Ok(Self {
            pass_type_identifier: PassTypeIdentifier::parse(pass_type_identifier)?,
            serial_number: SerialNumber::parse(serial_number)?,
        })
    }
}

impl TryFrom<String> for PassId {
    type Error = InvalidId;

    fn try_from(aggregate_id: String) -> Result<Self, InvalidId> {
        Self::parse(&aggregate_id)
    }
}

impl From<PassId> for String {
    fn from(id: PassId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pass_type_identifier, self.serial_number)
    }
}

/// The identity of a registration: one device with one pass type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId {
    /// The pass type.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The device.
    pub device_library_identifier: DeviceLibraryIdentifier,
}

impl RegistrationId {
    /// Reads an aggregate id, `{passTypeIdentifier}/{deviceLibraryIdentifier}`.
    ///
    /// # Errors
    /// [`InvalidId`] when there is no `/` or a part is not acceptable.
    pub fn parse(aggregate_id: &str) -> Result<Self, InvalidId> {
        let (pass_type_identifier, device) = split(aggregate_id)?;
        Ok(Self {
            pass_type_identifier: PassTypeIdentifier::parse(pass_type_identifier)?,
            device_library_identifier: DeviceLibraryIdentifier::parse(device)?,
        })
    }

    /// The text under which the log keeps this registration. Not `Display`: it holds a secret and must not slip into a log line.
    pub fn aggregate_id(&self) -> String {
        format!("{}/{}", self.pass_type_identifier, self.device_library_identifier.as_str())
    }

    /// The same with the device shortened, for logs and operators.
    pub fn shortened(&self) -> String {
        format!("{}/{}", self.pass_type_identifier, self.device_library_identifier.shortened())
    }
}

/// The identity of an APNs key: a key of a team. Stored as its aggregate id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApnsKeyId {
    /// The team.
    pub team_identifier: TeamIdentifier,
    /// The key among those of the team.
    pub key_identifier: KeyIdentifier,
}

impl ApnsKeyId {
    /// Reads an aggregate id, `{teamIdentifier}/{keyIdentifier}`.
    ///
    /// # Errors
    /// [`InvalidId`] when there is no `/` or a part is not acceptable.
    pub fn parse(aggregate_id: &str) -> Result<Self, InvalidId> {
        let (team_identifier, key_identifier) = split(aggregate_id)?;
        Ok(Self {
            team_identifier: TeamIdentifier::parse(team_identifier)?,
            key_identifier: KeyIdentifier::parse(key_identifier)?,
        })
    }
}

impl fmt::Display for ApnsKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.team_identifier, self.key_identifier)
    }
}

/// Names an image that an organisation has uploaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadedImageId {
    /// Who has uploaded it.
    pub organization_id: OrganizationId,
    /// The digest of its bytes.
    pub digest: Digest,
}

impl fmt::Display for UploadedImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization_id, self.digest)
    }
}

fn split(aggregate_id: &str) -> Result<(&str, &str), InvalidId> {
    aggregate_id
        .split_once('/')
        .ok_or(InvalidId { name: "aggregate id", rule: "must have a `/` between its two parts" })
}

/// A moment in whole seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_type_identifier_is_pass_and_a_reverse_domain_name() {
        assert!(PassTypeIdentifier::parse("pass.com.example.ticket").is_ok());
        for wrong in ["", "pass.", "com.example", "pass.a b", "pass.ä", "pass.a/b"] {
            assert!(PassTypeIdentifier::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_pass_type_identifier_is_a_name_for_its_certificate() {
        let longest = format!("pass.{}", "a".repeat(123));
        for name in ["pass.com.example.ticket", "pass.-", longest.as_str()] {
            let of_type = CertRef::of_pass_type(&PassTypeIdentifier::parse(name).unwrap());
            assert_eq!(CertRef::parse(name), Ok(of_type));
        }
        assert!(CertRef::parse("club_2026").is_ok());
        for wrong in ["", ".", "..", "-a", "a b", "a/b", "ä", &"x".repeat(129)] {
            assert!(CertRef::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_serial_number_is_any_text_without_control_characters() {
        for right in ["1", "Straße 7/ü %20", "座席", &"x".repeat(256)] {
            assert!(SerialNumber::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "a\nb", "a\u{0}", "\u{85}", &"x".repeat(257)] {
            assert!(SerialNumber::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_length_of_a_serial_number_is_counted_in_characters() {
        assert!(SerialNumber::parse("座".repeat(256)).is_ok());
        assert!(SerialNumber::parse("座".repeat(257)).is_err());
    }

    #[test]
    fn secrets_are_not_shown_by_debug() {
        let token = AuthenticationToken::parse("0123456789abcdef").unwrap();
        let push = PushToken::parse("abc").unwrap();
        let device = DeviceLibraryIdentifier::parse("0123456789").unwrap();
        let shown = format!("{token:?} {push:?} {device:?}");
        assert_eq!(
            shown,
            "AuthenticationToken([redacted]) PushToken([redacted]) DeviceLibraryIdentifier([redacted])"
        );
        assert_eq!(device.shortened(), "012345…");
    }

    #[test]
    fn a_pass_id_survives_the_way_through_its_text_whatever_the_serial_holds() {
        let id = PassId {
            pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
            serial_number: SerialNumber::parse("a/b /c").unwrap(),
        };
        assert_eq!(PassId::parse(&id.to_string()), Ok(id));
    }

    #[test]
    fn an_apns_key_is_known_by_its_team_and_its_own_name() {
        let id = ApnsKeyId::parse("ABCDE12345/KEY1234567").unwrap();
        assert_eq!(id.to_string(), "ABCDE12345/KEY1234567");
        for wrong in ["ABCDE12345", "ABCDE12345/", "ABCDE12345/key1234567", "ABCDE1234/KEY1234567"] {
            assert!(ApnsKeyId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stored_name_that_breaks_its_rule_does_not_decode() {
        assert!(serde_json::from_str::<SerialNumber>("\"\"").is_err());
        assert!(serde_json::from_str::<ETag>("\"ABC\"").is_err());
    }
}

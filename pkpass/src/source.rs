//! The parts of a pass, before it is a file.

use std::fmt;

use serde_json::{Map, Value};

use crate::{Localizations, PassKind};

/// Everything that ends up in pass.json: the facts the server owns and the content the integrator owns.
///
/// The content has been accepted by [`lint`](crate::lint()) before; [`pass_json`](crate::pass_json()) copes with any
/// content, but promises a working pass only for that.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
#[derive(Clone, Copy)]
pub struct PassSource<'a> {
    /// Written as `passTypeIdentifier`; equals the UID of the signing certificate.
    pub pass_type_identifier: &'a str,
    /// Written as `serialNumber`; unique within the pass type, never changes.
    pub serial_number: &'a str,
    /// Written as `teamIdentifier`; equals the OU of the signing certificate.
    pub team_identifier: &'a str,
    /// Written as `organizationName` when the content does not name one.
    pub organization_name: &'a str,
    /// Written as `webServiceURL`: where the phone asks for updates, without the trailing `/v1`. Empty for a pass that is never updated, which
    /// has no token either.
    pub web_service_url: &'a str,
    /// Written as `authenticationToken`; at least 16 characters. A secret: `Debug` does not print it.
    pub authentication_token: &'a str,
    /// Decides the style dictionary and the images, and whether the pass asks for the poster look (iOS 18 and later).
    pub kind: PassKind,
    /// Written as `voided: true`, or not at all.
    pub voided: bool,
    /// The integrator's part of pass.json.
    pub content: &'a Map<String, Value>,
    /// Written as `pass.strings` of each language.
    pub localizations: &'a Localizations,
    /// Whether `nfc` is left out of it: the certificate may not sign passes with `nfc`, and no phone would open the pass.
    pub leaves_out_nfc: bool,
    /// Written as `personalization.json`, if its logo is among the images: the form of a rewards programme.
    pub personalization: Option<&'a Map<String, Value>>,
}

impl fmt::Debug for PassSource<'_> {
    /// Identifiers only: the token is a secret and the content is personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PassSource")
            .field("pass_type_identifier", &self.pass_type_identifier)
            .field("serial_number", &self.serial_number)
            .field("kind", &self.kind)
            .field("voided", &self.voided)
            .field("authentication_token", &"[redacted]")
            .field("content", &"[redacted]")
            .finish_non_exhaustive()
    }
}

//! Apple Wallet passes as files: pass.json, manifest, signature, archive, and a reader that verifies them.
//!
//! Bytes in, bytes out. Nothing here reads a clock, a file, the environment or the network; the one thing that is
//! not a function of its arguments is the signature, into which OpenSSL writes the signing time.
//!
//! # A short tour, in reading order
//!
//! - [`PassKind`] says which kind of pass it is, [`PassSource`] is everything that ends up in pass.json, and
//!   [`pass_json()`] turns the one into the other: it writes the identity, maps the loose fields of a simple event
//!   ticket, and copies keys that it does not know.
//! - [`lint()`] reads the content an integrator sent and reports, with a JSON pointer each, the parts that a phone would refuse
//!   ([`Severity::Error`]) or quietly ignore ([`Severity::Warning`]).
//! - [`image`] measures images by the names and sizes of `honoken-styles`, and reads PNG files far enough to trust them.
//! - [`SigningIdentity`] is a certificate, its private key and the intermediate that issued it, parsed once; [`Credential`] reads the files
//!   that Apple and Keychain hand out into one.
//! - [`build()`] is three small functions in a row: manifest, signature, archive. [`build_unsigned()`] leaves the signature out.
//! - [`bundle()`] puts several of these files into one `.pkpasses`.
//! - [`reader`] takes a `.pkpass` apart again, as suspicious of it as a phone is.
//!
//! It does not remember anything, decide who may have a pass, or speak HTTP.
//!
//! ```
//! use honoken_pkpass::{PassKind, PassSource, TicketStyle, lint, pass_json};
//!
//! let content = serde_json::json!({ "eventName": "Night at the Museum", "eventDateISO": "2027-03-01T19:30+01:00" });
//! let content = content.as_object().expect("an object");
//! assert!(lint(PassKind::plain(TicketStyle::Event), content).iter().all(|finding| !finding.is_error()));
//!
//! let source = PassSource {
//!     pass_type_identifier: "pass.com.example.museum",
//!     serial_number: "A-1",
//!     team_identifier: "TEAM123456",
//!     organization_name: "The Museum",
//!     web_service_url: "https://passes.example.com",
//!     authentication_token: "0123456789abcdef",
//!     kind: PassKind::plain(TicketStyle::Event),
//!     voided: false,
//!     content,
//!     localizations: &Default::default(),
//!     leaves_out_nfc: false,
//!     personalization: None,
//! };
//! let bytes = pass_json(&source, &[]);
//! let pass: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
//! assert_eq!(pass["eventTicket"]["primaryFields"][0]["value"], "Night at the Museum");
//! assert_eq!(pass["description"], "Night at the Museum");
//! ```

mod apple;
mod archive;
mod build;
mod bundle;
mod canonical;
mod certificate;
mod color;
mod credential;
mod date;
mod finding;
mod given_images;
mod given_localizations;
mod identity;
pub mod image;
mod lint;
mod manifest;
mod pass_json;
mod personalization;
mod pointer;
pub mod reader;
mod required_images;
mod signature;
mod source;
mod strings_file;

#[cfg(test)]
mod tests;

pub use apple::is_issued_by_apple;
pub use build::{BUILDER_VERSION, BuildError, build, build_unsigned};
pub use bundle::{MAX_BUNDLE_BYTES, MAX_BUNDLE_PASSES, bundle};
pub use credential::{Credential, CredentialError, CredentialFiles};
pub use date::{DateError, ZonedDate};
pub use finding::{Finding, MAX_FINDINGS, Severity};
pub use given_images::{lint_images, lint_size};
pub use given_localizations::lint_localizations;
pub use honoken_styles::{Language, Localization, Localizations, PassKind, TicketStyle};
pub use identity::{IdentityError, SigningIdentity};
pub use lint::lint;
pub use pass_json::pass_json;
pub use personalization::{NotAToken, PersonalizationToken};
pub use required_images::missing_images;
pub use source::PassSource;

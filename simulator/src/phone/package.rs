//! A pass as Wallet takes it in: unpacked, compared with its manifest, its identity read.

use std::fmt;

use ::http::HeaderValue;
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::archive::{self, Files};
use super::invalid::InvalidPass;
use super::manifest;
use super::web_service::WebService;

const PASS_JSON: &str = "pass.json";
const ICONS: [&str; 3] = ["icon.png", "icon@2x.png", "icon@3x.png"];
const MIN_TOKEN_CHARACTERS: usize = 16;

/// A `.pkpass` that passed the checks Wallet makes before it accepts one, with one exception: the signature must be present, but its content is
/// not looked at.
#[derive(Clone)]
pub struct Package {
    pub(super) serial_number: String,
    pub(super) pass_type_identifier: String,
    pub(crate) updates: Option<UpdateSource>,
    pass_json: Value,
    manifest_hash: String,
    bytes: Bytes,
}

/// Where a pass asks for updates, and the credential it shows there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UpdateSource {
    pub(crate) web_service: WebService,
    pub(crate) authorization: HeaderValue,
}

impl Package {
    /// Opens a `.pkpass`. Arbitrary bytes are fine: they give an error, within bounds of memory.
    pub fn open(bytes: impl Into<Bytes>) -> Result<Self, InvalidPass> {
        let bytes = bytes.into();
        let files = archive::unpack(&bytes)?;
        let manifest_hash = manifest::check(&files)?;
        let pass_json = read_pass_json(&files)?;
        if !ICONS.iter().any(|icon| files.contains_key(*icon)) {
            return Err(InvalidPass::MissingFile(ICONS[0].to_owned()));
        }
        Self::identified(pass_json, manifest_hash, bytes)
    }

    fn identified(pass_json: Value, manifest_hash: String, bytes: Bytes) -> Result<Self, InvalidPass> {
        if pass_json["formatVersion"] != 1 {
            return Err(InvalidPass::Field { key: "formatVersion", expected: "the number 1" });
        }
        for key in ["teamIdentifier", "organizationName", "description"] {
            text(&pass_json, key)?;
        }
        let pass_type_identifier = text(&pass_json, "passTypeIdentifier")?.to_owned();
        let serial_number = text(&pass_json, "serialNumber")?.to_owned();
        let updates = UpdateSource::read(&pass_json, &pass_type_identifier)?;
        Ok(Self { serial_number, pass_type_identifier, updates, pass_json, manifest_hash, bytes })
    }

    /// The serial number of the pass.
    pub fn serial_number(&self) -> &str {
        &self.serial_number
    }

    /// The pass type identifier of the pass.
    pub fn pass_type_identifier(&self) -> &str {
        &self.pass_type_identifier
    }

    /// The content of `pass.json`.
    pub fn pass_json(&self) -> &Value {
        &self.pass_json
    }

    /// Where the pass is updated from; `None` for a pass that never is.
    pub fn web_service(&self) -> Option<&WebService> {
        self.updates.as_ref().map(|updates| &updates.web_service)
    }

    /// The token that its holder shows there. Every holder of it may fetch the pass.
    pub fn authentication_token(&self) -> Option<&str> {
        self.updates.as_ref().and_then(|_| self.pass_json["authenticationToken"].as_str())
    }

    /// SHA-1 of `manifest.json` in hex. Two packages with the same one are the same pass to Wallet, even when their
    /// signatures differ.
    pub fn manifest_hash(&self) -> &str {
        &self.manifest_hash
    }

    /// The archive as received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl UpdateSource {
    fn read(pass_json: &Value, pass_type_identifier: &str) -> Result<Option<Self>, InvalidPass> {
        if pass_json["webServiceURL"].is_null() && pass_json["authenticationToken"].is_null() {
            return Ok(None);
        }
        let url = text(pass_json, "webServiceURL")?;
        let is_absolute = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_absolute {
            return Err(InvalidPass::Field {
                key: "webServiceURL",
                expected: "an absolute http or https URL",
            });
        }
        let token = text(pass_json, "authenticationToken")?;
        let authorization = authorization(token)?;
        let web_service = WebService::new(url, pass_type_identifier);
        Ok(Some(Self { web_service, authorization }))
    }
}

fn read_pass_json(files: &Files) -> Result<Value, InvalidPass> {
    let bytes = files.get(PASS_JSON).ok_or(InvalidPass::MissingFile(PASS_JSON.to_owned()))?;
    serde_json::from_slice(bytes)
        .map_err(|error| InvalidPass::NotJson { file: PASS_JSON, reason: error.to_string() })
}

fn text<'json>(pass_json: &'json Value, key: &'static str) -> Result<&'json str, InvalidPass> {
    let text = pass_json[key].as_str().filter(|text| !text.is_empty());
    text.ok_or(InvalidPass::Field { key, expected: "a string that is not empty" })
}

fn authorization(token: &str) -> Result<HeaderValue, InvalidPass> {
    let invalid =
        InvalidPass::Field { key: "authenticationToken", expected: "16 or more printable characters" };
    if token.chars().count() < MIN_TOKEN_CHARACTERS {
        return Err(invalid);
    }
    let mut authorization = HeaderValue::try_from(format!("ApplePass {token}")).map_err(|_| invalid)?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

// The pass carries its own authentication token, so it is named and not shown.
impl fmt::Debug for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Package")
            .field("pass_type_identifier", &self.pass_type_identifier)
            .field("serial_number", &self.serial_number)
            .field("manifest_hash", &self.manifest_hash)
            .finish_non_exhaustive()
    }
}

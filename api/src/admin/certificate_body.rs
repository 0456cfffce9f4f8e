//! A certificate as an operator sends it: the bundle of the earlier service, or a `.p12`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_domain::ids::{OrganizationId, TeamIdentifier};
use honoken_domain::sealed::SealingKeys;
use honoken_pkpass::{CredentialError, CredentialFiles, IdentityError};
use honoken_projections::certificates::NamedCertificate;
use honoken_service::install::{Enhanced, Takeover};
use honoken_service::operations::credentials::{self, Given};
use serde_json::Value;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::extractors::json_body::Fields;
use crate::openapi::{examples, schemas};

/// A certificate with its key: `bundleData`, or `p12` with its `passphrase`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CertificateOrder, example = examples::certificate_order)]
#[expect(dead_code, reason = "the schema of what `CertificateBody` reads")]
pub struct Documented {
    bundle_data: Option<DocumentedBundle>,
    /// Base64 of a .p12 file with the certificate, its key and the intermediate.
    p12: Option<String>,
    /// That of the .p12 file.
    passphrase: Option<String>,
    /// Whether Apple allows it to sign passes with `nfc`. If it is missing, the name of the certificate decides.
    is_enhanced: Option<bool>,
    /// The developer team: the `OU` of the certificate. Required with `bundleData`.
    #[schema(schema_with = schemas::optional_team_identifier)]
    team_id: Option<String>,
    /// What it is for, in your words.
    #[schema(max_length = 256)]
    description: Option<String>,
    /// The organisation that is to own the pass type of the certificate.
    #[schema(schema_with = schemas::optional_organization_id)]
    organization: Option<String>,
    /// Install it although it ends earlier than the one in use, or although its pass type moves to another team or organisation.
    force: Option<bool>,
}

/// Certificate, key and intermediate: PEM, or Base64 of DER.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CertificateBundle)]
#[expect(dead_code, reason = "the schema of what `CertificateBody` reads")]
struct DocumentedBundle {
    /// Apple's intermediate that issued the certificate; it may be one of several.
    wwdr: String,
    /// The certificate.
    signer_cert: String,
    /// Its private key; without it that of `POST …/csr`.
    signer_key: Option<String>,
    /// That of the key; an empty one means none.
    signer_key_passphrase: Option<String>,
}

/// A certificate as it was sent.
pub struct CertificateBody {
    files: Files,
    is_enhanced: Option<bool>,
    /// The team that is expected in it.
    pub team_id: Option<TeamIdentifier>,
    /// What it is for.
    pub description: Option<String>,
    /// The organisation that is to own its pass type.
    pub organization: Option<OrganizationId>,
    force: bool,
}

/// The files of a certificate, PEM or Base64 of DER.
enum Files {
    Bundle(Bundle),
    Pkcs12 { file: Zeroizing<Vec<u8>>, passphrase: Option<Zeroizing<String>> },
}

struct Bundle {
    wwdr: Vec<u8>,
    certificate: Vec<u8>,
    key: Option<Zeroizing<Vec<u8>>>,
    passphrase: Option<Zeroizing<String>>,
}

impl CertificateBody {
    /// Reads the body.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn read(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::of(body)?;
        let files = files(&mut fields);
        let is_enhanced = fields.optional_bool("isEnhanced");
        let team_id = match &files {
            Some(Files::Pkcs12 { .. }) => fields.optional("teamId"),
            Some(Files::Bundle(_)) | None => fields.required("teamId"),
        };
        let team_id = fields.parse_id("teamId", team_id, TeamIdentifier::parse);
        let description = fields.optional("description");
        let description = fields.parse("description", description, described);
        let organization = fields.optional("organization");
        let organization = fields.parse_id("organization", organization, OrganizationId::parse);
        let force = fields.optional_bool("force").unwrap_or_default();
        fields.finish()?;
        let files = files.ok_or_else(|| ApiError::fault("required", "/bundleData", NO_FILES))?;
        Ok(Self { files, is_enhanced, team_id, description, organization, force })
    }

    /// What the operator says about `nfc`.
    pub fn enhanced(&self) -> Enhanced {
        match self.is_enhanced {
            None => Enhanced::ByName,
            Some(true) => Enhanced::Said,
            Some(false) => Enhanced::Denied,
        }
    }

    /// Whether the certificate takes the place of any other.
    pub fn takeover(&self) -> Takeover {
        if self.force { Takeover::Forced } else { Takeover::OfSuccessor }
    }

    /// Checks that certificate, key and intermediate belong together; a key that was left out is the one that was made here.
    ///
    /// # Errors
    /// 422 that names the file.
    pub fn credential(
        &self,
        named: Option<&NamedCertificate>,
        keys: &SealingKeys,
    ) -> Result<Given, ApiError> {
        match &self.files {
            Files::Bundle(Bundle { wwdr, certificate, key, passphrase }) => {
                let files = CredentialFiles {
                    certificate,
                    private_key: key.as_ref().map(|key| key.as_slice()),
                    password: passphrase.as_ref().map(|passphrase| passphrase.as_str()),
                    intermediate: Some(wwdr),
                };
                let given = if key.is_some() {
                    credentials::with_own_key(files)
                } else {
                    credentials::with_kept_key(files, named, keys)
                };
                given.map_err(|fault| refused(&fault, in_bundle(&fault)))
            }
            Files::Pkcs12 { file, passphrase } => {
                let files = CredentialFiles {
                    certificate: file,
                    private_key: None,
                    password: passphrase.as_ref().map(|passphrase| passphrase.as_str()),
                    intermediate: None,
                };
                credentials::with_own_key(files).map_err(|fault| {
                    let is_password = matches!(
                        fault,
                        CredentialError::PasswordMissing { .. } | CredentialError::WrongPassword { .. }
                    );
                    refused(&fault, if is_password { "/passphrase" } else { "/p12" })
                })
            }
        }
    }
}

const NO_FILES: &str = "send the certificate as `bundleData`, or as `p12`";

fn files(fields: &mut Fields) -> Option<Files> {
    let bundle = fields.optional_object("bundleData", |inner| {
        let wwdr = required_file(inner, "wwdr");
        let certificate = required_file(inner, "signerCert");
        let key = inner.optional("signerKey");
        let key = inner.parse("signerKey", key, file);
        let passphrase = passphrase(inner, "signerKeyPassphrase");
        Some(Files::Bundle(Bundle {
            wwdr: wwdr?,
            certificate: certificate?,
            key: key.map(Zeroizing::new),
            passphrase,
        }))
    });
    let given_twice = "send the certificate as `bundleData` or as `p12`, not as both";
    let pkcs12 = fields.optional("p12");
    match (bundle, pkcs12) {
        (Some(_), Some(_)) => {
            fields.fault("invalid", "/p12", given_twice);
            None
        }
        (Some(bundle), None) => bundle,
        (None, Some(value)) => {
            let decode = |text: String| {
                STANDARD.decode(without_spaces(&text)).map_err(|_| "`p12` must be Base64 of a .p12 file")
            };
            let read = fields.parse("p12", Some(value), decode);
            let passphrase = passphrase(fields, "passphrase");
            read.map(|file| Files::Pkcs12 { file: Zeroizing::new(file), passphrase })
        }
        (None, None) => None,
    }
}

fn required_file(fields: &mut Fields, name: &'static str) -> Option<Vec<u8>> {
    let value = fields.required(name);
    fields.parse(name, value, file)
}

/// An empty passphrase is none.
fn passphrase(fields: &mut Fields, name: &'static str) -> Option<Zeroizing<String>> {
    let value = fields.optional(name);
    let text = fields.parse(name, value, Ok::<_, &str>)?;
    Some(Zeroizing::new(text)).filter(|text| !text.is_empty())
}

/// PEM as it is, or Base64 of PEM or DER.
fn file(text: String) -> Result<Vec<u8>, &'static str> {
    if text.contains("-----BEGIN") {
        return Ok(text.into_bytes());
    }
    let text = Zeroizing::new(text);
    let decoded = STANDARD.decode(without_spaces(&text));
    decoded
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or("this must be PEM, which begins with `-----BEGIN`, or Base64 of DER")
}

fn without_spaces(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().filter(|character| !character.is_ascii_whitespace()).collect())
}

/// A text for people.
pub(super) fn described(text: String) -> Result<String, &'static str> {
    let is_one = text.chars().count() <= 256 && !text.chars().any(char::is_control);
    if is_one {
        Ok(text)
    } else {
        Err("a description must have 256 characters at the most and no control characters")
    }
}

fn refused(fault: &CredentialError, pointer: &str) -> ApiError {
    ApiError::fault("unusable_certificate", pointer, fault.to_string())
}

fn in_bundle(fault: &CredentialError) -> &'static str {
    match fault {
        CredentialError::KeyMissing
        | CredentialError::KeyUnreadable
        | CredentialError::Identity(IdentityError::KeyMismatch) => "/bundleData/signerKey",
        CredentialError::PasswordMissing { .. } | CredentialError::WrongPassword { .. } => {
            "/bundleData/signerKeyPassphrase"
        }
        CredentialError::IntermediateMissing { .. }
        | CredentialError::WrongIntermediate { .. }
        | CredentialError::Impostor { .. } => "/bundleData/wwdr",
        CredentialError::CertificateUnreadable
        | CredentialError::Pkcs12 { .. }
        | CredentialError::Identity(_) => "/bundleData/signerCert",
    }
}

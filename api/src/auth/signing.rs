//! Signed requests of operators: HTTP Message Signatures (RFC 9421) with HMAC-SHA-256 under a key that operators and service share, over the method,
//! the path, the query and the digest of the body (RFC 9530).

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::auth::structured_fields::{Bare, Malformed, Member, Value, dictionary, written, written_bytes};

/// The name of the signature in the headers.
const LABEL: &str = "honoken";

/// The parts of a request that are signed, in this order when we sign.
const COMPONENTS: [&str; 4] = ["@method", "@path", "@query", "content-digest"];

const KEY_ID: &str = "admin";
const ALGORITHM: &str = "hmac-sha256";

/// Seconds for which a signature is good.
pub const GOOD_SECONDS: i64 = 300;

/// Seconds by which the clock of a signer may be ahead of ours.
pub const AHEAD_SECONDS: i64 = 30;

/// Characters of a nonce.
pub const NONCE_CHARACTERS: usize = 128;

/// Bytes of the key, at least.
const KEY_BYTES: usize = 32;

const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The key.
#[derive(Clone)]
pub struct SigningKey(PKey<Private>);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be base64 of at least {KEY_BYTES} bytes (`openssl rand -base64 {KEY_BYTES}` makes a good one)")]
pub struct InvalidKey;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// What a request says for itself before its body is read.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path as it was sent.
    pub path: &'a str,
    /// Its query as it was sent.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// A signature that is right for the head of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created: i64,
    /// Made up by the signer.
    pub nonce: String,
    sha256: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

/// Why a request does not count as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// There is no signature of our name.
    #[error("the headers `Signature-Input` and `Signature` have no member `{LABEL}`")]
    Missing,
    /// A header cannot be read.
    #[error("the header `{0}` is no dictionary as RFC 9651 writes it, or has a key twice")]
    Unreadable(&'static str),
    /// Other parts are signed.
    #[error(
        "`Signature-Input` must cover exactly \"@method\" \"@path\" \"@query\" \"content-digest\", without parameters"
    )]
    Components,
    /// A parameter is missing, unknown or of another form.
    #[error(
        "the parameters of `Signature-Input` must be `created` (seconds), `nonce` (a string of 1 to {NONCE_CHARACTERS} characters), \
         `keyid=\"{KEY_ID}\"` and `alg=\"{ALGORITHM}\"`, and no others"
    )]
    Parameters,
    /// There is no digest that can be compared.
    #[error(
        "the header `Content-Digest` must have `sha-256` or `sha-512` of the body (RFC 9530), also of an empty one"
    )]
    NoDigest,
    /// The signature is not the one of this request under our key.
    #[error(
        "the signature is not that of this request under HONOKEN_ADMIN_SIGNING_KEY: method, path, query, `Content-Digest` or key differ"
    )]
    Wrong,
    /// It was made too long ago.
    #[error("the signature was made more than {GOOD_SECONDS} s ago: sign again, and compare the clocks")]
    TooOld,
    /// It was made in the future.
    #[error("the signature was made more than {AHEAD_SECONDS} s in the future: compare the clocks")]
    TooNew,
    /// The body is another one.
    #[error("the body is not the one of `Content-Digest`")]
    OtherBody,
    /// It has been used before.
    #[error("the nonce was used before: sign each request anew")]
    Used,
}

impl SignatureFault {
    /// Whether somebody may be guessing: the others are mistakes of a holder of the key, or no attempt.
    pub fn is_guess(self) -> bool {
        matches!(self, Self::Wrong | Self::OtherBody)
    }
}

impl SigningKey {
    /// Reads base64.
    ///
    /// # Errors
    /// [`InvalidKey`], which says what a key is.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| InvalidKey)?);
        if bytes.len() < KEY_BYTES {
            return Err(InvalidKey);
        }
        PKey::hmac(&bytes).map(Self).map_err(|_| InvalidKey)
    }

    /// The headers that sign a request. The nonce has visible ASCII alone, and no other request has it.
    pub fn sign(
        &self,
        (method, path, query): (&Method, &str, Option<&str>),
        body: &[u8],
        created: i64,
        nonce: &str,
    ) -> HeaderMap {
        let digest = format!("sha-256={}", written_bytes(&Sha256::digest(body)));
        let components = COMPONENTS.map(written).join(" ");
        let (nonce, key, algorithm) = (written(nonce), written(KEY_ID), written(ALGORITHM));
        let parameters =
            format!("({components});created={created};nonce={nonce};keyid={key};alg={algorithm}");
        let request = Request { method, path, query, digest: &digest };
        let signature = written_bytes(&self.mac(&request.base(COMPONENTS, &parameters)));
        let headers = [
            (CONTENT_DIGEST, digest),
            (SIGNATURE_INPUT, format!("{LABEL}={parameters}")),
            (SIGNATURE, format!("{LABEL}={signature}")),
        ];
        let value = |value| HeaderValue::try_from(value).expect("visible ASCII and spaces");
        headers.into_iter().map(|(name, text)| (name, value(text))).collect()
    }

    /// Verifies a request as far as its head goes.
    ///
    /// # Errors
    /// The first fault.
    pub fn verify(&self, head: &Head<'_>, now: i64) -> Result<Verified, SignatureFault> {
        let input = member(head.headers, &SIGNATURE_INPUT, "Signature-Input")?;
        let signature = member(head.headers, &SIGNATURE, "Signature")?;
        let digest = combined(head.headers, &CONTENT_DIGEST, "Content-Digest")?;
        let digest = digest.ok_or(SignatureFault::NoDigest)?;
        let components = components(&input)?;
        let (created, nonce) = parameters(&input)?;
        let Value::Item(Bare::Bytes(shown)) = &signature.value else {
            return Err(SignatureFault::Unreadable("Signature"));
        };
        let request = Request { method: head.method, path: head.path, query: head.query, digest: &digest };
        let expected = self.mac(&request.base(components, &input_as_written(&input)));
        if !bool::from(shown.as_slice().ct_eq(&expected)) {
            return Err(SignatureFault::Wrong);
        }
        match now.saturating_sub(created) {
            age if age > GOOD_SECONDS => Err(SignatureFault::TooOld),
            age if age < -AHEAD_SECONDS => Err(SignatureFault::TooNew),
            _ => Verified::new(created, nonce, &digest),
        }
    }

    fn mac(&self, base: &str) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0).expect("OpenSSL has HMAC-SHA-256");
        signer.sign_oneshot_to_vec(base.as_bytes()).expect("HMAC takes any bytes")
    }
}

impl Verified {
    fn new(created: i64, nonce: String, digest: &str) -> Result<Self, SignatureFault> {
        let members = dictionary(digest).map_err(|Malformed| SignatureFault::Unreadable("Content-Digest"))?;
        let of = |algorithm: &str| {
            let member = members.iter().find(|(name, _)| name == algorithm)?;
            if let Value::Item(Bare::Bytes(bytes)) = &member.1.value { Some(bytes.clone()) } else { None }
        };
        let (sha256, sha512) = (of("sha-256"), of("sha-512"));
        if sha256.is_none() && sha512.is_none() {
            return Err(SignatureFault::NoDigest);
        }
        Ok(Self { created, nonce, sha256, sha512 })
    }

    /// Compares the body with every digest that was signed.
    ///
    /// # Errors
    /// [`SignatureFault::OtherBody`] when it is another one.
    pub fn check_body(&self, body: &[u8]) -> Result<(), SignatureFault> {
        let is_256 = self.sha256.as_ref().is_none_or(|digest| digest[..] == Sha256::digest(body)[..]);
        let is_512 = self.sha512.as_ref().is_none_or(|digest| digest[..] == Sha512::digest(body)[..]);
        if is_256 && is_512 { Ok(()) } else { Err(SignatureFault::OtherBody) }
    }
}

/// The parts of a request that are signed.
struct Request<'a> {
    method: &'a Method,
    path: &'a str,
    query: Option<&'a str>,
    digest: &'a str,
}

impl Request<'_> {
    /// The signature base (RFC 9421 section 2.5).
    fn base(&self, components: [&str; 4], parameters: &str) -> String {
        let mut base = String::new();
        for component in components {
            let value = match component {
                "@method" => self.method.as_str(),
                // An empty path is that of the root (section 2.2.6).
                "@path" if self.path.is_empty() => "/",
                "@path" => self.path,
                // A query that is not there is `?` (section 2.2.7).
                "@query" => &format!("?{}", self.query.unwrap_or_default()),
                _ => self.digest,
            };
            writeln!(base, "\"{component}\": {value}").expect("a string takes everything");
        }
        base + "\"@signature-params\": " + parameters
    }
}

/// Our member of a dictionary.
fn member(headers: &HeaderMap, header: &HeaderName, name: &'static str) -> Result<Member, SignatureFault> {
    let text = combined(headers, header, name)?.ok_or(SignatureFault::Missing)?;
    let members = dictionary(&text).map_err(|Malformed| SignatureFault::Unreadable(name))?;
    let found = members.into_iter().find(|(label, _)| label == LABEL);
    found.map(|(_, member)| member).ok_or(SignatureFault::Missing)
}

/// The lines of a header as one value (RFC 9421 section 2.1). `None` when there is none.
fn combined(
    headers: &HeaderMap,
    header: &HeaderName,
    name: &'static str,
) -> Result<Option<String>, SignatureFault> {
    let lines = headers.get_all(header).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|_| SignatureFault::Unreadable(name))?;
    let trimmed = lines.iter().map(|line| line.trim_matches([' ', '\t'])).collect::<Vec<_>>();
    Ok((!trimmed.is_empty()).then(|| trimmed.join(", ")))
}

/// The signed parts: all of ours and no others, in the order of the signer.
fn components(input: &Member) -> Result<[&str; 4], SignatureFault> {
    let Value::InnerList(items) = &input.value else { return Err(SignatureFault::Components) };
    let named = items.iter().map(|item| match item {
        (Bare::String(name), parameters) if parameters.is_empty() => Some(name.as_str()),
        _ => None,
    });
    let named = named.collect::<Option<Vec<_>>>().ok_or(SignatureFault::Components)?;
    let named: [&str; 4] = named.try_into().map_err(|_| SignatureFault::Components)?;
    let are_ours = COMPONENTS.iter().all(|component| named.contains(component));
    if are_ours { Ok(named) } else { Err(SignatureFault::Components) }
}

/// When the signature was made, and its nonce.
fn parameters(input: &Member) -> Result<(i64, String), SignatureFault> {
    let of = |name: &str| input.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let is_text = |name, text: &str| matches!(of(name), Some(Bare::String(value)) if value == text);
    match (of("created"), of("nonce")) {
        (Some(Bare::Integer(created)), Some(Bare::String(nonce)))
            if (1..=NONCE_CHARACTERS).contains(&nonce.len())
                && is_text("keyid", KEY_ID)
                && is_text("alg", ALGORITHM)
                && input.parameters.len() == 4 =>
        {
            Ok((*created, nonce.clone()))
        }
        _ => Err(SignatureFault::Parameters),
    }
}

/// `@signature-params` as section 2.3 has it written: what [`components`] and [`parameters`] let through consists of strings and an integer.
fn input_as_written(input: &Member) -> String {
    let text = |value: &Bare| match value {
        Bare::String(text) => written(text),
        Bare::Integer(number) => number.to_string(),
        Bare::Decimal(_) | Bare::Token(_) | Bare::Bytes(_) | Bare::Boolean(_) => String::new(),
    };
    let items = if let Value::InnerList(items) = &input.value { items.as_slice() } else { &[] };
    let items = items.iter().map(|(item, _)| text(item)).collect::<Vec<_>>().join(" ");
    let parameters = input.parameters.iter().map(|(name, value)| format!(";{name}={}", text(value)));
    format!("({items}){}", parameters.collect::<String>())
}

#[cfg(test)]
mod tests;

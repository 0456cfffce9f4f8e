//! Verifies the signature of a pass.

use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Ref};

use crate::certificate::{self, Validity};
use crate::reader::chain;
use crate::reader::container;
use crate::reader::notes::Notes;
use crate::reader::report::{in_archive, rfc3339};
use crate::reader::signed_data::{self, SignedData, SignerId};
use crate::reader::trust::Trust;
use crate::reader::{CertificateReport, RootVerdict, SignatureReport};

/// The largest signature that is read: 1 MiB. A real one has about 3 KB.
const MOST_BYTES: usize = 1024 * 1024;

const FILE: &str = crate::manifest::SIGNATURE;

/// Without a manifest only the statements of the signature are looked at: its absence is a problem of its own.
pub(super) fn verify(
    signature: &[u8],
    manifest: Option<&[u8]>,
    trust: &Trust,
    notes: &mut Notes,
) -> SignatureReport {
    let stated = if signature.len() <= MOST_BYTES { signed_data::parse(signature) } else { None };
    let Some(stated) = stated else {
        notes.problem_at("signature_unreadable", &in_archive(FILE), unreadable_because(signature));
        return unreadable(trust);
    };
    check_content(&stated, manifest, notes);
    check_statements(&stated, notes);
    let signer = stated.signer.as_ref().and_then(|id| stated.certificates.iter().find(|it| id.names(it)));
    let verified = signer.is_some() && manifest.is_some_and(|manifest| is_made_over(signature, manifest));
    match (signer, manifest) {
        (None, _) => notes.problem_at("signer_missing", &in_archive(FILE), signer_missing(&stated)),
        (Some(_), Some(manifest)) if !verified => {
            notes.problem_at("signature_wrong", &in_archive(FILE), wrong_because(signature, manifest));
        }
        _ => {}
    }
    let signing_time = stated.signing_time.map(|time| time.unix_seconds);
    let issuer = signer.and_then(|signer| issuer_of(signer, &stated.certificates));
    let root = match signer {
        Some(signer) => chain::check(signer, issuer, &stated.certificates, signing_time, trust, notes),
        None => no_verdict(trust, "there is no signer"),
    };
    SignatureReport {
        verified,
        digest_algorithm: Some(stated.digest_algorithm),
        signing_time: signing_time.map(rfc3339),
        signer: signer.and_then(|signer| report(signer)),
        issuer: issuer.and_then(report),
        root,
    }
}

fn no_verdict(trust: &Trust, reason: &str) -> RootVerdict {
    if trust.is_asked() { RootVerdict::NotTrusted(reason.to_owned()) } else { RootVerdict::NotAsked }
}

fn unreadable(trust: &Trust) -> SignatureReport {
    SignatureReport {
        verified: false,
        digest_algorithm: None,
        signing_time: None,
        signer: None,
        issuer: None,
        root: no_verdict(trust, "the signature cannot be read"),
    }
}

fn unreadable_because(signature: &[u8]) -> String {
    let how = "sign with `openssl smime -binary -sign … -outform DER`";
    if signature.is_empty() {
        return format!("the signature is empty: {how}");
    }
    if signature.len() > MOST_BYTES {
        let size = signature.len();
        return format!("the signature has {size} bytes, which is too many for one: it has about 3000");
    }
    let is_text = |marker: &[u8]| signature.windows(marker.len()).take(4096).any(|window| window == marker);
    if is_text(b"-----BEGIN") {
        return format!("the signature is PEM, a text; a phone reads the bytes of DER: {how}");
    }
    if is_text(b"MIME-Version") || is_text(b"Content-Type:") {
        return format!("the signature is an S/MIME message; a phone reads the bytes of DER: {how}");
    }
    match container::kind_of(signature) {
        Some(kind) => format!("the signature is {kind}, not a PKCS#7 signature: {how}"),
        None => format!("the signature is not a PKCS#7 signature (CMS SignedData), or it is cut off: {how}"),
    }
}

/// OpenSSL's `-stream` puts the content inside as well, and such passes are in use.
fn check_content(stated: &SignedData<'_>, manifest: Option<&[u8]>, notes: &mut Notes) {
    if stated.content.is_empty() {
        return;
    }
    let place = &in_archive(FILE);
    if manifest.is_none_or(|manifest| manifest == &*stated.content) {
        let detail = "the signature carries the manifest inside; Apple documents a detached one: sign without `-nodetach` and `-stream`";
        notes.warning("signature_not_detached", place, detail);
    } else {
        let detail = "the signature carries content of its own that is not the manifest: sign the manifest, without `-nodetach`";
        notes.problem_at("signature_not_detached", place, detail);
    }
}

fn check_statements(stated: &SignedData<'_>, notes: &mut Notes) {
    let place = &in_archive(FILE);
    match stated.signers {
        1 => {}
        0 => notes.problem_at("signature_signers", place, "nobody has signed: the list of signers is empty"),
        many => {
            let detail = format!("the signature has {many} signers; a pass has one");
            notes.problem_at("signature_signers", place, detail);
        }
    }
    if stated.unreadable_time {
        notes.problem_at("signing_time_missing", place, "the signing time is no time that can be read");
    } else if stated.signing_time.is_none() && stated.signers > 0 {
        let detail = "the signature has no signing time, which Wallet requires: sign without `-noattr`";
        notes.problem_at("signing_time_missing", place, detail);
    }
    if let Some(oddity) = stated.signing_time.and_then(|time| time.oddity) {
        let detail =
            format!("the signing time {oddity}: DER has no such time, and a phone is not known to accept it");
        notes.warning("signing_time_odd", place, detail);
    }
    if let Some(SignerId::SubjectKey(_)) = stated.signer {
        let detail = "the signer is named by a key identifier (`-keyid`) instead of issuer and serial number: passes are signed so \
                      in production, but Apple does not say that phones accept it";
        notes.warning("signer_by_key_identifier", place, detail);
    }
    if stated.trailing > 0 {
        let detail = format!("{} bytes follow the end of the signature", stated.trailing);
        notes.warning("signature_trailing_bytes", place, detail);
    }
    if stated.signers > 0 && !matches!(stated.digest_algorithm.as_str(), "SHA-1" | "SHA-256") {
        let digest = &stated.digest_algorithm;
        let detail = format!("the digest is {digest}; phones are known to accept SHA-256 and SHA-1");
        notes.warning("signature_digest", place, detail);
    }
}

/// The signature alone, not the chain: that is examined step by step, so that each fault has a name.
///
/// Everything that one of OpenSSL's two readers verifies is verified: the one of CMS knows key identifiers, the one of PKCS#7 some older
/// writers.
fn is_made_over(signature: &[u8], manifest: &[u8]) -> bool {
    let is_verified = by_cms(signature, manifest) || by_pkcs7(signature, manifest);
    certificate::forget_errors();
    is_verified
}

fn by_cms(signature: &[u8], manifest: &[u8]) -> bool {
    let flags = CMSOptions::BINARY | CMSOptions::NO_SIGNER_CERT_VERIFY;
    let message = CmsContentInfo::from_der(signature);
    message.is_ok_and(|mut message| message.verify(None, None, Some(manifest), None, flags).is_ok())
}

fn by_pkcs7(signature: &[u8], manifest: &[u8]) -> bool {
    let verified = || {
        let (no_more_certificates, no_store) = (Stack::new().ok()?, X509StoreBuilder::new().ok()?.build());
        let flags = Pkcs7Flags::BINARY | Pkcs7Flags::NOVERIFY;
        let message = Pkcs7::from_der(signature).ok().filter(|message| message.signed().is_some())?;
        message.verify(&no_more_certificates, &no_store, Some(manifest), None, flags).ok()
    };
    verified().is_some()
}

fn wrong_because(signature: &[u8], manifest: &[u8]) -> String {
    if manifest.contains(&b'\n') && is_made_over(signature, &with_line_ends_of_mail(manifest)) {
        return "the signature was made over the manifest with other line ends: sign with `-binary`"
            .to_owned();
    }
    "the signature was not made over this manifest by the certificate inside it: sign the manifest again after its last change"
        .to_owned()
}

/// As OpenSSL translates a text before it signs it.
fn with_line_ends_of_mail(text: &[u8]) -> Vec<u8> {
    let mut translated = Vec::with_capacity(text.len() + text.len() / 16);
    for (index, byte) in text.iter().enumerate() {
        if *byte == b'\n' && (index == 0 || text[index - 1] != b'\r') {
            translated.push(b'\r');
        }
        translated.push(*byte);
    }
    translated
}

fn signer_missing(stated: &SignedData<'_>) -> String {
    let inside = match stated.certificates.len() {
        0 => "no certificate".to_owned(),
        _ => chain::names(&stated.certificates),
    };
    format!(
        "the certificate of the signer is not in the signature, which holds {inside}: sign without `-nocerts`, with the Pass Type ID \
         certificate as `-signer`"
    )
}

fn issuer_of<'a>(signer: &X509Ref, certificates: &'a [X509]) -> Option<&'a X509Ref> {
    let mut others = certificates.iter().filter(|certificate| ***certificate != *signer);
    others.find(|candidate| certificate::is_issued_by(signer, candidate)).map(|issuer| &**issuer)
}

fn report(certificate: &X509Ref) -> Option<CertificateReport> {
    let validity = Validity::of(certificate).ok()?;
    let subject = |attribute| certificate::subject(certificate, attribute);
    Some(CertificateReport {
        common_name: subject(certificate::CN),
        uid: subject(certificate::UID),
        ou: subject(certificate::OU),
        not_before: rfc3339(validity.not_before),
        not_after: rfc3339(validity.not_after),
        fingerprint: certificate::fingerprint(certificate).ok()?,
    })
}

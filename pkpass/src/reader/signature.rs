//! Verifies the signature of a pass.

use openssl::error::ErrorStack;
use openssl::pkcs7::{Pkcs7, Pkcs7Flags, Pkcs7Ref};
use openssl::stack::{Stack, StackRef};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate::{self, Validity};
use crate::reader::signed_data::{self, SignedData};
use crate::reader::{CertificateReport, Problem, RootVerdict, SignatureReport};

pub(super) fn verify(
    signature: &[u8],
    manifest: &[u8],
    root_pem: Option<&[u8]>,
    problems: &mut Vec<Problem>,
) -> SignatureReport {
    let stated = signed_data::parse(signature);
    let pkcs7 = Pkcs7::from_der(signature).ok().filter(|pkcs7| pkcs7.signed().is_some());
    let (Some(stated), Some(pkcs7)) = (stated, pkcs7) else {
        problems.push(Problem::new("signature_unreadable", "signature is not a PKCS#7 signature in DER"));
        return unreadable(root_pem);
    };
    check_statements(&stated, problems);
    let verified = is_made_over(&pkcs7, manifest).unwrap_or(false);
    if !verified {
        let detail = "the signature was not made over this manifest by the certificate inside it";
        problems.push(Problem::new("signature_wrong", detail));
    }
    let signer = signer_of(&pkcs7);
    let certificates = pkcs7.signed().and_then(|signed| signed.certificates());
    let issuer = signer.as_deref().and_then(|signer| issuer_of(signer, certificates));
    check_chain(signer.as_deref(), issuer, stated.signing_time, problems);
    SignatureReport {
        verified,
        digest_algorithm: Some(stated.digest_algorithm),
        signing_time: stated.signing_time.map(rfc3339),
        signer: signer.as_deref().and_then(report),
        issuer: issuer.and_then(report),
        root: check_root(root_pem, signer.as_deref(), certificates, stated.signing_time, problems),
    }
}

fn unreadable(root_pem: Option<&[u8]>) -> SignatureReport {
    let not_trusted = || RootVerdict::NotTrusted("the signature cannot be read".to_owned());
    SignatureReport {
        verified: false,
        digest_algorithm: None,
        signing_time: None,
        signer: None,
        issuer: None,
        root: root_pem.map_or(RootVerdict::NotAsked, |_| not_trusted()),
    }
}

fn check_statements(stated: &SignedData, problems: &mut Vec<Problem>) {
    if !stated.detached {
        problems.push(Problem::new("signature_not_detached", "the signature carries content of its own"));
    }
    if stated.signers != 1 {
        let detail = format!("the signature has {} signers; a pass has one", stated.signers);
        problems.push(Problem::new("signature_signers", detail));
    }
    if stated.signing_time.is_none() {
        problems.push(Problem::new(
            "signing_time_missing",
            "the signature has no signing time, which Wallet requires",
        ));
    }
}

/// The signature alone, not the chain: that is examined step by step, so that each fault has a name.
fn is_made_over(pkcs7: &Pkcs7Ref, manifest: &[u8]) -> Result<bool, ErrorStack> {
    let (no_more_certificates, no_store) = (Stack::new()?, X509StoreBuilder::new()?.build());
    let flags = Pkcs7Flags::BINARY | Pkcs7Flags::NOVERIFY;
    Ok(pkcs7.verify(&no_more_certificates, &no_store, Some(manifest), None, flags).is_ok())
}

fn signer_of(pkcs7: &Pkcs7Ref) -> Option<X509> {
    let signers = pkcs7.signers(&*Stack::new().ok()?, Pkcs7Flags::empty()).ok()?;
    signers.iter().next().map(ToOwned::to_owned)
}

fn issuer_of<'a>(signer: &X509Ref, certificates: Option<&'a StackRef<X509>>) -> Option<&'a X509Ref> {
    let mut others = certificates?.iter().filter(|certificate| **certificate != *signer);
    others.find(|candidate| certificate::is_issued_by(signer, candidate))
}

fn check_chain(
    signer: Option<&X509Ref>,
    issuer: Option<&X509Ref>,
    signing_time: Option<i64>,
    problems: &mut Vec<Problem>,
) {
    if signer.is_none() {
        problems
            .push(Problem::new("signer_missing", "the certificate of the signer is not in the signature"));
    } else if issuer.is_none() {
        let detail = "no certificate in the signature issued that of the signer: the intermediate is missing";
        problems.push(Problem::new("intermediate_missing", detail));
    }
    let Some(signing_time) = signing_time else { return };
    for (certificate, whose) in [(signer, "the signer"), (issuer, "the intermediate")] {
        let validity = certificate.map(Validity::of);
        if validity.is_some_and(|validity| !validity.is_ok_and(|validity| validity.contains(signing_time))) {
            let detail = format!("the certificate of {whose} was not valid when the pass was signed");
            problems.push(Problem::new("certificate_not_valid", detail));
        }
    }
}

fn check_root(
    root_pem: Option<&[u8]>,
    signer: Option<&X509Ref>,
    certificates: Option<&StackRef<X509>>,
    signing_time: Option<i64>,
    problems: &mut Vec<Problem>,
) -> RootVerdict {
    let Some(root_pem) = root_pem else { return RootVerdict::NotAsked };
    let verdict = match (signer, certificates) {
        (Some(signer), Some(certificates)) => chain_verdict(root_pem, signer, certificates, signing_time),
        _ => Ok(Err("there is no signer".to_owned())),
    };
    let reason = match verdict {
        Ok(Ok(())) => return RootVerdict::Trusted,
        Ok(Err(reason)) => reason,
        Err(error) => format!("the root cannot be used: {error}"),
    };
    problems.push(Problem::new(
        "root_not_trusted",
        format!("the chain does not end at the given root: {reason}"),
    ));
    RootVerdict::NotTrusted(reason)
}

/// The inner result is the verdict, the outer one whether it could be reached.
fn chain_verdict(
    root_pem: &[u8],
    signer: &X509Ref,
    certificates: &StackRef<X509>,
    signing_time: Option<i64>,
) -> Result<Result<(), String>, ErrorStack> {
    let roots = certificate::certificates(root_pem)?;
    if roots.is_empty() {
        return Ok(Err("there is no certificate in the given root file".to_owned()));
    }
    let store = store(roots, signing_time)?;
    X509StoreContext::new()?.init(&store, signer, certificates, |context| {
        let trusted = context.verify_cert()?;
        certificate::forget_errors();
        Ok(if trusted { Ok(()) } else { Err(context.error().error_string().to_owned()) })
    })
}

/// Any purpose, because Apple's pass certificates are not made for e-mail, the purpose that PKCS#7 would demand.
fn store(roots: Vec<X509>, signing_time: Option<i64>) -> Result<X509Store, ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_purpose(X509PurposeId::ANY)?;
    match signing_time {
        Some(signing_time) => parameters.set_time(signing_time),
        // Its absence is a problem of its own, and the clock of this machine has no say.
        None => parameters.set_flags(X509VerifyFlags::NO_CHECK_TIME)?,
    }
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&parameters)?;
    for root in roots {
        store.add_cert(root)?;
    }
    Ok(store.build())
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

fn rfc3339(unix_seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix_seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{unix_seconds} s"))
}

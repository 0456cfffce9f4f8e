//! The certificates of a signature: who issued whom, when each was valid, and whether a phone trusts the last one.

use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef, X509Ref};

use crate::certificate::Validity;
use crate::finding::quoted;
use crate::reader::RootVerdict;
use crate::reader::notes::Notes;
use crate::reader::report::{in_archive, rfc3339};
use crate::reader::trust::{ChainEnd, Trust};

const FILE: &str = crate::manifest::SIGNATURE;

/// Certificates that a sentence names.
const MOST_NAMED: usize = 4;

pub(super) fn check(
    signer: &X509Ref,
    issuer: Option<&X509Ref>,
    certificates: &[X509],
    signing_time: Option<i64>,
    trust: &Trust,
    notes: &mut Notes,
) -> RootVerdict {
    if issuer.is_none() {
        let detail = intermediate_missing(signer, certificates);
        notes.problem_at("intermediate_missing", &in_archive(FILE), detail);
    }
    check_dates(signer, issuer, signing_time, notes);
    if !trust.is_asked() {
        return RootVerdict::NotAsked;
    }
    let place = in_archive(FILE);
    match trust.chain_end(signer, certificates, signing_time) {
        Ok(ChainEnd::Apple(_)) => RootVerdict::Trusted,
        Ok(ChainEnd::Added) => {
            let detail = "the chain ends at a certificate that was given, not at one of Apple's: no phone takes the pass";
            notes.warning("root_not_apples", &place, detail);
            RootVerdict::Trusted
        }
        Ok(ChainEnd::Unknown(reason)) => {
            // Without the intermediate no chain leads anywhere, and that has been said.
            if issuer.is_some() {
                notes.problem_at("root_not_trusted", &place, not_apples(signer, issuer, &reason));
            }
            RootVerdict::NotTrusted(reason)
        }
        Err(error) => {
            let reason = format!("the root cannot be used: {error}");
            notes.problem_at("root_not_trusted", &place, reason.clone());
            RootVerdict::NotTrusted(reason)
        }
    }
}

fn not_apples(signer: &X509Ref, issuer: Option<&X509Ref>, reason: &str) -> String {
    let last = issuer.map_or_else(|| name(signer.issuer_name()), |issuer| name(issuer.subject_name()));
    format!(
        "issuer not Apple's: no phone takes the pass. The chain ends at {last} ({reason}). A pass of a development service is judged with \
         `--root FILE`, its root certificate; so is one under an intermediate that Apple has published since this release"
    )
}

/// Both are named: the issuer that the signer states, and what is there instead of it.
fn intermediate_missing(signer: &X509Ref, certificates: &[X509]) -> String {
    let wanted = name(signer.issuer_name());
    let others: Vec<&X509> = certificates.iter().filter(|certificate| ***certificate != *signer).collect();
    let fix = "add it with `-certfile` when signing";
    if others.is_empty() {
        return format!(
            "the intermediate that issued the signer, {wanted}, is missing from the signature: {fix}"
        );
    }
    let are = names(others.iter().copied());
    let same_name = others.iter().any(|other| name(other.subject_name()) == wanted);
    let why = if same_name { "another key of the same name" } else { "another certificate" };
    format!(
        "the signer was issued by {wanted}, and the signature holds {why}, {are}, which did not issue it: {fix}"
    )
}

/// The subjects of certificates, as a sentence names them.
pub(super) fn names<'a>(certificates: impl IntoIterator<Item = &'a X509>) -> String {
    let mut all: Vec<String> =
        certificates.into_iter().map(|certificate| name(certificate.subject_name())).collect();
    if all.len() > MOST_NAMED {
        let more = all.len() - MOST_NAMED;
        all.truncate(MOST_NAMED);
        all.push(format!("{more} more"));
    }
    all.join(" and ")
}

/// The common name, with the unit that tells Apple's intermediates of one name apart.
fn name(name: &X509NameRef) -> String {
    let of = |nid| name.entries_by_nid(nid).next().and_then(|entry| entry.data().to_string().ok());
    match (of(Nid::COMMONNAME), of(Nid::ORGANIZATIONALUNITNAME)) {
        (Some(common), Some(unit)) => format!("{} ({})", quoted(&common), quoted(&unit).trim_matches('"')),
        (Some(common), None) => quoted(&common),
        (None, Some(unit)) => quoted(&unit),
        (None, None) => "a certificate without a name".to_owned(),
    }
}

fn check_dates(signer: &X509Ref, issuer: Option<&X509Ref>, signing_time: Option<i64>, notes: &mut Notes) {
    for (certificate, whose) in [(Some(signer), "the signer"), (issuer, "the intermediate")] {
        let Some(validity) = certificate.map(Validity::of) else { continue };
        let place = in_archive(FILE);
        match (validity, signing_time) {
            (Ok(validity), Some(signing_time)) if !validity.contains(signing_time) => {
                let [from, until, made] =
                    [validity.not_before, validity.not_after, signing_time].map(rfc3339);
                let detail = format!(
                    "the certificate of {whose} was not valid when the pass was signed: it is valid from {from} to {until}, and the \
                     signature was made {made}"
                );
                notes.problem_at("certificate_not_valid", &place, detail);
            }
            (Ok(_), _) => {}
            (Err(_), _) => {
                let detail = format!("the certificate of {whose} has dates that cannot be read");
                notes.problem_at("certificate_not_valid", &place, detail);
            }
        }
    }
}

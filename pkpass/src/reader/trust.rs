//! Whose signatures count: the end of the chain that begins with the signer.

use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext};
use thiserror::Error;

use crate::{apple, certificate};

/// The certificates at which a chain may end.
///
/// Phones trust Apple's and no others; a pass signed by the authority of a development service is judged with its root added.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    is_asked: bool,
    added: Vec<X509>,
}

/// Why a file adds nothing to trust.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It has no certificate in PEM.
    #[error(
        "there is no certificate in the given root file: it needs a block that begins with -----BEGIN CERTIFICATE-----"
    )]
    Empty,
    /// A block is damaged or encrypted.
    #[error("the certificates of the root file cannot be read")]
    Unreadable(#[source] ErrorStack),
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChainEnd {
    /// Apple's intermediate of this name, or one of Apple's roots.
    Apple(&'static str),
    /// A certificate that was added.
    Added,
    /// None of these, for this reason.
    Unknown(String),
}

impl Trust {
    /// The chain is not looked at.
    pub fn anyone() -> Self {
        Self::default()
    }

    /// Apple's certificates, as a phone.
    pub fn apple() -> Self {
        Self { is_asked: true, added: Vec::new() }
    }

    /// Further roots or intermediates, from a PEM file with one or more.
    ///
    /// # Errors
    /// [`TrustError`] when there is none in it.
    pub fn and(mut self, pem: &[u8]) -> Result<Self, TrustError> {
        let certificates = certificate::certificates(pem).map_err(TrustError::Unreadable)?;
        if certificates.is_empty() {
            return Err(TrustError::Empty);
        }
        self.is_asked = true;
        self.added.extend(certificates);
        Ok(self)
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Follows the chain of a signer. `signing_time` is when all of it has to be valid.
    pub(super) fn chain_end(
        &self,
        signer: &X509Ref,
        certificates: &[X509],
        signing_time: Option<i64>,
    ) -> Result<ChainEnd, ErrorStack> {
        if let Some(generation) = apple::intermediate_that_issued(signer) {
            return Ok(ChainEnd::Apple(generation));
        }
        let roots: Vec<X509> = certificates.iter().filter(|it| apple::is_root(it)).cloned().collect();
        if !roots.is_empty() && verify(&roots, signer, certificates, signing_time)?.is_ok() {
            return Ok(ChainEnd::Apple("Apple Root CA"));
        }
        if self.added.is_empty() {
            return Ok(ChainEnd::Unknown("it does not lead to a certificate of Apple's".to_owned()));
        }
        let verified = verify(&self.added, signer, certificates, signing_time)?;
        Ok(verified.map_or_else(ChainEnd::Unknown, |()| ChainEnd::Added))
    }
}

/// The inner result is the verdict, the outer one whether it could be reached.
fn verify(
    anchors: &[X509],
    signer: &X509Ref,
    certificates: &[X509],
    signing_time: Option<i64>,
) -> Result<Result<(), String>, ErrorStack> {
    let mut others = Stack::new()?;
    for certificate in certificates {
        others.push(certificate.clone())?;
    }
    let store = store(anchors, signing_time)?;
    X509StoreContext::new()?.init(&store, signer, &others, |context| {
        let is_trusted = context.verify_cert()?;
        certificate::forget_errors();
        Ok(if is_trusted { Ok(()) } else { Err(context.error().error_string().to_owned()) })
    })
}

/// Any purpose, because Apple's pass certificates are not made for e-mail, the purpose that PKCS#7 would demand. A chain may end at an
/// intermediate, because that is what Apple publishes new ones of.
fn store(anchors: &[X509], signing_time: Option<i64>) -> Result<X509Store, ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_purpose(X509PurposeId::ANY)?;
    let mut flags = X509VerifyFlags::PARTIAL_CHAIN;
    match signing_time {
        Some(signing_time) => parameters.set_time(signing_time),
        // Its absence is a problem of its own, and the clock of this machine has no say.
        None => flags |= X509VerifyFlags::NO_CHECK_TIME,
    }
    parameters.set_flags(flags)?;
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&parameters)?;
    for anchor in anchors {
        store.add_cert(anchor.clone())?;
    }
    Ok(store.build())
}

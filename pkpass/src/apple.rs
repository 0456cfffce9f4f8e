//! Apple's certificates that pass certificates are issued under: public facts, as Apple publishes them at
//! <https://www.apple.com/certificateauthority/>.

use std::sync::LazyLock;

use openssl::x509::{X509, X509Ref};

use crate::certificate;

/// An intermediate that Apple issues pass certificates under ("Worldwide Developer Relations"), by the name that Apple gives it.
struct Published {
    generation: &'static str,
    pem: &'static [u8],
    /// SHA-256 of the certificate, lowercase hex.
    #[cfg(test)]
    fingerprint: &'static str,
}

const PUBLISHED: [Published; 3] = [
    Published {
        generation: "WWDR G1",
        pem: include_bytes!("apple/wwdr-g1.pem"),
        #[cfg(test)]
        fingerprint: "ce057691d730f89ca25e916f7335f4c8a15713dcd273a658c024023f8eb809c2",
    },
    Published {
        generation: "WWDR G3",
        pem: include_bytes!("apple/wwdr-g3.pem"),
        #[cfg(test)]
        fingerprint: "dcf21878c77f4198e4b4614f03d696d89c66c66008d4244e1b99161aac91601f",
    },
    Published {
        generation: "WWDR G4",
        pem: include_bytes!("apple/wwdr-g4.pem"),
        #[cfg(test)]
        fingerprint: "ea4757885538dd8cb59ff4556f676087d83c85e70902c122e42c0808b5bce14c",
    },
];

/// SHA-256 of Apple Root CA, Apple Root CA - G2 and Apple Root CA - G3.
const ROOTS: [&str; 3] = [
    "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024",
    "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050",
    "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",
];

static INTERMEDIATES: LazyLock<Vec<(&'static str, X509)>> = LazyLock::new(|| {
    let read = |published: &Published| {
        (published.generation, X509::from_pem(published.pem).expect("the certificate is part of the program"))
    };
    PUBLISHED.iter().map(read).collect()
});

/// The intermediate that issued a certificate, by name, if it is one of Apple's.
///
/// Its key decides, not its dates: Apple has renewed an intermediate under the same key (that of 2008 as G1), and the one inside the signature
/// is judged by its own.
pub(crate) fn intermediate_that_issued(certificate: &X509Ref) -> Option<&'static str> {
    let issued =
        INTERMEDIATES.iter().find(|(_, intermediate)| certificate::is_issued_by(certificate, intermediate));
    issued.map(|(generation, _)| *generation)
}

/// Whether one of Apple's intermediates has issued a certificate (PEM): phones take passes of no other authority. `false` for what is none.
pub fn is_issued_by_apple(pem: &[u8]) -> bool {
    let certificates = certificate::certificates(pem).unwrap_or_default();
    certificates.first().is_some_and(|certificate| intermediate_that_issued(certificate).is_some())
}

/// Whether this is one of Apple's roots, which some signatures carry.
pub(crate) fn is_root(certificate: &X509Ref) -> bool {
    certificate::fingerprint(certificate).is_ok_and(|fingerprint| ROOTS.contains(&fingerprint.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_are_those_that_apple_publishes() {
        for (published, (_, certificate)) in PUBLISHED.iter().zip(INTERMEDIATES.iter()) {
            assert_eq!(certificate::fingerprint(certificate).unwrap(), published.fingerprint);
        }
    }

    #[test]
    fn the_name_of_an_intermediate_is_no_proof() {
        for (_, intermediate) in INTERMEDIATES.iter() {
            assert_eq!(intermediate_that_issued(intermediate), None, "Apple's root issued it");
            assert!(!is_root(intermediate));
        }
    }
}

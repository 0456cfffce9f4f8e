//! Why a NATS server cannot be used, from what the library says about the last attempt, with what to do about it.
//!
//! The library tells its callers "IO error" for all of these; the text of the error is only in its list of servers.

/// What this process shows to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// A client certificate.
    Certificate,
    /// None.
    Nothing,
}

/// The reason as a sentence for an operator. A reason that is not known stays as the library says it.
pub(super) fn reason(text: &str, shows: Shows) -> String {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // The second, where a trusted authority has the same name and another key.
    if has(&["UnknownIssuer", "BadSignature"]) {
        return "its certificate is not of an authority that is trusted: name the file with the root in NATS_CA_FILE".to_owned();
    }
    if has(&["NotValidForName", "not valid for name"]) {
        return format!(
            "its certificate is for another name: call the server in NATS_URL as its certificate does ({text})"
        );
    }
    if has(&["invalid peer certificate: Expired", "certificate expired"]) {
        return format!("its certificate has expired: renew it ({text})");
    }
    // What a server answers that takes the beginning of TLS for a command.
    if has(&["InvalidContentType"]) {
        return "it does not speak TLS: set up TLS there, or use nats:// in NATS_URL without NATS_CA_FILE and NATS_CLIENT_CERT_FILE"
            .to_owned();
    }
    let is_alert = has(&["received fatal alert"]);
    match shows {
        // Servers of TLS 1.2 have no alert of their own for it.
        Shows::Nothing if is_alert && has(&["CertificateRequired", "BadCertificate", "HandshakeFailure"]) => {
            "it demands a client certificate: set NATS_CLIENT_CERT_FILE and NATS_CLIENT_KEY_FILE".to_owned()
        }
        Shows::Certificate if is_alert => {
            format!("it does not accept the certificate of NATS_CLIENT_CERT_FILE ({text})")
        }
        Shows::Nothing | Shows::Certificate => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_not_known_stays_as_it_is() {
        let text = "IO error: Connection refused (os error 111)";
        assert_eq!(reason(text, Shows::Nothing), text);
        assert_eq!(reason(text, Shows::Certificate), text);
    }

    #[test]
    fn an_authority_with_the_name_of_a_trusted_one_is_another() {
        for fault in ["UnknownIssuer", "BadSignature"] {
            let text = format!("IO error: invalid peer certificate: {fault}");
            assert!(reason(&text, Shows::Nothing).contains("NATS_CA_FILE"), "{fault}");
        }
    }

    #[test]
    fn servers_without_an_alert_for_a_missing_certificate_are_understood() {
        for alert in ["BadCertificate", "HandshakeFailure", "CertificateRequired"] {
            let text = format!("IO error: received fatal alert: {alert}");
            assert!(reason(&text, Shows::Nothing).contains("NATS_CLIENT_CERT_FILE and"), "{alert}");
            assert!(reason(&text, Shows::Certificate).contains("does not accept"), "{alert}");
        }
    }
}

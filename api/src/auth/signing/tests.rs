use super::SignatureFault::{Components, Missing, NoDigest, Parameters, Unreadable, Wrong};
use super::*;

const NOW: i64 = 1_800_000_000;
const NONCE: &str = "b3k2pp5k7z-50gnwp.yemd";

fn key() -> SigningKey {
    SigningKey::parse(&STANDARD.encode([7; 32])).unwrap()
}

fn signed(method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> HeaderMap {
    key().sign((method, path, query), body, NOW, NONCE)
}

/// The headers of `POST /admin/relay/pause` without a body.
fn a_request() -> HeaderMap {
    signed(&Method::POST, "/admin/relay/pause", None, b"")
}

fn verified_at(headers: &HeaderMap, now: i64) -> Result<Verified, SignatureFault> {
    let head = Head { method: &Method::POST, path: "/admin/relay/pause", query: None, headers };
    key().verify(&head, now)
}

fn verified(headers: &HeaderMap) -> Result<Verified, SignatureFault> {
    verified_at(headers, NOW)
}

/// The request with another value of a header.
fn with(name: HeaderName, change: impl Fn(&str) -> String) -> HeaderMap {
    let mut headers = a_request();
    let value = change(headers[&name].to_str().unwrap());
    headers.insert(name, HeaderValue::try_from(value).unwrap());
    headers
}

#[test]
fn a_mac_is_that_of_the_example_in_the_rfc() {
    // RFC 9421 appendix B.2.5, under the shared secret of B.1.5.
    let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let base = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\
                \"@authority\": example.com\n\
                \"content-type\": application/json\n\
                \"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let mac = SigningKey::parse(secret).unwrap().mac(base);
    assert_eq!(written_bytes(&mac), ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
}

#[test]
fn the_base_is_that_of_the_rfc() {
    let request = Request {
        method: &Method::GET,
        path: "/admin/audit",
        query: Some("actor=vera&action=x%20y"),
        digest: "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
    };
    assert_eq!(
        request.base(COMPONENTS, "(…)"),
        "\"@method\": GET\n\
         \"@path\": /admin/audit\n\
         \"@query\": ?actor=vera&action=x%20y\n\
         \"content-digest\": sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\n\
         \"@signature-params\": (…)"
    );
    let headers = a_request();
    assert_eq!(headers[CONTENT_DIGEST], "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
    assert_eq!(
        headers[SIGNATURE_INPUT],
        "honoken=(\"@method\" \"@path\" \"@query\" \"content-digest\");created=1800000000;nonce=\"b3k2pp5k7z-50gnwp.yemd\";keyid=\"admin\";alg=\"hmac-sha256\""
    );
}

#[test]
fn what_was_signed_is_verified_and_nothing_else() {
    let (method, path, query) = (Method::PUT, "/admin/brand-assets/icon.png", Some("a=1"));
    let headers = signed(&method, path, query, b"body");
    let head = Head { method: &method, path, query, headers: &headers };
    let verified = key().verify(&head, NOW).unwrap();
    assert_eq!((verified.created, verified.nonce.as_str()), (NOW, NONCE));
    assert_eq!(verified.check_body(b"body"), Ok(()));
    assert_eq!(verified.check_body(b"bodz"), Err(SignatureFault::OtherBody));
    assert_eq!(verified.check_body(b""), Err(SignatureFault::OtherBody));
    for other in [
        Head { method: &Method::POST, ..head },
        Head { path: "/admin/brand-assets/logo.png", ..head },
        Head { path: "/api/admin/brand-assets/icon.png", ..head },
        Head { query: Some("a=2"), ..head },
        Head { query: None, ..head },
    ] {
        assert_eq!(key().verify(&other, NOW), Err(Wrong), "{other:?}");
    }
    let stranger = SigningKey::parse(&STANDARD.encode([8; 32])).unwrap();
    assert_eq!(stranger.verify(&head, NOW), Err(Wrong));
}

#[test]
fn a_signature_is_good_for_five_minutes() {
    let headers = a_request();
    for (now, expected) in [
        (NOW + 300, Ok(())),
        (NOW + 301, Err(SignatureFault::TooOld)),
        (NOW - 30, Ok(())),
        (NOW - 31, Err(SignatureFault::TooNew)),
        (i64::MAX, Err(SignatureFault::TooOld)),
        (i64::MIN, Err(SignatureFault::TooNew)),
    ] {
        assert_eq!(verified_at(&headers, now).map(drop), expected, "{now}");
    }
}

#[test]
fn other_signatures_beside_ours_do_not_matter_and_the_order_is_the_signers() {
    let input = with(SIGNATURE_INPUT, |ours| format!("proxy=(\"@authority\");created=1;tag=\"x\", {ours}"));
    let both = {
        let mut headers = input;
        headers.append(SIGNATURE, HeaderValue::from_static("proxy=:AAAA:"));
        headers
    };
    assert!(verified(&both).is_ok());

    let parameters = format!(
        "(\"content-digest\" \"@query\"  \"@path\" \"@method\" );alg=\"hmac-sha256\"; keyid=\"admin\";nonce=\"n\";created={NOW}"
    );
    let canonical = format!(
        "(\"content-digest\" \"@query\" \"@path\" \"@method\");alg=\"hmac-sha256\";keyid=\"admin\";nonce=\"n\";created={NOW}"
    );
    let mut headers = a_request();
    let digest = headers[CONTENT_DIGEST].to_str().unwrap().to_owned();
    let base = format!(
        "\"content-digest\": {digest}\n\"@query\": ?\n\"@path\": /admin/relay/pause\n\"@method\": POST\n\"@signature-params\": {canonical}"
    );
    let value = |text: String| HeaderValue::try_from(text).unwrap();
    headers.insert(SIGNATURE_INPUT, value(format!("honoken={parameters}")));
    headers.insert(SIGNATURE, value(format!("honoken={}", written_bytes(&key().mac(&base)))));
    assert_eq!(verified(&headers).map(|verified| verified.nonce), Ok("n".to_owned()));
}

#[test]
fn each_fault_is_told_by_its_name() {
    let replaced =
        |from: &'static str, to: &'static str| with(SIGNATURE_INPUT, move |text| text.replace(from, to));
    let without = |name: HeaderName| {
        let mut headers = a_request();
        headers.remove(name);
        headers
    };
    let long = "n".repeat(NONCE_CHARACTERS + 1);
    for (headers, expected) in [
        (HeaderMap::new(), Missing),
        (without(SIGNATURE), Missing),
        (without(SIGNATURE_INPUT), Missing),
        (with(SIGNATURE_INPUT, |text| text.replace("honoken=", "other=")), Missing),
        (with(SIGNATURE, |text| text.replace("honoken=", "other=")), Missing),
        (with(SIGNATURE_INPUT, |text| format!("{text}, {text}")), Unreadable("Signature-Input")),
        (with(SIGNATURE_INPUT, |text| format!("{text},")), Unreadable("Signature-Input")),
        (with(SIGNATURE, |_| "honoken=\"text\"".to_owned()), Unreadable("Signature")),
        (with(SIGNATURE, |_| "honoken=:no base64:".to_owned()), Unreadable("Signature")),
        (without(CONTENT_DIGEST), NoDigest),
        (replaced(" \"@query\"", ""), Components),
        (replaced(" \"@query\"", " \"@path\""), Components),
        (replaced("\"@method\" ", "\"@method\" \"@authority\" "), Components),
        (replaced("\"@path\"", "\"@path\";req"), Components),
        (replaced("\"@path\"", "path"), Components),
        (with(SIGNATURE_INPUT, |_| "honoken=1".to_owned()), Components),
        (replaced(";created=1800000000", ""), Parameters),
        (replaced("created=1800000000", "created=\"1800000000\""), Parameters),
        (replaced("keyid=\"admin\"", "keyid=\"other\""), Parameters),
        (replaced("keyid=\"admin\"", "keyid=admin"), Parameters),
        (replaced("hmac-sha256", "hmac-sha512"), Parameters),
        (replaced(";alg=\"hmac-sha256\"", ""), Parameters),
        (replaced(";keyid", ";expires=1900000000;keyid"), Parameters),
        (replaced(NONCE, ""), Parameters),
        (with(SIGNATURE_INPUT, |text| text.replace(NONCE, &long)), Parameters),
        (replaced("created=1800000000", "created=1800000001"), Wrong),
        (replaced(NONCE, "another"), Wrong),
        (with(SIGNATURE, |_| "honoken=::".to_owned()), Wrong),
        (with(CONTENT_DIGEST, |text| text.replace("47DE", "47DF")), Wrong),
    ] {
        assert_eq!(verified(&headers), Err(expected), "{headers:?}");
    }
}

#[test]
fn a_digest_is_one_of_two_and_all_that_are_there_count() {
    let of = |digest: String| {
        let mut headers = a_request();
        let input = headers[SIGNATURE_INPUT].to_str().unwrap().strip_prefix("honoken=").unwrap().to_owned();
        let request =
            Request { method: &Method::POST, path: "/admin/relay/pause", query: None, digest: &digest };
        let mac = written_bytes(&key().mac(&request.base(COMPONENTS, &input)));
        headers.insert(SIGNATURE, HeaderValue::try_from(format!("honoken={mac}")).unwrap());
        headers.insert(CONTENT_DIGEST, HeaderValue::try_from(digest).unwrap());
        verified(&headers).and_then(|verified| verified.check_body(b"body"))
    };
    let (right, wrong) = (Sha256::digest(b"body"), Sha256::digest(b""));
    let sha256 = |digest: &[u8]| format!("sha-256={}", written_bytes(digest));
    let sha512 = format!("sha-512={}", written_bytes(&Sha512::digest(b"body")));
    assert_eq!(of(sha256(&right)), Ok(()));
    assert_eq!(of(sha512.clone()), Ok(()));
    assert_eq!(of(format!("{sha512}, md5=:AAAA:, {}", sha256(&right))), Ok(()));
    assert_eq!(of(format!("{sha512}, {}", sha256(&wrong))), Err(SignatureFault::OtherBody));
    assert_eq!(of("md5=:AAAA:".to_owned()), Err(NoDigest));
    assert_eq!(of("sha-256=\"text\"".to_owned()), Err(NoDigest));
    assert_eq!(of("sha-256=:".to_owned()), Err(Unreadable("Content-Digest")));
}

#[test]
fn a_key_is_base64_of_at_least_32_bytes_and_never_shown() {
    for text in ["", "hunter2", "not base64!", &STANDARD.encode([1; 31]), &"ab".repeat(16)] {
        assert_eq!(SigningKey::parse(text).map(drop), Err(InvalidKey), "{text}");
    }
    let key = SigningKey::parse(&format!("{}\n", STANDARD.encode([1; 64]))).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey([redacted])");
}

//! The address of a running service, as commands take it that send requests with a secret.

use url::{Host, Url};

/// Parses an address to which paths can be added, and which holds no secret. `secret` says which one is sent instead, and from where.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse(text: &str, secret: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|fault| format!("{fault}; an example: https://passes.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("an http or https address is needed, such as https://passes.example.com".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{secret}: take name and password out of the address"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "the path of a request is appended to the address, so it must end with its own path".to_owned()
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether requests go unencrypted to another machine.
pub fn is_open_to_others(server: &str) -> bool {
    let Ok(url) = Url::parse(server) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_service_ends_before_its_routes_and_holds_no_secret() {
        let server = |text| parse(text, "the password is read elsewhere");
        assert_eq!(server("https://passes.example.com/"), Ok("https://passes.example.com".to_owned()));
        assert_eq!(server("http://[::1]:8080/wallet"), Ok("http://[::1]:8080/wallet".to_owned()));
        for (bad, hint) in [
            ("passes.example.com", "https://"),
            ("ftp://passes.example.com", "https"),
            ("https://user:hunter2@passes.example.com", "password"),
            ("https://passes.example.com/?a=b", "path"),
            ("https://passes.example.com/#a", "path"),
            ("", "https://"),
        ] {
            let refusal = server(bad).expect_err(bad);
            assert!(refusal.contains(hint) && !refusal.contains("hunter2"), "{bad}: {refusal}");
        }
    }

    #[test]
    fn http_is_open_to_others_unless_it_stays_on_the_machine() {
        for here in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1", "https://a.example"] {
            assert!(!is_open_to_others(here), "{here}");
        }
        for there in ["http://a.example", "http://10.0.0.1:8080", "http://[2001:db8::1]"] {
            assert!(is_open_to_others(there), "{there}");
        }
    }
}

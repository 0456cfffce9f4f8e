//! The query of an address: every parameter must be known, and occur at most once.

use std::collections::BTreeMap;

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::error::{ApiError, Fault};

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// 422 that names each parameter that is unknown, repeated or not text.
    pub fn of(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let (mut parameters, mut faults) = (BTreeMap::new(), Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_else(|| name.to_owned());
            let fault = match (known.contains(&name.as_str()), parameters.contains_key(&name), decode(value))
            {
                (true, false, Some(value)) => {
                    parameters.insert(name, value);
                    continue;
                }
                (false, ..) => {
                    let known = known.join("`, `");
                    let detail =
                        format!("`{name}` is not a parameter of this route; its parameters are `{known}`");
                    Fault::new("unknown_parameter", "", detail)
                }
                (true, true, _) => {
                    Fault::new("repeated_parameter", "", format!("`{name}` may occur only once"))
                }
                (true, false, None) => {
                    let detail = format!("`{name}` must be percent-encoded UTF-8 without control characters");
                    Fault::new("invalid", "", detail)
                }
            };
            faults.push(fault);
        }
        if faults.is_empty() { Ok(Self(parameters)) } else { Err(ApiError::Unacceptable { errors: faults }) }
    }

    /// Takes a parameter.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a boolean parameter; a missing one is `false`.
    ///
    /// # Errors
    /// 422 when it is neither `true` nor `false`.
    pub fn take_flag(&mut self, name: &str) -> Result<bool, ApiError> {
        let Some(text) = self.take(name) else { return Ok(false) };
        text.parse().map_err(|_| fault(format!("`{name}` must be `true` or `false`")))
    }

    /// Takes `limit`, the number of entries of a page; `usual` when it is missing.
    ///
    /// # Errors
    /// 422 when it is not a number from 1 to `most`.
    pub fn take_limit(&mut self, usual: u32, most: u32) -> Result<u32, ApiError> {
        let Some(text) = self.take("limit") else { return Ok(usual) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| fault(format!("`limit` must be a number from 1 to {most}")))
    }
}

/// A fault of a parameter, without a pointer into the body.
pub fn fault(detail: impl Into<String>) -> ApiError {
    ApiError::fault("invalid", "", detail)
}

/// Decodes form encoding, in which a plus sign is a space.
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    (!decoded.chars().any(char::is_control)).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn faults(query: &str) -> Vec<(String, bool)> {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        let Err(ApiError::Unacceptable { errors }) = Parameters::of(&uri, &["q", "limit"]) else {
            return Vec::new();
        };
        errors.into_iter().map(|fault| (fault.code, fault.detail.contains("`q`"))).collect()
    }

    #[test]
    fn parameters_are_known_once_and_text() {
        assert_eq!(faults(""), []);
        assert_eq!(faults("q=a+b%20c&limit=5&"), []);
        assert_eq!(faults("p=1"), [("unknown_parameter".to_owned(), true)]);
        assert_eq!(faults("q=1&q=1"), [("repeated_parameter".to_owned(), true)]);
        assert_eq!(faults("q=1&%71=1"), [("repeated_parameter".to_owned(), true)]);
        assert_eq!(faults("q=%ff"), [("invalid".to_owned(), true)]);
        assert_eq!(faults("q=a%00"), [("invalid".to_owned(), true)]);
    }

    #[test]
    fn parameters_are_decoded() {
        let uri: Uri = "/x?q=a+b%20%C3%A9%2B".parse().unwrap();
        let mut parameters = Parameters::of(&uri, &["q"]).unwrap();
        assert_eq!(parameters.take("q").as_deref(), Some("a b é+"));
        assert_eq!(parameters.take("q"), None);
    }

    #[test]
    fn a_flag_is_true_or_false_and_nothing_else() {
        let is = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            Parameters::of(&uri, &["urgent"]).unwrap().take_flag("urgent").ok()
        };
        assert_eq!((is(""), is("urgent=true"), is("urgent=false")), (Some(false), Some(true), Some(false)));
        for wrong in ["", "1", "TRUE", "yes", "+true"] {
            assert_eq!(is(&format!("urgent={wrong}")), None, "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_a_number_within_its_bounds() {
        let is = |query: &str| {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            Parameters::of(&uri, &["limit"]).unwrap().take_limit(50, 200).ok()
        };
        assert_eq!((is(""), is("limit=1"), is("limit=200")), (Some(50), Some(1), Some(200)));
        for wrong in ["0", "201", "-1", "1.5", "", "many", "99999999999"] {
            assert_eq!(is(&format!("limit={wrong}")), None, "{wrong}");
        }
    }
}

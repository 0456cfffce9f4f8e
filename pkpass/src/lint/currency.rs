//! Codes of currencies, in fields and in semantic tags.

use serde_json::{Map, Value};

use crate::finding::{Findings, quoted};
use crate::pointer::at;

/// ISO 4217: three capital letters.
pub(super) fn check_currency_code(findings: &mut Findings, pointer: &str, object: &Map<String, Value>) {
    if let Some(code) = object.get("currencyCode").and_then(Value::as_str)
        && !(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        let detail = format!("{} is not an ISO 4217 code such as EUR", quoted(code));
        findings.error("currency_code_invalid", &at(pointer, "currencyCode"), detail);
    }
}

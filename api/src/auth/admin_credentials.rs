//! Name and password of the operator of the configuration.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Name and password of the operator.
#[derive(Debug, Clone)]
pub struct AdminCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

impl AdminCredentials {
    /// Generated credentials, for an operator who set none.
    pub fn generated(password: SecretString) -> Self {
        Self { username: "admin".to_owned(), password }
    }

    /// Whether these are the decoded credentials of the Basic scheme (RFC 7617).
    pub(super) fn are(&self, shown: &[u8]) -> bool {
        let expected = format!("{}:{}", self.username, self.password.expose_secret());
        bool::from(shown.ct_eq(expected.as_bytes()))
    }
}

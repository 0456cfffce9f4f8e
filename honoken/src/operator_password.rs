//! The rule for an operator's password outside of `dev`: too long to be guessed at the pace that the limit on failed logins leaves.

use honoken_api::auth::admin_credentials::AdminCredentials;
use secrecy::ExposeSecret;

use crate::config::ConfigError;

/// The least number of characters.
pub const FEWEST: usize = 12;

/// Checks that `serve` accepts these credentials.
///
/// # Errors
/// When the password is too short; the sentence says what to do, and does not repeat it.
pub fn check(admin: &AdminCredentials) -> Result<(), ConfigError> {
    if admin.password.expose_secret().chars().count() >= FEWEST {
        return Ok(());
    }
    Err(ConfigError {
        variable: "HONOKEN_ADMIN_PASSWORD",
        problem: format!(
            "has less than {FEWEST} characters: set a longer one, such as `openssl rand -base64 24` makes"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(password: &str) -> bool {
        check(&AdminCredentials { username: "admin".into(), password: password.into() }).is_ok()
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert!(!is_taken("x") && !is_taken("elevenchars") && is_taken("twelve chars"));
        assert!(!is_taken(&"ü".repeat(11)) && is_taken(&"ü".repeat(12)));
    }

    #[test]
    fn a_refusal_names_the_variable_and_not_the_password() {
        let admin = AdminCredentials { username: "admin".into(), password: "hunter2".into() };
        let fault = check(&admin).unwrap_err().to_string();
        assert!(fault.starts_with("HONOKEN_ADMIN_PASSWORD") && !fault.contains("hunter2"), "{fault}");
    }
}

//! What `honoken import` takes from the environment: `HONOKEN_API_KEY`.

use secrecy::SecretString;

use super::variable::{ConfigError, Variable, Variables, secret};

pub(super) const VARIABLES: &[Variable] = &[secret(
    API_KEY,
    "API key that `honoken import` sends, of a key with the scope `passes:import` ([moving.md](moving.md))",
    "none; `--key-file` names a file",
)];

const API_KEY: &str = "HONOKEN_API_KEY";

pub(super) fn api_key(variable: Variables<'_>) -> Result<Option<SecretString>, ConfigError> {
    Ok(variable(API_KEY)?.map(SecretString::from))
}

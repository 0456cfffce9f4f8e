//! How to reach APNs, and a key for pushes: `APNS_…`, `HONOKEN_APNS_ENDPOINT`, `HONOKEN_APNS_CA_FILE`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use honoken_domain::ids::{ApnsKeyId, InvalidId, KeyIdentifier, TeamIdentifier};
use honoken_service::apns_keys::at_start::ConfiguredKey;
use honoken_service::apns_keys::file::KeyFile;
use honoken_service::pushing::options::ApnsOptions;
use openssl::error::ErrorStack;
use openssl::x509::X509;
use url::Url;
use zeroize::Zeroizing;

use super::variable::{ConfigError, Variable, Variables, read, secret};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "APNS_TEAM_ID",
        "the developer team of an APNs key that is installed at the first start ([other credentials](certificates.md#what-is-pushed-with)); set it together with the next two, or not at all",
        "none",
    ),
    read("APNS_KEY_ID", "the key id of the APNs key, ten characters, as Apple shows it", "none"),
    secret(
        "APNS_AUTH_KEY_P8",
        "the APNs key itself: the text of the `.p8` (with `\\n` for line breaks, if necessary), or the path of the file. It is installed unless a key of that team and id is or was installed; after that the variable is no longer needed",
        "none",
    ),
    read(
        "HONOKEN_APNS_ENDPOINT",
        "the server that receives the pushes instead of Apple's, `https://HOST:PORT`: for tests",
        "`https://api.push.apple.com`; in `dev` nothing is sent",
    ),
    read(
        "HONOKEN_APNS_CA_FILE",
        "a PEM file with the roots that the certificate of that server is checked with",
        "the roots of the operating system",
    ),
];

pub(super) fn apns(variable: Variables<'_>) -> Result<ApnsOptions, ConfigError> {
    Ok(ApnsOptions {
        endpoint: variable(ENDPOINT)?.map(|text| apns_endpoint(&text)).transpose()?,
        ca_file: variable(CA_FILE)?.map(|text| ca_file(&text)).transpose()?,
        key: apns_key([variable(TEAM_ID)?, variable(KEY_ID)?, variable(AUTH_KEY)?])?,
    })
}

const ENDPOINT: &str = "HONOKEN_APNS_ENDPOINT";
const CA_FILE: &str = "HONOKEN_APNS_CA_FILE";
const TEAM_ID: &str = "APNS_TEAM_ID";
const KEY_ID: &str = "APNS_KEY_ID";
const AUTH_KEY: &str = "APNS_AUTH_KEY_P8";

fn apns_endpoint(text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.path() == "/"
            && (url.query(), url.fragment(), url.password()) == (None, None, None)
            && url.username().is_empty()
    });
    url.ok_or_else(|| ConfigError {
        variable: ENDPOINT,
        problem: "must be https://, a host and perhaps a port, such as https://localhost:8443".to_owned(),
    })
}

fn ca_file(text: &str) -> Result<PathBuf, ConfigError> {
    let refuse = |problem: String| ConfigError { variable: CA_FILE, problem };
    let file = PathBuf::from(text);
    let bytes = file_of(&file)
        .map_err(|fault| refuse(format!("names a file that cannot be read: {} ({fault})", file.display())))?;
    let holds_one = X509::stack_from_pem(&bytes).is_ok_and(|found| !found.is_empty());
    if !holds_one {
        // Clears OpenSSL's error queue, which would otherwise be taken for the reason of the next failure.
        drop(ErrorStack::get());
        return Err(refuse(format!(
            "names a file without a certificate in it: {} must be PEM",
            file.display()
        )));
    }
    Ok(file)
}

fn apns_key([team, key, text]: [Option<String>; 3]) -> Result<Option<ConfiguredKey>, ConfigError> {
    let all = "is missing: set APNS_TEAM_ID, APNS_KEY_ID and APNS_AUTH_KEY_P8 together, or none of them";
    let (team, key, text) = match (team, key, text) {
        (None, None, None) => return Ok(None),
        (Some(team), Some(key), Some(text)) => (team, key, Zeroizing::new(text)),
        (None, _, _) => return Err(ConfigError { variable: TEAM_ID, problem: all.to_owned() }),
        (_, None, _) => return Err(ConfigError { variable: KEY_ID, problem: all.to_owned() }),
        (_, _, None) => return Err(ConfigError { variable: AUTH_KEY, problem: all.to_owned() }),
    };
    let refused = |variable| move |InvalidId { rule, .. }| ConfigError { variable, problem: rule.to_owned() };
    let id = ApnsKeyId {
        team_identifier: TeamIdentifier::parse(team).map_err(refused(TEAM_ID))?,
        key_identifier: KeyIdentifier::parse(key).map_err(refused(KEY_ID))?,
    };
    Ok(Some(ConfiguredKey { id, file: Arc::new(auth_key(&text)?) }))
}

/// Reads the text of a key, or the file it is in. Messages repeat neither: a text without its first line would be taken for a path.
fn auth_key(text: &str) -> Result<KeyFile, ConfigError> {
    let refuse = |problem: String| ConfigError { variable: AUTH_KEY, problem };
    let bytes = if text.contains("-----BEGIN") {
        Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n").into_bytes())
    } else {
        file_of(Path::new(text)).map_err(|fault| {
            refuse(format!(
                "is neither the text of a .p8 file, which begins with -----BEGIN PRIVATE KEY-----, nor the path of a file that can be read ({fault})"
            ))
        })?
    };
    KeyFile::read(&bytes).map_err(|fault| refuse(format!("is not usable: {fault}")))
}

/// The limit on the size of a file that a variable names.
const FILE_BYTES: u64 = 1024 * 1024;

fn file_of(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(file)?.take(FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

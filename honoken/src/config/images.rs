//! Where images are: `HONOKEN_ASSETS_URL`, and the secrets that open stores on other machines.

use honoken_service::image_store::{Credentials, ImageOptions, Place, PlaceFault};
use secrecy::SecretString;

use super::variable::{ConfigError, Variable, Variables, parsed, read, secret};

const URL: &str = "HONOKEN_ASSETS_URL";

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        URL,
        "the place of the images ([more](operating.md#where-images-are)): `fs:PATH`, a folder; `s3://BUCKET/PREFIX?region=REGION`, with `&endpoint=https://HOST:PORT` where it is not AWS; `redis://USER:PASSWORD@HOST:6379/0` (`rediss://` with TLS); `vercel-blob:`; `memory:`, for trials: it ends with the process. All but `fs:` and `memory:` need a program built with the feature `full`, as released ones are",
        "`blobs` in the data folder",
    ),
    read(
        "HONOKEN_ASSETS_CACHE_MIB",
        "the most MiB of images of a store on another machine that are kept in `image-cache/` in the data folder; `0`: none",
        "`1024`",
    ),
    read(
        "AWS_ACCESS_KEY_ID",
        "the key id with which a bucket of `s3://` is opened; set it together with the next",
        "none",
    ),
    secret("AWS_SECRET_ACCESS_KEY", "the key with that id", "none"),
    secret("AWS_SESSION_TOKEN", "the token that belongs to them, if they are temporary", "none"),
    secret(
        "HONOKEN_IMAGES_READ_WRITE_TOKEN",
        "the token with which Vercel Blob (`vercel-blob:`) is opened",
        "`BLOB_READ_WRITE_TOKEN`",
    ),
    secret("BLOB_READ_WRITE_TOKEN", "the same, under the name that Vercel gives it", "none"),
];

/// Bytes of the cache, if nothing else is said: 1 GiB.
const CACHE_MIB: u32 = 1024;

pub(super) fn images(variable: Variables<'_>) -> Result<ImageOptions, ConfigError> {
    let credentials = credentials(variable)?;
    let place = variable(URL)?.map(|text| place(&text, URL, &credentials)).transpose()?;
    let must_be = "a number of MiB from 0 on";
    let mebibytes = parsed::<u32>(variable, "HONOKEN_ASSETS_CACHE_MIB", must_be)?.unwrap_or(CACHE_MIB);
    Ok(ImageOptions { place, cache_bytes: u64::from(mebibytes) * 1024 * 1024 })
}

/// Whether a text is a URL, and no path: it begins with a scheme.
pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Reads the URL of an image store; `origin` is the variable or option that has it.
pub(super) fn place(
    text: &str,
    origin: &'static str,
    credentials: &Credentials,
) -> Result<Place, ConfigError> {
    Place::parse(text, credentials).map_err(|fault| match fault {
        PlaceFault::Url(problem) => ConfigError { variable: origin, problem },
        PlaceFault::Missing { variable, problem } => ConfigError { variable, problem: problem.to_owned() },
    })
}

pub(super) fn credentials(variable: Variables<'_>) -> Result<Credentials, ConfigError> {
    let secret = |name| Ok(variable(name)?.map(SecretString::from));
    let own = secret("HONOKEN_IMAGES_READ_WRITE_TOKEN")?;
    Ok(Credentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: secret("AWS_SECRET_ACCESS_KEY")?,
        session_token: secret("AWS_SESSION_TOKEN")?,
        vercel_token: own.or(secret("BLOB_READ_WRITE_TOKEN")?),
    })
}

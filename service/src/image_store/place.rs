//! The places where images can be, and how they are written in `HONOKEN_ASSETS_URL`.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

/// Where images are. Its text, as in log output, holds no secret.
#[derive(Debug, Clone)]
pub enum Place {
    /// `fs:PATH`: in a folder.
    Folder(PathBuf),
    /// `memory:`: in the memory of the process, for as long as it runs.
    Memory,
    /// In a store on another machine. Only programs with the feature `full` can use one.
    Remote(Remote),
}

/// A store on another machine.
#[derive(Debug, Clone)]
pub enum Remote {
    /// `s3://BUCKET/PREFIX?region=&endpoint=`: S3, or a store that speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// What the names of all objects begin with, without slashes around it; may be empty.
        prefix: String,
        /// The region.
        region: String,
        /// The address of the server, without a path; `None`: that of AWS in the region.
        endpoint: Option<String>,
        /// `AWS_ACCESS_KEY_ID`.
        access_key_id: String,
        /// `AWS_SECRET_ACCESS_KEY`.
        secret_access_key: SecretString,
        /// `AWS_SESSION_TOKEN`, which temporary keys have.
        session_token: Option<SecretString>,
    },
    /// `redis://USER:PASSWORD@HOST:PORT/DATABASE/PREFIX`, or `rediss://…` with TLS.
    Redis {
        /// Scheme, host and port.
        endpoint: String,
        /// The user, if not the default one.
        username: Option<String>,
        /// The password.
        password: Option<SecretString>,
        /// The number of the database.
        database: i64,
        /// What the keys of all images begin with, without slashes around it.
        prefix: String,
    },
    /// `vercel-blob:PREFIX`: Vercel Blob.
    VercelBlob {
        /// What the names of all blobs begin with, without slashes around it; may be empty.
        prefix: String,
        /// The token that may read and write.
        token: SecretString,
    },
}

/// The secrets that open remote stores and stand in no URL.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<SecretString>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<SecretString>,
    /// `HONOKEN_IMAGES_READ_WRITE_TOKEN`, else `BLOB_READ_WRITE_TOKEN`.
    pub vercel_token: Option<SecretString>,
}

/// A place that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceFault {
    /// The fault of the URL, as the rest of a sentence about it. The URL may hold a password and is not repeated.
    Url(String),
    /// A variable that the place needs is missing.
    Missing {
        /// Its name.
        variable: &'static str,
        /// The rest of the sentence.
        problem: &'static str,
    },
}

/// What the keys in a Redis begin with unless its URL says otherwise: others may use the same database.
const REDIS_PREFIX: &str = "honoken-images";

/// The region of servers that have none, and of those that are asked under an address of their own.
const ANY_REGION: &str = "us-east-1";

/// The forms of the URL.
const FORMS: &str = "must be fs:PATH, s3://BUCKET/PREFIX?region=REGION&endpoint=URL, redis://HOST:PORT/DATABASE, rediss://…, vercel-blob: or memory:";

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`PlaceFault`] when it has no known form, misses something, or names a store that this program was built without.
    pub fn parse(text: &str, credentials: &Credentials) -> Result<Self, PlaceFault> {
        Self::read(text, credentials, cfg!(feature = "full"))
    }

    fn read(text: &str, credentials: &Credentials, is_full: bool) -> Result<Self, PlaceFault> {
        let Some((scheme, rest)) = text.split_once(':') else { return Err(url_fault(FORMS)) };
        if let ("s3" | "redis" | "rediss" | "vercel-blob", false) = (scheme, is_full) {
            return Err(url_fault(&format!(
                "names an image store of the kind {scheme}, and this program was built without the feature `full`: use a released program, build with \
                 `cargo build --release --features full`, or keep images in a folder (fs:PATH)"
            )));
        }
        match scheme {
            "fs" => folder(rest),
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "s3" => s3(text, credentials).map(Self::Remote),
            "redis" | "rediss" => redis(text).map(Self::Remote),
            "vercel-blob" => vercel_blob(rest, credentials).map(Self::Remote),
            _ => Err(url_fault(FORMS)),
        }
    }

    /// The place whose names are those of this one that begin with `name` and a slash.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let mut place = self.clone();
        match &mut place {
            Self::Folder(folder) => folder.push(name),
            Self::Memory => {}
            Self::Remote(
                Remote::S3 { prefix, .. } | Remote::Redis { prefix, .. } | Remote::VercelBlob { prefix, .. },
            ) => {
                if !prefix.is_empty() {
                    prefix.push('/');
                }
                prefix.push_str(name);
            }
        }
        place
    }

    /// The place that this one is below, and the last part of its name; `None` where there is none.
    pub fn split(&self) -> Option<(Self, String)> {
        let mut place = self.clone();
        let Self::Remote(
            Remote::S3 { prefix, .. } | Remote::Redis { prefix, .. } | Remote::VercelBlob { prefix, .. },
        ) = &mut place
        else {
            return None;
        };
        let whole = std::mem::take(prefix);
        let (rest, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
        rest.clone_into(prefix);
        let name = name.to_owned();
        (!name.is_empty()).then_some((place, name))
    }

    /// Whether the store is on another machine.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(formatter, "fs:{}", folder.display()),
            Self::Memory => formatter.write_str("memory:"),
            Self::Remote(Remote::S3 { bucket, prefix, region, endpoint, .. }) => {
                write!(formatter, "s3://{bucket}/{prefix}")?;
                match endpoint {
                    Some(endpoint) => write!(formatter, " at {endpoint}"),
                    None => write!(formatter, " in {region}"),
                }
            }
            Self::Remote(Remote::Redis { endpoint, database, prefix, .. }) => {
                write!(formatter, "{endpoint}/{database}/{prefix}")
            }
            Self::Remote(Remote::VercelBlob { prefix, .. }) => write!(formatter, "vercel-blob:{prefix}"),
        }
    }
}

fn url_fault(problem: &str) -> PlaceFault {
    PlaceFault::Url(problem.to_owned())
}

fn folder(rest: &str) -> Result<Place, PlaceFault> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(url_fault("must name a folder: use one like fs:/var/lib/honoken/images"));
    }
    Ok(Place::Folder(path.into()))
}

fn s3(text: &str, credentials: &Credentials) -> Result<Remote, PlaceFault> {
    let example = "use one like s3://bucket/prefix?region=eu-central-1";
    let refuse = |problem: &str| url_fault(&format!("{problem}: {example}"));
    let url = Url::parse(text).map_err(|_| refuse("is not the URL of a bucket"))?;
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(refuse(
            "must name a bucket alone, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and the server in endpoint=",
        ));
    }
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
    let bucket = bucket.ok_or_else(|| refuse("must name a bucket"))?.to_owned();
    let (mut region, mut endpoint) = (None, None);
    for (name, value) in url.query_pairs().filter(|(_, value)| !value.is_empty()) {
        match &*name {
            "region" => region = Some(value.into_owned()),
            "endpoint" => endpoint = Some(server(&value)?),
            _ => return Err(refuse("has a parameter other than region and endpoint")),
        }
    }
    if region.is_none() && endpoint.is_none() {
        return Err(refuse("must name a region, or the endpoint of a server that is not of AWS"));
    }
    let missing = |variable| PlaceFault::Missing {
        variable,
        problem: "is missing: the bucket of images is opened with it",
    };
    Ok(Remote::S3 {
        bucket,
        prefix: prefix(url.path())?,
        region: region.unwrap_or_else(|| ANY_REGION.to_owned()),
        endpoint,
        access_key_id: credentials.access_key_id.clone().ok_or_else(|| missing("AWS_ACCESS_KEY_ID"))?,
        secret_access_key: credentials
            .secret_access_key
            .clone()
            .ok_or_else(|| missing("AWS_SECRET_ACCESS_KEY"))?,
        session_token: credentials.session_token.clone(),
    })
}

/// The address of a server that speaks the protocol of S3.
fn server(text: &str) -> Result<String, PlaceFault> {
    let refuse = || url_fault("has an endpoint that is not like https://HOST:PORT");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let is_alone =
        url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_alone {
        return Err(refuse());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn redis(text: &str) -> Result<Remote, PlaceFault> {
    let refuse = || url_fault("is not the URL of a Redis: use one like rediss://:PASSWORD@HOST:6379/0");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(refuse)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse());
    }
    let decoded = |text: &str| {
        let plain = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| refuse())?;
        Ok(Some(plain.into_owned()).filter(|plain| !plain.is_empty()))
    };
    let path = prefix(url.path())?;
    let (first, rest) = path.split_once('/').unwrap_or((&path, ""));
    let database = match first {
        "" => 0,
        number => number.parse().ok().filter(|number| *number >= 0).ok_or_else(refuse)?,
    };
    Ok(Remote::Redis {
        endpoint: format!("{}://{host}:{}", url.scheme(), url.port().unwrap_or(6379)),
        username: decoded(url.username())?,
        password: decoded(url.password().unwrap_or_default())?.map(SecretString::from),
        database,
        prefix: if rest.is_empty() { REDIS_PREFIX } else { rest }.to_owned(),
    })
}

fn vercel_blob(rest: &str, credentials: &Credentials) -> Result<Remote, PlaceFault> {
    let token = credentials.vercel_token.clone().ok_or(PlaceFault::Missing {
        variable: "HONOKEN_IMAGES_READ_WRITE_TOKEN",
        problem: "is missing (as is BLOB_READ_WRITE_TOKEN): Vercel Blob is opened with it",
    })?;
    Ok(Remote::VercelBlob { prefix: prefix(rest)?, token })
}

/// What all names begin with, without slashes around it.
fn prefix(path: &str) -> Result<String, PlaceFault> {
    let path = path.trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !path.chars().all(is_plain) || path.split('/').any(|part| part == "." || part == "..") {
        return Err(url_fault("has a prefix with characters other than letters, digits and -_./"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn all() -> Credentials {
        Credentials {
            access_key_id: Some("AKIA".into()),
            secret_access_key: Some("hush".into()),
            session_token: None,
            vercel_token: Some("vercel_blob_rw_hush".into()),
        }
    }

    fn written(text: &str) -> String {
        Place::read(text, &all(), true).unwrap().to_string()
    }

    #[test]
    fn every_kind_of_place_is_read_and_shown_without_secrets() {
        for (text, shown) in [
            ("fs:/srv/images", "fs:/srv/images"),
            ("fs:///srv/images", "fs:/srv/images"),
            ("fs:images", "fs:images"),
            ("memory:", "memory:"),
            ("s3://passes/images/?region=eu-central-1", "s3://passes/images in eu-central-1"),
            ("s3://passes?endpoint=http://127.0.0.1:9000/", "s3://passes/ at http://127.0.0.1:9000"),
            ("redis://localhost", "redis://localhost:6379/0/honoken-images"),
            ("rediss://user:hush@cache.example:6380/2/ours", "rediss://cache.example:6380/2/ours"),
            ("vercel-blob:", "vercel-blob:"),
            ("vercel-blob:images", "vercel-blob:images"),
        ] {
            assert_eq!(written(text), shown);
        }
        let place = Place::read("redis://:hu%73h@localhost", &all(), true).unwrap();
        assert!(!format!("{place:?}").contains("hush"), "{place:?}");
        let Place::Remote(Remote::Redis { username: None, password: Some(password), .. }) = place else {
            panic!("{place:?}");
        };
        assert_eq!(password.expose_secret(), "hush");
        for url in ["s3://passes?region=a", "vercel-blob:"] {
            let place = Place::read(url, &all(), true).unwrap();
            assert!(!format!("{place:?} {place}").contains("hush"), "{place:?}");
        }
    }

    #[test]
    fn a_place_is_below_another_one() {
        for (text, below) in [
            ("fs:/srv/backups", "fs:/srv/backups/images"),
            ("s3://bucket?region=a", "s3://bucket/images in a"),
            ("s3://bucket/a/b?region=a", "s3://bucket/a/b/images in a"),
            ("vercel-blob:", "vercel-blob:images"),
        ] {
            let place = Place::read(text, &all(), true).unwrap();
            assert_eq!(place.below("images").to_string(), below);
            if place.is_remote() {
                let (parent, name) = place.below("images").split().unwrap();
                assert_eq!((parent.to_string(), &*name), (place.to_string(), "images"));
            }
        }
        assert!(Place::read("vercel-blob:", &all(), true).unwrap().split().is_none());
    }

    #[test]
    fn what_is_no_place_is_refused_without_repeating_it() {
        for text in [
            "/srv/images",
            "fs:",
            "ftp://hush",
            "memory://hush",
            "s3://",
            "s3://passes",
            "s3://hush:hush@passes?region=a",
            "s3://passes?region=a&acl=hush",
            "s3://passes?endpoint=hush",
            "s3://passes?endpoint=https://hush@s3.example",
            "s3://passes/hush hush?region=a",
            "s3://passes/..%2Fhush?region=a",
            "redis://",
            "redis://:hush@localhost/name",
            "redis://:hush@localhost?protocol=3",
            "vercel-blob:hush?token=hush",
        ] {
            match Place::read(text, &all(), true) {
                Err(PlaceFault::Url(problem)) => assert!(!problem.contains("hush"), "{text}: {problem}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_missing_secret_is_named_by_its_variable() {
        for (text, expected) in [
            ("s3://passes?region=a", "AWS_ACCESS_KEY_ID"),
            ("vercel-blob:", "HONOKEN_IMAGES_READ_WRITE_TOKEN"),
        ] {
            match Place::read(text, &Credentials::default(), true) {
                Err(PlaceFault::Missing { variable, .. }) => assert_eq!(variable, expected),
                other => panic!("{text}: {other:?}"),
            }
        }
        let half = Credentials { secret_access_key: None, ..all() };
        let fault = Place::read("s3://passes?region=a", &half, true).unwrap_err();
        assert!(matches!(fault, PlaceFault::Missing { variable: "AWS_SECRET_ACCESS_KEY", .. }), "{fault:?}");
    }

    #[test]
    fn a_program_without_remote_stores_says_how_to_get_one_with_them() {
        for text in ["s3://passes?region=a", "redis://:hush@localhost", "rediss://localhost", "vercel-blob:"]
        {
            match Place::read(text, &Credentials::default(), false) {
                Err(PlaceFault::Url(problem)) => {
                    assert!(problem.contains("--features full") && !problem.contains("hush"), "{problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["fs:/srv/images", "memory:"] {
            Place::read(text, &Credentials::default(), false).unwrap();
        }
    }
}

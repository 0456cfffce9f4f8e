//! The URL of an event log on KurrentDB.

use std::fmt;

use eventstore::ClientSettings;

/// The names of streams begin with it, if the URL does not say otherwise.
const PREFIX: &str = "honoken";

/// The longest prefix.
const PREFIX_LENGTH: usize = 40;

/// The parameter of the URL that is ours; all others are the client's.
const PREFIX_PARAMETER: &str = "prefix";

/// The parameter for how long the client rests before each attempt to connect, the first one included.
const REST: &str = "discoveryinterval=";

/// Instead of the client's half a second, which every command of an operator would wait.
const SHORT_REST: &str = "discoveryInterval=100";

/// The server, and the prefix of the streams that are this event log.
#[derive(Clone)]
pub struct Address {
    pub(super) settings: ClientSettings,
    prefix: String,
}

impl Address {
    /// Reads `esdb://USER:PASSWORD@HOST:2113?tls=true&prefix=honoken` and all other forms of the client's connection strings, with one parameter of
    /// our own: `prefix`, 1 to 40 of `A-Z a-z 0-9 .`, by which event logs on one server differ.
    ///
    /// # Errors
    /// The fault as a part of a sentence. It does not repeat the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut prefix, mut kept) = (PREFIX.to_owned(), Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case(PREFIX_PARAMETER) => {
                    value.clone_into(&mut prefix);
                }
                _ => kept.push(parameter),
            }
        }
        let is_of_prefix = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
        if !(1..=PREFIX_LENGTH).contains(&prefix.len()) || !prefix.chars().all(is_of_prefix) {
            return Err("has a prefix that is not 1 to 40 letters, digits or dots".to_owned());
        }
        let is_rest = |parameter: &&str| parameter.to_ascii_lowercase().starts_with(REST);
        if !kept.iter().any(is_rest) {
            kept.push(SHORT_REST);
        }
        let rest = format!("{base}?{}", kept.join("&"));
        let settings: ClientSettings = rest.parse().map_err(|_| {
            "is not the URL of a KurrentDB: use one like esdb://USER:PASSWORD@HOST:2113, or esdb://HOST:2113?tls=false"
                .to_owned()
        })?;
        Ok(Self { settings, prefix })
    }

    /// The beginning of the names of all streams with events of aggregates, and of no others.
    pub(super) fn events(&self) -> String {
        format!("{}_", self.prefix)
    }

    /// Whether a stream has events of an aggregate of this log.
    pub(super) fn is_of_aggregates(&self, stream: &str) -> bool {
        stream.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('_'))
    }

    /// The stream of an aggregate.
    pub(super) fn stream(&self, aggregate_type: &str, aggregate_id: &str) -> String {
        format!("{}_{aggregate_type}-{aggregate_id}", self.prefix)
    }

    /// The type and the id of the aggregate with this stream. Another name is the id of an aggregate without a type.
    pub(super) fn aggregate<'a>(&self, stream: &'a str) -> (&'a str, &'a str) {
        let name =
            stream.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(stream);
        name.split_once('-').unwrap_or(("", name))
    }

    /// The stream with the epoch and the marks.
    pub(super) fn about(&self) -> String {
        format!("{}-log", self.prefix)
    }

    /// The stream with the names of aggregates that have to be found without reading the log.
    pub(super) fn listed(&self) -> String {
        format!("{}-listed", self.prefix)
    }

    /// The stream with the stored states of an aggregate.
    pub(super) fn snapshots(&self, aggregate_type: &str, aggregate_id: &str) -> String {
        format!("{}-snapshot-{aggregate_type}-{aggregate_id}", self.prefix)
    }

    /// Whether two addresses lead to one event log. Two names of one server are not noticed.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.prefix == other.prefix
            && self.settings.hosts().iter().any(|host| other.settings.hosts().contains(host))
    }
}

/// The servers and the prefix, without secrets: `db.example.com:2113 (streams honoken_…)`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.settings.hosts().iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}:{}", host.host, host.port)?;
        }
        write!(f, " (streams {}…)", self.events())
    }
}

/// The client's settings show a password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_and_a_prefix() {
        let address =
            Address::parse("esdb://admin:hush@db.example.com:2113?tls=false&prefix=tickets.eu").unwrap();
        assert_eq!(address.to_string(), "db.example.com:2113 (streams tickets.eu_…)");
        assert_eq!(address.stream("Pass", "a-b/1-2"), "tickets.eu_Pass-a-b/1-2");
        assert_eq!(address.aggregate("tickets.eu_Pass-a-b/1-2"), ("Pass", "a-b/1-2"));
        assert!(!address.settings.is_secure_mode_enabled());
        assert!(!format!("{address:?}").contains("hush"));
        for other in [
            "kurrentdb://db.example.com",
            "esdb+discover://db.example.com:2113",
            "esdb://one:1,two:2?tls=false",
        ] {
            assert!(Address::parse(other).unwrap().stream("Job", "1") == "honoken_Job-1", "{other}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        let wrong = [
            "esdb://admin:hush@",
            "postgres://admin:hush@db",
            "esdb://admin:hush@db:port",
            "esdb://admin:hush@db?prefix=a-b",
            "esdb://admin:hush@db?prefix=a_b",
            "esdb://admin:hush@db?prefix=",
            "esdb://admin:hush@db/path",
            "esdb://admin:hush@db?tls=perhaps",
        ];
        for url in wrong {
            let fault = Address::parse(url).unwrap_err();
            assert!(!fault.contains("hush"), "{url}: {fault}");
        }
    }
}

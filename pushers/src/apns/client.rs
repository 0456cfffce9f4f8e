//! One push, from its credential to its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use http::uri::Authority;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::{Host, Url};

use super::connection::{Answer, Broken, Connection, Destination, NoConnection};
use super::options::{InvalidOptions, Options};
use super::pool::{NoLease, Pool, Tasks};
use super::provider_token::{Bearer, LEAST_DISTANCE_SECONDS, NoToken, ProviderToken};
use super::reasons::{Decision, decide};
use super::request::Requests;
use super::tls::{Trust, Unusable};
use crate::outcome::{LONGEST_RETRY_AFTER, Outcome, RetryScope};
use crate::ports::{Apns, Clock, Credential, Push};

/// How often a push that the server has not worked on is sent again at once.
const RESENDS: u32 = 3;

/// Credentials with connections of their own at most; beyond these, the connections of the one that was not used for longest are closed.
const MAX_POOLS: usize = 1024;

/// Connections of a credential that was not used for that long are closed when another credential comes.
const IDLE_POOL: Duration = Duration::from_hours(24);

/// A reason is remembered up to this length. Apple's are half as long.
const MAX_REASON_CHARACTERS: usize = 64;

/// The client of APNs. One is enough for a process: connections are shared by all pushes of a credential, and kept.
pub struct ApnsClient {
    options: Arc<Options>,
    time: Arc<dyn Clock>,
    trust: Trust,
    authority: Authority,
    destination: Destination,
    pools: Mutex<Pools>,
    tasks: Tasks,
}

#[derive(Default)]
struct Pools {
    /// By the address of the credential, which lives as long as its entry.
    by_address: HashMap<usize, (Credential, Arc<Pool>)>,
    by_id: HashMap<String, Arc<Pool>>,
}

impl ApnsClient {
    /// A client that connects when there is something to push.
    ///
    /// # Errors
    /// When nothing could ever be pushed like this.
    pub fn new(options: Options, time: Arc<dyn Clock>) -> Result<Self, InvalidOptions> {
        let destination = destination(&options.endpoint)?;
        let authority = authority(&options.endpoint, &destination)?;
        let trust = Trust::of(&options)?;
        Ok(Self {
            options: Arc::new(options),
            time,
            trust,
            authority,
            destination,
            pools: Mutex::default(),
            tasks: Tasks { tracker: TaskTracker::new(), stop: CancellationToken::new() },
        })
    }

    /// Ends all connections, and waits for that. Pushes in flight end too, as if their connection had been lost.
    pub async fn close(&self) {
        self.tasks.stop.cancel();
        self.tasks.tracker.close();
        self.tasks.tracker.wait().await;
    }

    /// The connections of a credential.
    fn pool(&self, credential: &Credential) -> Result<Arc<Pool>, Unusable> {
        let address = address(credential);
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.by_address.get(&address) {
            return Ok(Arc::clone(pool));
        }
        let id = credential.id();
        if let Some(pool) = pools.by_id.get(&id) {
            return Ok(Arc::clone(pool));
        }
        let tls = self.trust.client(credential)?;
        let provider_token = match credential {
            Credential::Key(key) => Some(ProviderToken::new(Arc::clone(key))),
            Credential::Certificate(_) => None,
        };
        let requests = Requests::new(self.authority.clone(), &self.options);
        let destination = self.destination.clone();
        let pool = Pool::new(
            provider_token,
            requests,
            tls,
            destination,
            Arc::clone(&self.options),
            self.tasks.clone(),
        );
        let pool = Arc::new(pool);
        pools.make_room(credential);
        pools.by_address.insert(address, (credential.clone(), Arc::clone(&pool)));
        pools.by_id.insert(id, Arc::clone(&pool));
        Ok(pool)
    }

    async fn attempts(&self, pool: &Arc<Pool>, push: &Push, asked: &mut Option<Arc<Connection>>) -> Outcome {
        let mut tried = Tried::default();
        loop {
            let lease = match pool.lease().await {
                Ok(lease) => lease,
                Err(none) => return without_connection(none),
            };
            let now = self.time.unix_ms();
            let seconds = now.div_euclid(1000);
            let bearer = match pool.provider_token.as_ref().map(|token| token.at(seconds)).transpose() {
                Ok(bearer) => bearer,
                Err(error) => return without_token(&error),
            };
            let Ok(request) = pool.requests.of(push, bearer.as_ref(), seconds) else {
                return Outcome::Refused { reason: "the push cannot be written as a request".to_owned() };
            };
            *asked = Some(Arc::clone(&lease.connection));
            let answer = lease.connection.ask(request).await;
            *asked = None;
            let outcome = match answer {
                Err(broken) => tried.broken(&lease.connection, &broken),
                Ok(answer) => {
                    // The answer of a server that fails, or refuses this service, shows nothing about the token.
                    pool.answered(&lease, !matches!(answer.status, 403 | 429 | 500..));
                    let answer = ParsedAnswer::read(&answer, now);
                    tried.answered(
                        answer,
                        &lease.connection,
                        pool.provider_token.as_ref().zip(bearer),
                        seconds,
                    )
                }
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

impl Apns for ApnsClient {
    async fn push(&self, credential: &Credential, push: &Push) -> Outcome {
        let pool = match self.pool(credential) {
            Ok(pool) => pool,
            Err(error) => return Outcome::Misconfigured { reason: error.to_string() },
        };
        let limit = self.options.time_limit;
        let mut asked = None;
        {
            // Pinned here, since it is large and a timeout would move it once more.
            let attempts = std::pin::pin!(self.attempts(&pool, push, &mut asked));
            if let Ok(outcome) = tokio::time::timeout(limit, attempts).await {
                return outcome;
            }
        }
        let reason = match asked {
            Some(connection) => {
                connection.doubt();
                format!("no answer within {limit:?}")
            }
            None => format!("no free stream on a connection to APNs within {limit:?}"),
        };
        Outcome::Retry { reason, after: None, scope: RetryScope::Credential }
    }
}

impl Drop for ApnsClient {
    fn drop(&mut self) {
        self.tasks.stop.cancel();
    }
}

impl std::fmt::Debug for ApnsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApnsClient({})", self.options.endpoint)
    }
}

impl Pools {
    /// Closes the pools of credentials that this one replaces, or that are not used. Pushes in flight there end first.
    fn make_room(&mut self, credential: &Credential) {
        let now = Instant::now();
        let replaces = |old: &Credential| match (old, credential) {
            (Credential::Key(old), Credential::Key(new)) => {
                (&old.team_id, &old.key_id) == (&new.team_id, &new.key_id)
            }
            _ => false,
        };
        self.by_address.retain(|_, (old, pool)| {
            !replaces(old) && now.saturating_duration_since(pool.used()) < IDLE_POOL
        });
        while self.by_address.len() >= MAX_POOLS
            && let Some((&oldest, _)) = self.by_address.iter().min_by_key(|(_, (_, pool))| pool.used())
        {
            self.by_address.remove(&oldest);
        }
        let kept: Vec<*const Pool> = self.by_address.values().map(|(_, pool)| Arc::as_ptr(pool)).collect();
        self.by_id.retain(|_, pool| kept.contains(&Arc::as_ptr(pool)));
    }
}

/// The remedies that were tried for one push already, so that none is tried for ever.
#[derive(Default)]
struct Tried {
    resent: u32,
    lost: bool,
    other_connection: bool,
    other_token: bool,
}

impl Tried {
    /// A request without an answer: the outcome, or `None` to send it again.
    fn broken(&mut self, connection: &Connection, broken: &Broken) -> Option<Outcome> {
        if let Some(reason) = connection.refusal() {
            return Some(Outcome::Misconfigured { reason });
        }
        if broken.connection {
            connection.retire();
        }
        let again = if broken.unprocessed {
            self.resent += 1;
            self.resent <= RESENDS
        } else {
            // The phone may be pushed to twice, which costs less than not at all.
            !std::mem::replace(&mut self.lost, true)
        };
        (!again).then(|| Outcome::Retry {
            reason: tidy(&broken.why),
            after: None,
            scope: RetryScope::Credential,
        })
    }

    /// An answer: the outcome, or `None` to send the push again.
    fn answered(
        &mut self,
        answer: ParsedAnswer,
        connection: &Connection,
        token: Option<(&ProviderToken, Bearer)>,
        now: i64,
    ) -> Option<Outcome> {
        let ParsedAnswer { status, reason, since_ms, after, apns_id } = answer;
        let outcome = match decide(status, &reason) {
            Decision::Accepted => return Some(Outcome::Accepted { apns_id }),
            Decision::TokenDead { certain } => {
                Outcome::TokenDead { reason: reason_or_status(status, &reason), since_ms, certain }
            }
            Decision::Retry(scope) => {
                Outcome::Retry { reason: reason_or_status(status, &reason), after, scope }
            }
            Decision::Misconfigured => Outcome::Misconfigured { reason: reason_or_status(status, &reason) },
            Decision::Refused => Outcome::Refused { reason: reason_or_status(status, &reason) },
            Decision::AnotherConnection => {
                connection.retire();
                if !std::mem::replace(&mut self.other_connection, true) {
                    return None;
                }
                Outcome::Retry { reason, after, scope: RetryScope::Credential }
            }
            decision @ (Decision::NewProviderToken | Decision::SignAgain) => {
                let made = token.map(|(token, sent)| match decision {
                    Decision::SignAgain => token.sign_again(sent.number, now),
                    _ => token.renew(sent.number, now),
                });
                if matches!(made, Some(Ok(()))) && !std::mem::replace(&mut self.other_token, true) {
                    return None;
                }
                Outcome::Misconfigured { reason }
            }
            Decision::FewerProviderTokens => {
                // Apple refuses everything on this connection for a while.
                connection.retire();
                let older = token.is_some_and(|(token, sent)| token.pause(sent.number, now));
                if older && !std::mem::replace(&mut self.other_token, true) {
                    return None;
                }
                let pause = Duration::from_secs(LEAST_DISTANCE_SECONDS.unsigned_abs());
                Outcome::Retry { reason, after: after.or(Some(pause)), scope: RetryScope::Credential }
            }
        };
        Some(outcome)
    }
}

/// An answer, as far as it matters.
struct ParsedAnswer {
    status: u16,
    /// Empty where there is none.
    reason: String,
    since_ms: Option<i64>,
    after: Option<Duration>,
    apns_id: Option<String>,
}

/// The body of a refusal. Reasons are text, since unknown ones are kept too.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    timestamp: Option<serde_json::Value>,
}

impl ParsedAnswer {
    /// `now` in Unix milliseconds.
    fn read(answer: &Answer, now: i64) -> Self {
        // Most answers are 200 and have none.
        let body: Option<Body> =
            (!answer.body.is_empty()).then(|| serde_json::from_slice(&answer.body).ok()).flatten();
        let (reason, timestamp) = body.map(|body| (body.reason, body.timestamp)).unwrap_or_default();
        let apns_id = answer.headers.get("apns-id").and_then(|value| value.to_str().ok());
        Self {
            status: answer.status,
            reason: tidy(&reason),
            since_ms: timestamp.and_then(|timestamp| timestamp.as_i64()).filter(|since| *since > 0),
            after: retry_after(&answer.headers, now),
            apns_id: apns_id.map(tidy),
        }
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3). Apple documents no such header.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        at.saturating_sub(Duration::from_millis(u64::try_from(now).unwrap_or(0)))
    };
    Some(after.min(LONGEST_RETRY_AFTER))
}

/// The reason, or the status where there is none.
fn reason_or_status(status: u16, reason: &str) -> String {
    if reason.is_empty() { format!("status {status} without a reason") } else { reason.to_owned() }
}

/// Text from outside as it may stand in log output and in a table: short, visible, on one line.
fn tidy(text: &str) -> String {
    if text.len() <= MAX_REASON_CHARACTERS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(MAX_REASON_CHARACTERS).collect()
}

fn without_connection(none: NoLease) -> Outcome {
    match none.why {
        NoConnection::Misconfigured(reason) => Outcome::Misconfigured { reason },
        NoConnection::Failed(reason) => {
            Outcome::Retry { reason, after: none.after, scope: RetryScope::Credential }
        }
    }
}

fn without_token(error: &NoToken) -> Outcome {
    let reason = error.to_string();
    match error {
        NoToken::Paused { seconds } => {
            let after = Some(Duration::from_secs(seconds.unsigned_abs()));
            Outcome::Retry { reason, after, scope: RetryScope::Credential }
        }
        NoToken::NotAgain | NoToken::Key(_) | NoToken::Text(_) => Outcome::Misconfigured { reason },
    }
}

fn address(credential: &Credential) -> usize {
    match credential {
        Credential::Key(key) => Arc::as_ptr(key).addr(),
        Credential::Certificate(certificate) => Arc::as_ptr(certificate).addr(),
    }
}

fn destination(endpoint: &Url) -> Result<Destination, InvalidOptions> {
    let plain =
        matches!(endpoint.path(), "" | "/") && endpoint.query().is_none() && endpoint.fragment().is_none();
    let anonymous = endpoint.username().is_empty() && endpoint.password().is_none();
    if endpoint.scheme() != "https" || !plain || !anonymous {
        return Err(InvalidOptions::Endpoint);
    }
    let (host, name) = match endpoint.host().ok_or(InvalidOptions::Endpoint)? {
        Host::Domain(name) => {
            let server = ServerName::try_from(name.to_owned()).map_err(|_| InvalidOptions::Endpoint)?;
            (name.to_owned(), server)
        }
        Host::Ipv4(address) => {
            (address.to_string(), ServerName::IpAddress(std::net::IpAddr::from(address).into()))
        }
        Host::Ipv6(address) => {
            (address.to_string(), ServerName::IpAddress(std::net::IpAddr::from(address).into()))
        }
    };
    Ok(Destination { host, port: endpoint.port_or_known_default().unwrap_or(443), name })
}

fn authority(endpoint: &Url, destination: &Destination) -> Result<Authority, InvalidOptions> {
    let host = endpoint.host_str().ok_or(InvalidOptions::Endpoint)?;
    let authority = match destination.port {
        443 => host.to_owned(),
        port => format!("{host}:{port}"),
    };
    Authority::try_from(authority).map_err(|_| InvalidOptions::Endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        let after = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, 784_111_770_000).map(|after| after.as_secs())
        };
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "it is over");
        assert_eq!(after("86400"), Some(3600));
        assert_eq!(after("99999999999999999999999"), Some(3600));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn only_an_https_url_of_a_host_is_an_endpoint() {
        let accepted = |url: &str| destination(&Url::parse(url).unwrap()).is_ok();
        for url in ["https://api.push.apple.com", "https://127.0.0.1:2197/", "https://[::1]:8443"] {
            assert!(accepted(url), "{url}");
        }
        for url in [
            "http://api.push.apple.com",
            "https://me:secret@api.push.apple.com",
            "https://api.push.apple.com/3/device",
            "https://api.push.apple.com?x",
            "unix:/tmp/apns",
        ] {
            assert!(!accepted(url), "{url}");
        }
    }
}

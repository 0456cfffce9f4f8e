//! The connection to NATS. It is made in the background and tried again for ever; it is logged once when it is lost and once when it is back.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ClientError, ConnectOptions, Event, Server, ServerAddr};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::reasons::{Shows, reason};

/// Waits between attempts to connect, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The longest wait for messages that are being sent when the connection is closed.
const FLUSH: Duration = Duration::from_secs(2);

/// The text that is logged when a connection was lost.
const LOST: &str = "the connection was lost";

/// How to reach NATS.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// `nats://` or `tls://`, several of one cluster with commas between them. May hold a user and a password, or a token.
    pub url: SecretString,
    /// A `.creds` file with the JWT and the seed of a user, or a file with the seed of an nkey.
    pub creds_file: Option<PathBuf>,
    /// The files for TLS.
    pub tls: NatsTls,
    /// The name of the connection, which the server shows operators.
    pub name: String,
}

/// The files for TLS, PEM. They are read again for every connection, so they may be replaced. With one of them every server must speak TLS.
#[derive(Debug, Clone, Default)]
pub struct NatsTls {
    /// The authorities of the servers' certificates. Default: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// A client certificate with its chain, and its private key.
    pub client_files: Option<(PathBuf, PathBuf)>,
}

/// Why NATS could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The options cannot be used; the sentence names the variable and never its value.
    #[error("{0}")]
    Options(String),
    /// The credentials cannot be read.
    #[error(
        "the file that NATS_CREDS_FILE names cannot be read as NATS credentials: it must be a .creds file, or hold the seed of an nkey (SU…)"
    )]
    Credentials(#[source] std::io::Error),
    /// The connection was lost before there was an answer.
    #[error("the connection to NATS was lost")]
    Interrupted,
    /// The server is unreachable, or does not do what it is asked for. Later it may.
    #[error("{doing}")]
    Away {
        /// What could not be done.
        doing: &'static str,
        /// Why.
        #[source]
        source: async_nats::Error,
    },
    /// The stream or the consumer on the server cannot be used, and an operator has to change it.
    #[error("{0}")]
    Unusable(String),
}

impl NatsError {
    /// For `map_err`: a failure while something was being done.
    pub fn doing<E: Into<async_nats::Error>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Away { doing, source: source.into() }
    }
}

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Nats {
    client: Client,
    context: Context,
    link: watch::Receiver<Link>,
    /// Whether the stream has existed.
    pub(super) stream_seen: Arc<AtomicBool>,
}

/// Whether the connection is up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Link {
    up: bool,
    /// How often it was made.
    made: u64,
}

impl Nats {
    /// Begins to connect and returns at once: a server that is unreachable keeps no process from starting.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub async fn connect(options: &NatsOptions) -> Result<Self, NatsError> {
        let (servers, login) = parse(options.url.expose_secret())?;
        let (state, link) = watch::channel(Link::default());
        let shows = if options.tls.client_files.is_some() { Shows::Certificate } else { Shows::Nothing };
        let link_log = Arc::new(Mutex::new(LinkLog { state, logged: None, shows }));
        let observed = link_log.clone();
        let mut connect = ConnectOptions::new()
            .name(&options.name)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(delay)
            // Chooses no server, and is only told what became of the last attempts.
            .reconnect_to_server_callback(move |servers, _| {
                lock(&observed).on_attempt(&servers);
                std::future::ready(None)
            })
            .event_callback(move |event| {
                lock(&link_log).on_event(&event);
                std::future::ready(())
            });
        connect = match login {
            Login::Anonymous => connect,
            Login::Token(token) => connect.token(token),
            Login::User(user, password) => connect.user_and_password(user, password),
        };
        if let Some(file) = &options.creds_file {
            let text = tokio::fs::read_to_string(file).await.map_err(NatsError::Credentials)?;
            let text = Zeroizing::new(text);
            connect = match nkey_seed(&text) {
                Some(seed) => connect.nkey(seed.to_owned()),
                None => connect.credentials(&text).map_err(NatsError::Credentials)?,
            };
        }
        let NatsTls { ca_file, client_files } = &options.tls;
        if let Some(file) = ca_file {
            connect = connect.add_root_certificates(file.clone());
        }
        if let Some((certificate, key)) = client_files {
            connect = connect.add_client_certificate(certificate.clone(), key.clone());
        }
        connect = connect.require_tls(ca_file.is_some() || client_files.is_some());
        let client = connect.connect(servers).await.map_err(NatsError::doing("cannot connect to NATS"))?;
        let context = jetstream::new(client.clone());
        Ok(Self { client, context, link, stream_seen: Arc::default() })
    }

    /// The connection itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream over it.
    pub fn jetstream(&self) -> &Context {
        &self.context
    }

    /// Whether it is up. Messages that are sent while it is not wait in memory and may be lost.
    pub fn is_connected(&self) -> bool {
        self.link.borrow().up
    }

    /// Waits until it is up.
    pub async fn connected(&self) {
        wait_for(&self.link, |link| link.up).await;
    }

    /// Ends when the present connection is lost. Requests over it are not answered.
    pub async fn interrupted(&self) {
        let now = *self.link.borrow();
        wait_for(&self.link, |link| !link.up || link.made != now.made).await;
    }

    /// Waits for an answer, for as long as the connection lasts over which it was asked for.
    ///
    /// # Errors
    /// [`NatsError::Interrupted`].
    pub async fn unless_interrupted<T>(&self, answer: impl Future<Output = T>) -> Result<T, NatsError> {
        tokio::select! {
            biased;
            answer = answer => Ok(answer),
            () = self.interrupted() => Err(NatsError::Interrupted),
        }
    }

    /// Sends the messages that wait, for as long as is reasonable, and ends the connection.
    pub async fn close(&self) {
        let drained = async {
            if self.is_connected() {
                self.client.flush().await.map_err(NatsError::doing("cannot send the last messages"))?;
            }
            self.client.drain().await.map_err(NatsError::doing("cannot end the connection"))
        };
        match tokio::time::timeout(FLUSH, drained).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(error = %fault, "the connection to NATS did not close cleanly"),
            Err(_) => tracing::warn!("NATS did not accept the last messages"),
        }
    }
}

/// Never ends when the connection has been closed for good: the part that waits is stopped by itself.
async fn wait_for(link: &watch::Receiver<Link>, condition: impl FnMut(&Link) -> bool) {
    if link.clone().wait_for(condition).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How the client proves who it is.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    Anonymous,
    Token(String),
    User(String, String),
}

/// The servers without the secrets in their addresses, since the library logs these.
fn parse(urls: &str) -> Result<(Vec<ServerAddr>, Login), NatsError> {
    let unusable = |why: &str| NatsError::Options(format!("NATS_URL {why}"));
    let mut login = Login::Anonymous;
    let mut servers = Vec::new();
    for text in urls.split(',').map(str::trim) {
        let mut url =
            url::Url::parse(text).map_err(|_| unusable("must be nats://HOST:PORT or tls://HOST:PORT"))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(unusable("must begin with nats:// or tls://"));
        }
        let own = login_in(&url).ok_or_else(|| unusable("holds a user or a password that is not UTF-8"))?;
        if own != Login::Anonymous {
            if login != Login::Anonymous && login != own {
                return Err(unusable(
                    "names several servers, and not the same user and password for all of them",
                ));
            }
            login = own;
        }
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| unusable("names no host"))?;
        servers.push(
            ServerAddr::from_url(url).map_err(|_| unusable("must be nats://HOST:PORT or tls://HOST:PORT"))?,
        );
    }
    Ok((servers, login))
}

/// As the URL has it: a user alone is a token.
fn login_in(url: &url::Url) -> Option<Login> {
    let decoded = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    Some(match (url.username(), url.password()) {
        ("", None) => Login::Anonymous,
        (token, None) => Login::Token(decoded(token)?),
        (user, Some(password)) => Login::User(decoded(user)?, decoded(password)?),
    })
}

/// The seed of a user's nkey in a file that holds nothing else, beside comments.
fn nkey_seed(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let seed = lines.next().filter(|line| line.starts_with("SU") && line.len() == NKEY_SEED)?;
    (lines.next().is_none() && seed.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(seed)
}

/// Characters of a seed: 36 bytes as base32.
const NKEY_SEED: usize = 58;

/// Nothing between lock and unlock can panic half way.
fn lock(link_log: &Mutex<LinkLog>) -> std::sync::MutexGuard<'_, LinkLog> {
    link_log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Never zero: a server that takes a connection and ends it must not be asked without a pause.
fn delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    BACK_OFF.1.min(BACK_OFF.0 * 2_u32.pow(doublings))
}

/// Follows the connection, and logs each change once.
struct LinkLog {
    state: watch::Sender<Link>,
    /// `None` while it is up; else why it is not, as it was logged.
    logged: Option<String>,
    shows: Shows,
}

impl LinkLog {
    /// Logs why the last attempts failed, before the next.
    fn on_attempt(&mut self, servers: &[Server]) {
        let failed = servers.iter().filter_map(|server| {
            let text = server.last_error.as_deref()?;
            Some(format!("{server}: {}", reason(text, self.shows)))
        });
        let mut failed: Vec<String> = failed.collect();
        failed.sort();
        if !failed.is_empty() {
            self.on_unreachable(&failed.join("; "));
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.logged = None;
                tracing::info!("connected to NATS");
                self.state.send_modify(|link| *link = Link { up: true, made: link.made + 1 });
            }
            Event::Disconnected => {
                self.state.send_modify(|link| link.up = false);
                self.on_unreachable(LOST);
            }
            // An attempt has failed, with less about it than `on_attempt` is told.
            Event::ClientError(ClientError::Other(_)) => {}
            Event::ClientError(fault) => self.on_unreachable(&fault.to_string()),
            Event::ServerError(fault) => self.on_unreachable(&fault.to_string()),
            Event::LameDuckMode => tracing::warn!("the NATS server is about to shut down"),
            Event::SlowConsumer(_) => {
                tracing::warn!("messages of NATS were dropped in memory; JetStream sends them again");
            }
            Event::Draining | Event::Closed => {
                // That it is lost then is not logged.
                self.logged = Some(LOST.to_owned());
                tracing::debug!("the connection to NATS is being closed");
            }
        }
    }

    /// Attempts follow each other for as long as the server is unreachable; only another reason is logged.
    fn on_unreachable(&mut self, why: &str) {
        if self.logged.as_deref() == Some(why) {
            return;
        }
        tracing::warn!(error = why, "NATS is unreachable; retrying");
        self.logged = Some(why.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_no_part_of_an_address() {
        let (servers, login) = parse("nats://who:p%40ss@one:4222, tls://two").unwrap();
        assert_eq!(login, Login::User("who".into(), "p@ss".into()));
        assert_eq!(servers.len(), 2);
        assert!(!format!("{servers:?}").contains("p%40ss") && !format!("{servers:?}").contains("who"));
        assert!(servers[1].tls_required() && !servers[0].tls_required());
        assert_eq!(parse("nats://s3cret@one").unwrap().1, Login::Token("s3cret".into()));
        assert_eq!(parse("nats://one").unwrap().1, Login::Anonymous);
    }

    #[test]
    fn an_address_that_cannot_be_used_is_named_without_its_value() {
        for wrong in [
            "",
            "hunter2",
            "http://u:hunter2@one",
            "nats://u:hunter2@one,nats://v:hunter2@two",
            "nats://u:hunter2@one:x",
        ] {
            let fault = parse(wrong).unwrap_err().to_string();
            assert!(fault.contains("NATS_URL") && !fault.contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn a_file_holds_a_seed_or_something_else() {
        let seed = format!("SU{}", "A".repeat(56));
        for text in [seed.clone(), format!("\n# of the relay\n{seed}\n")] {
            assert_eq!(nkey_seed(&text), Some(seed.as_str()));
        }
        for other in [
            "",
            "SUSHORT",
            &format!("{seed}\n{seed}"),
            &format!("SA{}", "A".repeat(56)),
            "-----BEGIN NATS USER JWT-----",
        ] {
            assert_eq!(nkey_seed(other), None, "{other}");
        }
    }

    #[test]
    fn there_is_always_a_pause_before_the_next_attempt() {
        assert_eq!(delay(0), BACK_OFF.0);
        assert_eq!(delay(3), BACK_OFF.0 * 4);
        assert_eq!(delay(usize::MAX), BACK_OFF.1);
    }
}

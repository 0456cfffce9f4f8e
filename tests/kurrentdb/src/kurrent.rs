//! The server that tests use: a stand-in, unless they are pointed at a real one.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stand_in::StandIn;
use crate::state::ticks;

/// Names a real server by its connection string; tests that let nothing go wrong then use it.
pub const VARIABLE: &str = "HONOKEN_TEST_KURRENTDB";

/// A server for one test. Streams of a real one are shared and stay, so a test names its own with [`Kurrent::fresh_prefix`].
///
/// What can be done to a [`StandIn`] can be done to this one, too, if it comes from [`Kurrent::with_faults`].
#[derive(Debug)]
pub struct Kurrent(Kind);

#[derive(Debug)]
enum Kind {
    StandIn(StandIn),
    Real { connection_string: String },
}

impl Kurrent {
    /// The server that the variable names, else a stand-in of its own.
    pub fn start() -> Self {
        match named() {
            Some(connection_string) => Kurrent(Kind::Real { connection_string }),
            None => Kurrent(Kind::StandIn(StandIn::start())),
        }
    }

    /// A stand-in for a test that lets things go wrong, or has to know all that is stored. Nothing if tests are pointed at a real server; a
    /// line then says that the test is skipped.
    pub fn with_faults() -> Option<Self> {
        is_unnamed_or_says_so().then(|| Kurrent(Kind::StandIn(StandIn::start())))
    }

    /// The same with TLS, a certificate of its own and one user, all of which its connection string names.
    pub fn secured_with_faults() -> Option<Self> {
        is_unnamed_or_says_so().then(|| Kurrent(Kind::StandIn(StandIn::secured())))
    }

    /// The way to it, for any client.
    pub fn connection_string(&self) -> String {
        match &self.0 {
            Kind::StandIn(stand_in) => stand_in.connection_string(),
            Kind::Real { connection_string } => connection_string.clone(),
        }
    }

    /// The way to an event log of the service that no other test has: its streams have a beginning of their own.
    pub fn url_of_a_log(&self) -> String {
        let prefix = Self::fresh_prefix().replace("honoken-test-", "t").replace('-', ".");
        let server = self.connection_string();
        let joined = if server.contains('?') { '&' } else { '?' };
        format!("{server}{joined}prefix={}", prefix.trim_end_matches('.'))
    }

    /// Whether it is the stand-in.
    pub fn is_stand_in(&self) -> bool {
        matches!(self.0, Kind::StandIn(_))
    }

    /// A beginning for names of streams that nobody else has, at no server.
    pub fn fresh_prefix() -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        format!("honoken-test-{:x}-{:x}-{number}-", ticks(), std::process::id())
    }
}

impl Deref for Kurrent {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        match &self.0 {
            Kind::StandIn(stand_in) => stand_in,
            Kind::Real { .. } => {
                panic!("a test that lets things go wrong begins with `Kurrent::with_faults`")
            }
        }
    }
}

/// Whether tests use stand-ins; else says that the one of this thread is skipped.
#[expect(clippy::print_stderr, reason = "who runs the tests must see which were not")]
fn is_unnamed_or_says_so() -> bool {
    let is_unnamed = named().is_none();
    if !is_unnamed {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        eprintln!("skipped: {test} needs a server of its own, and {VARIABLE} names one for all");
    }
    is_unnamed
}

#[expect(clippy::disallowed_methods, reason = "which server is used is for the environment to say")]
fn named() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|named| !named.is_empty())
}

//! Wrong credentials: each is counted, and an address that shows wrong ones again and again is named in the log output, once a minute.
//!
//! Memory is bounded: the latest addresses are kept, for two minutes each.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use honoken_domain::ids::PassId;
use honoken_telemetry::metrics::{AnonymousLine, Credentials, Metric, Metrics};
use honoken_telemetry::request::may_log;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus::IntCounter;
use tokio::time::Instant;

use crate::limits;

/// The time between two lines about one address.
const INTERVAL: Duration = Duration::from_mins(1);

/// The wrong credentials that were shown.
#[derive(Debug)]
pub struct RefusedCredentials {
    sources: Cache<(IpAddr, &'static str), Arc<Mutex<Source>>>,
    counters: [IntCounter; Credentials::ALL.len()],
}

/// An address, and one kind of credentials.
#[derive(Debug, Default)]
struct Source {
    /// How many were wrong since the last line.
    wrong: u64,
    told: Option<Instant>,
}

impl RefusedCredentials {
    /// None yet.
    pub fn new(metrics: &Metrics) -> Self {
        let sources = Cache::builder()
            .max_capacity(limits::RATED_CALLERS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(2 * INTERVAL)
            .build();
        let counter = |of: &Credentials| metrics.counter(Metric::CredentialsRefused, &[(*of).into()]);
        let all = [Credentials::Token, Credentials::Key, Credentials::Password, Credentials::Signature];
        Self { sources, counters: all.each_ref().map(counter) }
    }

    /// Notes wrong credentials, for this pass where a pass was asked for. They themselves are not looked at.
    pub fn note(&self, credentials: Credentials, client: Option<IpAddr>, pass: Option<&PassId>) {
        self.counters[credentials as usize].inc();
        let Some(client) = client else { return };
        let Some(wrong) = self.repeated(credentials, client, Instant::now()) else { return };
        if may_log(AnonymousLine::Error, 1) == 0 {
            return;
        }
        let kind = match credentials {
            Credentials::Token => "tokens of passes",
            Credentials::Key => "API keys",
            Credentials::Password => "passwords of operators",
            Credentials::Signature => "signatures of operators' requests",
        };
        if let Some(pass) = pass {
            tracing::warn!(
                client.address = %client, credentials.wrong = wrong, pass.id = %pass,
                "{client} showed {wrong} wrong {kind}, the last one for the pass {pass}"
            );
        } else {
            tracing::warn!(
                client.address = %client, credentials.wrong = wrong,
                "{client} showed {wrong} wrong {kind}"
            );
        }
    }

    /// How many were wrong since the last line, when it is time for another one. A single mistake is none.
    fn repeated(&self, credentials: Credentials, client: IpAddr, now: Instant) -> Option<u64> {
        let source = self.sources.get_with((client, credentials.name()), Arc::default);
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        source.wrong += 1;
        let is_time = source.told.is_none_or(|told| now.duration_since(told) >= INTERVAL);
        if source.wrong < 2 || !is_time {
            return None;
        }
        source.told = Some(now);
        Some(std::mem::take(&mut source.wrong))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::LabelSets;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_told_of_once_a_minute_if_it_is_wrong_again() {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        let refused = RefusedCredentials::new(&metrics);
        let (one, other) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
        let again = |credentials, client| refused.repeated(credentials, client, Instant::now());
        assert_eq!(again(Credentials::Token, one), None);
        assert_eq!(again(Credentials::Key, one), None, "another kind");
        assert_eq!(again(Credentials::Token, other), None, "another address");
        assert_eq!(again(Credentials::Token, one), Some(2));
        for _ in 0..100 {
            assert_eq!(again(Credentials::Token, one), None);
        }
        tokio::time::advance(INTERVAL).await;
        assert_eq!(again(Credentials::Token, one), Some(101));
        assert_eq!(again(Credentials::Token, other), Some(2));
    }
}

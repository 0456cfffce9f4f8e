//! Rate limits: requests of an organisation, requests of an address, failed logins of a client, and what devices ask for and write. Each process
//! counts for itself.
//!
//! Memory is bounded: the latest callers are remembered, and organisations only once their key was right.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use honoken_domain::ids::{DeviceLibraryIdentifier, OrganizationId, PassId};
use honoken_telemetry::metrics::{Metric, Metrics, RateLimit};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use moka::future::Cache;
use prometheus::IntCounter;

use crate::error::{ApiError, KeyFault};
use crate::layers::client_address::{ClientAddresses, Peer, counted_as};
use crate::layers::failed_logins::FailedLogins;
use crate::layers::keyed_limit::KeyedLimit;
use crate::layers::registration_limits::RegistrationLimits;
use crate::layers::window_limits::{Standing, WindowLimit, whole_seconds};
use crate::{limits, routes};

/// The configured rate limits. The default has none, as in `dev`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `RATE_LIMIT_MANAGE_PER_SECOND`: requests of one organisation.
    pub manage_per_second: Option<NonZeroU32>,
    /// `RATE_LIMIT_MANAGE_BURST`: so many of them at once; default: those of a second.
    pub manage_burst: Option<NonZeroU32>,
    /// `RATE_LIMIT_FAILURES_PER_MINUTE`: failed logins of one client address.
    pub failures: Option<Failures>,
    /// `RATE_LIMIT_REGISTRATIONS`: new devices of one pass from one client address in a minute.
    pub registrations_per_minute: Option<NonZeroU32>,
    /// `RATE_LIMIT_PERSONALIZATIONS`: persons who enrol from one client address in a minute.
    pub personalizations_per_minute: Option<NonZeroU32>,
    /// `RATE_LIMIT_GENERAL`: requests of one client address in a window, but those of phones, health and metrics.
    pub general: Option<NonZeroU32>,
    /// `RATE_LIMIT_PASSKIT`: registrations of a device, and downloads of a pass, from one client address in a window.
    pub passkit: Option<NonZeroU32>,
    /// `RATE_LIMIT_WINDOW`: how long a window is; default: [`WINDOW`].
    pub window: Option<Duration>,
    /// `RATE_LIMIT_PROXIES`: how many proxies stand before this process.
    pub proxies: u32,
}

/// How long a window of `RATE_LIMIT_GENERAL` and `RATE_LIMIT_PASSKIT` is, unless configured otherwise.
pub const WINDOW: Duration = Duration::from_mins(1);

/// How often one client address may fail in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// With a wrong operator's password.
    pub passwords: NonZeroU32,
    /// With a wrong API key.
    pub keys: NonZeroU32,
    /// With a wrong authentication token of a pass.
    pub tokens: NonZeroU32,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            passwords: NonZeroU32::new(10).expect("it is not zero"),
            keys: NonZeroU32::new(60).expect("it is not zero"),
            tokens: NonZeroU32::new(60).expect("it is not zero"),
        }
    }
}

/// The rate limits, and what each caller has used of them.
#[derive(Debug)]
pub struct RateLimits {
    manage: Option<Quota>,
    organizations: Cache<OrganizationId, Arc<DefaultDirectRateLimiter>>,
    passwords: Option<FailedLogins>,
    keys: Option<FailedLogins>,
    tokens: Option<FailedLogins>,
    registrations: RegistrationLimits,
    visits: KeyedLimit,
    personalizations: Option<KeyedLimit>,
    general: Option<WindowLimit>,
    passkit: Option<WindowLimit>,
    addresses: ClientAddresses,
    /// Whether any limit is by client address.
    by_address: bool,
    refusals: [IntCounter; RateLimit::NAMES.len()],
}

impl RateLimits {
    /// Limits that no caller has used yet.
    pub fn new(options: Options, metrics: &Metrics) -> Self {
        let manage = options.manage_per_second.map(|per_second| {
            let burst: NonZeroU32 = options.manage_burst.unwrap_or(per_second);
            Quota::per_second(per_second).allow_burst(burst)
        });
        let limits = [
            RateLimit::Manage,
            RateLimit::Failures,
            RateLimit::Registrations,
            RateLimit::Device,
            RateLimit::Visits,
            RateLimit::Personalizations,
            RateLimit::General,
            RateLimit::Passkit,
        ];
        let window = options.window.unwrap_or(WINDOW);
        let in_window = |limit: RateLimit, most| WindowLimit::new(limit.name(), most, window);
        let failures =
            |of: fn(Failures) -> NonZeroU32| options.failures.map(|most| FailedLogins::at_most(of(most)));
        Self {
            manage,
            organizations: Cache::new(limits::RATED_CALLERS),
            passwords: failures(|most| most.passwords),
            keys: failures(|most| most.keys),
            tokens: failures(|most| most.tokens),
            registrations: RegistrationLimits::new(options.registrations_per_minute),
            visits: KeyedLimit::new(Quota::per_minute(limits::VISITS_PER_MINUTE)),
            personalizations: options
                .personalizations_per_minute
                .map(|most| KeyedLimit::new(Quota::per_minute(most))),
            general: options.general.map(|most| in_window(RateLimit::General, most)),
            passkit: options.passkit.map(|most| in_window(RateLimit::Passkit, most)),
            addresses: ClientAddresses::behind(options.proxies),
            by_address: options.failures.is_some()
                || options.registrations_per_minute.is_some()
                || options.personalizations_per_minute.is_some()
                || options.general.is_some()
                || options.passkit.is_some(),
            refusals: limits.map(|limit| metrics.counter(Metric::RequestsRateLimited, &[limit.into()])),
        }
    }

    /// The client address of a request, if it is known.
    pub fn client(&self, headers: &HeaderMap, peer: Option<Peer>) -> Option<IpAddr> {
        self.addresses.of(headers, peer)
    }

    /// Warns once when a request seems to come through a proxy that is not configured.
    pub fn warn_of_unknown_proxy(&self, headers: &HeaderMap, peer: Option<Peer>) {
        if self.by_address {
            self.addresses.warn_of_unknown_proxy(headers, peer);
        }
    }

    /// Counts a request of an organisation.
    ///
    /// # Errors
    /// 429 when it has sent too many.
    pub async fn check_organization(&self, organization_id: &OrganizationId) -> Result<(), ApiError> {
        let Some(quota) = self.manage else { return Ok(()) };
        let limiter = self
            .organizations
            .entry_by_ref(organization_id)
            .or_insert_with(async { Arc::new(RateLimiter::direct(quota)) })
            .await
            .into_value();
        limiter.check().map_err(|not_until| {
            self.refuse(RateLimit::Manage, not_until.wait_time_from(DefaultClock::default().now()))
        })
    }

    /// Counts a request under `RATE_LIMIT_GENERAL`. `None` where it does not apply: for phones, health and metrics.
    pub fn take_general(&self, uri: &Uri, client: Option<IpAddr>) -> Option<Standing> {
        let (general, client) = self.general.as_ref().zip(client)?;
        if is_without_general_limit(uri.path()) { None } else { general.take(client, &()) }
    }

    /// Counts a request that a phone has shown the right token for, under `RATE_LIMIT_PASSKIT`: a registration by its device, a download by its pass.
    /// `None` for all other requests.
    pub fn take_passkit(&self, parts: &Parts, pass: &PassId, device: Option<&str>) -> Option<Standing> {
        let passkit = self.passkit.as_ref()?;
        let client = self.client(&parts.headers, parts.extensions.get().copied())?;
        match (&parts.method, parts.extensions.get().map_or("", MatchedPath::as_str)) {
            (&Method::POST, routes::REGISTRATION) => passkit.take(client, &("device", device?)),
            (&Method::GET | &Method::HEAD, routes::PASS) => passkit.take(client, &("pass", pass)),
            _ => None,
        }
    }

    /// Refuses a request that was one too many.
    ///
    /// # Errors
    /// 429 then.
    pub fn check_standing(&self, limit: RateLimit, standing: Option<&Standing>) -> Result<(), ApiError> {
        let wait = standing.and_then(Standing::exceeded);
        wait.map_or(Ok(()), |wait| Err(self.refuse(limit, wait)))
    }

    /// Looks up who has an operator's password.
    ///
    /// # Errors
    /// 429 when this client failed too often: nothing was compared. Those of the look-up.
    pub async fn compare_password<T>(
        &self,
        client: Option<IpAddr>,
        holder: impl Future<Output = Result<Option<T>, ApiError>>,
    ) -> Result<Option<T>, ApiError> {
        let Some((passwords, address)) = self.passwords.as_ref().zip(client) else { return holder.await };
        let compared = passwords.compare(address, holder).await;
        compared.map_err(|wait| self.refuse(RateLimit::Failures, wait))?
    }

    /// Records that a client sent a body that is not the signed one, as a failed login.
    pub async fn record_wrong_body(&self, client: Option<IpAddr>) {
        if let Some((passwords, address)) = self.passwords.as_ref().zip(client) {
            // Whether it has failed too often is asked before its next login.
            let _ = passwords.record_failure(address).await;
        }
    }

    /// Records that a client sent a wrong API key. Returns the answer: 401, or 429 when it failed too often.
    pub async fn record_wrong_key(&self, client: Option<IpAddr>) -> ApiError {
        let answer = ApiError::UnauthorizedKey(KeyFault::Unknown);
        self.record_wrong(self.keys.as_ref(), client, answer).await
    }

    /// Records that a client sent a wrong token of a pass. Returns the answer, likewise.
    pub async fn record_wrong_token(&self, client: Option<IpAddr>) -> ApiError {
        self.record_wrong(self.tokens.as_ref(), client, ApiError::UnauthorizedDevice).await
    }

    async fn record_wrong(
        &self,
        failed: Option<&FailedLogins>,
        client: Option<IpAddr>,
        answer: ApiError,
    ) -> ApiError {
        let Some((failed, address)) = failed.zip(client) else { return answer };
        match failed.record_failure(address).await {
            Ok(()) => answer,
            Err(wait) => self.refuse(RateLimit::Failures, wait),
        }
    }

    /// Counts a registration of a device that is new to a pass.
    ///
    /// # Errors
    /// 429 when too many of them come from the same address.
    pub fn check_new_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), ApiError> {
        let taken = self.registrations.check_new_device(pass, client);
        taken.map_err(|wait| self.refuse(RateLimit::Registrations, wait))
    }

    /// Counts a write for a device that is registered for the pass already.
    ///
    /// # Errors
    /// 429 when too many of them come from the same address.
    pub fn check_known_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), ApiError> {
        let taken = self.registrations.check_known_device(pass, client);
        taken.map_err(|wait| self.refuse(RateLimit::Registrations, wait))
    }

    /// Counts a registration or an unregistration that changes something.
    ///
    /// # Errors
    /// 429 when the device registers and unregisters too often.
    pub fn check_registration_change(
        &self,
        pass: &PassId,
        device: &DeviceLibraryIdentifier,
    ) -> Result<(), ApiError> {
        let taken = self.registrations.check_registration_change(pass, device);
        taken.map_err(|wait| self.refuse(RateLimit::Device, wait))
    }

    /// Counts a pass that a visitor has inspected.
    ///
    /// # Errors
    /// 429 when too many come from the same address.
    pub fn check_visit(&self, client: Option<IpAddr>) -> Result<(), ApiError> {
        let taken = client.map_or(Ok(()), |address| self.visits.take(&counted_as(address)));
        taken.map_err(|wait| self.refuse(RateLimit::Visits, wait))
    }

    /// Counts a request to enrol a person.
    ///
    /// # Errors
    /// 429 when too many come from the same address.
    pub fn check_personalization(&self, client: Option<IpAddr>) -> Result<(), ApiError> {
        let taken = self.personalizations.as_ref().zip(client);
        let taken = taken.map_or(Ok(()), |(limit, address)| limit.take(&counted_as(address)));
        taken.map_err(|wait| self.refuse(RateLimit::Personalizations, wait))
    }

    /// The answer 429 for a device that has too many requests at a time.
    pub fn too_many_requests_of_device(&self) -> ApiError {
        self.refuse(RateLimit::Device, Duration::from_secs(1))
    }

    fn refuse(&self, limit: RateLimit, wait: Duration) -> ApiError {
        self.refusals[limit as usize].inc();
        ApiError::TooManyRequests { retry_after: whole_seconds(wait).max(1) }
    }
}

/// Whether `RATE_LIMIT_GENERAL` leaves this path alone.
pub fn is_without_general_limit(path: &str) -> bool {
    path == "/metrics" || ["/v1/", "/api/v1/", "/health/"].iter().any(|root| path.starts_with(root))
}

#[cfg(test)]
mod tests {
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::LabelSets;

    use super::*;

    fn rate_limits(options: Options) -> RateLimits {
        RateLimits::new(options, &Metrics::new(&Identity::default(), &LabelSets::default()))
    }

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[tokio::test]
    async fn an_organisation_that_asks_too_often_is_told_to_wait_and_no_other() {
        let rate_limits =
            rate_limits(Options { manage_per_second: NonZeroU32::new(2), ..Default::default() });
        let [one, other] = ["one", "other"].map(|name| OrganizationId::parse(name).unwrap());
        rate_limits.check_organization(&one).await.unwrap();
        rate_limits.check_organization(&one).await.unwrap();
        let refused = rate_limits.check_organization(&one).await.unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { retry_after: 1 }), "{refused:?}");
        rate_limits.check_organization(&other).await.unwrap();
        assert_eq!(rate_limits.refusals.each_ref().map(IntCounter::get), [1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn failures_are_counted_apart_for_keys_passwords_and_tokens() {
        let two = NonZeroU32::new(2).unwrap();
        let failures = Some(Failures { passwords: two, keys: two, tokens: two });
        let rate_limits = rate_limits(Options { failures, ..Default::default() });
        for _ in 0..2 {
            assert!(matches!(rate_limits.record_wrong_key(CLIENT).await, ApiError::UnauthorizedKey(_)));
        }
        let answer = rate_limits.record_wrong_key(CLIENT).await;
        assert!(matches!(answer, ApiError::TooManyRequests { retry_after: 60 }), "{answer:?}");
        for _ in 0..2 {
            assert!(matches!(rate_limits.record_wrong_token(CLIENT).await, ApiError::UnauthorizedDevice));
        }
        let answer = rate_limits.record_wrong_token(CLIENT).await;
        assert!(matches!(answer, ApiError::TooManyRequests { retry_after: 60 }), "{answer:?}");
        for _ in 0..2 {
            assert_eq!(rate_limits.compare_password::<()>(CLIENT, async { Ok(None) }).await.unwrap(), None);
        }
        let answer = rate_limits.compare_password(CLIENT, async { Ok(Some(())) }).await.unwrap_err();
        assert!(matches!(answer, ApiError::TooManyRequests { retry_after: 1 }), "{answer:?}");
        assert_eq!(rate_limits.refusals.each_ref().map(IntCounter::get), [0, 3, 0, 0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn without_limits_nothing_is_limited() {
        let rate_limits = rate_limits(Options::default());
        let pass = PassId::parse("pass.com.example/A-1").unwrap();
        for _ in 0..1000 {
            rate_limits.check_organization(&OrganizationId::parse("one").unwrap()).await.unwrap();
            assert!(matches!(rate_limits.record_wrong_key(CLIENT).await, ApiError::UnauthorizedKey(_)));
            assert_eq!(rate_limits.compare_password::<()>(CLIENT, async { Ok(None) }).await.unwrap(), None);
            rate_limits.check_new_device(&pass, CLIENT).unwrap();
            rate_limits.check_known_device(&pass, CLIENT).unwrap();
            assert!(matches!(rate_limits.record_wrong_token(CLIENT).await, ApiError::UnauthorizedDevice));
            assert_eq!(rate_limits.take_general(&Uri::from_static("/docs"), CLIENT), None);
        }
    }

    #[test]
    fn phones_health_and_metrics_are_not_under_the_general_limit() {
        let rate_limits = rate_limits(Options { general: NonZeroU32::new(2), ..Default::default() });
        let refuses = |path: &'static str| {
            let standing = rate_limits.take_general(&Uri::from_static(path), CLIENT);
            rate_limits.check_standing(RateLimit::General, standing.as_ref()).is_err()
        };
        for path in ["/v1/log", "/v1/nowhere", "/api/v1/log", "/health/live", "/health/ready", "/metrics"] {
            assert!((0..5).all(|_| !refuses(path)), "{path}");
        }
        assert!(!refuses("/manage/v1/passes") && !refuses("/nowhere"));
        for path in ["/", "/docs", "/admin/projections", "/api/admin/projections", "/metrics/", "/v1"] {
            assert!(refuses(path), "{path}");
        }
        assert_eq!(rate_limits.refusals.each_ref().map(IntCounter::get), [0, 0, 0, 0, 0, 0, 6, 0]);
    }

    #[tokio::test]
    async fn what_devices_write_is_limited_for_each_pass_and_address() {
        let registrations_per_minute = NonZeroU32::new(3);
        let rate_limits = rate_limits(Options { registrations_per_minute, ..Default::default() });
        let [pass, other] =
            ["A-1", "A-2"].map(|it| PassId::parse(&format!("pass.com.example/{it}")).unwrap());
        for _ in 0..3 {
            rate_limits.check_new_device(&pass, CLIENT).unwrap();
        }
        let refused = rate_limits.check_new_device(&pass, CLIENT).unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { retry_after: 20 }), "{refused:?}");
        rate_limits.check_new_device(&other, CLIENT).unwrap();
        rate_limits.check_new_device(&pass, Some(IpAddr::V4(std::net::Ipv4Addr::BROADCAST))).unwrap();
        // Known devices have the default limit, however low the limit for new ones is.
        let known = (0..1000).filter(|_| rate_limits.check_known_device(&pass, CLIENT).is_ok()).count();
        assert!((600..610).contains(&known), "{known}");
    }

    #[test]
    fn visitors_are_limited_by_address_also_where_nothing_is_configured() {
        let rate_limits = rate_limits(Options::default());
        let most = limits::VISITS_PER_MINUTE.get();
        assert!((0..most).all(|_| rate_limits.check_visit(CLIENT).is_ok()));
        assert!(matches!(rate_limits.check_visit(CLIENT), Err(ApiError::TooManyRequests { .. })));
        rate_limits.check_visit(Some(IpAddr::V4(std::net::Ipv4Addr::BROADCAST))).unwrap();
    }

    #[test]
    fn persons_who_enrol_are_limited_by_address() {
        let personalizations_per_minute = NonZeroU32::new(2);
        let rate_limits = rate_limits(Options { personalizations_per_minute, ..Default::default() });
        assert!((0..2).all(|_| rate_limits.check_personalization(CLIENT).is_ok()));
        let refused = rate_limits.check_personalization(CLIENT).unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { retry_after: 30 }), "{refused:?}");
        rate_limits.check_personalization(Some(IpAddr::V4(std::net::Ipv4Addr::BROADCAST))).unwrap();
    }

    #[tokio::test]
    async fn a_device_that_comes_and_goes_is_limited_and_no_other() {
        let rate_limits = rate_limits(Options::default());
        let pass = PassId::parse("pass.com.example/A-1").unwrap();
        let [one, other] = ["one", "other"].map(|name| DeviceLibraryIdentifier::parse(name).unwrap());
        for _ in 0..30 {
            rate_limits.check_registration_change(&pass, &one).unwrap();
        }
        assert!(rate_limits.check_registration_change(&pass, &one).is_err());
        rate_limits.check_registration_change(&pass, &other).unwrap();
    }
}

//! The provider token of an APNs key: *Establishing a token-based connection to APNs*.
//!
//! Apple wants a new token at most every 20 minutes and at least every 60, counts all tokens that are made with a key, and counts tokens of the same
//! moment once, even if several processes made them. So the moment, `iat`, is a full half hour, and a token is replaced when it is 50 minutes old:
//! processes that know nothing of each other end up with the same two moments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::sha::sha256;

use crate::ports::ApnsKey;

/// The moments of tokens lie this far apart, in seconds.
const MOMENTS_SECONDS: i64 = 30 * 60;

/// No moment is nearer than this, in seconds: clocks differ, and a token of the future is refused. A token that was made when the clock was ahead
/// is made anew.
const DISTANCE_FROM_NOW_SECONDS: i64 = 5 * 60;

/// A token of this age is replaced, in seconds.
const REFRESH_SECONDS: i64 = 50 * 60;

/// A token of this age is refused, in seconds.
const LIFETIME_SECONDS: i64 = 60 * 60;

/// As far as a clock may go back by itself, in seconds.
const SMALL_CORRECTION_SECONDS: i64 = 5;

/// Two tokens are at least this far apart, in seconds.
pub(super) const LEAST_DISTANCE_SECONDS: i64 = 20 * 60;

/// A token that can be sent.
#[derive(Debug, Clone)]
pub(super) struct Bearer {
    /// `bearer …`, never shown in logs.
    pub(super) header: HeaderValue,
    /// Grows with every token, so that a refused token is known by it.
    pub(super) number: u64,
    iat: i64,
}

/// The tokens of one key.
pub(super) struct ProviderToken {
    key: Arc<ApnsKey>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Bearer>,
    previous: Option<Bearer>,
    made: u64,
    /// When a token was last made out of turn, Unix seconds.
    made_early: Option<i64>,
    /// Until when no token is made, Unix seconds.
    paused_until: i64,
}

impl Bearer {
    /// How old it is; `None` when it is of the future, since the clock was set back.
    fn age(&self, now: i64) -> Option<i64> {
        Some(now - self.iat).filter(|age| *age >= -SMALL_CORRECTION_SECONDS)
    }
}

impl State {
    /// For how long no token is made yet: never longer than after [`ProviderToken::pause`], whatever the clock was set to.
    fn remaining_pause(&mut self, now: i64) -> i64 {
        self.paused_until = self.paused_until.min(now + LEAST_DISTANCE_SECONDS);
        self.paused_until - now
    }
}

/// A token cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    /// A token was made out of turn a short time ago, and another would not help.
    #[error("a new provider token was refused as well")]
    NotAgain,
    /// APNs has seen too many, and the last one has expired.
    #[error("no new provider token is made for a while: APNs has received too many")]
    Paused {
        /// For how long, in seconds.
        seconds: i64,
    },
    #[error("the APNs key does not sign")]
    Key(#[from] ErrorStack),
    /// A key id or a team id that no header can hold.
    #[error("the APNs key's id or team id is not plain text")]
    Text(#[from] http::header::InvalidHeaderValue),
}

impl ProviderToken {
    pub(super) fn new(key: Arc<ApnsKey>) -> Self {
        Self { key, state: Mutex::default() }
    }

    /// The token to send at `now`, Unix seconds. The first push that finds it too old makes the next one, while the others wait.
    pub(super) fn at(&self, now: i64) -> Result<Bearer, NoToken> {
        let mut state = self.state();
        let pause = state.remaining_pause(now);
        if let Some(current) = &state.current {
            let age = current.age(now);
            let is_paused = pause > 0 && age.is_some_and(|age| age < LIFETIME_SECONDS);
            if is_paused || age.is_some_and(|age| age < REFRESH_SECONDS) {
                return Ok(current.clone());
            }
        }
        if pause > 0 {
            return Err(NoToken::Paused { seconds: pause });
        }
        let moment = (now - DISTANCE_FROM_NOW_SECONDS).div_euclid(MOMENTS_SECONDS) * MOMENTS_SECONDS;
        let iat = match &state.current {
            Some(current) if current.iat < now => moment.max(current.iat + LEAST_DISTANCE_SECONDS).min(now),
            _ => moment,
        };
        self.make(&mut state, iat)
    }

    /// The token numbered `refused` was refused as expired: makes one of this very moment, unless another push has done so already.
    pub(super) fn renew(&self, refused: u64, now: i64) -> Result<(), NoToken> {
        self.early(refused, now, |_| now)
    }

    /// The token numbered `refused` was refused as wrong: signs again, in case it was spoilt, unless another push has done so already.
    pub(super) fn sign_again(&self, refused: u64, now: i64) -> Result<(), NoToken> {
        self.early(refused, now, |current| current.iat)
    }

    fn early(&self, refused: u64, now: i64, iat: impl FnOnce(&Bearer) -> i64) -> Result<(), NoToken> {
        let mut state = self.state();
        let Some(current) = state.current.as_ref().filter(|current| current.number == refused) else {
            return Ok(());
        };
        let since = state.made_early.map(|made| now - made);
        if since.is_some_and(|since| (0..LEAST_DISTANCE_SECONDS).contains(&since)) {
            return Err(NoToken::NotAgain);
        }
        let iat = iat(current);
        state.made_early = Some(now);
        self.make(&mut state, iat).map(drop)
    }

    /// APNs has seen too many tokens of the key: none is made for 20 minutes. `true` when there is an older one that may do.
    pub(super) fn pause(&self, refused: u64, now: i64) -> bool {
        let mut state = self.state();
        state.paused_until = now + LEAST_DISTANCE_SECONDS;
        if state.current.as_ref().is_some_and(|current| current.number != refused) {
            return true;
        }
        let is_good = |previous: &mut Bearer| previous.age(now).is_some_and(|age| age < LIFETIME_SECONDS);
        match state.previous.take_if(is_good) {
            Some(previous) => {
                state.current = Some(previous);
                true
            }
            None => false,
        }
    }

    fn make(&self, state: &mut State, iat: i64) -> Result<Bearer, NoToken> {
        let header = serde_json::json!({ "alg": "ES256", "kid": self.key.key_id });
        let claims = serde_json::json!({ "iss": self.key.team_id, "iat": iat });
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), &self.key.key)?;
        let raw = [signature.r().to_vec_padded(32)?, signature.s().to_vec_padded(32)?].concat();
        let mut header = HeaderValue::try_from(format!("bearer {signed}.{}", URL_SAFE_NO_PAD.encode(raw)))?;
        header.set_sensitive(true);
        state.made += 1;
        let bearer = Bearer { header, number: state.made, iat };
        state.previous = state.current.replace(bearer.clone());
        Ok(bearer)
    }

    /// Nothing that panics is done under the lock, so the state is whole whatever happened to its last holder.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;

    /// A full half hour.
    const HALF: i64 = 1_700_001_000;

    fn token() -> ProviderToken {
        let key = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let revision = "1".to_owned();
        ProviderToken::new(Arc::new(ApnsKey {
            team_id: "TEAM123456".to_owned(),
            key_id: "KEY1234567".to_owned(),
            key,
            revision,
        }))
    }

    #[test]
    fn processes_that_start_at_different_times_use_the_same_moments() {
        assert_eq!(HALF % MOMENTS_SECONDS, 0);
        let mut moments = std::collections::BTreeSet::new();
        for start in (0..3600).step_by(60) {
            let token = token();
            let mut before: Option<Bearer> = None;
            for now in (HALF + start..HALF + start + 4 * 3600).step_by(30) {
                let bearer = token.at(now).unwrap();
                let age = now - bearer.iat;
                assert!((DISTANCE_FROM_NOW_SECONDS..REFRESH_SECONDS).contains(&age), "{age} s old");
                if let Some(before) = before.filter(|before| before.number != bearer.number) {
                    assert_eq!(bearer.iat - before.iat, MOMENTS_SECONDS);
                }
                moments.insert(bearer.iat);
                before = Some(bearer);
            }
        }
        assert!(moments.iter().all(|moment| moment % MOMENTS_SECONDS == 0), "{moments:?}");
    }

    #[test]
    fn a_refused_token_is_made_anew_once_however_many_pushes_it_was_sent_with() {
        let token = token();
        let first = token.at(HALF + 600).unwrap();
        for _ in 0..10 {
            token.renew(first.number, HALF + 600).unwrap();
        }
        let second = token.at(HALF + 600).unwrap();
        assert_eq!((second.number, second.iat), (2, HALF + 600));
        assert!(matches!(token.renew(second.number, HALF + 601), Err(NoToken::NotAgain)));
        assert!(matches!(token.sign_again(second.number, HALF + 601), Err(NoToken::NotAgain)));
        token.renew(second.number, HALF + 600 + LEAST_DISTANCE_SECONDS).unwrap();
    }

    #[test]
    fn after_a_token_out_of_turn_the_next_is_no_nearer_than_twenty_minutes() {
        let token = token();
        let first = token.at(HALF + 600).unwrap();
        token.renew(first.number, HALF + 600).unwrap();
        let second = token.at(HALF + 600 + REFRESH_SECONDS - 1).unwrap();
        let third = token.at(HALF + 600 + REFRESH_SECONDS).unwrap();
        assert_eq!(second.number, 2);
        assert!(third.iat - second.iat >= LEAST_DISTANCE_SECONDS);
    }

    #[test]
    fn when_apns_has_seen_too_many_the_one_before_is_used_and_none_is_made() {
        let token = token();
        let first = token.at(HALF + 300).unwrap();
        assert!(!token.pause(first.number, HALF + 400), "there is no other");
        let late = HALF + REFRESH_SECONDS + 100;
        assert_eq!(token.at(late).unwrap().number, 2);
        assert!(token.pause(2, late));
        assert_eq!(token.at(late + 60).unwrap().number, 1, "it is 52 minutes old and still good");
        let over = token.at(late + 600);
        assert!(matches!(over, Err(NoToken::Paused { seconds: 600 })), "{over:?}");
        assert_eq!(token.at(late + 1200).unwrap().number, 3);
    }

    #[test]
    fn a_clock_that_is_put_back_leads_to_a_token_of_its_time() {
        let token = token();
        assert_eq!(token.at(HALF + 400).unwrap().iat, HALF);
        assert_eq!(token.at(HALF - 10_000).unwrap().number, 2);
        assert!(token.at(HALF - 10_000).unwrap().iat < HALF - 10_000);
    }

    #[test]
    fn a_token_of_the_future_is_made_anew_also_where_it_is_a_minute_away() {
        let token = token();
        let first = token.at(HALF + 600).unwrap();
        token.renew(first.number, HALF + 600).unwrap();
        assert_eq!(token.at(HALF + 598).unwrap().number, 2, "clocks are corrected all the time");
        let third = token.at(HALF + 540).unwrap();
        assert_eq!((third.number, third.iat), (3, HALF));
    }

    #[test]
    fn a_rest_does_not_outlast_the_clock_that_it_was_counted_with() {
        let token = token();
        let first = token.at(HALF + 400).unwrap();
        token.pause(first.number, HALF + 400);
        let set_back = HALF - 3 * 3600;
        let rests = token.at(set_back);
        let least = LEAST_DISTANCE_SECONDS;
        assert!(matches!(rests, Err(NoToken::Paused { seconds }) if seconds == least), "{rests:?}");
        assert_eq!(token.at(set_back + least).unwrap().number, 2);
    }
}

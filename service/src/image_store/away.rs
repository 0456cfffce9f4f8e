//! A store that did not answer is not asked again for a moment: requests that would only wait for it hold permits that others can use, whose
//! images are at hand.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits;

/// Whether a store has just failed.
#[derive(Debug, Default)]
pub(super) struct Away(Mutex<Option<Since>>);

#[derive(Debug)]
struct Since {
    cause: Arc<str>,
    /// When the next request may ask the store.
    until: Instant,
}

impl Away {
    /// Lets a request ask the store, unless it failed a moment ago. After that moment one request asks, and the others learn from it.
    ///
    /// # Errors
    /// With the cause of the failure.
    pub(super) fn may_ask(&self) -> Result<(), Arc<str>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = &mut *state else { return Ok(()) };
        let now = Instant::now();
        if now < since.until {
            return Err(since.cause.clone());
        }
        // A request that is given up never tells; then another may ask.
        since.until = now + limits::IMAGE_STORE_ANSWER;
        Ok(())
    }

    /// Notes that the store has answered. Returns whether it was away.
    pub(super) fn answered(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// Notes that the store has not answered. Returns whether that is news.
    pub(super) fn failed(&self, cause: Arc<str>) -> bool {
        let until = Instant::now() + limits::IMAGE_STORE_REST;
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Since { cause, until });
        before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_failed_rests_and_is_then_asked_by_one() {
        let away = Away::default();
        away.may_ask().unwrap();
        assert!(away.failed("no route".into()));
        assert_eq!(&*away.may_ask().unwrap_err(), "no route");

        tokio::time::advance(limits::IMAGE_STORE_REST).await;
        away.may_ask().unwrap();
        away.may_ask().unwrap_err();
        assert!(!away.failed("still no route".into()), "that is no news");
        assert_eq!(&*away.may_ask().unwrap_err(), "still no route");

        tokio::time::advance(limits::IMAGE_STORE_REST).await;
        away.may_ask().unwrap();
        assert!(away.answered());
        away.may_ask().unwrap();
        away.may_ask().unwrap();
        assert!(!away.answered());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_given_up_does_not_keep_the_store_away() {
        let away = Away::default();
        away.failed("no route".into());
        tokio::time::advance(limits::IMAGE_STORE_REST).await;
        away.may_ask().unwrap();
        away.may_ask().unwrap_err();
        tokio::time::advance(limits::IMAGE_STORE_ANSWER).await;
        away.may_ask().unwrap();
    }
}

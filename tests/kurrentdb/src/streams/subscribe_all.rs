//! A subscription to `$all`, filtered or not: what is stored behind a place, and then whatever comes. It ends with an error, or with its client.
//!
//! A filtered one gets checkpoints, also while nothing matches: while it catches up, after so many events that were looked at and at the end;
//! then after so many that came. A checkpoint may stand between events, and the same one is not sent twice.

use std::sync::Arc;

use crate::errors;
use crate::filter::{Filter, PAGE};
use crate::log::Place;
use crate::protocol::streams::ReadResp;
use crate::state::State;

use super::answer::{self, IdForm};
use super::out::{Gone, Out};
use super::read::Start;

/// Serves one subscription.
pub(crate) async fn serve(
    state: Arc<State>,
    start: Start<Place>,
    filter: Option<Filter>,
    ids: IdForm,
    out: Out<ReadResp>,
) {
    let seen = match start {
        Start::Beginning => None,
        Start::End => Some(state.log().last()),
        Start::At(place) => Some(place),
    };
    let subscription = Subscription { state, filter, ids, out, seen, checkpoint: None, live: 0 };
    // An error is that nobody listens any more.
    let _ = subscription.run().await;
}

struct Subscription {
    state: Arc<State>,
    filter: Option<Filter>,
    ids: IdForm,
    out: Out<ReadResp>,
    /// The place up to which the client has everything that it wants.
    seen: Option<Place>,
    /// The newest checkpoint that was sent.
    checkpoint: Option<Place>,
    /// How many events came since the last checkpoint of a live subscription.
    live: u64,
}

/// Whether a subscription goes on.
enum Next {
    GoesOn,
    Ended,
}

impl Subscription {
    async fn run(mut self) -> Result<(), Gone> {
        let mut growth = self.state.growth();
        self.out.send(answer::confirmation(self.state.next_subscription())).await?;
        let (last, mut len) = {
            let log = self.state.log();
            (log.last(), log.len())
        };
        let mut is_behind = self.seen.is_none_or(|seen| seen < last);
        loop {
            if is_behind {
                len = match self.catch_up().await? {
                    (Next::GoesOn, len) => len,
                    (Next::Ended, _) => return Ok(()),
                };
            }
            self.out.send(answer::caught_up_with_all(self.seen)).await?;
            loop {
                let (records, now) = self.state.log().behind(len);
                // The real server keeps so many events for a live subscription, and lets it catch up if there are more.
                if records.len() > PAGE as usize {
                    break;
                }
                len = now;
                for record in records {
                    self.live(&record).await?;
                }
                tokio::select! {
                    _ = growth.changed() => {}
                    () = self.out.closed() => return Err(Gone),
                }
            }
            if let Some(seen) = self.seen {
                self.send_checkpoint(seen).await?;
            }
            is_behind = true;
        }
    }

    /// After how many events that were looked at there is a checkpoint.
    fn interval(&self) -> u64 {
        self.filter
            .as_ref()
            .map_or(u64::MAX, |filter| u64::from(filter.window) * u64::from(filter.multiplier))
    }

    /// One event that came.
    async fn live(&mut self, record: &crate::log::Record) -> Result<(), Gone> {
        let place = record.place();
        let is_wanted = self.seen.is_none_or(|seen| seen < place);
        if is_wanted && self.filter.as_ref().is_none_or(|filter| filter.allows(record)) {
            self.out.send(answer::event(record, self.ids)).await?;
            self.seen = Some(place);
        }
        self.live += 1;
        if self.live >= self.interval() {
            self.live = 0;
            if self.seen.is_none_or(|seen| seen <= place) {
                self.seen = Some(place);
                self.send_checkpoint(place).await?;
            }
        }
        Ok(())
    }

    /// Sends what is stored behind the place that was seen, and says how long the log was then.
    async fn catch_up(&mut self) -> Result<(Next, usize), Gone> {
        let window = self.filter.as_ref().map_or(u32::MAX, |filter| filter.window);
        let (interval, mut considered) = (self.interval(), 0);
        let mut from = self.seen.unwrap_or(Place::FIRST);
        loop {
            let (page, len) = {
                let log = self.state.log();
                (log.page(from, PAGE as usize, window, self.filter.as_ref()), log.len())
            };
            let Ok(page) = page else {
                self.out.fail(errors::invalid_position()).await?;
                return Ok((Next::Ended, len));
            };
            for record in page.records {
                if self.seen.is_none_or(|seen| seen < record.place()) {
                    self.out.send(answer::event(&record, self.ids)).await?;
                    self.seen = Some(record.place());
                }
            }
            if self.filter.is_some() && from < page.next && self.seen.is_none_or(|seen| seen < from) {
                self.seen = Some(from);
            }
            considered += u64::from(page.considered);
            if page.is_end {
                if self.filter.is_some() {
                    let seen = *self.seen.get_or_insert(Place::FIRST);
                    self.send_checkpoint(seen).await?;
                }
                return Ok((Next::GoesOn, len));
            }
            if considered >= interval
                && let Some(seen) = self.seen
            {
                considered %= interval;
                self.send_checkpoint(seen).await?;
            }
            from = page.next;
        }
    }

    async fn send_checkpoint(&mut self, place: Place) -> Result<(), Gone> {
        if self.filter.is_none() || self.checkpoint.is_some_and(|checkpoint| place <= checkpoint) {
            return Ok(());
        }
        self.checkpoint = Some(place);
        self.out.send(answer::checkpoint(place)).await
    }
}

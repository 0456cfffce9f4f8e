//! A subscription to one stream: what is stored behind a revision, and then whatever comes. It ends with an error, or with its client.

use std::sync::Arc;

use crate::errors;
use crate::filter::PAGE;
use crate::log::StreamState;
use crate::protocol::streams::ReadResp;
use crate::state::State;

use super::answer::{self, IdForm};
use super::out::{Gone, Out};
use super::read::Start;

/// Serves one subscription.
pub(crate) async fn serve(
    state: Arc<State>,
    stream: String,
    start: Start<u64>,
    ids: IdForm,
    out: Out<ReadResp>,
) {
    let subscription = Subscription { state, stream, ids, out };
    // An error is that nobody listens any more.
    let _ = subscription.run(start).await;
}

struct Subscription {
    state: Arc<State>,
    stream: String,
    ids: IdForm,
    out: Out<ReadResp>,
}

impl Subscription {
    async fn run(&self, start: Start<u64>) -> Result<(), Gone> {
        let mut growth = self.state.growth();
        self.out.send(answer::confirmation(self.state.next_subscription())).await?;
        let last = self.state.log().last_of(&self.stream);
        // The revision of the newest event that the client has, or does not want.
        let mut seen = match start {
            Start::Beginning => None,
            Start::End => last,
            Start::At(revision) => Some(revision),
        };
        let mut is_behind = seen < last || self.is_deleted();
        loop {
            if is_behind {
                match self.catch_up(seen).await? {
                    Some(caught_up) => seen = caught_up,
                    None => return Ok(()),
                }
            }
            self.out.send(answer::caught_up_with_stream(seen)).await?;
            loop {
                tokio::select! {
                    _ = growth.changed() => {}
                    () = self.out.closed() => return Err(Gone),
                }
                let next = seen.map_or(0, |seen| seen + 1);
                let records = self.state.log().range_of(&self.stream, next, u64::MAX);
                // The real server keeps so many events for a live subscription, and lets it catch up if there are more.
                if records.len() > PAGE as usize {
                    break;
                }
                for record in records {
                    self.out.send(answer::event(&record, self.ids)).await?;
                    seen = Some(record.revision);
                }
                let tombstone = self.state.log().tombstone_of(&self.stream);
                if let Some(tombstone) = tombstone {
                    self.out.send(answer::event(&tombstone, self.ids)).await?;
                    return self.out.fail(errors::stream_deleted(&self.stream)).await;
                }
            }
            is_behind = true;
        }
    }

    fn is_deleted(&self) -> bool {
        self.state.log().state_of(&self.stream) == StreamState::Tombstoned
    }

    /// Sends what is stored behind a revision, and says what the client has seen then; nothing if the subscription ended.
    async fn catch_up(&self, mut seen: Option<u64>) -> Result<Option<Option<u64>>, Gone> {
        loop {
            let found = self.state.log().state_of(&self.stream);
            let first = match found {
                StreamState::Known { first, .. } => first,
                StreamState::NotFound => return Ok(Some(seen)),
                StreamState::Tombstoned => {
                    self.out.fail(errors::stream_deleted(&self.stream)).await?;
                    return Ok(None);
                }
            };
            let next = seen.map_or(0, |seen| seen + 1).max(first);
            let records = self.state.log().range_of(&self.stream, next, u64::from(PAGE));
            if records.is_empty() {
                return Ok(Some(seen));
            }
            for record in records {
                self.out.send(answer::event(&record, self.ids)).await?;
                seen = Some(record.revision);
            }
        }
    }
}

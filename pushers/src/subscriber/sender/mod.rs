//! From the ledger to APNs.
//!
//! One task does everything: it claims the phones that are due, pushes to them, and writes the results into the ledger, in one transaction for all
//! answers since the last one. Results that are not written when the process dies are due again.
//!
//! The story of one delivery:
//! - `send_loop.rs`: the loop, which begins each step. `dispatch.rs`: a phone is claimed, and its pushes are sent. `responses.rs`: APNs
//!   answers. `write_back.rs`: the result is written.
//!
//! The state behind it, each part in the file that decides on it:
//! - `claims.rs`: the phones that this sender has claimed. `coalesce.rs`: which pushes stand for the deliveries of a phone.
//! - `lanes.rs`: the pushes that are queued, by credential. `circuit_breaker.rs`: when a lane sends, and how much at once. `permits.rs`: how
//!   much is sent at once altogether.
//! - `parked_credentials.rs`: credentials that APNs refuses. `suspect_tokens.rs`: push tokens that APNs calls wrong.
//! - `pending_writes.rs`: results that wait to be written. `make_due.rs`: phones that need not wait any longer.
//! - `refresh.rs`: once a second, the changes of other processes and of an operator. `run_state.rs`: paused or stopping. `back_off.rs`: pauses
//!   after failures.

mod back_off;
mod circuit_breaker;
mod claims;
mod coalesce;
mod context;
mod dispatch;
mod events;
mod lanes;
mod make_due;
mod parked_credentials;
mod pending_writes;
mod permits;
mod refresh;
mod responses;
mod run_state;
mod send_loop;
mod suspect_tokens;
mod write_back;

use honoken_projections::ReadModel;
use tokio_util::sync::CancellationToken;

use super::{Ports, Settings, clean_up};
use crate::dedicated_thread::Home;
use crate::ledger::Ledger;
use crate::ports::{Apns, Credentials, DeadTokens};
use context::Context;
use send_loop::SendLoop;

/// Claims phones that are due in the ledger, pushes to them, and writes the results.
pub struct Sender<A, C, D> {
    context: Context<A, C, D>,
}

impl<A: Apns, C: Credentials, D: DeadTokens> Sender<A, C, D> {
    /// Does nothing until it [runs](Self::run), perhaps on a [thread of its own](crate::dedicated_thread): the stores are asked on the runtime that this
    /// is called on.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(ledger: Ledger, read_model: ReadModel, ports: Ports<A, C, D>, settings: Settings) -> Self {
        let name = ports.ids.uuid().into();
        Self { context: Context { ledger, read_model, ports, settings, home: Home::here(), name } }
    }

    /// Works until it is stopped, and then until all pushes have been answered and their results are written.
    pub async fn run(self, stop: CancellationToken) {
        let Context { ledger, ports, settings, home, .. } = &self.context;
        let cleaning = home.run(clean_up::run(ledger.clone(), ports.time.clone(), *settings));
        let mut sending = SendLoop::new(self.context);
        tokio::select! {
            () = sending.run(&stop) => {}
            () = cleaning => {}
        }
        sending.shut_down().await;
    }
}

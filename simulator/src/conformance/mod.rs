//! The whole life of a pass on a phone, played against any web service, and a verdict on every rule of the protocol.
//!
//! A phone asks only the necessary questions; here it also shows wrong tokens, asks for passes that do not exist and repeats itself. It asks in
//! the order of a phone's life: [`registering`](self), listing, getting, perhaps a change, leaving. Each has a file. At the end the service is
//! as it was: everything that was registered is unregistered.

mod changing;
mod findings;
mod getting;
mod leaving;
mod listing;
mod registering;
mod report;
mod rules;
mod session;
mod trial;

use std::pin::Pin;

use tokio_util::sync::CancellationToken;

pub use self::report::{Report, Verdict};
pub use self::rules::Rule;
pub use self::trial::{Scheme, Trial, TrialError};

use self::session::Session;
use crate::http::HttpClient;
use crate::identities::Identities;

impl Trial {
    /// Plays it. `waiting` is called when it is time to change the pass, and `stop` ends it early: everything that was registered is
    /// unregistered even then.
    ///
    /// When no server can be reached. A later failure is a verdict.
    pub fn run<'a>(
        &'a self,
        client: HttpClient,
        identities: &'a Identities,
        waiting: &'a (dyn Fn() + Sync),
        stop: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<Report, TrialError>> + Send + 'a>> {
        // Boxed to be compiled here, and not in the crate that awaits it.
        Box::pin(self.play(client, identities, waiting, stop))
    }

    async fn play(
        &self,
        client: HttpClient,
        identities: &Identities,
        waiting: &(dyn Fn() + Sync),
        stop: &CancellationToken,
    ) -> Result<Report, TrialError> {
        let mut session = Session::new(self, client, identities, stop.clone())?;
        if let Err(fault) = session.makes_contact().await {
            return Err(TrialError::Unreachable { web_service_url: self.web_service_url.clone(), fault });
        }
        session.registers_in_vain().await;
        if session.registers().await {
            let tag = session.lists().await;
            let copy = session.gets().await;
            session.sends_log().await;
            session.renews_push_token().await;
            session.sees_a_change(self.wait, tag, copy, waiting).await;
            session.leaves().await;
        } else {
            session.gets().await;
            session.sends_log().await;
        }
        Ok(session.ends().await)
    }
}

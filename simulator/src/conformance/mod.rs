//! The whole life of a pass on a phone, played against any web service, and a verdict on every rule of the protocol.
//!
//! A phone asks what it must and no more; here it also shows wrong tokens, asks for what does not exist and says things twice. It
//! asks in the order of a phone's life: [`registering`](self), listing, getting, perhaps a change, leaving. Each has a file. At the end
//! the service is as it was: what was registered is unregistered.

mod changing;
mod findings;
mod getting;
mod leaving;
mod listing;
mod registering;
mod report;
mod rules;
mod session;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::report::{Report, Verdict};
pub use self::rules::Rule;

use self::session::Session;
use crate::http::{HttpClient, HttpError};
use crate::identities::Identities;
use crate::phone::Package;

/// What is played, against whom, and how patiently.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The pass as its holder has it.
    pub package: Package,
    /// Where the service is: what `webServiceURL` is in a pass, so without `v1`.
    pub web_service_url: String,
    /// How its holder shows the token.
    pub scheme: Scheme,
    /// How long to wait for somebody to change the pass; `None` to do without.
    pub wait: Option<Duration>,
}

/// The word in front of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Apple's phones.
    #[default]
    ApplePass,
    /// Wallets on Android that read passes. A service may take it or not: Apple's documentation does not know it.
    AndroidPass,
}

/// There is nobody to judge.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No connection came about.
    #[error("nobody can be reached at {web_service_url}: {}", .fault.told())]
    Unreachable {
        /// Where.
        web_service_url: String,
        /// What went wrong.
        fault: HttpError,
    },
    /// The pass is never updated, so there is nothing to ask for.
    #[error(
        "the pass has no webServiceURL and no authenticationToken, so no phone would ask anybody about it"
    )]
    NoWebService,
}

impl Trial {
    /// Plays it. `waiting` is called when somebody may change the pass, and `stop` ends it early: what was registered is unregistered
    /// even then.
    ///
    /// # Errors
    /// When nobody can be reached. What is reached and then fails is a verdict.
    pub async fn run(
        &self,
        client: HttpClient,
        identities: &Identities,
        waiting: impl FnOnce(),
        stop: &CancellationToken,
    ) -> Result<Report, TrialError> {
        let mut session = Session::new(self, client, identities, stop.clone())?;
        if let Err(fault) = session.says_hello().await {
            return Err(TrialError::Unreachable { web_service_url: self.web_service_url.clone(), fault });
        }
        session.is_refused().await;
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

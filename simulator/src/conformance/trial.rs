//! The trial of a web service, and why it may not be possible.

use std::time::Duration;

use crate::http::HttpError;
use crate::phone::Package;

/// A trial: the pass, the service, and its patience.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The pass as its holder has it.
    pub package: Package,
    /// The address of the service, as `webServiceURL` is in a pass, so without `v1`.
    pub web_service_url: String,
    /// How its holder shows the token.
    pub scheme: Scheme,
    /// How long to wait for a change of the pass; `None` to do without.
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

/// There is no service to judge.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No connection came about.
    #[error("no server can be reached at {web_service_url}: {}", .fault.told())]
    Unreachable {
        /// The address.
        web_service_url: String,
        /// The fault.
        fault: HttpError,
    },
    /// The pass is never updated, so there is nothing to ask for.
    #[error(
        "the pass has no webServiceURL and no authenticationToken, so no phone would ask a server about it"
    )]
    NoWebService,
}

impl Scheme {
    /// As it stands in the header.
    pub fn word(self) -> &'static str {
        match self {
            Self::ApplePass => "ApplePass",
            Self::AndroidPass => "AndroidPass",
        }
    }
}

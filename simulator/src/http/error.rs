//! Why there is no answer at all.

use std::time::Duration;

/// A request that did not lead to a complete answer. A complete one, however rude, is an [`Answer`](crate::Answer) and never this.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL cannot be put on the wire.
    #[error("{url:?} is not a URL that can be requested")]
    Url {
        /// The URL as given.
        url: String,
        /// The fault of it.
        #[source]
        source: ::http::uri::InvalidUri,
    },
    /// The URL names no scheme and host, or a scheme other than HTTP.
    #[error("{url:?} is not an absolute http or https URL")]
    NotHttp {
        /// The URL as given.
        url: String,
    },
    /// The URL asks for TLS, and the client was given no root certificates.
    #[error("{url:?} asks for https, but this client was given no certificate authority to trust")]
    NobodyTrusted {
        /// The URL as given.
        url: String,
    },
    /// The connection could not be made, or broke before the head of the answer was read.
    #[error("no answer from {authority}")]
    Unanswered {
        /// Host and port.
        authority: String,
        /// The fault.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// A connection of its own could not be made.
    #[error("no connection to {authority}")]
    NoConnection {
        /// Scheme, host and port.
        authority: String,
        /// The fault.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A connection of its own broke before the head of the answer was read.
    #[error("no answer from {authority}")]
    Broken {
        /// Host and port.
        authority: String,
        /// The fault.
        #[source]
        source: hyper::Error,
    },
    /// The body broke off, or was larger than the client takes.
    #[error("the body of the answer could not be read: {reason}")]
    Body {
        /// The fault.
        reason: String,
    },
    /// A raw exchange failed on the socket.
    #[error("the raw exchange failed")]
    Socket(#[from] std::io::Error),
    /// The answer took too long.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
}

impl HttpError {
    /// No connection came about, so nothing was sent: the address is wrong, no server listens there, or the certificate is not trusted.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unanswered { source, .. } => source.is_connect(),
            Self::NoConnection { .. } => true,
            _ => false,
        }
    }

    /// The error with everything behind it, in one line.
    pub fn told(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |told, cause| format!("{told}: {cause}"))
    }
}

//! HTTP as the phone needs it: one request, one answer, both bounded. Redirects are reported, never followed.

mod answer;
mod client;
mod connector;
mod error;
mod line;
mod trust;

pub use self::answer::Answer;
pub use self::client::HttpClient;
pub use self::error::HttpError;
pub(crate) use self::line::Line;
pub use self::trust::{Trust, TrustError};

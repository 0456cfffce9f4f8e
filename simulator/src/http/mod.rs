//! HTTP as the phone needs it: one request, one answer, both bounded. Redirects are reported, never followed.

mod answer;
mod client;
mod error;

pub use self::answer::Answer;
pub use self::client::HttpClient;
pub use self::error::HttpError;

//! The instructions that a test gives to open connections.

/// An instruction for every open connection.
#[derive(Debug, Clone)]
pub(super) enum Control {
    /// Answer the requests that were held.
    Release,
    /// End without a word.
    Close,
    /// Send `GOAWAY`; the newest `leaving` of the requests that wait for an answer are not worked on.
    GoAway { reason: String, leaving: usize },
    /// Announce another `SETTINGS_MAX_CONCURRENT_STREAMS`.
    MaxStreams(u32),
}

//! What is configured about images.

use super::place::Place;

/// What is configured about images.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// Where they are. Default: in the data folder.
    pub place: Option<Place>,
    /// Bytes of images of a store on another machine that are kept in the data folder; 0: none.
    pub cache_bytes: u64,
}

//! coalescing

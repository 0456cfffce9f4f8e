//! pausing

//! From the log to the read model, and the questions asked of it.

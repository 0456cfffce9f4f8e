//! dead_tokens

//! Why a registration says no: it never does.

/// A registration refuses nothing: both requests of a phone are idempotent, and whether the phone may ask is decided by its pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {}

//! Running the service.
//!
//! - [`health`]: whether the process answers, and can do its work; [`metrics`]: what it counts; [`docs`]: the document as pages;
//!   [`home`]: the page at `/`; [`inspect`]: the public page that inspects passes

pub mod docs;
pub mod health;
pub mod home;
pub mod inspect;
pub mod metrics;
mod page;

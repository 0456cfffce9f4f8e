//! The routes that phones use: `spec/web-service.md` sections 3, 4, 7 and 9, one test per rule.

mod addresses;
mod get;
mod list;
mod log;
mod phones;
mod refusals;
mod register;
mod tokens;
mod unregister;
mod writes;

use honoken_tests::{Credentials, Honoken, Integrator};

use crate::a_service;

/// A service with one pass, its integrator, and what the holder of the pass knows.
async fn a_service_with_a_pass() -> (Honoken, Integrator, Credentials) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    (honoken, integrator, pass)
}

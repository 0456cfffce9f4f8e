//! The routes that integrators use, as the contract lists them.

mod access;
mod assets;
mod bodies;
mod bundles;
mod changes;
mod concurrency;
mod contention;
mod history;
mod increments;
mod issue;
mod list;
mod metadata;
mod neighbours;
mod own_images;
mod past;
mod patches;
mod registrations;
mod requests;
mod restoring;
mod retiring;
mod scopes;
mod styles;
mod urgent;

use honoken_tests::{Honoken, Integrator};

use crate::a_service;

/// A service with one ticket, and its integrator.
pub(crate) async fn a_service_with_a_pass() -> (Honoken, Integrator) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    (honoken, integrator)
}

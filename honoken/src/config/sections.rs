//! Every known variable, section by section, in the order of the tables of `docs/configuration.md`.

use super::variable::Variable;
use super::{
    apns, doctor, encryption_keys, http, images, import, load, logging, nats, pushing, rate_limits, storage,
    without_effect,
};

/// Every variable, section by section.
pub(super) fn variables() -> impl Iterator<Item = &'static Variable> {
    let sections = [
        http::VARIABLES,
        storage::VARIABLES,
        images::VARIABLES,
        encryption_keys::VARIABLES,
        logging::VARIABLES,
        load::VARIABLES,
        rate_limits::VARIABLES,
        nats::VARIABLES,
        pushing::VARIABLES,
        apns::VARIABLES,
        doctor::VARIABLES,
        import::VARIABLES,
        without_effect::VARIABLES,
    ];
    sections.into_iter().flatten()
}

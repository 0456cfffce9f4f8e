//! Limits on concurrent work: `HONOKEN_REQUESTS_…`, `HONOKEN_BUILDS_WAITING`, `HONOKEN_CONNECTIONS_PER_ADDRESS`.

use honoken_api::layers::{load_shedding, rate_limits};
use honoken_api::server::options::Connections;
use honoken_service::limits;

use super::variable::{ConfigError, POSITIVE, Variable, Variables, parsed, read};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_REQUESTS_AT_WORK",
        "requests that are worked on at a time, in each of the areas for phones, integrators and operators; the next ones wait their turn",
        "`512`",
    ),
    read(
        "HONOKEN_REQUESTS_WAITING",
        "requests that may wait, in each area, for five seconds at most; more are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        "HONOKEN_BUILDS_WAITING",
        "requests for a pass that has to be built and signed first that may wait for that, twenty seconds at most; more are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        "HONOKEN_CONNECTIONS_PER_ADDRESS",
        "connections that one client address (IPv6: one /64) may have at a time; more are accepted and closed at once. Also in `dev`; with `RATE_LIMIT_PROXIES` there is no such limit, since a proxy's connections are everybody's",
        "half of all: `8192`, or less where the system allows fewer open files",
    ),
];

pub(super) fn load(variable: Variables<'_>) -> Result<load_shedding::Options, ConfigError> {
    let default = load_shedding::Options::default();
    Ok(load_shedding::Options {
        requests_at_work: parsed(variable, "HONOKEN_REQUESTS_AT_WORK", POSITIVE)?
            .unwrap_or(default.requests_at_work),
        requests_waiting: parsed(variable, "HONOKEN_REQUESTS_WAITING", WAITING)?
            .unwrap_or(default.requests_waiting),
    })
}

const WAITING: &str = "a whole number";

pub(super) fn builds_waiting(variable: Variables<'_>) -> Result<u32, ConfigError> {
    Ok(parsed(variable, "HONOKEN_BUILDS_WAITING", WAITING)?.unwrap_or(limits::BUILDS_WAITING))
}

pub(super) fn connections(
    variable: Variables<'_>,
    rates: &rate_limits::Options,
) -> Result<Connections, ConfigError> {
    let per_address = parsed(variable, "HONOKEN_CONNECTIONS_PER_ADDRESS", POSITIVE)?;
    Ok(Connections { per_address, behind_proxies: rates.proxies > 0 })
}

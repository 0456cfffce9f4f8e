//! Limits on concurrent work: `HONOKEN_REQUESTS_…`, `HONOKEN_BUILDS_WAITING`, `HONOKEN_CONNECTIONS_PER_ADDRESS`.

use honoken_api::layers::{load_shedding, rate_limits};
use honoken_api::server::options::Connections;
use honoken_service::limits;

use super::variable::{ConfigError, POSITIVE, Variable, Variables, parsed, read};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_REQUESTS_AT_WORK",
        "requests that are handled at a time, in each of the areas for phones, integrators and operators; further ones wait for their turn",
        "`512`",
    ),
    read(
        "HONOKEN_REQUESTS_WAITING",
        "requests that may wait in each area, for five seconds at most; further ones are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        "HONOKEN_BUILDS_WAITING",
        "requests that may wait for their pass to be built and signed, for twenty seconds at most; further ones are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        "HONOKEN_CONNECTIONS_PER_ADDRESS",
        "connections that one client address (IPv6: one /64) may have at a time; further ones are accepted and closed at once. Applies in `dev` too; with `RATE_LIMIT_PROXIES` there is no such limit, since all clients share a proxy's connections",
        "half of all connections: `8192`, or less where the system allows fewer open files",
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

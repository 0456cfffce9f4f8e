//! How pushes are sent: `HONOKEN_PUSH_…`, `OUTBOX_…`.

use std::num::NonZeroU32;

use honoken_pushers::apns::PushType;
use honoken_service::pushing::options::Options;

use super::variable::{ConfigError, POSITIVE, Variable, Variables, parsed, read};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_PUSH_WINDOW_SECONDS",
        "the push window in seconds, in which a phone is woken once for all passes of a type: the first change wakes it at once, further changes together at the end. `0`: every change wakes it, which phones punish. In `dev`: `0`",
        "`30`",
    ),
    read("HONOKEN_PUSHES_AT_WORK", "pushes that one process sends at a time", "`200`"),
    read(
        "HONOKEN_APNS_CONNECTIONS",
        "the most connections to APNs that one process opens for an APNs key or a certificate, `1` to `32`",
        "`4`",
    ),
    read(
        "HONOKEN_APNS_PUSH_TYPE",
        "the value of the header `apns-push-type`: `background`, or `none` to leave the header out",
        "`background`",
    ),
    read(
        "OUTBOX_BATCH_SIZE",
        "phones that are claimed in the ledger of deliveries at a time, `1` to `5000`",
        "`500`",
    ),
    read("OUTBOX_RETRY_ATTEMPTS", "requests to APNs for one delivery before it counts as failed", "`100`"),
    read(
        "OUTBOX_RETENTION_DAYS",
        "days for which deliveries are kept after their end, for `deliveries` in the state of a pass",
        "`30`",
    ),
];

pub(super) fn pushing(variable: Variables<'_>) -> Result<Options, ConfigError> {
    let default = Options::default();
    let up_to = |name, most: u32, must_be| {
        let refused = || ConfigError { variable: name, problem: format!("must be {must_be}") };
        let value: Option<NonZeroU32> = parsed(variable, name, must_be)?;
        if value.is_some_and(|value| value.get() > most) { Err(refused()) } else { Ok(value) }
    };
    Ok(Options {
        batch_size: up_to("OUTBOX_BATCH_SIZE", 5000, "a whole number from 1 to 5000")?
            .unwrap_or(default.batch_size),
        retry_attempts: parsed(variable, "OUTBOX_RETRY_ATTEMPTS", POSITIVE)?
            .unwrap_or(default.retry_attempts),
        retention_days: up_to("OUTBOX_RETENTION_DAYS", 36_500, "a number of days from 1 to 36500")?
            .unwrap_or(default.retention_days),
        window_seconds: window(variable)?,
        at_work: up_to("HONOKEN_PUSHES_AT_WORK", 10_000, "a whole number from 1 to 10000")?
            .unwrap_or(default.at_work),
        push_type: variable("HONOKEN_APNS_PUSH_TYPE")?
            .map_or(Ok(default.push_type), |text| push_type(&text))?,
        connections: up_to("HONOKEN_APNS_CONNECTIONS", 32, "a whole number from 1 to 32")?
            .unwrap_or(default.connections),
    })
}

fn window(variable: Variables<'_>) -> Result<Option<u32>, ConfigError> {
    let name = "HONOKEN_PUSH_WINDOW_SECONDS";
    let must_be = "a number of seconds from 0 to 86400";
    let window: Option<u32> = parsed(variable, name, must_be)?;
    if window.is_some_and(|window| window > 86_400) {
        return Err(ConfigError { variable: name, problem: format!("must be {must_be}") });
    }
    Ok(window)
}

fn push_type(text: &str) -> Result<PushType, ConfigError> {
    text.parse().map_err(|_| ConfigError {
        variable: "HONOKEN_APNS_PUSH_TYPE",
        problem: "must be `background` or `none`".to_owned(),
    })
}

//! Variables that an earlier service used, or a later release will.

use super::variable::{Variable, without_effect};

pub(super) const VARIABLES: &[Variable] = &[
    without_effect("POSTHOG_API_KEY", "has no effect yet: this release sends no reports"),
    without_effect("POSTHOG_PROJECT_API_KEY", "has no effect yet: this release sends no reports"),
    without_effect("POSTHOG_HOST", "has no effect yet: this release sends no reports"),
    without_effect("POSTHOG_BATCH_SIZE", "has no effect yet: this release sends no reports"),
    without_effect("POSTHOG_FLUSH_INTERVAL", "has no effect yet: this release sends no reports"),
    without_effect("DEV_DATABASE_URL", "is obsolete: use DATABASE_URL"),
    without_effect("HONOKEN_DATABASE_URL", "has no effect: use DATABASE_URL"),
    without_effect(
        "UPSTASH_REDIS_REST_URL",
        "is obsolete: images can be in a Redis that HONOKEN_ASSETS_URL names (rediss://…); unset it",
    ),
    without_effect(
        "UPSTASH_REDIS_REST_TOKEN",
        "is obsolete: images can be in a Redis that HONOKEN_ASSETS_URL names (rediss://…); unset it",
    ),
    without_effect("APNS_MODE", "is obsolete: passes are pushed through Apple's production host only"),
    without_effect("APNS_ENV", "is obsolete: passes are pushed through Apple's production host only"),
    without_effect("APNS_TOPIC", "has no effect: the topic of a push is the pass type identifier"),
    without_effect("UPDATE_TAG_STRATEGY", "is obsolete: update tags are positions in the event log"),
];

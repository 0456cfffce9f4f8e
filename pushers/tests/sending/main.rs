//! From messages to phones, with real files and a real server. APNs is a fake that answers as it is told: how it is spoken to is not the point here.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod clock;
mod coalescing;
mod crashes;
mod dead_tokens;
mod fake_apns;
mod fan_out;
mod outages;
mod parking;
mod pausing;
mod rests;
mod several;
mod world;

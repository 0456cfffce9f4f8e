//! `locations` and `beacons`: where the pass is offered on the lock screen.
//!
//! <https://developer.apple.com/documentation/walletpasses/pass/locations-data.dictionary>,
//! <https://developer.apple.com/documentation/walletpasses/pass/beacons-data.dictionary>

use serde_json::{Map, Value};

use crate::finding::{Findings, quoted};
use crate::lint::shape::{Kind, Shape, check_members, check_range, objects, require};
use crate::pointer::at;

/// Wallet looks at the first ten and no further.
const MOST_PLACES: usize = 10;

const LOCATION: Shape = &[
    ("latitude", Kind::Number),
    ("longitude", Kind::Number),
    ("altitude", Kind::Number),
    ("relevantText", Kind::Text),
];

const BEACON: Shape = &[
    ("proximityUUID", Kind::Text),
    ("major", Kind::Number),
    ("minor", Kind::Number),
    ("relevantText", Kind::Text),
];

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    if let Some(locations) = content.get("locations") {
        check_count(findings, "/locations", locations);
        for (pointer, location) in objects(findings, "/locations", locations) {
            check_location(findings, &pointer, location);
        }
    }
    if let Some(beacons) = content.get("beacons") {
        check_count(findings, "/beacons", beacons);
        for (pointer, beacon) in objects(findings, "/beacons", beacons) {
            check_beacon(findings, &pointer, beacon);
        }
    }
}

/// A location of the pass or of a semantic tag.
pub(super) fn check_location(findings: &mut Findings, pointer: &str, location: &Map<String, Value>) {
    require(findings, "location_incomplete", pointer, location, &["latitude", "longitude"]);
    check_members(findings, pointer, location, LOCATION);
    for (key, most) in [("latitude", 90.0), ("longitude", 180.0)] {
        check_range(findings, &at(pointer, key), location.get(key), -most..=most);
    }
}

fn check_beacon(findings: &mut Findings, pointer: &str, beacon: &Map<String, Value>) {
    require(findings, "beacon_incomplete", pointer, beacon, &["proximityUUID"]);
    check_members(findings, pointer, beacon, BEACON);
    if let Some(uuid) = beacon.get("proximityUUID").and_then(Value::as_str)
        && !is_uuid(uuid)
    {
        let detail = format!("{} is not a UUID such as E2C56DB5-DFFB-48D2-B060-D0F5A71096E0", quoted(uuid));
        findings.error("beacon_uuid_invalid", &at(pointer, "proximityUUID"), detail);
    }
    for key in ["major", "minor"] {
        if let Some(number) = beacon.get(key).filter(|value| value.is_number())
            && number.as_u64().is_none_or(|number| number > u64::from(u16::MAX))
        {
            findings.error("out_of_range", &at(pointer, key), format!("{key} is an integer from 0 to 65535"));
        }
    }
}

fn check_count(findings: &mut Findings, pointer: &str, places: &Value) {
    let count = places.as_array().map_or(0, Vec::len);
    if count > MOST_PLACES {
        let detail = format!("{count} entries; Wallet looks at {MOST_PLACES} only");
        findings.warning("too_many_places", pointer, detail);
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

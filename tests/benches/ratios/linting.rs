//! The linter over a full pass, beside reading the same JSON.

use std::hint::black_box;
use std::time::Duration;

use honoken_domain::json;
use honoken_pkpass::{PassKind, TicketStyle, lint};
use serde_json::{Map, Value, json};

use crate::rounds::{Comparison, PAIRS, Pair, Side, Stopwatch};

/// Time of one round.
const ROUND: Duration = Duration::from_millis(300);

const COMPARISON: Comparison = Comparison {
    title: "linting: a full pass checked",
    ours: Side {
        name: "ours",
        does: "`honoken_pkpass::lint` of an event ticket with a field in every place, codes, places, dates and semantic tags",
        unit: "passes per second of one core",
    },
    ceiling: Side {
        name: "ceiling",
        does: "`honoken_domain::json::parse` of the same content",
        unit: "passes per second of one core",
    },
    boundary: "the value in memory on one side, its text in memory on the other; one thread",
};

pub(crate) fn run() {
    let content = content();
    let text = Value::Object(content.clone()).to_string();
    let kind = PassKind::plain(TicketStyle::Event);
    let linted = || {
        assert!(!lint(kind, black_box(&content)).iter().any(honoken_pkpass::Finding::is_error));
    };
    let parsed = || {
        black_box(json::parse(black_box(text.as_bytes())).expect("it was written by the same library"));
    };
    let mut pairs = Vec::new();
    for round in 0..=PAIRS {
        // Who goes first changes, so that neither side always follows the other.
        pairs.push(if round % 2 == 0 {
            let ours = per_second(linted);
            Pair { ours, ceiling: per_second(parsed) }
        } else {
            let ceiling = per_second(parsed);
            Pair { ours: per_second(linted), ceiling }
        });
    }
    COMPARISON.report(&pairs[1..]);
    println!("  size      {} bytes of JSON", text.len());
}

fn per_second(work: impl Fn()) -> f64 {
    let (watch, mut count) = (Stopwatch::start(), 0);
    while watch.elapsed() < ROUND {
        work();
        count += 1;
    }
    watch.rate(count)
}

/// A ticket that uses most of what a pass can have.
fn content() -> Map<String, Value> {
    let field = |group: &str, at: usize| json!({ "key": format!("{group}{at}"), "label": "LABEL", "value": format!("value {at}"), "changeMessage": "Now %@" });
    let fields = |group: &str, count: usize| -> Value { (0..count).map(|at| field(group, at)).collect() };
    let location = json!({ "latitude": 52.5, "longitude": 13.4, "relevantText": "Welcome" });
    let content = json!({
        "description": "A ticket", "organizationName": "The Museum", "logoText": "Museum",
        "backgroundColor": "rgb(94, 53, 177)", "foregroundColor": "rgb(255, 255, 255)", "labelColor": "#d1c4e9",
        "eventTicket": {
            "headerFields": fields("header", 2), "primaryFields": fields("primary", 1),
            "secondaryFields": fields("secondary", 4), "auxiliaryFields": fields("auxiliary", 4),
            "backFields": fields("back", 12),
        },
        "barcodes": [{ "format": "PKBarcodeFormatQR", "message": "A-1", "messageEncoding": "iso-8859-1", "altText": "A-1" }],
        "locations": [location, location, location],
        "relevantDates": [{ "date": "2027-03-01T19:30+01:00" }],
        "semantics": {
            "eventName": "Night", "venueName": "Hall", "eventStartDate": "2027-03-01T19:30+01:00",
            "seats": [{ "seatRow": "1", "seatNumber": "2" }, { "seatRow": "1", "seatNumber": "3" }],
        },
        "userInfo": { "order": 7, "lines": [1, 2, 3] },
    });
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

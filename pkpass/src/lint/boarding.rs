//! The needs of the boarding pass of iOS 26. Wallet does not complain when one is not met: it shows the older look.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-an-airline-boarding-pass>

use serde_json::{Map, Value};

use crate::finding::Findings;
use crate::pass_json::aliases::RENAMED_TAGS;
use crate::pass_json::poster::SEMANTIC_BOARDING_SCHEME;
use crate::pointer::at;

const NEEDED: [&str; 12] = [
    "airlineCode",
    "flightNumber",
    "departureAirportCode",
    "destinationAirportCode",
    "departureCityName",
    "destinationCityName",
    "departureLocationTimeZone",
    "destinationLocationTimeZone",
    "originalDepartureDate",
    "originalBoardingDate",
    "originalArrivalDate",
    "passengerName",
];

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    let schemes = content.get("preferredStyleSchemes").and_then(Value::as_array);
    if !schemes.into_iter().flatten().any(|scheme| scheme == SEMANTIC_BOARDING_SCHEME) {
        return;
    }
    if content.get("boardingPass").and_then(|dictionary| dictionary.get("transitType"))
        != Some(&Value::from("PKTransitTypeAir"))
    {
        let detail =
            "semanticBoardingPass is for flights only; without PKTransitTypeAir Wallet shows the older look";
        findings.warning("boarding_incomplete", "/boardingPass/transitType", detail);
    }
    let tags = content.get("semantics").and_then(Value::as_object);
    let has = |name: &str| tags.is_some_and(|tags| tags.contains_key(name));
    let is_there = |name: &str| has(name) || RENAMED_TAGS.iter().any(|(old, new)| *new == name && has(old));
    for name in NEEDED.into_iter().filter(|name| !is_there(name)) {
        let detail = format!(
            "semanticBoardingPass needs the semantic tag {name}; without it Wallet shows the older look"
        );
        findings.warning("boarding_incomplete", &at("/semantics", name), detail);
    }
}

//! Passes built from nothing, beside bare RSA-2048 private-key operations, which every pass needs one of.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::{Localizations, PassKind, PassSource, SigningIdentity, TicketStyle, build};
use honoken_tests::{Honoken, drawing};
use serde_json::{Map, Value};

use crate::rounds::{Comparison, PAIRS, Pair, Side, rate};
use crate::{FOLDER, PROGRAM, processor, tickets};

/// Processor time of one round.
const ROUND: Duration = Duration::from_millis(500);

pub(crate) const CEILING: Side = Side {
    name: "ceiling",
    does: "`openssl speed -seconds 1 rsa2048`, its sign/s: one private-key operation, nothing else",
    unit: "operations per second of one core",
};

const COMPARISON: Comparison = Comparison {
    title: "signing: passes built cold",
    ours: Side {
        name: "ours",
        does: "`honoken_pkpass::build` of an event ticket: icon and logo at three scales",
        unit: "passes per second of one core",
    },
    ceiling: CEILING,
    boundary: "content, key, and the images with their SHA-1 in memory, as the service has them, on one side, bytes of the `.pkpass` on the \
               other; no pass is built before, one thread. Both sides count processor time, as openssl does when it is not told otherwise",
};

const HASHING: Comparison = Comparison {
    title: "signing: passes built cold, from images that nobody has seen before",
    ours: Side {
        name: "ours",
        does: "the same, and SHA-1 of all images for each pass",
        unit: COMPARISON.ours.unit,
    },
    ceiling: CEILING,
    boundary: "the same, from the bytes of the images",
};

pub(crate) async fn run() {
    let (identity, _) = identity().await;
    let content = tickets::content(1);
    let images = images();
    let known = || passes_per_second(|| built(&identity, &content, &images));
    let new = || passes_per_second(|| built(&identity, &content, &hashed_again(&images)));
    let (mut pairs, mut hashing) = (Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        // Who goes first changes, so that neither side always follows the other.
        let (known, new, ceiling) = if round % 2 == 0 {
            let (known, new) = (known(), new());
            (known, new, signatures_per_second())
        } else {
            let ceiling = signatures_per_second();
            (known(), new(), ceiling)
        };
        pairs.push(Pair { ours: known, ceiling });
        hashing.push(Pair { ours: new, ceiling });
    }
    COMPARISON.report(&pairs[1..]);
    HASHING.report(&hashing[1..]);
    let bytes: usize = images.values().map(|image| image.bytes().len()).sum();
    println!(
        "  sizes     {bytes} bytes of images, {} of the pass",
        built(&identity, &content, &images).len()
    );
}

pub(crate) type Images = BTreeMap<ImageFile, Arc<Image>>;

/// The images of the pass, hashed.
pub(crate) fn images() -> Images {
    let drawn = tickets::IMAGES.iter().map(|(file, width, height)| {
        let image = Image::new(drawing::noise(*width, *height));
        (ImageFile::parse(file).expect("a name"), Arc::new(image))
    });
    drawn.collect()
}

pub(crate) fn hashed_again(images: &Images) -> Images {
    images.iter().map(|(name, image)| (name.clone(), Arc::new(Image::new(image.bytes().clone())))).collect()
}

pub(crate) fn passes_per_second(build: impl Fn() -> Vec<u8>) -> f64 {
    let (start, mut passes) = (processor::of_this_thread(), 0);
    loop {
        for _ in 0..20 {
            std::hint::black_box(build());
        }
        passes += 20;
        let spent = processor::of_this_thread().saturating_sub(start);
        if spent >= ROUND {
            return rate(passes, spent);
        }
    }
}

pub(crate) fn built(identity: &SigningIdentity, content: &Map<String, Value>, images: &Images) -> Vec<u8> {
    build(&source(identity, content), images, identity).expect("the pass is built")
}

pub(crate) fn source<'a>(identity: &'a SigningIdentity, content: &'a Map<String, Value>) -> PassSource<'a> {
    PassSource {
        pass_type_identifier: identity.pass_type_identifier(),
        serial_number: "A-1",
        team_identifier: identity.team_identifier(),
        organization_name: "The Old Theatre",
        web_service_url: "https://passes.example.com",
        authentication_token: "0123456789abcdef0123456789abcdef",
        kind: PassKind::plain(TicketStyle::Event),
        voided: false,
        content,
        localizations: const { &Localizations::new() },
        leaves_out_nfc: false,
        personalization: None,
    }
}

/// The development certificate that the program makes for itself: RSA-2048, as Apple's are. With its files.
pub(crate) async fn identity() -> (SigningIdentity, BTreeMap<&'static str, Vec<u8>>) {
    let mut honoken = Honoken::start_with_certificates(PROGRAM, FOLDER.as_ref()).await;
    honoken.terminate().await;
    let folder = honoken.home().data_dir().join("certificates");
    let names = ["pass.pem", "pass.key", "intermediate.pem"];
    let [certificate, key, intermediate] =
        names.map(|name| fs::read(folder.join(name)).expect("the certificates can be read"));
    let identity =
        SigningIdentity::from_pem(&certificate, &key, &intermediate).expect("they belong together");
    (identity, names.into_iter().zip([certificate, key, intermediate]).collect())
}

pub(crate) fn signatures_per_second() -> f64 {
    let output = Command::new("openssl").args(["speed", "-seconds", "1", "rsa2048"]).output();
    let text = String::from_utf8(output.expect("openssl can be started").stdout).expect("a text");
    sign_rate(&text).unwrap_or_else(|| panic!("openssl does not say sign/s: {text}"))
}

/// The figure below `sign/s`. Newer versions have more columns, so it is found by its distance from the end.
fn sign_rate(text: &str) -> Option<f64> {
    let header: Vec<&str> =
        text.lines().find(|line| line.contains("sign/s"))?.split_whitespace().rev().collect();
    let figures: Vec<&str> =
        text.lines().find(|line| line.trim_start().starts_with("rsa"))?.split_whitespace().rev().collect();
    figures.get(header.iter().position(|column| *column == "sign/s")?)?.parse().ok()
}

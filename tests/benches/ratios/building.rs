//! Passes with ten images and texts in three languages built from nothing, beside bare RSA-2048 private-key operations.

use std::sync::Arc;

use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::{Language, Localization, Localizations, PassSource, SigningIdentity, build};
use honoken_tests::drawing;
use serde_json::{Map, Value};

use crate::rounds::{Comparison, PAIRS, Pair, Side};
use crate::signing::{self, CEILING, Images};
use crate::tickets;

const COMPARISON: Comparison = Comparison {
    title: "building: passes with ten images and three languages built cold",
    ours: Side {
        name: "ours",
        does: "`honoken_pkpass::build` of an event ticket: icon and logo at three scales, background and thumbnail at two, 12 texts in each of three languages",
        unit: "passes per second of one core",
    },
    ceiling: CEILING,
    boundary: "as in signing: images with their SHA-1 in memory on one side, bytes of the `.pkpass` on the other",
};

/// Beside those of [`signing::images`].
const FURTHER: [(&str, u32, u32); 4] = [
    ("background.png", 180, 220),
    ("background@2x.png", 360, 440),
    ("thumbnail.png", 90, 90),
    ("thumbnail@2x.png", 180, 180),
];

pub(crate) async fn run() {
    let (identity, _) = signing::identity().await;
    let content = tickets::content(1);
    let (images, texts) = (images(), texts());
    assert_eq!(images.len(), 10);
    let ours = || signing::passes_per_second(|| built(&identity, &content, &images, &texts));
    let mut pairs = Vec::new();
    for round in 0..=PAIRS {
        // Who goes first changes, so that neither side always follows the other.
        pairs.push(if round % 2 == 0 {
            let ours = ours();
            Pair { ours, ceiling: signing::signatures_per_second() }
        } else {
            let ceiling = signing::signatures_per_second();
            Pair { ours: ours(), ceiling }
        });
    }
    COMPARISON.report(&pairs[1..]);
    let bytes: usize = images.values().map(|image| image.bytes().len()).sum();
    let pass = built(&identity, &content, &images, &texts);
    println!("  sizes     {bytes} bytes of images, {} of the pass", pass.len());
}

pub(crate) fn images() -> Images {
    let further = FURTHER.into_iter().map(|(file, width, height)| {
        let image = Image::new(drawing::noise(width, height));
        (ImageFile::parse(file).expect("a name"), Arc::new(image))
    });
    signing::images().into_iter().chain(further).collect()
}

/// The labels of a ticket in three languages, one of them not in ASCII.
pub(crate) fn texts() -> Localizations {
    let language = |(language, prefix): (&str, &str)| {
        let strings =
            (1..=12).map(|number| (format!("Label {number}"), format!("{prefix} {number}"))).collect();
        (Language::parse(language).expect("a language"), Localization { strings })
    };
    [("de", "Beschriftung"), ("fr", "Libellé"), ("ja", "ラベル")].into_iter().map(language).collect()
}

pub(crate) fn built(
    identity: &SigningIdentity,
    content: &Map<String, Value>,
    images: &Images,
    localizations: &Localizations,
) -> Vec<u8> {
    let source = PassSource { localizations, ..signing::source(identity, content) };
    build(&source, images, identity).expect("the pass is built")
}

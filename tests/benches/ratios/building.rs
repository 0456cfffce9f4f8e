//! Passes with ten images built from nothing, beside bare RSA-2048 private-key operations.

use std::sync::Arc;

use honoken_pkpass::image::{Image, ImageName};
use honoken_tests::drawing;

use crate::rounds::{Comparison, PAIRS, Pair, Side};
use crate::signing::{self, CEILING, Images};
use crate::tickets;

const COMPARISON: Comparison = Comparison {
    title: "building: passes with ten images built cold",
    ours: Side {
        name: "ours",
        does: "`honoken_pkpass::build` of an event ticket: icon and logo at three scales, background and thumbnail at two",
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
    let images = images();
    assert_eq!(images.len(), 10);
    let ours = || signing::passes_per_second(|| signing::built(&identity, &content, &images));
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
    let pass = signing::built(&identity, &content, &images);
    println!("  sizes     {bytes} bytes of images, {} of the pass", pass.len());
}

fn images() -> Images {
    let further = FURTHER.into_iter().map(|(file, width, height)| {
        let image = Image::new(drawing::noise(width, height));
        (ImageName::parse(file).expect("a name"), Arc::new(image))
    });
    signing::images().into_iter().chain(further).collect()
}

//! A pass of 2 MB inspected by the program, beside `unzip -t` and `openssl cms -verify` of the same file.

use std::path::Path;
use std::process::{Command, Stdio};

use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::reader::{Trust, inspect_trusting};
use honoken_tests::{drawing, package};

use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch, rate};
use crate::signing::{self, Images};
use crate::{PROGRAM, tickets};

/// Files inspected in one round.
const FILES: usize = 20;

const COMPARISON: Comparison = Comparison {
    title: "inspecting: a pass of 2 MB",
    ours: Side {
        name: "ours",
        does: "`honoken inspect --root FILE`: archive, manifest, signature, chain, images, content",
        unit: "files per second",
    },
    ceiling: Side {
        name: "ceiling",
        does: "`unzip -t` of the file, then `openssl cms -verify` of signature and manifest, which lie beside it",
        unit: "files per second",
    },
    boundary: "from the start of a program to its end; one program on our side, two on the other, one file after the other",
};

pub(crate) async fn run() {
    let (identity, files) = signing::identity().await;
    let pass = signing::built(&identity, &tickets::content(1), &images());
    let folder = tempfile::tempdir().expect("a temporary folder");
    lay_out(folder.path(), &pass, &files["intermediate.pem"]);
    let mut pairs = Vec::new();
    for round in 0..=PAIRS {
        let (ours, ceiling) = if round % 2 == 0 {
            let ours = files_per_second(|| inspected(folder.path()));
            (ours, files_per_second(|| verified(folder.path())))
        } else {
            let ceiling = files_per_second(|| verified(folder.path()));
            (files_per_second(|| inspected(folder.path())), ceiling)
        };
        pairs.push(Pair { ours, ceiling });
    }
    COMPARISON.report(&pairs[1..]);
    let trust = Trust::apple().and(&files["intermediate.pem"]).expect("a certificate");
    let in_memory = (0..FILES).map(|_| {
        let watch = Stopwatch::start();
        assert!(inspect_trusting(&pass, &trust).valid, "the pass is a good one");
        watch.elapsed().as_secs_f64() * 1000.0
    });
    println!("  sizes     {} bytes; in memory one takes {} ms", pass.len(), Spread::of(in_memory));
}

/// Images that no compression makes smaller, 2 MB of them.
fn images() -> Images {
    let sizes = [
        ("icon.png", 38, 38),
        ("icon@2x.png", 76, 76),
        ("icon@3x.png", 114, 114),
        ("background@3x.png", 1035, 1515),
    ];
    let draw = |(name, width, height): (&str, u32, u32)| {
        (
            ImageFile::parse(name).expect("a name"),
            std::sync::Arc::new(Image::new(drawing::noise(width, height))),
        )
    };
    sizes.into_iter().map(draw).chain(signing::images()).collect()
}

fn lay_out(folder: &Path, pass: &[u8], root: &[u8]) {
    let files = package::files(pass);
    for (name, bytes) in [
        ("pass.pkpass", pass),
        ("root.pem", root),
        ("manifest.json", &files["manifest.json"].0),
        ("signature", &files["signature"].0),
    ] {
        std::fs::write(folder.join(name), bytes).expect("the file is written");
    }
}

fn inspected(folder: &Path) {
    runs(folder, PROGRAM, "inspect --root root.pem pass.pkpass");
}

fn verified(folder: &Path) {
    runs(folder, "unzip", "-tqq pass.pkpass");
    let verify = "cms -verify -binary -inform DER -in signature -content manifest.json -purpose any -partial_chain -CAfile root.pem -out /dev/null";
    runs(folder, "openssl", verify);
}

fn runs(folder: &Path, program: &str, arguments: &str) {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap_or_else(|error| panic!("{program} can be started: {error}"));
    assert!(status.success(), "{program} {arguments}: {status}");
}

fn files_per_second(work: impl Fn()) -> f64 {
    let watch = Stopwatch::start();
    for _ in 0..FILES {
        work();
    }
    rate(FILES, watch.elapsed())
}

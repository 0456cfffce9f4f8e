//! Passes built by other libraries from the same content, images and key. `scripts/bench-peers` installs them and says where.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use honoken_pkpass::reader::inspect;
use honoken_pkpass::{SigningIdentity, pass_json};
use serde_json::{Map, Value};

use crate::rounds::{Comparison, Pair, Side};
use crate::signing::{self, Images};
use crate::tickets;

/// Pairs of each comparison: the slowest of them builds some twenty passes a second.
const PAIRS: usize = 5;

const OURS: Side = Side {
    name: "ours",
    does: "`honoken_pkpass::build` of an event ticket and SHA-1 of its images: icon and logo at three scales",
    unit: "passes per second of one core",
};

/// A library, and the program that asks it for passes.
struct Peer {
    name: &'static str,
    program: &'static [&'static str],
    /// The file that says its version, and what stands before the version.
    version: (&'static str, &'static str),
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "the crate passes",
        program: &["passes/target/release/peer-passes"],
        version: ("passes/Cargo.lock", "name = \"passes\"\nversion = \""),
    },
    Peer {
        name: "npm @walletpass/pass-js",
        program: &["node_modules/.bin/node", "pass-js.mjs"],
        version: ("node_modules/@walletpass/pass-js/package.json", "\"version\": \""),
    },
    Peer {
        name: "npm passkit-generator",
        program: &["node_modules/.bin/node", "passkit-generator.mjs"],
        version: ("node_modules/passkit-generator/package.json", "\"version\": \""),
    },
];

/// Runs with the folder in which they are installed.
pub(crate) async fn run(installed: &Path) {
    let (identity, pem) = signing::identity().await;
    let (content, images) = (tickets::content(1), signing::images());
    let inputs = tempfile::tempdir().expect("a temporary folder");
    lay_out(inputs.path(), &pem, &content, &images, &identity);
    for peer in PEERS {
        let mut pairs = Vec::new();
        for round in 0..PAIRS {
            let ours = || {
                signing::passes_per_second(|| {
                    signing::built(&identity, &content, &signing::hashed_again(&images))
                })
            };
            let (ours, ceiling) = if round % 2 == 0 {
                let ours = ours();
                (ours, peer.passes_per_second(installed, inputs.path()))
            } else {
                let theirs = peer.passes_per_second(installed, inputs.path());
                (ours(), theirs)
            };
            pairs.push(Pair { ours, ceiling });
        }
        let does = format!("{} {}", peer.name, peer.version(installed));
        let ceiling = Side { name: "peer", does: &does, unit: OURS.unit };
        let boundary = "content, images and key in memory on one side, bytes of the `.pkpass` on the other; one at a time, after a second of \
                        warming up. Processor time of the thread, of a program of Node's of all its threads";
        Comparison { title: "peers: passes built cold", ours: OURS, ceiling, boundary }.report(&pairs);
        let theirs = fs::read(inputs.path().join("out.pkpass")).expect("their last pass");
        println!(
            "  sizes     {} bytes of their pass, which our inspector finds {}",
            theirs.len(),
            if inspect(&theirs).valid { "valid" } else { "not valid" }
        );
    }
}

impl Peer {
    fn passes_per_second(&self, installed: &Path, inputs: &Path) -> f64 {
        let output = Command::new(installed.join(self.program[0]))
            .args(&self.program[1..])
            .args([inputs, Path::new("1"), &inputs.join("out.pkpass")])
            .current_dir(installed)
            .output()
            .expect("the peer can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().last().and_then(|line| line.trim().parse().ok());
        rate.unwrap_or_else(|| {
            panic!("{} says no rate: {text}{}", self.name, String::from_utf8_lossy(&output.stderr))
        })
    }

    fn version(&self, installed: &Path) -> String {
        let (file, before) = self.version;
        let text = fs::read_to_string(installed.join(file)).expect("the peer is installed");
        let version = text.split_once(before).and_then(|(_, rest)| rest.split_once('"'));
        version.expect("a version").0.to_owned()
    }
}

/// What all of them read: certificates and key as PEM, images, and pass.json.
fn lay_out(
    folder: &Path,
    pem: &BTreeMap<&str, Vec<u8>>,
    content: &Map<String, Value>,
    images: &Images,
    identity: &SigningIdentity,
) {
    fs::create_dir(folder.join("images")).expect("a folder");
    let mut files: Vec<(String, &[u8])> =
        pem.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.as_slice())).collect();
    files.extend(images.iter().map(|(name, image)| (format!("images/{name}"), &image.bytes()[..])));
    let slots: Vec<_> = images.keys().map(honoken_pkpass::image::ImageFile::slot).collect();
    let pass = pass_json(&signing::source(identity, content), &slots);
    files.push(("pass.json".to_owned(), &pass));
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("the file is written");
    }
}

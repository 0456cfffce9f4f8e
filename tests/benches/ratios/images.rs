//! A pass with ten images, built by a process that has just begun: images on S3, with and without a cache on disk, beside images in a folder.

use std::collections::BTreeMap;
use std::time::Duration;

use honoken_domain::ids::Digest;
use honoken_pkpass::image::ImageFile;
use honoken_service::blobs::Blobs;
use honoken_service::image_store::{Credentials, DiskCache, ImageStore, Place};
use honoken_test_image_stores::{ACCESS_KEY_ID, S3, SECRET_ACCESS_KEY};

use crate::building;
use crate::rounds::{Comparison, PAIRS, Pair, Side, Stopwatch};
use crate::{FOLDER, signing, tickets};

/// The least time of one round.
const ROUND: Duration = Duration::from_millis(500);

/// Bytes that the cache may have: more than there are.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

const FOLDER_SIDE: Side = Side {
    name: "folder",
    does: "the ten images of `building` read from a folder with nothing in memory, compared with their digests, hashed, and built into the pass",
    unit: "passes per second",
};

const BOUNDARY: &str = "from the names of the images to the bytes of the `.pkpass`, one pass after the other, by the clock; the server of S3 is in this \
                        process, on loopback, and shares the cores";

const COLD: Comparison = Comparison {
    title: "images: a pass with ten images from S3, nothing at hand",
    ours: Side { name: "cold", does: "the same from a bucket", unit: FOLDER_SIDE.unit },
    ceiling: FOLDER_SIDE,
    boundary: BOUNDARY,
};

const WARM: Comparison = Comparison {
    title: "images: a pass with ten images of S3 that are in the cache on disk",
    ours: Side { name: "warm", does: "the same through the cache on disk", unit: FOLDER_SIDE.unit },
    ceiling: FOLDER_SIDE,
    boundary: BOUNDARY,
};

const IN_MEMORY: Comparison = Comparison {
    title: "images: a pass with ten images of S3 that are in memory",
    ours: Side { name: "warm", does: "the same from memory, of images on S3", unit: FOLDER_SIDE.unit },
    ceiling: Side {
        name: "folder",
        does: "the same from memory, of images in a folder",
        unit: FOLDER_SIDE.unit,
    },
    boundary: BOUNDARY,
};

pub(crate) async fn run() {
    let stand = Stand::new().await;
    let (mut cold, mut warm, mut in_memory) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        let sides = [Reader::Folder, Reader::Cold, Reader::Disk, Reader::FolderInMemory, Reader::InMemory];
        let mut rates = [0.0; 5];
        // Who goes first changes, so that no side always follows the same other one.
        for turn in 0..sides.len() {
            let side = (turn + round) % sides.len();
            rates[side] = stand.passes_per_second(sides[side]).await;
        }
        let [folder, from_s3, from_disk, folder_in_memory, from_memory] = rates;
        cold.push(Pair { ours: from_s3, ceiling: folder });
        warm.push(Pair { ours: from_disk, ceiling: folder });
        in_memory.push(Pair { ours: from_memory, ceiling: folder_in_memory });
    }
    COLD.report(&cold[1..]);
    WARM.report(&warm[1..]);
    IN_MEMORY.report(&in_memory[1..]);
}

/// Where images are read.
#[derive(Clone, Copy)]
enum Reader {
    Folder,
    Cold,
    Disk,
    FolderInMemory,
    InMemory,
}

struct Stand {
    identity: honoken_pkpass::SigningIdentity,
    digests: BTreeMap<ImageFile, Digest>,
    folder: ImageStore,
    s3: ImageStore,
    disk: DiskCache,
    folder_in_memory: Blobs,
    in_memory: Blobs,
    _server: S3,
    _files: tempfile::TempDir,
}

impl Stand {
    async fn new() -> Self {
        let (identity, _) = signing::identity().await;
        let server = S3::start().await;
        let files = tempfile::Builder::new().tempdir_in(FOLDER).expect("a folder");
        let credentials = Credentials {
            access_key_id: Some(ACCESS_KEY_ID.to_owned()),
            secret_access_key: Some(SECRET_ACCESS_KEY.into()),
            ..Credentials::default()
        };
        let open = |place: Place| ImageStore::open(&place).expect("the store opens");
        let s3 = open(Place::parse(&server.url(), &credentials).expect("a place"));
        let folder = open(Place::Folder(files.path().join("blobs")));
        let disk = DiskCache::open(&files.path().join("cache"), CACHE_BYTES).expect("a cache");
        let mut digests = BTreeMap::new();
        for (name, image) in building::images() {
            let digest = Digest::of(image.bytes());
            for store in [&s3, &folder] {
                store.write(&digest, image.bytes().clone()).await.expect("it is stored");
            }
            digests.insert(name, digest);
        }
        let behind_disk = Blobs::of(s3.clone()).behind(Some(disk.clone()));
        let (folder_in_memory, in_memory) = (Blobs::of(folder.clone()), Blobs::of(s3.clone()));
        for blobs in [&behind_disk, &folder_in_memory, &in_memory] {
            read(blobs, &digests).await;
        }
        Self {
            identity,
            digests,
            folder,
            s3,
            disk,
            folder_in_memory,
            in_memory,
            _server: server,
            _files: files,
        }
    }

    async fn passes_per_second(&self, reader: Reader) -> f64 {
        let (content, texts) = (tickets::content(1), building::texts());
        let (stopwatch, mut passes) = (Stopwatch::start(), 0);
        while stopwatch.elapsed() < ROUND {
            // A new process has nothing in memory.
            let blobs = match reader {
                Reader::Folder => Blobs::of(self.folder.clone()),
                Reader::Cold => Blobs::of(self.s3.clone()),
                Reader::Disk => Blobs::of(self.s3.clone()).behind(Some(self.disk.clone())),
                Reader::FolderInMemory => self.folder_in_memory.clone(),
                Reader::InMemory => self.in_memory.clone(),
            };
            let images = read(&blobs, &self.digests).await;
            std::hint::black_box(building::built(&self.identity, &content, &images, &texts));
            passes += 1;
        }
        stopwatch.rate(passes)
    }
}

async fn read(blobs: &Blobs, digests: &BTreeMap<ImageFile, Digest>) -> signing::Images {
    let images = blobs.get_all(digests.values()).await;
    let images = images.into_iter().map(|image| image.expect("the image is there"));
    digests.keys().cloned().zip(images).collect()
}

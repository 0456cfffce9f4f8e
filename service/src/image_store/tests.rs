//! The same promises, kept by every store: a folder, memory, a real Redis, a server with the protocol of S3, and the client of Vercel Blob
//! over a stand-in.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_test_image_stores::{ACCESS_KEY_ID, PASSWORD, Redis, S3, SECRET_ACCESS_KEY, TOKEN, VercelBlob};
use opendal::layers::ChaosLayer;
use opendal::services::Memory;
use opendal::{OperationContext, Operator};
use tempfile::TempDir;

use super::operator::bounded;
use super::place::Remote;
use super::remote::vercel_blob;
use super::{Copied, CopyFault, Credentials, ImageStore, Place, StoreFault, copy, find, put_back, remove};
use crate::limits;

fn credentials() -> Credentials {
    Credentials {
        access_key_id: Some(ACCESS_KEY_ID.into()),
        secret_access_key: Some(SECRET_ACCESS_KEY.into()),
        session_token: None,
        vercel_token: Some(TOKEN.into()),
    }
}

fn open(url: &str) -> ImageStore {
    ImageStore::open(&Place::parse(url, &credentials()).unwrap()).unwrap()
}

fn over_vercel_blob(blobs: &VercelBlob, token: &str) -> ImageStore {
    let context = OperationContext::new().with_http_transport(blobs.transport());
    let operator = vercel_blob("images", &token.into()).unwrap().with_context(context);
    let place = Place::Remote(Remote::VercelBlob { prefix: "images".into(), token: token.into() });
    ImageStore::over(bounded(operator, limits::IMAGE_STORE_ATTEMPT), place)
}

/// Bytes of which every store is given some: a few, and as many as an image may have.
fn images() -> [Bytes; 2] {
    [Bytes::from_static(b"a few bytes"), Bytes::from(vec![7; 2 * 1024 * 1024])]
}

async fn keeps_its_promises(store: ImageStore) {
    store.reach().await.unwrap();
    for bytes in images() {
        let digest = Digest::of(&bytes);
        assert_eq!(store.read(&digest).await.unwrap(), None);
        assert_eq!(store.read_head(&digest, 4).await.unwrap(), None);
        assert!(!store.has(&digest).await.unwrap());

        store.write(&digest, bytes.clone()).await.unwrap();
        assert_eq!(store.read(&digest).await.unwrap().unwrap(), bytes);
        assert_eq!(store.read_head(&digest, 4).await.unwrap().unwrap(), bytes[..4]);
        assert!(store.has(&digest).await.unwrap());
        store.write(&digest, bytes.clone()).await.expect("the same again changes nothing");
        assert_eq!(store.read(&digest).await.unwrap().unwrap(), bytes);

        let damaged = Bytes::from_static(b"what a fault left of it");
        store.replace(&digest, damaged.clone()).await.unwrap();
        assert_eq!(store.read(&digest).await.unwrap().unwrap(), damaged);
        store.replace(&digest, bytes.clone()).await.unwrap();
        assert_eq!(store.read(&digest).await.unwrap().unwrap(), bytes);
    }
    let [few, many] = images().map(|bytes| Digest::of(&bytes));
    store.remove(&few).await.unwrap();
    store.remove(&few).await.expect("what is not there can be removed");
    assert_eq!(store.read(&few).await.unwrap(), None);
    assert!(store.has(&many).await.unwrap());
}

/// Files under names of their own, of which one goes up and down in parts.
async fn keeps_files(store: ImageStore, bytes: usize) {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let large: Vec<u8> = (0..bytes).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    std::fs::write(&from, &large).unwrap();
    store.upload(&from, "first/large").await.unwrap();
    store.write_file("first/second/small", Bytes::from_static(b"a few bytes")).await.unwrap();
    store.write_file("top", Bytes::from_static(b"on top")).await.unwrap();
    let paths: BTreeSet<String> = store.paths().await.unwrap().try_collect().await.unwrap();
    assert_eq!(paths, ["first/large", "first/second/small", "top"].map(str::to_owned).into());
    assert_eq!(store.folders().await.unwrap(), ["first".to_owned()].into());

    assert_eq!(store.file("first/large").await.unwrap().unwrap().bytes, bytes as u64);
    assert_eq!(store.sha256("first/large").await.unwrap(), Digest::of(&large).to_string());
    std::fs::write(&to, "what was there before").unwrap();
    store.download("first/large", &to).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), large);
    store.upload(&folder.path().join("missing"), "missing").await.unwrap_err();
    store.remove_file("first/large").await.unwrap();
    store.remove_file("first/large").await.expect("what is not there can be removed");
    assert_eq!(store.file("first/large").await.unwrap(), None);
    assert_eq!(store.read_file("top").await.unwrap().unwrap(), "on top");
}

#[tokio::test]
async fn files_are_kept_in_a_folder_on_s3_and_in_vercel_blob() {
    let folder = TempDir::new().unwrap();
    keeps_files(open(&format!("fs:{}", folder.path().display())), 1000).await;
    let s3 = S3::start().await;
    keeps_files(open(&s3.url()), 40 * 1024 * 1024 + 1).await;
    keeps_files(over_vercel_blob(&VercelBlob::default(), TOKEN), 1000).await;
}

#[tokio::test]
async fn a_folder_keeps_images() {
    let folder = TempDir::new().unwrap();
    let images = folder.path().join("images");
    keeps_its_promises(open(&format!("fs:{}", images.display()))).await;
}

#[tokio::test]
async fn memory_keeps_images() {
    keeps_its_promises(open("memory:")).await;
}

#[tokio::test]
async fn a_redis_keeps_images() {
    let redis = Redis::start().await;
    keeps_its_promises(open(&redis.url())).await;
}

#[tokio::test]
async fn s3_keeps_images() {
    let s3 = S3::start().await;
    keeps_its_promises(open(&s3.url())).await;
}

#[tokio::test]
async fn vercel_blob_keeps_images() {
    keeps_its_promises(over_vercel_blob(&VercelBlob::default(), TOKEN)).await;
}

#[tokio::test]
async fn two_that_store_the_same_image_at_once_both_succeed() {
    let (redis, s3) = (Redis::start().await, S3::start().await);
    let vercel = VercelBlob::default();
    for store in [open(&redis.url()), open(&s3.url()), over_vercel_blob(&vercel, TOKEN)] {
        let [_, bytes] = images();
        let digest = Digest::of(&bytes);
        let (one, other) = tokio::join!(
            Box::pin(store.write(&digest, bytes.clone())),
            Box::pin(store.write(&digest, bytes.clone()))
        );
        one.unwrap();
        other.unwrap();
        assert_eq!(store.read(&digest).await.unwrap().unwrap(), bytes, "{}", store.place());
    }
}

/// A store that is away is told with its place and without secrets; a moment later it is not asked again.
async fn is_told(store: &ImageStore) {
    let digest = Digest::of(b"anything");
    let first = store.read(&digest).await.unwrap_err();
    let place = store.place().to_string();
    for fault in [first, store.write(&digest, Bytes::from_static(b"anything")).await.unwrap_err()] {
        let told = fault.to_string();
        assert!(told.contains(&place), "{told}");
        for secret in [PASSWORD, SECRET_ACCESS_KEY, TOKEN] {
            assert!(!format!("{told} {fault:?}").contains(secret), "{told}");
        }
    }
    let soon = tokio::time::timeout(Duration::from_millis(200), store.read(&digest)).await;
    soon.expect("it is not asked again at once").unwrap_err();
}

async fn is_back(store: &ImageStore) {
    let digest = Digest::of(b"anything");
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while store.read(&digest).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "{} does not come back", store.place());
        ticks.tick().await;
    }
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_and_comes_back() {
    let mut redis = Redis::start().await;
    let store = open(&redis.url());
    let bytes = images()[0].clone();
    store.write(&Digest::of(&bytes), bytes.clone()).await.unwrap();
    redis.kill().await;
    is_told(&store).await;
    redis.start_again().await;
    is_back(&store).await;
    assert_eq!(store.read(&Digest::of(&bytes)).await.unwrap().unwrap(), bytes);
}

#[tokio::test]
async fn a_redis_that_hangs_is_not_waited_for_long() {
    let redis = Redis::start().await;
    let store = open(&redis.url());
    store.reach().await.unwrap();
    redis.freezes();
    let limit = limits::IMAGE_STORE_ANSWER + Duration::from_secs(5);
    tokio::time::timeout(limit, store.read(&Digest::of(b"anything"))).await.unwrap().unwrap_err();
    redis.thaws();
    is_back(&store).await;
}

#[tokio::test]
async fn s3_that_is_away_is_told_and_comes_back() {
    let mut s3 = S3::start().await;
    let store = open(&s3.url());
    let bytes = images()[0].clone();
    store.write(&Digest::of(&bytes), bytes.clone()).await.unwrap();
    s3.goes_away();
    is_told(&store).await;
    s3.comes_back().await;
    is_back(&store).await;
    assert_eq!(store.read(&Digest::of(&bytes)).await.unwrap().unwrap(), bytes);
}

#[tokio::test]
async fn vercel_blob_that_is_away_is_told_and_comes_back() {
    let vercel = VercelBlob::default();
    let store = over_vercel_blob(&vercel, TOKEN);
    vercel.set_away(true);
    is_told(&store).await;
    vercel.set_away(false);
    is_back(&store).await;
}

#[track_caller]
fn refused(fault: Result<(), StoreFault>, words: &[&str]) {
    let told = fault.unwrap_err().to_string();
    for word in words {
        assert!(told.contains(word), "{told}");
    }
    for secret in [PASSWORD, SECRET_ACCESS_KEY, TOKEN, "wrong-secret"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn a_store_that_lets_nobody_in_says_so_at_once() {
    let (redis, s3) = (Redis::start().await, S3::start().await);
    let wrong = open(&redis.url().replace(PASSWORD, "wrong-secret"));
    refused(wrong.reach().await, &["redis://127.0.0.1", "Password"]);

    let wrong = Credentials { secret_access_key: Some("wrong-secret".into()), ..credentials() };
    let place = Place::parse(&s3.url(), &wrong).unwrap();
    refused(ImageStore::open(&place).unwrap().reach().await, &["s3://", "s3:GetObject"]);
    let nowhere = s3.url().replace("honoken-test", "another-bucket");
    refused(open(&nowhere).reach().await, &["s3://another-bucket", "NoSuchBucket"]);

    refused(over_vercel_blob(&VercelBlob::default(), "wrong-secret").reach().await, &["vercel-blob:images"]);
}

#[tokio::test]
async fn the_head_of_an_image_on_s3_is_read_without_the_rest() {
    let s3 = S3::start().await;
    let store = open(&s3.url());
    let [_, bytes] = images();
    store.write(&Digest::of(&bytes), bytes.clone()).await.unwrap();
    s3.requests();
    store.read_head(&Digest::of(&bytes), 33).await.unwrap();
    let requests = s3.requests();
    assert!(
        matches!(&*requests, [one] if one.starts_with("GET ") && one.ends_with(" bytes=0-32")),
        "{requests:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn reads_that_fail_now_and_then_are_repeated_and_never_wrong() {
    let operator = Operator::new(Memory::default()).unwrap();
    let calm = ImageStore::over(operator.clone(), Place::Memory);
    let store = ImageStore::over(
        bounded(operator.layer(ChaosLayer::new(0.2)), limits::IMAGE_STORE_ATTEMPT),
        Place::Memory,
    );
    let [_, bytes] = images();
    let digest = Digest::of(&bytes);
    calm.write(&digest, bytes.clone()).await.unwrap();
    let mut read = 0;
    for _ in 0..200 {
        // A read that failed every time it was tried is a fault, and no other bytes.
        if let Ok(stored) = store.read(&digest).await {
            assert_eq!(stored.unwrap(), bytes);
            read += 1;
        }
    }
    assert!(
        read > 120,
        "of 200 reads, half of whose attempts fail, {read} succeeded with three attempts each"
    );
}

#[tokio::test]
async fn what_can_be_listed_is_listed_whole() {
    let folder = TempDir::new().unwrap();
    let s3 = S3::start().await;
    let stores = [
        open(&format!("fs:{}", folder.path().display())),
        open(&s3.url()),
        over_vercel_blob(&VercelBlob::default(), TOKEN),
    ];
    for store in stores {
        assert!(store.can_list());
        assert_eq!(store.list().await.unwrap(), []);
        let images: BTreeSet<Digest> = (0..8_u8).map(|number| Digest::of(&[number; 10])).collect();
        for number in 0..8_u8 {
            let bytes = Bytes::from(vec![number; 10]);
            store.write(&Digest::of(&bytes), bytes).await.unwrap();
        }
        let listed = store.list().await.unwrap();
        assert!(listed.iter().all(|image| image.bytes == 10), "{listed:?}");
        assert_eq!(listed.into_iter().map(|image| image.digest).collect::<BTreeSet<_>>(), images);
    }
    assert!(!open(&Redis::start().await.url()).can_list());
}

#[tokio::test]
async fn an_image_is_copied_once_and_only_whole() {
    let folder = TempDir::new().unwrap();
    let from = open(&format!("fs:{}", folder.path().display()));
    let (redis, s3) = (Redis::start().await, S3::start().await);
    for to in [open(&redis.url()), open(&s3.url()), over_vercel_blob(&VercelBlob::default(), TOKEN)] {
        let [bytes, _] = images();
        let digest = Digest::of(&bytes);
        from.write(&digest, bytes.clone()).await.unwrap();
        assert_eq!(copy(&from, &to, &digest).await.unwrap(), Copied::Now);
        assert_eq!(copy(&from, &to, &digest).await.unwrap(), Copied::Before);
        to.replace(&digest, Bytes::from_static(b"damaged")).await.unwrap();
        assert_eq!(copy(&from, &to, &digest).await.unwrap(), Copied::Now, "what is damaged is copied again");
        assert_eq!(to.read(&digest).await.unwrap().unwrap(), bytes);

        let damaged = Digest::of(b"what it was");
        from.write(&damaged, Bytes::from_static(b"what it is")).await.unwrap();
        assert!(matches!(copy(&from, &to, &damaged).await, Err(CopyFault::Damaged(..))));
        let missing = Digest::of(b"nothing");
        assert!(matches!(copy(&from, &to, &missing).await, Err(CopyFault::Missing(..))));
        assert!(!to.has(&damaged).await.unwrap() && !to.has(&missing).await.unwrap());
    }
}

#[tokio::test]
async fn what_nothing_refers_to_is_removed_and_put_back_when_something_does() {
    let s3 = S3::start().await;
    let store = open(&s3.url());
    let [old, young, shown] = [b"old", b"new", b"use"].map(|bytes| Bytes::from_static(bytes));
    for bytes in [&old, &young, &shown] {
        store.write(&Digest::of(bytes), bytes.clone()).await.unwrap();
    }
    let referred_to = BTreeSet::from([Digest::of(&shown)]);
    let before_all = find(&store, &referred_to, UnixSeconds(0)).await.unwrap();
    assert_eq!((before_all.referred_to, before_all.new, before_all.garbage.len()), (1, 2, 0));
    let found = find(&store, &referred_to, UnixSeconds(i64::MAX)).await.unwrap();
    assert_eq!((found.referred_to, found.new, found.garbage.len(), found.bytes()), (1, 0, 2, 6));

    let mut removed = Vec::new();
    for image in &found.garbage {
        removed.extend(remove(&store, &image.digest).await.unwrap());
    }
    assert_eq!(removed.len(), 2);
    assert!(!store.has(&Digest::of(&old)).await.unwrap() && store.has(&Digest::of(&shown)).await.unwrap());
    let by_now = BTreeSet::from([Digest::of(&young), Digest::of(&shown)]);
    assert_eq!(put_back(&store, removed, &by_now).await.unwrap(), 1);
    assert_eq!(store.read(&Digest::of(&young)).await.unwrap().unwrap(), young);
    assert!(!store.has(&Digest::of(&old)).await.unwrap());
}

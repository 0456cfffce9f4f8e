//! Images on other machines: processes share them without a folder, what is at hand goes on while the store is away, and the rest is told with
//! its true cause.

use std::process::Output;
use std::time::Duration;

use honoken_test_image_stores::{ACCESS_KEY_ID, PASSWORD, Redis, S3, SECRET_ACCESS_KEY};
use honoken_tests::authority::Authority;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, Serve, drawing, package};
use http::StatusCode;

use crate::processes::{a_projector, an_api, becomes_ready};
use crate::{PROGRAM, a_home_for_serve, a_home_in};

const URL: &str = "HONOKEN_ASSETS_URL";

fn on_s3(home: Home, s3: &S3) -> Home {
    let home = home.with_variable(URL, s3.url()).with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    home.with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
}

/// A service on this home, which has shown images of a pass.
async fn shows_images(home: Home) -> Honoken {
    let honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    let (icon, logo) = (drawing::icon(3), drawing::logo(4));
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "icon.png", icon.clone()).await;
    integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    let files = package::files(&integrator.downloads("A-1").await);
    assert_eq!((&files["icon.png"].0, &files["logo.png"].0), (&icon, &logo));
    assert!(!honoken.home().data_dir().join("blobs").exists(), "no image is in the data folder");
    honoken
}

#[tokio::test]
async fn images_can_be_in_a_redis() {
    let redis = Redis::start().await;
    let mut honoken = shows_images(Home::new(PROGRAM).await.with_variable(URL, redis.url())).await;
    honoken.terminate().await;
    honoken.restart().await;
    let files = package::files(&honoken.integrator().downloads("A-1").await);
    assert_eq!(files["logo.png"].0, drawing::logo(4));
    assert!(!honoken.home().output().contains(PASSWORD));
}

#[tokio::test]
async fn images_can_be_in_a_redis_behind_tls() {
    let authority = Authority::new().await;
    authority.certifies("redis", "IP:127.0.0.1", "serverAuth").await;
    let redis = Redis::start_with_tls(&authority.file("redis.pem"), &authority.file("redis.key")).await;
    // The roots of the operating system, as OpenSSL and others name them.
    let home = Home::new(PROGRAM).await.with_variable("SSL_CERT_FILE", authority.text("ca.pem"));
    shows_images(home.with_variable(URL, redis.url())).await;
}

#[tokio::test]
async fn images_can_be_on_s3() {
    let s3 = S3::start().await;
    let honoken = shows_images(on_s3(Home::new(PROGRAM).await, &s3)).await;
    assert!(!honoken.home().output().contains(SECRET_ACCESS_KEY));
}

#[tokio::test]
async fn images_can_be_in_memory_or_in_another_folder() {
    shows_images(Home::new(PROGRAM).await.with_variable(URL, "memory:")).await;
    let home = Home::new(PROGRAM).await;
    let folder = home.folder().join("images");
    let honoken = shows_images(home.with_variable(URL, format!("fs:{}", folder.display()))).await;
    assert!(folder.is_dir(), "{}", honoken.home().output());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_without_a_common_folder_show_the_same_images() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let s3 = S3::start().await;
    let home = a_home_in(on_s3(Home::on(Engine::Postgres, PROGRAM).await, &s3)).await;
    let _projector = a_projector(&home, "projector").await;
    let one = an_api(&home, "one").await;
    let folder = home.home().folder().join("another-machine");
    // The encryption key is what both machines have.
    let key = "secrets/encryption-key";
    std::fs::create_dir_all(folder.join("secrets")).expect("a folder");
    std::fs::copy(home.home().data_dir().join(key), folder.join(key)).expect("the key");
    let other = home.home().serve("other").with_roles("api").in_data_dir(folder).start().await;
    becomes_ready(&other).await;
    let logo = drawing::logo(9);
    let (integrator, elsewhere) = (one.integrator(home.ready()), other.integrator(home.ready()));
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    let image = elsewhere.request(http::Method::GET, &elsewhere.asset_path("A-1", "logo.png"), &[], "").await;
    image.assert_status(StatusCode::OK);
    assert_eq!(image.body, logo);
}

#[tokio::test]
async fn while_the_store_is_away_what_is_at_hand_goes_on() {
    let mut s3 = S3::start().await;
    let home = on_s3(Home::new(PROGRAM).await, &s3).with_variable("HONOKEN_ASSETS_CACHE_MIB", "0");
    let mut honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    let (icon, logo) = (drawing::icon(3), drawing::logo(4));
    let (icon_digest, logo_digest) = (integrator.uploads(&icon).await, integrator.uploads(&logo).await);
    for serial in ["A-1", "A-2"] {
        integrator.issues(serial).await;
        integrator.puts_asset(serial, "icon.png", icon.clone()).await;
    }
    integrator.puts_asset("A-2", "logo.png", logo.clone()).await;
    // What was in memory is gone with the process.
    honoken.terminate().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    let at_hand = integrator.downloads("A-1").await;

    s3.goes_away();
    assert_eq!(integrator.downloads("A-1").await, at_hand, "a file that was built is served");
    let answer = integrator.pkpass("A-2").await;
    let problem = assert_problem(&answer, 503);
    assert_eq!(problem["code"], "unavailable");
    assert!(honoken.metrics().await.get("honoken_images_store_failures_total") > 0.0);
    let line = honoken.logs("the image store s3://").await;
    assert!(line.contains("127.0.0.1"), "{line}");
    let mut order = integrator.order("A-3", &honoken_tests::a_ticket("1A"));
    order["assets"] = serde_json::json!({ "icon.png": icon_digest, "logo.png": logo_digest });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    assert_problem(&integrator.upload(drawing::icon(200)).await, 503);
    let wanted = integrator.json(http::Method::GET, "/manage/v1/jobs", &serde_json::json!({})).await;
    assert!(
        !wanted.json().to_string().contains("restoredImage"),
        "an image that cannot be looked for is not lost"
    );

    s3.comes_back().await;
    let files = eventually(PATIENCE, "the store is asked again", async || {
        let answer = integrator.pkpass("A-3").await;
        (answer.status == StatusCode::OK).then(|| package::files(&answer.body))
    })
    .await;
    assert_eq!((&files["icon.png"].0, &files["logo.png"].0), (&icon, &logo));
    integrator.uploads(&drawing::icon(200)).await;
    assert!(!honoken.home().output().contains(SECRET_ACCESS_KEY));
}

#[tokio::test]
async fn images_that_were_read_before_are_on_disk_while_the_store_is_away() {
    let mut s3 = S3::start().await;
    let mut honoken = Honoken::start_in(on_s3(Home::new(PROGRAM).await, &s3)).await;
    let integrator = honoken.integrator();
    let logo = drawing::logo(4);
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    let digest = integrator.uploads(&logo).await;
    honoken.terminate().await;
    honoken.restart().await;

    s3.goes_away();
    let integrator = honoken.integrator();
    assert_eq!(package::files(&integrator.downloads("A-1").await)["logo.png"].0, logo);
    let mut order = integrator.order("A-2", &honoken_tests::a_ticket("1A"));
    order["assets"] = serde_json::json!({ "logo.png": digest });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    assert_eq!(package::files(&integrator.downloads("A-2").await)["logo.png"].0, logo);
    let metrics = honoken.metrics().await;
    assert!(metrics.get("honoken_images_read_total{source=\"disk\"}") > 0.0);
    assert!(metrics.get("honoken_images_read_total{source=\"store\"}") < 1.0, "the store is away");

    let cache = honoken.home().data_dir().join("image-cache");
    let image = cache.join(&digest[..2]).join(&digest[2..]);
    assert_eq!(std::fs::read(&image).expect("the image is there"), logo);
    // What happens to the folder costs a request, and shows no wrong image.
    honoken.terminate().await;
    std::fs::write(&image, "damaged").expect("it can be written");
    s3.comes_back().await;
    honoken.restart().await;
    assert_eq!(package::files(&honoken.integrator().downloads("A-1").await)["logo.png"].0, logo);
    eventually(PATIENCE, "the image is kept again", async || {
        (std::fs::read(&image).ok()? == logo).then_some(())
    })
    .await;
}

/// A start that is refused, in bounded time.
async fn refused(serve: Serve) -> (String, Duration) {
    let began = tokio::time::Instant::now();
    let output = tokio::time::timeout(PATIENCE, serve.command().output()).await;
    let Output { status, stderr, .. } = output.expect("the start ends").expect("the program starts");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{stderr}");
    for secret in [PASSWORD, SECRET_ACCESS_KEY, "wrong-secret"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
    (stderr, began.elapsed())
}

#[tokio::test]
async fn a_start_without_its_image_store_names_the_variable_and_the_host() {
    let home = a_home_for_serve().await;
    let with = |url: &str| {
        let serve = home.home().serve("refused").with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
        serve.with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY).with_variable(URL, url)
    };
    let nobody = "127.0.0.1:1";
    for url in [format!("redis://:{PASSWORD}@{nobody}"), format!("s3://passes?endpoint=http://{nobody}")] {
        let (stderr, took) = refused(with(&url)).await;
        assert!(stderr.contains(URL) && stderr.contains(nobody), "{stderr}");
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
    let redis = Redis::start().await;
    let (stderr, _) = refused(with(&redis.url().replace(PASSWORD, "wrong-secret"))).await;
    assert!(
        stderr.contains(URL) && stderr.contains("redis://127.0.0.1") && stderr.contains("Password"),
        "{stderr}"
    );

    let serve = home.home().serve("refused").with_variable(URL, "s3://passes?region=eu-central-1");
    let (stderr, _) = refused(serve).await;
    assert!(stderr.contains("AWS_ACCESS_KEY_ID is missing"), "{stderr}");
}

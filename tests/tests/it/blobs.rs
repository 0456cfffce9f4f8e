//! `honoken blobs`: images move from one store to another, and those that nothing refers to go.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use honoken_test_image_stores::{ACCESS_KEY_ID, Redis, S3, SECRET_ACCESS_KEY};
use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::storage::files_below;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, drawing, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::PROGRAM;

/// What a command printed, which succeeded.
async fn does(honoken: &Honoken, arguments: &[&str]) -> String {
    let output = honoken.home().runs(arguments).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert!(!stderr.contains(SECRET_ACCESS_KEY), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn images_move_from_a_folder_over_s3_and_a_redis_to_another_folder_beside_the_service() {
    let (s3, redis) = (S3::start().await, Redis::start().await);
    let home = Home::new(PROGRAM).await.with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    let home = home.with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let mut honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    let logo = drawing::logo(4);
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    // An image that no pass shows moves as well: its organisation may name it.
    integrator.uploads(&drawing::icon(200)).await;

    let there = honoken.home().folder().join("there");
    let blobs = honoken.home().data_dir().join("blobs");
    let (folder, other) = (format!("fs:{}", blobs.display()), format!("fs:{}", there.display()));
    let images = files_below(&blobs).len();
    let (s3, redis) = (s3.url(), redis.url());
    for (from, to) in [(&folder, &s3), (&s3, &redis), (&redis, &other)] {
        let copy = ["blobs", "copy", "--from", from, "--to", to];
        let printed = does(&honoken, &copy).await;
        assert!(
            printed.starts_with(&format!("{images} images were copied and read again, 0 were")),
            "{printed}"
        );
        let printed = does(&honoken, &copy).await;
        assert!(
            printed.starts_with(&format!("0 images were copied and read again, {images} were")),
            "{printed}"
        );
    }
    assert_eq!(files_below(&there).len(), images);

    honoken.terminate().await;
    fs::remove_dir_all(honoken.home().data_dir().join("blobs")).expect("the old place goes");
    honoken.has_variable("HONOKEN_ASSETS_URL", other);
    honoken.restart().await;
    assert_eq!(package::files(&honoken.integrator().downloads("A-1").await)["logo.png"].0, logo);
}

#[tokio::test]
async fn an_image_that_is_damaged_stays_behind_and_is_named() {
    let honoken = Honoken::start_in(Home::new(PROGRAM).await).await;
    let logo = drawing::logo(4);
    let digest = honoken.integrator().uploads(&logo).await;
    let blobs = honoken.home().data_dir().join("blobs");
    fs::write(blobs.join(&digest[..2]).join(&digest[2..]), "damaged").expect("it can be written");
    let (from, to) = (format!("fs:{}", blobs.display()), honoken.home().folder().join("there"));
    let to = format!("fs:{}", to.display());
    let output = honoken.home().runs(&["blobs", "copy", "--from", &from, "--to", &to]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&digest) && stderr.contains("1 could not be copied"), "{stderr}");

    let output = honoken.home().runs(&["blobs", "copy", "--from", "memory:", "--to", &to]).await;
    assert_eq!(output.status.code(), Some(1));
    let output = honoken.home().runs(&["blobs", "copy", "--from", "ftp://a", "--to", &to]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("--from must be fs:PATH"), "{stderr}");
}

#[tokio::test]
async fn images_that_nothing_refers_to_go_and_may_come_again() {
    let mut honoken = Honoken::start_in(Home::new(PROGRAM).await).await;
    let integrator = honoken.integrator();
    let (shown, hidden, nobodys, young) =
        (drawing::logo(4), drawing::png(90, 90, 5), drawing::icon(200), drawing::icon(201));
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", shown.clone()).await;
    integrator.put_type_asset("footer.png", hidden.clone()).await.assert_status(StatusCode::ACCEPTED);
    integrator.uploads(&nobodys).await;
    let blobs = honoken.home().data_dir().join("blobs");
    let file = |bytes: &[u8]| {
        let digest = sha256(bytes);
        blobs.join(&digest[..2]).join(&digest[2..])
    };
    for image in files_below(&blobs) {
        let image = File::options().append(true).open(image).expect("an image");
        image.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).expect("it can be made old");
    }
    integrator.uploads(&young).await;
    // All of its room is taken.
    let operator = honoken.operator();
    let sizes = [&shown, &hidden, &nobodys, &young].map(Vec::len);
    let most = json!({ "imageBytes": sizes.iter().sum::<usize>() });
    let limited = operator.request(Method::PATCH, "/admin/organizations/dev", &most).await;
    limited.assert_status(StatusCode::OK);
    let other = drawing::icon(202);
    assert_eq!(assert_problem(&integrator.upload(other.clone()).await, 422)["code"], "quota_exceeded");

    let gc = ["blobs", "gc", "--hold-seconds", "1"];
    let printed = does(&honoken, &[&gc[..], &["--dry-run"]].concat()).await;
    assert!(printed.starts_with("1 images (") && printed.contains("would be removed"), "{printed}");
    assert!(file(&nobodys).exists(), "a dry run removes nothing");
    let printed = does(&honoken, &gc).await;
    assert!(printed.starts_with("1 images (") && printed.contains("1 are newer"), "{printed}");
    assert!(printed.contains("1 uploads count no more"), "{printed}");
    assert!(!file(&nobodys).exists());
    let again = integrator.upload(nobodys.clone()).await;
    again.assert_status(StatusCode::CREATED);
    // Readers see that in a moment.
    let newer = (203..).map(drawing::icon);
    let mut newer = newer.into_iter();
    eventually(PATIENCE, "the room is taken", async || {
        let image = newer.next().expect("they do not end");
        (integrator.upload(image).await.status == StatusCode::UNPROCESSABLE_ENTITY).then_some(())
    })
    .await;
    for kept in [&shown, &hidden, &young] {
        assert!(file(kept).exists());
    }
    let audit = operator.request(Method::GET, "/admin/audit?action=removeUnusedImages", &Value::Null).await;
    assert_eq!(audit.json()["entries"].as_array().map(Vec::len), Some(1), "{}", audit.json());

    // Its organisation has uploaded it again, as the answer says.
    integrator.puts_asset("A-1", "icon.png", nobodys.clone()).await;
    assert_eq!(package::files(&integrator.downloads("A-1").await)["icon.png"].0, nobodys);
    honoken.terminate().await;
    let printed = does(&honoken, &gc).await;
    assert!(printed.starts_with("0 images ("), "{printed}");
}

#[tokio::test]
async fn images_go_from_a_redis_at_the_second_look_that_finds_nothing_referring_to_them() {
    let redis = Redis::start().await;
    let home = Home::new(PROGRAM).await.with_variable("HONOKEN_ASSETS_URL", redis.url());
    let honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    let (shown, nobodys) = (drawing::logo(4), drawing::icon(200));
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", shown.clone()).await;
    integrator.uploads(&nobodys).await;
    // The images of a brand are no organisation's, and are found all the same.
    let operator = honoken.operator();
    for image in [drawing::png(80, 80, 1), drawing::png(80, 80, 2)] {
        operator.put_brand_asset("footer.png", image).await.assert_status(StatusCode::ACCEPTED);
    }
    let gc = ["blobs", "gc", "--hold-seconds", "0", "--older-than-days"];
    let looks = async |days: &str, more: &[&str]| does(&honoken, &[&gc[..], &[days], more].concat()).await;
    let printed = looks("0", &["--dry-run"]).await;
    assert!(printed.starts_with("0 images (") && printed.contains(" 2 are newer"), "{printed}");
    let printed = looks("0", &[]).await;
    assert!(printed.starts_with("0 images (") && printed.contains(" 2 are newer"), "{printed}");
    let printed = looks("1", &[]).await;
    assert!(printed.starts_with("0 images (") && printed.contains(" 2 are newer"), "{printed}");
    // A second later they have been so for longer than no day.
    let printed = eventually(PATIENCE, "they go", async || {
        Some(looks("0", &[]).await).filter(|printed| !printed.starts_with("0 images ("))
    });
    let printed = printed.await;
    assert!(printed.starts_with("2 images ("), "{printed}");
    assert!(printed.contains("1 uploads count no more"), "{printed}");
    assert_eq!(package::files(&integrator.downloads("A-1").await)["logo.png"].0, shown);
    let printed = looks("0", &[]).await;
    assert!(printed.starts_with("0 images (") && printed.contains(" 0 are newer"), "{printed}");
}

#[tokio::test]
async fn a_store_that_has_none_of_the_images_is_taken_for_another_one() {
    let honoken = Honoken::start_in(Home::new(PROGRAM).await).await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(4)).await;
    fs::remove_dir_all(honoken.home().data_dir().join("blobs")).expect("it goes");
    let output = honoken.home().runs(&["blobs", "gc"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("HONOKEN_ASSETS_URL"), "{stderr}");
}

//! Blobs and the images of a pass.

use honoken_tests::etag::sha256;
use honoken_tests::problem::{assert_is_problem, assert_points_at, assert_problem, assert_too_large};
use honoken_tests::{Change, drawing, package};
use http::{Method, StatusCode};
use serde_json::json;

use super::a_service_with_a_pass;
use crate::a_service;

const BLOB_LIMIT: usize = 2 * 1024 * 1024;

#[tokio::test]
async fn a_blob_is_named_by_its_digest_however_often_it_comes() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let image = drawing::icon(7);
    for _ in 0..2 {
        assert_eq!(integrator.uploads(&image).await, sha256(&image));
    }
}

#[tokio::test]
async fn a_blob_may_come_with_any_content_type() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for content_type in ["image/png", "application/octet-stream", "text/plain", "application/json", "x"] {
        let headers = [("content-type", content_type)];
        let answer = integrator.request(Method::POST, "/manage/v1/blobs", &headers, drawing::icon(1)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}");
    }
    let answer = integrator.request(Method::POST, "/manage/v1/blobs", &[], drawing::icon(1)).await;
    answer.assert_status(StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_not_a_whole_png_is_422() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let image = drawing::icon(7);
    let mut damaged = image.clone();
    damaged[50] ^= 1;
    let broken: [&[u8]; 8] = [
        b"",
        b"hello",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        &image[..image.len() - 1],
        &image[..image.len() - 12],
        &damaged,
        &[image.as_slice(), b"trailing"].concat(),
    ];
    for bytes in broken {
        assert_problem(&integrator.upload(bytes.to_vec()).await, 422);
    }
}

#[tokio::test]
async fn a_blob_above_2_mib_is_413() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    assert_too_large(integrator.tries(Method::POST, "/manage/v1/blobs", &[], vec![0; BLOB_LIMIT + 1]).await);
    // Just as large as allowed, it is looked at, and is not an image.
    assert_problem(&integrator.upload(vec![0; BLOB_LIMIT]).await, 422);
    let path = {
        integrator.issues("A-1").await;
        integrator.asset_path("A-1", "icon.png")
    };
    assert_too_large(integrator.tries(Method::PUT, &path, &[], vec![0; BLOB_LIMIT + 1]).await);
}

#[tokio::test]
async fn a_pass_is_issued_with_images_that_were_uploaded_before() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let (icon, logo) = (drawing::icon(10), drawing::logo(20));
    let mut order = integrator.order("A-1", &honoken_tests::a_ticket("1A"));
    order["assets"] =
        json!({ "icon.png": integrator.uploads(&icon).await, "logo.png": integrator.uploads(&logo).await });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let state = integrator.state("A-1").await;
    // Own images of a slot hide every scale of the default.
    assert_eq!(state["assets"], json!({ "icon.png": sha256(&icon), "logo.png": sha256(&logo) }));
    let files = package::files(&integrator.downloads("A-1").await);
    assert_eq!((&files["icon.png"].0, &files["logo.png"].0), (&icon, &logo));
    assert!(!files.contains_key("icon@2x.png") && !files.contains_key("logo@2x.png"));
}

#[tokio::test]
async fn an_own_image_takes_the_place_of_the_default_and_gives_it_back() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let defaults = integrator.state("A-1").await["assets"].clone();
    let logo = drawing::logo(33);
    let put = integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    let state = integrator.state("A-1").await;
    assert_eq!(state["assets"]["logo.png"], sha256(&logo));
    assert_eq!(state["etag"], put.etag);
    assert_eq!(package::files(&integrator.downloads("A-1").await)["logo.png"].0, logo);
    integrator.removes_asset("A-1", "logo.png").await;
    assert_eq!(integrator.state("A-1").await["assets"], defaults);
}

#[tokio::test]
async fn an_own_image_is_shown_as_it_was_uploaded() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let logo = drawing::logo(44);
    integrator.puts_asset("A-1", "logo.png", logo.clone()).await;
    let answer = integrator.request(Method::GET, &integrator.asset_path("A-1", "logo.png"), &[], "").await;
    answer.assert_status(StatusCode::OK).assert_header("content-type", "image/png");
    assert_eq!(answer.body, logo);
}

#[tokio::test]
async fn the_same_image_again_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(1)).await;
    let before = integrator.state("A-1").await;
    let again = integrator.put_asset("A-1", "logo.png", drawing::logo(1)).await;
    assert!(!Change::read(again.assert_status(StatusCode::OK)).changed);
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn removing_what_is_not_there_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let answer = integrator.remove_asset("A-1", "background.png").await;
    assert!(!Change::read(answer.assert_status(StatusCode::OK)).changed);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_404() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let answer =
        integrator.request(Method::GET, &integrator.asset_path("A-1", "background.png"), &[], "").await;
    assert_problem(&answer, 404);
}

#[tokio::test]
async fn a_name_that_no_pass_has_is_refused() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for file in [
        "icon.gif",
        "icon",
        "icon@4x.png",
        "ICON.png",
        "../icon.png",
        "..",
        "pass.json",
        "a/b.png",
        "strip.png ",
    ] {
        let answer = integrator.put_asset("A-1", file, drawing::icon(1)).await;
        assert!(matches!(answer.status.as_u16(), 404 | 422), "{file}: {}", answer.status);
        assert_is_problem(&answer);
        let answer = integrator.request(Method::GET, &integrator.asset_path("A-1", file), &[], "").await;
        assert!(matches!(answer.status.as_u16(), 404 | 422), "{file}: {}", answer.status);
        assert_is_problem(&answer);
    }
}

#[tokio::test]
async fn an_image_of_the_wrong_size_is_422() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    for (file, width, height) in [
        ("icon.png", 30, 29),
        ("icon.png", 58, 58),
        ("icon@2x.png", 29, 29),
        ("logo.png", 161, 50),
        ("logo.png", 160, 51),
        ("background.png", 346, 505),
    ] {
        let answer = integrator.put_asset("A-1", file, drawing::png(width, height, 1)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{file} {width}×{height}");
        assert_problem(&answer, 422);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn every_size_that_apple_names_is_accepted() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for (file, width, height) in [
        ("icon.png", 29, 29),
        ("icon.png", 38, 38),
        ("icon@2x.png", 58, 58),
        ("icon@2x.png", 76, 76),
        ("icon@3x.png", 87, 87),
        ("icon@3x.png", 114, 114),
        ("logo.png", 160, 50),
        ("logo.png", 50, 50),
        ("logo@3x.png", 480, 150),
        ("background.png", 345, 505),
        ("background@2x.png", 690, 1010),
    ] {
        let answer = integrator.put_asset("A-1", file, drawing::png(width, height, 1)).await;
        assert_eq!(answer.status, StatusCode::OK, "{file} {width}×{height}: {}", answer.excerpt());
        integrator.state("A-1").await;
    }
}

#[tokio::test]
async fn a_poster_needs_a_background_and_keeps_it() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut order = integrator.order("P-1", &honoken_tests::a_ticket("1A"));
    order["poster"] = json!(true);
    assert_points_at(&integrator.issue(&order).await, "/assets/background.png");
    order["assets"] = json!({ "background.png": integrator.uploads(&drawing::background(5)).await });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let before = integrator.state("P-1").await;
    assert_eq!(before["poster"], true);
    let answer = integrator.remove_asset("P-1", "background.png").await;
    assert_problem(&answer, 422);
    assert_eq!(integrator.state("P-1").await, before);
}

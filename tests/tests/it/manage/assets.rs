//! Blobs and the images of a pass.

use honoken_tests::device::{device, push_token};
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
async fn a_form_instead_of_an_image_is_415_and_says_how_to_send_one() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let recorded = honoken.storage().recorded().await;
    let headers = [("content-type", "Multipart/Form-Data; boundary=x")];
    let own = integrator.asset_path("A-1", "logo.png");
    let of_type = format!("/manage/v1/pass-types/{}/assets/logo.png", integrator.pass_type_identifier());
    for (method, path) in [(Method::POST, "/manage/v1/blobs"), (Method::PUT, &own), (Method::PUT, &of_type)] {
        let answer = integrator.request(method, path, &headers, "--x--").await;
        assert_eq!(assert_problem(&answer, 415)["code"], "unsupported_media_type", "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("curl --data-binary"), "{path}");
    }
    assert_eq!(honoken.storage().recorded().await, recorded);
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

/// Code and pointer of each warning.
fn told(change: &Change) -> Vec<(&str, &str)> {
    change
        .warnings
        .iter()
        .map(|each| (each["code"].as_str().expect("a code"), each["pointer"].as_str().expect("a pointer")))
        .collect()
}

#[tokio::test]
async fn an_image_of_another_size_is_taken_with_a_warning_that_names_both_sizes() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for (file, width, height, drawn) in [
        ("icon.png", 35, 35, "38×38 or 29×29"),
        ("icon@2x.png", 29, 29, "76×76 or 58×58"),
        ("logo.png", 161, 50, "160×50"),
        ("background.png", 346, 505, "345×505"),
        ("thumbnail@2x.png", 181, 90, "180×180"),
    ] {
        let image = drawing::png(width, height, 1);
        let change = integrator.puts_asset("A-1", file, image.clone()).await;
        assert_eq!(told(&change), [("image_size", &*format!("/assets/{file}"))]);
        let detail = change.warnings[0]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("{width}×{height}")) && detail.contains(drawn), "{detail}");
        let files = package::files(&integrator.downloads("A-1").await);
        assert_eq!(files.get(file).map(|(bytes, _)| bytes), Some(&image), "{file}");
    }
    let sized = json!({ "icon.png": integrator.uploads(&drawing::png(41, 43, 2)).await });
    let mut order = integrator.order("B-1", &honoken_tests::a_ticket("1A"));
    order["assets"] = sized;
    let issued = Change::read(integrator.issue(&order).await.assert_status(StatusCode::CREATED));
    assert!(told(&issued).contains(&("image_size", "/assets/icon.png")), "{:?}", issued.warnings);
}

#[tokio::test]
async fn an_image_that_the_style_does_not_show_is_kept_with_a_warning_and_changes_nothing_for_phones() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    honoken.devices().register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let before = integrator.state("A-1").await;
    for file in ["footer.png", "venueMap.png", "personalizationLogo@2x.png", "artwork.png"] {
        let change = Change::read(
            integrator.put_asset("A-1", file, drawing::png(9, 9, 3)).await.assert_status(StatusCode::OK),
        );
        assert!(told(&change).contains(&("image_not_shown", &*format!("/assets/{file}"))), "{change:?}");
        assert_eq!((change.changed, &change.etag), (false, &before["etag"].as_str().unwrap().to_owned()));
    }
    assert_eq!(integrator.state("A-1").await, before);
    let (pass_type, tag) = (&pass.pass_type_identifier, before["updateTag"].as_str().unwrap());
    assert_eq!(honoken.devices().lists(&device(1), pass_type, Some(tag)).await, None);

    let boarding = json!({ "ticketStyle": "boarding" });
    let content = json!({ "description": "d", "boardingPass": { "transitType": "PKTransitTypeBus", "primaryFields": [] } });
    let refused = integrator.draw_as("A-1", &boarding).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "the content has no transit type");
    let mut order = integrator.order("B-1", &content);
    (order["ticketStyle"], order["assets"]) = (
        json!("boarding"),
        json!({
            "footer.png": integrator.uploads(&drawing::png(9, 9, 3)).await,
            "strip.png": integrator.uploads(&drawing::png(9, 9, 4)).await,
        }),
    );
    let issued = Change::read(integrator.issue(&order).await.assert_status(StatusCode::CREATED));
    assert!(told(&issued).contains(&("image_not_shown", "/assets/strip.png")), "{:?}", issued.warnings);
    let state = integrator.state("B-1").await;
    assert!(state["assets"].get("footer.png").is_some() && state["assets"].get("strip.png").is_none());
}

#[tokio::test]
async fn one_large_image_becomes_every_scale_of_its_slot() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.puts_asset("A-1", "logo@2x.png", drawing::png(20, 20, 1)).await;
    let large = drawing::png(600, 200, 5);
    let put = async |file: &str, query: &str, image: Vec<u8>| {
        let path = format!("{}{query}", integrator.asset_path("A-1", file));
        integrator.request(Method::PUT, &path, &[("content-type", "image/png")], image).await
    };
    let answer = put("logo.png", "?scale=auto", large.clone()).await;
    let change = Change::read(answer.assert_status(StatusCode::OK));
    assert!(change.changed && change.warnings.is_empty(), "{change:?}");
    let made = answer.json()["assets"].clone();
    assert_eq!(made.as_object().unwrap().len(), 3);
    let state = integrator.state("A-1").await;
    let built = package::files(&integrator.downloads("A-1").await);
    for (file, width) in [("logo.png", 150), ("logo@2x.png", 300), ("logo@3x.png", 450)] {
        assert_eq!(state["assets"][file], made[file], "{file}");
        let bytes = &built[file].0;
        assert_eq!(sha256(bytes), made[file].as_str().unwrap());
        assert_eq!(bytes[16..24], [u32::to_be_bytes(width), u32::to_be_bytes(width / 3)].concat());
    }
    let again = put("logo.png", "?scale=auto&urgent=true", large.clone()).await;
    assert!(!Change::read(again.assert_status(StatusCode::OK)).changed);
    for (file, query) in
        [("logo.png", "?scale=2"), ("logo@2x.png", "?scale=auto"), ("logo.png", "?size=auto")]
    {
        assert_problem(&put(file, query, large.clone()).await, 422);
    }

    let blob = async |query: &str, image: &[u8]| {
        let path = format!("/manage/v1/blobs{query}");
        integrator.request(Method::POST, &path, &[("content-type", "image/png")], image.to_vec()).await
    };
    let answer = blob("?file=icon.png&scale=auto", &large).await;
    let uploaded = answer.assert_status(StatusCode::CREATED).json();
    assert_eq!(uploaded["digest"].as_str().unwrap(), sha256(&large));
    let mut order = integrator.order("B-1", &honoken_tests::a_ticket("1A"));
    order["assets"] = uploaded["assets"].clone();
    order["assets"]["background.png"] = uploaded["digest"].clone();
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    for query in
        ["?scale=auto", "?file=icon.png", "?file=stripe.png&scale=auto", "?file=icon@2x.png&scale=auto"]
    {
        assert_problem(&blob(query, &large).await, 422);
    }
    assert_problem(&blob("?file=icon.png&scale=auto", b"GIF89a").await, 422);
}

#[tokio::test]
async fn an_event_ticket_shows_a_strip_or_a_background_with_a_thumbnail() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let cases: [(&str, &[&str], &[&str]); 3] = [
        ("thumbnail", &["background.png", "thumbnail.png"], &[]),
        ("strip", &["strip.png"], &[]),
        ("both", &["background.png", "strip.png"], &["/assets/strip.png"]),
    ];
    for (serial, files, excluded) in cases {
        let mut order = integrator.order(serial, &honoken_tests::a_ticket("1A"));
        for (shade, file) in files.iter().enumerate() {
            let image = drawing::png(40, 40, shade.try_into().unwrap());
            order["assets"][file] = json!(integrator.uploads(&image).await);
        }
        let issued = Change::read(integrator.issue(&order).await.assert_status(StatusCode::CREATED));
        let pointers = issued.warnings.iter().filter(|each| each["code"] == "image_excluded");
        let pointers: Vec<_> = pointers.map(|each| each["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, excluded, "{serial}");
        let built = package::files(&integrator.downloads(serial).await);
        assert!(files.iter().all(|file| built.contains_key(*file)), "{serial}: {:?}", built.keys());
    }
}

#[tokio::test]
async fn a_poster_may_have_an_artwork_instead_of_a_background() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut order = integrator.order("P-1", &honoken_tests::a_ticket("1A"));
    order["poster"] = json!(true);
    for (shade, file) in ["artwork@2x.png", "secondaryLogo.png", "venueMap.png"].iter().enumerate() {
        let image = drawing::png(60, 12, shade.try_into().unwrap());
        order["assets"][file] = json!(integrator.uploads(&image).await);
    }
    let issued = Change::read(integrator.issue(&order).await.assert_status(StatusCode::CREATED));
    assert!(
        told(&issued).iter().all(|(_, pointer)| !pointer.starts_with("/assets")),
        "{:?}",
        issued.warnings
    );
    let built = package::files(&integrator.downloads("P-1").await);
    for file in ["artwork@2x.png", "secondaryLogo.png", "venueMap.png"] {
        assert!(built.contains_key(file), "{file}");
    }
    let plain = Change::read(
        integrator.draw_as("P-1", &json!({ "poster": false })).await.assert_status(StatusCode::OK),
    );
    assert!(told(&plain).contains(&("image_not_shown", "/assets/artwork@2x.png")), "{:?}", plain.warnings);
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

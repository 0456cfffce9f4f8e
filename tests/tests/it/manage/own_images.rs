//! A digest counts for the organisation that has uploaded the image, and for no other: to that it is one that does not exist.

use std::fs;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use honoken_simulator::Answer;
use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::storage::{HandmadeEvent, files_below};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Change, Engine, Honoken, Integrator, a_ticket, drawing};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::neighbours::a_neighbour;
use crate::processes::{a_projector, an_api, becomes_ready};
use crate::{a_home_for_several, a_service};

/// An order that names an image by its digest.
fn an_order(integrator: &Integrator, serial_number: &str, file: &str, digest: &str) -> Value {
    let mut order = integrator.order(serial_number, &a_ticket("1A"));
    order["assets"] = json!({ file: digest });
    order
}

async fn names(integrator: &Integrator, serial_number: &str, file: &str, digest: &str) -> Answer {
    integrator.issue(&an_order(integrator, serial_number, file, digest)).await
}

/// The organisation may name the image, and the pass shows it.
async fn assert_may_name(integrator: &Integrator, serial_number: &str, file: &str, image: &[u8]) {
    let answer = names(integrator, serial_number, file, &sha256(image)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{serial_number}: {}", answer.excerpt());
    let path = integrator.asset_path(serial_number, file);
    let shown = integrator.request(Method::GET, &path, &[], "").await;
    assert_eq!(shown.assert_status(StatusCode::OK).body, image);
}

/// Everything that an answer says but for what differs between any two answers.
fn said(answer: &Answer, digest: &str) -> (u16, Vec<(String, String)>, String) {
    let body = String::from_utf8(answer.body.to_vec()).expect("a problem is text");
    assert!(body.contains(digest), "{body}");
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
    (answer.status.as_u16(), headers.collect(), body.replace(digest, "DIGEST"))
}

/// To this organisation the image does not exist: the refusal is that of a digest which nobody can know, letter by letter.
#[track_caller]
fn assert_is_unknown(answer: &Answer, digest: &str, of_nothing: &Answer, nothing: &str) {
    let problem = assert_problem(answer, 422);
    assert_eq!(problem["errors"][0]["code"], "unknown_blob", "{problem}");
    assert_eq!(said(answer, digest), said(of_nothing, nothing));
}

async fn assert_may_not_name(integrator: &Integrator, file: &str, digest: &str) {
    let nothing = sha256(format!("nobody uploaded {file}").as_bytes());
    let of_nothing = names(integrator, "not-issued", file, &nothing).await;
    let answer = names(integrator, "not-issued", file, digest).await;
    assert_is_unknown(&answer, digest, &of_nothing, &nothing);
    assert_problem(&integrator.get("not-issued").await, 404);
}

/// A service with two organisations.
async fn two_organizations() -> (Honoken, Integrator, Integrator) {
    let mut honoken = a_service().await;
    let neighbour = a_neighbour(&mut honoken).await;
    let integrator = honoken.integrator();
    (honoken, integrator, neighbour)
}

/// Images that an organisation has by each way there is: an upload, a pass, a pass type.
async fn puts_images(honoken: &Honoken, integrator: &Integrator, shades: [u8; 3]) -> [Vec<u8>; 3] {
    let images = shades.map(drawing::logo);
    integrator.uploads(&images[0]).await;
    let serial_number = format!("shown-{}", shades[1]);
    integrator.issues(&serial_number).await;
    integrator.puts_asset(&serial_number, "logo.png", images[1].clone()).await;
    let put = integrator.put_type_asset("logo.png", images[2].clone()).await;
    honoken.operator().sees_finished(&put).await;
    images
}

#[tokio::test]
async fn the_digest_of_another_organisations_image_is_one_that_does_not_exist() {
    let (mut honoken, integrator, neighbour) = two_organizations().await;
    let images = puts_images(&honoken, &integrator, [1, 2, 3]).await;
    for image in &images {
        let digest = sha256(image);
        // Also under a name that it does not fit: what it looks like is not told.
        for file in ["logo.png", "icon.png", "background@2x.png"] {
            assert_may_not_name(&neighbour, file, &digest).await;
        }
        let mut order = an_order(&neighbour, "", "logo.png", &digest);
        order.as_object_mut().unwrap().remove("serialNumber");
        let headers = [("idempotency-key", "order-1")];
        let answer = neighbour.request(Method::POST, "/manage/v1/passes", &headers, order.to_string()).await;
        let nothing = sha256(b"nobody uploaded logo.png");
        let of_nothing = names(&neighbour, "not-issued", "logo.png", &nothing).await;
        assert_is_unknown(&answer, &digest, &of_nothing, &nothing);
    }
    // Two at once are told of both.
    let mut order = an_order(&neighbour, "not-issued", "logo.png", &sha256(&images[0]));
    order["assets"]["icon.png"] = sha256(&images[1]).into();
    let problem = assert_problem(&neighbour.issue(&order).await, 422);
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(2), "{problem}");

    // The file itself is not even looked at, so nothing about it can be told, nor measured: it may as well be damaged.
    assert_eq!(honoken.terminate().await.code(), Some(0));
    let digest = sha256(&images[0]);
    let mut stored = files_below(&honoken.ready().data_dir.join("blobs")).into_iter();
    let file = stored.find(|file| file.ends_with(&digest[2..])).expect("the image is stored");
    fs::write(file, b"damaged").expect("it can be written");
    honoken.restart().await;
    let status = names(&integrator, "damaged", "logo.png", &digest).await.status;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "to its owner it is damaged");
    assert_may_not_name(&neighbour, "logo.png", &digest).await;
}

#[tokio::test]
async fn an_organisation_that_uploads_the_same_image_itself_may_name_it_at_once() {
    let (honoken, integrator, neighbour) = two_organizations().await;
    puts_images(&honoken, &integrator, [1, 2, 3]).await;
    let images = puts_images(&honoken, &neighbour, [1, 2, 3]).await;
    for (number, image) in images.iter().enumerate() {
        assert_may_name(&neighbour, &format!("own-{number}"), "logo.png", image).await;
    }
}

#[tokio::test]
async fn an_image_of_the_brand_may_be_named_while_it_is_one() {
    let (honoken, integrator, neighbour) = two_organizations().await;
    let operator = honoken.operator();
    let (old, new) = (drawing::icon(41), drawing::icon(42));
    operator.sees_finished(&operator.put_brand_asset("icon.png", old.clone()).await).await;
    integrator.issues("falls-back").await;
    let order = an_order(&neighbour, "of-the-brand", "icon.png", &sha256(&old));
    neighbour.issue(&order).await.assert_status(StatusCode::CREATED);
    operator.sees_finished(&operator.put_brand_asset("icon.png", new.clone()).await).await;

    assert_may_not_name(&integrator, "icon.png", &sha256(&old)).await;
    assert_may_name(&integrator, "new", "icon.png", &new).await;
    // The pass that was issued with it has it for its own, so a late retry of its order is known.
    assert!(!Change::read(neighbour.issue(&order).await.assert_status(StatusCode::OK)).changed);
    assert_eq!(neighbour.state("of-the-brand").await["assets"]["icon.png"], sha256(&old));
}

/// The events by which organisations have images.
async fn uploads(honoken: &Honoken) -> Vec<Value> {
    let log = honoken.storage().recorded().await;
    let uploads = log.into_values().filter(|recorded| recorded.aggregate_type == "UploadedImage");
    uploads.map(|recorded| recorded.payload["ImageUploaded"].clone()).collect()
}

async fn is_at_the_head(honoken: &Honoken) {
    let operator = honoken.operator();
    eventually(PATIENCE, "the projection is at the head again", async || {
        let wallet = operator.wallet_projection().await;
        (wallet["position"] == wallet["head"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_first_upload_of_an_organisation_is_an_event_and_outlives_the_read_model() {
    let (mut honoken, integrator, neighbour) = two_organizations().await;
    let before = uploads(&honoken).await;
    let (shared, own) = (drawing::logo(51), drawing::logo(52));
    integrator.issues("A-1").await;
    for _ in 0..3 {
        integrator.uploads(&shared).await;
        integrator.put_asset("A-1", "logo.png", shared.clone()).await.assert_status(StatusCode::OK);
        neighbour.uploads(&shared).await;
        integrator.uploads(&own).await;
    }
    let event = |organization: &str, image: &[u8]| json!({ "organizationId": organization, "digest": sha256(image), "bytes": image.len() });
    let expected = [event("dev", &shared), event("neighbour", &shared), event("dev", &own)];
    let found = uploads(&honoken).await;
    assert_eq!(found[before.len()..], expected);

    assert_eq!(honoken.terminate().await.code(), Some(0));
    let tables = honoken.storage().dump_read_model().await;
    assert!(tables["wallet_image"].len() >= expected.len(), "{tables:?}");
    honoken.storage().throws_read_model_away().await;
    honoken.restart().await;
    is_at_the_head(&honoken).await;
    assert_may_name(&integrator, "rebuilt-1", "logo.png", &own).await;
    assert_may_name(&neighbour, "rebuilt-2", "logo.png", &shared).await;
    assert_may_not_name(&neighbour, "logo.png", &sha256(&own)).await;
}

/// Puts an event of a pass of the neighbour into the log, as releases wrote it for which uploads were no events.
async fn appends(honoken: &Honoken, pass_type: &str, serial_number: &str, kind: &str, payload: Value) {
    let aggregate_id = format!("{pass_type}/{serial_number}");
    let event = HandmadeEvent {
        aggregate_type: "Pass",
        aggregate_id: &aggregate_id,
        kind,
        payload: json!({ kind: payload }),
    };
    honoken.storage().appends(event).await;
}

#[tokio::test]
async fn what_passes_and_pass_types_named_before_uploads_were_events_is_own() {
    let (mut honoken, integrator, neighbour) = two_organizations().await;
    let images = [61, 62, 63, 64, 65].map(drawing::logo);
    for image in &images {
        integrator.uploads(image).await;
    }
    let [issued, put, of_type, fallen_back_to, other] = images.each_ref().map(|image| sha256(image));
    let pass_type = neighbour.pass_type_identifier().to_owned();
    assert_eq!(honoken.terminate().await.code(), Some(0));
    let order = json!({
        "organizationId": "neighbour", "passTypeIdentifier": pass_type, "serialNumber": "old", "ticketStyle": "event", "poster": false,
        "content": a_ticket("1A"), "assets": { "logo.png": issued }, "images": { "logo.png": issued, "icon.png": fallen_back_to },
        "authenticationToken": "0123456789abcdef0123", "etag": sha256(b"1"), "updatedAt": 1_700_000_000,
    });
    appends(&honoken, &pass_type, "old", "PassIssued", order).await;
    let change = json!({
        "assets": { "logo.png": put }, "images": { "logo.png": put, "icon.png": fallen_back_to },
        "etag": sha256(b"2"), "updatedAt": 1_700_000_001,
    });
    appends(&honoken, &pass_type, "old", "PassAssetsChanged", change).await;
    // Also one that the type does not show any more.
    for assets in [json!({ "logo.png": of_type }), json!({})] {
        let event = HandmadeEvent {
            aggregate_type: "PassType",
            aggregate_id: &pass_type,
            kind: "PassTypeAssetsChanged",
            payload: json!({ "PassTypeAssetsChanged": { "assets": assets } }),
        };
        honoken.storage().appends(event).await;
    }
    for round in 0..2 {
        honoken.restart().await;
        is_at_the_head(&honoken).await;
        for (number, image) in images[..3].iter().enumerate() {
            assert_may_name(&neighbour, &format!("old-{round}-{number}"), "logo.png", image).await;
        }
        for digest in [&fallen_back_to, &other] {
            assert_may_not_name(&neighbour, "logo.png", digest).await;
        }
        assert_eq!(honoken.terminate().await.code(), Some(0));
        honoken.storage().throws_read_model_away().await;
    }
}

/// Whatever moment the program is killed in: what was acknowledged may be named, and the others can be uploaded again.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_acknowledged_counts_after_a_kill() {
    let mut honoken = a_service().await;
    for round in 0..4_u8 {
        let integrator = honoken.integrator();
        let images: Vec<Vec<u8>> = (0..16).map(|number| drawing::logo(round * 16 + number)).collect();
        let mut sent: FuturesUnordered<_> = images
            .iter()
            .enumerate()
            .map(|(number, image)| {
                let integrator = &integrator;
                async move {
                    let answer = integrator.tries(Method::POST, "/manage/v1/blobs", &[], image.clone()).await;
                    answer.is_ok_and(|answer| answer.status == StatusCode::CREATED).then_some(number)
                }
            })
            .collect();
        let mut acknowledged = Vec::new();
        for _ in 0..=round {
            acknowledged.push(sent.next().await.flatten().expect("the first ones are answered"));
        }
        honoken.kill().await;
        acknowledged.extend(sent.collect::<Vec<_>>().await.into_iter().flatten());
        honoken.restart().await;
        let integrator = honoken.integrator();
        for number in acknowledged {
            assert_may_name(&integrator, &format!("{round}-{number}"), "logo.png", &images[number]).await;
        }
        for (number, image) in images.iter().enumerate() {
            integrator.uploads(image).await;
            assert_may_name(&integrator, &format!("again-{round}-{number}"), "logo.png", image).await;
        }
    }
    let mut uploads = uploads(&honoken).await;
    let count = uploads.len();
    uploads.sort_by_key(ToString::to_string);
    uploads.dedup();
    assert_eq!(uploads.len(), count, "each was counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_through_one_process_counts_at_another_at_once_whether_it_is_projected_or_not() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut projector = a_projector(&home, "projector").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    becomes_ready(&one).await;
    becomes_ready(&other).await;
    let (here, there) = (one.integrator(home.ready()), other.integrator(home.ready()));
    let (seen, unseen) = (drawing::logo(71), drawing::logo(72));
    here.uploads(&seen).await;
    assert_may_name(&there, "seen", "logo.png", &seen).await;
    assert_eq!(projector.terminate().await.code(), Some(0));
    here.uploads(&unseen).await;
    let answer = names(&there, "unseen", "logo.png", &sha256(&unseen)).await;
    assert!(!Change::read(answer.assert_status(StatusCode::CREATED)).projected);
}

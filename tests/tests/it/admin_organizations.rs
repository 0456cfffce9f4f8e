//! Organisations: made on purpose, renamed, limited, disabled.

use honoken_pkpass::reader;
use honoken_tests::Operator;
use honoken_tests::drawing::noise;
use honoken_tests::problem::{assert_points_at, assert_problem};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::a_service;

const PATH: &str = "/admin/organizations";

async fn asks(operator: &Operator, method: Method, path: &str, body: &Value) -> Value {
    operator.request(method, path, body).await.assert_status(StatusCode::OK).json()
}

#[tokio::test]
async fn an_organisation_is_made_on_purpose_and_announced() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let other = json!({ "id": "other", "name": "The Others" });
    let made = operator.request(Method::POST, PATH, &other).await.assert_status(StatusCode::CREATED).json();
    assert_eq!(
        made,
        json!({ "id": "other", "name": "The Others", "test": false, "disabled": false, "imageBytes": null })
    );
    honoken.logs("made the organisation other").await;
    assert_eq!(asks(&operator, Method::POST, PATH, &other).await, made);
    let refused = operator.request(Method::POST, PATH, &json!({ "id": "other", "name": "Somebody" })).await;
    assert_eq!(assert_problem(&refused, 409)["code"], "already_created");
    for (pointer, wrong) in [
        ("/id", json!({ "id": "a b", "name": "n" })),
        ("/name", json!({ "id": "third", "name": " " })),
        ("/name", json!({ "id": "third" })),
        ("/erasable", json!({ "id": "third", "name": "n", "erasable": true })),
        ("/test", json!({ "id": "third", "name": "n", "test": "yes" })),
    ] {
        let refused = operator.request(Method::POST, PATH, &wrong).await;
        assert_problem(&refused, 422);
        assert_points_at(&refused, pointer);
    }
    let refused = operator.request(Method::POST, PATH, &json!({ "id": "a b", "name": "n" })).await.json();
    let detail = refused["detail"].as_str().expect("a sentence");
    assert!(detail.starts_with("id "), "the field is named as it was sent: {detail}");
    let first = asks(&operator, Method::GET, "/admin/organizations?limit=1", &Value::Null).await;
    assert_eq!(first["organizations"][0]["id"], "dev");
    let next = format!("{PATH}?cursor={}", first["next"].as_str().expect("another page"));
    let last = asks(&operator, Method::GET, &next, &Value::Null).await;
    assert_eq!((&last["organizations"], &last["next"]), (&json!([made]), &Value::Null));
    // Nothing else makes one.
    let keys =
        operator.request(Method::POST, "/admin/organizations/third/keys", &json!({ "label": "x" })).await;
    assert_problem(&keys, 404);
    assert_problem(&operator.request(Method::PATCH, "/admin/organizations/third", &json!({})).await, 404);

    // A name for the eyes of operators: the passes keep the first one.
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let name_in = async |serial: &str| {
        let file = integrator.downloads(serial).await;
        reader::inspect(&file).pass.expect("a pass").organization_name
    };
    let before = name_in("A-1").await;
    let dev = format!("{PATH}/dev");
    let renamed = asks(&operator, Method::PATCH, &dev, &json!({ "name": "Another" })).await;
    assert_eq!(renamed["name"], "Another");
    integrator.issues("A-2").await;
    assert_eq!((name_in("A-1").await, name_in("A-2").await), (before.clone(), before));
    for (pointer, wrong) in [
        ("/name", json!({ "name": "" })),
        ("/disabled", json!({ "disabled": "yes" })),
        ("/imageBytes", json!({ "imageBytes": -1 })),
        ("/erasable", json!({ "erasable": true })),
        ("/id", json!({ "id": "dev" })),
    ] {
        let refused = operator.request(Method::PATCH, &dev, &wrong).await;
        assert_problem(&refused, 422);
        assert_points_at(&refused, pointer);
    }
}

#[tokio::test]
async fn the_images_of_an_organisation_have_so_much_room_in_all() {
    let honoken = a_service().await;
    let (operator, integrator) = (honoken.operator(), honoken.integrator());
    integrator.issues("A-1").await;
    let dev = format!("{PATH}/dev");
    let (small, large) = (noise(10, 10), noise(40, 40));
    let uploads = async |png: &[u8]| integrator.upload(png.to_vec()).await;
    uploads(&small).await.assert_status(StatusCode::CREATED);
    let most = small.len() + large.len() - 1;
    asks(&operator, Method::PATCH, &dev, &json!({ "imageBytes": most })).await;
    let refused = uploads(&large).await;
    let refused = assert_problem(&refused, 422);
    assert_eq!(
        (&refused["code"], &refused["errors"][0]["code"]),
        (&"quota_exceeded".into(), &"quota_exceeded".into())
    );
    for number in [large.len(), small.len(), most, most - small.len()] {
        assert!(
            refused["detail"].as_str().is_some_and(|detail| detail.contains(&number.to_string())),
            "{refused}"
        );
    }
    // By whatever way the image comes.
    for path in [integrator.asset_path("A-1", "logo.png"), integrator.type_asset_path("logo.png")] {
        for query in ["", "?scale=auto"] {
            let path = format!("{path}{query}");
            let png = [("content-type", "image/png")];
            let refused = integrator.request(Method::PUT, &path, &png, large.clone()).await;
            assert_eq!(assert_problem(&refused, 422)["code"], "quota_exceeded", "{path}");
        }
    }
    uploads(&small).await.assert_status(StatusCode::CREATED);
    asks(&operator, Method::PATCH, &dev, &json!({ "imageBytes": most + 1 })).await;
    uploads(&large).await.assert_status(StatusCode::CREATED);
    // An image at every scale is stored whole, or not at all.
    let scaled = noise(60, 20);
    let room = json!({ "imageBytes": most + 1 + scaled.len() + 1 });
    asks(&operator, Method::PATCH, &dev, &room).await;
    let at_every_scale = async || {
        let path = "/manage/v1/blobs?file=logo.png&scale=auto";
        integrator.request(Method::POST, path, &[("content-type", "image/png")], scaled.clone()).await
    };
    let before = honoken.storage().positions().await;
    let refused = assert_problem(&at_every_scale().await, 422);
    assert_eq!(refused["code"], "quota_exceeded");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("at every scale")), "{refused}");
    assert_eq!(honoken.storage().positions().await, before, "nothing belongs to the organisation");
    asks(&operator, Method::PATCH, &dev, &json!({ "imageBytes": most + 20_000 })).await;
    at_every_scale().await.assert_status(StatusCode::CREATED);
    asks(&operator, Method::PATCH, &dev, &json!({ "imageBytes": most + 1 })).await;
    assert_problem(&at_every_scale().await, 422);
    let unlimited = asks(&operator, Method::PATCH, &dev, &json!({ "imageBytes": null })).await;
    assert_eq!(unlimited["imageBytes"], Value::Null);
    uploads(&noise(41, 41)).await.assert_status(StatusCode::CREATED);
}

#[tokio::test]
async fn a_test_organisation_keeps_the_same_rules_and_is_marked_in_every_answer_to_its_keys() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let order = json!({ "id": "trial", "name": "Trial", "test": true });
    let made = operator.request(Method::POST, PATH, &order).await.assert_status(StatusCode::CREATED).json();
    assert_eq!(made["test"], true);
    honoken.home().prints("made the test organisation trial").await;
    assert_eq!(asks(&operator, Method::POST, PATH, &order).await, made);
    let real = json!({ "id": "trial", "name": "Trial" });
    let refused = operator.request(Method::POST, PATH, &real).await;
    assert_eq!(assert_problem(&refused, 409)["code"], "already_created");
    let keys = operator.request(Method::POST, &format!("{PATH}/trial/keys"), &json!({ "label": "x" })).await;
    let key = keys.assert_status(StatusCode::CREATED).json()["key"].as_str().expect("a key").to_owned();
    let asks_with = async |key: &str, path: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {key}").parse().expect("a header"));
        honoken.request(Method::GET, path, headers, "").await
    };
    for (path, status) in [
        ("/manage/v1/passes", StatusCode::OK),
        ("/manage/v1/passes?limit=no", StatusCode::UNPROCESSABLE_ENTITY),
        ("/manage/v1/passes/pass.dev.honoken.event/SAMPLE-1", StatusCode::NOT_FOUND),
    ] {
        asks_with(&key, path).await.assert_status(status).assert_header("honoken-test", "true");
        assert_eq!(asks_with(&honoken.ready().api_key, path).await.header("honoken-test"), None, "{path}");
    }
}

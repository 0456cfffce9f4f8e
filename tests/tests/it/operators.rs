//! Operators with names and roles of their own, beside the one of the configuration.

use honoken_tests::problem::assert_problem;
use honoken_tests::{Engine, Honoken, Operator, Serving};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::document::Document;
use crate::processes::{a_projector, becomes_ready};
use crate::{a_home_for_several, a_service};

const PASSWORD: &str = "correct horse battery staple";

async fn adds(owner: &Operator, name: &str, role: &str) {
    let order = json!({ "name": name, "role": role, "password": format!("{PASSWORD} of {name}") });
    let answer = owner.request(Method::POST, "/admin/operators", &order).await;
    let body = answer.assert_status(StatusCode::CREATED).json();
    assert_eq!((&body["name"], &body["role"]), (&json!(name), &json!(role)), "{body}");
    assert!(!answer.excerpt().contains("argon2") && !answer.excerpt().contains(PASSWORD));
}

fn known_as(base_url: &str, name: &str) -> Operator {
    Operator::known_as(base_url, name, &format!("{PASSWORD} of {name}"))
}

async fn status(operator: &Operator, method: Method, path: &str) -> StatusCode {
    operator.request(method, path, &Value::Null).await.status
}

/// Every route of operators, with names of nothing that exists.
async fn routes(honoken: &Honoken) -> Vec<(Method, String)> {
    let document = Document::of(honoken).await.operations();
    let operations = document.iter().filter(|operation| operation.path.starts_with("/admin/"));
    let named = |path: &str| {
        let segments = path.split('/').map(|segment| match segment {
            "{type}" => "pass.com.example.missing",
            "{key}" => "0123456789ab",
            "{position}" => "4711",
            "{file}" => "icon.png",
            other if other.starts_with('{') => "missing",
            other => other,
        });
        segments.collect::<Vec<_>>().join("/")
    };
    let routes: Vec<_> =
        operations.map(|operation| (operation.method.clone(), named(&operation.path))).collect();
    assert!(routes.len() > 20, "{routes:?}");
    routes
}

#[tokio::test]
async fn a_viewer_reads_an_operator_does_all_but_operators_and_an_owner_everything() {
    let honoken = a_service().await;
    let owner = honoken.operator();
    for role in ["viewer", "operator", "owner"] {
        adds(&owner, role, role).await;
    }
    let before = honoken.storage().recorded().await;
    for (method, path) in routes(&honoken).await {
        if ["/relay/", "/pusher/", "/brand-assets/", "/reseal"].iter().any(|part| path.contains(part)) {
            continue; // These need no body and name nothing, so an operator would really do them.
        }
        let of_operators = path.starts_with("/admin/operators");
        for (role, is_allowed) in
            [("viewer", method == Method::GET), ("operator", !of_operators), ("owner", true)]
        {
            for path in [path.clone(), format!("/api{path}")] {
                let answer =
                    known_as(&honoken.url(""), role).request(method.clone(), &path, &Value::Null).await;
                if is_allowed {
                    assert!(
                        !matches!(answer.status.as_u16(), 401 | 403 | 500..),
                        "{role}: {method} {path}: {}",
                        answer.excerpt()
                    );
                } else {
                    let problem = assert_problem(&answer, 403);
                    assert_eq!(problem["code"], "missing_role", "{role}: {method} {path}");
                    let needed = if of_operators { "`owner`" } else { "`operator`" };
                    assert!(
                        problem["detail"].as_str().is_some_and(|detail| detail.contains(needed)),
                        "{problem}"
                    );
                }
            }
        }
    }
    assert_eq!(honoken.storage().recorded().await, before);
    let viewer = known_as(&honoken.url(""), "viewer");
    for path in ["/admin/relay/pause", "/admin/pusher/resume", "/admin/reseal"] {
        assert_eq!(status(&viewer, Method::POST, path).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(viewer.put_brand_asset("icon.png", "x").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_role_and_a_password_hold_from_the_next_request_on() {
    let honoken = a_service().await;
    let owner = honoken.operator();
    adds(&owner, "vera", "viewer").await;
    let vera = known_as(&honoken.url(""), "vera");
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::OK);
    let changes = async |change: &Value| {
        let answer = owner.request(Method::PATCH, "/admin/operators/vera", change).await;
        answer.assert_status(StatusCode::OK).json()
    };
    assert_eq!(changes(&json!({ "role": "owner" })).await["role"], "owner");
    assert_eq!(status(&vera, Method::GET, "/admin/operators").await, StatusCode::OK);
    changes(&json!({ "role": "viewer" })).await;
    let refused = vera.request(Method::POST, "/admin/operators", &json!({})).await;
    assert_eq!(assert_problem(&refused, 403)["code"], "missing_role");

    changes(&json!({ "password": "another password of hers" })).await;
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::UNAUTHORIZED);
    let vera = Operator::known_as(&honoken.url(""), "vera", "another password of hers");
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::OK);
    let removed = owner.request(Method::DELETE, "/admin/operators/vera", &Value::Null).await;
    removed.assert_status(StatusCode::NO_CONTENT);
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::UNAUTHORIZED);
    let again = owner.request(Method::DELETE, "/admin/operators/vera", &Value::Null).await;
    assert_problem(&again, 404);
    assert_problem(&owner.request(Method::PATCH, "/admin/operators/vera", &json!({})).await, 404);
}

#[tokio::test]
async fn the_operator_of_the_configuration_is_an_owner_whose_name_is_taken() {
    let honoken = a_service().await;
    let (owner, name) = (honoken.operator(), honoken.ready().admin_username.clone());
    let order = json!({ "name": name, "role": "viewer", "password": PASSWORD });
    let taken = owner.request(Method::POST, "/admin/operators", &order).await;
    assert_eq!(assert_problem(&taken, 409)["code"], "name_taken");
    adds(&owner, "vera", "viewer").await;
    let order = json!({ "name": "vera", "role": "owner", "password": PASSWORD });
    let taken = owner.request(Method::POST, "/admin/operators", &order).await;
    assert_eq!(assert_problem(&taken, 409)["code"], "name_taken");
    let listed = owner.request(Method::GET, "/admin/operators", &Value::Null).await.json();
    let told: Vec<_> = listed["operators"].as_array().expect("a list").iter().collect();
    assert_eq!(told.len(), 2, "{listed}");
    assert_eq!(
        (&told[0]["name"], &told[0]["role"], &told[0]["configured"]),
        (&json!(name), &json!("owner"), &json!(true))
    );
    assert_eq!(
        (&told[1]["name"], &told[1]["role"], &told[1]["configured"]),
        (&json!("vera"), &json!("viewer"), &json!(false))
    );
    for method in [Method::PATCH, Method::DELETE] {
        let answer =
            owner.request(method, &format!("/admin/operators/{name}"), &json!({ "role": "viewer" })).await;
        assert_problem(&answer, 404);
    }
    owner.wallet_projection().await;
}

#[tokio::test]
async fn what_is_no_operator_is_refused_with_its_place() {
    let honoken = a_service().await;
    let owner = honoken.operator();
    let good = json!({ "name": "vera", "role": "viewer", "password": PASSWORD });
    for (field, wrong) in [
        ("name", json!("")),
        ("name", json!("a:b")),
        ("name", json!("x".repeat(65))),
        ("name", json!(" vera")),
        ("name", Value::Null),
        ("role", json!("admin")),
        ("role", Value::Null),
        ("password", json!("")),
        ("password", json!("x".repeat(1025))),
        ("password", json!(7)),
        ("passwordHash", json!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA")),
    ] {
        let mut order = good.clone();
        order[field] = wrong;
        let answer = owner.request(Method::POST, "/admin/operators", &order).await;
        let problem = assert_problem(&answer, 422);
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{order}");
    }
    let listed = owner.request(Method::GET, "/admin/operators", &Value::Null).await.json();
    assert_eq!(listed["operators"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test]
async fn a_password_is_in_no_event_no_line_and_no_file() {
    let mut honoken = a_service().await;
    adds(&honoken.operator(), "vera", "viewer").await;
    let vera = known_as(&honoken.url(""), "vera");
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::OK);
    let wrong = Operator::known_as(&honoken.url(""), "vera", "a password that was guessed");
    assert_eq!(status(&wrong, Method::GET, "/admin/projections").await, StatusCode::UNAUTHORIZED);
    let events = format!("{:?}", honoken.storage().recorded().await);
    assert!(!events.contains("vera") && !events.contains("argon2"), "operators are no events");
    let mut searched = vec![honoken.output_so_far().await.into_bytes()];
    honoken.terminate().await;
    let files = honoken_tests::storage::files_below(&honoken.home().data_dir());
    searched.extend(files.iter().map(|file| std::fs::read(file).expect("a file")));
    for secret in [PASSWORD, "a password that was guessed"] {
        let holds = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!searched.iter().any(holds), "{secret}");
    }
}

async fn an_api(home: &Honoken, name: &str) -> Serving {
    let serve = home.home().serve(name).with_roles("api").with_variable("HONOKEN_ADMIN_USERNAME", "admin");
    serve.with_variable("HONOKEN_ADMIN_PASSWORD", PASSWORD).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_and_a_password_that_one_process_changes_hold_in_the_others_at_once() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let _projector = a_projector(&home, "projector").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    becomes_ready(&other).await;
    let owner = Operator::known_as(one.base_url(), "admin", PASSWORD);
    adds(&owner, "vera", "viewer").await;
    let vera = known_as(other.base_url(), "vera");
    for (change, read, write) in [
        (json!({}), 200, 403),
        (json!({ "role": "owner" }), 200, 422),
        (json!({ "role": "viewer" }), 200, 403),
        (json!({ "password": "another password of hers" }), 401, 401),
    ] {
        let changed = owner.request(Method::PATCH, "/admin/operators/vera", &change).await;
        changed.assert_status(StatusCode::OK);
        assert_eq!(status(&vera, Method::GET, "/admin/operators").await.as_u16(), read, "{change}");
        let add = vera.request(Method::POST, "/admin/operators", &json!({})).await;
        assert_eq!(add.status.as_u16(), write, "{change}");
    }
    let removed = owner.request(Method::DELETE, "/admin/operators/vera", &Value::Null).await;
    removed.assert_status(StatusCode::NO_CONTENT);
    let vera = Operator::known_as(other.base_url(), "vera", "another password of hers");
    assert_eq!(status(&vera, Method::GET, "/admin/projections").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn serve_wants_a_long_password_of_every_operator() {
    let home = crate::a_home_for_serve().await;
    let serve = home.home().serve("serve").with_variable("HONOKEN_ADMIN_USERNAME", "admin");
    let serving = serve.with_variable("HONOKEN_ADMIN_PASSWORD", PASSWORD).start().await;
    let owner = Operator::known_as(serving.base_url(), "admin", PASSWORD);
    for (password, status) in [("elevenchars", 422), ("twelve chars", 201)] {
        let order = json!({ "name": "vera", "role": "viewer", "password": password });
        let answer = owner.request(Method::POST, "/admin/operators", &order).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.excerpt());
        assert!(!answer.excerpt().contains(password));
    }
}

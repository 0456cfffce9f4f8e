//! Images of pass types and of the brand: a change reaches every pass that shows them, by a job.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use honoken_tests::device::device;
use honoken_tests::etag::sha256;
use honoken_tests::problem::{assert_problem, assert_too_large};
use honoken_tests::storage::HandmadeEvent;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, Integrator, Operator, a_ticket, drawing, job_of, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::processes::{assert_equals_a_rebuilt_one, becomes_ready};
use crate::{a_home_for_several, a_service};

/// The sizes of icon, each with its scale.
const ICONS: [(&str, u32); 3] = [("icon.png", 29), ("icon@2x.png", 58), ("icon@3x.png", 87)];

fn icon(shade: u8) -> Vec<u8> {
    drawing::icon(shade)
}

/// A service with a pass that shows only images of others, and one with its own icon and logo.
async fn a_service_with_two_passes() -> (Honoken, Integrator, Operator) {
    let honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    integrator.issues("bare").await;
    issues_with_own_images(&integrator, "own").await;
    (honoken, integrator, operator)
}

async fn issues_with_own_images(integrator: &Integrator, serial_number: &str) {
    let mut order = integrator.order(serial_number, &a_ticket("1A"));
    order["assets"] = json!({
        "icon.png": integrator.uploads(&icon(10)).await,
        "logo.png": integrator.uploads(&drawing::logo(20)).await,
    });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
}

#[tokio::test]
async fn an_image_of_a_type_reaches_every_pass_that_shows_it_and_its_phone() {
    let (honoken, integrator, operator) = a_service_with_two_passes().await;
    let (bare, own) = (integrator.state("bare").await, integrator.state("own").await);
    let pass = integrator.credentials("bare").await;
    honoken.devices().register(&device(1), "token", &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = honoken.devices().lists(&device(1), &pass.pass_type_identifier, None).await.unwrap();

    let logo = drawing::logo(77);
    let put = integrator.put_type_asset("logo.png", logo.clone()).await;
    let job = put.assert_status(StatusCode::ACCEPTED).json()["job"].clone();
    assert_eq!(
        (&job["kind"], &job["passTypeIdentifier"]),
        (&json!("passTypeAssets"), &bare["passTypeIdentifier"])
    );
    assert!(["waiting", "running", "finished"].contains(&job["state"].as_str().unwrap()), "{job}");
    assert_eq!(put.header("location").unwrap(), format!("/manage/v1/jobs/{}", job["id"].as_str().unwrap()));
    let finished = operator.sees_finished(&put).await;
    assert_eq!(
        (&finished["done"], &finished["total"], &finished["failed"]),
        (&json!(3), &json!(3), &json!(0))
    );
    assert!(finished["startedAt"].is_string() && finished["finishedAt"].is_string(), "{finished}");
    let seen = integrator.request(Method::GET, put.header("location").unwrap(), &[], "").await;
    assert_eq!(seen.assert_status(StatusCode::OK).json(), finished);

    let changed = integrator.state("bare").await;
    assert_eq!(changed["assets"]["logo.png"], sha256(&logo));
    assert_ne!(changed["etag"], bare["etag"]);
    assert_eq!(integrator.state("own").await, own, "its own image hides the new one");
    let (serials, _) =
        honoken.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.unwrap();
    assert_eq!(serials, ["bare"]);
    let old = format!("\"{}\"", bare["etag"].as_str().unwrap());
    let got = honoken.devices().get(&pass, &[("if-none-match", &old)]).await;
    assert_eq!(package::files(&got.assert_status(StatusCode::OK).body)["logo.png"].0, logo);

    let shown = integrator.request(Method::GET, &integrator.type_asset_path("logo.png"), &[], "").await;
    shown.assert_status(StatusCode::OK).assert_header("content-type", "image/png");
    assert_eq!(shown.body, logo);
    let brands = integrator.request(Method::GET, &integrator.type_asset_path("icon.png"), &[], "").await;
    assert_problem(&brands, 404);
}

#[tokio::test]
async fn an_image_of_the_brand_reaches_every_pass_of_every_type_under_either_prefix() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    let own = integrator.state("own").await;
    for (prefix, shade) in [("/admin", 1), ("/api/admin", 2)] {
        let path = format!("{prefix}/brand-assets/icon.png");
        let put = operator.sends(Method::PUT, &path, "image/png", icon(shade)).await;
        let job = job_of(&put);
        assert_eq!(put.header("location").unwrap(), format!("{prefix}/jobs/{job}"));
        let finished = operator.sees_finished(&put).await;
        assert_eq!((&finished["kind"], &finished["done"]), (&json!("brandAssets"), &json!(3)));
        assert_eq!(integrator.state("bare").await["assets"]["icon.png"], sha256(&icon(shade)));
        let got = operator.request(Method::GET, &path, &Value::Null).await;
        assert_eq!(got.assert_status(StatusCode::OK).body, icon(shade));
        let others = integrator.request(Method::GET, &format!("/manage/v1/jobs/{job}"), &[], "").await;
        assert_problem(&others, 404);
    }
    assert_eq!(integrator.state("own").await, own);
}

#[tokio::test]
async fn what_changes_nothing_begins_no_job() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    operator.sees_finished(&integrator.put_type_asset("logo.png", drawing::logo(1)).await).await;
    operator.sees_finished(&operator.put_brand_asset("icon.png", icon(1)).await).await;
    let head = operator.head().await;
    for answer in [
        integrator.put_type_asset("logo.png", drawing::logo(1)).await,
        integrator.remove_type_asset("background.png").await,
        operator.put_brand_asset("icon.png", icon(1)).await,
        operator.remove_brand_asset("background.png").await,
    ] {
        assert_eq!(answer.assert_status(StatusCode::OK).json(), json!({ "changed": false }));
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(operator.head().await, head, "no event was written");
}

#[tokio::test]
async fn one_large_default_image_is_made_at_every_scale_and_one_of_another_size_is_warned_about() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    let large = drawing::png(480, 150, 40);
    operator.sees_finished(&integrator.put_type_asset("logo@2x.png", large.clone()).await).await;
    let warned = integrator.put_type_asset("logo.png", large.clone()).await;
    operator.sees_finished(&warned).await;
    assert_eq!(warned.json()["warnings"][0]["code"], "image_size", "{}", warned.json());

    let put_type = async |file: &str| {
        let path = format!("/manage/v1/pass-types/{}/assets/{file}", integrator.pass_type_identifier());
        integrator.request(Method::PUT, &path, &[("content-type", "image/png")], large.clone()).await
    };
    let put = put_type("logo.png?scale=auto").await;
    operator.sees_finished(&put).await;
    let made = put.json()["assets"].clone();
    assert_eq!(put.json().get("warnings"), None, "they have the right sizes");
    let state = integrator.state("bare").await;
    for file in ["logo.png", "logo@2x.png", "logo@3x.png"] {
        assert!(made[file].is_string() && made[file] != sha256(&large), "{made}");
        assert_eq!(state["assets"][file], made[file]);
    }
    let again = put_type("logo.png?scale=auto").await;
    assert_eq!(again.assert_status(StatusCode::OK).json(), json!({ "changed": false, "assets": made }));
    for refused in ["logo@2x.png?scale=auto", "logo.png?scale=2", "logo.png?size=auto"] {
        assert_problem(&put_type(refused).await, 422);
        assert_problem(&operator.put_brand_asset(refused, large.clone()).await, 422);
    }

    let put = operator.put_brand_asset("icon.png?scale=auto", drawing::png(200, 200, 90)).await;
    operator.sees_finished(&put).await;
    let made = put.json()["assets"].clone();
    let shown = integrator.state("bare").await["assets"].clone();
    for (file, _) in ICONS {
        assert!(made[file].is_string() && shown[file] == made[file], "{made} {shown}");
    }
}

#[tokio::test]
async fn an_image_that_is_taken_away_shows_what_is_behind_it_again() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    let before = integrator.state("bare").await;
    operator.sees_finished(&integrator.put_type_asset("icon.png", icon(9)).await).await;
    assert_ne!(integrator.state("bare").await["assets"], before["assets"]);
    operator.sees_finished(&integrator.remove_type_asset("icon.png").await).await;
    let after = integrator.state("bare").await;
    assert_eq!(after["assets"], before["assets"]);
    assert_ne!(after["etag"], before["etag"], "it changed twice");
}

#[tokio::test]
async fn a_pass_that_would_be_left_without_its_icon_keeps_it_and_the_job_says_so() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    let before = integrator.state("bare").await;
    let mut last = None;
    for (file, _) in ICONS {
        if before["assets"][file].is_string() {
            last = Some(operator.sees_finished(&operator.remove_brand_asset(file).await).await);
        }
    }
    let job = last.expect("the brand has icons");
    assert_eq!((&job["failed"], &job["done"], &job["total"]), (&json!(1), &json!(3), &json!(3)), "{job}");
    let failure = &job["failures"][0];
    assert_eq!((&failure["serialNumber"], &failure["code"]), (&json!("bare"), &json!("missing_image")));
    assert!(failure["detail"].as_str().unwrap().contains("icon.png"), "{failure}");
    let kept = integrator.state("bare").await;
    assert!(kept["assets"].as_object().unwrap().keys().any(|file| file.starts_with("icon")), "{kept}");
    package::files(&integrator.downloads("bare").await);
    assert_problem(&integrator.issue(&integrator.order("new", &a_ticket("1"))).await, 422);

    // With a new one they go on.
    operator.sees_finished(&operator.put_brand_asset("icon.png", icon(5)).await).await;
    assert_eq!(integrator.state("bare").await["assets"]["icon.png"], sha256(&icon(5)));
}

#[tokio::test]
async fn images_that_an_operator_took_away_do_not_come_back_with_a_start() {
    let mut honoken = a_service().await;
    let operator = honoken.operator();
    let mut gone = 0;
    for slot in ["icon", "logo", "background"] {
        for scale in ["", "@2x", "@3x"] {
            let answer = operator.remove_brand_asset(&format!("{slot}{scale}.png")).await;
            gone += usize::from(answer.status == StatusCode::ACCEPTED);
        }
    }
    assert!(gone > 0, "`dev` draws some");
    assert_eq!(honoken.terminate().await.code(), Some(0));
    honoken.restart().await;
    let icon = operator.request(Method::GET, "/admin/brand-assets/icon.png", &Value::Null).await;
    assert_problem(&icon, 404);
}

#[tokio::test]
async fn the_last_of_several_changes_is_what_every_pass_shows() {
    let (_honoken, integrator, operator) = a_service_with_two_passes().await;
    for number in 0..20 {
        integrator.issues(&format!("A-{number}")).await;
    }
    let mut last = None;
    for shade in 0..6 {
        last = Some(operator.put_brand_asset("icon.png", icon(shade)).await);
    }
    operator.sees_finished(&last.unwrap()).await;
    for number in 0..20 {
        let state = integrator.state(&format!("A-{number}")).await;
        assert_eq!(state["assets"]["icon.png"], sha256(&icon(5)));
    }
}

#[tokio::test]
async fn an_image_that_is_not_acceptable_is_refused_as_for_a_pass() {
    let (honoken, integrator, operator) = a_service_with_two_passes().await;
    let head = operator.head().await;
    for (file, bytes) in [
        ("icon.png", b"GIF89a".to_vec()),
        ("icon.png", icon(1)[..40].to_vec()),
        ("logo.gif", icon(1)),
        ("pass.json", icon(1)),
    ] {
        assert_problem(&integrator.put_type_asset(file, bytes.clone()).await, 422);
        assert_problem(&operator.put_brand_asset(file, bytes).await, 422);
    }
    for file in ["logo.gif", "pass.json"] {
        assert_problem(&integrator.remove_type_asset(file).await, 422);
        assert_problem(&operator.remove_brand_asset(file).await, 422);
    }
    let path = integrator.type_asset_path("icon.png");
    assert_too_large(integrator.tries(Method::PUT, &path, &[], vec![0; 2 * 1024 * 1024 + 1]).await);
    let stranger = Operator::known_as(&honoken.ready().base_url, "admin", "wrong");
    assert_problem(&stranger.put_brand_asset("icon.png", icon(1)).await, 401);
    assert_problem(&stranger.remove_brand_asset("icon.png").await, 401);
    let path = "/admin/jobs/018bcfe5-6800-7000-8000-000000000000";
    assert_problem(&stranger.request(Method::GET, path, &Value::Null).await, 401);
    assert_problem(&operator.request(Method::GET, path, &Value::Null).await, 404);
    assert_problem(
        &operator.request(Method::GET, "/admin/brand-assets/background.png", &Value::Null).await,
        404,
    );
    assert_eq!(operator.head().await, head, "no event was written");
}

#[tokio::test]
async fn what_belongs_to_another_organisation_is_not_found() {
    let (mut honoken, integrator, _) = a_service_with_two_passes().await;
    let job = integrator.put_type_asset("logo.png", drawing::logo(3)).await;
    honoken.operator().sees_finished(&job).await;
    honoken.terminate().await;
    honoken.storage().founds_another_organization("another-key", "pass.another").await;
    honoken.restart().await;
    let another = honoken.integrator().with_authorization("Bearer another-key");
    let head = honoken.operator().head().await;
    let before = integrator.state("bare").await;
    assert_problem(&another.put_type_asset("logo.png", drawing::logo(4)).await, 404);
    assert_problem(&another.remove_type_asset("logo.png").await, 404);
    let path = another.type_asset_path("logo.png");
    assert_problem(&another.request(Method::GET, &path, &[], "").await, 404);
    assert_problem(&another.request(Method::GET, job.header("location").unwrap(), &[], "").await, 404);
    assert_eq!((honoken.operator().head().await, integrator.state("bare").await), (head, before));
    // Its own type it may change.
    let path = "/manage/v1/pass-types/pass.another/assets/logo.png";
    let put = another.request(Method::PUT, path, &[], drawing::logo(5)).await;
    assert_eq!(honoken.operator().sees_finished(&put).await["total"], 0);
    assert_problem(&integrator.request(Method::GET, path, &[], "").await, 404);
}

/// A command has read the old image, the image changes, its job goes by, the process is killed, and the command's event is in the log.
#[tokio::test]
async fn a_pass_that_was_issued_with_the_old_image_behind_the_job_shows_the_new_one() {
    let (mut honoken, integrator, operator) = a_service_with_two_passes().await;
    operator.sees_finished(&operator.put_brand_asset("icon.png", icon(1)).await).await;
    operator.sees_finished(&operator.put_brand_asset("icon.png", icon(2)).await).await;
    let current = integrator.state("bare").await;
    honoken.kill().await;
    let mut old = current["assets"].clone();
    old["icon.png"] = sha256(&icon(1)).into();
    let pass_type = integrator.pass_type_identifier();
    let late = |serial: &str, assets: &Value, images: &Value| {
        json!({ "PassIssued": {
            "organizationId": "dev", "passTypeIdentifier": pass_type, "serialNumber": serial, "ticketStyle": "event", "poster": false,
            "content": a_ticket("1A"), "assets": assets, "images": images, "authenticationToken": "0123456789abcdef0123",
            "etag": sha256(serial.as_bytes()), "updatedAt": 1_700_000_000,
        }})
    };
    let own_icon = json!({ "icon.png": sha256(&icon(1)) });
    let mut with_own_icon = old.clone();
    with_own_icon.as_object_mut().unwrap().retain(|file, _| file == "icon.png" || !file.starts_with("icon"));
    for (serial, assets, images) in [
        ("late", json!({}), &old),
        ("in-time", json!({}), &current["assets"]),
        ("own", own_icon, &with_own_icon),
    ] {
        let serial = format!("{serial}-1");
        let event = HandmadeEvent {
            aggregate_type: "Pass",
            aggregate_id: &format!("{pass_type}/{serial}"),
            kind: "PassIssued",
            payload: late(&serial, &assets, images),
        };
        honoken.storage().appends(event).await;
    }
    honoken.restart().await;
    let state = eventually(PATIENCE, "the pass shows the new image", async || {
        let answer = integrator.get("late-1").await;
        (answer.status == StatusCode::OK && answer.json()["assets"] == current["assets"])
            .then(|| answer.json())
    })
    .await;
    honoken_tests::etag::assert_belongs(&state);
    for (serial, images) in [("in-time-1", &current["assets"]), ("own-1", &with_own_icon)] {
        let untouched = integrator.get(serial).await.json();
        assert_eq!(untouched["etag"], sha256(serial.as_bytes()), "{serial} is left alone");
        assert_eq!(untouched["assets"], *images);
    }
    honoken.terminate().await;
}

const PASSES: usize = 2_000;

/// How many passes a job has looked at.
async fn comes_to(operator: &Operator, job: &str, done: u64) -> Value {
    eventually(PATIENCE, "the job has come so far", async || {
        let job = operator.job(job).await;
        (job["done"].as_u64() >= Some(done)).then_some(job)
    })
    .await
}

async fn issues_many(integrator: &Integrator) {
    let issue = |number: usize| async move {
        // Every hundredth hides the brand's icon.
        if number.is_multiple_of(100) {
            issues_with_own_images(integrator, &format!("P-{number:04}")).await;
        } else {
            integrator.issues(&format!("P-{number:04}")).await;
        }
    };
    stream::iter(0..PASSES).for_each_concurrent(32, issue).await;
}

/// How often each pass has changed its images.
async fn image_changes(honoken: &Honoken) -> BTreeMap<String, usize> {
    let mut changes = BTreeMap::new();
    for recorded in honoken.storage().recorded().await.into_values() {
        if recorded.payload.get("PassAssetsChanged").is_some() {
            *changes.entry(recorded.pass_serial_number().expect("of a pass").to_owned()).or_default() += 1;
        }
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_brand_reaches_2000_passes_though_the_program_is_killed_stopped_and_rebuilt_meanwhile()
 {
    let mut honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    issues_many(&integrator).await;
    let put = operator.put_brand_asset("icon.png", icon(42)).await;
    let job = job_of(&put);

    let killed_at = comes_to(&operator, &job, 400).await;
    honoken.kill().await;
    assert_ne!(killed_at["state"], "finished", "it was killed in the middle");
    honoken.restart().await;
    let resumed = operator.job(&job).await;
    assert!(resumed["done"].as_u64() >= killed_at["done"].as_u64(), "{killed_at}, then {resumed}");
    assert_eq!((&resumed["total"], &resumed["startedAt"]), (&json!(PASSES + 1), &killed_at["startedAt"]));

    // Others are served meanwhile, and at once.
    comes_to(&operator, &job, 800).await;
    integrator.issues("meanwhile").await;
    let stopped_at = operator.job(&job).await;
    assert_eq!(honoken.terminate().await.code(), Some(0));
    assert_ne!(stopped_at["state"], "finished", "it was stopped in the middle");
    let rebuilt = honoken.home().runs(&["rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    honoken.restart().await;
    let finished = operator.sees_finished(&put).await;
    assert_eq!(finished["failed"], 0);
    assert_eq!(finished["done"], finished["total"]);
    assert!(
        (PASSES + 1..=PASSES + 2).contains(&usize::try_from(finished["done"].as_u64().unwrap()).unwrap())
    );

    honoken.terminate().await;
    let changes = image_changes(&honoken).await;
    for number in 0..PASSES {
        let expected = usize::from(!number.is_multiple_of(100));
        let found = changes.get(&format!("P-{number:04}")).copied().unwrap_or_default();
        assert_eq!(found, expected, "P-{number:04} changed {found} times");
    }
    assert_eq!(changes.len(), PASSES - PASSES / 100, "and no other pass did");
    honoken.restart().await;
    for serial in ["P-0001", "P-0999", "P-1999", "meanwhile"] {
        assert_eq!(integrator.state(serial).await["assets"]["icon.png"], sha256(&icon(42)), "{serial}");
    }
    honoken.terminate().await;
    assert_equals_a_rebuilt_one(&honoken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_one_carries_a_job_out_and_another_takes_it_over() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let (username, password) = (&home.ready().admin_username, &home.ready().admin_password);
    let serve = |name: &str| {
        let serve = home.home().serve(name).with_roles("api,projector");
        let serve = serve.with_variable("HONOKEN_ADMIN_USERNAME", username);
        serve.with_variable("HONOKEN_ADMIN_PASSWORD", password).start()
    };
    let mut processes = vec![serve("one").await, serve("other").await];
    becomes_ready(&processes[1]).await;
    let integrator = processes[0].integrator(home.ready());
    stream::iter(0..600)
        .for_each_concurrent(32, async |number| drop(integrator.issues(&format!("P-{number:04}")).await))
        .await;
    let operator = processes[1].operator(home.ready());
    let put = operator.put_brand_asset("icon.png", icon(42)).await;
    let job = job_of(&put);
    comes_to(&operator, &job, 250).await;
    let at_work = |process: &honoken_tests::Serving| process.output().contains("started a job");
    let working = processes.iter().position(at_work).expect("one of them has begun");
    assert_eq!(processes.iter().filter(|process| at_work(process)).count(), 1);
    processes[working].kill().await;
    let mut other = processes.remove(1 - working);
    let operator = other.operator(home.ready());
    let finished = operator.sees_finished(&put).await;
    assert_eq!((&finished["done"], &finished["failed"]), (&json!(601), &json!(0)));
    assert_eq!(other.terminate().await.code(), Some(0));
    let changes = image_changes(&home).await;
    assert!(changes.len() == 600 && changes.values().all(|count| *count == 1), "{changes:?}");
}

#[tokio::test]
async fn an_image_that_was_lost_and_is_uploaded_again_states_the_passes_that_show_it_anew() {
    let (honoken, integrator, _operator) = a_service_with_two_passes().await;
    let (bare, own) = (integrator.state("bare").await, integrator.state("own").await);
    let pass = integrator.credentials("own").await;
    honoken.devices().register(&device(1), "token", &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = honoken.devices().lists(&device(1), &pass.pass_type_identifier, None).await.unwrap();

    let logo = drawing::logo(20);
    let digest = sha256(&logo);
    let (head, tail) = digest.split_at(2);
    let file = honoken.ready().data_dir.join("blobs").join(head).join(tail);
    // What is whole is not stated anew.
    integrator.uploads(&logo).await;
    std::fs::remove_file(&file).expect("the image is in the store");
    integrator.uploads(&logo).await;
    assert_eq!(std::fs::read(&file).expect("it is back"), logo);
    let anew = eventually(PATIENCE, "the pass is stated anew", async || {
        let state = integrator.state("own").await;
        (state["etag"] != own["etag"]).then_some(state)
    })
    .await;
    assert_eq!(anew["assets"], own["assets"]);
    assert_eq!(integrator.state("bare").await, bare, "it shows another image");
    let (serials, tag) =
        honoken.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.unwrap();
    assert_eq!(serials, ["own"]);

    integrator.uploads(&logo).await;
    assert_eq!(integrator.state("own").await["etag"], anew["etag"]);
    assert!(honoken.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.is_none());
}

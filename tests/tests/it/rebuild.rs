//! The read model can be thrown away: rebuilt tables equal live tables.

use std::collections::BTreeMap;

use honoken_tests::device::{device, push_token};
use honoken_tests::load::Load;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, a_ticket, drawing};
use http::StatusCode;

use crate::processes::{a_projector, an_api, assert_equals_a_rebuilt_one, pairs};
use crate::{a_home_for_several, a_service};

/// A service with some history: changes of every kind, devices that came and went.
async fn a_service_with_history() -> Honoken {
    let honoken = a_service().await;
    let (integrator, devices) = (honoken.integrator(), honoken.devices());
    for number in 0..10 {
        let serial = format!("H-{number}");
        integrator.issues(&serial).await;
        let pass = integrator.credentials(&serial).await;
        for phone in [number % 3, 7] {
            devices.register(&device(phone), &push_token(phone, 0), &pass).await;
        }
        match number % 4 {
            0 => drop(integrator.voids(&serial).await),
            1 => drop(integrator.puts_asset(&serial, "logo.png", drawing::logo(1)).await),
            2 => drop(devices.unregister(&device(7), &pass).await.assert_status(StatusCode::OK)),
            _ => drop(integrator.moves_to(&serial, "🎫").await),
        }
    }
    let pass = integrator.credentials("H-0").await;
    devices.register(&device(7), &push_token(7, 1), &pass).await.assert_status(StatusCode::OK);
    integrator.reinstates("H-0").await;
    integrator.issue(&integrator.order("H-1", &a_ticket("1A"))).await.assert_status(StatusCode::OK);
    honoken
}

#[tokio::test]
async fn a_rebuilt_read_model_equals_the_one_that_was_thrown_away() {
    let mut honoken = a_service_with_history().await;
    let storage = honoken.storage();
    let integrator = honoken.integrator();
    let pass_type = integrator.pass_type_identifier().to_owned();
    let mut seen = Vec::new();
    for number in 0..10 {
        let state = integrator.state(&format!("H-{number}")).await;
        let list = honoken.devices().lists(&device(number), &pass_type, None).await;
        seen.push((state, list));
    }
    honoken.terminate().await;
    let before = storage.dump_read_model().await;
    storage.throws_read_model_away().await;
    honoken.restart().await;
    let operator = honoken.operator();
    eventually(PATIENCE, "the projection is at the head again", async || {
        let wallet = operator.wallet_projection().await;
        (wallet["position"] == wallet["head"]).then_some(())
    })
    .await;

    for (number, (state, list)) in seen.into_iter().enumerate() {
        assert_eq!(honoken.integrator().state(&format!("H-{number}")).await, state);
        assert_eq!(honoken.devices().lists(&device(number), &pass_type, None).await, list);
    }
    honoken.terminate().await;
    let after = storage.dump_read_model().await;
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (table, rows) in before {
        assert_eq!(after[&table], rows, "{table}");
    }
}

#[tokio::test]
async fn a_service_is_ready_only_when_its_read_model_is() {
    let mut honoken = a_service_with_history().await;
    honoken.terminate().await;
    honoken.storage().throws_read_model_away().await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    eventually(PATIENCE, "the service is ready", async || {
        let answer = honoken.request(http::Method::GET, "/health/ready", http::HeaderMap::new(), "").await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
    // From here on nothing may be missing.
    for number in 0..10 {
        integrator.state(&format!("H-{number}")).await;
    }
}

/// Does to the tables what nobody should.
const DAMAGE: [&str; 3] = [
    "update wallet_pass set voided = not voided, update_tag = update_tag + 1000000",
    "delete from wallet_registration",
    "update wallet_pass_type set team_identifier = 'nobody'",
];

#[tokio::test]
async fn rebuild_mends_damaged_tables_of_a_service_that_stands_still() {
    let mut honoken = a_service_with_history().await;
    honoken.terminate().await;
    let storage = honoken.storage();
    let live = storage.dump_read_model().await;
    for damage in DAMAGE {
        assert!(storage.executes(Part::ReadModel, damage, &[]).await > 0, "{damage}");
    }
    assert_ne!(storage.dump_read_model().await, live);
    assert_equals_a_rebuilt_one_of(&honoken, &live).await;
    honoken.restart().await;
    honoken.integrator().moves_to("H-1", "2B").await;
}

async fn assert_equals_a_rebuilt_one_of(honoken: &Honoken, live: &BTreeMap<String, Vec<String>>) {
    let rebuilt = honoken.home().runs(&["rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert_eq!(honoken.storage().dump_read_model().await, *live);
}

#[tokio::test]
async fn rebuild_is_refused_beside_a_service_on_files() {
    if Engine::leaves_out("there it runs beside the service") {
        return;
    }
    let honoken = a_service_with_history().await;
    let live = honoken.storage().dump_read_model().await;
    let refused = honoken.home().runs(&["rebuild"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("another process is using"), "{said}");
    assert_eq!(honoken.storage().dump_read_model().await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_on_postgres_runs_beside_a_service_under_load() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let (_first, _second) = (a_projector(&home, "first").await, a_projector(&home, "second").await);
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let load = Load::start(1, pairs(&home, &[&one, &other])).await;
    for _ in 0..3 {
        load.is_served(100).await;
        let rebuilt = home.home().runs(&["rebuild"]).await;
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        load.is_projected_again().await;
    }
    load.ends().await.assert_kept(&home.storage(), &one.integrator(home.ready())).await;
    assert_equals_a_rebuilt_one(&home).await;
}

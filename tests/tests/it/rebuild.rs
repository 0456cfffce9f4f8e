//! The read model can be thrown away: rebuilt tables equal live tables.

use std::collections::BTreeMap;

use honoken_tests::device::{device, push_token};
use honoken_tests::load::Load;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, a_ticket, drawing};
use http::StatusCode;
use sqlx::{Connection, PgConnection};

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
    // What became of wake-ups is shown beside the read model, and is not in it.
    honoken.operator().sees_everybody_woken().await;
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

/// Whoever fills the tables waits until the lock 1 of the server is free.
const WAITING_PROJECTOR: [&str; 2] = [
    "create function waits() returns trigger language plpgsql as
     'begin perform pg_advisory_xact_lock_shared(1); return new; end'",
    "create trigger waits before insert on wallet_pass for each row execute function waits()",
];

/// Makes whoever fills the tables wait for the connection that this gives.
async fn holds_up_the_projector(home: &Honoken) -> PgConnection {
    for statement in WAITING_PROJECTOR {
        home.storage().executes(Part::ReadModel, statement, &[]).await;
    }
    let url = home.home().database_url().expect("a database");
    let mut lock = PgConnection::connect(url).await.expect("the server answers");
    sqlx::query("select pg_advisory_lock(1)").execute(&mut lock).await.expect("the lock is free");
    lock
}

async fn is_held_up(home: &Honoken) {
    let waiting = "select query from pg_stat_activity
                   where datname = current_database() and wait_event = 'advisory' and query like '%insert into wallet_pass (%'";
    eventually(PATIENCE, "the projector waits", async || {
        (!home.storage().reads(Part::ReadModel, waiting, &[]).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_are_served_while_tables_of_another_version_are_filled_again() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut projector = a_projector(&home, "projector").await;
    let api = an_api(&home, "api").await;
    let (integrator, devices) = (api.integrator(home.ready()), api.devices());
    let change = integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    assert_eq!(projector.terminate().await.code(), Some(0));
    let live = home.storage().dump_read_model().await;
    let older = "update projection_checkpoint set version = version - 1";
    home.storage().executes(Part::ReadModel, older, &[]).await;
    let lock = holds_up_the_projector(&home).await;

    let mut again = home.home().serve("again").with_roles("projector").spawns();
    is_held_up(&home).await;
    let listed = devices.lists(&device(1), &pass.pass_type_identifier, None).await;
    assert_eq!(listed, Some((vec!["A-1".to_owned()], change.update_tag)));
    devices.get(&pass, &[]).await.assert_status(StatusCode::OK);
    integrator.state("A-1").await;
    lock.close().await.expect("the connection closes");
    again.kill().await.expect("it can be killed");

    let _again = a_projector(&home, "again").await;
    home.storage().waits_for_read_model().await;
    assert_eq!(home.storage().dump_read_model().await, live);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_a_lost_future_before_the_tables_are_filled_again() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let restored = home.home().runs(&["log", "restored"]).await;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let api = home.home().serve("api").with_roles("api");
    let mut process = api.spawns();
    eventually(PATIENCE, "the process says what it waits for", async || {
        api.output().contains("the read model belongs to another event log").then_some(())
    })
    .await;
    assert_eq!(api.reads_ready_file(), None);
    let _projector = a_projector(&home, "projector").await;
    eventually(PATIENCE, "the process is ready", async || api.reads_ready_file()).await;
    process.kill().await.expect("it can be killed");
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

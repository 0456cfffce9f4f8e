//! The read model can be thrown away: rebuilt tables equal live tables.

use std::collections::BTreeMap;

use honoken_tests::device::{device, push_token};
use honoken_tests::load::{Load, Pair};
use honoken_tests::operator::Operator;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, a_ticket, drawing};
use http::StatusCode;
use serde_json::{Value, json};
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
async fn rebuild_runs_beside_a_service_on_files_which_does_the_work() {
    if Engine::leaves_out("there it is tested under load") {
        return;
    }
    let honoken = a_service_with_history().await;
    let live = honoken.storage().dump_read_model().await;
    assert_equals_a_rebuilt_one_of(&honoken, &live).await;
    let wallet = honoken.operator().wallet_projection().await;
    assert_eq!(
        (&wallet["place"], &wallet["kept"]["version"]),
        (&json!("read_model.2.sqlite"), &wallet["version"])
    );
    honoken.integrator().moves_to("H-1", "2B").await;
}

/// The wallet as it is once `reached` says so.
async fn sees(operator: &Operator, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
    eventually(PATIENCE, what, async || Some(operator.wallet_projection().await).filter(&reached)).await
}

async fn refuses(operator: &Operator, wish: &str, code: &str) {
    let path = format!("/admin/projections/wallet/{wish}");
    let answer = operator.request(http::Method::POST, &path, &Value::Null).await;
    answer.assert_status(StatusCode::CONFLICT);
    assert_eq!(answer.json()["code"], code, "{wish}");
}

#[tokio::test]
async fn an_operator_holds_compares_switches_goes_back_and_drops() {
    let mut honoken = a_service_with_history().await;
    let operator = honoken.operator();
    for (wish, code) in [
        ("pause", "no_rebuild"),
        ("resume", "no_rebuild"),
        ("cancel", "no_rebuild"),
        ("compare", "no_rebuild"),
        ("switch", "no_rebuild"),
        ("rollback", "nothing_kept"),
        ("drop", "nothing_kept"),
    ] {
        refuses(&operator, wish, code).await;
    }
    let rebuild = "/admin/projections/wallet/rebuild";
    let wrong = operator.request(http::Method::POST, rebuild, &json!({ "hold": 1 })).await;
    wrong.assert_status(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/hold");
    let unknown =
        operator.request(http::Method::POST, "/admin/projections/other/rebuild", &Value::Null).await;
    unknown.assert_status(StatusCode::NOT_FOUND);

    let held = operator.request(http::Method::POST, rebuild, &json!({ "hold": true })).await;
    held.assert_status(StatusCode::ACCEPTED);
    let id = held.json()["rebuild"]["id"].clone();
    let ready = sees(&operator, "a copy that waits", |wallet| wallet["rebuild"]["state"] == "ready").await;
    assert_eq!(
        (&ready["rebuild"]["id"], &ready["lastRebuild"], &ready["kept"]),
        (&id, &Value::Null, &Value::Null)
    );
    assert_eq!(ready["rebuild"]["position"], ready["head"], "{ready}");
    let scrape = honoken.metrics().await;
    assert!(scrape.get("honoken_rebuild_position") >= 20.0, "it has come to {}", ready["head"]);
    refuses(&operator, "rebuild", "rebuild_at_work").await;
    operator.wishes("compare").await;
    let compared = sees(&operator, "a comparison", |wallet| wallet["rebuild"]["compare"].is_object()).await;
    let outcome = &compared["rebuild"]["compare"];
    assert_eq!(
        (&outcome["position"], &outcome["different"], &outcome["first"]),
        (&compared["head"], &json!(0), &json!([]))
    );
    assert!(outcome["rows"].as_u64() > Some(20), "{outcome}");

    // The process ends, and the next one goes on.
    honoken.terminate().await;
    honoken.restart().await;
    let operator = honoken.operator();
    honoken.integrator().moves_to("H-1", "2B").await;
    sees(&operator, "the copy at the head", |wallet| wallet["rebuild"]["position"] == wallet["head"]).await;
    assert_eq!(operator.wishes("pause").await["rebuild"]["state"], "paused");
    operator.wishes("switch").await;
    honoken.integrator().moves_to("H-1", "3C").await;
    assert_eq!(operator.wallet_projection().await["rebuild"]["state"], "paused");
    operator.wishes("resume").await;
    let switched = sees(&operator, "the switch", |wallet| wallet["rebuild"].is_null()).await;
    let last = &switched["lastRebuild"];
    assert_eq!(last["id"], id);
    assert!(last["events"].as_u64() >= Some(30) && last["eventsPerSecond"].is_u64(), "{last}");
    assert!(last["startedAt"].as_str() <= last["finishedAt"].as_str(), "{last}");
    assert!(switched["kept"]["bytes"].as_u64() > Some(10_000), "{switched}");
    assert_eq!(honoken.integrator().state("H-1").await["content"], a_ticket("3C"));

    honoken.integrator().moves_to("H-1", "4D").await;
    operator.wishes("rollback").await;
    let back = sees(&operator, "the way back", |wallet| wallet["rebuild"].is_null()).await;
    assert_eq!(back["lastRebuild"], *last);
    assert_ne!(back["place"], switched["place"]);
    assert_eq!(honoken.integrator().state("H-1").await["content"], a_ticket("4D"));
    operator.wishes("drop").await;
    sees(&operator, "the end of the copy", |wallet| wallet["kept"].is_null()).await;
    refuses(&operator, "rollback", "nothing_kept").await;

    let held = operator.request(http::Method::POST, rebuild, &json!({ "hold": true })).await;
    held.assert_status(StatusCode::ACCEPTED);
    operator.wishes("cancel").await;
    let none = operator.wallet_projection().await;
    assert_eq!((&none["rebuild"], &none["kept"]), (&Value::Null, &Value::Null));
    honoken.integrator().moves_to("H-1", "5E").await;
}

/// Ten of them, one after the other, while integrators change passes and phones ask for them: all that the phones hear is right.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_ten_rebuilds() {
    let honoken = a_service().await;
    let pair = Pair { integrator: honoken.integrator(), devices: honoken.devices() };
    let load = Load::start(1, vec![pair]).await;
    for _ in 0..10 {
        load.is_served(30).await;
        honoken.operator().rebuilds().await;
    }
    load.ends().await.assert_kept(&honoken.storage(), &honoken.integrator()).await;
    assert_equals_a_rebuilt_one(&honoken).await;
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

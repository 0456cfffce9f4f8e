//! Several processes share a Postgres database: whichever is asked, it is one service; whichever fails, the others go on.

use futures::future::join_all;
use honoken_simulator::HttpClient;
use honoken_tests::device::{device, push_token};
use honoken_tests::load::{Load, Pair, assert_shows_log, served};
use honoken_tests::problem::assert_problem;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Change, Credentials, Engine, Honoken, Integrator, Serving, a_ticket};
use http::{HeaderMap, Method, StatusCode};

use crate::a_home_for_several;

/// Changes of one pass through each of two processes.
const CHANGES: usize = 64;

/// Of them at a time.
const AT_A_TIME: usize = 8;

pub(crate) async fn an_api(home: &Honoken, name: &str) -> Serving {
    home.home().serve(name).with_roles("api").start().await
}

pub(crate) async fn a_projector(home: &Honoken, name: &str) -> Serving {
    home.home().serve(name).with_roles("projector").start().await
}

/// The status of `/health/ready`.
pub(crate) async fn readiness(process: &Serving) -> StatusCode {
    let answer = process.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    if answer.status != StatusCode::OK {
        assert_problem(&answer, 503);
    }
    answer.status
}

pub(crate) async fn becomes_ready(process: &Serving) {
    eventually(PATIENCE, "the process is ready", async || {
        (readiness(process).await == StatusCode::OK).then_some(())
    })
    .await;
}

/// How often a process has begun to run the projection.
fn takeovers(process: &Serving) -> usize {
    process.output().matches("running the projection from position").count()
}

async fn takes_over(process: &Serving, before: usize) {
    eventually(PATIENCE, "the process takes over the projection", async || {
        (takeovers(process) > before).then_some(())
    })
    .await;
}

/// Integrators at each process, whose phones ask the next one.
pub(crate) fn pairs(home: &Honoken, processes: &[&Serving]) -> Vec<Pair> {
    let next = processes.iter().cycle().skip(1);
    let pairs = processes.iter().zip(next);
    pairs
        .map(|(one, next)| Pair { integrator: one.integrator(home.ready()), devices: next.devices() })
        .collect()
}

/// Checks that the read model is what a rebuild makes of the log.
pub(crate) async fn assert_equals_a_rebuilt_one(home: &Honoken) {
    let storage = home.storage();
    storage.waits_for_read_model().await;
    let live = storage.dump_read_model().await;
    let rebuilt = home.home().runs(&["rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let rebuilt = storage.dump_read_model().await;
    assert_eq!(rebuilt.keys().collect::<Vec<_>>(), live.keys().collect::<Vec<_>>());
    for (table, rows) in live {
        assert_eq!(rebuilt[&table], rows, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_through_one_process_is_visible_through_the_other_at_once() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let _projector = a_projector(&home, "projector").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    becomes_ready(&other).await;
    let pass_type = home.ready().pass_type_identifier.clone();
    let phone = device(1);
    let mut known: Option<(String, String)> = None;
    for (round, (asked, beside)) in [(&one, &other), (&other, &one)].into_iter().cycle().take(40).enumerate()
    {
        let (integrator, elsewhere) = (asked.integrator(home.ready()), beside.integrator(home.ready()));
        let serial = format!("A-{}", round / 4);
        let change = if round % 4 == 0 {
            let issued = integrator.issues(&serial).await;
            let pass = elsewhere.credentials(&serial).await;
            asked
                .devices()
                .register(&phone, &push_token(1, 0), &pass)
                .await
                .assert_status(StatusCode::CREATED);
            issued
        } else {
            integrator.moves_to(&serial, &round.to_string()).await
        };
        let state = elsewhere.state(&serial).await;
        assert_eq!(
            (state["etag"].as_str(), state["position"].as_u64()),
            (Some(&*change.etag), Some(change.position))
        );

        let tag = known.as_ref().map(|(tag, _)| tag.as_str());
        let (listed, tag) =
            beside.devices().lists(&phone, &pass_type, tag).await.expect("the pass has changed");
        assert_eq!((listed, &tag), (vec![serial.clone()], &change.update_tag));
        let pass = elsewhere.credentials(&serial).await;
        let old = known.as_ref().map_or("\"none\"", |(_, etag)| etag);
        let got = beside.devices().get(&pass, &[("if-none-match", old)]).await;
        let etag = format!("\"{}\"", change.etag);
        got.assert_status(StatusCode::OK).assert_header("etag", &etag);
        for process in [asked, beside] {
            let nothing = process.devices().lists(&phone, &pass_type, Some(&tag)).await;
            assert_eq!(nothing, None, "a tag of one process is known to every other");
        }
        known = Some((tag, etag));
    }
}

/// From now on nobody hears of anybody: new sessions find a `pg_notify` that does nothing.
async fn silences_notifications(home: &Honoken) {
    for statement in [
        "create function public.pg_notify(text, text) returns void language sql as ''",
        "do $$ begin
           execute format('alter database %I set search_path = public, pg_catalog', current_database());
         end $$",
    ] {
        home.storage().executes(Part::Log, statement, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_understood_by_a_process_that_has_not_heard_of_the_change() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    silences_notifications(&home).await;
    // Who appends also projects, and needs to hear of nobody.
    let (one, other) = (home.home().serve("one").start().await, an_api(&home, "other").await);
    let integrator = one.integrator(home.ready());
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    let registered = one.devices().register(&device(1), &push_token(1, 0), &pass).await;
    registered.assert_status(StatusCode::CREATED);
    for round in 0..8 {
        let change = integrator.moves_to("A-1", &round.to_string()).await;
        let devices = other.devices();
        let (_, tag) = devices.lists(&device(1), &pass.pass_type_identifier, None).await.expect("a pass");
        assert_eq!(tag, change.update_tag);
        let nothing = devices.lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await;
        assert_eq!(nothing, None, "round {round}");
    }
}

/// Changes a pass to this seat, again when others were faster too often.
async fn changes(integrator: &Integrator, serial_number: &str, seat: &str) -> Change {
    let path = format!("{}/content", integrator.path(serial_number));
    let content = a_ticket(seat).to_string();
    let answer = eventually(PATIENCE, "the change is acknowledged", async || {
        served(integrator.tries(Method::PUT, &path, &[], content.clone()).await, &[200])
    });
    Change::read(&answer.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_pass_through_two_processes_at_a_time_are_all_kept() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let (one, other) = (home.home().serve("one").start().await, an_api(&home, "other").await);
    let integrators = [one.integrator(home.ready()), other.integrator(home.ready())];
    integrators[0].issues("A-1").await;
    let pass = integrators[0].credentials("A-1").await;
    let workers = (0..2 * AT_A_TIME).map(|worker| {
        let integrator = integrators[worker % 2].clone();
        async move {
            let mut acknowledged = Vec::new();
            for number in 0..CHANGES / AT_A_TIME {
                acknowledged.push(changes(&integrator, "A-1", &format!("{worker}-{number}")).await);
            }
            acknowledged
        }
    });
    let acknowledged = join_all(workers).await.concat();

    home.storage().waits_for_read_model().await;
    let log = home.storage().recorded().await;
    assert_eq!(acknowledged.len(), 2 * CHANGES);
    for change in acknowledged {
        assert!(change.changed, "{change:?}");
        assert_eq!(log[&change.position].tag(), Some((&*change.etag, change.updated_at)), "{change:?}");
    }
    let of_the_pass = log.values().filter(|recorded| recorded.pass_serial_number() == Some("A-1"));
    assert_eq!(of_the_pass.count(), 1 + 2 * CHANGES);
    for integrator in integrators {
        assert_shows_log(&integrator.state("A-1").await, &pass, &log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_projector_takes_over_from_one_that_was_killed() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut first = a_projector(&home, "first").await;
    let second = a_projector(&home, "second").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let load = Load::start(1, pairs(&home, &[&one, &other])).await;
    load.is_served(50).await;
    let before = takeovers(&second);
    first.kill().await;
    takes_over(&second, before).await;
    load.is_projected_again().await;
    load.is_served(50).await;
    load.ends().await.assert_kept(&home.storage(), &other.integrator(home.ready())).await;
    assert_equals_a_rebuilt_one(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_acknowledged_while_nobody_projects() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut projector = a_projector(&home, "projector").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let (integrator, elsewhere) = (one.integrator(home.ready()), other.integrator(home.ready()));
    integrator.issues("A-1").await;
    let before = integrator.state("A-1").await;
    projector.kill().await;
    let path = integrator.path("A-1");
    let answer = integrator.replace("A-1", &a_ticket("2B")).await;
    let change = Change::read(answer.assert_status(StatusCode::OK));
    assert!(change.changed && !change.projected, "{change:?}");
    // A pass that nobody sees yet exists all the same, for the other process too.
    let issued = Change::read(
        integrator.issue(&integrator.order("A-2", &a_ticket("1A"))).await.assert_status(StatusCode::CREATED),
    );
    assert!(issued.changed && !issued.projected, "{issued:?}");
    let later = Change::read(elsewhere.replace("A-2", &a_ticket("3C")).await.assert_status(StatusCode::OK));
    assert!(later.changed && !later.projected, "{later:?}");
    assert_eq!(elsewhere.request(Method::GET, &path, &[], "").await.json(), before, "readers see what was");

    let _another = a_projector(&home, "another").await;
    home.storage().waits_for_read_model().await;
    for (integrator, serial, change) in [(&elsewhere, "A-1", &change), (&integrator, "A-2", &later)] {
        assert_eq!(integrator.state(serial).await["etag"], change.etag.as_str(), "{serial}");
    }
    assert_equals_a_rebuilt_one(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn a_projector_that_hung_applies_nothing_after_another_took_over() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut first = a_projector(&home, "first").await;
    let mut second = a_projector(&home, "second").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let load = Load::start(1, pairs(&home, &[&one, &other])).await;
    // The one that stands by takes over, and back again.
    for _ in 0..2 {
        load.is_served(50).await;
        let before = takeovers(&second);
        first.pauses().await;
        takes_over(&second, before).await;
        load.is_projected_again().await;
        first.resumes().await;
        eventually(PATIENCE, "the one that hung sees that it was superseded", async || {
            first.output().contains("another process has taken over the projection").then_some(())
        })
        .await;
        first.process().assert_alive();
        second.process().assert_alive();
        std::mem::swap(&mut first, &mut second);
    }
    load.is_served(50).await;
    load.ends().await.assert_kept(&home.storage(), &one.integrator(home.ready())).await;
    assert_equals_a_rebuilt_one(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_in_the_middle_of_its_work_does_not_hold_up_the_others() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let _projector = a_projector(&home, "projector").await;
    let (hanging, other) = (an_api(&home, "hanging").await, an_api(&home, "other").await);
    let alone = |process| pairs(&home, &[process]);
    let held_up = Load::start(1, alone(&hanging)).await;
    let load = Load::start(2, alone(&other)).await;
    // It may have the lock of the log at that moment, or not.
    for _ in 0..3 {
        held_up.is_served(10).await;
        hanging.pauses().await;
        load.is_served(50).await;
        hanging.resumes().await;
    }
    held_up.is_served(10).await;
    held_up.ends().await.assert_kept(&home.storage(), &other.integrator(home.ready())).await;
    load.ends().await.assert_kept(&home.storage(), &hanging.integrator(home.ready())).await;
    assert_equals_a_rebuilt_one(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_projector_the_service_says_so_and_serves_what_it_has() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let mut home = a_home_for_several().await;
    home.restart().await;
    home.integrator().issues("A-1").await;
    let pass = home.integrator().credentials("A-1").await;
    home.devices().register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    home.terminate().await;

    let api = an_api(&home, "api").await;
    assert_eq!(readiness(&api).await, StatusCode::SERVICE_UNAVAILABLE);
    api.logs("no process fills the read model").await;
    let live = api.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    live.assert_status(StatusCode::OK);
    let (integrator, devices) = (api.integrator(home.ready()), api.devices());
    let answer = integrator.replace("A-1", &a_ticket("2B")).await;
    let change = Change::read(answer.assert_status(StatusCode::OK));
    assert!(change.changed && !change.projected, "{change:?}");
    let (listed, tag) = devices.lists(&device(1), &pass.pass_type_identifier, None).await.expect("a pass");
    assert_eq!(listed, ["A-1"]);
    devices.get(&pass, &[]).await.assert_status(StatusCode::OK);
    let registered = devices.register(&device(2), &push_token(2, 0), &pass).await;
    assert_problem(&registered, 503);
    assert!(registered.header("retry-after").is_some(), "the phone comes back");
    assert_eq!(readiness(&api).await, StatusCode::SERVICE_UNAVAILABLE);

    let _projector = a_projector(&home, "projector").await;
    becomes_ready(&api).await;
    home.storage().waits_for_read_model().await;
    devices.register(&device(2), &push_token(2, 0), &pass).await.assert_status(StatusCode::OK);
    let listed = devices.lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await;
    assert_eq!(
        listed,
        Some((vec!["A-1".to_owned()], change.update_tag)),
        "what nobody saw comes after the old tag"
    );
    integrator.moves_to("A-1", "3C").await;
}

#[tokio::test]
pub(crate) async fn a_projector_answers_nothing_but_whether_it_is_well() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let projector = a_projector(&home, "projector").await;
    for path in ["/health/live", "/health/ready"] {
        projector.request(Method::GET, path, HeaderMap::new(), "").await.assert_status(StatusCode::OK);
    }
    let integrator = projector.integrator(home.ready());
    let pass = Credentials {
        pass_type_identifier: home.ready().pass_type_identifier.clone(),
        serial_number: home.ready().serial_number.clone(),
        token: "token".to_owned(),
    };
    let operator = projector.operator(home.ready());
    assert_problem(&integrator.get(&pass.serial_number).await, 404);
    assert_problem(&integrator.issue(&integrator.order("A-1", &a_ticket("1A"))).await, 404);
    assert_problem(&projector.devices().get(&pass, &[]).await, 404);
    assert_problem(&projector.devices().list(&device(1), &pass.pass_type_identifier, None).await, 404);
    assert_problem(&projector.devices().register(&device(1), &push_token(1, 0), &pass).await, 404);
    assert_problem(&operator.request(Method::GET, "/admin/projections", &serde_json::Value::Null).await, 404);
    for path in ["/", "/docs", "/health", "/health/ready/"] {
        let answer = HttpClient::new().request(Method::GET, &projector.url(path), HeaderMap::new(), "").await;
        assert_problem(&answer.expect("an answer"), 404);
    }
}

//! `honoken migrate`, and releases beside each other on one Postgres database.

use honoken_tests::load::Load;
use honoken_tests::server::Home;
use honoken_tests::storage::Part;
use honoken_tests::{Engine, Honoken};

use crate::processes::{a_projector, an_api, becomes_ready, pairs};
use crate::{PROGRAM, a_home_for_several};

/// Runs `honoken migrate`, which must succeed.
async fn migrates(home: &Home) {
    let migrated = home.runs(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
}

#[tokio::test]
async fn serve_refuses_a_database_that_was_not_migrated() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = Home::on(Engine::Postgres, PROGRAM).await;
    for roles in ["api,projector", "api", "projector"] {
        let refused = home.serve("refused").with_roles(roles).command().output().await.expect("it ends");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("honoken migrate"), "{roles}: {said}");
        assert_eq!(home.storage().tables().await, Vec::<String>::new(), "nothing was made");
    }
    migrates(&home).await;
    home.serve("accepted").start().await;
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let mut home = crate::a_service().await;
    home.integrator().issues("A-1").await;
    home.terminate().await;
    let (live, log) = (home.storage().dump_read_model().await, home.storage().recorded().await);
    migrates(home.home()).await;
    migrates(home.home()).await;
    assert_eq!(home.storage().dump_read_model().await, live);
    assert_eq!(home.storage().recorded().await, log);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_does_not_disturb_processes_at_work() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let _projector = a_projector(&home, "projector").await;
    let (one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let load = Load::start(1, pairs(&home, &[&one, &other])).await;
    for _ in 0..3 {
        load.is_served(20).await;
        migrates(home.home()).await;
    }
    load.is_served(20).await;
    load.ends().await.assert_kept(&home.storage(), &one.integrator(home.ready())).await;
}

/// Does to the database what `honoken migrate` of a later release may do.
async fn a_later_release_migrates(home: &Honoken) {
    let storage = home.storage();
    for (version, change) in [
        (900, "alter table events add column of_later_releases text"),
        (901, "create table of_later_releases (id bigint primary key)"),
        (1900, "alter table wallet_pass add column of_later_releases bigint not null default 0"),
        (1901, "alter table projection_checkpoint add column of_later_releases text"),
    ] {
        storage.executes(Part::Log, change, &[]).await;
        let noted = format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ({version}, 'of a later release', true, '\\x00', 1)"
        );
        storage.executes(Part::Log, &noted, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_a_later_release_migrated_is_served_by_this_one() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut projector = a_projector(&home, "projector").await;
    let (mut one, other) = (an_api(&home, "one").await, an_api(&home, "other").await);
    let load = Load::start(1, pairs(&home, &[&one, &other])).await;
    load.is_served(30).await;
    a_later_release_migrates(&home).await;
    load.is_served(30).await;
    load.is_projected_again().await;
    load.ends().await.assert_kept(&home.storage(), &other.integrator(home.ready())).await;

    migrates(home.home()).await;
    assert_eq!(projector.terminate().await.code(), Some(0));
    assert_eq!(one.terminate().await.code(), Some(0));
    projector.restart().await;
    one.restart().await;
    becomes_ready(&one).await;
    let load = Load::start(2, pairs(&home, &[&one, &other])).await;
    load.is_served(30).await;
    load.ends().await.assert_kept(&home.storage(), &other.integrator(home.ready())).await;
    // A copy that this release makes lacks what the later one has added to the first.
    let rebuilt = home.home().runs(&["rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    other.integrator(home.ready()).issues("after").await;
}

//! What people who read the tables find there beside what the questions need: when rows came and went, and who made them.

use honoken_domain::pass::PassCommand;
use honoken_projections::updated_serials::Since;

use crate::filling::rebuilds;
use crate::world::{Engine, TICKET, World, assert_same, on_both_engines, ticket};

/// Each registration of this device as its serial number, with whether it is marked as gone.
const REGISTRATIONS: &str = "select serial_number || case when deleted_at is null then '' else ' gone' end
                             from wallet_registration order by 1";

async fn a_registration_that_ends_is_marked_and_asked_for_no_longer_until_it_comes_again(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for pass in [ticket("A"), ticket("B")] {
        world.issues(&pass, "1").await;
        world.registers("phone", &pass, "aa").await;
    }
    world.unregisters("phone", &ticket("A")).await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(REGISTRATIONS).await, ["A gone", "B"]);
    assert_eq!(running.tells(Since::Nothing).await.unwrap().0, ["B"]);
    let registrations =
        async |serial| running.model.pass_document(&ticket(serial)).await.unwrap().unwrap().registrations;
    assert_eq!((registrations("A").await, registrations("B").await), (0, 1));
    let gone = "select push_token from wallet_device where deleted_at is not null";
    assert!(world.column(gone).await.is_empty());

    world.unregisters("phone", &ticket("B")).await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(REGISTRATIONS).await, ["A gone", "B gone"]);
    assert_eq!(world.column(gone).await, ["aa"]);
    assert_eq!(running.tells(Since::Nothing).await, None);

    world.registers("phone", &ticket("A"), "bb").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(REGISTRATIONS).await, ["A", "B gone"]);
    assert!(world.column(gone).await.is_empty());
    assert_eq!(running.tells(Since::Nothing).await.unwrap().0, ["A"]);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn rows_say_who_made_them_and_a_pass_when_it_was_retired(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    world.issues(&ticket("B"), "1").await;
    world.asks(&ticket("A"), PassCommand::Retire).await.unwrap();
    running.reaches(world.head()).await;
    let passes = "select serial_number || ' ' || created_by || case when deleted_at >= created_at then ' retired' else '' end
                  from wallet_pass order by 1";
    assert_eq!(world.column(passes).await, ["A test retired", "B test"]);
    let pass_types = format!(
        "select created_by from wallet_pass_type where pass_type_identifier = '{TICKET}' and created_at >= 1700000000"
    );
    assert_eq!(world.column(&pass_types).await, ["test"]);
    assert!(running.model.pass_document(&ticket("A")).await.unwrap().unwrap().retired, "it is served");
    running.stops().await;
}

async fn rows_that_left_are_purged_and_a_rebuild_leaves_them_out_too(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for pass in [ticket("A"), ticket("B"), ticket("C")] {
        world.issues(&pass, "1").await;
        world.registers("phone", &pass, "aa").await;
        world.registers("old", &pass, "bb").await;
        world.unregisters("old", &pass).await;
    }
    world.asks(&ticket("C"), PassCommand::Retire).await.unwrap();
    let cutoff = world.waits(1000);
    world.unregisters("phone", &ticket("A")).await;
    world.registers("old", &ticket("B"), "cc").await;
    running.reaches(world.head()).await;
    let rows = "select device_library_identifier || ' ' || serial_number || case when deleted_at is null then '' else ' gone' end
                from wallet_registration order by 1";
    assert_eq!(
        world.column(rows).await,
        ["old A gone", "old B", "old C gone", "phone A gone", "phone B", "phone C"]
    );
    running.projector.purge(cutoff).await.unwrap();
    let left = ["old B", "phone A gone", "phone B", "phone C"];
    assert_eq!(world.column(rows).await, left);
    let passes = "select serial_number || ' ' || coalesce(cast(deleted_at as text), '-') from wallet_pass where deleted_at is not null";
    assert_eq!(world.column(passes).await.len(), 1, "a retired pass stays");
    let live = world.tables().await;
    rebuilds(&running.model, &world.log, cutoff).await;
    running.stops().await;
    assert_same(&live, &world.tables().await);

    let running = world.projects().await;
    world.unregisters("old", &ticket("B")).await;
    running.reaches(world.head()).await;
    running.projector.purge(world.waits(1)).await.unwrap();
    assert_eq!(world.column(rows).await, ["phone B", "phone C"]);
    assert_eq!(
        world.column("select device_library_identifier from wallet_device order by 1").await,
        ["phone"]
    );
    world.registers("old", &ticket("B"), "dd").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(rows).await, ["old B", "phone B", "phone C"]);
    running.stops().await;
}

on_both_engines! {
    rows_that_left_are_purged_and_a_rebuild_leaves_them_out_too,
    a_registration_that_ends_is_marked_and_asked_for_no_longer_until_it_comes_again,
    rows_say_who_made_them_and_a_pass_when_it_was_retired,
}

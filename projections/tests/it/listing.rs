//! What a phone is told when it asks what changed.

use honoken_domain::pass::PassCommand;
use honoken_event_store::Position;
use honoken_projections::updated_serials::Since;

use crate::world::{
    Engine, OTHER, Running, TICKET, World, device, on_both_engines, pass_id, pass_type, ticket,
};

impl Running {
    /// Serial numbers and tag, for a device and a type.
    pub(crate) async fn lists(
        &self,
        device_name: &str,
        of_type: &str,
        since: Since,
    ) -> Option<(Vec<String>, u64)> {
        let updated = self
            .model
            .serials_updated_since(&device(device_name), &pass_type(of_type), since)
            .await
            .unwrap()?;
        assert!(!updated.serial_numbers.is_empty());
        let serials = updated.serial_numbers.into_iter().map(String::from).collect();
        Some((serials, updated.up_to.0))
    }

    pub(crate) async fn tells(&self, since: Since) -> Option<(Vec<String>, u64)> {
        self.lists("phone", TICKET, since).await
    }
}

fn told(list: &[&str], up_to: Position) -> (Vec<String>, u64) {
    (list.iter().map(|&serial| serial.to_owned()).collect(), up_to.0)
}

async fn a_phone_without_a_tag_is_told_about_all_its_passes_of_the_type_in_the_order_of_their_changes(
    engine: Engine,
) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for serial in ["A", "B", "C", "D"] {
        world.issues(&ticket(serial), "1").await;
    }
    world.issues(&pass_id(OTHER, "E"), "1").await;
    for serial in ["A", "B", "C"] {
        world.registers("phone", &ticket(serial), "aa").await;
    }
    world.registers("neighbour", &ticket("D"), "bb").await;
    world.registers("phone", &pass_id(OTHER, "E"), "aa").await;
    world.changes(&ticket("A"), "2").await;
    let last = world.changes(&ticket("B"), "2").await;
    world.changes(&ticket("D"), "2").await;
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Nothing).await, Some(told(&["C", "A", "B"], last.position)));
    running.stops().await;
}

async fn a_phone_is_told_only_what_changed_after_its_tag_and_each_pass_once(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let mut issued = Vec::new();
    for serial in ["A", "B", "C"] {
        issued.push(world.issues(&ticket(serial), "1").await.position);
        world.registers("phone", &ticket(serial), "aa").await;
    }
    running.reaches(world.head()).await;
    let (_, tag) = running.tells(Since::Nothing).await.unwrap();
    assert_eq!(tag, issued[2].0, "the tag is the last change, not the last event");
    assert_eq!(running.tells(Since::Position(Position(tag))).await, None);

    world.changes(&ticket("B"), "2").await;
    world.changes(&ticket("A"), "2").await;
    let last = world.asks(&ticket("B"), PassCommand::Void).await.unwrap();
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Position(Position(tag))).await, Some(told(&["A", "B"], last.position)));
    assert_eq!(
        running.tells(Since::Position(Position(last.position.0 - 1))).await,
        Some(told(&["B"], last.position))
    );
    assert_eq!(running.tells(Since::Position(last.position)).await, None);
    assert_eq!(running.tells(Since::Position(Position(u64::MAX))).await, None);
    running.stops().await;
}

async fn a_phone_that_asks_by_date_is_told_what_changed_after_that_second(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let mut updated_at = Vec::new();
    let mut last = Position(0);
    for serial in ["A", "B", "C"] {
        let issued = world.issues(&ticket(serial), "1").await;
        updated_at.push(issued.aggregate.updated_at().unwrap());
        last = issued.position;
        world.registers("phone", &ticket(serial), "aa").await;
    }
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Moment(updated_at[0])).await, Some(told(&["B", "C"], last)));
    assert_eq!(running.tells(Since::Moment(updated_at[2])).await, None);
    running.stops().await;
}

async fn a_device_that_nobody_knows_is_told_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    world.issues(&ticket("A"), "1").await;
    world.registers("phone", &ticket("A"), "aa").await;
    running.reaches(world.head()).await;
    assert_eq!(running.lists("stranger", TICKET, Since::Nothing).await, None);
    assert_eq!(running.lists("phone", OTHER, Since::Nothing).await, None);
    running.stops().await;
}

async fn a_pass_that_was_unregistered_is_no_longer_listed_and_the_device_goes_with_the_last(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let devices = "select pass_type_identifier || ' ' || device_library_identifier || ' ' || push_token from wallet_device where deleted_at is null order by 1";
    for pass in [ticket("A"), ticket("B"), pass_id(OTHER, "A")] {
        world.issues(&pass, "1").await;
        world.registers("phone", &pass, "aa").await;
    }
    world.unregisters("phone", &ticket("B")).await;
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Nothing).await.unwrap().0, ["A"]);
    assert_eq!(world.column(devices).await, [format!("{OTHER} phone aa"), format!("{TICKET} phone aa")]);

    world.unregisters("phone", &ticket("A")).await;
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Nothing).await, None);
    assert_eq!(world.column(devices).await, [format!("{OTHER} phone aa")]);

    world.registers("phone", &ticket("B"), "bb").await;
    running.reaches(world.head()).await;
    assert_eq!(running.tells(Since::Nothing).await.unwrap().0, ["B"]);
    assert_eq!(world.column(devices).await, [format!("{OTHER} phone aa"), format!("{TICKET} phone bb")]);
    running.stops().await;
}

async fn a_new_push_token_replaces_the_old_one_for_all_passes_of_the_type(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let tokens = "select push_token from wallet_device";
    world.registers("phone", &ticket("A"), "aa").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(tokens).await, ["aa"]);
    world.registers("phone", &ticket("A"), "bb").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(tokens).await, ["bb"]);
    world.registers("phone", &ticket("B"), "cc").await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(tokens).await, ["cc"]);
    assert_eq!(world.column("select serial_number from wallet_registration order by 1").await, ["A", "B"]);
    running.stops().await;
}

on_both_engines! {
    a_phone_without_a_tag_is_told_about_all_its_passes_of_the_type_in_the_order_of_their_changes,
    a_phone_is_told_only_what_changed_after_its_tag_and_each_pass_once,
    a_phone_that_asks_by_date_is_told_what_changed_after_that_second,
    a_device_that_nobody_knows_is_told_nothing,
    a_pass_that_was_unregistered_is_no_longer_listed_and_the_device_goes_with_the_last,
    a_new_push_token_replaces_the_old_one_for_all_passes_of_the_type,
}

//! Passes page by page, and those that have some words on them.

use std::collections::BTreeSet;

use honoken_domain::content::Content;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::pass::PassCommand;
use honoken_projections::pass_list::{ListedPass, Page};
use honoken_projections::words;
use serde_json::{Value, json};

use crate::world::{
    Engine, OTHER, Running, TICKET, World, assert_same, club, on_both_engines, order, pass_id, pass_type,
    ticket,
};

impl Running {
    async fn page(
        &self,
        question: &str,
        of_type: Option<&str>,
        after: Option<&PassId>,
        limit: u32,
    ) -> Vec<ListedPass> {
        let of_type = of_type.map(pass_type);
        let page = Page {
            organization_id: &club(),
            of_type: of_type.as_ref(),
            words: &words::of_question(question).unwrap(),
            after,
            limit,
        };
        self.model.list_passes(page).await.unwrap()
    }

    /// The serial numbers of all passes that are found.
    async fn finds(&self, question: &str) -> Vec<String> {
        serials(&self.page(question, None, None, 1000).await)
    }
}

fn serials(passes: &[ListedPass]) -> Vec<String> {
    passes.iter().map(|pass| pass.id.serial_number.to_string()).collect()
}

impl World {
    async fn writes(&self, id: &PassId, content: Value) {
        let content = Content::from_value(content).unwrap();
        let command = match self.asks(id, PassCommand::ReplaceContent { content: content.clone() }).await {
            Ok(_) => return,
            Err(_) => match order(id, "") {
                PassCommand::Issue(mut issue) => {
                    issue.content = content;
                    PassCommand::Issue(issue)
                }
                other => other,
            },
        };
        self.asks(id, command).await.unwrap();
    }
}

/// The first of them is changed, more are issued before and behind, and one is voided, between any two pages.
async fn whoever_goes_through_the_pages_meets_every_pass_once_whatever_happens_meanwhile(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let mut there = BTreeSet::new();
    for number in 0..40 {
        // In no order.
        let id = pass_id(if number % 3 == 0 { OTHER } else { TICKET }, &format!("S{:02}", number * 7 % 40));
        world.issues(&id, "first").await;
        there.insert(id);
    }
    for question in ["", "s"] {
        running.reaches(world.head()).await;
        let (mut met, mut after): (Vec<PassId>, Option<PassId>) = (Vec::new(), None);
        loop {
            let page = running.page(question, None, after.as_ref(), 7).await;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            met.extend(page.into_iter().map(|pass| pass.id));
            let round = met.len();
            let first = there.first().unwrap();
            world.changes(first, &format!("{question}{round}")).await;
            world.asks(there.last().unwrap(), PassCommand::Void).await.unwrap();
            for serial in [
                format!("S{:02}-{question}{round}", round % 40),
                format!("A-{question}{round}"),
                format!("Z-{question}{round}"),
            ] {
                world.issues(&ticket(&serial), "later").await;
            }
            running.reaches(world.head()).await;
        }
        assert!(met.is_sorted(), "{met:?}");
        let once: BTreeSet<_> = met.iter().cloned().collect();
        assert_eq!(once.len(), met.len(), "a pass was shown twice");
        assert!(once.is_superset(&there), "a pass was skipped: {:?}", there.difference(&once));
    }
    running.stops().await;
}

async fn a_listed_pass_says_what_its_row_says(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let issued = world.issues(&ticket("A"), "1").await;
    world.issues(&pass_id(OTHER, "B"), "1").await;
    world.registers("phone", &ticket("A"), "aa").await;
    world.registers("watch", &ticket("A"), "bb").await;
    let voided = world.asks(&ticket("A"), PassCommand::Void).await.unwrap();
    running.reaches(world.head()).await;
    for question in ["", "a", "opening a"] {
        let [pass] = running.page(question, Some(TICKET), None, 10).await.try_into().unwrap();
        assert_eq!(pass.id, ticket("A"));
        assert!(pass.voided && !pass.kind.poster);
        assert_ne!(Some(&pass.etag), issued.aggregate.etag());
        assert_eq!(
            (Some(&pass.etag), Some(pass.updated_at)),
            (voided.aggregate.etag(), voided.aggregate.updated_at())
        );
        assert_eq!((pass.update_tag, pass.registrations), (voided.position, 2));
    }
    running.stops().await;
}

async fn a_list_is_of_one_organisation_and_if_asked_of_one_type(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    for id in [ticket("A"), ticket("B"), pass_id(OTHER, "C")] {
        world.issues(&id, "1").await;
    }
    running.reaches(world.head()).await;
    let other = OrganizationId::parse("other").unwrap();
    for question in ["", "opening"] {
        assert_eq!(serials(&running.page(question, None, None, 10).await), ["C", "A", "B"]);
        assert_eq!(serials(&running.page(question, Some(TICKET), None, 10).await), ["A", "B"]);
        assert_eq!(serials(&running.page(question, Some(TICKET), None, 1).await), ["A"]);
        assert_eq!(serials(&running.page(question, Some(TICKET), Some(&ticket("A")), 9).await), ["B"]);
        // A cursor of one list begins another where it would be.
        let behind_c = pass_id(OTHER, "C");
        assert_eq!(serials(&running.page(question, Some(TICKET), Some(&behind_c), 9).await), ["A", "B"]);
        assert_eq!(
            serials(&running.page(question, Some(OTHER), Some(&ticket("A")), 9).await),
            [] as [&str; 0]
        );
        let words = words::of_question(question).unwrap();
        let page = Page { organization_id: &other, of_type: None, words: &words, after: None, limit: 10 };
        assert_eq!(running.model.list_passes(page).await.unwrap(), []);
        let ticket_type = pass_type(TICKET);
        let page = Page { of_type: Some(&ticket_type), ..page };
        assert_eq!(running.model.list_passes(page).await.unwrap(), []);
    }
    running.stops().await;
}

async fn a_pass_is_found_by_the_beginnings_of_all_words(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let contents = [
        (
            "ORDER-7",
            json!({ "eventName": "Die Zauberflöte", "seat": "12A", "description": "50%_off! ticket" }),
        ),
        ("ORDER-71", json!({ "eventName": "Die Fledermaus", "seat": "12B" })),
        (
            "座席/1",
            json!({ "eventTicket": { "primaryFields": [{ "key": "a", "value": "Zauberlehrling 12" }] } }),
        ),
    ];
    for (serial, content) in contents {
        world.writes(&ticket(serial), content).await;
    }
    running.reaches(world.head()).await;
    for (question, expected) in [
        ("order-7", &["ORDER-7", "ORDER-71"][..]),
        ("7", &["ORDER-7", "ORDER-71"]),
        ("71", &["ORDER-71"]),
        ("zauber", &["ORDER-7", "座席/1"]),
        ("ZAUBERFLÖTE", &["ORDER-7"]),
        ("zauberflo\u{308}te", &["ORDER-7"]),
        ("flöte", &[]),
        ("12", &["ORDER-7", "ORDER-71", "座席/1"]),
        ("die 12a", &["ORDER-7"]),
        ("12a die order zauber", &["ORDER-7"]),
        ("die lehrling", &[]),
        ("座席", &["座席/1"]),
        ("50%_off", &["ORDER-7"]),
        ("die 5%", &["ORDER-7"]),
        ("die o_d", &[]),
        ("die 5!", &["ORDER-7"]),
        ("nowhere", &[]),
    ] {
        assert_eq!(running.finds(question).await, expected, "{question}");
    }
    running.stops().await;
}

async fn what_a_change_took_away_no_longer_finds_the_pass(engine: Engine) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let words_of = "select words from wallet_pass_content";
    world.writes(&ticket("A"), json!({ "eventName": "Figaro", "seat": "1" })).await;
    running.reaches(world.head()).await;
    assert_eq!(running.finds("figaro 1").await, ["A"]);
    world.writes(&ticket("A"), json!({ "eventName": "Tosca", "seat": "1" })).await;
    running.reaches(world.head()).await;
    assert_eq!(running.finds("figaro").await, [] as [&str; 0]);
    assert_eq!(running.finds("tosca 1").await, ["A"]);
    assert_eq!(world.column(words_of).await, ["1 a tosca"]);
    // Several changes in one batch: only the last counts.
    running.stops().await;
    world.writes(&ticket("A"), json!({ "eventName": "Carmen" })).await;
    world.writes(&ticket("A"), json!({ "eventName": "Aida" })).await;
    world.asks(&ticket("A"), PassCommand::Void).await.unwrap();
    let running = world.projects().await;
    running.reaches(world.head()).await;
    assert_eq!(world.column(words_of).await, ["a aida"]);
    assert_eq!(running.finds("carmen").await, [] as [&str; 0]);
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

on_both_engines! {
    whoever_goes_through_the_pages_meets_every_pass_once_whatever_happens_meanwhile,
    a_listed_pass_says_what_its_row_says,
    a_list_is_of_one_organisation_and_if_asked_of_one_type,
    a_pass_is_found_by_the_beginnings_of_all_words,
    what_a_change_took_away_no_longer_finds_the_pass,
}

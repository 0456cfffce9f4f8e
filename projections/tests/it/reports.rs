//! The views for reports in SQL: docs/tables.md says what they have, and its questions can be asked on both engines.

use honoken_domain::apns_key::ApnsKeyCommand;
use honoken_domain::certificate::CertificateCommand;
use honoken_domain::ids::{CertRef, OrganizationId, TeamIdentifier};
use honoken_domain::organization::{Organization, OrganizationChange, OrganizationCommand, Scope, Scopes};
use honoken_domain::pass_type::{PassType, PassTypeCommand};

use crate::world::{
    Engine, OTHER, Sql, TICKET, World, apns_key, assert_same, club, installation, on_both_engines, pass_type,
    ticket,
};

const PAGE: &str = include_str!("../../../docs/tables.md");

/// The views of the page with their columns, in its order.
fn views_of_the_page() -> Vec<(String, Vec<String>)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `report_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, view, _, columns, _] = cells[..] else { panic!("three cells: {row}") };
        let columns = columns.split(", ").map(|column| column.trim_matches('`').to_owned()).collect();
        (view.trim_matches('`').to_owned(), columns)
    })
    .collect()
}

/// The statements of the page that are for both engines.
fn questions_of_the_page() -> Vec<&'static str> {
    PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Everybody and everything that has a view.
async fn populated(engine: Engine) -> World {
    let world = World::new(engine).await;
    world.adds_api_key_with("key", Scopes::of([Scope::PassesImport])).await;
    world.issues(&ticket("A"), "1").await;
    world.registers("phone", &ticket("A"), "aa").await;
    world.registers("gone", &ticket("A"), "bb").await;
    world.unregisters("gone", &ticket("A")).await;
    let install = CertificateCommand::Install(installation(TICKET, "first").into());
    world.asks_certificate(TICKET, install).await.unwrap();
    world.asks_apns_key(2, ApnsKeyCommand::Install(apns_key(2, "file"))).await.unwrap();
    world
}

async fn the_views_have_the_columns_of_the_page_and_its_questions_have_answers(engine: Engine) {
    let world = populated(engine).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let mut sql = world.sql().await;
    let (views, columns) = match sql {
        Sql::Sqlite(_) => (
            "select name from sqlite_master where type = 'view' and name like 'report%' order by name",
            "select name from pragma_table_info('{view}')",
        ),
        Sql::Postgres(_) => (
            "select viewname::text from pg_views where schemaname = current_schema() and viewname like 'report%' order by 1",
            "select attname::text from pg_attribute where attrelid = '{view}'::regclass and attnum > 0 order by attnum",
        ),
    };
    let documented = views_of_the_page();
    let mut names: Vec<_> = documented.iter().map(|(view, _)| view.clone()).collect();
    names.sort();
    assert_eq!(sql.column(views).await, names);
    for (view, expected) in &documented {
        assert_eq!(sql.column(&columns.replace("{view}", view)).await, *expected, "{view}");
        let rows = sql.column(&format!("select cast(count(*) as text) from {view}")).await;
        assert_ne!(rows, ["0"], "{view}");
    }
    let questions = questions_of_the_page();
    assert_eq!(questions.len(), 4);
    for question in questions {
        let first = question.trim_start().strip_prefix("select ").unwrap().split(',').next().unwrap();
        let answers = sql
            .column(&format!(
                "select cast({first} as text) from ({}) pass",
                question.trim_end().trim_end_matches(';')
            ))
            .await;
        assert!(!answers.is_empty(), "{question}");
    }
    sql.close().await;
    running.stops().await;
}

async fn rows_of_operators_say_who_made_them_when_and_when_they_changed_last(engine: Engine) {
    let world = populated(engine).await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    for view in ["report_cert", "report_apns_key", "report_organization", "report_pass_type"] {
        let unchanged =
            format!("select created_by from {view} where created_at is not null and updated_at = created_at");
        assert!(world.column(&unchanged).await.iter().all(|actor| actor == "test"), "{view}");
        assert!(!world.column(&unchanged).await.is_empty(), "{view}");
    }
    assert_eq!(
        world.column("select created_by from report_api_key where created_at is not null").await,
        ["test"]
    );
    let active = "select cert_ref from report_cert where active";
    assert_eq!(world.column(active).await, [TICKET]);
    assert_eq!(world.column("select key_ref from report_apns_key where active").await, ["key-2"]);

    world.waits(60);
    world.asks_certificate(TICKET, CertificateCommand::Revoke).await.unwrap();
    world.asks_apns_key(2, ApnsKeyCommand::Revoke).await.unwrap();
    let renamed = OrganizationChange { name: Some("Klub".into()), ..OrganizationChange::default() };
    world.dispatch::<Organization>("club", OrganizationCommand::Change(renamed), &()).await.unwrap();
    world.puts_type_image(TICKET, "icon.png", "other").await;
    running.reaches(world.head()).await;
    for view in ["report_cert", "report_apns_key", "report_organization", "report_pass_type"] {
        let changed = format!("select created_by from {view} where updated_at > created_at");
        assert_eq!(world.column(&changed).await, ["test"], "{view}");
    }
    assert!(world.column(active).await.is_empty());
    assert!(world.column("select key_ref from report_apns_key where active").await.is_empty());
    running.stops().await;
    assert_same(&world.tables().await, &world.projected_anew().await);
}

async fn the_organisation_of_a_row_is_that_which_owns_the_pass_now(engine: Engine) {
    let world = populated(engine).await;
    world.creates_organization("theatre").await;
    let running = world.projects().await;
    running.reaches(world.head()).await;
    let owners = "select distinct org_id from report_pass
                  union all select distinct org_id from report_pass_content
                  union all select distinct org_id from report_registration";
    assert_eq!(world.column(owners).await, [club().as_str(); 3]);
    let assign = PassTypeCommand::Assign {
        pass_type_identifier: pass_type(TICKET),
        organization_id: OrganizationId::parse("theatre").unwrap(),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        cert_ref: CertRef::parse(TICKET).unwrap(),
        force: true,
        job: None,
    };
    world.dispatch::<PassType>(TICKET, assign, &()).await.unwrap();
    running.reaches(world.head()).await;
    assert_eq!(world.column(owners).await, ["theatre"; 3]);
    let types = format!("select org_id from report_pass_type where pass_type_identifier = '{OTHER}'");
    assert_eq!(world.column(&types).await, [club().as_str()]);
    let registrations = "select device_library_identifier from report_registration where active";
    assert_eq!(world.column(registrations).await, ["phone"]);
    running.stops().await;
}

on_both_engines! {
    the_views_have_the_columns_of_the_page_and_its_questions_have_answers,
    rows_of_operators_say_who_made_them_when_and_when_they_changed_last,
    the_organisation_of_a_row_is_that_which_owns_the_pass_now,
}

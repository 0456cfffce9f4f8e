//! No statement of this crate reads a whole table.

use std::fs;
use std::path::Path;

use sqlx::{Row, SqliteConnection};

use crate::world::World;

/// The SQL in the sources of this crate: every string that begins with a verb.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut statements = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for literal in source.split('"') {
            let is_sql = ["select ", "insert ", "update ", "delete "]
                .iter()
                .any(|verb| literal.trim_start().starts_with(verb) && literal.contains('_'));
            if is_sql {
                statements.push(literal.replace("{COLUMNS}", "*"));
            }
        }
    }
    statements
}

async fn scans(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let plan = sqlx::query(&format!("explain query plan {statement}")).fetch_all(connection).await;
    let plan = plan.unwrap_or_else(|fault| panic!("{fault}\n{statement}"));
    let steps = plan.iter().map(|row| row.get::<String, _>("detail"));
    steps.filter(|step| step.starts_with("SCAN") && step != "SCAN CONSTANT ROW").collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_or_index() {
    let world = World::new().await;
    world.projects().await.stops().await;
    let mut connection = world.sql().await;
    let seen = scans(&mut connection, "select 1 from wallet_pass where voided = 1").await;
    assert_eq!(seen, ["SCAN wallet_pass"], "a scan would be noticed");

    let statements = statements();
    assert!(statements.len() >= 25, "found only {statements:#?}");
    for statement in statements {
        let scans = scans(&mut connection, &statement).await;
        assert_eq!(scans, [] as [String; 0], "{statement}");
    }
}

//! No statement of this crate reads a whole table.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::world::{Engine, Sql, World, on_both_engines};

/// What one engine alone understands, or has a reason to say.
const POSTGRES_ALONE: &[&str] = &["pg_notify", "unnest(", "coalesce(max(position), 0)", "own_copy"];
const SQLITE_ALONE: &[&str] = &["json_each("];

/// The file that reads every table as a whole, with statements that it composes for each.
const COMPARES: &str = "projector/table_rows.rs";

/// Whose statements are about copies of the tables, of which there are a handful, and about the catalogue of the server.
const COPIES: [&str; 2] = ["copies/", "rebuild/switching.rs"];

/// A row of the values that stand for `{rows}` in a statement that begins so.
const ROWS: &[(&str, &str)] = &[
    ("with new (organization_id, digest) ", "'o', 'd'"),
    ("with new (pass_type_identifier, digest) ", "'t', 'd'"),
    ("with new (pass_type_identifier, serial_number) ", "'t', 's'"),
    ("with new (pass_type_identifier, serial_number, digest) ", "'t', 's', 'd'"),
    ("with new (pass_type_identifier, serial_number, sequence) ", "'t', 's', cast(1 as bigint)"),
    ("with new (pass_type_identifier, serial_number, device_library_identifier) ", "'t', 's', 'd'"),
    (
        "with new (pass_type_identifier, serial_number, content, words, assets, images, localizations, shown_localizations, nfc, sequence)",
        "'t', 's', cast('{}' as JSON), 'w', cast('{}' as JSON), cast('{}' as JSON), cast('{}' as JSON), cast('{}' as JSON), 'n', cast(1 as bigint)",
    ),
    (
        "with new (pass_type_identifier, serial_number, content, words, assets, images, localizations, shown_localizations, nfc, issued_by,",
        "'t', 's', cast('{}' as JSON), 'w', cast('{}' as JSON), cast('{}' as JSON), cast('{}' as JSON), cast('{}' as JSON), 'n', 'o', cast(1 as bigint)",
    ),
    (
        "with new (pass_type_identifier, serial_number, authentication_token, organization_id, ticket_style, poster, voided, ",
        "'t', 's', 'a', 'o', 'event', true, true, true, cast(1 as bigint), 'c', cast(1 as bigint), 'e', cast(1 as bigint), cast(1 as bigint), cast(1 as bigint)",
    ),
    (
        "with new (pass_type_identifier, serial_number, ticket_style, poster, voided, ",
        "'t', 's', 'event', true, true, true, cast(1 as bigint), 'e', 1, 1, cast(1 as bigint)",
    ),
    (
        "with new (pass_type_identifier, device_library_identifier, serial_number, registered_at, sequence) ",
        "'t', 'd', 's', 1, cast(1 as bigint)",
    ),
    (
        "insert into wallet_personalization (pass_type_identifier, serial_number, form, sequence)",
        "'t', 's', cast('{}' as JSON), cast(1 as bigint)",
    ),
    (
        "with new (pass_type_identifier, serial_number, token, person, sequence)",
        "'t', 's', 't', 'p', cast(1 as bigint)",
    ),
    ("insert into wallet_image (organization_id, digest) values", "'o', 'd'"),
    ("insert into wallet_device ", "'t', 'd', 'p', 1, 1, cast(1 as bigint)"),
];

/// A statement for many rows, with two.
fn with_rows(engine: Engine, statement: &str) -> String {
    if !statement.contains("{rows}") {
        return statement.to_owned();
    }
    let row = ROWS.iter().find(|(beginning, _)| statement.starts_with(beginning));
    let (_, row) = row.unwrap_or_else(|| panic!("no row is known for {statement}"));
    let json = match engine {
        Engine::Sqlite => "text",
        Engine::Postgres => "jsonb",
    };
    let row = row.replace("JSON", json);
    statement.replace("{rows}", &format!("({row}), ({row})"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}

/// The SQL in the sources of this crate that an engine is asked: every string that begins as a statement does.
fn statements(engine: Engine) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let not_for_it = match engine {
        Engine::Sqlite => POSTGRES_ALONE,
        Engine::Postgres => SQLITE_ALONE,
    };
    let mut statements = Vec::new();
    let is_asked = |file: &PathBuf| {
        let path = file.strip_prefix(&folder).unwrap().to_str().unwrap();
        path != COMPARES && !COPIES.iter().any(|copies| path.starts_with(copies))
    };
    for file in files_below(&folder).into_iter().filter(is_asked) {
        let source = fs::read_to_string(file).unwrap();
        for literal in source.split('"') {
            let is_sql = ["select ", "insert ", "update ", "delete ", "with "]
                .iter()
                .any(|verb| literal.trim_start().starts_with(verb) && literal.contains('_'));
            if is_sql && !not_for_it.iter().any(|word| literal.contains(word)) {
                statements.push(with_rows(engine, literal));
            }
        }
    }
    statements
}

/// The tables and indexes that a statement reads from one end to the other.
async fn scans(sql: &mut Sql, statement: &str) -> Vec<String> {
    match sql {
        Sql::Sqlite(connection) => {
            let plan = sqlx::query(&format!("explain query plan {statement}")).fetch_all(connection).await;
            let plan = plan.unwrap_or_else(|fault| panic!("{fault}\n{statement}"));
            let steps = plan.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail"));
            // The rows that a statement brings with it are called `new`; a file has a view without rows where a server has the other copies.
            let is_a_table = |step: &str| {
                !["SCAN new", "SCAN copies_floor"].contains(&step)
                    && !step.contains(" CONSTANT ROW")
                    && !step.ends_with("-ROW VALUES CLAUSE")
            };
            steps.filter(|step| step.starts_with("SCAN") && is_a_table(step)).collect()
        }
        Sql::Postgres(connection) => {
            let parameters = (1..20).filter(|number| statement.contains(&format!("${number}"))).count();
            let values = vec!["null"; parameters].join(", ");
            let values = if values.is_empty() { values } else { format!("({values})") };
            let prepare = format!("deallocate all; prepare asked as {statement}");
            let prepared = sqlx::raw_sql(&prepare).execute(&mut *connection).await;
            prepared.unwrap_or_else(|fault| panic!("{fault}\n{statement}"));
            let explain = format!("explain (format json) execute asked {values}");
            let plan = sqlx::raw_sql(&explain).fetch_one(connection).await;
            let plan = plan.unwrap_or_else(|fault| panic!("{fault}\n{statement}"));
            let mut scans = Vec::new();
            find_scans(&sqlx::Row::get::<Value, _>(&plan, 0)[0]["Plan"], &mut scans);
            scans
        }
    }
}

/// An index that is read without a condition is read as a whole. The server's own catalogues, which say who is connected, are no tables of ours, and
/// of the directory of copies there are a handful of rows.
fn find_scans(node: &Value, scans: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap();
    let is_index_scan = kind.contains("Index") && kind.ends_with("Scan");
    let table = node["Relation Name"].as_str().unwrap_or_default();
    if (kind == "Seq Scan" || is_index_scan && node["Index Cond"].is_null())
        && !["pg_", "read_model_"].iter().any(|small| table.starts_with(small))
    {
        scans.push(format!("{kind} of {table}"));
    }
    for inner in node["Plans"].as_array().into_iter().flatten() {
        find_scans(inner, scans);
    }
}

async fn no_statement_reads_a_whole_table_or_index(engine: Engine) {
    let world = World::new(engine).await;
    world.projects().await.stops().await;
    let mut connection = world.sql().await;
    let seen_as = match engine {
        Engine::Sqlite => "SCAN wallet_pass",
        Engine::Postgres => {
            // Small tables are read as a whole by choice; what is left is done because there is no other way.
            connection.execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan").await;
            "Seq Scan of wallet_pass"
        }
    };
    let seen = scans(&mut connection, "select 1 from wallet_pass where etag = ''").await;
    assert_eq!(seen, [seen_as], "a scan would be noticed");

    let statements = statements(engine);
    assert!(statements.len() >= 25, "found only {statements:#?}");
    let mut wrong = Vec::new();
    for statement in statements {
        let mut scans = scans(&mut connection, &statement).await;
        let brings_its_rows = statement.starts_with("with new ") || statement.contains(") new\n");
        if engine == Engine::Postgres && !statement.contains("where") && !brings_its_rows {
            // Emptying a table reads it, the checkpoints are a single row, and the copies few.
            assert!(
                statement.starts_with("delete ")
                    || ["from projection_checkpoint", "from read_model_copy"]
                        .iter()
                        .any(|few| statement.contains(few))
                    || statement.starts_with("insert "),
                "{statement}"
            );
            scans.clear();
        }
        if !scans.is_empty() {
            wrong.push(format!("{statement}\n{scans:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What a statement of three parameters costs, by the count of the engine.
async fn cost(sql: &mut Sql, statement: &str, parameters: [&str; 3]) -> u64 {
    match sql {
        Sql::Sqlite(connection) => {
            let steps = Arc::new(AtomicU64::new(0));
            let counted = steps.clone();
            let count = move || {
                counted.fetch_add(1, Ordering::Relaxed);
                true
            };
            connection.lock_handle().await.unwrap().set_progress_handler(1, count);
            let mut query = sqlx::query(statement);
            for parameter in parameters {
                query = query.bind(parameter.to_owned());
            }
            let rows = query.fetch_all(&mut *connection).await.unwrap();
            assert_eq!(rows.len(), 1000);
            connection.lock_handle().await.unwrap().remove_progress_handler();
            steps.load(Ordering::Relaxed)
        }
        Sql::Postgres(connection) => {
            let asks = format!(
                "set enable_seqscan = on; deallocate all; prepare asked as {statement}; explain (analyze, format json) execute asked ('{}')",
                parameters.join("', '")
            );
            let plan = sqlx::raw_sql(&asks).fetch_one(connection).await.unwrap();
            let plan = sqlx::Row::get::<Value, _>(&plan, 0);
            assert_eq!(plan[0]["Plan"]["Actual Rows"], 1000);
            rows_read(&plan[0]["Plan"])
        }
    }
}

/// By all steps of a plan, also what they left out.
fn rows_read(node: &Value) -> u64 {
    let number = |key: &str| node[key].as_f64().unwrap_or_default();
    let rows = (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops");
    let inner = node["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<u64>();
    format!("{rows:.0}").parse::<u64>().unwrap() + inner
}

async fn a_page_of_holders_costs_the_same_wherever_it_begins(engine: Engine) {
    let world = World::new(engine).await;
    world.projects().await.stops().await;
    let mut connection = world.sql().await;
    let phones = "with recursive phone (number) as (select 1 union all select number + 1 from phone where number < 40000)";
    let device = match engine {
        Engine::Sqlite => "printf('%08d', number)",
        Engine::Postgres => "lpad(cast(number as text), 8, '0')",
    };
    connection
        .execute(&format!(
            "insert into wallet_device (pass_type_identifier, device_library_identifier, push_token, registered_at, sequence)
             {phones} select 'pass.many', {device}, 'token' || {device}, 0, 0 from phone;
             insert into wallet_registration (pass_type_identifier, device_library_identifier, serial_number, registered_at)
             {phones} select 'pass.many', {device}, 'many', 0 from phone;"
        ))
        .await;
    let statements = statements(engine);
    let page = statements.iter().find(|statement| statement.ends_with("limit 1000")).unwrap();
    // Before a server has counted its rows, and after.
    for _ in 0..2 {
        let first = cost(&mut connection, page, ["pass.many", "many", ""]).await;
        let last = cost(&mut connection, page, ["pass.many", "many", "00039000"]).await;
        assert!(first > 1000 && last < first * 3, "{first} and {last}");
        connection.execute("analyze").await;
    }
}

on_both_engines! {
    no_statement_reads_a_whole_table_or_index,
    a_page_of_holders_costs_the_same_wherever_it_begins,
}

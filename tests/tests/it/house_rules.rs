//! Rules of the house that the compiler does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use honoken_tests::storage::files_below;

/// The crates that are built for use.
pub(crate) const ROOMS: [&str; 15] = [
    "telemetry",
    "database",
    "styles",
    "conditional",
    "domain",
    "event_store",
    "projections",
    "pushers",
    "vault",
    "office",
    "pkpass",
    "simulator",
    "service",
    "api",
    "honoken",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The sources of a crate without their tests, with their paths from the root of the workspace.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    let files = files_below(&root().join(folder)).into_iter();
    let rust = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let named = rust.map(|file| {
        let text = fs::read_to_string(&file).expect("sources are text");
        let path = file.strip_prefix(root()).expect("below the root").display().to_string();
        (path, text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned())
    });
    let found: Vec<_> =
        named.filter(|(path, _)| !path.contains("/tests/") && !path.ends_with("/tests.rs")).collect();
    assert!(!found.is_empty(), "there are no sources below {folder}");
    found
}

/// Without comments, in lower case, with single spaces: what a search for SQL should see.
fn searchable(source: &str) -> String {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join(" ").to_lowercase();
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The crates of the workspace that a crate leans on when it is built for use.
fn leans_on(folder: &str) -> BTreeSet<String> {
    let manifest =
        fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("every crate has a manifest");
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if section == "[dependencies]"
            && let Some(name) = line.strip_prefix("honoken-")
        {
            let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            found.insert(name.replace('-', "_"));
        }
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let stores = ["telemetry", "database", "styles", "domain"];
    let service = [
        "telemetry",
        "database",
        "styles",
        "domain",
        "event_store",
        "projections",
        "pushers",
        "vault",
        "office",
        "pkpass",
    ];
    let with = |these: &[&'static str], others: &[&'static str]| [these, others].concat();
    let allowed = BTreeMap::from([
        ("telemetry", vec![]),
        ("database", vec!["telemetry"]),
        ("styles", vec![]),
        ("conditional", vec![]),
        ("domain", vec!["styles"]),
        ("event_store", stores.to_vec()),
        ("projections", with(&stores, &["event_store"])),
        ("pkpass", vec!["styles"]),
        ("vault", stores.to_vec()),
        ("office", stores.to_vec()),
        ("simulator", vec![]),
        ("pushers", with(&stores, &["event_store", "projections"])),
        ("service", service.to_vec()),
        ("api", with(&service, &["service", "conditional"])),
        ("honoken", with(&service, &["service", "api", "simulator"])),
        ("tests/documents", vec![]),
        ("tests/fuzzed", vec!["conditional", "domain", "pkpass"]),
        ("tests/image_stores", vec!["test_servers"]),
        ("tests/kurrentdb", vec![]),
        ("tests/postgres", vec!["test_servers"]),
        ("tests/servers", vec![]),
        ("tests/stores", vec!["database", "event_store", "projections", "test_postgres"]),
        ("tests/nats", vec!["test_servers"]),
    ]);
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find(|line| line.starts_with("members")).expect("the list of members");
    let members = members.split('"').skip(1).step_by(2).filter(|member| *member != "tests");
    for member in members {
        let allowed = allowed.get(member).unwrap_or_else(|| panic!("say here what {member} may lean on"));
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let found = leans_on(member);
        assert!(found.is_subset(&allowed), "{member} leans on {found:?}, which is more than {allowed:?}");
    }
}

#[test]
fn the_domain_does_no_input_and_no_output() {
    let manifest = fs::read_to_string(root().join("domain/Cargo.toml")).unwrap();
    let used = manifest.split("[dev-dependencies]").next().unwrap();
    for forbidden in ["tokio", "sqlx", "axum", "hyper", "http", "reqwest", "opendal", "rand"] {
        assert!(!used.lines().any(|line| line.starts_with(forbidden)), "domain depends on {forbidden}");
    }
    for (path, source) in sources("domain/src") {
        let code = searchable(&source);
        for forbidden in ["std::fs", "std::net", "std::env", "systemtime::now", "std::process"] {
            assert!(!code.contains(forbidden), "{path} uses {forbidden}");
        }
    }
}

#[test]
fn only_projections_write_the_read_model() {
    for folder in ROOMS.iter().filter(|room| **room != "projections") {
        for (path, source) in sources(folder) {
            let code = searchable(&source);
            for table in ["wallet_", "projection_checkpoint", "parked_event", "skipped_event"] {
                for write in [
                    "insert into",
                    "insert or ignore into",
                    "insert or replace into",
                    "replace into",
                    "merge into",
                    "copy",
                    "update",
                    "update only",
                    "delete from",
                    "delete from only",
                    "truncate",
                    "truncate table",
                    "drop table",
                    "alter table",
                ] {
                    let statement = format!("{write} {table}");
                    assert!(!code.contains(&statement), "{path} holds `{statement}…`");
                }
            }
        }
    }
}

/// The public functions of a source, each from its name to its body, on one line.
fn public_signatures(source: &str) -> Vec<String> {
    let code = searchable(source);
    let mut found = Vec::new();
    for start in ["pub fn ", "pub async fn "] {
        let signatures = code.split(start).skip(1).filter_map(|rest| rest.split('{').next());
        found.extend(signatures.map(str::to_owned));
    }
    found
}

#[test]
fn what_writes_the_read_model_is_private_to_projections() {
    let mut functions = 0;
    for (path, source) in sources("projections/src") {
        for signature in public_signatures(&source) {
            functions += 1;
            for connection in
                ["&mut connection", "sqliteconnection", "pgconnection", "-> sqlx::result<connection"]
            {
                assert!(
                    !signature.contains(connection),
                    "{path}: a public function takes or gives a writing connection: {signature}"
                );
            }
        }
        let code = searchable(&source);
        for public in
            ["pub enum connection", "pub struct connection", "pub type connection", "pub use database"]
        {
            assert!(!code.contains(public), "{path}: the writing connection is public");
        }
    }
    assert!(functions > 20, "the public functions of projections are not found any more");
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for folder in ROOMS {
        for (path, source) in sources(folder) {
            let reads = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
            let reads = reads.iter().any(|read| searchable(&source).contains(read));
            assert!(!reads || path == "honoken/src/config/mod.rs", "{path} reads the environment");
        }
    }
}

#[test]
fn there_is_no_sql_above_the_stores() {
    for room in ["api", "service", "honoken"] {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        for driver in ["sqlx", "rusqlite", "tokio-postgres", "postgres-es", "cqrs-es"] {
            let depends = manifest.lines().any(|line| line.starts_with(driver));
            assert!(!depends, "{room} depends on {driver}");
        }
    }
    let rooms = ["api/src", "service/src", "honoken/src"].map(sources);
    for (path, source) in rooms.into_iter().flatten() {
        let code = searchable(&source);
        for sql in [
            "sqlx::",
            "\"select ",
            "\"insert into ",
            "\"delete from ",
            "\"update wallet",
            "\"create table ",
            "pragma ",
        ] {
            assert!(!code.contains(sql), "{path} holds `{sql}`");
        }
    }
}

/// What edits a log, whatever the engine.
const EDITS: &[&str] = &[
    "update events",
    "update only events",
    "delete from events",
    "replace into events",
    "merge into events",
    "truncate events",
    "truncate table events",
    "drop table events",
    "drop table if exists events",
    "on conflict (aggregate_type, aggregate_id, sequence)",
];

#[test]
fn the_log_is_never_edited() {
    for folder in ROOMS.map(|room| format!("{room}/src")) {
        for (path, source) in sources(&folder) {
            let code = searchable(&source);
            for edit in EDITS {
                assert!(!code.contains(edit), "{path} holds `{edit}`");
            }
        }
    }
    let mut migrations = files_below(&root().join("migrations"));
    migrations.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    for engine in ["sqlite", "postgres"] {
        for owner in ["event_store", "read_model", "deliveries"] {
            let folder = root().join("migrations").join(engine).join(owner);
            assert!(
                migrations.iter().any(|file| file.starts_with(&folder)),
                "no migrations in {engine}/{owner}"
            );
        }
    }
    for file in migrations {
        let sql = fs::read_to_string(&file).expect("SQL is text").to_lowercase();
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        for edit in EDITS {
            assert!(!sql.contains(edit), "{} holds `{edit}`", file.display());
        }
    }
}

/// The targets of the links of a page that lead to files.
fn linked_files(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| {
        !target.contains("://") && !target.starts_with(['#', '<']) && !target.starts_with("mailto:")
    });
    files
        .map(|target| target.split(['#', ' ']).next().unwrap_or(target).to_owned())
        .filter(|file| !file.is_empty())
        .collect()
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let root = root();
    let mut pages: Vec<PathBuf> = files_below(&root.join("docs"));
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    pages.extend(at_the_root.map(|name| root.join(name)));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let Ok(text) = fs::read_to_string(page) else { panic!("{} is missing", page.display()) };
        for file in linked_files(&text) {
            let target = page.parent().expect("a page lies in a folder").join(&file);
            assert!(target.exists(), "{} links to {file}, which is not there", page.display());
        }
    }
}

#[test]
fn the_files_that_pages_for_contributors_name_exist() {
    let root = root();
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/releases.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap_or_else(|fault| panic!("{page}: {fault}"));
        for named in text.split('`').skip(1).step_by(2).filter(|named| {
            named.contains('/')
                && [".rs", ".sql", ".toml", ".md", ".txt", ".json"]
                    .iter()
                    .any(|ending| named.ends_with(ending))
                && !named.contains(['*', '{', '…', ' '])
                && !named.starts_with('/')
        }) {
            assert!(root.join(named).exists(), "{page} names {named}, which is not there");
        }
    }
}

#[test]
fn no_source_names_a_machine_or_leaves_something_to_do() {
    for folder in ROOMS.iter().chain(&["tests/src"]) {
        for (path, source) in sources(folder) {
            for word in ["/home/", "/root/", "FIXME", "XXX:"] {
                assert!(!source.contains(word), "{path} holds {word:?}");
            }
        }
    }
}

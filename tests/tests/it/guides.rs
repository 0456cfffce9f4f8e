//! What the documents tell a reader to type works when it is typed: every `sh` block of a document, top to bottom, in one shell beside a running
//! service. Lines that cannot work there (building, other machines) are in blocks of another kind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use honoken_tests::drawing;
use honoken_tests::server::Home;
use honoken_tests::waiting::PATIENCE;
use tokio::process::Command;

use crate::{CACHE, Honoken, PROGRAM};

/// Refusals end the script, answers are kept apart by line ends, and the program is the one under test.
const PRELUDE: &str = r#"
set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }
honoken() { "$PROGRAM" "$@"; }
"#;

/// The address that the documents use.
const ADDRESS: &str = "http://127.0.0.1:8080";

fn document(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()))
}

/// The text of all `sh` blocks.
fn commands(document: &str) -> String {
    let mut commands = String::new();
    let mut lines = document.lines();
    while lines.by_ref().any(|line| line == "```sh") {
        for line in lines.by_ref().take_while(|line| *line != "```") {
            commands.push_str(line);
            commands.push('\n');
        }
    }
    commands
}

async fn works_when_typed(name: &str) {
    let honoken = Honoken::start_in_with_certificates(Home::new(PROGRAM).await, CACHE.as_ref()).await;
    let folder = honoken.home().folder();
    symlink(honoken.home().data_dir(), folder.join("honoken-data")).expect("a link");
    fs::write(folder.join("logo.png"), drawing::logo(1)).expect("a file");
    let typed = commands(&document(name));
    assert!(
        typed.contains(ADDRESS),
        "{name} says where the service is, and where this test's stands in its place"
    );
    let script = format!("{PRELUDE}{}", typed.replace(ADDRESS, &honoken.ready().base_url));
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("PROGRAM", PROGRAM).current_dir(folder).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, shell.output()).await.expect("it ends").expect("bash starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{out}\n{err}\n{script}", output.status);
}

#[tokio::test]
async fn getting_started_works_when_typed() {
    works_when_typed("getting-started.md").await;
}

#[tokio::test]
async fn the_guide_for_moving_works_when_typed() {
    works_when_typed("moving.md").await;
}

#[tokio::test]
async fn the_manage_api_guide_works_when_typed() {
    works_when_typed("manage-api.md").await;
}

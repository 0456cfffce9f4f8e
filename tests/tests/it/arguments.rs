//! Command lines and variables that cannot be meant: refused with a sentence, and nothing is made.

use std::process::Output;

use honoken_tests::Engine;
use honoken_tests::server::Home;

use crate::PROGRAM;

/// A folder without a database.
async fn an_empty_home() -> Home {
    Home::on(Engine::Sqlite, PROGRAM).await
}

/// What a refused command said.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "it was accepted");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).expect("a refusal is text")
}

#[tokio::test]
async fn an_unknown_role_is_named_with_those_that_exist() {
    let home = an_empty_home().await;
    for roles in ["conductor", "api,conductor", "api;projector"] {
        let refused = home.serve("refused").with_roles(roles).command().output().await.expect("it ends");
        let said = refusal(&refused);
        assert!(said.contains(roles.trim_start_matches("api,")), "{said}");
        assert!(said.contains("api") && said.contains("projector"), "{said}");
    }
    assert!(!home.data_dir().exists(), "a data folder was made");
}

#[tokio::test]
async fn half_a_service_needs_a_database_that_processes_can_share() {
    let home = an_empty_home().await;
    for roles in ["projector", "api", "api,projector"] {
        let refused = home.serve("refused").with_roles(roles).command().output().await.expect("it ends");
        let said = refusal(&refused);
        assert!(said.contains("--roles api,projector") && said.contains("DATABASE_URL"), "{said}");
        assert!(!home.serve("refused").ready_file().exists());
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_without_repeating_its_password() {
    let home = an_empty_home().await;
    for url in [
        "mysql://honoken:hunter2@localhost/honoken",
        "postgres://honoken:hunter2@localhost:port/honoken",
        "honoken:hunter2@localhost/honoken",
        // Nobody listens there.
        "postgres://honoken:hunter2@127.0.0.1:1/honoken",
    ] {
        for arguments in [&["dev"][..], &["serve"], &["migrate"], &["rebuild"], &["log", "restored"]] {
            let mut command = home.command(arguments);
            command.arg("--data-dir").arg(home.data_dir()).env("DATABASE_URL", url);
            command.env("VERBOSE_LOGGING", "true");
            if matches!(arguments, ["dev" | "serve"]) {
                command.args(["--listen", "127.0.0.1:0"]);
            }
            let said = refusal(&command.output().await.expect("it ends"));
            assert!(!said.contains("hunter2"), "{arguments:?} {url}: {said}");
            assert!(
                url.ends_with(":1/honoken") || said.contains("DATABASE_URL"),
                "{arguments:?} {url}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn commands_on_a_folder_that_is_missing_do_not_make_it() {
    let home = an_empty_home().await;
    for arguments in [&["migrate"][..], &["rebuild"], &["log", "restored"]] {
        let said = refusal(&home.runs(arguments).await);
        let folder = home.data_dir().display().to_string();
        assert!(said.contains(&folder) && said.contains("--data-dir"), "{arguments:?}: {said}");
        assert!(!home.data_dir().exists(), "{arguments:?} made it");
    }
}

#[tokio::test]
async fn commands_on_a_folder_without_a_log_do_not_make_one() {
    let home = an_empty_home().await;
    std::fs::create_dir(home.data_dir()).expect("a folder");
    for arguments in [&["rebuild"][..], &["log", "restored"]] {
        let said = refusal(&home.runs(arguments).await);
        assert!(said.contains("holds no event log") && said.contains("--data-dir"), "{said}");
        assert!(!home.data_dir().join("events.sqlite").exists(), "a log was made");
    }
}

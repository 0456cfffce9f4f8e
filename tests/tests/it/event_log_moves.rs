//! The event log is moved to another engine, into a file and out of one, and phones notice nothing.

use std::process::Output;

use honoken_tests::device::device;
use honoken_tests::server::{Home, copy_folder};
use honoken_tests::storage::Storage;
use honoken_tests::{Credentials, Engine, Honoken};
use http::StatusCode;

use crate::{PROGRAM, a_service_with_passes_in_a_phone, assert_done, refusal};

const PASSES: usize = 4;

fn serial(number: usize) -> String {
    format!("M-{number}")
}

/// A service with some passes in one phone, their credentials, and the tag that the phone has.
async fn a_service_with_a_phone() -> (Honoken, Vec<Credentials>, String) {
    let (honoken, passes) = a_service_with_passes_in_a_phone((0..PASSES).map(serial)).await;
    let listed = honoken.devices().lists(&device(1), &passes[0].pass_type_identifier, None).await;
    (honoken, passes, listed.expect("all passes").1)
}

/// The URL of a home's event log, as `log copy` takes it.
pub(crate) fn url(home: &Home) -> String {
    match home.storage() {
        Storage::Sqlite { data_dir } => format!("sqlite:{}", data_dir.display()),
        Storage::Postgres { url } => url,
    }
}

async fn copies(from: &Home, to: &Home) -> Output {
    from.command(&["log", "copy", "--from", &url(from), "--to", &url(to)]).output().await.expect("it ends")
}

/// The engines that a log can be moved to in this run.
fn engines() -> Vec<Engine> {
    match Engine::chosen() {
        Engine::Sqlite => vec![Engine::Sqlite],
        Engine::Postgres => vec![Engine::Sqlite, Engine::Postgres],
    }
}

#[tokio::test]
async fn a_service_goes_on_with_a_copy_that_was_made_beside_it_and_phones_get_what_differs_and_nothing_else()
{
    let (mut honoken, passes, tag) = a_service_with_a_phone().await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let mut copied = Vec::new();
    for engine in engines() {
        let to = Home::on(engine, PROGRAM).await;
        let said = assert_done(&copies(honoken.home(), &to).await);
        assert!(said.contains("SHA-256") && said.contains("Not moved: images"), "{said}");
        copied.push(to);
    }
    let change = honoken.integrator().moves_to(&passes[1].serial_number, "2B").await;
    let (_, newest) = honoken.devices().lists(&device(1), &pass_type, Some(&tag)).await.expect("one");
    assert_eq!(newest, change.update_tag);
    honoken.terminate().await;
    for to in copied {
        assert_done(&copies(honoken.home(), &to).await);
        let exported = assert_done(&honoken.home().runs(&["log", "export"]).await);
        assert_eq!(assert_done(&to.runs(&["log", "export"]).await), exported);
        for folder in ["blobs", "secrets", "certificates"] {
            copy_folder(&honoken.home().data_dir().join(folder), &to.data_dir().join(folder));
        }

        let moved = Honoken::start_in(to).await;
        let devices = moved.devices();
        assert_eq!(devices.lists(&device(1), &pass_type, Some(&newest)).await, None, "nothing differs");
        let listed = devices.lists(&device(1), &pass_type, Some(&tag)).await;
        assert_eq!(listed, Some((vec![passes[1].serial_number.clone()], newest.clone())));
        let known = devices.get(&passes[1], &[("if-none-match", &format!("\"{}\"", change.etag))]).await;
        known.assert_status(StatusCode::NOT_MODIFIED);
        let next = moved.integrator().moves_to(&passes[2].serial_number, "3C").await;
        let listed = devices.lists(&device(1), &pass_type, Some(&newest)).await;
        assert_eq!(listed, Some((vec![passes[2].serial_number.clone()], next.update_tag.clone())));

        let refused = refusal(&copies(honoken.home(), moved.home()).await);
        let expected = match moved.home().engine() {
            Engine::Sqlite => "another process is using",
            Engine::Postgres => "it has gone on by itself",
        };
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn a_log_that_was_not_filled_to_its_end_is_refused_by_everything_but_its_filling() {
    let (mut honoken, _, _) = a_service_with_a_phone().await;
    let lines = assert_done(&honoken.home().runs(&["log", "export"]).await);
    honoken.terminate().await;
    let file = honoken.home().folder().join("log.ndjson");
    let path = file.to_str().expect("text").to_owned();
    let cut = lines.lines().count() - 2;
    let part: String = lines.split_inclusive('\n').take(cut).collect();
    std::fs::write(&file, part).expect("written");

    let to = Home::on(Engine::chosen(), PROGRAM).await;
    let said = refusal(&to.runs(&["log", "import", &path]).await);
    assert!(said.contains(&format!("line {}: the file ends here", cut + 1)), "{said}");
    for arguments in [&["rebuild"][..], &["keys", "list"], &["log", "export"]] {
        let said = refusal(&to.runs(arguments).await);
        assert!(said.contains("the event log is not complete"), "{arguments:?}: {said}");
    }
    let mut command = to.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(to.data_dir());
    let said = refusal(&command.output().await.expect("it ends"));
    assert!(said.contains("the event log is not complete"), "{said}");

    std::fs::write(&file, &lines).expect("written");
    assert_done(&to.runs(&["log", "import", &path]).await);
    assert_eq!(assert_done(&to.runs(&["log", "export"]).await), lines);
}

#[tokio::test]
async fn places_that_cannot_be_used_are_named_without_their_passwords() {
    let (mut honoken, _, _) = a_service_with_a_phone().await;
    honoken.terminate().await;
    let home = honoken.home();
    let own = url(home);
    let nobody = "postgres://honoken:hunter2@127.0.0.1:1/honoken";
    let cases = [
        (&*own, "mysql://honoken:hunter2@localhost/x", "--to must begin with postgres:// or sqlite:"),
        ("honoken:hunter2@localhost", &*own, "--from must begin with postgres:// or sqlite:"),
        (&*own, nobody, "the database of --to, honoken on 127.0.0.1:1, cannot be used"),
        (nobody, "sqlite:/nowhere/at/all", "the database of --from, honoken on 127.0.0.1:1, cannot be used"),
        (&*own, &*own, "--from and --to are the same place"),
        ("sqlite:/nowhere/at/all", &*own, "there is no folder /nowhere/at/all"),
    ];
    for (from, to, expected) in cases {
        let output =
            home.command(&["log", "copy", "--from", from, "--to", to]).output().await.expect("it ends");
        let said = refusal(&output);
        assert!(said.contains(expected), "{from} {to}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!std::path::Path::new("/nowhere").exists(), "a folder was made for nothing");
    }
}

//! Backups are made beside a running service, and a folder that was lost is made again from one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use honoken_tests::device::device;
use honoken_tests::server::Home;
use honoken_tests::storage::files_below;
use honoken_tests::{Credentials, Engine, Honoken};
use http::StatusCode;

use crate::{PROGRAM, a_service_with_passes_in_a_phone, assert_done, refusal};

const PASSES: usize = 3;

fn serial(number: usize) -> String {
    format!("K-{number}")
}

async fn backs_up(home: &Home, to: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["backup", to.to_str().expect("text")];
    arguments.extend(more);
    home.runs(&arguments).await
}

async fn restores(home: &Home, from: &Path) -> Output {
    home.runs(&["restore", from.to_str().expect("text")]).await
}

/// The backups in a place, the oldest first.
fn backups(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).expect("a place of backups");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("backup.json").exists())
        .collect();
    found.sort();
    found
}

/// A service with some passes in one phone, and their credentials.
async fn a_service_with_a_phone() -> (Honoken, Vec<Credentials>) {
    a_service_with_passes_in_a_phone((0..PASSES).map(serial)).await
}

#[tokio::test]
async fn a_folder_that_is_lost_under_load_is_made_again_and_every_phone_gets_every_pass_that_differs() {
    if Engine::leaves_out("a server is backed up with its own tools") {
        return;
    }
    let (mut honoken, passes) = a_service_with_a_phone().await;
    let pass_type = passes[0].pass_type_identifier.clone();
    let place = tempfile::tempdir().expect("a folder");
    let integrator = honoken.integrator();
    let is_over = AtomicBool::new(false);
    let load = async {
        let mut changes = 0;
        while !is_over.load(Ordering::Relaxed) {
            integrator.moves_to(&serial(changes % PASSES), &format!("seat {changes}")).await;
            changes += 1;
        }
        changes
    };
    let backing_up = async {
        for _ in 0..3 {
            let said = assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
            assert!(said.contains("encryption keys needed: secrets/encryption-key"), "{said}");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (changes, ()) = futures::join!(load, backing_up);
    assert!(changes > 0);
    let (_, future) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all passes");
    let after = honoken.integrator().moves_to(&serial(0), "lost").await;
    honoken.kill().await;

    let all = backups(place.path());
    assert_eq!(all.len(), 3);
    for file in files_below(place.path()) {
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(!name.contains("encryption-key") && !name.contains("lock"), "{}", file.display());
    }
    let home = Home::on(Engine::Sqlite, PROGRAM).await;
    let said = assert_done(&restores(&home, &all[0]).await);
    assert!(
        said.contains("give it the encryption keys that the backup needs: secrets/encryption-key"),
        "{said}"
    );
    for folder in ["secrets", "certificates"] {
        honoken_tests::server::copy_folder(
            &honoken.home().data_dir().join(folder),
            &home.data_dir().join(folder),
        );
    }
    let again = refusal(&restores(&home, place.path()).await);
    assert!(again.contains("has an event log already"), "{again}");

    let restored = Honoken::start_in(home).await;
    let devices = restored.devices();
    for tag in [&future, &after.update_tag] {
        let (listed, _) = devices.lists(&device(1), &pass_type, Some(tag)).await.expect("everything");
        assert_eq!(listed, (0..PASSES).map(serial).collect::<Vec<_>>());
    }
    let lost = devices.get(&passes[0], &[("if-none-match", &format!("\"{}\"", after.etag))]).await;
    lost.assert_status(StatusCode::OK);
    for pass in &passes {
        devices.get(pass, &[]).await.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused_and_old_ones_go_with_their_images() {
    if Engine::leaves_out("a server is backed up with its own tools") {
        return;
    }
    let (honoken, passes) = a_service_with_a_phone().await;
    let place = tempfile::tempdir().expect("a folder");
    let images = || files_below(&place.path().join("images")).len();
    assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
    let before = images();
    assert!(before > 0);
    honoken.integrator().uploads(&honoken_tests::drawing::icon(77)).await;
    assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
    assert_eq!(images(), before + 1, "the others are there already");
    let newest = backups(place.path()).pop().expect("two");

    let home = Home::on(Engine::Sqlite, PROGRAM).await;
    let file = newest.join("events.sqlite");
    let mut bytes = fs::read(&file).expect("a copy");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).expect("changed");
    let said = refusal(&restores(&home, place.path()).await);
    assert!(said.contains("events.sqlite was changed"), "{said}");
    assert!(!home.data_dir().join("events.sqlite").exists());
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).expect("put back");
    assert_done(&restores(&home, place.path()).await);

    // An image that nobody has any more: it goes with the last backup that lists it.
    let list = newest.join("images.txt");
    let listed = fs::read_to_string(&list).expect("a list");
    assert_eq!(listed.lines().count(), before + 1);
    let said = assert_done(&backs_up(honoken.home(), place.path(), &["--keep", "1"]).await);
    assert!(said.contains("removed 2 older backups"), "{said}");
    assert_eq!((backups(place.path()).len(), images()), (1, before + 1));
    let nothing = refusal(&restores(&home, &honoken.home().data_dir()).await);
    assert!(nothing.contains("is neither a backup nor a place with one"), "{nothing}");
    assert_eq!(passes.len(), PASSES);
}

#[tokio::test]
async fn on_a_server_the_command_names_the_tools_of_the_server() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let (honoken, _) = a_service_with_a_phone().await;
    let place = tempfile::tempdir().expect("a folder");
    let said = assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
    assert!(said.contains("pg_dump --format=custom") && said.contains("copy the images"), "{said}");
    let said = refusal(&restores(honoken.home(), place.path()).await);
    assert!(said.contains("pg_restore") && said.contains("DATABASE_URL"), "{said}");
}

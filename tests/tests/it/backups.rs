//! Backups are made beside a running service, and a folder that was lost is made again from one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use honoken_test_image_stores::{ACCESS_KEY_ID, S3, SECRET_ACCESS_KEY};
use honoken_tests::device::device;
use honoken_tests::etag::sha256;
use honoken_tests::server::Home;
use honoken_tests::storage::files_below;
use honoken_tests::{Credentials, Engine, Honoken, drawing, package};
use http::{Method, StatusCode};
use serde_json::Value;

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

/// How often commands of operators did something.
async fn noted(honoken: &Honoken, action: &str) -> usize {
    let path = format!("/admin/audit?action={action}");
    let answer = honoken.operator().request(Method::GET, &path, &Value::Null).await.json();
    let entries = answer["entries"].as_array().expect("a list");
    assert!(entries.iter().all(|entry| entry["result"] == 0), "{answer}");
    entries.len()
}

/// A service whose images are in a bucket, and which has a pass with an image of its own. The bucket takes its backups as well.
async fn a_service_on(s3: &S3) -> (Honoken, Vec<Credentials>) {
    let home =
        with_keys(Home::on(Engine::Sqlite, PROGRAM).await).with_variable("HONOKEN_ASSETS_URL", s3.url());
    let honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    integrator.issues(&serial(0)).await;
    integrator.puts_asset(&serial(0), "logo.png", drawing::logo(9)).await;
    let credentials = integrator.credentials(&serial(0)).await;
    (honoken, vec![credentials])
}

fn with_keys(home: Home) -> Home {
    home.with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
}

/// The place of backups in a bucket.
fn in_bucket(s3: &S3) -> String {
    s3.url().replace("/images?", "/backups?")
}

async fn goes_on(honoken: &Honoken, home: Home) -> Honoken {
    for folder in ["secrets", "certificates"] {
        let from = honoken.home().data_dir().join(folder);
        honoken_tests::server::copy_folder(&from, &home.data_dir().join(folder));
    }
    Honoken::start_in(home).await
}

#[tokio::test]
async fn backups_are_kept_in_a_bucket_and_come_back_from_there() {
    if Engine::leaves_out("a server is backed up with its own tools") {
        return;
    }
    let s3 = S3::start().await;
    let honoken = Honoken::start_in(with_keys(Home::on(Engine::Sqlite, PROGRAM).await)).await;
    let integrator = honoken.integrator();
    integrator.issues(&serial(0)).await;
    integrator.puts_asset(&serial(0), "logo.png", drawing::logo(9)).await;
    let bucket = in_bucket(&s3);
    let backs_up = async |more: &[&str]| {
        let said = assert_done(&honoken.home().runs(&[&["backup", &bucket][..], more].concat()).await);
        assert!(!said.contains(SECRET_ACCESS_KEY), "{said}");
        said
    };
    let said = backs_up(&[]).await;
    assert!(
        said.contains("s3://honoken-test/backups/20") && said.contains(" images, encryption keys needed"),
        "{said}"
    );
    let count = |ending: &str| s3.names().iter().filter(|name| name.ends_with(ending)).count();
    let images = || s3.names().iter().filter(|name| name.starts_with("backups/images/")).count();
    let before = images();
    assert!(before > 0 && count("/backup.json") == 1 && count("/events.sqlite") == 1, "{:?}", s3.names());
    let gone = drawing::icon(77);
    integrator.uploads(&gone).await;
    backs_up(&[]).await;
    assert_eq!((images(), count("/backup.json")), (before + 1, 2));
    let blobs = honoken.home().data_dir().join("blobs");
    let digest = sha256(&gone);
    fs::remove_file(blobs.join(&digest[..2]).join(&digest[2..])).expect("it goes");
    let said = backs_up(&["--keep", "1"]).await;
    assert!(said.contains("removed 2 older backups"), "{said}");
    assert_eq!((images(), count("/backup.json"), count("/events.sqlite")), (before, 1, 1));
    assert!(!honoken.home().data_dir().join("backup.unfinished").exists());
    assert_eq!(noted(&honoken, "makeBackup").await, 3);

    let home = with_keys(Home::on(Engine::Sqlite, PROGRAM).await);
    let newest = s3.names().into_iter().find(|name| name.ends_with("/events.sqlite")).expect("a backup");
    let whole = s3.bytes(&newest);
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    s3.has(&newest, &changed);
    let said = refusal(&home.runs(&["restore", &bucket]).await);
    assert!(said.contains("events.sqlite was changed"), "{said}");
    assert!(!home.data_dir().join("events.sqlite").exists() && !home.data_dir().join("restoring").exists());
    s3.has(&newest, &whole);
    // By its own name, too.
    let name = newest.split('/').nth(1).expect("a name");
    let one = bucket.replace("/backups?", &format!("/backups/{name}?"));
    let said = assert_done(&home.runs(&["restore", &one]).await);
    assert!(said.contains("has the backup of") && !said.contains("missing"), "{said}");
    for file in files_below(&home.data_dir()) {
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let restored = goes_on(&honoken, home).await;
    let files = package::files(&restored.integrator().downloads(&serial(0)).await);
    assert_eq!(files["logo.png"].0, drawing::logo(9));
    assert_eq!(noted(&restored, "restoreBackup").await, 1);
}

#[tokio::test]
async fn a_store_that_is_away_takes_no_backup_and_the_next_one_is_whole() {
    if Engine::leaves_out("a server is backed up with its own tools") {
        return;
    }
    let mut s3 = S3::start().await;
    let honoken = Honoken::start_in(with_keys(Home::on(Engine::Sqlite, PROGRAM).await)).await;
    let bucket = in_bucket(&s3);
    s3.goes_away();
    let said = refusal(&honoken.home().runs(&["backup", &bucket]).await);
    assert!(said.contains("the image store s3://honoken-test/backups at http://127.0.0.1:"), "{said}");
    assert!(!said.contains(SECRET_ACCESS_KEY), "{said}");
    s3.comes_back().await;
    assert_eq!(s3.names(), Vec::<String>::new());
    assert_done(&honoken.home().runs(&["backup", &bucket]).await);
    assert_eq!(s3.names().iter().filter(|name| name.ends_with("/backup.json")).count(), 1);
    let home = with_keys(Home::on(Engine::Sqlite, PROGRAM).await);
    assert_done(&home.runs(&["restore", &bucket]).await);
}

#[tokio::test]
async fn images_in_a_store_are_listed_in_a_backup_or_copied_into_it() {
    if Engine::leaves_out("a server is backed up with its own tools") {
        return;
    }
    let s3 = S3::start().await;
    let (honoken, _) = a_service_on(&s3).await;
    let place = tempfile::tempdir().expect("a folder");
    let said = assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
    assert!(said.contains("the list of ") && said.contains("store of their own"), "{said}");
    assert!(!place.path().join("images").exists());
    let home =
        with_keys(Home::on(Engine::Sqlite, PROGRAM).await).with_variable("HONOKEN_ASSETS_URL", s3.url());
    let said = assert_done(&restores(&home, place.path()).await);
    assert!(said.contains(": 0 of them are missing in s3://honoken-test/images"), "{said}");

    let said = assert_done(&backs_up(honoken.home(), place.path(), &["--images", "copy"]).await);
    assert!(said.contains(" images, encryption keys needed"), "{said}");
    let copied = files_below(&place.path().join("images"));
    assert!(!copied.is_empty());
    for file in copied {
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    // The store is lost, and another one takes its place.
    let other = S3::start().await;
    let home =
        with_keys(Home::on(Engine::Sqlite, PROGRAM).await).with_variable("HONOKEN_ASSETS_URL", other.url());
    assert_done(&restores(&home, place.path()).await);
    let restored = goes_on(&honoken, home).await;
    let files = package::files(&restored.integrator().downloads(&serial(0)).await);
    assert_eq!(files["logo.png"].0, drawing::logo(9));

    let said = refusal(&honoken.home().runs(&["backup", "memory:"]).await);
    assert!(said.contains("ends with it"), "{said}");
}

#[tokio::test]
async fn on_a_server_the_command_names_the_tools_of_the_server() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let (honoken, _) = a_service_with_a_phone().await;
    let place = tempfile::tempdir().expect("a folder");
    let said = assert_done(&backs_up(honoken.home(), place.path(), &[]).await);
    assert!(said.contains("pg_dump --format=custom") && said.contains("run pg_dump first"), "{said}");
    let (images, kept) = (honoken.home().data_dir().join("blobs"), place.path().join("images"));
    let digests = |folder: &Path| {
        let files = files_below(folder).into_iter();
        let names = files.map(|file| file.strip_prefix(folder).expect("it is below").to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(!digests(&images).is_empty());
    assert_eq!(digests(&images), digests(&kept));
    let said = refusal(&restores(honoken.home(), place.path()).await);
    assert!(said.contains("pg_restore") && said.contains("DATABASE_URL"), "{said}");
}

//! `honoken blobs import-layout`: the images of an earlier service, from a folder or a bucket into a running service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use honoken_test_image_stores::{ACCESS_KEY_ID, Redis, S3, SECRET_ACCESS_KEY};
use honoken_tests::etag::sha256;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, drawing, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::a_service;

/// The command, with the credentials of `dev`.
fn command(honoken: &Honoken, from: &str, more: &[&str]) -> Command {
    let ready = honoken.ready();
    let arguments = ["blobs", "import-layout", from, "--server", &ready.base_url];
    let mut command = honoken.home().command(&[&arguments[..], more].concat());
    command.env("HONOKEN_API_KEY", &ready.api_key);
    command
        .env("HONOKEN_ADMIN_USERNAME", &ready.admin_username)
        .env("HONOKEN_ADMIN_PASSWORD", &ready.admin_password);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command came to: its exit code and what it printed.
async fn ends(mut command: Command) -> (i32, String) {
    let child = command.kill_on_drop(true).spawn().expect("the program starts");
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let Output { status, stdout, stderr } = output.expect("it ends in time").expect("its output can be read");
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!said.contains(SECRET_ACCESS_KEY), "{said}");
    (status.code().expect("no signal"), said)
}

async fn imports(honoken: &Honoken, from: &str, more: &[&str]) -> (i32, String) {
    ends(command(honoken, from, more)).await
}

/// A folder for the images of the old service, in the folder in which commands run.
fn old(honoken: &Honoken) -> PathBuf {
    honoken.home().folder().join("old")
}

fn writes(folder: &Path, name: &str, bytes: &[u8]) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("it can be made");
    fs::write(file, bytes).expect("it can be written");
}

fn refused(honoken: &Honoken, file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(honoken.home().folder().join(file)).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
    let mut refused: Vec<_> = lines.map(|entry| (text(&entry, "path"), text(&entry, "code"))).collect();
    refused.sort();
    refused
}

#[tokio::test]
async fn images_of_passes_of_types_and_of_the_brand_get_to_their_places_and_the_rest_is_named() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for serial in ["A-1", "A 2"] {
        integrator.issues(serial).await;
    }
    let pass_type = integrator.pass_type_identifier();
    let (icon, logo, large, german, of_type, of_brand) = (
        drawing::icon(11),
        drawing::logo(12),
        drawing::png(320, 100, 13),
        drawing::logo(14),
        drawing::logo(15),
        drawing::png(286, 15, 16),
    );
    let folder = old(&honoken);
    for (name, bytes) in [
        ("A-1/icon.png", &icon),
        ("A-1/logo.png", &logo),
        ("A-1/logo@2x.png", &large),
        ("A-1/de.lproj/logo.png", &german),
        ("A 2/icon.png", &icon),
        ("logo.png", &of_type),
        ("A-1/notes.txt", &b"no image".to_vec()),
        ("missing/icon.png", &icon),
        ("A-1/strip.png", &b"GIF89a".to_vec()),
        ("A-1/picture.png", &icon),
    ] {
        writes(&folder, &format!("{pass_type}/{name}"), bytes);
    }
    writes(&folder, "brand-assets/footer.png", &of_brand);
    writes(&folder, "lost+found/icon.png", &icon);
    writes(&folder, &format!("{pass_type}/A-1/thumbnail.png"), &vec![0; 3 * 1024 * 1024]);
    let expected = |names: &[(&str, &str)]| {
        let place =
            |name: &str| if name.contains('+') { name.to_owned() } else { format!("{pass_type}/{name}") };
        let mut all: Vec<_> = names.iter().map(|(name, code)| (place(name), (*code).to_owned())).collect();
        all.sort();
        all
    };

    let before = honoken.storage().positions().await;
    let (code, said) = imports(&honoken, "old", &["--dry-run"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("9 images would be sent, 3 would be refused"), "{said}");
    let of_files = [
        ("A-1/strip.png", "not_a_png"),
        ("A-1/thumbnail.png", "too_large"),
        ("lost+found/icon.png", "unknown_place"),
    ];
    assert_eq!(refused(&honoken, "old.refused.ndjson"), expected(&of_files));
    assert_eq!(honoken.storage().positions().await, before, "a dry run sends nothing");

    let (code, said) = imports(&honoken, "old", &[]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 3, "nothing is made in it");
    assert!(
        said.contains(
            "7 images were sent and compared, 0 were there already, 0 were sent before, 5 were refused"
        ),
        "{said}"
    );
    let all = [
        ("A-1/picture.png", "unacceptable"),
        ("A-1/strip.png", "unacceptable"),
        ("A-1/thumbnail.png", "too_large"),
        ("lost+found/icon.png", "unknown_place"),
        ("missing/icon.png", "not_found"),
    ];
    assert_eq!(refused(&honoken, "old.refused.ndjson"), expected(&all));
    let files = package::files(&integrator.downloads("A-1").await);
    let shown =
        [("icon.png", &icon), ("logo.png", &logo), ("logo@2x.png", &large), ("de.lproj/logo.png", &german)];
    for (name, bytes) in shown {
        assert_eq!(files[name].0, *bytes, "{name}");
    }
    assert_eq!(integrator.state("A 2").await["assets"]["icon.png"], sha256(&icon));
    let of_type_now = integrator.request(Method::GET, &integrator.type_asset_path("logo.png"), &[], "").await;
    assert_eq!(of_type_now.assert_status(StatusCode::OK).body, of_type);
    let path = "/admin/brand-assets/footer.png";
    let of_brand_now = honoken.operator().request(Method::GET, path, &Value::Null).await;
    assert_eq!(of_brand_now.assert_status(StatusCode::OK).body, of_brand);

    // The pass is there now: only what was refused is tried again.
    integrator.issues("missing").await;
    for name in ["A-1/strip.png", "A-1/thumbnail.png", "A-1/picture.png"] {
        fs::remove_file(folder.join(pass_type).join(name)).expect("it goes");
    }
    fs::remove_dir_all(folder.join("lost+found")).expect("it goes");
    let (code, said) = imports(&honoken, "old", &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("1 images were sent and compared, 0 were there already, 7 were sent before, 0 were"),
        "{said}"
    );
    let (code, said) = imports(&honoken, "old", &["--restart"]).await;
    assert!(code == 0 && said.contains("0 images were sent and compared, 8 were there already"), "{said}");
    let state = fs::read_to_string(honoken.home().folder().join("old.import-state")).expect("a state");
    assert!(!state.contains("A-1") && !state.contains(&honoken.ready().api_key), "{state}");
}

#[tokio::test]
async fn images_come_from_a_bucket_and_an_import_that_was_killed_goes_on() {
    let s3 = S3::start().await;
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let pass_type = integrator.pass_type_identifier();
    for number in 0..20 {
        integrator.issues(&format!("K-{number}")).await;
        let logo = drawing::logo(number);
        s3.has(&format!("images/{pass_type}/K-{number}/logo.png"), &logo);
    }
    let mut first =
        command(&honoken, &s3.url(), &["--concurrency", "1"]).kill_on_drop(true).spawn().expect("it starts");
    let sent = async || {
        let all = (0..20).map(async |number| {
            let logo = &integrator.state(&format!("K-{number}")).await["assets"]["logo.png"];
            usize::from(*logo == json!(sha256(&drawing::logo(number))))
        });
        futures::future::join_all(all).await.into_iter().sum::<usize>()
    };
    eventually(PATIENCE, "some are sent", async || (sent().await > 2).then_some(())).await;
    first.kill().await.expect("it is killed");
    let state = || fs::read_to_string(honoken.home().folder().join("layout.import-state")).expect("a state");
    let before = state().lines().count() - 1;

    let (code, said) = imports(&honoken, &s3.url(), &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("{before} were sent before, 0 were refused")), "{said}");
    assert_eq!(sent().await, 20);
    assert_eq!(state().lines().count(), 21);
    // Another place does not go on there.
    writes(&old(&honoken), "brand-assets/icon.png", &drawing::icon(1));
    let (code, said) = imports(&honoken, "old", &["--state", "layout.import-state"]).await;
    assert!(code == 2 && said.contains("--restart"), "{said}");
}

#[tokio::test]
async fn images_come_from_a_redis() {
    let redis = Redis::start().await;
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let pass_type = integrator.pass_type_identifier();
    for number in 0..3 {
        integrator.issues(&format!("R-{number}")).await;
        let key = format!("old/images/{pass_type}/R-{number}/logo.png");
        redis.has(&key, &drawing::logo(number)).await;
    }
    redis.has("old/imagery", b"something else").await;
    redis.has("sessions/1", b"something else").await;
    let (code, said) = imports(&honoken, &format!("{}/old/images", redis.url()), &[]).await;
    assert!(code == 0 && said.contains("3 images were sent and compared"), "{said}");
    for number in 0..3 {
        let logo = &integrator.state(&format!("R-{number}")).await["assets"]["logo.png"];
        assert_eq!(*logo, json!(sha256(&drawing::logo(number))));
    }
    let (code, said) = imports(&honoken, &format!("{}/old/images", redis.url()), &[]).await;
    assert!(code == 0 && said.contains("3 were sent before"), "{said}");
}

#[tokio::test]
async fn without_an_operator_the_brand_is_refused_and_without_a_key_or_a_place_everything() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let folder = old(&honoken);
    writes(&folder, "brand-assets/footer.png", &drawing::png(286, 15, 16));
    writes(&folder, &format!("{}/A-1/logo.png", integrator.pass_type_identifier()), &drawing::logo(3));
    let mut without = command(&honoken, "old", &[]);
    without.env_remove("HONOKEN_ADMIN_USERNAME").env_remove("HONOKEN_ADMIN_PASSWORD");
    let (code, said) = ends(without).await;
    assert!(code == 1 && said.contains("1 images were sent") && said.contains("1 were refused"), "{said}");
    let expected = ("brand-assets/footer.png".to_owned(), "no_operator".to_owned());
    assert_eq!(refused(&honoken, "old.refused.ndjson"), [expected]);

    let mut without = command(&honoken, "old", &["--restart"]);
    without.env_remove("HONOKEN_API_KEY");
    let (code, said) = ends(without).await;
    assert!(code == 2 && said.contains("--scopes assets:write"), "{said}");
    let mut wrong = command(&honoken, "old", &["--restart"]);
    let (code, said) = ends({
        wrong.env("HONOKEN_ADMIN_PASSWORD", "wrong");
        wrong
    })
    .await;
    assert!(code == 2 && said.contains("unauthorized"), "{said}");
    let (code, said) = imports(&honoken, "nowhere", &[]).await;
    assert!(code == 2 && said.contains("there is no folder nowhere"), "{said}");
    let (code, said) = imports(&honoken, "s3://hush:hush@bucket", &[]).await;
    assert!(code == 2 && !said.contains("hush"), "{said}");
}

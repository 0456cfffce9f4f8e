//! What a newcomer meets in an empty folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use honoken_tests::device::{a_phone, device, push_token};
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{drawing, storage};
use http::StatusCode;
use tokio::process::Command;

use crate::{PROGRAM, a_fresh_service};

/// The lines for pasting that `dev` printed.
fn curl_lines(stdout: &str) -> Vec<String> {
    stdout.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn the_three_printed_curl_lines_work_when_pasted() {
    let honoken = a_fresh_service().await;
    let home = honoken.home();
    let lines = eventually(PATIENCE, "the greeting is printed", async || {
        Some(curl_lines(&home.printed("stdout.txt"))).filter(|lines| lines.len() >= 3)
    })
    .await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in lines {
        // `--fail-with-body` turns a refusal into a failure of the command, whatever the line itself asks for.
        let line = line.replacen("curl ", "curl --fail-with-body ", 1).replace(" -fsS ", " -sS ");
        let output =
            Command::new("bash").args(["-c", &line]).current_dir(home.folder()).output().await.unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}\n{}\n{out}\n{err}", output.status);
    }
}

#[tokio::test]
async fn the_greeting_says_where_to_look() {
    let honoken = a_fresh_service().await;
    let home = honoken.home();
    let ready = honoken.ready();
    eventually(PATIENCE, "the greeting is printed", async || {
        let printed = home.printed("stdout.txt");
        let told = [&ready.base_url, &ready.serial_number, ready.ca_file.to_str().unwrap()];
        told.iter().all(|told| printed.contains(*told)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_ready_file_is_whole_whenever_it_is_there_and_names_what_exists() {
    let honoken = a_fresh_service().await;
    let ready = honoken.ready();
    assert!(ready.base_url.starts_with("http://127.0.0.1:"), "{ready:?}");
    assert!(ready.api_key.len() >= 32 && ready.admin_password.len() >= 32, "secrets that cannot be guessed");
    assert_eq!(ready.data_dir.canonicalize().unwrap(), honoken.home().data_dir().canonicalize().unwrap());
    assert!(fs::read_to_string(&ready.ca_file).unwrap().contains("BEGIN CERTIFICATE"));
    honoken.integrator().state(&ready.serial_number).await;
}

#[tokio::test]
async fn requests_are_answered_as_soon_as_the_ready_file_is_there() {
    let home = Home::new(PROGRAM).await;
    let _process = home.spawns("127.0.0.1:0");
    let ready = eventually(PATIENCE, "the ready file", async || home.reads_ready_file()).await;
    // Without a second try.
    honoken_tests::Integrator::new(&ready).issues("A-1").await;
}

#[tokio::test]
async fn an_old_ready_file_does_not_outlive_a_start() {
    let mut honoken = a_fresh_service().await;
    honoken.terminate().await;
    let home = honoken.home();
    fs::write(home.ready_file(), "{\"baseUrl\": \"old\"}").unwrap();
    let _process = home.spawns("127.0.0.1:0");
    let fresh = eventually(PATIENCE, "a fresh ready file", async || {
        let text = fs::read_to_string(home.ready_file()).ok()?;
        (!text.contains("\"old\"")).then_some(text)
    })
    .await;
    assert!(fresh.contains(&honoken.ready().api_key), "the secrets are the old ones");
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("the file is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_can_read_a_secret() {
    let honoken = a_fresh_service().await;
    let ready = honoken.ready();
    let secrets = [ready.api_key.as_bytes(), ready.admin_password.as_bytes(), b"PRIVATE KEY"];
    let mut holders = 0;
    for file in storage::files_below(&honoken.home().data_dir()) {
        let bytes = fs::read(&file).unwrap();
        if secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == *secret)) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            holders += 1;
        }
    }
    assert!(holders >= 3, "key, password and private keys are kept in files, and were found in {holders}");
    assert_eq!(mode(&honoken.home().ready_file()), 0o600, "the ready file holds secrets too");
}

#[tokio::test]
async fn the_data_folder_lets_nobody_else_in() {
    let honoken = a_fresh_service().await;
    assert_eq!(mode(&honoken.home().data_dir()), 0o700, "tokens of phones are in the log");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let mut honoken = a_fresh_service().await;
    let (integrator, devices) = (honoken.integrator(), honoken.devices());
    let mut secrets = vec![honoken.ready().api_key.clone(), honoken.ready().admin_password.clone()];
    for number in 0..3 {
        let serial = format!("S-{number}");
        integrator.issues(&serial).await;
        let mut phone = a_phone(number);
        phone.add(integrator.downloads(&serial).await).await.unwrap();
        integrator.moves_to(&serial, "2B").await;
        phone.wakes().await;
        phone.changes_push_token(push_token(number, 1)).await;
        phone.wakes().await;
        phone.sends_log().await;
        phone.removes(&serial).await.unwrap();
        let pass = integrator.credentials(&serial).await;
        devices.register_with(&device(number), &pass, &pass.authorization(), "{").await;
        devices.register(&device(number), "not a push token", &pass).await;
        let stranger = pass.with_serial_number("another");
        devices.register(&device(number), &push_token(number, 2), &stranger).await;
        devices.get(&pass, &[("if-none-match", "*")]).await;
        secrets.extend([pass.token.clone(), device(number)]);
        secrets.extend((0..3).map(|renewal| push_token(number, renewal)));
        let line = format!("Register task (for device {}, pass type x) encountered error", device(number));
        devices.log(serde_json::json!({ "logs": [line] }).to_string()).await.assert_status(StatusCode::OK);
    }
    integrator.voids("S-0").await;
    integrator.puts_asset("S-0", "logo.png", drawing::logo(1)).await;
    integrator.clone().with_authorization("Bearer wrong").get("S-0").await;
    honoken.operator().parked().await;
    honoken.operator().retries(1).await;
    honoken.kill().await;
    honoken.restart().await;
    honoken.integrator().state("S-0").await;
    honoken.terminate().await;
    let output = honoken.home().output();
    assert!(output.contains("/health") || output.len() > 500, "something was printed");
    for secret in secrets {
        assert!(!output.contains(&secret), "{secret} was printed:\n{output}");
    }
}

#[tokio::test]
async fn what_an_integrator_puts_on_a_pass_is_not_printed() {
    let mut honoken = a_fresh_service().await;
    let integrator = honoken.integrator();
    let personal = "Ada Lovelace, seat of honour";
    integrator.issues_with("A-1", &honoken_tests::a_ticket(personal)).await;
    integrator.replace("A-1", &serde_json::json!({ "eventDateISO": personal })).await;
    let path = format!("{}/content", integrator.path("A-1"));
    integrator.request(http::Method::PUT, &path, &[], format!("{{\"{personal}\"")).await;
    honoken.terminate().await;
    assert!(!honoken.home().output().contains("Lovelace"));
}

#[tokio::test]
async fn a_variable_that_cannot_be_read_stops_the_start_with_its_name() {
    let home = Home::new(PROGRAM).await;
    let mut command = home.command(&["dev", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
    command.env("HONOKEN_PUBLIC_URL", "not a url");
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("HONOKEN_PUBLIC_URL"), "{told}");
}

//! Certificates from the request to the pass that is signed with them, and what becomes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use honoken_pkpass::reader::{self, RootVerdict};
use honoken_tests::apple::{A_YEAR, Apple, Lasts, TEAM, fingerprint};
use honoken_tests::server::{Home, Ready};
use honoken_tests::storage::{HandmadeEvent, files_below};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Integrator, Operator, Serving, a_ticket, drawing, package};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::PROGRAM;

pub(crate) const PASS_TYPE: &str = "pass.com.example.ticket";

/// 32 bytes as hex, and as base64.
const KEY_ONE: &str = "6b657920666f72207465737473206f6e6c792c206e756d626572206f6e652121";
pub(crate) const KEY_TWO: &str = "a2V5IGZvciB0ZXN0cyBvbmx5LCBudW1iZXIgdHdvISE=";

pub(crate) const CURRENT: &str = "HONOKEN_ENCRYPTION_KEY_CURRENT";
pub(crate) const V1: (&str, &str) = ("HONOKEN_ENCRYPTION_KEY_V1", KEY_ONE);
pub(crate) const V2: (&str, &str) = ("HONOKEN_ENCRYPTION_KEY_V2", KEY_TWO);

/// An operator at a terminal, with a database that `dev` never saw, and Apple.
pub(crate) struct Office {
    pub(crate) home: Home,
    pub(crate) apple: Apple,
    variables: Vec<(String, String)>,
}

pub(crate) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n")
}

impl Office {
    /// With an encryption key in the environment, as all processes have it.
    pub(crate) async fn new() -> Self {
        Self::with(&[V1]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let home = Home::new(PROGRAM).await;
        fs::create_dir(home.data_dir()).expect("a data folder");
        let migrated = home.runs(&["migrate"]).await;
        assert!(migrated.status.success(), "{}", said(&migrated));
        let mut office = Self { home, apple: Apple::new().await, variables: Vec::new() };
        office.has(variables);
        office
    }

    /// From here on the environment has these variables, and no others.
    pub(crate) fn has(&mut self, variables: &[(&str, &str)]) {
        self.variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Runs a command on the data folder that ends by itself.
    pub(crate) async fn runs(&self, arguments: &[&str]) -> Output {
        let mut command = self.home.command(arguments);
        command.arg("--data-dir").arg(self.home.data_dir());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        output.expect("the command ends in time").expect("the program starts")
    }

    /// What a command that succeeds says on standard output.
    pub(crate) async fn does(&self, arguments: &[&str]) -> String {
        let output = self.runs(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command says that is refused, and does nothing.
    pub(crate) async fn is_refused(&self, arguments: &[&str]) -> String {
        let before = self.home.storage().recorded().await;
        let output = self.runs(arguments).await;
        assert!(!output.status.success(), "{arguments:?} was accepted: {}", said(&output));
        assert!(output.stdout.is_empty(), "{}", said(&output));
        assert_eq!(self.home.storage().recorded().await, before, "nothing has happened");
        said(&output)
    }

    /// Makes a key and a request for [`PASS_TYPE`] in a folder of that name.
    async fn requests(&self, name: &str) -> Requested {
        let folder = self.home.folder().join(name);
        let out = folder.to_str().expect("a path that is text");
        let output =
            self.home.command(&["certs", "request", "--pass-type", PASS_TYPE, "--out", out]).output();
        let output = output.await.expect("the program starts");
        assert!(output.status.success(), "{}", said(&output));
        Requested {
            key: folder.join(format!("{PASS_TYPE}.key")),
            request: folder.join(format!("{PASS_TYPE}.certSigningRequest")),
        }
    }

    /// From the request to Apple's answer.
    pub(crate) async fn gets_certificate(&self, name: &str, lasts: Lasts) -> Certified {
        let Requested { key, request } = self.requests(name).await;
        let certificate = self.apple.certifies(&request, PASS_TYPE, name, lasts).await;
        Certified { certificate, key }
    }

    pub(crate) fn installation<'a>(&self, certified: &'a Certified, more: &[&'a str]) -> Vec<String> {
        let intermediate = self.apple.intermediate_file();
        let files = [
            ("--certificate", certified.certificate.as_path()),
            ("--key", certified.key.as_path()),
            ("--intermediate", intermediate.as_path()),
        ];
        let mut arguments = vec!["certs".to_owned(), "install".to_owned()];
        for (name, file) in files {
            let file = file.to_str().expect("a path that is text");
            arguments.extend([name.to_owned(), file.to_owned()]);
        }
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        arguments
    }

    pub(crate) async fn installs(&self, certified: &Certified, more: &[&str]) -> String {
        let arguments = self.installation(certified, more);
        self.does(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    pub(crate) async fn is_refused_to_install(&self, certified: &Certified) -> String {
        let arguments = self.installation(certified, &[]);
        self.is_refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Certificate, organisation and pass type, all by one command.
    pub(crate) async fn is_set_up(&self) -> Certified {
        let certified = self.gets_certificate("first", A_YEAR).await;
        self.installs(&certified, &["--organization", "club", "--name", "The Club"]).await;
        certified
    }

    pub(crate) async fn makes_api_key(&self, label: &str) -> String {
        let create = ["keys", "create", "--organization", "club", "--name", "The Club", "--label", label];
        self.does(&create).await.trim().to_owned()
    }

    pub(crate) async fn serves(&self, name: &str) -> Serving {
        let serve = self.home.serve(name);
        self.variables
            .iter()
            .fold(serve, |serve, (name, value)| serve.with_variable(name, value))
            .start()
            .await
    }

    /// The certificates as `certs list --json` tells them, by pass type.
    pub(crate) async fn lists(&self) -> Value {
        serde_json::from_str(&self.does(&["certs", "list", "--json"]).await).expect("JSON")
    }
}

struct Requested {
    key: PathBuf,
    request: PathBuf,
}

/// What is installed.
pub(crate) struct Certified {
    certificate: PathBuf,
    key: PathBuf,
}

/// An integrator of [`PASS_TYPE`] with this key.
pub(crate) fn integrator(serving: &Serving, api_key: &str) -> Integrator {
    Integrator::new(&Ready {
        base_url: serving.base_url().to_owned(),
        api_key: api_key.to_owned(),
        admin_username: String::new(),
        admin_password: String::new(),
        pass_type_identifier: PASS_TYPE.to_owned(),
        serial_number: String::new(),
        ca_file: PathBuf::new(),
        data_dir: serving.ready().data_dir.clone(),
    })
}

/// Issues a ticket with an icon of its own: nobody has given the brand any image.
pub(crate) async fn issues(integrator: &Integrator, serial_number: &str) {
    let icon = integrator.uploads(&drawing::icon(7)).await;
    let mut order = integrator.order(serial_number, &a_ticket("1A"));
    order["assets"] = json!({ "icon.png": icon });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
}

/// The fingerprint of the certificate that signed a pass.
async fn signed_by(integrator: &Integrator, serial_number: &str) -> String {
    signer(&integrator.downloads(serial_number).await)
}

fn signer(pkpass: &[u8]) -> String {
    reader::inspect(pkpass).signature.expect("a signature").signer.expect("a signer").fingerprint
}

#[tokio::test]
async fn a_pass_is_signed_with_the_certificate_that_apple_gave_for_the_request() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    let integrator = integrator(&serving, &api_key);
    issues(&integrator, "A-1").await;

    let pkpass = integrator.downloads("A-1").await;
    package::assert_verifies(&pkpass, &office.apple.root()).await;
    assert_eq!(signer(&pkpass), fingerprint(&certified.certificate));
    let root = fs::read(office.apple.root()).unwrap();
    let report = reader::inspect_with_root(&pkpass, Some(&root));
    assert!(report.valid, "{report}");
    assert_eq!(report.signature.unwrap().root, RootVerdict::Trusted);
    let pass = report.pass.unwrap();
    assert_eq!(pass.organization_name.as_deref(), Some("The Club"));
    assert_eq!(pass.team_identifier.as_deref(), Some(TEAM));

    let ready = serving.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    assert_eq!(ready.json()["certificates"], json!({ "usable": 1, "expiring": 0, "unusable": 0 }));
}

#[tokio::test]
async fn a_request_has_a_key_for_its_owner_alone_and_is_never_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let office = Office::new().await;
    let Requested { key, request } = office.requests("first").await;
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = (fs::read(&key).unwrap(), fs::read(&request).unwrap());
    let out = key.parent().unwrap().to_str().unwrap();
    let again = office.home.command(&["certs", "request", "--pass-type", PASS_TYPE, "--out", out]).output();
    let again = again.await.unwrap();
    assert!(!again.status.success() && said(&again).contains("exists already"), "{}", said(&again));
    assert_eq!((fs::read(&key).unwrap(), fs::read(&request).unwrap()), before);
    let wrong = office.home.command(&["certs", "request", "--pass-type", "ticket", "--out", out]).output();
    let wrong = wrong.await.unwrap();
    assert!(
        wrong.status.code() == Some(2) && said(&wrong).contains("pass.com.example.ticket"),
        "{}",
        said(&wrong)
    );
}

#[tokio::test]
async fn a_renewed_certificate_signs_without_a_restart() {
    let office = Office::new().await;
    let first = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let mut serving = office.serves("serve").await;
    let process = serving.process().id();
    let before = integrator(&serving, &api_key);
    issues(&before, "A-1").await;
    assert_eq!(signed_by(&before, "A-1").await, fingerprint(&first.certificate));

    let renewed = office.gets_certificate("renewed", Lasts::days(-1, 700)).await;
    let told = office.installs(&renewed, &[]).await;
    assert!(told.contains("renewed") && told.contains(PASS_TYPE), "{told}");
    assert_eq!(serving.process().id(), process);
    let after = integrator(&serving, &api_key);
    eventually(PATIENCE, "the renewed certificate signs", async || {
        let pkpass = after.downloads("A-1").await;
        (signer(&pkpass) == fingerprint(&renewed.certificate)).then_some(())
    })
    .await;
    package::assert_verifies(&after.downloads("A-1").await, &office.apple.root()).await;
}

#[tokio::test]
async fn the_first_certificate_is_used_by_a_process_that_started_without_one() {
    let office = Office::new().await;
    let serving = office.serves("serve").await;
    serving.logs("no certificate is installed").await;
    office.is_set_up().await;
    let integrator = integrator(&serving, &office.makes_api_key("till").await);
    issues(&integrator, "A-1").await;
    eventually(PATIENCE, "the pass can be signed", async || {
        (integrator.pkpass("A-1").await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_revoked_certificate_signs_no_more_until_another_is_installed() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    issues(&integrator(&serving, &api_key), "A-1").await;
    integrator(&serving, &api_key).downloads("A-1").await;

    office.does(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;
    let refusal = office.is_refused(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;
    assert!(refusal.contains("no certificate is in use"), "{refusal}");
    assert_eq!(office.lists().await[0]["state"], "revoked");
    let phones = integrator(&serving, &api_key);
    eventually(PATIENCE, "nothing is signed any more", async || {
        (phones.pkpass("A-1").await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;

    office.installs(&certified, &[]).await;
    let phones = integrator(&serving, &api_key);
    eventually(PATIENCE, "it is signed again", async || {
        (phones.pkpass("A-1").await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_named_and_nothing_is_installed() {
    let office = Office::new().await;
    let good = office.gets_certificate("good", A_YEAR).await;
    let other = office.requests("other").await;
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let (certificate, key, wwdr) =
        (path(&good.certificate), path(&good.key), path(&office.apple.intermediate_file()));
    let tries = async |arguments: &[&str]| {
        let arguments = [&["certs", "install"][..], arguments].concat();
        office.is_refused(&arguments).await
    };

    let wrong_key = path(&other.key);
    let refusal = tries(&["--certificate", &certificate, "--key", &wrong_key, "--intermediate", &wwdr]).await;
    assert!(refusal.contains("the private key does not belong to the certificate"), "{refusal}");

    let refusal = tries(&["--certificate", &certificate, "--intermediate", &wwdr]).await;
    assert!(refusal.contains("without its private key"), "{refusal}");

    let older = path(&office.apple.older_intermediate_file());
    let refusal = tries(&["--certificate", &certificate, "--key", &key, "--intermediate", &older]).await;
    assert!(
        refusal.contains("Certification Authority, G4") && refusal.contains("Certification Authority, G3"),
        "{refusal}"
    );
    assert!(refusal.contains("https://www.apple.com/certificateauthority/"), "{refusal}");

    let refusal = tries(&["--certificate", &key, "--key", &key, "--intermediate", &wwdr]).await;
    assert!(refusal.contains("neither DER nor PEM nor PKCS #12"), "{refusal}");

    let missing = path(&office.home.folder().join("missing.cer"));
    let refusal = tries(&["--certificate", &missing, "--key", &key, "--intermediate", &wwdr]).await;
    assert!(refusal.contains("missing.cer"), "{refusal}");

    for (name, lasts, expected) in
        [("over", Lasts::days(-400, -2), "expired"), ("early", Lasts::days(2, 400), "not valid before")]
    {
        let file = path(&office.apple.certifies(&other.request, PASS_TYPE, name, lasts).await);
        let refusal = tries(&["--certificate", &file, "--key", &wrong_key, "--intermediate", &wwdr]).await;
        assert!(refusal.contains(expected), "{refusal}");
    }

    // A certificate for pushing to an app looks like this.
    let app = path(&office.apple.certifies(&other.request, "com.example.app", "app", A_YEAR).await);
    let refusal = tries(&["--certificate", &app, "--key", &wrong_key, "--intermediate", &wwdr]).await;
    assert!(
        refusal.contains("com.example.app") && refusal.contains("not a pass type identifier"),
        "{refusal}"
    );
    assert_eq!(office.lists().await, json!([]));
}

#[tokio::test]
async fn an_old_p12_is_installed_with_its_password_from_a_file_and_with_no_other() {
    let office = Office::new().await;
    let certified = office.gets_certificate("keychain", A_YEAR).await;
    let p12 = office.apple.exports("keychain", &certified.key, "geheim").await;
    let wwdr = office.apple.intermediate_file();
    let (p12, wwdr) = (p12.to_str().unwrap(), wwdr.to_str().unwrap());
    let password = |name: &str, text: &str| {
        let file = office.home.folder().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (password("right.txt", "geheim\n"), password("wrong.txt", "offen\n"));
    let install = ["certs", "install", "--certificate", p12, "--intermediate", wwdr];
    let refusal = office.is_refused(&install).await;
    assert!(refusal.contains("is encrypted"), "{refusal}");
    let refusal = office.is_refused(&[&install[..], &["--password-file", &wrong]].concat()).await;
    assert!(
        refusal.contains("the password does not open the .p12 file") && !refusal.contains("offen"),
        "{refusal}"
    );
    let told = office.does(&[&install[..], &["--password-file", &right]].concat()).await;
    assert!(told.contains("no organisation has") && told.contains("--organization"), "{told}");
    assert_eq!(office.lists().await[0]["fingerprint"], fingerprint(&certified.certificate));
}

#[tokio::test]
async fn a_certificate_of_another_team_or_organisation_does_not_take_over() {
    let office = Office::new().await;
    office.is_set_up().await;
    let Requested { key, request } = office.requests("foreign").await;
    let certificate = office.apple.certifies_for(&request, PASS_TYPE, "FOREIGN123", "foreign", A_YEAR).await;
    let foreign = Certified { certificate, key };
    let refused = async |certified: &Certified, more: &[&str]| {
        let arguments = office.installation(certified, more);
        office.is_refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let refusal = refused(&foreign, &[]).await;
    assert!(refusal.contains(TEAM) && refusal.contains("FOREIGN123"), "{refusal}");
    let renewed = office.gets_certificate("renewed", A_YEAR).await;
    let refusal = refused(&renewed, &["--organization", "others"]).await;
    assert!(refusal.contains("club") && refusal.contains("leave out --organization"), "{refusal}");
}

#[tokio::test]
async fn installing_twice_changes_nothing() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let before = office.home.storage().recorded().await;
    let told = office.installs(&certified, &["--organization", "club"]).await;
    assert!(told.contains("no change was made"), "{told}");
    assert_eq!(office.home.storage().recorded().await, before);
}

#[tokio::test]
async fn a_list_says_whose_a_certificate_is_and_how_long_it_lasts() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let listed = office.lists().await;
    let one = &listed[0];
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&one["passTypeIdentifier"], &one["teamIdentifier"]), (&json!(PASS_TYPE), &json!(TEAM)));
    assert_eq!(one["fingerprint"], fingerprint(&certified.certificate));
    assert_eq!(
        (&one["state"], &one["keyVersion"], &one["problem"]),
        (&json!("good"), &json!(1), &Value::Null)
    );
    assert!([395, 396].contains(&one["daysLeft"].as_i64().unwrap()), "{one}");
    let table = office.does(&["certs", "list"]).await;
    assert!(table.starts_with("PASS TYPE") && table.contains(PASS_TYPE) && table.contains("good"), "{table}");
}

/// A service with a pass, and a certificate that does not last long.
async fn serves_with_a_certificate_that_lasts(office: &Office, lasts: Lasts) -> (Serving, String) {
    let certified = office.gets_certificate("first", lasts).await;
    office.installs(&certified, &["--organization", "club", "--name", "The Club"]).await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    issues(&integrator(&serving, &api_key), "A-1").await;
    (serving, api_key)
}

async fn certificates_in_health(serving: &Serving) -> Value {
    let ready = serving.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);
    ready.json()["certificates"].clone()
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_announced() {
    let office = Office::new().await;
    let (serving, api_key) = serves_with_a_certificate_that_lasts(&office, Lasts::days(-350, 15)).await;
    integrator(&serving, &api_key).downloads("A-1").await;
    let warning = serving.logs("expires on").await;
    assert!(
        warning.contains("WARN") && warning.contains(PASS_TYPE) && warning.contains("honoken certs"),
        "{warning}"
    );
    let counted = certificates_in_health(&serving).await;
    assert_eq!(counted, json!({ "usable": 1, "expiring": 1, "unusable": 0 }));
    let asks = async |path: &str| {
        let answer = serving.request(Method::GET, path, HeaderMap::new(), "").await;
        String::from_utf8_lossy(&answer.assert_status(StatusCode::OK).body).into_owned()
    };
    let ready = asks("/health/ready").await;
    // Fifteen days, or a second less.
    let in_days = [", in 15 days", ", in 14 days"].iter().any(|words| ready.contains(words));
    assert!(ready.contains("\"note\":\"a certificate expires on ") && in_days, "{ready}");
    let metrics = asks("/metrics").await;
    for (days, count) in [(60, 1), (30, 1), (14, 0), (7, 0), (1, 0)] {
        let line = format!("honoken_certificates_ending{{within_days=\"{days}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn an_expired_certificate_signs_nothing_and_says_so_until_it_is_renewed() {
    let office = Office::new().await;
    let short = Lasts { until: time::Duration::seconds(20), ..A_YEAR };
    let (mut serving, api_key) = serves_with_a_certificate_that_lasts(&office, short).await;
    let phones = integrator(&serving, &api_key);
    eventually(PATIENCE, "the certificate expires", async || {
        let counted = certificates_in_health(&serving).await;
        (counted == json!({ "usable": 0, "expiring": 0, "unusable": 1 })).then_some(())
    })
    .await;
    // Another state, since what was signed once is kept.
    phones.moves_to("A-1", "2B").await;
    let refused = phones.pkpass("A-1").await;
    refused.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&refused.json()["code"], refused.header("retry-after")), (&json!("no_certificate"), None));
    let complaint = serving.logs("could not sign a pass").await;
    assert!(complaint.contains(PASS_TYPE) && complaint.contains("expired on"), "{}", serving.output());

    serving.terminate().await;
    serving.restart().await;
    let complaint = serving.logs("expired on").await;
    assert!(complaint.contains("ERROR") && complaint.contains(PASS_TYPE), "{}", serving.output());

    let renewed = office.gets_certificate("renewed", A_YEAR).await;
    office.installs(&renewed, &[]).await;
    let phones = integrator(&serving, &api_key);
    eventually(PATIENCE, "the pass is signed again", async || {
        (phones.pkpass("A-1").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(signed_by(&phones, "A-1").await, fingerprint(&renewed.certificate));
}

#[tokio::test]
async fn encryption_keys_are_rotated_step_by_step_and_the_old_one_is_needed_no_more() {
    let mut office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    assert_eq!(office.lists().await[0]["keyVersion"], 1);

    // Too early: nothing opens, and it is said which key is missing.
    office.has(&[V2]);
    let listed = office.lists().await;
    assert_eq!(listed[0]["state"], "unusable");
    assert!(listed[0]["problem"].as_str().unwrap().contains("encryption key 1"), "{listed}");
    let refusal = office.is_refused(&["keys", "reseal"]).await;
    assert!(refusal.contains(PASS_TYPE) && refusal.contains("encryption key 1"), "{refusal}");
    let mut blind = office.serves("blind").await;
    let complaint = blind.logs("cannot be used").await;
    assert!(complaint.contains("ERROR") && complaint.contains(PASS_TYPE), "{}", blind.output());
    assert!(complaint.contains("encryption key 1"), "{complaint}");
    let counted = certificates_in_health(&blind).await;
    assert_eq!(counted, json!({ "usable": 0, "expiring": 0, "unusable": 1 }));
    blind.terminate().await;

    // Another key of the same number is not taken for it.
    office.has(&[("HONOKEN_ENCRYPTION_KEY_V1", KEY_TWO)]);
    let listed = office.lists().await;
    assert!(listed[0]["problem"].as_str().unwrap().contains("another key has that number"), "{listed}");

    office.has(&[V1, V2, (CURRENT, "2")]);
    office.does(&["keys", "reseal"]).await;
    let resealed = office.home.storage().recorded().await;
    assert!(office.does(&["keys", "reseal"]).await.starts_with("0 certificates"));
    assert_eq!(office.home.storage().recorded().await, resealed, "the second time changes nothing");

    office.has(&[V2]);
    assert_eq!(
        (&office.lists().await[0]["keyVersion"], &office.lists().await[0]["state"]),
        (&json!(2), &json!("good"))
    );
    let serving = office.serves("serve").await;
    let integrator = integrator(&serving, &api_key);
    issues(&integrator, "A-1").await;
    assert_eq!(signed_by(&integrator, "A-1").await, fingerprint(&certified.certificate));
}

#[tokio::test]
async fn without_a_configured_key_a_folder_gets_its_own_and_a_database_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let mut office = Office::with(&[]).await;
    let certified = office.gets_certificate("first", A_YEAR).await;
    let arguments = office.installation(&certified, &["--organization", "club", "--name", "The Club"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let own = office.home.data_dir().join("secrets/encryption-key");
    if office.home.engine() == Engine::Postgres {
        let refusal = office.is_refused(&arguments).await;
        assert!(refusal.contains("HONOKEN_ENCRYPTION_KEY_V1"), "{refusal}");
        assert!(!own.exists(), "another process would not have it");
        let serving = office.serves("serve").await;
        serving.logs("HONOKEN_ENCRYPTION_KEY_V1").await;
        return;
    }
    let installed = office.runs(&arguments).await;
    assert!(
        installed.status.success() && said(&installed).contains("encryption-key"),
        "{}",
        said(&installed)
    );
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(office.lists().await[0]["keyVersion"], 0);
    let api_key = office.makes_api_key("till").await;
    let mut serving = office.serves("serve").await;
    issues(&integrator(&serving, &api_key), "A-1").await;
    integrator(&serving, &api_key).downloads("A-1").await;
    serving.terminate().await;

    // From there to one of the environment.
    office.has(&[V1]);
    assert_eq!(office.lists().await[0]["state"], "good", "the folder's own still opens");
    office.does(&["keys", "reseal"]).await;
    fs::remove_file(own).unwrap();
    assert_eq!(office.lists().await[0]["state"], "good");
}

#[tokio::test]
async fn a_variable_that_holds_no_key_is_named_and_not_repeated() {
    let mut office = Office::new().await;
    for (variable, value) in [V1.0, V2.0].map(|name| (name, "correct horse battery staple")) {
        office.has(&[(variable, value)]);
        let refusal = office.is_refused(&["certs", "list"]).await;
        assert!(refusal.contains(variable) && refusal.contains("32 bytes"), "{refusal}");
        assert!(!refusal.contains("horse"), "{refusal}");
    }
    office.has(&[V1, (CURRENT, "7")]);
    assert!(office.is_refused(&["certs", "list"]).await.contains(CURRENT));
}

/// What a private key looks like wherever it may have been written: PEM, its lines, DER, and their hex and Base64.
pub(crate) fn traces(key_file: &Path) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let pem = fs::read_to_string(key_file).expect("the key");
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(lines.concat()).expect("PEM holds Base64");
    // Parts of it as well: primes are in the middle.
    let parts = der.chunks(48).filter(|chunk| chunk.len() == 48).skip(1).step_by(4);
    let parts = parts.flat_map(|part| [part.to_vec(), hex::encode(part).into_bytes()]);
    let whole = [der.clone(), hex::encode(&der).into_bytes(), URL_SAFE_NO_PAD.encode(&der).into_bytes()];
    let lines = lines.iter().filter(|line| line.len() == 64).map(|line| line.as_bytes().to_vec());
    whole.into_iter().chain(lines).chain(parts).chain([b"PRIVATE KEY".to_vec()]).collect()
}

#[tokio::test]
async fn a_private_key_is_nowhere_to_be_found() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let mut serving = office.serves("serve").await;
    let integrator = integrator(&serving, &api_key);
    issues(&integrator, "A-1").await;
    integrator.downloads("A-1").await;
    serving.terminate().await;
    let listed = office.does(&["certs", "list", "--json"]).await;
    let storage = office.home.storage();
    let database = format!("{:?} {:?}", storage.recorded().await, storage.dump_read_model().await);
    assert!(database.contains("CertificateInstalled"), "the certificate is there");
    let mut places = vec![
        ("the list".to_owned(), listed.into_bytes()),
        ("the database".to_owned(), database.into_bytes()),
        ("the log".to_owned(), serving.output().into_bytes()),
    ];
    for file in files_below(&office.home.data_dir()) {
        places.push((file.display().to_string(), fs::read(&file).unwrap()));
    }
    let secrets = traces(&certified.key);
    assert!(secrets.len() > 20);
    for (place, bytes) in places {
        for secret in secrets.iter().chain([&api_key.clone().into_bytes(), &KEY_ONE.as_bytes().to_vec()]) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{} is in {place}", String::from_utf8_lossy(secret));
        }
    }
}

#[tokio::test]
async fn an_installation_that_was_killed_is_finished_by_the_next() {
    let office = Office::new().await;
    let certified = office.gets_certificate("first", A_YEAR).await;
    let arguments = office.installation(&certified, &["--organization", "club", "--name", "The Club"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let storage = office.home.storage();
    // Three events belong to it: it is killed as soon as the first of them is there, and then the second.
    for events in 1..=2 {
        let mut command = office.home.command(&arguments);
        command.arg("--data-dir").arg(office.home.data_dir()).env(V1.0, V1.1);
        let mut process = command.stdout(std::process::Stdio::null()).spawn().expect("the program starts");
        eventually(PATIENCE, "it has begun", async || {
            (storage.positions().await.len() >= events || process.try_wait().unwrap().is_some()).then_some(())
        })
        .await;
        process.kill().await.expect("it can be killed");
    }
    office.does(&arguments).await;
    let happened = storage.recorded().await;
    let of = |kind: &str| happened.values().filter(|event| event.aggregate_type == kind).count();
    assert_eq!((of("Organization"), of("PassType"), of("Certificate")), (1, 1, 1));

    let api_key = office.makes_api_key("till").await;
    let mut serving = office.serves("serve").await;
    issues(&integrator(&serving, &api_key), "A-1").await;
    serving.kill().await;
    serving.restart().await;
    let pkpass = integrator(&serving, &api_key).downloads("A-1").await;
    package::assert_verifies(&pkpass, &office.apple.root()).await;
}

#[tokio::test]
async fn dev_installs_the_certificate_of_its_folder_and_goes_on_with_it() {
    // Its certificates are files that were there before its log was, as those of earlier releases were.
    let mut honoken = crate::a_service().await;
    let folder = honoken.home().data_dir();
    let ready = honoken.ready().clone();
    let pem = fs::read_to_string(folder.join("certificates/pass.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(body).unwrap()
    };
    let expected = honoken_tests::etag::sha256(&der);
    assert_eq!(signed_by(&honoken.integrator(), &ready.serial_number).await, expected);
    let before = honoken.storage().recorded().await;

    honoken.terminate().await;
    honoken.restart().await;
    assert_eq!(honoken.storage().recorded().await, before, "a second start installs nothing");
    assert_eq!(signed_by(&honoken.integrator(), &ready.serial_number).await, expected);
    assert_eq!(honoken.ready().ca_file, ready.ca_file);

    // The encryption key is no secret that is made anew when it is lost: a certificate is sealed under it.
    honoken.terminate().await;
    let (key, aside) = (folder.join("secrets/encryption-key"), folder.join("aside"));
    fs::rename(&key, &aside).unwrap();
    let refused = said(&honoken.home().runs(&["dev", "--listen", "127.0.0.1:0"]).await);
    let what = format!("the certificate of {} (key 0)", ready.pass_type_identifier);
    assert!(refused.contains(&what) && !key.exists(), "{refused}");
    fs::rename(&aside, &key).unwrap();
    honoken.restart().await;
    assert_eq!(signed_by(&honoken.integrator(), &ready.serial_number).await, expected);
    honoken.terminate().await;

    // `serve` signs with it as well, and a certificate that is revoked stays so.
    let mut serving = honoken.home().serve("serve").start().await;
    assert_eq!(signed_by(&serving.integrator(&ready), &ready.serial_number).await, expected);
    serving.terminate().await;
    let revoked = honoken.home().runs(&["certs", "revoke", "--pass-type", &ready.pass_type_identifier]).await;
    assert!(revoked.status.success(), "{}", said(&revoked));
    serving.restart().await;
    let refused = serving.integrator(&ready).pkpass(&ready.serial_number).await;
    refused.assert_status(StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_change_that_was_parked_is_noticed_when_it_is_applied_after_all() {
    let mut office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let storage = office.home.storage();
    let happens = async |kind: &str, payload: Value| {
        let event = HandmadeEvent { aggregate_type: "Certificate", aggregate_id: PASS_TYPE, kind, payload };
        storage.appends(event).await
    };
    // What a newer release might have said of it, and then it was revoked: that waits behind what nobody understands.
    let parked = happens("CertificateBlessed", json!({ "CertificateBlessed": {} })).await;
    let fingerprint = fingerprint(&certified.certificate);
    happens("CertificateRevoked", json!({ "CertificateRevoked": { "fingerprint": fingerprint } })).await;
    // The certificate of another type comes later, and is seen first.
    let Requested { key, request } = office.requests("other").await;
    let certificate = office.apple.certifies(&request, "pass.com.example.other", "other", A_YEAR).await;
    office.installs(&Certified { certificate, key }, &[]).await;

    let (name, password) = ("operator", "correct horse battery staple");
    office.has(&[V1, ("HONOKEN_ADMIN_USERNAME", name), ("HONOKEN_ADMIN_PASSWORD", password)]);
    let serving = office.serves("serve").await;
    let phones = integrator(&serving, &api_key);
    issues(&phones, "A-1").await;
    phones.downloads("A-1").await;
    assert_eq!(certificates_in_health(&serving).await["usable"], 2);

    let operator = Operator::known_as(serving.base_url(), name, password);
    operator.skips(parked, "nobody was blessed").await.assert_status(StatusCode::NO_CONTENT);
    eventually(PATIENCE, "the certificate is revoked", async || {
        (certificates_in_health(&serving).await["usable"] == 1).then_some(())
    })
    .await;
    phones.pkpass("A-1").await.assert_status(StatusCode::SERVICE_UNAVAILABLE);
}

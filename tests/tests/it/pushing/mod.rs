//! From a change to the phone: through the built program to a stand-in for APNs, and through whatever breaks on the way.

mod admin_keys;
mod answers;
mod broker;
mod changes;
mod clock;
mod crashes;
mod disabled;
mod imported;
mod operator;
mod processes;
mod upgrade;

use std::collections::BTreeMap;
use std::fs;

use honoken_simulator::apns::{FakeApns, Options, TokenKey};
use honoken_tests::fleet::Fleet;
use honoken_tests::server::{Home, Ready};
use honoken_tests::storage::Part;
use honoken_tests::{Credentials, DeviceRoutes, Honoken, Integrator, Operator, Serve, Storage};
use http::{Method, StatusCode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::Value;

use crate::{PROGRAM, a_home_in};

/// The team of the sample organisation, and a name for a key of it.
const TEAM: &str = "HONOKENDEV";
const KEY: &str = "KEY1234567";

/// A `dev` that wakes phones through a stand-in for APNs, with its development certificate.
struct Stage {
    // Before the stand-in: a test that fails shows what the program printed.
    honoken: Honoken,
    apns: FakeApns,
}

/// Somewhere for `serve`, with an APNs key that the stand-in knows.
struct Backstage {
    /// A `dev` that has ended.
    home: Honoken,
    apns: FakeApns,
    ca_file: String,
}

impl Stage {
    /// Everything in one process, on the chosen engine.
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With further variables.
    async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Home::new(PROGRAM).await, variables).await
    }

    /// In a home of the test's choice.
    async fn on(home: Home, variables: &[(&str, &str)]) -> Self {
        // The certificates are made first: the stand-in has to know who signed them.
        let mut honoken = a_home_in(home).await;
        let authority = fs::read_to_string(&honoken.ready().ca_file).expect("the development root");
        let options = Options { client_authorities: Some(authority), ..Options::default() };
        let apns = FakeApns::start(options).expect("a stand-in for APNs");
        let ca_file = trusts(&honoken, &apns);
        honoken.has_variable("HONOKEN_APNS_ENDPOINT", apns.url());
        honoken.has_variable("HONOKEN_APNS_CA_FILE", ca_file);
        for (name, value) in variables {
            honoken.has_variable(name, *value);
        }
        honoken.restart().await;
        Self { honoken, apns }
    }
}

impl Backstage {
    async fn new() -> Self {
        Self::on(Home::new(PROGRAM).await).await
    }

    async fn on(home: Home) -> Self {
        let home = a_home_in(home).await;
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        let key = EcKey::generate(&group).expect("a key");
        let public = EcKey::from_public_key(&group, key.public_key()).expect("its public half");
        let p8 = home.home().folder().join("AuthKey_KEY1234567.p8");
        let pem = PKey::from_ec_key(key).and_then(|key| key.private_key_to_pem_pkcs8()).expect("PEM");
        fs::write(&p8, pem).expect("a file");
        let p8 = p8.to_str().expect("a path that is text");
        let install = ["apns-keys", "install", "--team-id", TEAM, "--key-id", KEY, p8];
        let installed = home.home().runs(&install).await;
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let key = TokenKey { team_id: TEAM.to_owned(), key_id: KEY.to_owned(), key: public, topics: None };
        let apns =
            FakeApns::start(Options { keys: vec![key], ..Options::default() }).expect("a stand-in for APNs");
        let ca_file = trusts(&home, &apns);
        Self { home, apns, ca_file }
    }

    /// How to start a `serve` that pushes there.
    fn serve(&self, name: &str) -> Serve {
        let serve = self.home.home().serve(name).with_variable("HONOKEN_APNS_ENDPOINT", &self.apns.url());
        let serve = serve.with_variable("HONOKEN_APNS_CA_FILE", &self.ca_file);
        let Ready { admin_username, admin_password, .. } = self.home.ready();
        serve
            // A thousand phones of one pass come from the one address of a test.
            .with_variable("RATE_LIMIT_REGISTRATIONS", "off")
            .with_variable("HONOKEN_ADMIN_USERNAME", admin_username)
            .with_variable("HONOKEN_ADMIN_PASSWORD", admin_password)
    }
}

/// Writes down whom a program has to trust to push there.
fn trusts(home: &Honoken, apns: &FakeApns) -> String {
    let file = home.home().folder().join("apns-ca.pem");
    apns.write_ca(&file).expect("a file");
    file.to_str().expect("a path that is text").to_owned()
}

/// Everybody who asks one process.
struct Cast {
    integrator: Integrator,
    operator: Operator,
    devices: DeviceRoutes,
    storage: Storage,
}

impl Cast {
    fn of(ready: &Ready, storage: Storage) -> Self {
        Self {
            integrator: Integrator::new(ready),
            operator: Operator::new(ready),
            devices: DeviceRoutes::below(format!("{}/v1", ready.base_url.trim_end_matches('/'))),
            storage,
        }
    }

    /// Issues a pass and has so many phones hold it.
    async fn has_phones(&self, serial_number: &str, phones: usize) -> (Credentials, Fleet) {
        self.integrator.issues(serial_number).await;
        let pass = self.integrator.credentials(serial_number).await;
        let fleet = Fleet::registers(&self.devices, std::slice::from_ref(&pass), 0..phones).await;
        (pass, fleet)
    }

    /// The state of pushing.
    async fn pushing(&self) -> Value {
        self.operator.pushing().await
    }

    /// Asks for something below `/admin` that has no body.
    async fn orders(&self, path: &str, status: StatusCode) -> Value {
        let answer = self.operator.request(Method::POST, path, &Value::Null).await;
        answer.assert_status(status);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Waits until everything that was changed has been said, and nobody is to be woken any more.
    async fn settles(&self) {
        self.operator.sees_everybody_woken().await;
    }

    /// The deliveries of a state of a pass, counted by what became of them.
    async fn deliveries(&self, serial_number: &str, etag: &str) -> BTreeMap<String, usize> {
        let sql = "select state from delivery where serial_number = $1 and etag = $2";
        let states = self.storage.reads(Part::Deliveries, sql, &[serial_number, etag]).await;
        let mut counted = BTreeMap::new();
        for state in states {
            *counted.entry(state).or_default() += 1;
        }
        counted
    }

    /// The deliveries that an integrator is shown, the newest first.
    async fn shown(&self, serial_number: &str) -> Vec<Value> {
        let state = self.integrator.state(serial_number).await;
        state["deliveries"].as_array().expect("deliveries are a list").clone()
    }

    /// Phones that hold a pass.
    async fn registrations(&self, serial_number: &str) -> u64 {
        self.integrator.state(serial_number).await["registrations"].as_u64().expect("a number")
    }
}

/// So many deliveries in one state.
fn all(count: usize, state: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(state.to_owned(), count)])
}

/// The push tokens that were woken since, without those of before.
#[track_caller]
fn assert_each_was_woken(apns: &FakeApns, fleet: &Fleet, times: usize) {
    let wakes = apns.wakes();
    for token in fleet.push_tokens() {
        let woken = wakes.get(&token).copied().unwrap_or_default();
        assert_eq!(woken, times, "a phone was woken {woken} times; {} pushes in all", apns.count());
    }
    assert!(apns.violations().is_empty(), "{:?}", apns.violations());
}

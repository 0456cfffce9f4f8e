//! Values that the environment may have, and values that stop the start.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use honoken_api::layers::rate_limits::{Failures, WINDOW};
use honoken_api::layers::registration_limits::REGISTRATIONS_PER_MINUTE;
use honoken_service::apns_keys::file::KeyFile;
use honoken_service::limits;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::X509;

use super::*;

/// The tables of `docs/configuration.md`.
fn table() -> String {
    let mut read = String::from("| Variable | Meaning | Default |\n| --- | --- | --- |\n");
    let mut others = String::from("| Variable | What happens when it is set |\n| --- | --- |\n");
    for Variable { name, effect } in variables() {
        let written = match effect {
            Effect::Read { meaning, default, secret } => {
                let secret = if *secret { " (secret)" } else { "" };
                writeln!(read, "| `{name}`{secret} | {meaning} | {default} |")
            }
            Effect::None(sentence) => writeln!(others, "| `{name}` | a warning: it {sentence} |"),
        };
        written.expect("a string takes everything");
    }
    format!("{read}\nThese are known, and do nothing:\n\n{others}")
}

/// A key as Apple would give it.
fn a_p8() -> Vec<u8> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap()
}

fn read(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(&|name| {
        assert!(variables().any(|known| known.name == name), "{name} is not among the variables");
        Ok(environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    })
}

#[track_caller]
fn refused(environment: &[(&str, &str)], variable: &str) {
    assert_eq!(read(environment).map(|_| ()).unwrap_err().variable, variable);
}

#[test]
fn nothing_needs_to_be_configured() {
    let config = read(&[]).unwrap();
    assert!(config.public_url.is_none() && config.admin.is_none() && config.warnings.is_empty());
}

#[test]
fn a_malformed_value_names_its_variable() {
    for url in ["passes.example.com", "ftp://a", "https://a?b", "https://a#b", "https://user@a", "http://"] {
        refused(&[("HONOKEN_PUBLIC_URL", url)], "HONOKEN_PUBLIC_URL");
    }
    for (variable, value) in [
        ("VERBOSE_LOGGING", "yes please"),
        ("LOG_FORMAT", "xml"),
        ("LOG_SAMPLE_SUCCESS_RATE", "2"),
        ("LOG_SAMPLE_SUCCESS_RATE", "-0.1"),
        ("LOG_SAMPLE_SUCCESS_RATE", "NaN"),
        ("HONOKEN_METRICS_LISTEN", "localhost"),
        ("HONOKEN_METRICS_LISTEN", "Public"),
        ("HONOKEN_ADMIN_LISTEN", "9443"),
        ("HONOKEN_ADMIN_SIGNING_KEY", "hunter2"),
        ("HONOKEN_ADMIN_SIGNING_KEY", "aHVudGVyMmh1bnRlcjI="),
        ("HONOKEN_REQUESTS_AT_WORK", "0"),
        ("HONOKEN_REQUESTS_WAITING", "-1"),
        ("HONOKEN_BUILDS_WAITING", "many"),
        ("RATE_LIMIT_MANAGE_PER_SECOND", "0"),
        ("RATE_LIMIT_FAILURES_PER_MINUTE", "x"),
        ("RATE_LIMIT_FAILURES_PER_MINUTE", "0"),
        ("RATE_LIMIT_REGISTRATIONS", "0"),
        ("RATE_LIMIT_REGISTRATIONS", "none"),
        ("RATE_LIMIT_GENERAL", "0"),
        ("RATE_LIMIT_GENERAL", "-5"),
        ("RATE_LIMIT_PASSKIT", "1e3"),
        ("RATE_LIMIT_PASSKIT", "4294967296"),
        ("RATE_LIMIT_WINDOW", "0"),
        ("RATE_LIMIT_WINDOW", "60s"),
        ("RATE_LIMIT_WINDOW", "86400001"),
        ("RATE_LIMIT_PROXIES", "yes"),
        ("OUTBOX_BATCH_SIZE", "0"),
        ("OUTBOX_BATCH_SIZE", "5001"),
        ("OUTBOX_RETRY_ATTEMPTS", "0"),
        ("OUTBOX_RETENTION_DAYS", "for ever"),
        ("HONOKEN_RETENTION_DAYS", "0"),
        ("HONOKEN_RETENTION_DAYS", "36501"),
        ("HONOKEN_ASSETS_URL", "/srv/images"),
        ("HONOKEN_ASSETS_URL", "ftp://images"),
        ("HONOKEN_ASSETS_CACHE_MIB", "-1"),
        ("HONOKEN_ASSETS_CACHE_MIB", "1 GiB"),
        ("HONOKEN_PUSH_WINDOW_SECONDS", "-1"),
        ("HONOKEN_PUSH_WINDOW_SECONDS", "86401"),
        ("HONOKEN_PUSHES_AT_WORK", "0"),
        ("HONOKEN_APNS_PUSH_TYPE", "alert"),
        ("HONOKEN_APNS_CONNECTIONS", "33"),
        ("NATS_URL", "localhost:4222"),
        ("NATS_URL", "http://localhost:4222"),
        ("NATS_URL", "nats://"),
        ("HONOKEN_PUBLIC_DOCTOR", "yes"),
        ("HONOKEN_INSPECT_ROOTS", "/no/such/file.pem"),
    ] {
        refused(&[(variable, value)], variable);
    }
    refused(&[("RATE_LIMIT_MANAGE_BURST", "5")], "RATE_LIMIT_MANAGE_PER_SECOND");
    refused(&[("HONOKEN_TLS_CERT_FILE", "a.pem")], "HONOKEN_TLS_KEY_FILE");
    refused(&[("HONOKEN_TLS_KEY_FILE", "a.key")], "HONOKEN_TLS_CERT_FILE");
    refused(&[("NATS_CA_FILE", "/a.pem")], "NATS_URL");
    refused(&[("NATS_URL", "tls://one"), ("NATS_CA_FILE", "/nowhere/a.pem")], "NATS_CA_FILE");
    refused(&[("NATS_URL", "tls://one"), ("NATS_CA_FILE", "/dev/null")], "NATS_CA_FILE");
    let file = std::env::current_exe().unwrap();
    let file = file.to_str().unwrap();
    refused(&[("NATS_URL", "tls://one"), ("NATS_CLIENT_CERT_FILE", file)], "NATS_CLIENT_KEY_FILE");
    refused(&[("NATS_URL", "tls://one"), ("NATS_CLIENT_KEY_FILE", file)], "NATS_CLIENT_CERT_FILE");
    refused(&[("HONOKEN_ADMIN_USERNAME", "a:b"), ("HONOKEN_ADMIN_PASSWORD", "x")], "HONOKEN_ADMIN_USERNAME");
}

#[test]
fn production_has_two_names_in_any_case_and_public_metrics_only_where_asked() {
    let of = |environment: &str, metrics: &str| {
        let config = read(&[("ENVIRONMENT", environment), ("HONOKEN_METRICS_LISTEN", metrics)]);
        let config = config.unwrap();
        (config.is_production(), config.has_public_metrics())
    };
    for name in ["production", "Production", "PROD", " prod "] {
        assert_eq!(of(name, "public"), (true, true), "{name}");
        assert_eq!(of(name, "127.0.0.1:9464"), (true, false), "{name}");
    }
    assert_eq!(of("products", "public"), (false, true));
    assert_eq!(of("staging", "127.0.0.1:9464"), (false, false));
}

#[test]
fn failures_and_registrations_are_limited_unless_something_else_is_said() {
    let rates = read(&[]).unwrap().rates;
    assert_eq!(rates.failures, Some(Failures::default()));
    assert_eq!(rates.registrations_per_minute, Some(REGISTRATIONS_PER_MINUTE));
    let rates = [("RATE_LIMIT_FAILURES_PER_MINUTE", "3"), ("RATE_LIMIT_REGISTRATIONS", "off")];
    let rates = read(&rates).unwrap().rates;
    let three = NonZeroU32::new(3).unwrap();
    assert_eq!(rates.failures, Some(Failures { passwords: three, keys: three, tokens: three }));
    assert_eq!(rates.registrations_per_minute, None);
}

#[test]
fn limits_in_a_window_are_off_unless_they_are_set() {
    let of = |variables: &[(&str, &str)]| {
        let config = read(variables).unwrap();
        assert_eq!(config.warnings, <[String; 0]>::default());
        let limit = |limit: Option<NonZeroU32>| limit.map(NonZeroU32::get);
        (limit(config.rates.general), limit(config.rates.passkit), config.rates.window)
    };
    assert_eq!(of(&[]), (None, None, None));
    assert_eq!(of(&[("RATE_LIMIT_GENERAL", "off"), ("RATE_LIMIT_PASSKIT", "7")]), (None, Some(7), None));
    let all = [("RATE_LIMIT_GENERAL", "9"), ("RATE_LIMIT_PASSKIT", "7"), ("RATE_LIMIT_WINDOW", "1500")];
    assert_eq!(of(&all), (Some(9), Some(7), Some(Duration::from_millis(1500))));
}

#[test]
fn further_roots_are_read_at_once_and_the_public_page_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, "no certificate").unwrap();
    refused(&[("HONOKEN_INSPECT_ROOTS", file.to_str().unwrap())], "HONOKEN_INSPECT_ROOTS");
    assert!(!read(&[]).unwrap().doctor.is_public);
    assert!(read(&[("HONOKEN_PUBLIC_DOCTOR", "true")]).unwrap().doctor.is_public);
}

#[test]
fn a_public_url_may_have_a_path_of_its_own() {
    for url in ["https://a", "https://a:8443/", "https://a/wallet", "https://a/b/c/", "https://a/api"] {
        assert!(read(&[("HONOKEN_PUBLIC_URL", url)]).is_ok(), "{url}");
    }
}

#[test]
fn half_a_pair_of_credentials_names_the_other_half() {
    refused(&[("HONOKEN_ADMIN_USERNAME", "admin")], "HONOKEN_ADMIN_PASSWORD");
    refused(&[("HONOKEN_ADMIN_PASSWORD", "secret")], "HONOKEN_ADMIN_USERNAME");
}

#[test]
fn an_event_store_is_a_kurrentdb_whose_password_is_not_repeated() {
    let event_store =
        |url| read(&[("HONOKEN_EVENT_STORE_URL", url)]).map(|config| config.event_store.unwrap());
    for url in [
        "esdb://localhost",
        "kurrentdb://u:hush@one:2113,two:2113?tls=false&prefix=tickets",
        "esdb+discover://db:2113",
    ] {
        assert!(!event_store(url).unwrap().place().contains("hush"), "{url}");
    }
    for url in
        ["postgres://u:hush@localhost/h", "esdb://u:hush@db/path", "esdb://u:hush@db?prefix=a_b", "hush"]
    {
        let refused = event_store(url).unwrap_err();
        assert_eq!(refused.variable, "HONOKEN_EVENT_STORE_URL", "{url}");
        assert!(!refused.to_string().contains("hush"), "{refused}");
    }
}

#[test]
fn a_database_is_a_folder_or_a_server() {
    let database = |url| read(&[("DATABASE_URL", url)]).unwrap().database.unwrap();
    for url in ["sqlite:/var/lib/h", "sqlite:///var/lib/h", "sqlite:/var/lib/h?mode=rwc"] {
        assert!(
            matches!(database(url), Database::Folder(folder) if folder == Path::new("/var/lib/h")),
            "{url}"
        );
    }
    for url in ["postgres://localhost/h", "postgresql://u:p@[::1]:5433/h?sslmode=require"] {
        assert!(matches!(database(url), Database::Postgres(_)), "{url}");
    }
    for url in ["mysql://localhost/h", "honoken.sqlite", "sqlite:", "postgres://localhost:x/h"] {
        refused(&[("DATABASE_URL", url)], "DATABASE_URL");
    }
}

#[test]
fn the_password_of_a_database_is_never_repeated() {
    for url in ["postgres://u:hunter2@localhost:x/h", "mysql://u:hunter2@localhost/h"] {
        let fault = read(&[("DATABASE_URL", url)]).unwrap_err().to_string();
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    let config = read(&[("DATABASE_URL", "postgres://u:hunter2@localhost/h")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_broker_may_be_several_servers_and_its_password_is_never_repeated() {
    let config = read(&[("NATS_URL", "nats://u:hunter2@one:4222, tls://two")]).unwrap();
    assert!(config.nats.is_some() && !format!("{config:?}").contains("hunter2"));
    let fault = read(&[("NATS_URL", "nats://u:hunter2@one:x")]).unwrap_err().to_string();
    assert!(!fault.contains("hunter2"), "{fault}");
    refused(&[("NATS_CREDS_FILE", "/etc/honoken.creds")], "NATS_URL");
    let nowhere = [("NATS_URL", "nats://one"), ("NATS_CREDS_FILE", "/nowhere/honoken.creds")];
    refused(&nowhere, "NATS_CREDS_FILE");
}

#[test]
fn obsolete_variables_are_named_and_unknown_ones_ignored() {
    let config = read(&[("APNS_ENV", "sandbox"), ("SOMETHING_ELSE", "1")]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].starts_with("APNS_ENV is obsolete"));
}

#[test]
fn an_encryption_key_is_named_when_it_is_none() {
    let (one, two) = ("ab".repeat(32), "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=".to_owned());
    let current = |variables: &[(&str, &str)]| read(variables).unwrap().encryption_keys.unwrap().current();
    let (v1, v2) = (("HONOKEN_ENCRYPTION_KEY_V1", &*one), ("HONOKEN_ENCRYPTION_KEY_V2", &*two));
    let named = |text| ("HONOKEN_ENCRYPTION_KEY_CURRENT", text);
    assert!(read(&[]).unwrap().encryption_keys.is_none());
    assert_eq!(current(&[v2]), 2);
    assert_eq!(current(&[v1, v2, named("1")]), 1);
    assert_eq!(current(&[v1, v2, named("v2")]), 2);
    refused(&[v1, v2], "HONOKEN_ENCRYPTION_KEY_CURRENT");
    for wrong in ["3", "two", "-1"] {
        refused(&[v1, named(wrong)], "HONOKEN_ENCRYPTION_KEY_CURRENT");
    }
    refused(&[named("1")], "HONOKEN_ENCRYPTION_KEY_CURRENT");
    let fault = read(&[v1, ("HONOKEN_ENCRYPTION_KEY_V9", "hunter2hunter2")]).unwrap_err();
    assert_eq!(fault.variable, "HONOKEN_ENCRYPTION_KEY_V9");
    assert!(!fault.to_string().contains("hunter2"));
}

#[test]
fn apns_is_reached_where_the_variables_say() {
    let endpoint = |text| read(&[("HONOKEN_APNS_ENDPOINT", text)]).unwrap().apns.endpoint.unwrap();
    assert_eq!(endpoint("https://localhost:8443").as_str(), "https://localhost:8443/");
    for wrong in ["localhost:8443", "http://localhost", "https://a/3/device", "https://u:p@a", "https://a?b"]
    {
        refused(&[("HONOKEN_APNS_ENDPOINT", wrong)], "HONOKEN_APNS_ENDPOINT");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let ca = file("ca.pem", &a_certificate());
    let found = read(&[("HONOKEN_APNS_CA_FILE", &ca)]).unwrap().apns.ca_file;
    assert_eq!(found.as_deref(), Some(Path::new(&ca)));
    for wrong in [file("empty.pem", b""), file("key.pem", &a_p8()), "/nowhere/ca.pem".to_owned()] {
        refused(&[("HONOKEN_APNS_CA_FILE", &wrong)], "HONOKEN_APNS_CA_FILE");
    }
}

fn a_certificate() -> Vec<u8> {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    let key = openssl::pkey::PKey::private_key_from_pem(&a_p8()).unwrap();
    let mut certificate = X509::builder().unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    certificate.build().to_pem().unwrap()
}

#[test]
fn an_apns_key_is_a_text_or_a_file_and_comes_with_its_names() {
    let p8 = String::from_utf8(a_p8()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("AuthKey_KEY1234567.p8");
    std::fs::write(&file, &p8).unwrap();
    let (team, key) = (("APNS_TEAM_ID", "ABCDE12345"), ("APNS_KEY_ID", "KEY1234567"));
    let configured = |text: &str| read(&[team, key, ("APNS_AUTH_KEY_P8", text)]).unwrap().apns.key.unwrap();
    let fingerprint = KeyFile::read(p8.as_bytes()).unwrap().fingerprint;
    for text in [&p8, &p8.replace('\n', "\\n"), &p8.replace('\n', "\\r\\n"), file.to_str().unwrap()] {
        let found = configured(text);
        assert_eq!(
            (found.id.to_string(), &found.file.fingerprint),
            ("ABCDE12345/KEY1234567".to_owned(), &fingerprint)
        );
    }
    assert!(read(&[]).unwrap().apns.key.is_none());

    let text = ("APNS_AUTH_KEY_P8", p8.as_str());
    refused(&[key, text], "APNS_TEAM_ID");
    refused(&[team, text], "APNS_KEY_ID");
    refused(&[team, key], "APNS_AUTH_KEY_P8");
    refused(&[("APNS_TEAM_ID", "abcde12345"), key, text], "APNS_TEAM_ID");
    refused(&[team, ("APNS_KEY_ID", "KEY123"), text], "APNS_KEY_ID");
}

#[test]
fn an_apns_key_is_never_repeated() {
    let p8 = String::from_utf8(a_p8()).unwrap();
    let body = p8.lines().nth(1).unwrap();
    let (team, key) = (("APNS_TEAM_ID", "ABCDE12345"), ("APNS_KEY_ID", "KEY1234567"));
    let config = read(&[team, key, ("APNS_AUTH_KEY_P8", &p8)]).unwrap();
    assert!(!format!("{config:?}").contains(body));
    let cut_off = p8.replace(body, &body[..20]);
    for text in [body, &cut_off, "/nowhere/secret-name.p8", &body.repeat(200)] {
        let fault = read(&[team, key, ("APNS_AUTH_KEY_P8", text)]).unwrap_err();
        assert_eq!(fault.variable, "APNS_AUTH_KEY_P8");
        assert!(
            !fault.to_string().contains(&body[..20]) && !fault.to_string().contains("secret-name"),
            "{fault}"
        );
    }
}

#[test]
fn every_variable_that_the_table_says_is_read_is_read() {
    let asked = RefCell::new(BTreeSet::new());
    let environment = |name| {
        asked.borrow_mut().insert(name);
        Ok(None)
    };
    Config::read(&environment).unwrap();
    // A command reads its own alone.
    import::api_key(&environment).unwrap();
    let known: BTreeSet<&str> = variables().map(|variable| variable.name).collect();
    assert_eq!(asked.into_inner(), known);
    assert_eq!(known.len(), variables().count(), "a variable is declared twice");
}

#[test]
fn defaults_in_the_table_are_those_of_the_code() {
    for (name, default) in [
        ("HONOKEN_REQUESTS_AT_WORK", load_shedding::Options::default().requests_at_work.to_string()),
        ("HONOKEN_REQUESTS_WAITING", load_shedding::Options::default().requests_waiting.to_string()),
        ("HONOKEN_BUILDS_WAITING", limits::BUILDS_WAITING.to_string()),
        ("RATE_LIMIT_REGISTRATIONS", REGISTRATIONS_PER_MINUTE.to_string()),
        ("RATE_LIMIT_WINDOW", WINDOW.as_millis().to_string()),
        ("OUTBOX_BATCH_SIZE", options::Options::default().batch_size.to_string()),
        ("OUTBOX_RETRY_ATTEMPTS", options::Options::default().retry_attempts.to_string()),
        ("OUTBOX_RETENTION_DAYS", options::Options::default().retention_days.to_string()),
        ("HONOKEN_RETENTION_DAYS", RetentionDays::default().0.to_string()),
        ("HONOKEN_PUSH_WINDOW_SECONDS", options::PUSH_WINDOW_SECONDS.to_string()),
        ("HONOKEN_PUSHES_AT_WORK", options::Options::default().at_work.to_string()),
        ("HONOKEN_APNS_CONNECTIONS", options::Options::default().connections.to_string()),
        ("LOG_SAMPLE_SUCCESS_RATE", Logging::default().sample_success_rate.to_string()),
        ("VERBOSE_LOGGING", Logging::default().verbose.to_string()),
        ("SERVICE_NAME", Identity::default().service),
    ] {
        let declared = variables().find(|variable| variable.name == name).unwrap();
        assert!(
            matches!(declared.effect, Effect::Read { default: said, .. } if said == format!("`{default}`")),
            "{name}"
        );
    }
}

#[test]
fn the_documented_variables_are_those_of_the_code() {
    honoken_test_documents::check("docs/configuration.md", "variables", &table());
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let key = read(&[("HONOKEN_ADMIN_SIGNING_KEY", &"abcd".repeat(11))]).unwrap();
    assert!(key.admin_signing_key.is_some() && !format!("{key:?}").contains("abcd"));
    let fault = read(&[("HONOKEN_ADMIN_SIGNING_KEY", "hunter2")]).unwrap_err().to_string();
    assert!(fault.contains("openssl rand -base64 32") && !fault.contains("hunter2"), "{fault}");
    let config = read(&[("HONOKEN_ENCRYPTION_KEY_V1", &"ab".repeat(32))]).unwrap();
    assert!(!format!("{config:?}").contains("abab") && !format!("{config:?}").contains("171, 171"));
    let config = read(&[("HONOKEN_ADMIN_USERNAME", "admin"), ("HONOKEN_ADMIN_PASSWORD", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

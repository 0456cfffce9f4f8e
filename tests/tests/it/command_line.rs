//! What the program says to somebody at a terminal: help that teaches, hints, completions, and reports for programs.

use std::process::Output;

use honoken_tests::Engine;
use honoken_tests::server::Home;
use serde_json::Value;

use crate::{PROGRAM, a_service};

async fn runs(arguments: &[&str]) -> Output {
    let home = Home::on(Engine::Sqlite, PROGRAM).await;
    let output = home.command(arguments).output().await.expect("the program starts");
    assert_eq!(std::fs::read_dir(home.folder()).expect("the folder").count(), 0, "nothing was made");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_help_of_every_command_has_an_example_of_it() {
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut with_examples = 0;
    while let Some(path) = open.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = runs(&arguments).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{path:?}");
        let help = text(&output.stdout);
        let below = commands(&help);
        if below.is_empty() {
            let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{path:?}: {help}"));
            let call = format!("honoken {}", path.join(" "));
            assert!(examples.contains(&call), "{call}: {examples}");
            with_examples += 1;
        }
        open.extend(below.into_iter().map(|name| [path.clone(), vec![name]].concat()));
    }
    assert!(with_examples >= 15, "{with_examples} commands were found");
}

#[tokio::test]
async fn what_nobody_knows_ends_with_2_and_a_hint() {
    for (arguments, hint) in [
        (&["serv"][..], "serve"),
        (&["certs", "instal"], "install"),
        (&["keys", "create", "--organisation", "club"], "--organization"),
        (&["certs", "install"], "--certificate"),
        (&["completions", "tcsh"], "fish"),
    ] {
        let output = runs(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(hint) && output.stdout.is_empty(), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn each_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = runs(&["completions", shell]).await;
        assert!(output.status.success() && output.stderr.is_empty());
        let script = text(&output.stdout);
        for word in ["honoken", "certs", "reseal", "password-file"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = text(&runs(&["completions", "bash"]).await.stdout);
    let home = Home::on(Engine::Sqlite, PROGRAM).await;
    let file = home.folder().join("completions.bash");
    std::fs::write(&file, script).unwrap();
    let ask = format!(
        "source {}; COMP_WORDS=(honoken certs re); COMP_CWORD=2; _honoken honoken re certs; echo ${{COMPREPLY[*]}}",
        file.display()
    );
    let output = tokio::process::Command::new("/bin/bash").args(["-c", &ask]).output().await.unwrap();
    let offered = text(&output.stdout);
    assert_eq!(
        offered.split_whitespace().collect::<Vec<_>>(),
        ["request", "revoke"],
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn an_inspection_is_a_report_for_programs_with_the_same_keys_each_time() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let pass = integrator.downloads(&honoken.ready().serial_number).await;
    honoken.terminate().await;
    let place = |name: &str, bytes: &[u8]| {
        let file = honoken.home().folder().join(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let good = place("good.pkpass", &pass);
    let cut = place("cut.pkpass", &pass[..pass.len() / 2]);
    let empty = place("empty.pkpass", b"");
    let root = honoken.ready().ca_file.to_str().unwrap().to_owned();
    let inspects = async |arguments: &[&str]| {
        let arguments = [&["inspect"][..], arguments].concat();
        honoken.home().command(&arguments).output().await.expect("the program starts")
    };

    let keys = ["files", "findings", "missingFiles", "pass", "problems", "signature", "valid"];
    for (file, code) in [(&good, 0), (&cut, 1), (&empty, 1)] {
        let output = inspects(&["--json", "--root", &root, file]).await;
        assert_eq!(output.status.code(), Some(code), "{file}: {}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mut found: Vec<&String> = report.as_object().unwrap().keys().collect();
        found.sort();
        assert_eq!(found, keys, "{file}");
        assert_eq!(report["valid"], code == 0, "{file}");
        assert_eq!(report["problems"].as_array().unwrap().is_empty(), code == 0, "{file}");
    }
    let output = inspects(&["--json", "--root", &root, &good]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["pass"]["serialNumber"], honoken.ready().serial_number);
    assert_eq!(report["signature"]["root"]["verdict"], "trusted");
    assert_eq!(report["signature"]["signer"]["uid"], honoken.ready().pass_type_identifier);
    assert!(report["files"].as_array().unwrap().iter().all(|file| file["manifest"].is_string()));

    let people = inspects(&["--root", &root, &good]).await;
    assert!(people.status.code() == Some(0) && text(&people.stdout).starts_with("valid\n"));
    let missing = inspects(&["--json", "missing.pkpass"]).await;
    assert!(missing.status.code() == Some(1) && missing.stdout.is_empty());
    assert!(text(&missing.stderr).contains("missing.pkpass"));
}

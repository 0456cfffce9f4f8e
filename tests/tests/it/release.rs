//! Which release runs, and which commit it was built from: one answer, wherever somebody asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use honoken::release::COMMIT;
use honoken_tests::waiting::{PATIENCE, eventually};
use http::{HeaderMap, Method};
use serde_json::Value;
use tempfile::TempDir;

use crate::{a_home_for_serve, a_service};

/// That of every crate of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

#[tokio::test]
async fn the_command_line_the_document_the_metrics_and_the_log_name_one_release() {
    let home = a_home_for_serve().await;
    let output = home.home().command(&["--version"]).output().await.expect("the program starts");
    let short: String = COMMIT.chars().take(12).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("honoken {VERSION} ({short})\n"));

    let serving = home.home().serve("released").start().await;
    let document = serving.request(Method::GET, "/openapi.json", HeaderMap::new(), "").await.json();
    assert_eq!(document["info"]["version"], VERSION);

    let build = format!(
        r#"honoken_build_info{{environment="production",git_sha="{COMMIT}",service_name="honoken",service_version="{VERSION}"}}"#
    );
    let metrics = serving.metrics().await;
    assert!((metrics.get(&build) - 1.0).abs() < f64::EPSILON, "{metrics:#?}");

    let line = eventually(PATIENCE, "the line of the request", async || {
        let printed = serving.output();
        let line = printed.lines().find(|line| line.contains("GET /openapi.json 200"))?;
        Some(serde_json::from_str::<Value>(line).expect("JSON"))
    })
    .await;
    assert_eq!((&line["service.version"], &line["git.sha"]), (&VERSION.into(), &COMMIT.into()), "{line}");
}

#[tokio::test]
async fn the_committed_document_is_what_the_service_answers() {
    let file = fs::read_to_string(workspace().join("docs/openapi.json")).expect("the file");
    let committed: Value = serde_json::from_str(&file).expect("JSON");
    let honoken = a_service().await;
    let answered = honoken.request(Method::GET, "/openapi.json", HeaderMap::new(), "").await.json();
    let advice = "run `WRITE_DOCS=1 cargo test --workspace the_documented` and commit docs/openapi.json";
    assert!(committed == answered, "{advice}");
}

/// The sources of a build, in a folder of their own, and the script that finds out what is built.
struct Sources {
    folder: TempDir,
    root: PathBuf,
}

impl Sources {
    /// Below a folder, at this path.
    fn at(path: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join(path);
        fs::create_dir_all(root.join("honoken")).expect("a folder");
        Self { folder, root }
    }

    /// What the build script says of the sources at a folder, line by line; every file that it watches is there, so that cargo runs it again
    /// when it must and no oftener.
    fn build(&self, root: &Path, given: Option<&str>) -> Vec<String> {
        let program = self.folder.path().join("build-script");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-o"]).arg(&program).arg(workspace().join("honoken/build.rs"));
        rustc.env("CARGO_MANIFEST_DIR", root.join("honoken")).env("CARGO_PKG_VERSION", "1.2.3");
        match given {
            Some(commit) => rustc.env("GIT_SHA", commit),
            None => rustc.env_remove("GIT_SHA"),
        };
        assert!(rustc.status().expect("rustc runs").success());
        let output =
            Command::new(&program).current_dir(root.join("honoken")).output().expect("the script runs");
        let lines: Vec<String> =
            String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
        let watched = lines.iter().filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="));
        for file in watched.filter(|file| *file != "build.rs") {
            assert!(root.join("honoken").join(file).exists(), "{file}");
        }
        lines
    }
}

/// What git answers in a folder.
fn git(root: &Path, arguments: &str) -> String {
    let who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"];
    let output = Command::new("git").args(who).args(arguments.split(' ')).current_dir(root).output();
    let output = output.expect("git runs");
    assert!(output.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn commits(root: &Path) -> String {
    git(root, "commit --quiet --allow-empty --message change");
    git(root, "rev-parse HEAD")
}

/// The script has found this commit, and watches a file whose path ends so.
#[track_caller]
fn assert_built(lines: &[String], commit: &str, watched: &str) {
    let short: String = commit.chars().take(12).collect();
    for line in [
        format!("cargo::rustc-env=HONOKEN_COMMIT={commit}"),
        format!("cargo::rustc-env=HONOKEN_VERSION=1.2.3 ({short})"),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    assert!(
        lines.iter().any(|line| line.starts_with("cargo::rerun-if-changed=") && line.ends_with(watched)),
        "{lines:#?}"
    );
}

#[test]
fn a_build_knows_the_commit_that_is_checked_out_and_when_it_is_another() {
    let sources = Sources::at("honoken");
    let root = sources.root.as_path();
    git(root, "init --quiet --initial-branch=main");
    let first = commits(root);
    assert_built(&sources.build(root, None), &first, "refs/heads/main");

    // After this the branch has no file of its own until its next commit.
    git(root, "pack-refs --all");
    assert_built(&sources.build(root, None), &first, "logs/HEAD");
    let second = commits(root);
    assert_built(&sources.build(root, None), &second, "refs/heads/main");

    git(root, &format!("checkout --quiet --detach {first}"));
    assert_built(&sources.build(root, None), &first, "HEAD");

    let beside = sources.folder.path().join("beside");
    git(root, &format!("worktree add --quiet {} main", beside.display()));
    fs::create_dir(beside.join("honoken")).expect("a folder");
    assert_built(&sources.build(&beside, None), &second, "refs/heads/main");
}

#[test]
fn a_commit_that_is_given_to_a_build_wins() {
    let sources = Sources::at("honoken");
    git(&sources.root, "init --quiet");
    commits(&sources.root);
    assert_built(&sources.build(&sources.root, Some("c0ffee")), "c0ffee", "build.rs");
}

#[test]
fn an_archive_of_the_sources_is_of_an_unknown_commit_inside_another_repository_too() {
    let sources = Sources::at("another/honoken");
    assert_built(&sources.build(&sources.root, None), "unknown", "build.rs");
    let another = sources.folder.path().join("another");
    git(&another, "init --quiet");
    commits(&another);
    assert_built(&sources.build(&sources.root, None), "unknown", "build.rs");
}

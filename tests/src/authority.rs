//! An authority for the certificates of servers and of their clients, played with `openssl`.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Command;

/// An authority in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A new one; its own certificate is `ca.pem`.
    ///
    /// # Panics
    ///
    /// When `openssl` is missing or refuses.
    pub async fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        authority
            .issues("ca", &["-subj", "/CN=Brokers", "-addext", "basicConstraints=critical,CA:TRUE"])
            .await;
        authority
    }

    /// Makes `NAME.pem` and `NAME.key`, signed by the authority, or makes them anew.
    pub async fn certifies(&self, name: &str, subject_alternative_name: &str, usage: &str) {
        let names = format!("subjectAltName={subject_alternative_name}");
        let usage = format!("extendedKeyUsage={usage}");
        let subject = format!("/CN={name}");
        let leaf = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-subj",
            &subject,
            "-addext",
            &names,
            "-addext",
            &usage,
        ];
        self.issues(name, &[&leaf[..], &["-CA", "ca.pem", "-CAkey", "ca.key"]].concat()).await;
    }

    async fn issues(&self, name: &str, more: &[&str]) {
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        let begin = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ];
        let mut command = Command::new("openssl");
        command.args(begin).args(["-keyout", &key, "-out", &out]).args(more).current_dir(self.folder.path());
        let output = command.output().await.expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The path of a file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn text(&self, name: &str) -> String {
        self.file(name).to_str().expect("a path that is text").to_owned()
    }
}

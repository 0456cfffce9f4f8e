//! Apple's part in the life of a certificate, played with `openssl`: a root, intermediates of two generations, and certificates for requests.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::process::Command;

use crate::etag;

/// The team that certificates are for.
pub const TEAM: &str = "TEAM123456";

/// An authority in a folder of its own.
#[derive(Debug)]
pub struct Apple {
    folder: TempDir,
}

const CONFIGURATION: &str = "
[ca]
default_ca = wwdr
[wwdr]
database = index.txt
serial = serial
new_certs_dir = .
certificate = wwdr-g4.pem
private_key = wwdr-g4.key
default_md = sha256
policy = policy
x509_extensions = leaf
unique_subject = no
email_in_dn = no
string_mask = utf8only
[policy]
UID = supplied
CN = supplied
OU = optional
O = supplied
C = supplied
[leaf]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
# Apple's mark of certificates for pass types.
1.2.840.113635.100.6.1.16 = ASN1:UTF8String:pass
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
";

/// How long a certificate lasts, counted from now; either may be in the past.
#[derive(Debug, Clone, Copy)]
pub struct Lasts {
    /// First second.
    pub from: Duration,
    /// Last second.
    pub until: Duration,
}

impl Lasts {
    /// From one day to another.
    pub const fn days(from: i64, until: i64) -> Self {
        Self { from: Duration::days(from), until: Duration::days(until) }
    }
}

/// As Apple has it.
pub const A_YEAR: Lasts = Lasts::days(-1, 396);

impl Apple {
    /// A fresh authority.
    ///
    /// # Panics
    ///
    /// When `openssl` is missing or refuses.
    pub async fn new() -> Self {
        let apple = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        fs::write(apple.file("apple.cnf"), CONFIGURATION).expect("a configuration");
        fs::write(apple.file("index.txt"), "").expect("a database");
        fs::write(apple.file("serial"), "5F0A3C01").expect("a serial number");
        let subject = "/CN=Apple Root CA/OU=Apple Certification Authority/O=Apple Inc./C=US";
        let root = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-keyout", "root.key", "-out",
            "root.pem",
        ];
        apple.openssl(&[&root[..], &["-subj", subject]].concat()).await;
        for generation in ["G3", "G4"] {
            apple.intermediate(generation).await;
        }
        apple
    }

    async fn intermediate(&self, generation: &str) {
        let name = format!("wwdr-{}", generation.to_lowercase());
        let [key, request, pem, cer] =
            [".key", ".csr", ".pem", ".cer"].map(|ending| format!("{name}{ending}"));
        let subject = format!(
            "/CN=Apple Worldwide Developer Relations Certification Authority/OU={generation}/O=Apple Inc./C=US"
        );
        let new =
            ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", &subject];
        self.openssl(&new).await;
        let sign = [
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-out",
            &pem,
        ];
        let extend = ["-days", "3000", "-extfile", "apple.cnf", "-extensions", "authority"];
        self.openssl(&[&sign[..], &extend].concat()).await;
        // Apple hands its intermediates out as DER.
        self.openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &cer]).await;
    }

    /// Answers a request as Apple does: its key, and a subject of Apple's own. The file is DER, and called `{name}.cer`.
    ///
    /// # Panics
    ///
    /// When `openssl` does not take the request.
    pub async fn certifies(&self, request: &Path, pass_type: &str, name: &str, lasts: Lasts) -> PathBuf {
        self.certifies_for(request, pass_type, TEAM, name, lasts).await
    }

    /// The same for another team.
    ///
    /// # Panics
    ///
    /// When `openssl` does not take the request.
    pub async fn certifies_for(
        &self,
        request: &Path,
        pass_type: &str,
        team: &str,
        name: &str,
        lasts: Lasts,
    ) -> PathBuf {
        let subject = format!("/UID={pass_type}/CN=Pass Type ID: {pass_type}/OU={team}/O=The Club Ltd/C=US");
        let (from, until) = (moment(lasts.from), moment(lasts.until));
        let pem = format!("{name}.pem");
        let request = text(request);
        let sign =
            ["ca", "-config", "apple.cnf", "-batch", "-notext", "-preserveDN", "-in", &request, "-out", &pem];
        let with = ["-subj", &subject, "-startdate", &from, "-enddate", &until];
        self.openssl(&[&sign[..], &with].concat()).await;
        let cer = format!("{name}.cer");
        self.openssl(&["x509", "-in", &pem, "-outform", "DER", "-out", &cer]).await;
        self.file(&cer)
    }

    /// What Keychain exports: certificate and key in one file, encrypted with a password, in the old way (RC2).
    ///
    /// # Panics
    ///
    /// When `openssl` does not take them.
    pub async fn exports(&self, name: &str, key: &Path, password: &str) -> PathBuf {
        let (pem, p12, key) = (format!("{name}.pem"), format!("{name}.p12"), text(key));
        let password = format!("pass:{password}");
        let export = [
            "pkcs12", "-export", "-legacy", "-in", &pem, "-inkey", &key, "-out", &p12, "-passout", &password,
        ];
        self.openssl(&export).await;
        self.file(&p12)
    }

    /// The root, PEM: what phones trust.
    pub fn root(&self) -> PathBuf {
        self.file("root.pem")
    }

    /// The intermediate that issues certificates (G4), DER.
    pub fn intermediate_file(&self) -> PathBuf {
        self.file("wwdr-g4.cer")
    }

    /// One of another generation (G3), DER.
    pub fn older_intermediate_file(&self) -> PathBuf {
        self.file("wwdr-g3.cer")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().await;
        let output = output.unwrap_or_else(|error| panic!("openssl is needed for this test: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    }
}

/// SHA-256 of a DER file, as certificates are named by.
///
/// # Panics
///
/// When it cannot be read.
pub fn fingerprint(cer: &Path) -> String {
    etag::sha256(&fs::read(cer).expect("the certificate"))
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path that is text").to_owned()
}

/// A moment as `openssl ca` wants it.
fn moment(from_now: Duration) -> String {
    #[expect(clippy::disallowed_methods, reason = "the certificates of a test last from today")]
    let at = OffsetDateTime::now_utc() + from_now;
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

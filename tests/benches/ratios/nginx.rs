//! nginx, serving one file.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use honoken_tests::waiting::{PATIENCE, eventually};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where the file is.
pub(crate) const PATH: &str = "/pass.pkpass";

/// A server with one file; it ends with this value.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Child,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in a folder of its own; `None`, with a sentence printed, where it is not installed.
    pub(crate) async fn serving(file: &[u8]) -> Option<Self> {
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| {
            std::process::Command::new(program).arg("-v").stderr(Stdio::null()).status().is_ok()
        });
        let Some(program) = program else {
            println!("\nnginx is not installed: comparisons with it are left out (Debian: nginx-light)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A port that was free a moment ago is free.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        drop(listener);
        fs::write(folder.path().join(&PATH[1..]), file).expect("the file is written");
        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, configured(folder.path().to_str().expect("a text"), &host))
            .expect("the configuration is written");
        let process = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .arg("-p")
            .arg(folder.path())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx starts");
        eventually(PATIENCE, "nginx", async || TcpStream::connect(&host).await.ok()).await;
        Some(Self { process, host, _folder: folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().expect("nginx is running")
    }
}

/// One process that is its own worker, with what Debian's configuration turns on for files, and without a log.
fn configured(folder: &str, host: &str) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
         events {{ worker_connections 1024; }}
         http {{
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; etag on;
             default_type application/vnd.apple.pkpass;
             client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
             server {{ listen {host}; root {folder}; }}
         }}"
    )
}

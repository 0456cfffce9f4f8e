//! A server with the protocol of S3, in this process and over a folder of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The bucket that every server has.
pub const BUCKET: &str = "honoken-test";

/// The id of the key that opens it.
pub const ACCESS_KEY_ID: &str = "AKIAHONOKENTEST";

/// The key itself.
pub const SECRET_ACCESS_KEY: &str = "a-secret-key-that-nobody-may-see";

/// A server that can go away and come back, at the same address and with the same content. It answers on 127.0.0.1 only, and ends with this.
#[derive(Debug)]
pub struct S3 {
    folder: TempDir,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    serving: Option<JoinHandle<()>>,
}

impl S3 {
    /// A new server with an empty bucket, running.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("honoken-s3-").tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a folder for the bucket");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mut server = Self { folder, address, requests: Arc::default(), serving: None };
        server.serves(listener);
        server
    }

    /// The bucket, as `HONOKEN_ASSETS_URL` names it: the same after the server came back.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/images?endpoint=http://{}", self.address)
    }

    /// Stores an object of the bucket, as another program would have.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn has(&self, name: &str, bytes: &[u8]) {
        let file = self.folder.path().join(BUCKET).join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for the object");
        std::fs::write(file, bytes).expect("the object can be stored");
    }

    /// The bytes of an object of the bucket.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(BUCKET).join(name)).expect("the object is there")
    }

    /// The names of all objects of the bucket.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub fn names(&self) -> Vec<String> {
        let bucket = self.folder.path().join(BUCKET);
        let (mut folders, mut names) = (vec![bucket.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&bucket).expect("it is below");
                    names.push(name.to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names
    }

    /// Ends the server and every connection. What it stored is kept.
    pub fn goes_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// Starts the server again at the same address.
    ///
    /// # Panics
    ///
    /// When it cannot listen there.
    pub async fn comes_back(&mut self) {
        assert!(self.serving.is_none(), "the server is there");
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.serves(listener);
    }

    /// The requests since the last call: method, path and range.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serves(&mut self, listener: TcpListener) {
        let files = FileSystem::new(self.folder.path()).expect("the folder can be served");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        self.serving = Some(tokio::spawn(serve(listener, service.build(), self.requests.clone())));
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.goes_away();
    }
}

async fn serve(listener: TcpListener, service: S3Service, requests: Arc<Mutex<Vec<String>>>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        // Else the answer to a small request waits for the client's next packet, as that of no real store does.
        drop(socket.set_nodelay(true));
        let (service, requests) = (service.clone(), requests.clone());
        let noted = service_fn(move |request: http::Request<Incoming>| {
            let range = request.headers().get(http::header::RANGE).and_then(|range| range.to_str().ok());
            let line = format!("{} {} {}", request.method(), request.uri().path(), range.unwrap_or_default());
            requests.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim_end().to_owned());
            Service::call(&service, request)
        });
        connections.spawn(async move {
            // A client that hangs up is no fault of the server.
            drop(http1::Builder::new().serve_connection(TokioIo::new(socket), noted).await);
        });
    }
}

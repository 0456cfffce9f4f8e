//! Stores on other machines, as the feature `full` brings them.

use std::future::ready;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use honoken_telemetry::error_chain;
use opendal::services::{Redis, S3, VercelBlob};
use opendal::{Error, ErrorKind, HttpTransporter, OperationContext, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::place::Remote;
use crate::limits;

/// Opens a store. Nothing is connected yet.
///
/// # Errors
/// When it cannot be used.
pub(super) fn open(remote: &Remote) -> Result<Operator, Error> {
    // TLS of every connection is that of `ring`. One that was chosen before is the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    match remote {
        Remote::S3 { bucket, prefix, region, endpoint, access_key_id, secret_access_key, session_token } => {
            let mut s3 = S3::default()
                .bucket(bucket)
                .root(prefix)
                .region(region)
                .access_key_id(access_key_id)
                .secret_access_key(secret_access_key.expose_secret())
                // Keys come from the configuration alone.
                .disable_config_load()
                .disable_ec2_metadata();
            if let Some(endpoint) = endpoint {
                s3 = s3.endpoint(endpoint);
            }
            if let Some(token) = session_token {
                s3 = s3.session_token(token.expose_secret());
            }
            over_http(Operator::new(s3)?)
        }
        Remote::VercelBlob { prefix, token } => over_http(vercel_blob(prefix, token)?),
        Remote::Redis { endpoint, username, password, database, prefix } => {
            let redis = Redis::default()
                .endpoint(endpoint)
                .username(username.as_deref().unwrap_or_default())
                .password(password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default())
                .db(*database)
                .root(prefix);
            Operator::new(redis)
        }
    }
}

pub(super) fn vercel_blob(prefix: &str, token: &SecretString) -> Result<Operator, Error> {
    Operator::new(VercelBlob::default().root(prefix).token(token.expose_secret()))
}

fn over_http(operator: Operator) -> Result<Operator, Error> {
    // Proxies would come from variables that the configuration does not read.
    let client = reqwest::Client::builder().no_proxy().connect_timeout(limits::IMAGE_STORE_ATTEMPT).build();
    let client = client.map_err(|fault| {
        Error::new(ErrorKind::Unexpected, "the HTTP client could not be made").set_source(fault)
    })?;
    let transport = HttpTransporter::new(ReqwestTransport::new(client));
    Ok(operator.with_context(OperationContext::new().with_http_transport(transport)))
}

/// Why a store cannot be used, where its client does not tell: that of Redis tries so often that only the passing of time is noticed.
pub(super) async fn diagnosis(remote: &Remote) -> Option<String> {
    let client = client(remote)?;
    let connected = Box::pin(client.get_multiplexed_async_connection());
    match tokio::time::timeout(limits::IMAGE_STORE_DIAGNOSIS, connected).await {
        Ok(Ok(_)) => None,
        Ok(Err(fault)) => Some(error_chain(&fault)),
        Err(_) => Some("it takes no connection, or says nothing".to_owned()),
    }
}

/// The names below the prefix of a Redis, which its operator cannot list. A name may come twice.
pub(super) fn scan(remote: &Remote) -> BoxStream<'static, Result<String, String>> {
    let (Some(client), Remote::Redis { prefix, .. }) = (client(remote), remote) else {
        return stream::once(ready(Err("it cannot list its names".to_owned()))).boxed();
    };
    let prefix = format!("{prefix}/");
    // A prefix has none of the characters that mean something in a pattern.
    let pattern = format!("{prefix}*");
    let pages = stream::try_unfold(Scan::Begin(client), move |scan| next_page(scan, pattern.clone()));
    let names = pages.map_ok(move |page| {
        let names: Vec<_> =
            page.iter().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect();
        stream::iter(names.into_iter().map(Ok))
    });
    names.try_flatten().map_err(|fault: RedisError| error_chain(&fault)).boxed()
}

/// How far a scan is.
enum Scan {
    Begin(redis::Client),
    At(MultiplexedConnection, u64),
    End,
}

async fn next_page(scan: Scan, pattern: String) -> Result<Option<(Vec<String>, Scan)>, RedisError> {
    let (mut connection, cursor) = match scan {
        Scan::Begin(client) => (client.get_multiplexed_async_connection().await?, 0),
        Scan::At(connection, cursor) => (connection, cursor),
        Scan::End => return Ok(None),
    };
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
    let (next, keys): (u64, Vec<String>) = command.query_async(&mut connection).await?;
    Ok(Some((keys, if next == 0 { Scan::End } else { Scan::At(connection, next) })))
}

/// A client of a Redis; `None` for another store.
fn client(remote: &Remote) -> Option<redis::Client> {
    let Remote::Redis { endpoint, username, password, database, .. } = remote else { return None };
    let url = Url::parse(endpoint).ok()?;
    let (host, port) = (url.host_str()?.to_owned(), url.port()?);
    let address = if url.scheme() == "rediss" {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let mut settings = RedisConnectionInfo::default().set_db(*database);
    if let Some(username) = username {
        settings = settings.set_username(username);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.expose_secret());
    }
    redis::Client::open(address.into_connection_info().ok()?.set_redis_settings(settings)).ok()
}

//! Who looks after the service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::server::Ready;

/// An operator with the password that `dev` made.
#[derive(Debug, Clone)]
pub struct Operator {
    client: HttpClient,
    base_url: String,
    authorization: HeaderValue,
}

impl Operator {
    /// The operator of a running service.
    pub fn new(ready: &Ready) -> Self {
        Self::known_as(&ready.base_url, &ready.admin_username, &ready.admin_password)
    }

    /// Somebody who says that this is their name and password.
    ///
    /// # Panics
    ///
    /// Never: Base64 is a header value.
    pub fn known_as(base_url: &str, username: &str, password: &str) -> Self {
        let credentials = STANDARD.encode(format!("{username}:{password}"));
        let authorization =
            HeaderValue::try_from(format!("Basic {credentials}")).expect("Base64 is visible ASCII");
        Self { client: HttpClient::new(), base_url: base_url.to_owned(), authorization }
    }

    /// Any request below `/admin`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn request(&self, method: Method, path: &str, body: &Value) -> Answer {
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, self.authorization.clone())]);
        let mut bytes = Vec::new();
        if !body.is_null() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            bytes = body.to_string().into_bytes();
        }
        let url = format!("{}{path}", self.base_url);
        let answer = self.client.request(method, &url, headers, bytes).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The projection `wallet` as `GET /admin/projections` shows it.
    ///
    /// # Panics
    ///
    /// When it is not there.
    pub async fn wallet_projection(&self) -> Value {
        let answer = self.request(Method::GET, "/admin/projections", &Value::Null).await;
        answer.assert_status(StatusCode::OK);
        let body = answer.json();
        let projections = body["projections"].as_array().expect("projections is a list");
        projections.iter().find(|one| one["name"] == "wallet").expect("the projection wallet").clone()
    }

    /// Position of the last event in the log.
    ///
    /// # Panics
    ///
    /// When it is not a number.
    pub async fn head(&self) -> u64 {
        self.wallet_projection().await["head"].as_u64().expect("head is a position")
    }

    /// What is parked.
    pub async fn parked(&self) -> Value {
        let answer = self.request(Method::GET, "/admin/projections/wallet/parked", &Value::Null).await;
        answer.assert_status(StatusCode::OK);
        answer.json()
    }

    /// Tries a parked event again.
    pub async fn retries(&self, position: u64) -> Answer {
        let path = format!("/admin/projections/wallet/parked/{position}/retry");
        self.request(Method::POST, &path, &Value::Null).await
    }

    /// Does without a parked event.
    pub async fn skips(&self, position: u64, reason: &str) -> Answer {
        let path = format!("/admin/projections/wallet/parked/{position}/skip");
        self.request(Method::POST, &path, &json!({ "reason": reason })).await
    }
}

//! Who looks after the service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::Integrator;
use crate::integrator::encoded;
use crate::server::Ready;
use crate::waiting::{PATIENCE, eventually};

/// The name of the job that the answer to a change names.
///
/// # Panics
///
/// When it names none.
#[track_caller]
pub fn job_of(answer: &Answer) -> String {
    let body = answer.assert_status(StatusCode::ACCEPTED).json();
    assert_eq!(body["changed"], true, "{body}");
    let id = body["job"]["id"].as_str().unwrap_or_else(|| panic!("no job: {body}"));
    let location = answer.header("location").expect("a location");
    assert!(location.ends_with(&format!("/jobs/{id}")), "{location}");
    id.to_owned()
}

/// An operator with the password that `dev` made.
#[derive(Debug, Clone)]
pub struct Operator {
    client: HttpClient,
    base_url: String,
    authorization: HeaderValue,
    headers: HeaderMap,
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
        Self {
            client: HttpClient::new(),
            base_url: base_url.to_owned(),
            authorization,
            headers: HeaderMap::new(),
        }
    }

    /// With a header that a browser would send.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, HeaderValue::try_from(value).expect("a header"));
        self
    }

    /// Any request below `/admin`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn request(&self, method: Method, path: &str, body: &Value) -> Answer {
        if body.is_null() {
            return self.sends(method, path, "application/octet-stream", "").await;
        }
        self.sends(method, path, "application/json", body.to_string()).await
    }

    /// Any request below `/admin`, with a body of any type.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn sends(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let (body, mut headers) = (body.into(), self.headers.clone());
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let url = format!("{}{path}", self.base_url);
        let answer = self.client.request(method, &url, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// `PUT /admin/brand-assets/{file}`.
    pub async fn put_brand_asset(&self, file: &str, bytes: impl Into<Bytes>) -> Answer {
        self.sends(Method::PUT, &format!("/admin/brand-assets/{file}"), "image/png", bytes).await
    }

    /// `DELETE /admin/brand-assets/{file}`.
    pub async fn remove_brand_asset(&self, file: &str) -> Answer {
        self.request(Method::DELETE, &format!("/admin/brand-assets/{file}"), &Value::Null).await
    }

    /// How far a job is.
    pub async fn job(&self, id: &str) -> Value {
        let answer = self.request(Method::GET, &format!("/admin/jobs/{id}"), &Value::Null).await;
        answer.assert_status(StatusCode::OK);
        answer.json()
    }

    /// Waits for the end of the job that an answer names, and says how it ended.
    ///
    /// # Panics
    ///
    /// When the answer names none, or it does not end.
    pub async fn sees_finished(&self, answer: &Answer) -> Value {
        let id = job_of(answer);
        eventually(PATIENCE, "the job is finished", async || {
            let job = self.job(&id).await;
            (job["state"] == "finished").then_some(job)
        })
        .await
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

    /// Says what is to be done with the copies of the wallet's tables, and gives the answer to that.
    ///
    /// # Panics
    ///
    /// When it is not accepted.
    pub async fn wishes(&self, wish: &str) -> Value {
        let path = format!("/admin/projections/wallet/{wish}");
        let answer = self.request(Method::POST, &path, &Value::Null).await;
        answer.assert_status(StatusCode::ACCEPTED);
        answer.json()
    }

    /// Rebuilds the wallet, and waits until the new tables have taken over.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub async fn rebuilds(&self) -> Value {
        let begun = self.wishes("rebuild").await;
        let id = begun["rebuild"]["id"].clone();
        eventually(PATIENCE, "the new tables take over", async || {
            let wallet = self.wallet_projection().await;
            (wallet["rebuild"].is_null() && wallet["lastRebuild"]["id"] == id).then_some(wallet)
        })
        .await
    }

    /// Position of the last event in the log.
    ///
    /// # Panics
    ///
    /// When it is not a number.
    pub async fn head(&self) -> u64 {
        self.wallet_projection().await["head"].as_u64().expect("head is a position")
    }

    /// The state of pushing.
    pub async fn pushing(&self) -> Value {
        let answer = self.request(Method::GET, "/admin/pushing", &Value::Null).await;
        answer.assert_status(StatusCode::OK);
        answer.json()
    }

    /// Waits until every change has been said, and nobody is to be woken any more.
    pub async fn sees_everybody_woken(&self) {
        eventually(PATIENCE, "nobody is to be woken any more", async || {
            let pushing = self.pushing().await;
            (pushing["relay"]["lag"] == 0 && pushing["deliveries"]["pending"] == 0).then_some(())
        })
        .await;
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

    /// Has a pass stated anew of which an event was skipped.
    pub async fn repairs(&self, integrator: &Integrator, serial_number: &str) -> Answer {
        let (pass_type, serial_number) = (integrator.pass_type_identifier(), encoded(serial_number));
        let path = format!("/admin/passes/{pass_type}/{serial_number}/repair");
        self.request(Method::POST, &path, &Value::Null).await
    }

    /// Does without a parked event.
    pub async fn skips(&self, position: u64, reason: &str) -> Answer {
        let path = format!("/admin/projections/wallet/parked/{position}/skip");
        self.request(Method::POST, &path, &json!({ "reason": reason })).await
    }
}

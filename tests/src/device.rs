//! Requests to the device routes, written by hand.

use bytes::Bytes;
use honoken_simulator::{Answer, HttpClient, HttpError, Phone};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;

use crate::etag::sha256;
use crate::integrator::encoded;

/// The identifier of device number `number`: 32 hex digits, as seen on phones.
pub fn device(number: usize) -> String {
    sha256(format!("device {number}").as_bytes())[..32].to_owned()
}

/// A push token of that device: 64 hex digits. `renewal` tells one from the next.
pub fn push_token(number: usize, renewal: usize) -> String {
    sha256(format!("push token {renewal} of device {number}").as_bytes())
}

/// A well-behaved phone, which notes everything it would complain about.
pub fn a_phone(number: usize) -> Phone {
    Phone::new(device(number), push_token(number, 0))
}

/// What the holder of a pass knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Type of the pass.
    pub pass_type_identifier: String,
    /// Its serial number.
    pub serial_number: String,
    /// Its authentication token.
    pub token: String,
}

impl Credentials {
    /// The header that Apple's phones send.
    pub fn authorization(&self) -> String {
        format!("ApplePass {}", self.token)
    }

    /// The same pass with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same token shown for another serial number.
    #[must_use]
    pub fn with_serial_number(&self, serial_number: &str) -> Self {
        Self { serial_number: serial_number.to_owned(), ..self.clone() }
    }

    /// The same token shown for another type.
    #[must_use]
    pub fn with_pass_type(&self, pass_type_identifier: &str) -> Self {
        Self { pass_type_identifier: pass_type_identifier.to_owned(), ..self.clone() }
    }
}

/// The device routes below some address.
#[derive(Debug, Clone)]
pub struct DeviceRoutes {
    client: HttpClient,
    root: String,
}

impl DeviceRoutes {
    /// Below `root`, an absolute URL such as `http://127.0.0.1:8080/v1`.
    pub fn below(root: impl Into<String>) -> Self {
        Self { client: HttpClient::new(), root: root.into() }
    }

    /// Uses a client with other limits.
    #[must_use]
    pub fn with_client(self, client: HttpClient) -> Self {
        Self { client, ..self }
    }

    /// Any request.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let answer = self.tries(method.clone(), path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// Any request, to a service that may be gone.
    ///
    /// # Panics
    ///
    /// When a header is none.
    pub async fn tries(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, HttpError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::try_from(*value).expect("a header"));
        }
        self.client.request(method, &format!("{}{path}", self.root), map, body).await
    }

    /// The path of one registration.
    pub fn registration_path(&self, device: &str, pass: &Credentials) -> String {
        let [device, pass_type, serial] =
            [device, &pass.pass_type_identifier, &pass.serial_number].map(encoded);
        format!("/devices/{device}/registrations/{pass_type}/{serial}")
    }

    /// Registers a device.
    pub async fn register(&self, device: &str, push_token: &str, pass: &Credentials) -> Answer {
        let body = json!({ "pushToken": push_token }).to_string();
        self.register_with(device, pass, &pass.authorization(), body).await
    }

    /// Registers with any header and any body.
    pub async fn register_with(
        &self,
        device: &str,
        pass: &Credentials,
        authorization: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        self.request(Method::POST, &self.registration_path(device, pass), &headers, body).await
    }

    /// Unregisters a device.
    pub async fn unregister(&self, device: &str, pass: &Credentials) -> Answer {
        self.unregister_with(device, pass, &pass.authorization()).await
    }

    /// Unregisters with any header.
    pub async fn unregister_with(&self, device: &str, pass: &Credentials, authorization: &str) -> Answer {
        let path = self.registration_path(device, pass);
        self.request(Method::DELETE, &path, &[("authorization", authorization)], "").await
    }

    /// Asks for the list, with the tag as it is.
    pub async fn list(&self, device: &str, pass_type_identifier: &str, since: Option<&str>) -> Answer {
        let query = since.map(|tag| format!("?passesUpdatedSince={}", encoded(tag))).unwrap_or_default();
        let path = format!("/devices/{}/registrations/{pass_type_identifier}{query}", encoded(device));
        self.request(Method::GET, &path, &[], "").await
    }

    /// The listed serial numbers, sorted, and the new tag; `None` when there is nothing.
    ///
    /// # Panics
    ///
    /// When the answer is neither of the two that exist.
    pub async fn lists(
        &self,
        device: &str,
        pass_type_identifier: &str,
        since: Option<&str>,
    ) -> Option<(Vec<String>, String)> {
        let answer = self.list(device, pass_type_identifier, since).await;
        if answer.status == http::StatusCode::NO_CONTENT {
            answer.assert_no_body();
            return None;
        }
        answer.assert_status(http::StatusCode::OK).assert_header("content-type", "application/json");
        let body = answer.json();
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
        let tag = body["lastUpdated"].as_str().expect("lastUpdated is a text").to_owned();
        let listed = body["serialNumbers"].as_array().expect("serialNumbers is a list");
        assert!(!listed.is_empty(), "an empty list is answered with 204");
        let mut serials: Vec<String> = listed
            .iter()
            .map(|serial| serial.as_str().expect("a serial number is a text").to_owned())
            .collect();
        serials.sort();
        Some((serials, tag))
    }

    /// The path of a pass.
    pub fn pass_path(&self, pass: &Credentials) -> String {
        let [pass_type, serial] = [&pass.pass_type_identifier, &pass.serial_number].map(|text| encoded(text));
        format!("/passes/{pass_type}/{serial}")
    }

    /// Gets a pass, with further headers.
    pub async fn get(&self, pass: &Credentials, headers: &[(&'static str, &str)]) -> Answer {
        self.fetch(Method::GET, pass, headers).await
    }

    /// Gets or heads a pass, with further headers.
    pub async fn fetch(
        &self,
        method: Method,
        pass: &Credentials,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let authorization = pass.authorization();
        let headers = [&[("authorization", authorization.as_str())], headers].concat();
        self.request(method, &self.pass_path(pass), &headers, "").await
    }

    /// Sends lines to the log.
    pub async fn log(&self, body: impl Into<Bytes>) -> Answer {
        self.request(Method::POST, "/log", &[("content-type", "application/json")], body).await
    }
}

//! Who issues and changes passes.

use bytes::Bytes;
use honoken_simulator::{Answer, HttpClient, Package};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::Credentials;
use crate::etag::{self, unix_seconds};
use crate::server::Ready;

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path segment that holds any text.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The content of a ticket; the seat tells one from another.
pub fn a_ticket(seat: &str) -> Value {
    json!({
        "description": "A seat at the opening night",
        "eventName": "Opening night",
        "eventDateISO": "2027-03-01T19:30+01:00",
        "venueName": "The old theatre",
        "seat": seat,
        "section": "Stalls",
    })
}

/// The answer to a change, its shape checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which pass.
    pub serial_number: String,
    /// The tag it has now.
    pub etag: String,
    /// Unix seconds of the state it has now.
    pub updated_at: i64,
    /// What phones get to see of the position.
    pub update_tag: String,
    /// Where the change is in the log.
    pub position: u64,
    /// Whether anything happened.
    pub changed: bool,
    /// Whether readers see the change already.
    pub projected: bool,
    /// What the linter would like to be better.
    pub warnings: Vec<Value>,
}

impl Change {
    /// Reads an answer to a change.
    ///
    /// # Panics
    ///
    /// When something is missing or of the wrong type.
    #[track_caller]
    pub fn read(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("no {key}: {body}")).to_owned();
        let flag = |key: &str| body[key].as_bool().unwrap_or_else(|| panic!("no {key}: {body}"));
        text("passTypeIdentifier");
        let etag = text("etag");
        assert!(etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit()), "not a tag: {body}");
        Self {
            serial_number: text("serialNumber"),
            etag,
            updated_at: unix_seconds(&body["updatedAt"]),
            update_tag: text("updateTag"),
            position: body["position"].as_u64().unwrap_or_else(|| panic!("no position: {body}")),
            changed: flag("changed"),
            projected: flag("projected"),
            warnings: body["warnings"].as_array().unwrap_or_else(|| panic!("no warnings: {body}")).clone(),
        }
    }

    /// Reads an answer that must report something new that is visible already.
    #[track_caller]
    fn done(answer: &Answer, status: StatusCode) -> Self {
        answer.assert_status(status);
        let change = Self::read(answer);
        assert!(change.changed && change.projected, "nothing changed, or not visibly: {}", answer.excerpt());
        change
    }
}

/// An integrator with the key that `dev` made. Verbs in the third person insist on success; the others return the
/// answer, whatever it is.
#[derive(Debug, Clone)]
pub struct Integrator {
    client: HttpClient,
    base_url: String,
    pass_type_identifier: String,
    authorization: HeaderValue,
}

impl Integrator {
    /// The integrator of a running service.
    ///
    /// # Panics
    ///
    /// When the key cannot be a header.
    pub fn new(ready: &Ready) -> Self {
        let authorization = format!("Bearer {}", ready.api_key);
        Self {
            client: HttpClient::new(),
            base_url: ready.base_url.trim_end_matches('/').to_owned(),
            pass_type_identifier: ready.pass_type_identifier.clone(),
            authorization: HeaderValue::try_from(authorization).expect("a key is visible ASCII"),
        }
    }

    /// Shows something else than the key.
    #[must_use]
    pub fn with_authorization(self, authorization: &'static str) -> Self {
        Self { authorization: HeaderValue::from_static(authorization), ..self }
    }

    /// Uses a client with other limits.
    #[must_use]
    pub fn with_client(self, client: HttpClient) -> Self {
        Self { client, ..self }
    }

    /// The type of all its passes.
    pub fn pass_type_identifier(&self) -> &str {
        &self.pass_type_identifier
    }

    /// The path of a pass.
    pub fn path(&self, serial_number: &str) -> String {
        format!("/manage/v1/passes/{}/{}", self.pass_type_identifier, encoded(serial_number))
    }

    /// Any request, with the key.
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

    /// Any request, with the key, to a service that may be gone.
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
    ) -> Result<Answer, honoken_simulator::HttpError> {
        let mut map = HeaderMap::from_iter([(header::AUTHORIZATION, self.authorization.clone())]);
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::try_from(*value).expect("a header"));
        }
        self.client.request(method, &format!("{}{path}", self.base_url), map, body).await
    }

    /// A request with a JSON body.
    pub async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.request(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// A complete order for a pass.
    pub fn order(&self, serial_number: &str, content: &Value) -> Value {
        json!({
            "passTypeIdentifier": self.pass_type_identifier,
            "serialNumber": serial_number,
            "ticketStyle": "event",
            "content": content,
        })
    }

    /// `POST /passes` with any body.
    pub async fn issue(&self, order: &Value) -> Answer {
        self.json(Method::POST, "/manage/v1/passes", order).await
    }

    /// Issues a ticket.
    pub async fn issues(&self, serial_number: &str) -> Change {
        self.issues_with(serial_number, &a_ticket("1A")).await
    }

    /// Issues a pass with this content.
    pub async fn issues_with(&self, serial_number: &str, content: &Value) -> Change {
        Change::done(&self.issue(&self.order(serial_number, content)).await, StatusCode::CREATED)
    }

    /// `PUT …/content` with any body.
    pub async fn replace(&self, serial_number: &str, content: &Value) -> Answer {
        self.json(Method::PUT, &format!("{}/content", self.path(serial_number)), content).await
    }

    /// Replaces the content with something else.
    pub async fn replaces(&self, serial_number: &str, content: &Value) -> Change {
        Change::done(&self.replace(serial_number, content).await, StatusCode::OK)
    }

    /// Moves the holder to another seat.
    pub async fn moves_to(&self, serial_number: &str, seat: &str) -> Change {
        self.replaces(serial_number, &a_ticket(seat)).await
    }

    /// `POST …/void`.
    pub async fn void(&self, serial_number: &str) -> Answer {
        self.request(Method::POST, &format!("{}/void", self.path(serial_number)), &[], "").await
    }

    /// Voids a valid pass.
    pub async fn voids(&self, serial_number: &str) -> Change {
        Change::done(&self.void(serial_number).await, StatusCode::OK)
    }

    /// `POST …/reinstate`.
    pub async fn reinstate(&self, serial_number: &str) -> Answer {
        self.request(Method::POST, &format!("{}/reinstate", self.path(serial_number)), &[], "").await
    }

    /// Reinstates a voided pass.
    pub async fn reinstates(&self, serial_number: &str) -> Change {
        Change::done(&self.reinstate(serial_number).await, StatusCode::OK)
    }

    /// `PATCH …/content` with a patch of this type.
    pub async fn patch(&self, serial_number: &str, content_type: &str, changes: &Value) -> Answer {
        let path = format!("{}/content", self.path(serial_number));
        self.request(Method::PATCH, &path, &[("content-type", content_type)], changes.to_string()).await
    }

    /// Merges something else into the content.
    pub async fn merges(&self, serial_number: &str, patch: &Value) -> Change {
        let answer = self.patch(serial_number, "application/merge-patch+json", patch).await;
        Change::done(&answer, StatusCode::OK)
    }

    /// `PATCH` of the pass itself.
    pub async fn draw_as(&self, serial_number: &str, metadata: &Value) -> Answer {
        self.json(Method::PATCH, &self.path(serial_number), metadata).await
    }

    /// `POST …/increment`, with a key or without.
    pub async fn increment(&self, serial_number: &str, body: &Value, key: Option<&str>) -> Answer {
        let path = format!("{}/increment", self.path(serial_number));
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        self.request(Method::POST, &path, &headers, body.to_string()).await
    }

    /// `DELETE` of the pass.
    pub async fn retire(&self, serial_number: &str) -> Answer {
        self.request(Method::DELETE, &self.path(serial_number), &[], "").await
    }

    /// Retires a pass.
    pub async fn retires(&self, serial_number: &str) -> Change {
        Change::done(&self.retire(serial_number).await, StatusCode::OK)
    }

    /// A page of `GET …/history`; the query begins with `?`, or is empty.
    pub async fn history(&self, serial_number: &str, query: &str) -> Answer {
        self.request(Method::GET, &format!("{}/history{query}", self.path(serial_number)), &[], "").await
    }

    /// `GET` of the pass as it was.
    pub async fn past(&self, serial_number: &str, query: &str) -> Answer {
        self.request(Method::GET, &format!("{}/at{query}", self.path(serial_number)), &[], "").await
    }

    /// `GET` of the files of the pass as it was.
    pub async fn past_files(&self, serial_number: &str, query: &str) -> Answer {
        let path = format!("{}/at/pkpass{query}", self.path(serial_number));
        self.request(Method::GET, &path, &[], "").await
    }

    /// `POST …/restore`.
    pub async fn restore(&self, serial_number: &str, position: u64) -> Answer {
        let path = format!("{}/restore", self.path(serial_number));
        self.json(Method::POST, &path, &json!({ "position": position })).await
    }

    /// Brings a former state back.
    pub async fn restores(&self, serial_number: &str, position: u64) -> Change {
        Change::done(&self.restore(serial_number, position).await, StatusCode::OK)
    }

    /// `GET` of the pass.
    pub async fn get(&self, serial_number: &str) -> Answer {
        self.request(Method::GET, &self.path(serial_number), &[], "").await
    }

    /// The state of a pass, its tag checked.
    pub async fn state(&self, serial_number: &str) -> Value {
        let answer = self.get(serial_number).await;
        let state = answer.assert_status(StatusCode::OK).json();
        etag::assert_belongs(&state);
        state
    }

    /// `POST /blobs`.
    pub async fn upload(&self, bytes: impl Into<Bytes>) -> Answer {
        self.request(Method::POST, "/manage/v1/blobs", &[("content-type", "image/png")], bytes).await
    }

    /// Uploads an image and gives its digest.
    ///
    /// # Panics
    ///
    /// When the digest is not that of the bytes.
    pub async fn uploads(&self, bytes: &[u8]) -> String {
        let answer = self.upload(bytes.to_vec()).await;
        let digest = answer.assert_status(StatusCode::CREATED).json()["digest"].clone();
        assert_eq!(digest, etag::sha256(bytes));
        etag::sha256(bytes)
    }

    /// The path of an image of a pass.
    pub fn asset_path(&self, serial_number: &str, file: &str) -> String {
        format!("{}/assets/{}", self.path(serial_number), encoded(file))
    }

    /// `PUT …/assets/{file}`.
    pub async fn put_asset(&self, serial_number: &str, file: &str, bytes: impl Into<Bytes>) -> Answer {
        let path = self.asset_path(serial_number, file);
        self.request(Method::PUT, &path, &[("content-type", "image/png")], bytes).await
    }

    /// Gives a pass an image of its own.
    pub async fn puts_asset(&self, serial_number: &str, file: &str, bytes: impl Into<Bytes>) -> Change {
        Change::done(&self.put_asset(serial_number, file, bytes).await, StatusCode::OK)
    }

    /// `DELETE …/assets/{file}`.
    pub async fn remove_asset(&self, serial_number: &str, file: &str) -> Answer {
        self.request(Method::DELETE, &self.asset_path(serial_number, file), &[], "").await
    }

    /// Takes an image of its own from a pass.
    pub async fn removes_asset(&self, serial_number: &str, file: &str) -> Change {
        Change::done(&self.remove_asset(serial_number, file).await, StatusCode::OK)
    }

    /// The path of an image of the pass type.
    pub fn type_asset_path(&self, file: &str) -> String {
        format!("/manage/v1/pass-types/{}/assets/{}", self.pass_type_identifier, encoded(file))
    }

    /// `PUT …/pass-types/{type}/assets/{file}`.
    pub async fn put_type_asset(&self, file: &str, bytes: impl Into<Bytes>) -> Answer {
        self.request(Method::PUT, &self.type_asset_path(file), &[("content-type", "image/png")], bytes).await
    }

    /// `DELETE …/pass-types/{type}/assets/{file}`.
    pub async fn remove_type_asset(&self, file: &str) -> Answer {
        self.request(Method::DELETE, &self.type_asset_path(file), &[], "").await
    }

    /// `GET /passes` with a query.
    pub async fn list(&self, query: &str) -> Answer {
        self.request(Method::GET, &format!("/manage/v1/passes?{query}"), &[], "").await
    }

    /// A page of passes, and the cursor of the next one.
    ///
    /// # Panics
    ///
    /// When it is not a page.
    pub async fn lists(&self, query: &str) -> (Vec<Value>, Option<String>) {
        let answer = self.list(query).await;
        let body = answer.assert_status(StatusCode::OK).json();
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
        let passes = body["passes"].as_array().unwrap_or_else(|| panic!("no passes: {body}")).clone();
        let next = &body["next"];
        assert!(next.is_null() || next.is_string(), "{body}");
        (passes, next.as_str().map(str::to_owned))
    }

    /// The serial numbers of a page.
    ///
    /// # Panics
    ///
    /// When it is not a page.
    pub async fn lists_serials(&self, query: &str) -> Vec<String> {
        let (passes, _) = self.lists(query).await;
        passes.iter().map(|pass| pass["serialNumber"].as_str().expect("a serial number").to_owned()).collect()
    }

    /// Everything up to the last page, by pages of this size; `meanwhile` is done after each.
    ///
    /// # Panics
    ///
    /// When there is no end.
    pub async fn lists_all(&self, query: &str, limit: usize, mut meanwhile: impl AsyncFnMut()) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        for _ in 0..10_000 {
            let (mut passes, next) = self.lists(&format!("{query}&limit={limit}{cursor}")).await;
            assert!(passes.len() <= limit);
            all.append(&mut passes);
            meanwhile().await;
            let Some(next) = next else { return all };
            cursor = format!("&cursor={}", encoded(&next));
        }
        panic!("the pages do not end");
    }

    /// `GET …/pkpass`.
    pub async fn pkpass(&self, serial_number: &str) -> Answer {
        self.request(Method::GET, &format!("{}/pkpass", self.path(serial_number)), &[], "").await
    }

    /// The file of a pass, as it would be mailed to somebody.
    pub async fn downloads(&self, serial_number: &str) -> Bytes {
        let answer = self.pkpass(serial_number).await;
        answer.assert_status(StatusCode::OK).assert_header("content-type", "application/vnd.apple.pkpass");
        answer.body
    }

    /// What a holder of the pass shows on the device routes.
    ///
    /// # Panics
    ///
    /// When the pass cannot be read.
    pub async fn credentials(&self, serial_number: &str) -> Credentials {
        let package = Package::open(self.downloads(serial_number).await).expect("a readable pass");
        let token = package.pass_json()["authenticationToken"].as_str().expect("a token").to_owned();
        Credentials {
            pass_type_identifier: self.pass_type_identifier.clone(),
            serial_number: serial_number.to_owned(),
            token,
        }
    }
}

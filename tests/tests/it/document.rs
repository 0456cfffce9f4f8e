//! `/openapi.json` as a stranger reads it, and whether it is true.

use std::collections::{BTreeMap, BTreeSet};

use honoken_simulator::Answer;
use honoken_tests::Honoken;
use honoken_tests::problem::assert_problem;
use http::{HeaderMap, Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{a_fresh_service, a_service};

/// The document of a running service.
pub(crate) struct Document {
    document: Value,
    /// The schema at each place that was asked for, ready for use.
    validators: BTreeMap<String, Validator>,
}

/// One call that the document describes.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// With names in braces.
    pub(crate) path: String,
    /// The name of the credentials that it asks for.
    pub(crate) security: Option<String>,
    /// An example of every parameter in the path.
    pub(crate) in_path: BTreeMap<String, String>,
    /// The names of headers and of members of the query.
    pub(crate) headers: Vec<String>,
    pub(crate) query: Vec<String>,
    /// Content types and examples of the body.
    pub(crate) bodies: Vec<(String, Value)>,
    /// Where in the document it stands.
    pointer: String,
}

impl Document {
    pub(crate) async fn of(honoken: &Honoken) -> Self {
        let answer = honoken.request(Method::GET, "/openapi.json", HeaderMap::new(), "").await;
        answer.assert_status(StatusCode::OK).assert_header("content-type", "application/json");
        Self { document: answer.json(), validators: BTreeMap::new() }
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut found = Vec::new();
        for (path, item) in self.document["paths"].as_object().expect("paths") {
            for (method, described) in item.as_object().expect("an item") {
                let pointer = format!("/paths/{}/{method}", path.replace('~', "~0").replace('/', "~1"));
                found.push(self.operation(method, path, described, pointer));
            }
        }
        assert!(found.len() > 20, "{} operations", found.len());
        found
    }

    fn operation(&self, method: &str, path: &str, described: &Value, pointer: String) -> Operation {
        let parameters: Vec<&Value> =
            described["parameters"].as_array().into_iter().flatten().map(|it| self.at(it)).collect();
        let named = |place: &str| {
            let there = parameters.iter().filter(|parameter| parameter["in"] == *place);
            there.map(|parameter| text(&parameter["name"])).collect::<Vec<_>>()
        };
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").map(|parameter| {
            let example = &parameter["example"];
            (text(&parameter["name"]), example.as_str().map_or_else(|| example.to_string(), str::to_owned))
        });
        let bodies = described["requestBody"]["content"].as_object().into_iter().flatten();
        Operation {
            id: text(&described["operationId"]),
            method: method.to_uppercase().parse().expect("a method"),
            path: path.to_owned(),
            security: described["security"][0].as_object().and_then(|it| it.keys().next().cloned()),
            in_path: in_path.collect(),
            headers: named("header"),
            query: named("query"),
            bodies: bodies.map(|(media, content)| (media.clone(), content["example"].clone())).collect(),
            pointer,
        }
    }

    /// What a reference leads to.
    fn at<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |reference| {
            let pointer = reference.strip_prefix('#').expect("a place in the same document");
            self.document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {reference}"))
        })
    }

    /// Says what about an answer is not as the document has it.
    pub(crate) fn contradicts(&mut self, operation: &Operation, answer: &Answer) -> Option<String> {
        let status = answer.status.as_str().to_owned();
        let described = self.document.pointer(&operation.pointer).expect("the operation");
        let response = &described["responses"][&status];
        if response.is_null() {
            return Some(format!("{status} is not described"));
        }
        let content = &self.at(response)["content"];
        let Some(content) = content.as_object() else {
            return (!answer.body.is_empty()).then(|| format!("{status} has a body, which is not described"));
        };
        let media = answer.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().to_owned();
        let essence = |media: &str| media.split(';').next().unwrap_or_default().to_owned();
        let content = content.iter().find(|(described, _)| essence(described) == media);
        let Some((_, content)) = content else {
            return Some(format!("{status} is of type {media:?}, which is not described"));
        };
        // Only JSON says more about itself.
        if !media.ends_with("json") || operation.method == Method::HEAD {
            return None;
        }
        let body = serde_json::from_slice(&answer.body);
        let Ok(body) = body else { return Some(format!("{status} is not JSON: {}", answer.excerpt())) };
        let schema = content["schema"].clone();
        let fault = self.validator(&schema).iter_errors(&body).next().map(|error| error.to_string());
        fault.map(|fault| format!("{status}: {fault}: {body}"))
    }

    /// What is said of an answer; empty when it is not described.
    pub(crate) fn describes(&self, operation: &Operation, status: &str) -> String {
        let described = self.document.pointer(&operation.pointer).expect("the operation");
        let response = self.at(&described["responses"][status]);
        response["description"].as_str().unwrap_or_default().to_owned()
    }

    fn validator(&mut self, schema: &Value) -> &Validator {
        let key = schema.to_string();
        let components = &self.document["components"];
        self.validators.entry(key).or_insert_with(|| {
            let schema = json!({ "allOf": [schema], "components": components });
            jsonschema::draft202012::new(&schema).expect("a schema")
        })
    }

    /// Every place that has a schema and an example of it.
    fn examples(&self) -> Vec<(String, Value, Value)> {
        let mut found = Vec::new();
        collect("", &self.document, &mut found);
        for (name, schema) in self.document["components"]["schemas"].as_object().expect("schemas") {
            if let Some(example) = schema.get("example") {
                found.push((name.clone(), schema.clone(), example.clone()));
            }
        }
        found
    }
}

fn collect(place: &str, value: &Value, found: &mut Vec<(String, Value, Value)>) {
    match value {
        Value::Object(object) => {
            if let (Some(schema), Some(example)) = (object.get("schema"), object.get("example")) {
                found.push((place.to_owned(), schema.clone(), example.clone()));
            }
            object.iter().for_each(|(name, value)| collect(&format!("{place}/{name}"), value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(place, value, found)),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

#[tokio::test]
async fn every_example_is_what_its_schema_says() {
    let honoken = a_service().await;
    let mut document = Document::of(&honoken).await;
    let examples = document.examples();
    assert!(examples.len() > 40, "{} examples", examples.len());
    for (place, schema, example) in examples {
        let faults: Vec<String> =
            document.validator(&schema).iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{place}: {faults:?}");
    }
}

#[tokio::test]
async fn every_path_allows_the_methods_that_are_described_and_no_others() {
    let honoken = a_service().await;
    let document = Document::of(&honoken).await;
    let mut described: BTreeMap<String, (Operation, BTreeSet<String>)> = BTreeMap::new();
    for operation in document.operations() {
        let entry =
            described.entry(operation.path.clone()).or_insert_with(|| (operation.clone(), BTreeSet::new()));
        entry.1.insert(operation.method.to_string());
        if operation.method == Method::GET {
            entry.1.insert("HEAD".to_owned());
        }
    }
    let ready = honoken.ready();
    for (path, (operation, methods)) in described {
        let asked = operation
            .in_path
            .iter()
            .fold(path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let mut headers = HeaderMap::new();
        if operation.security.as_deref() == Some("operator") {
            headers.insert("authorization", crate::properties::basic(ready));
        }
        let method = Method::from_bytes(b"BREW").unwrap();
        let answer = honoken.request(method, &asked, headers, "").await;
        assert_problem(&answer, 405);
        let allowed = answer.header("allow").unwrap_or_default().split(',').map(|it| it.trim().to_owned());
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
}

#[tokio::test]
async fn the_routes_of_phones_are_explained_under_any_prefix() {
    let honoken = a_service().await;
    let document = Document::of(&honoken).await;
    let tags = document.document["tags"].as_array().unwrap();
    let device = tags.iter().find(|tag| tag["name"] == "device").unwrap();
    let description = text(&device["description"]);
    assert!(description.contains("under any prefix") && description.contains("/api/v1/"), "{description}");
}

/// Operations that need a file, or a secret that only the operator has.
const NEED_MORE: &[&str] = &["inspectFile", "putCertificate", "putApnsKey"];

/// The page `/docs` fills in the examples of the path and of the first body, and leaves out what may be left out (`docs::…` has a browser do so).
#[tokio::test]
async fn what_the_page_fills_in_is_acceptable_without_editing() {
    let honoken = a_fresh_service().await;
    let document = Document::of(&honoken).await;
    let ready = honoken.ready();
    let token = honoken.integrator().credentials(&ready.serial_number).await.token;
    let credentials = |security: Option<&str>| match security? {
        "operator" => Some(crate::properties::basic(ready)),
        "apiKey" => format!("Bearer {}", ready.api_key).parse().ok(),
        _ => format!("ApplePass {token}").parse().ok(),
    };
    // What can be done no more after a pass has been retired comes first.
    let mut operations = document.operations();
    operations.sort_by_key(|operation| operation.method == Method::DELETE);
    let mut refused = Vec::new();
    for operation in operations {
        let body = operation.bodies.first();
        let is_file = body.is_some_and(|(media, _)| media == "application/octet-stream");
        if is_file || NEED_MORE.contains(&operation.id.as_str()) {
            continue;
        }
        let path = operation
            .in_path
            .iter()
            .fold(operation.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        let mut headers = HeaderMap::new();
        if let Some(value) = credentials(operation.security.as_deref()) {
            headers.insert("authorization", value);
        }
        let body = body.map(|(media, example)| {
            headers.insert("content-type", media.parse().expect("a media type"));
            example.to_string()
        });
        let answer =
            honoken.request(operation.method.clone(), &path, headers, body.unwrap_or_default()).await;
        let status = answer.status.as_u16();
        if [400, 401, 412, 415, 422].contains(&status) || status >= 500 {
            refused.push(format!("{}: {}", operation.id, answer.excerpt()));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

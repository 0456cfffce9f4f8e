//! Tests of the whole document. It is generated, so the possible errors are omissions of a handler.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::auth::signing::SignatureFault;
use crate::error::ApiError;
use crate::openapi::schemas::CODES;
use crate::router;

fn document() -> Value {
    serde_json::to_value(router::documented()).unwrap()
}

const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Every operation, by method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let found: Vec<_> = paths
        .flat_map(|(path, item)| {
            let methods = METHODS.iter().filter_map(move |method| Some((method, item.get(method)?)));
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect();
    assert!(found.len() > 15, "{} operations", found.len());
    found
}

fn at<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap_or_else(|| panic!("nothing at {reference}")),
        None => value,
    }
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "nothing at {reference}");
    }
}

#[test]
fn every_operation_says_what_a_caller_must_know() {
    let document = document();
    let mut ids = BTreeMap::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{name} has no summary");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no operationId"));
        assert!(id != "handler", "{name} needs an operationId of its own");
        if let Some(other) = ids.insert(id.to_owned(), name.clone()) {
            panic!("{name} and {other} have the same operationId");
        }
        let tags = operation["tags"].as_array().unwrap_or_else(|| panic!("{name} has no tag"));
        let known = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]);
        assert!(tags.len() == 1 && known.into_iter().any(|tag| *tag == tags[0]), "{name}: {tags:?}");
        for internal in ["# Errors", "[`"] {
            let description = operation["description"].as_str().unwrap_or_default();
            assert!(!description.contains(internal), "{name} describes itself to readers of the source");
        }
    }
}

#[test]
fn every_parameter_of_a_path_is_described_with_an_example() {
    let document = document();
    for (name, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().unwrap().iter().map(|it| at(&document, it));
        let of_path: BTreeSet<&str> = parameters
            .clone()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let named: BTreeSet<&str> =
            name.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(of_path, named, "{name}");
        for parameter in parameters {
            assert!(
                parameter["description"].is_string(),
                "{name}: {} needs a description",
                parameter["name"]
            );
            // The page `/docs` sends the examples by itself, and an `If-Match` or a cursor of another day is refused.
            let is_in_path = parameter["in"] == "path";
            assert_eq!(
                !parameter["example"].is_null(),
                is_in_path,
                "{name}: the example of {}",
                parameter["name"]
            );
        }
    }
}

#[test]
fn every_body_has_an_example_and_every_operation_an_error() {
    let document = document();
    for (name, operation) in operations(&document) {
        let mut bodies: Vec<(String, Value)> = Vec::new();
        let mut collect = |of: String, holder: &Value| {
            let content = holder["content"].as_object();
            let json = content.into_iter().flatten().filter(|(media, _)| media.ends_with("json"));
            bodies.extend(json.map(|(media, content)| (format!("{of} {media}"), content.clone())));
        };
        collect("request".to_owned(), &operation["requestBody"]);
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            collect(status.clone(), at(&document, response));
            assert!(at(&document, response)["description"].is_string(), "{name}: {status} is not described");
            let headers = &at(&document, response)["headers"];
            assert!(headers["X-Request-Id"].is_object(), "{name}: {status} has no X-Request-Id");
        }
        for (what, content) in bodies {
            assert!(!content["example"].is_null(), "{name}: {what} has no example");
        }
        assert!(
            responses.keys().any(|status| status.starts_with('4') || status == "503"),
            "{name}: no error"
        );
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: no success");
    }
}

/// The sources of this crate.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_code_of_a_problem_is_listed() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    // Conflicts are declared where they arise, all other problems in one place.
    let named = found.iter().flat_map(|source| source.split("Conflict").skip(1));
    let mut codes: BTreeSet<String> = named
        .filter(|rest| rest.starts_with(" {") || rest.starts_with("At {"))
        .filter_map(|rest| rest.split('}').next()?.split_once("code: \"")?.1.split('"').next())
        .map(str::to_owned)
        .collect();
    assert!(codes.len() >= 3, "{codes:?}");
    let others = [
        ApiError::NoSuchPath,
        ApiError::MethodNotAllowed,
        ApiError::TimedOut,
        ApiError::Overloaded,
        ApiError::SignatureRequired(SignatureFault::Missing),
    ];
    let others = others.iter().map(|error| error.as_json()["code"].as_str().unwrap().to_owned());
    codes.extend(others);
    let document = document();
    let responses = document["components"]["responses"].as_object().unwrap().values();
    let shown = responses.map(|response| &response["content"]["application/problem+json"]["example"]["code"]);
    codes.extend(shown.map(|code| code.as_str().unwrap().to_owned()));
    let listed: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(codes, listed, "error.rs lists them for the document");
}

#[test]
fn whoever_must_show_credentials_is_told_so() {
    let document = document();
    for (name, operation) in operations(&document) {
        let asks = operation["security"].as_array().is_some_and(|security| !security.is_empty());
        // Wallet shows no token when a person enrols, and every refusal is a 401.
        let refuses = asks || name.ends_with("/personalize");
        assert_eq!(refuses, operation["responses"]["401"].is_object(), "{name}");
        let open = ["device", "running"].iter().any(|tag| operation["tags"][0] == *tag);
        assert!(asks || open, "{name} asks for nothing");
    }
}

#[test]
fn the_documented_interface_is_that_of_the_handlers() {
    let mut text = router::documented().to_pretty_json().expect("a document of plain values is JSON");
    text.push('\n');
    honoken_test_documents::check_json("docs/openapi.json", &text);
}

/// Generators take an object without properties for one that has none.
#[test]
fn every_object_says_what_may_be_in_it() {
    fn look(place: &str, value: &Value, silent: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let kind = &value["type"];
                let is_object =
                    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()));
                let speaks =
                    ["properties", "additionalProperties"].iter().any(|key| members.contains_key(*key));
                if is_object && !speaks {
                    silent.push(place.to_owned());
                }
                let inner = members.iter().filter(|(name, _)| *name != "example");
                inner.for_each(|(name, value)| look(&format!("{place}/{name}"), value, silent));
            }
            Value::Array(values) => values.iter().for_each(|value| look(place, value, silent)),
            _ => {}
        }
    }
    let mut silent = Vec::new();
    look("", &document()["components"]["schemas"], &mut silent);
    assert_eq!(silent, [""; 0]);
}

#[test]
fn a_field_that_may_be_left_out_of_a_body_may_be_null_and_the_document_says_so() {
    let document = document();
    let mut silent = Vec::new();
    for (operation, described) in operations(&document) {
        let contents = described.pointer("/requestBody/content").and_then(Value::as_object);
        let json = contents.into_iter().flatten().filter(|(kind, _)| kind.contains("json"));
        for (_, content) in json {
            fields_without_null(&document, &content["schema"], &operation, 4, &mut silent);
        }
    }
    assert!(silent.is_empty(), "`Fields::optional` takes null for all of these: {silent:#?}");
}

/// Collects the optional fields of a body whose schema does not allow null, up to some depth.
fn fields_without_null(document: &Value, schema: &Value, place: &str, depth: u32, silent: &mut Vec<String>) {
    let schema = at(document, schema);
    for alternative in alternatives(schema) {
        fields_without_null(document, alternative, place, depth, silent);
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        if !required.contains(&name.as_str()) && !may_be_null(document, field) {
            silent.push(place.clone());
        }
        if depth > 0 {
            fields_without_null(document, field, &place, depth - 1, silent);
        }
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

fn may_be_null(document: &Value, schema: &Value) -> bool {
    let schema = at(document, schema);
    let says_null = |kind: &Value| kind == "null";
    let is_any =
        schema.get("type").is_none() && alternatives(schema).next().is_none() && schema.get("enum").is_none();
    is_any
        || says_null(&schema["type"])
        || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(says_null))
        || alternatives(schema).any(|alternative| may_be_null(document, alternative))
}

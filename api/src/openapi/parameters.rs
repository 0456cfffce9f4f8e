//! Parameters that several routes share: those in the path by their name, headers as types for `params(…)`.

use honoken_domain::pass::TicketStyle;
use honoken_service::dev::sample;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Required, Type};

use crate::openapi::schemas;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A parameter that may be left out. Its example is part of the description: the page `/docs` would send one of its own accord.
fn optional(
    location: ParameterIn,
    name: &str,
    description: &str,
    schema: ObjectBuilder,
    example: &str,
) -> Parameter {
    let description = format!("{description} For example `{example}`.");
    ParameterBuilder::new()
        .name(name)
        .parameter_in(location)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// Every name that a path may hold in braces.
pub fn in_paths() -> Vec<Parameter> {
    fn named(name: &str, description: &str, schema: ObjectBuilder, example: impl Into<Value>) -> Parameter {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(schema))
            .example(Some(example.into()))
            .build()
    }
    let integer = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    vec![
        named("type", "Pass type identifier: `pass.` and a reverse domain name.", text(), sample::PASS_TYPE),
        named(
            "serial",
            "Serial number, percent-encoded: any 1 to 256 characters but control characters, `/` as `%2F`.",
            schemas::without_control_characters(256),
            sample::SERIAL_NUMBER,
        ),
        named(
            "device",
            "Device library identifier, chosen by the phone. It is the secret of the list call: keep it out of log output.",
            text(),
            "0123456789abcdef0123456789abcdef",
        ),
        named(
            "file",
            "File name of an image. That of one language is in its folder, `de.lproj/logo.png`; the slash may stay as it is.",
            schemas::image_file(),
            "logo.png",
        ),
        named(
            "lang",
            "A language, as the folders of a pass are named: `de`, `pt-BR`, `zh-Hans`.",
            schemas::language(),
            "de",
        ),
        named(
            "certRef",
            "Name of a certificate, chosen by the operator who installs it; that of the command line is the pass type identifier.",
            schemas::cert_ref(),
            "club-2026",
        ),
        named(
            "keyRef",
            "Name of an APNs key, chosen by the operator who installs it; that of the command line is Apple's id of the key.",
            schemas::cert_ref(),
            "club-push",
        ),
        named(
            "id",
            "Name of a job, from the answer to the change.",
            text().min_length(Some(1)).max_length(Some(64)),
            "019aa62d-8c00-7000-8000-5b1f6a3c9d10",
        ),
        named("organization", "Id of an organisation.", text().min_length(Some(1)), sample::ORGANIZATION),
        named(
            "key",
            "Id of an API key: 12 hex digits, from the answer that made it or from the list.",
            text().pattern(Some("^[0-9a-f]{12}$")),
            "2c70e12b7a06",
        ),
        named(
            "operator",
            "Name of a stored operator.",
            text().min_length(Some(1)).max_length(Some(64)),
            "vera",
        ),
        named(
            "message",
            "Name of a parked message, from the list.",
            text().min_length(Some(1)).max_length(Some(128)),
            "0b6f1c5e-9a52-4d3e-8a53-2f6d1e0a7c44",
        ),
        named("part", "Name of a file of the page.", text(), "start.js"),
        named("projection", "Name of a projection.", text(), "wallet"),
        named("position", "Position of the event in the event log.", integer, 17),
    ]
}

/// `X-Request-Id`, which every route takes.
pub fn request_id() -> Parameter {
    optional(
        ParameterIn::Header,
        "X-Request-Id",
        "The caller's id for this request: 1 to 128 visible ASCII characters. Another value is ignored.",
        text(),
        "order-7-attempt-2",
    )
}

/// `urgent` of a change.
#[derive(Debug)]
pub struct Urgent;

impl IntoParams for Urgent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "Wake the phones at once. Otherwise a phone that was woken a moment ago is woken again when the push window ends.";
        let flag = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into()));
        vec![optional(ParameterIn::Query, "urgent", description, flag, "true")]
    }
}

/// `scale` of an image.
#[derive(Debug)]
pub struct EveryScale;

impl IntoParams for EveryScale {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "`auto`: make the image at 1x, 2x and 3x, as large as Wallet draws it, of the one that is sent. The file is named without a scale.";
        vec![optional(ParameterIn::Query, "scale", description, text().enum_values(Some(["auto"])), "auto")]
    }
}

/// `file` of an uploaded image.
#[derive(Debug)]
pub struct ImageFile;

impl IntoParams for ImageFile {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "With `scale=auto`: the file for which every scale is made.";
        vec![optional(ParameterIn::Query, "file", description, text(), "logo.png")]
    }
}

/// `ticketStyle` of a bare pass.json.
#[derive(Debug)]
pub struct OfStyle;

impl IntoParams for OfStyle {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "What a bare `pass.json` is drawn as; with it the body is one. Without it the style dictionary tells.";
        let style = text().enum_values(Some(TicketStyle::NAMES.iter().copied()));
        vec![optional(ParameterIn::Query, "ticketStyle", description, style, "event")]
    }
}

/// Declares a parameter of the query that is text.
macro_rules! text_in_query {
    ($(#[$doc:meta])* $type:ident, $name:literal, $example:literal, $description:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type;

        impl IntoParams for $type {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![optional(ParameterIn::Query, $name, $description, text(), $example)]
            }
        }
    };
}

text_in_query!(
    /// `cursor` of a page of actions.
    AuditCursor, "cursor", "019aa62d-8c00-7000-8000-5b1f6a3c9d10", "`next` of the page before."
);
text_in_query!(
    /// `actor` of actions.
    AuditActor, "actor", "vera", "Only what this operator did."
);
text_in_query!(
    /// `action` of actions.
    AuditAction, "action", "revokeApiKey", "Only these actions."
);

/// Declares a header that handlers name in `params(…)`.
macro_rules! header {
    ($(#[$doc:meta])* $type:ident, $name:literal, $schema:expr, $example:literal, $description:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type;

        impl IntoParams for $type {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![optional(ParameterIn::Header, $name, $description, $schema, $example)]
            }
        }
    };
}

header!(
    /// `If-Match` of a change.
    IfMatch, "If-Match", text(), "\"6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9\"",
    "Change only the state with this ETag (RFC 9110 section 13.1.1); the answer is 412 if the current ETag is another. `*` matches any."
);
header!(
    /// `Idempotency-Key`.
    IdempotencyKey,
    "Idempotency-Key",
    text(),
    "order-7",
    "1 to 256 visible ASCII characters that name this attempt: a retry with the same key has the same outcome."
);
header!(
    /// `If-None-Match` of a phone or a proxy.
    IfNoneMatch, "If-None-Match", text(), "\"6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9\"",
    "The answer is 304 if one of these tags is the current one. With this header, `If-Modified-Since` is ignored."
);
header!(
    /// `If-Modified-Since` of a phone.
    IfModifiedSince, "If-Modified-Since", text(), "Tue, 14 Nov 2023 22:13:20 GMT",
    "The answer is 304 if the pass has not changed since this date. A value that is not a date is ignored."
);

//! Schemas without a type in this crate: raw JSON, bytes, and values of crates that do not depend on `utoipa`.

use std::collections::BTreeMap;

use honoken_domain::localizations::{MAX_LANGUAGES, MAX_STRINGS};
use honoken_domain::organization::Scope;
use honoken_domain::pass::{MAX_OPERATIONS, TicketStyle};
use honoken_domain::personalization::PersonalizationField;
use honoken_office::operators::Role;
use honoken_pkpass::image::ImageSlot;
use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType,
};
use utoipa::openapi::{Array, Object, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::examples;

/// A type that stands for a body in the document.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    };
}

body!(
    /// What a pass says.
    Content,
    object(
        "The keys of [pass.json](https://developer.apple.com/documentation/walletpasses/pass) without those that the service \
         writes itself, and the loose fields of an event ticket (`eventName`, `eventDateISO`, `venueName`, `section`, `seat`). Unknown keys \
         are kept.",
        examples::content()
    )
);
body!(
    /// An order or a pass.json that is checked. Everything in it is judged, so an object of any shape is read.
    LintedPass,
    object("The order of a pass, as it would be sent to issue it, or a `pass.json`.", examples::order())
);
body!(
    /// A JSON Merge Patch (RFC 7396).
    MergePatch,
    object("The new value of each key of the content; `null` removes the key (RFC 7396).", examples::merge_patch())
);
body!(
    /// A JSON Patch (RFC 6902).
    JsonPatch,
    json_patch()
);
body!(
    /// A PNG file.
    Png,
    bytes()
);
body!(
    /// A signed pass.
    PassBytes,
    bytes()
);
body!(
    /// A signature over a token of a phone.
    SignatureBytes,
    bytes()
);

fn object(description: &str, example: Value) -> Object {
    // Said outright: generators take an object without properties for one that has none.
    let any = Some(AdditionalProperties::FreeForm(true));
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(any)
        .description(Some(description));
    #[expect(deprecated, reason = "one example is enough")]
    let object = object.example(Some(example));
    object.build()
}

fn json_patch() -> Array {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let names = ["add", "remove", "replace", "move", "copy", "test"];
    let operation = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("op", text().enum_values(Some(names)))
        .property("path", text())
        .property("from", text())
        .property("value", ObjectBuilder::new().schema_type(SchemaType::AnyValue))
        .required("op")
        .required("path");
    let description = "Operations on the content, in order, all or none (RFC 6902).";
    let array =
        ArrayBuilder::new().items(operation).max_items(Some(MAX_OPERATIONS)).description(Some(description));
    #[expect(deprecated, reason = "one example is enough")]
    let array = array.example(Some(examples::json_patch()));
    array.build()
}

/// Bytes.
pub fn bytes() -> Object {
    let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
    ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).build()
}

/// The names of the styles that can be issued.
pub fn ticket_styles() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The style of the pass."))
        .enum_values(Some(TicketStyle::NAMES.iter().copied()))
        .build()
}

/// The same where `null` is as good as nothing.
pub fn optional_ticket_styles() -> Object {
    let names = TicketStyle::NAMES.iter().copied().map(Some).chain([None]);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("The style of the pass."))
        .enum_values(Some(names))
        .build()
}

/// A pass type identifier.
pub fn pass_type_identifier() -> ObjectBuilder {
    text().max_length(Some(128)).pattern(Some(r"^pass\.[A-Za-z0-9.-]+$"))
}

/// A developer team.
pub fn team_identifier() -> ObjectBuilder {
    text().pattern(Some("^[A-Z0-9]{10}$"))
}

/// A developer team. Where it need not be there.
pub fn optional_team_identifier() -> ObjectBuilder {
    team_identifier().schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// The id of an organisation. Where it need not be there.
pub fn optional_organization_id() -> ObjectBuilder {
    organization_id().schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// The id of an organisation.
pub fn organization_id() -> ObjectBuilder {
    text().pattern(Some("^[A-Za-z0-9_-]{1,64}$"))
}

/// The name of an organisation for people.
pub fn name_for_people() -> ObjectBuilder {
    without_control_characters(256)
}

/// The name of an organisation for people. Where it need not be there.
pub fn optional_name_for_people() -> ObjectBuilder {
    without_control_characters(256).schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// The name of a certificate.
pub fn cert_ref() -> ObjectBuilder {
    text().pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"))
}

/// A serial number, or anything else that is chosen freely.
pub fn without_control_characters(most: usize) -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(most)).pattern(Some("^[^\\u0000-\\u001f\\u007f-\\u009f]+$"))
}

/// A serial number.
pub fn serial_number() -> ObjectBuilder {
    without_control_characters(256).description(Some("Unique within its pass type."))
}

/// A serial number that need not be there.
pub fn optional_serial_number() -> ObjectBuilder {
    let either = SchemaType::from_iter([Type::String, Type::Null]);
    without_control_characters(256)
        .schema_type(either)
        .description(Some("Unique within the pass type. If it is missing, the service makes one."))
}

/// What a phone shows to act on a pass. Where it need not be there.
pub fn authentication_token() -> ObjectBuilder {
    let either = SchemaType::from_iter([Type::String, Type::Null]);
    text().schema_type(either).min_length(Some(16)).max_length(Some(256)).pattern(Some("^[!-~]+$")).description(Some(
        "For a pass that another service has issued, by a key with the scope `passes:import`: the token in the pass that phones have. If it is \
         missing, the service makes one.",
    ))
}

/// What APNs knows a phone by.
pub fn push_token() -> ObjectBuilder {
    without_control_characters(1024).description(Some("The push token: the address of the phone at APNs."))
}

/// The name of an image file, perhaps in the folder of a language.
pub fn image_file() -> ObjectBuilder {
    let slots = ImageSlot::ALL.map(ImageSlot::as_str).join("|");
    text().pattern(Some(format!(r"^({LANGUAGE}\.lproj/)?({slots})(@[23]x)?\.png$")))
}

/// The pattern of a language.
const LANGUAGE: &str = "[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*";

/// A language.
pub fn language() -> ObjectBuilder {
    text().max_length(Some(35)).pattern(Some(format!("^{LANGUAGE}$")))
}

/// Texts in other languages, by language.
pub fn localizations() -> Object {
    localizations_of(Type::Object.into())
}

/// The same where they need not be there.
pub fn optional_localizations() -> Object {
    localizations_of(SchemaType::from_iter([Type::Object, Type::Null]))
}

fn localizations_of(kind: SchemaType) -> Object {
    ObjectBuilder::new()
        .schema_type(kind)
        .property_names(Some(language()))
        .max_properties(Some(MAX_LANGUAGES))
        .additional_properties(Some(AdditionalProperties::RefOr(Localization::schema())))
        .build()
}

/// The texts of one language.
#[derive(Debug, ToSchema)]
#[schema(as = Localization, example = examples::localization)]
pub struct Localization {
    /// The texts that are shown, by the texts of the content in whose place they stand.
    #[schema(schema_with = strings)]
    #[expect(dead_code, reason = "the schema of a type of a room that knows no documents")]
    strings: BTreeMap<String, String>,
}

fn strings() -> Object {
    let shown = text().pattern(Some("^[^\\u0000]*$")).build();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(text().min_length(Some(1)).pattern(Some("^[^\\u0000]+$"))))
        .min_properties(Some(1))
        .max_properties(Some(MAX_STRINGS))
        .additional_properties(Some(AdditionalProperties::RefOr(shown.into())))
        .build()
}

/// A SHA-256, as images and states are named by.
pub fn digest() -> ObjectBuilder {
    text().pattern(Some("^[0-9a-f]{64}$"))
}

/// Images by their file names, each as the digest of its bytes.
pub fn images() -> Object {
    images_of(Type::Object.into())
}

/// The same where they need not be there.
pub fn optional_images() -> Object {
    images_of(SchemaType::from_iter([Type::Object, Type::Null]))
}

fn images_of(kind: SchemaType) -> Object {
    ObjectBuilder::new()
        .schema_type(kind)
        .property_names(Some(image_file()))
        .additional_properties(Some(AdditionalProperties::RefOr(digest().build().into())))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A [`honoken_pkpass::Finding`] in an answer: a part that a phone would ignore, or show otherwise than meant.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of a type of a room that knows no documents; a test compares them")]
pub struct Warning {
    #[schema(pattern = "^(warning|hint)$")]
    severity: String,
    /// Stable name of the rule.
    code: String,
    /// RFC 6901 pointer into the content; images are below `/assets`.
    pointer: String,
    /// A sentence for a person.
    detail: String,
}

/// A [`honoken_pkpass::Finding`] in a report.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of a type of a room that knows no documents; a test compares them")]
pub struct Judgement {
    /// An error is refused by a phone; anything else it ignores or shows otherwise than meant.
    #[schema(pattern = "^(error|warning|hint)$")]
    severity: String,
    /// Stable name of the rule.
    code: String,
    /// RFC 6901 pointer into the body; of a file, images are below `/assets` and its other files below `/files`.
    pointer: String,
    /// A sentence for a person.
    detail: String,
}

/// What the form of a rewards programme asks for.
pub fn personalization_fields() -> ArrayBuilder {
    let names = PersonalizationField::ALL.map(PersonalizationField::as_str);
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    ArrayBuilder::new().items(name.build()).min_items(Some(1)).unique_items(true)
}

/// The form of the page that inspects passes.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of a form; a browser makes it")]
pub struct InspectForm {
    /// The file.
    #[schema(schema_with = bytes)]
    pass: Vec<u8>,
}

/// Every `code` of a problem, for the document. More may come; none changes its meaning.
pub const CODES: &[&str] = &[
    "already_created",
    "already_issued",
    "another_installed",
    "another_key",
    "another_pass_type",
    "body_timeout",
    "cannot_sign",
    "cross_site",
    "idempotency_key_reused",
    "image_gone",
    "internal",
    "issued_with_another_token",
    "key_expired",
    "key_revoked",
    "log_refuses_writes",
    "method_not_allowed",
    "missing_role",
    "missing_scope",
    "name_taken",
    "needs_force",
    "no_encryption_key",
    "no_pass_type",
    "no_rebuild",
    "not_found",
    "not_in_production",
    "not_parked",
    "nothing_is_pushed",
    "nothing_kept",
    "overloaded",
    "patch_test_failed",
    "precondition_failed",
    "quota_exceeded",
    "rebuild_at_work",
    "retired",
    "revoked",
    "signature_required",
    "still_unappliable",
    "still_unreadable",
    "stream_damaged",
    "timed_out",
    "too_large",
    "too_many_keys",
    "too_many_operators",
    "too_many_requests",
    "unacceptable",
    "unauthorized",
    "unavailable",
    "unreadable",
    "unsupported_media_type",
    "unusable_key",
];

/// The scopes of an API key.
pub fn scopes() -> ArrayBuilder {
    let scope = text().enum_values(Some(Scope::ALL.map(Scope::as_str)));
    ArrayBuilder::new().items(scope).min_items(Some(1))
}

/// The same where they need not be there.
pub fn optional_scopes() -> ArrayBuilder {
    scopes().schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
}

/// What an operator may do, where it need not be there.
pub fn optional_role() -> ObjectBuilder {
    let names = Role::ALL.map(|role| Some(role.as_str())).into_iter().chain([None]);
    text().schema_type(SchemaType::from_iter([Type::String, Type::Null])).enum_values(Some(names))
}

/// What an operator may do.
pub fn role() -> ObjectBuilder {
    text().enum_values(Some(Role::ALL.map(Role::as_str)))
}

/// The name of a problem.
pub fn problem_code() -> ObjectBuilder {
    let codes = CODES.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
    let description =
        format!("Stable name of the problem; programs may match on it. {codes}; more may come.");
    text().description(Some(description)).pattern(Some("^[a-z][a-z0-9_]*$"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use honoken_domain::pass::PassKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_warning_is_described_as_it_is_sent() {
        let Value::Object(content) = json!({"description": "d", "expirationDate": "tomorrow"}) else {
            panic!("an object")
        };
        let found = honoken_pkpass::lint(PassKind::plain(TicketStyle::Event), &content);
        let sent = serde_json::to_value(found.first().expect("a finding")).unwrap();
        let sent: BTreeSet<&str> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        let described = serde_json::to_value(Warning::schema()).unwrap();
        let described: BTreeSet<&str> =
            described["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(sent, described);
    }
}

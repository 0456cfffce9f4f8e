//! Successful answers that several routes share, as types for `responses(…)`.

use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::{Components, ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::answers::job::AssetChange;
use crate::manage::change::ChangeAnswer;
use crate::openapi::schemas::bytes;

/// 200 with a [`ChangeAnswer`].
#[derive(Debug)]
pub struct Changed;

/// 201 with a [`ChangeAnswer`] for a new pass.
#[derive(Debug)]
pub struct Issued;

/// 200 with a signed pass.
#[derive(Debug)]
pub struct PassFile;

/// 200 with the files of a pass as it was.
#[derive(Debug)]
pub struct UnsignedFile;

/// 200 with several signed passes.
#[derive(Debug)]
pub struct Bundle;

/// 304: the caller's copy is current.
#[derive(Debug)]
pub struct NotModified;

/// 200 with an image.
#[derive(Debug)]
pub struct Image;

/// 202 with a job, or 200 because nothing changed.
#[derive(Debug)]
pub struct BroughtByJob;

/// 204.
#[derive(Debug)]
pub struct Done;

/// Adds the schemas that are referenced only here.
pub fn schemas(components: &mut Components) {
    let mut nested = Vec::new();
    <ChangeAnswer as ToSchema>::schemas(&mut nested);
    <AssetChange as ToSchema>::schemas(&mut nested);
    components.schemas.extend(nested);
    components.schemas.insert(ChangeAnswer::name().into_owned(), ChangeAnswer::schema());
    components.schemas.insert(AssetChange::name().into_owned(), AssetChange::schema());
}

fn one(status: &str, response: impl Into<Response>) -> BTreeMap<String, RefOr<Response>> {
    BTreeMap::from([(status.to_owned(), RefOr::T(response.into()))])
}

fn header(description: &str, example: &str) -> Header {
    let text = Object::with_type(Type::String);
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some(description))
        .example(Some(example.into()))
        .build()
}

fn etag() -> Header {
    let example = "\"6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9\"";
    header("The tag of the state, 64 hex digits in quotes.", example)
}

fn change_answer(description: &str) -> ResponseBuilder {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ChangeAnswer::name())));
    let body = body.example(Some(super::examples::change_answer())).build();
    ResponseBuilder::new().description(description).content("application/json", body).header("ETag", etag())
}

impl IntoResponses for Changed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        one("200", change_answer("The change is on disk; `changed` is false if there was nothing to change."))
    }
}

impl IntoResponses for Issued {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let location = header("The path of the pass.", "/manage/v1/passes/pass.dev.honoken.event/ORDER-7");
        one("201", change_answer("The pass is new.").header("Location", location))
    }
}

fn validators(response: ResponseBuilder) -> ResponseBuilder {
    response
        .header("ETag", etag())
        .header(
            "Last-Modified",
            header("The time of the last change, in whole seconds.", "Tue, 14 Nov 2023 22:13:20 GMT"),
        )
        .header(
            "Cache-Control",
            header("Only the phone may keep a copy.", "no-cache, no-store, must-revalidate"),
        )
}

impl IntoResponses for PassFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let file = ContentBuilder::new().schema(Some(bytes())).build();
        let response = ResponseBuilder::new()
            .description("The signed pass.")
            .content("application/vnd.apple.pkpass", file)
            .header(
                "Content-Disposition",
                header(
                    "A name for the file: the serial number.",
                    "attachment; filename=\"A-1.pkpass\"; filename*=UTF-8''A-1.pkpass",
                ),
            );
        one("200", validators(response))
    }
}

impl IntoResponses for UnsignedFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let file = ContentBuilder::new().schema(Some(bytes())).build();
        let response = ResponseBuilder::new()
            .description("The files, in an archive without a signature.")
            .content("application/zip", file)
            .header(
                "Content-Disposition",
                header(
                    "A name for the file: the serial number.",
                    "attachment; filename=\"A-1.zip\"; filename*=UTF-8''A-1.zip",
                ),
            );
        one("200", response)
    }
}

impl IntoResponses for Bundle {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let file = ContentBuilder::new().schema(Some(bytes())).build();
        let response = ResponseBuilder::new()
            .description("The signed passes.")
            .content("application/vnd.apple.pkpasses", file)
            .header(
                "Content-Disposition",
                header("A name for the file.", "attachment; filename=\"passes.pkpasses\""),
            );
        one("200", response)
    }
}

impl IntoResponses for NotModified {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        one("304", validators(ResponseBuilder::new().description("The caller's copy is current. No body.")))
    }
}

impl IntoResponses for Image {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let image = ContentBuilder::new().schema(Some(bytes())).build();
        let digest = header(
            "The SHA-256 of the bytes.",
            "\"6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9\"",
        );
        one(
            "200",
            ResponseBuilder::new()
                .description("A PNG file.")
                .content("image/png", image)
                .header("ETag", digest),
        )
    }
}

impl IntoResponses for BroughtByJob {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answer = |description: &str, example| {
            let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(AssetChange::name())));
            let body = body.example(Some(example)).build();
            ResponseBuilder::new().description(description).content("application/json", body)
        };
        let location = header("The path of the job.", "/manage/v1/jobs/019aa62d-8c00-7000-8000-5b1f6a3c9d10");
        let begun = "The change is on disk, and a job brings it to every pass that shows it.";
        let mut responses =
            one("202", answer(begun, super::examples::asset_change()).header("Location", location));
        let nothing = answer("There was nothing to change.", super::examples::no_asset_change());
        responses.append(&mut one("200", nothing));
        responses
    }
}

impl IntoResponses for Done {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        one("204", ResponseBuilder::new().description("Done. No body."))
    }
}

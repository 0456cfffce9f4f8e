//! The `OpenAPI` document: generated from the handlers, completed in [`document`] with the parts that many routes share.
//!
//! # How to add a route
//!
//! 1. Annotate the handler. The first line of its doc comment stays what it is (method and path); the paragraphs behind it, up to `# Errors`,
//!    become the description, so say there what a caller must know. For a phone's route name Apple's page.
//!
//!    ```ignore
//!    /// `PUT /manage/v1/passes/{type}/{serial}/content`
//!    ///
//!    /// Replaces everything that the pass says.
//!    ///
//!    /// # Errors
//!    /// 400, 401, 404, …
//!    #[utoipa::path(
//!        put, path = "/manage/v1/passes/{type}/{serial}/content", tag = MANAGE,
//!        operation_id = "replaceContent", summary = "Replace the content of a pass",
//!        params(IfMatch), request_body = ContentBody,
//!        responses(Changed, NotFound, PreconditionFailed, UnsupportedMediaType, Unacceptable),
//!    )]
//!    ```
//!
//! 2. Put it into the list in [`crate::router`] with `routes!`.
//! 3. Derive [`utoipa::ToSchema`] for the types that are really read or written, and give each an example in [`examples`]
//!    (`#[schema(example = examples::change_answer)]`).
//!
//! Do not repeat in a handler what [`complete`](document::complete) adds by rule: the parameters in the path ([`parameters`] knows them by
//! name), the header `X-Request-Id` both ways, 500 and 503 everywhere, 429 except on the routes of phones
//! (those that are limited declare it themselves), health and metrics, with the headers of the limits in a window, 403 where an operator changes something and where a key needs a scope ([`crate::auth::scopes`] says which), 400, 408 and 413 where there is a body, and the
//! credentials of the area with their 401. A phone's route that needs the token declares `security(("authenticationToken" = []))`; no other
//! route needs `security`.
//!
//! Error answers are types in [`problems`], made of the same [`ApiError`](crate::error::ApiError) that is sent.

pub mod answers;
pub mod document;
pub mod examples;
pub mod parameters;
pub mod problems;
pub mod schemas;
pub mod tags;

#[cfg(test)]
mod tests;

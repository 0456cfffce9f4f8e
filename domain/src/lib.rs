//! What a pass service decides, readable on paper: aggregates turn commands into events.
//!
//! The cast, in reading order:
//!
//! - [`ids`]: the names of things. A name is checked once, where it enters, and trusted afterwards.
//! - [`rfc3339`]: moments as text.
//! - [`json`]: reads JSON as strictly as RFC 8785 needs it; [`content`] is the JSON object that an integrator puts on a pass.
//! - [`images`]: which images a pass shows: its own, else those of its pass type, else the brand's.
//! - [`localizations`]: which texts a pass has in which language: its own, else those of its pass type.
//! - [`served`]: which parts of a pass are left out of its file; [`personalization`]: the form of a rewards programme, and who has filled it in.
//! - [`etag`]: how the state of a pass becomes the 64 hex digits that name it.
//! - [`decimal`]: exact sums of the numbers on a pass.
//! - [`pass`]: one pass: issued, changed, voided, reinstated, retired. It alone decides its `ETag` and its `updated_at`.
//! - [`registration`]: one device with one pass type: its push token and the serial numbers it holds.
//! - [`organization`]: an integrator and the digests of its API keys.
//! - [`pass_type`]: a pass type identifier, the organisation it belongs to and the images its passes fall back to.
//! - [`certificate`]: what signs the passes of a type, with its private key [`sealed`].
//! - [`apns_key`]: what a team's pushes are authenticated with, its private key sealed likewise.
//! - [`brand_assets`]: the images that every pass falls back to in the end.
//! - [`uploaded_image`]: an image that an organisation has uploaded, and may name by its digest.
//! - [`job`]: work on many passes that outlives a request: how far it is.
//! - [`upcasters`]: how events written by earlier versions are read; [`any_event`]: events of every aggregate.
//! - [`snapshot`]: what the stored state of an aggregate looks like.
//!
//! Nothing in this crate does I/O, reads a clock, draws a random number or knows SQL or HTTP. Time and random values arrive in
//! commands and in [`pass::Circumstances`], nonces where something is sealed.

pub mod ids;
pub mod json;
pub mod rfc3339;

pub mod content;
pub mod decimal;
pub mod etag;
pub mod images;
pub mod localizations;
pub mod personalization;
pub mod sealed;
pub mod served;

pub mod apns_key;
pub mod brand_assets;
pub mod certificate;
pub mod job;
pub mod organization;
pub mod pass;
pub mod pass_type;
pub mod registration;
pub mod uploaded_image;

pub mod any_event;
pub mod snapshot;
pub mod upcasters;

//! The routes of integrators: commands for passes, and reads of their results. One kind of call in each file.

pub mod assets;
pub mod blobs;
pub mod change;
pub mod change_metadata;
pub mod history;
pub mod idempotency_key;
pub mod import_registration;
pub mod increment;
pub mod issue;
pub mod jobs;
pub mod lint;
pub mod list;
pub mod localizations;
pub mod patch_content;
pub mod pkpass;
pub mod pkpasses;
pub mod reinstate;
pub mod replace_content;
pub mod retire;
pub mod scale;
pub mod state;
pub mod type_assets;
pub mod type_localizations;
pub mod uploads;
pub mod void;

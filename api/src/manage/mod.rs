//! The routes of integrators: commands for passes, and reads of their results. One kind of call in each file.

pub mod assets;
pub mod blobs;
pub mod change;
pub mod change_metadata;
pub mod history;
pub mod idempotency_key;
pub mod increment;
pub mod issue;
pub mod jobs;
pub mod left_out;
pub mod lint;
pub mod list;
pub mod patch_content;
pub mod personalization;
pub mod pkpass;
pub mod pkpasses;
pub mod reinstate;
pub mod replace_content;
pub mod retire;
pub mod scale;
pub mod state;
pub mod type_assets;
pub mod uploads;
pub mod void;

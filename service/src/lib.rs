//! The service without HTTP.
//!
//! - [`service`] is the composition root: the parts that a process runs, started and ended
//! - [`stores`]: event log, read model, ledger of deliveries and images, opened from [`storage`] and [`data_dir`]; [`set_back`] checks that
//!   they fit together
//! - [`commands`] carries commands to aggregates; [`content_rules`] are the rules for a pass's content that need `pkpass`
//! - [`built_passes`] builds `.pkpass` files and signs them with [`signers`], with images from [`blobs`], whose bytes
//!   are in an [`image_store`]; [`permits`] bound the work
//! - [`personalization`]: the persons who enrol in rewards programmes with their passes
//! - [`encryption_keys`], [`install`] and [`apns_keys`]: private keys, sealed; [`push_credentials`]: the credentials of pushes; [`push_destination`]: Apple, or a stand-in;
//!   [`follower`] keeps both up to date
//! - [`key_uses`]: when API keys were last used; [`operators`]: the passwords of operators
//! - [`jobs`]: work that outlives a request; [`pushing`]: pushes to phones; [`dead_tokens`]: tokens that APNs calls dead;
//!   [`damaged_registration`]: registrations that mend themselves
//! - [`dev`]: the content that `honoken dev` puts into its folder
//! - [`clock`] and [`ids`]: time and randomness, passed as arguments; [`shutdown`]: how a process ends; [`limits`]: the numbers

pub mod apns_keys;
pub mod backup;
pub mod blobs;
pub mod built_passes;
pub mod bundles;
pub mod clock;
pub mod commands;
pub mod content_rules;
pub mod damaged_registration;
pub mod data_dir;
pub mod dead_tokens;
pub mod dev;
pub mod encryption_keys;
#[cfg(feature = "full")]
pub mod event_store;
#[cfg(not(feature = "full"))]
#[path = "no_event_store.rs"]
pub mod event_store;
pub mod follower;
pub mod ids;
pub mod image_store;
pub mod install;
pub mod jobs;
pub mod key_uses;
pub mod limits;
pub mod operations;
pub mod operators;
pub mod permits;
pub mod personalization;
pub mod push_credentials;
pub mod push_destination;
pub mod pushing;
pub mod rebuilds;
pub mod retention;
pub mod running_process;
pub mod service;
pub mod set_back;
pub mod shutdown;
pub mod signers;
pub mod storage;
pub mod stores;
pub mod validity;

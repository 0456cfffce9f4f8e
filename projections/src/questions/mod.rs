//! The questions that are asked of the read model: one file for each subject, with the types of its answers. No file here writes.

mod checkpoint;
mod own_images;
mod paging;

pub mod apns_keys;
pub mod certificates;
pub mod jobs;
pub mod organizations;
pub mod parked_events;
pub mod pass_heads;
pub mod pass_holders;
pub mod pass_list;
pub mod pass_types;
pub mod passes;
pub mod personalization;
pub mod shown_parts;
pub mod updated_serials;

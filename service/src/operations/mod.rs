//! What operators do, over HTTP and on the command line alike: each rule is here once, or in the aggregate that it is about.
//!
//! - [`context`]: what every operation needs
//! - [`certificates`]: installs, revokes and invalidates certificates; [`requests`]: keys that are made here, and the requests for Apple;
//!   [`credentials`]: certificates and keys as operators send them; [`certificate_warnings`]: what is wrong with one that was installed
//! - [`apns_keys`]: installs and revokes APNs keys
//! - [`images`]: those that something refers to; [`former_images`]: those that former states of passes name
//! - [`log_verification`]: whether an event log has all that it should have
//! - [`organizations`]: makes, renames and disables them
//! - [`pass_types`]: the owner of a pass type, and the certificate that signs its passes
//! - [`resealing`]: secrets that are sealed under another encryption key
//! - [`test_pass`]: a pass that shows whether a certificate signs

pub mod apns_keys;
pub mod audit;
pub mod certificate_warnings;
pub mod certificates;
pub mod context;
pub mod credentials;
pub mod former_images;
pub mod images;
pub mod log_verification;
pub mod organizations;
pub mod pass_types;
pub mod requests;
pub mod resealing;
pub mod test_pass;

//! The routes of phones: Apple's PassKit web service, one endpoint in each file.
//!
//! The statuses are stricter than HTTP requires, because the phone is: it accepts 200 and 201 for a registration, 200 and 204 for a list,
//! 200 and 304 for a pass, 200 for unregistering, and treats any other status as a failure to be repeated later.
//! <https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes>

pub mod get_pass;
pub mod list;
pub mod log;
pub mod personalize;
pub mod register;
pub mod registration;
pub mod turns;
pub mod unregister;

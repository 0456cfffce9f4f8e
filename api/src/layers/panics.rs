//! The answer to a request whose handler panics.

use std::any::Any;

use prometheus::IntCounter;

use crate::error::ApiError;

/// The answer when a handler panics. The process goes on; the panic is logged and counted.
pub fn after_panic(panicked: &IntCounter, panic: &(dyn Any + Send)) -> ApiError {
    panicked.inc();
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::Internal(format!("a handler panicked: {message}").into())
}

//! In place of `remote.rs` in a program without the feature `full`, which reads no URL of a store on another machine.

use std::future::{Ready, ready};

use futures::stream::{self, BoxStream};
use opendal::{Error, ErrorKind, Operator};

use super::place::Remote;

/// Opens nothing.
///
/// # Errors
/// Always.
pub(super) fn open(_: &Remote) -> Result<Operator, Error> {
    Err(Error::new(ErrorKind::Unsupported, "this program was built without the feature `full`"))
}

/// Nothing is known.
pub(super) fn diagnosis(_: &Remote) -> Ready<Option<String>> {
    ready(None)
}

/// It has no names.
pub(super) fn scan(_: &Remote) -> BoxStream<'static, Result<String, String>> {
    Box::pin(stream::empty())
}

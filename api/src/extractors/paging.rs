//! Pages of lists whose entries have a name of their own, in the order of the names: `?cursor=&limit=`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;

use crate::error::ApiError;
use crate::extractors::query::{self, Parameters};

/// Entries on a page unless the caller asks for another number.
const USUAL: u32 = 100;

/// The most entries on a page.
const MOST: u32 = 200;

/// The page that a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// The name behind which the page begins; empty for the first page.
    pub after: String,
    limit: u32,
}

impl Paging {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// 422 that names the parameter.
    pub fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut parameters = Parameters::of(uri, &["cursor", "limit"])?;
        let after = parameters.take("cursor").map(|text| cursor(&text)).transpose()?.unwrap_or_default();
        Ok(Self { after, limit: parameters.take_limit(USUAL, MOST)? })
    }

    /// How many entries to read: one more than needed tells whether there is another page.
    pub fn entries(&self) -> u32 {
        self.limit + 1
    }

    /// The entries of the page, and the cursor of the next one.
    pub fn page<T>(&self, mut entries: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let is_last = entries.len() <= self.limit as usize;
        entries.truncate(self.limit as usize);
        let next = entries.last().filter(|_| !is_last).map(|last| URL_SAFE_NO_PAD.encode(name(last)));
        (entries, next)
    }
}

/// A name without control characters, which Postgres would reject.
fn cursor(text: &str) -> Result<String, ApiError> {
    let read = || {
        let name = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
    };
    read().ok_or_else(|| {
        query::fault("`cursor` must be the `next` of an earlier page, unchanged; leave it out to begin with the first page")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_until_the_last() {
        let first = Paging::of(&"/x?limit=2".parse().unwrap()).unwrap();
        assert_eq!((first.after.as_str(), first.entries()), ("", 3));
        let (page, next) = first.page(vec!["a", "b", "c"], ToString::to_string);
        assert_eq!(page, ["a", "b"]);
        let uri: Uri = format!("/x?limit=2&cursor={}", next.unwrap()).parse().unwrap();
        let second = Paging::of(&uri).unwrap();
        assert_eq!(second.after, "b");
        assert_eq!(second.page(vec!["c"], ToString::to_string), (vec!["c"], None));
    }

    #[test]
    fn a_cursor_that_was_never_given_out_is_refused() {
        for wrong in ["", "!!", "AA", "_w"] {
            let uri: Uri = format!("/x?cursor={wrong}").parse().unwrap();
            assert!(Paging::of(&uri).is_err(), "{wrong}");
        }
    }
}

//! Asking for changes.

use std::collections::HashSet;

use super::findings::seen;
use super::rules::Rule;
use super::session::Session;
use crate::http::Answer;
use crate::phone::list::{Listing, read};

/// A list that names something.
#[derive(Debug, Clone, Default)]
pub(super) struct Named {
    pub(super) serial_numbers: Vec<String>,
    pub(super) tag: Option<String>,
}

impl Session {
    pub(super) fn judges_unknown_device(&mut self, answer: Option<&Answer>) {
        if let Some(answer) = answer {
            self.findings.expects(Rule::ListUnknownDevice, answer, &[204]);
        }
    }

    /// The first list and its consequences. Returns the tag, if there is one.
    pub(super) async fn lists(&mut self) -> Option<String> {
        let (device, pass_type) = (self.device.clone(), self.pass_type.clone());
        let first = self.list("listing without a tag", &device, &pass_type, None).await?;
        let named = self.reads(Rule::ListFirst, &first);
        let tag = named.and_then(|named| named.tag);
        match &tag {
            Some(tag) => {
                if let Some(answer) = self.list("listing with the tag", &device, &pass_type, Some(tag)).await
                {
                    self.findings.expects(Rule::ListNothingNew, &answer, &[204]);
                }
            }
            None => self.findings.leaves_out(Rule::ListNothingNew, "there is no tag to ask with"),
        }
        let foreign = "2014-03-01T12:00:00+01:00 #%/?";
        if let Some(answer) =
            self.list("listing with a foreign tag", &device, &pass_type, Some(foreign)).await
        {
            self.findings.expects(Rule::ListForeignTag, &answer, &[200, 204]);
        }
        let other = self.no_type.clone();
        if let Some(answer) = self.list("listing another pass type", &device, &other, None).await {
            self.findings.expects(Rule::ListOtherType, &answer, &[204]);
        }
        tag
    }

    /// A list that must name the pass, judged in every respect.
    pub(super) fn reads(&mut self, rule: Rule, answer: &Answer) -> Option<Named> {
        if answer.status.as_u16() != 200 {
            self.findings.breaks(rule, seen(answer));
            return None;
        }
        let named = match read(answer) {
            Ok(Listing::Changes { serial_numbers, last_updated }) => {
                Named { serial_numbers, tag: last_updated }
            }
            Ok(Listing::Nothing) => Named::default(),
            Err(fault) => {
                self.findings.breaks(Rule::ListShape, format!("{}; {}", fault.text, seen(answer)));
                self.findings.leaves_out(rule, "the list cannot be read");
                return None;
            }
        };
        let shape =
            if named.tag.is_some() { Ok(()) } else { Err(format!("no lastUpdated; {}", seen(answer))) };
        self.findings.judges(Rule::ListShape, shape);
        self.findings.judges(Rule::ListContentType, is_json(answer));
        let names_it = named.serial_numbers.contains(&self.serial_number);
        self.findings.judges(rule, if names_it { Ok(()) } else { Err(seen(answer)) });
        let others = named.serial_numbers.iter().any(|serial| *serial != self.serial_number);
        self.findings.judges(Rule::ListOnlyRegistered, if others { Err(seen(answer)) } else { Ok(()) });
        let distinct: HashSet<&String> = named.serial_numbers.iter().collect();
        let once = distinct.len() == named.serial_numbers.len();
        self.findings.judges(Rule::ListOnce, if once { Ok(()) } else { Err(seen(answer)) });
        Some(named)
    }
}

fn is_json(answer: &Answer) -> Result<(), String> {
    let found = answer.header("content-type").unwrap_or("(none)");
    let media_type = found.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(format!("Content-Type: {found}"))
    }
}

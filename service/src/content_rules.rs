//! Apple's rules for the content of a pass, as the domain asks for them.

use honoken_domain::content::Content;
use honoken_domain::pass::{ContentFault, TicketStyle};
use honoken_pkpass::Finding;

use crate::built_passes;

/// Every reason why a phone would refuse a pass of this style with this content; see [`honoken_domain::pass::ContentRules`].
pub fn refusals(style: TicketStyle, poster: bool, content: &Content) -> Vec<ContentFault> {
    let findings = findings(style, poster, content).into_iter();
    findings
        .filter(Finding::is_error)
        .map(|finding| ContentFault {
            code: finding.code.into_owned(),
            pointer: finding.pointer,
            detail: finding.detail,
        })
        .collect()
}

/// Everything that a phone would ignore, shorten or show otherwise than intended.
pub fn warnings(style: TicketStyle, poster: bool, content: &Content) -> Vec<Finding> {
    findings(style, poster, content).into_iter().filter(|finding| !finding.is_error()).collect()
}

fn findings(style: TicketStyle, poster: bool, content: &Content) -> Vec<Finding> {
    honoken_pkpass::lint(built_passes::style(style), poster, content.as_map())
}

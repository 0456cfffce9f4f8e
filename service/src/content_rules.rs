//! Apple's rules for the content of a pass, as the domain asks for them.

use honoken_domain::content::Content;
use honoken_domain::pass::{ContentFault, PassKind};
use honoken_pkpass::Finding;

/// Every reason why a phone would refuse a pass of this kind with this content; see [`honoken_domain::pass::ContentRules`].
pub fn refusals(kind: PassKind, content: &Content) -> Vec<ContentFault> {
    let findings = findings(kind, content).into_iter();
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
pub fn warnings(kind: PassKind, content: &Content) -> Vec<Finding> {
    findings(kind, content).into_iter().filter(|finding| !finding.is_error()).collect()
}

fn findings(kind: PassKind, content: &Content) -> Vec<Finding> {
    honoken_pkpass::lint(kind, content.as_map())
}

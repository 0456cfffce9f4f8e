//! The page, as HTML without a script. Everything that comes from a pass is escaped.

use std::fmt::Write;

use honoken_pkpass::reader::{CertificateReport, Inspected, Inspection};
use honoken_pkpass::{Finding, Severity};

use crate::operations::page::{self, escaped};

/// The form.
pub(super) fn empty(note: Option<&str>) -> String {
    let note = note.map_or_else(String::new, |note| format!("<p class=\"error\">{}</p>\n", escaped(note)));
    page(&note)
}

/// The form, and what was found.
pub(super) fn of(found: &Inspected) -> String {
    let mut html = String::new();
    match found {
        Inspected::Pass(inspection) => inspected(&mut html, inspection),
        Inspected::Bundle(bundle) => {
            let verdict = if bundle.valid {
                "A phone takes every pass of this bundle"
            } else {
                "A phone does not take all of this bundle"
            };
            writeln!(html, "<h2>{verdict}</h2>").ok();
            let problems: Vec<Finding> =
                bundle.problems.iter().map(honoken_pkpass::reader::Problem::to_finding).collect();
            list(&mut html, &problems);
            for pass in &bundle.passes {
                writeln!(html, "<h2><code>{}</code></h2>", escaped(&pass.path)).ok();
                inspected(&mut html, &pass.inspection);
            }
        }
    }
    page(&html)
}

fn page(result: &str) -> String {
    let body = format!(
        "<h1>Inspect a pass</h1>\n\
         <p>Why does a phone not take this file? The signature, the certificates, the manifest, the images, the texts and pass.json are looked \
         at as Apple Wallet does. Nothing of the file is kept.</p>\n\
         <form method=\"post\" enctype=\"multipart/form-data\">\n\
         <label for=\"pass\">A .pkpass, a .pkpasses or a pass.json, of at most 4 MiB</label>\n\
         <p><input type=\"file\" id=\"pass\" name=\"pass\" required></p>\n<p><button>Inspect</button></p>\n</form>\n\
         <main>\n{result}</main>\n"
    );
    page::html("Inspect a pass", &body)
}

fn inspected(html: &mut String, inspection: &Inspection) {
    let findings = inspection.all_findings();
    let is_apples = findings.iter().all(|finding| finding.code != "root_not_apples");
    let verdict = match (inspection.valid, is_apples, findings.is_empty()) {
        (true, true, true) => "A phone takes this pass",
        (true, true, false) => "A phone takes this pass, with warnings",
        (true, false, _) => "This pass is sound, but for its certificate, which no phone trusts",
        (false, _, _) => "A phone does not take this pass",
    };
    writeln!(html, "<h2>{verdict}</h2>").ok();
    list(html, &findings);
    html.push_str("<dl>\n");
    if let Some(pass) = &inspection.pass {
        let of = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        for (name, value) in [
            ("Style", of(&pass.style)),
            ("Pass type", of(&pass.pass_type_identifier)),
            ("Team", of(&pass.team_identifier)),
            ("Organisation", of(&pass.organization_name)),
            ("Description", of(&pass.description)),
        ] {
            entry(html, name, &value);
        }
    }
    if let Some(signature) = &inspection.signature {
        entry(html, "Signed at", signature.signing_time.as_deref().unwrap_or("-"));
        let certificate = |report: &Option<CertificateReport>| {
            report.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        entry(html, "Signer", &certificate(&signature.signer));
        entry(html, "Issued by", &certificate(&signature.issuer));
    }
    html.push_str("</dl>\n");
}

fn entry(html: &mut String, name: &str, value: &str) {
    writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(value)).ok();
}

fn list(html: &mut String, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    html.push_str("<ul>\n");
    for finding in findings {
        let class = if finding.severity == Severity::Error { "error" } else { "warning" };
        let place = if finding.pointer.is_empty() {
            String::new()
        } else {
            format!(" <code>{}</code>", escaped(&finding.pointer))
        };
        let (code, detail) = (escaped(&finding.code), escaped(&finding.detail));
        writeln!(
            html,
            "<li><strong class=\"{class}\">{class}</strong>{place}: {detail} <code>{code}</code></li>"
        )
        .ok();
    }
    html.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_script_and_nothing_from_elsewhere() {
        let page = empty(Some("choose a file"));
        assert!(!page.contains("<script") && !page.contains("//") && !page.contains("style="), "{page}");
        assert!(page.contains("choose a file"));
    }
}

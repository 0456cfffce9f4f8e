//! The page, as HTML without a script. Everything that comes from a pass is escaped.

use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_pkpass::reader::{CertificateReport, Inspected, Inspection};
use honoken_pkpass::{Finding, Severity};
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1c1c1e;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}form{padding:1rem;border:1px solid #8e8e93;border-radius:.5rem}\
    li{margin:.5rem 0}code{font-size:.9em;overflow-wrap:anywhere}dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}\
    .error{color:#b3001b}.warning{color:#7a4b00}";

/// Allows the one style sheet of the page by its hash, the form, and nothing else.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
});

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
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Inspect a pass</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>Inspect a pass</h1>\n\
         <p>Why does a phone not take this file? The signature, the certificates, the manifest, the images, the texts and pass.json are looked \
         at as Apple Wallet does. Nothing of the file is kept.</p>\n\
         <form method=\"post\" enctype=\"multipart/form-data\">\n\
         <label for=\"pass\">A .pkpass, a .pkpasses or a pass.json, of at most 4 MiB</label>\n\
         <p><input type=\"file\" id=\"pass\" name=\"pass\" required></p>\n<p><button>Inspect</button></p>\n</form>\n\
         <main>\n{result}</main>\n</body>\n</html>\n"
    )
}

fn inspected(html: &mut String, inspection: &Inspection) {
    let findings = inspection.all_findings();
    let verdict = match (inspection.valid, findings.is_empty()) {
        (true, true) => "A phone takes this pass",
        (true, false) => "A phone takes this pass, with warnings",
        (false, _) => "A phone does not take this pass",
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

/// Text for a page: no markup, and no character that turns the text around.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_pass_is_no_markup() {
        assert_eq!(escaped("<script>a&'\"\u{202e}\u{0}"), "&lt;script&gt;a&amp;&#39;&quot;\u{fffd}\u{fffd}");
    }

    #[test]
    fn the_page_needs_no_script_and_nothing_from_elsewhere() {
        let page = empty(Some("choose a file"));
        assert!(!page.contains("<script") && !page.contains("//") && !page.contains("style="), "{page}");
        assert!(page.contains("choose a file") && CONTENT_SECURITY_POLICY.contains("style-src 'sha256-"));
    }
}

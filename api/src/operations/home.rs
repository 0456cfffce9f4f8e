//! `/`: the page for a person who opens the address of the service in a browser.

use std::fmt::Write;

use axum::extract::State;
use axum::response::Response;

use crate::first_steps::FirstSteps;
use crate::openapi::tags::RUNNING;
use crate::operations::page;
use crate::state::AppState;

/// `GET /`
#[utoipa::path(
    get, path = "/", tag = RUNNING,
    operation_id = "home", summary = "What runs here, and where to go on",
    responses((status = 200, description = "A page that needs no script. In `dev` it shows the first steps.", content_type = "text/html", body = String)),
)]
pub async fn handler(State(app): State<AppState>) -> Response {
    let options = &app.options;
    let mut links = vec![
        ("docs", "the API, to read and to try"),
        ("openapi.json", "the same as a document for generators of clients (OpenAPI 3.1)"),
    ];
    if options.doctor.is_public {
        links.push(("inspect", "why does a phone not take this pass?"));
    }
    page::answer(html(&links, options.first_steps.as_ref()))
}

// Every address is relative, so that the page works under whatever path a proxy shows it.
fn html(links: &[(&str, &str)], first_steps: Option<&FirstSteps>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut body = format!(
        "<h1>Honoken <small>{version}</small></h1>\n\
         <p>This service issues passes for Apple Wallet, answers the phones that hold them, and wakes the phones when a pass changes.</p>\n<ul>\n"
    );
    for (path, purpose) in links {
        writeln!(body, "<li><a href=\"{path}\">{path}</a>: {purpose}</li>").ok();
    }
    body.push_str("</ul>\n");
    if let Some(FirstSteps { lines, folder }) = first_steps {
        body.push_str("<h2>First steps</h2>\n");
        for (purpose, line) in lines {
            writeln!(body, "<p>{purpose}</p>\n<pre><code>{}</code></pre>", page::escaped(line)).ok();
        }
        writeln!(
            body,
            "<p>The API key and the operator's password are in <code>{}/secrets</code>. A pass that this service signs is taken by no iPhone: \
             its certificate comes from a root of its own.</p>",
            page::escaped(folder)
        )
        .ok();
    }
    page::html("Honoken", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_everything_relative_to_itself_and_escapes_its_lines() {
        let line = "curl -d '{\"a\": 1}' <x>".to_owned();
        let steps = FirstSteps { lines: vec![("Try it.", line)], folder: "/a&b".to_owned() };
        let page = html(&[("docs", "the API")], Some(&steps));
        assert!(
            page.contains("href=\"docs\"") && !page.contains("=\"/") && !page.contains("<script"),
            "{page}"
        );
        assert!(
            page.contains("&#39;{&quot;a&quot;: 1}&#39; &lt;x&gt;") && page.contains("/a&amp;b/secrets"),
            "{page}"
        );
        assert!(page.contains(env!("CARGO_PKG_VERSION")) && !html(&[], None).contains("First steps"));
    }
}

//! Telling the server: <https://developer.apple.com/documentation/walletpasses/log-a-message>.

use ::http::{Method, StatusCode};
use serde_json::json;

use super::task::{Fault, Task};
use super::{Complaint, Phone, Rule, WebService};

/// Keeps one request well below the 64 KiB at which a careful server stops reading.
const LINES_PER_REQUEST: usize = 50;

impl Phone {
    /// Sends every complaint that Wallet would send, once, to the server it is about, and returns how each request
    /// was answered. A failure is a complaint of its own, which stays on the phone.
    pub async fn sends_log(&mut self) -> Vec<Option<StatusCode>> {
        let unsent = self.complaints.split_off(self.complaints_sent);
        self.complaints.extend_from_slice(&unsent);
        self.complaints_sent = self.complaints.len();
        let mut statuses = Vec::new();
        for (web_service, lines) in by_server(&unsent) {
            for chunk in lines.chunks(LINES_PER_REQUEST) {
                statuses.push(self.sends_lines(&web_service, chunk).await);
            }
        }
        statuses
    }

    async fn sends_lines(&mut self, web_service: &WebService, lines: &[String]) -> Option<StatusCode> {
        let address = self.joining.address(&web_service.url, &["v1", "log"]);
        let words = format!("Log task (for pass type {}", web_service.pass_type_identifier);
        let body = json!({ "logs": lines });
        let task = Task::new(web_service, Method::POST, address, &words).with_json(&body);
        let answer = self.performs(&task).await?;
        if answer.status != StatusCode::OK {
            let fault = Fault { rule: Rule::LogRefused, ..Fault::of_status(&answer) };
            self.fails(&task, &fault, Some(&answer));
        }
        Some(answer.status)
    }
}

/// The lines to send, grouped by server in the order of their first complaint.
fn by_server(complaints: &[Complaint]) -> Vec<(WebService, Vec<String>)> {
    let mut servers: Vec<(WebService, Vec<String>)> = Vec::new();
    for complaint in complaints.iter().filter(|complaint| complaint.rule.is_sent()) {
        match servers.iter_mut().find(|(web_service, _)| web_service.url == complaint.web_service.url) {
            Some((_, lines)) => lines.push(complaint.line()),
            None => servers.push((complaint.web_service.clone(), vec![complaint.line()])),
        }
    }
    servers
}

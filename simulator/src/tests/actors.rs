//! The phone of the tests, and the scenes that most of them begin with.

use serde_json::{Value, json};

use super::pass_file::{PASS_TYPE, PassFile};
use super::server::Server;
use crate::{Phone, Rule, WebService};

pub(super) const DEVICE: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn a_phone() -> Phone {
    Phone::new(DEVICE, "aa".repeat(32))
}

pub(super) fn a_pass(server: &Server) -> PassFile {
    PassFile::new(&server.url, "1")
}

pub(super) fn web_service(server: &Server) -> WebService {
    WebService::new(&server.url, PASS_TYPE)
}

pub(super) fn list<const N: usize>(serial_numbers: [&str; N], tag: &str) -> Value {
    json!({ "serialNumbers": serial_numbers.as_slice(), "lastUpdated": tag })
}

/// A phone that holds pass 1, its tag `a` and its `Last-Modified`, and has nothing to complain about.
pub(super) async fn a_phone_with(server: &Server, pass: &PassFile) -> Phone {
    let mut phone = a_phone();
    server.answers(201).answers(list(["1"], "a")).answers(pass.reply());
    phone.add(pass.bytes()).await.unwrap();
    phone.assert_content();
    server.requests();
    phone
}

pub(super) fn rules(phone: &Phone) -> Vec<Rule> {
    phone.complaints().iter().map(|complaint| complaint.rule).collect()
}

/// The only complaint, without the address of the server, which differs from run to run.
#[track_caller]
pub(super) fn only_complaint(phone: &Phone, server: &Server) -> (Rule, String) {
    let [complaint] = phone.complaints() else { panic!("not one complaint: {:?}", phone.complaints()) };
    (complaint.rule, complaint.message.replace(&server.url, "URL"))
}

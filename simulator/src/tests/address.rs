use super::actors::{DEVICE, a_phone, list, web_service};
use super::pass_file::PassFile;
use super::server::Server;
use crate::{Joining, Phone, WebService};

async fn targets(phone: Phone, server: &Server, base: &str, serial_number: &str) -> Vec<String> {
    let mut phone = phone;
    let pass = PassFile::new(&format!("{}{base}", server.url), serial_number);
    server.answers(201).answers(list([serial_number], "a b&+")).answers(pass.reply()).answers(204);
    phone.add(pass.bytes()).await.unwrap();
    phone.polls().await;
    phone.assert_content();
    server.requests().into_iter().map(|seen| seen.target).collect()
}

#[tokio::test]
async fn serial_numbers_and_tags_are_percent_encoded() {
    let server = Server::starts().await;
    let targets = targets(a_phone(), &server, "", "a/b c%2F é💥?#..").await;
    let serial_number = "a%2Fb%20c%252F%20%C3%A9%F0%9F%92%A5%3F%23..";
    let device = format!("/v1/devices/{DEVICE}/registrations/pass.example.tests");
    assert_eq!(
        targets,
        [
            format!("{device}/{serial_number}"),
            device.clone(),
            format!("/v1/passes/pass.example.tests/{serial_number}"),
            format!("{device}?passesUpdatedSince=a%20b%26%2B"),
        ]
    );
}

#[tokio::test]
async fn a_path_prefix_is_kept_and_a_trailing_slash_not_doubled() {
    for base in ["/tenant/api", "/tenant/api/"] {
        let server = Server::starts().await;
        let targets = targets(a_phone(), &server, base, "1").await;
        assert!(targets.iter().all(|target| target.starts_with("/tenant/api/v1/")), "{targets:?}");
    }
}

#[tokio::test]
async fn joined_verbatim_a_trailing_slash_is_doubled() {
    let server = Server::starts().await;
    let targets = targets(a_phone().with_joining(Joining::Verbatim), &server, "/", "1").await;
    assert!(targets.iter().all(|target| target.starts_with("//v1/")), "{targets:?}");
}

#[tokio::test]
async fn a_web_service_is_known_by_its_url_as_written() {
    let server = Server::starts().await;
    let slashed = WebService { url: format!("{}/", server.url), ..web_service(&server) };
    assert_ne!(slashed, web_service(&server));
}

//! Registering and unregistering: <https://developer.apple.com/documentation/walletpasses/register-a-pass-for-update-notifications>
//! and <https://developer.apple.com/documentation/walletpasses/unregister-a-pass-for-update-notifications>.

use ::http::{Method, StatusCode, header};
use serde_json::json;

use super::package::UpdateSource;
use super::task::{Fault, Task};
use super::{HeldPass, Phone, PhoneError, Rule, Update};
use crate::http::Answer;

/// The outcome of one request to register or to unregister.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The pass it was about.
    pub serial_number: String,
    /// How the server answered; `None` without an answer, or when there was nothing to ask.
    pub status: Option<StatusCode>,
}

/// The outcome of a new push token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChange {
    /// One entry per registered pass.
    pub registrations: Vec<Registration>,
    /// The passes that the lists after the registrations led to.
    pub updates: Vec<Update>,
}

impl Phone {
    /// Deletes a pass: unregisters it if it is registered and forgets it, however the server answers.
    pub async fn removes(&mut self, serial_number: &str) -> Result<Registration, PhoneError> {
        let at = self.position(serial_number)?;
        let registration = self.unregisters(at).await;
        self.passes.remove(at);
        Ok(registration)
    }

    /// Turns automatic updates off: unregisters the pass and keeps it.
    pub async fn turns_updates_off(&mut self, serial_number: &str) -> Result<Registration, PhoneError> {
        let at = self.position(serial_number)?;
        Ok(self.unregisters(at).await)
    }

    /// Takes a new push token and registers every registered pass again. The server knows them all, so each answer
    /// must be 200. Afterwards each web service is asked for its list once, as after any registration.
    pub async fn changes_push_token(&mut self, push_token: impl Into<String>) -> TokenChange {
        self.push_token = push_token.into();
        let mut registrations = Vec::new();
        for at in 0..self.passes.len() {
            let pass = &self.passes[at];
            let Some(updates) = pass.updates.clone().filter(|_| pass.is_registered) else { continue };
            registrations.push(self.registers_again(at, &updates).await);
        }
        TokenChange { registrations, updates: self.polls().await }
    }

    /// Registers the pass and notes whether that succeeded.
    pub(super) async fn registers(&mut self, at: usize, updates: &UpdateSource) -> Option<Answer> {
        let body = json!({ "pushToken": self.push_token });
        let task = self.registration_task(at, updates, Method::POST, "Register").with_json(&body);
        let answer = self.performs(&task).await?;
        match read(&answer) {
            Ok(()) => self.passes[at].is_registered = true,
            Err(fault) => self.fails(&task, &fault, Some(&answer)),
        }
        Some(answer)
    }

    async fn registers_again(&mut self, at: usize, updates: &UpdateSource) -> Registration {
        let serial_number = self.passes[at].serial_number().to_owned();
        let answer = self.registers(at, updates).await;
        if let Some(answer) = answer.as_ref().filter(|answer| answer.status == StatusCode::CREATED) {
            let text =
                format!("The registration of serial number '{serial_number}' was created a second time.");
            self.objects(&updates.web_service, Rule::RegistrationForgotten, &text, answer);
        }
        Registration { serial_number, status: answer.map(|answer| answer.status) }
    }

    /// The phone considers the pass unregistered from here on, even if the server does not agree.
    async fn unregisters(&mut self, at: usize) -> Registration {
        let pass = &mut self.passes[at];
        let serial_number = pass.serial_number().to_owned();
        let was_registered = std::mem::take(&mut pass.is_registered);
        let Some(updates) = pass.updates.clone().filter(|_| was_registered) else {
            return Registration { serial_number, status: None };
        };
        self.unregistered.insert((updates.web_service.clone(), serial_number.clone()), self.now);
        let status = self.sends_unregistration(at, &updates).await;
        Registration { serial_number, status }
    }

    async fn sends_unregistration(&mut self, at: usize, updates: &UpdateSource) -> Option<StatusCode> {
        let task = self.registration_task(at, updates, Method::DELETE, "Unregister");
        let answer = self.performs(&task).await?;
        if let Err(fault) = read(&answer) {
            self.fails(&task, &fault, Some(&answer));
        }
        Some(answer.status)
    }

    fn registration_task(&self, at: usize, updates: &UpdateSource, method: Method, verb: &str) -> Task {
        let (device, serial_number) =
            (&self.device_library_identifier, HeldPass::serial_number(&self.passes[at]));
        let (web_service, pass_type) = (&updates.web_service, &updates.web_service.pass_type_identifier);
        let segments = ["v1", "devices", device, "registrations", pass_type, serial_number];
        let address = self.joining.address(&web_service.url, &segments);
        let words =
            format!("{verb} task (for device {device}, pass type {pass_type}, serial number {serial_number}");
        Task::new(web_service, method, address, &words)
            .with_header(header::AUTHORIZATION, updates.authorization.clone())
    }
}

/// 204 would be the natural answer to DELETE; Wallet still takes 200 and 201 only, for both methods.
fn read(answer: &Answer) -> Result<(), Fault> {
    match answer.status.as_u16() {
        200 | 201 => Ok(()),
        _ => Err(Fault::of_authorized_status(answer)),
    }
}

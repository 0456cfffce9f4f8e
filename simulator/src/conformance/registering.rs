//! Being refused, registering, registering again.

use super::findings::seen;
use super::rules::Rule;
use super::session::{Session, Shown};
use crate::http::Answer;

impl Session {
    /// Registrations that must not come about, by a device of their own.
    pub(super) async fn registers_in_vain(&mut self) {
        let (device, serial, none) =
            (self.refused.clone(), self.serial_number.clone(), self.no_serial.clone());
        let push_token = self.push_tokens[0].clone();
        let attempts = [
            (Rule::RegisterWrongToken, "registering with a wrong token", &serial, Shown::WrongToken),
            (Rule::RegisterNoToken, "registering without a token", &serial, Shown::Nothing),
            (Rule::RegisterUnknownSerial, "registering for an unknown serial number", &none, Shown::Token),
        ];
        for (rule, what, serial, shown) in attempts {
            if let Some(answer) = self.register(what, &device, serial, shown, Some(&push_token)).await {
                self.findings.expects(rule, &answer, &[401]);
            }
        }
        let what = "registering without a push token";
        if let Some(answer) = self.register(what, &device, &serial, Shown::Token, None).await {
            let refused = answer.status.is_client_error() && answer.status.as_u16() != 401;
            let verdict = if refused { Ok(()) } else { Err(seen(&answer)) };
            self.findings.judges(Rule::RegisterMalformed, verdict);
        }
        if self.may_be_registered(&device) {
            return self
                .findings
                .leaves_out(Rule::RegisterRefused, "not every such registration was refused");
        }
        let pass_type = self.pass_type.clone();
        if let Some(answer) = self.list("listing for a refused device", &device, &pass_type, None).await {
            self.findings.expects(Rule::RegisterRefused, &answer, &[204]);
        }
    }

    /// Registers, twice. Whether it is registered then.
    pub(super) async fn registers(&mut self) -> bool {
        let Some(first) = self.registers_with("registering", 0).await else { return false };
        self.findings.expects(Rule::RegisterNew, &first, &[201]);
        if !is_registered(&first) {
            return false;
        }
        if let Some(again) = self.registers_with("registering again", 0).await {
            self.findings.expects(Rule::RegisterAgain, &again, &[200]);
        }
        true
    }

    /// Comes with another push token.
    pub(super) async fn renews_push_token(&mut self) {
        if let Some(answer) = self.registers_with("registering with another push token", 1).await {
            self.findings.expects(Rule::RegisterNewToken, &answer, &[200]);
        }
    }

    pub(super) async fn registers_with(&mut self, what: &str, push_token: usize) -> Option<Answer> {
        let (device, serial) = (self.device.clone(), self.serial_number.clone());
        let push_token = self.push_tokens[push_token].clone();
        self.register(what, &device, &serial, Shown::Token, Some(&push_token)).await
    }
}

/// Whether phones take this answer for a yes.
fn is_registered(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 200 | 201)
}

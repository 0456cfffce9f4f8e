//! The complaints to the server, and the end.

use super::rules::Rule;
use super::session::{Session, Shown};

impl Session {
    pub(super) async fn sends_log(&mut self) {
        let line = "A made-up phone has tried this web service out. Nothing is wrong.";
        if let Some(answer) = self.log(&[line]).await {
            self.findings.expects(Rule::LogIs200, &answer, &[200]);
        }
    }

    /// Unregisters: in vain, in earnest, once more, and again after coming back.
    pub(super) async fn leaves(&mut self) {
        self.unregisters_in_vain().await;
        let (device, pass_type) = (self.device.clone(), self.pass_type.clone());
        if self.unregisters("unregistering", Rule::UnregisterIs200).await {
            self.unregisters("unregistering again", Rule::UnregisterAgain).await;
            if let Some(answer) = self.list("listing after unregistering", &device, &pass_type, None).await {
                self.findings.expects(Rule::UnregisterListed, &answer, &[204]);
            }
            if let Some(answer) = self.get("fetching after unregistering", &[]).await {
                self.findings.expects(Rule::GetUnregistered, &answer, &[200]);
            }
            if let Some(answer) = self.registers_with("registering after unregistering", 1).await {
                self.findings.expects(Rule::RegisterReturns, &answer, &[201]);
            }
            self.unregisters("unregistering at last", Rule::UnregisterIs200).await;
        }
    }

    async fn unregisters_in_vain(&mut self) {
        let (device, serial, none) =
            (self.device.clone(), self.serial_number.clone(), self.no_serial.clone());
        let attempts = [
            (Rule::UnregisterWrongToken, "unregistering with a wrong token", &serial, Shown::WrongToken),
            (Rule::UnregisterNoToken, "unregistering without a token", &serial, Shown::Nothing),
            (Rule::UnregisterUnknownSerial, "unregistering an unknown serial number", &none, Shown::Token),
        ];
        for (rule, what, serial, shown) in attempts {
            if let Some(answer) = self.unregister(what, &device, serial, shown).await {
                self.findings.expects(rule, &answer, &[401]);
            }
        }
        let pass_type = self.pass_type.clone();
        let what = "listing after refused unregistrations";
        if let Some(answer) = self.list(what, &device, &pass_type, None).await {
            self.reads(Rule::UnregisterRefused, &answer);
        }
    }

    /// Whether the service gave an answer that ends the registration; a phone takes only 200 and 201 for one.
    async fn unregisters(&mut self, what: &str, rule: Rule) -> bool {
        let (device, serial) = (self.device.clone(), self.serial_number.clone());
        let Some(answer) = self.unregister(what, &device, &serial, Shown::Token).await else { return false };
        self.findings.expects(rule, &answer, &[200]);
        answer.status.is_success()
    }
}

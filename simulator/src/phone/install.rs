//! Adding a pass, and the requests that follow by themselves.

use ::http::StatusCode;
use bytes::Bytes;

use super::get::Reason;
use super::list::Occasion;
use super::package::UpdateSource;
use super::{HeldPass, InvalidPass, Package, Phone, PhoneError, Update};

/// The outcome of adding a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The pass.
    pub serial_number: String,
    /// How the server answered the registration; `None` without an answer, or for a pass without a web service.
    pub registered: Option<StatusCode>,
    /// The passes that were fetched right after the registration.
    pub updates: Vec<Update>,
}

impl Phone {
    /// Adds a pass as from a mail or a web page: checks it, registers it, asks for the list, and gets what the list
    /// names. If the web service already had a tag, the new pass is fetched in any case. A pass that the phone
    /// already holds is replaced and registered again.
    pub async fn add(&mut self, pkpass: impl Into<Bytes>) -> Result<Installation, InvalidPass> {
        let at = self.keeps(Package::open(pkpass)?);
        let updates = self.passes[at].updates.clone();
        Ok(match updates {
            Some(updates) => self.installs(at, &updates).await,
            None => self.installed(at, None, Vec::new()),
        })
    }

    /// Turns automatic updates on: the same steps as after adding the pass.
    pub async fn turns_updates_on(&mut self, serial_number: &str) -> Result<Installation, PhoneError> {
        let at = self.position(serial_number)?;
        let updates = self.updates_of(at)?;
        Ok(self.installs(at, &updates).await)
    }

    fn keeps(&mut self, package: Package) -> usize {
        let pass = HeldPass::added(package, self.now);
        if let Some(at) = self.passes.iter().position(|held| held.is_same_pass_as(&pass)) {
            self.passes[at] = pass;
            return at;
        }
        self.passes.push(pass);
        self.passes.len() - 1
    }

    async fn installs(&mut self, at: usize, updates: &UpdateSource) -> Installation {
        let web_service = &updates.web_service;
        let had_tag = self.tag(web_service).is_some();
        let answer = self.registers(at, updates).await;
        let status = answer.map(|answer| answer.status);
        if !self.passes[at].is_registered {
            return self.installed(at, status, Vec::new());
        }
        let mut fetched = self.lists(web_service, Occasion::Installation(at)).await;
        let serial_number = self.passes[at].serial_number();
        // A list that names the new pass has led to the same request already; Wallet merges equal requests.
        if had_tag && !fetched.iter().any(|update| update.serial_number == serial_number) {
            fetched.push(self.gets(at, updates, Reason::Installation).await);
        }
        self.installed(at, status, fetched)
    }

    fn installed(&self, at: usize, registered: Option<StatusCode>, updates: Vec<Update>) -> Installation {
        Installation { serial_number: self.passes[at].serial_number().to_owned(), registered, updates }
    }
}

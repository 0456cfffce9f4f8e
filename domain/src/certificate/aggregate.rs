//! The rules of a certificate (`decide`) and its memory (`apply`).

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::certificate::{CertificateCommand, CertificateError, CertificateEvent, Installation};
use crate::ids::{Digest, TeamIdentifier};
use crate::sealed::Sealed;

/// The certificate of a pass type as its events tell it. The default is a pass type that never had one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    in_use: Option<InUse>,
    /// Whether the one that was installed last, revoked or not, allows `nfc`: passes are as it says. False before the first.
    allows_nfc: bool,
}

/// What has to be remembered of the one that signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct InUse {
    team_identifier: TeamIdentifier,
    fingerprint: Digest,
    /// SHA-256 of the PEM: another one may have issued the same certificate.
    intermediate: Digest,
    private_key: Sealed,
    is_enhanced: Option<bool>,
}

impl InUse {
    fn of(installation: Installation) -> Self {
        Self {
            intermediate: Digest::of(installation.intermediate.as_bytes()),
            team_identifier: installation.team_identifier,
            fingerprint: installation.fingerprint,
            private_key: installation.private_key,
            is_enhanced: installation.is_enhanced,
        }
    }

    /// Whether this is what an operator asks for. Its seal is another each time, and says nothing.
    fn is(&self, installation: &Installation) -> bool {
        self.fingerprint == installation.fingerprint
            && self.intermediate == Digest::of(installation.intermediate.as_bytes())
            && self.is_enhanced.unwrap_or(false) == installation.is_enhanced.unwrap_or(false)
    }
}

impl Certificate {
    /// The name under which the log keeps certificates; frozen.
    pub const NAME: &'static str = "Certificate";

    /// Keeps the job only where there is something to do.
    fn with_job(&self, mut installation: Box<Installation>) -> Box<Installation> {
        if installation.allows_nfc() == self.allows_nfc {
            installation.job = None;
        }
        installation
    }

    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`CertificateError`] says why not.
    pub fn decide(&self, command: CertificateCommand) -> Result<Vec<CertificateEvent>, CertificateError> {
        match (command, &self.in_use) {
            (CertificateCommand::Install(installation), None) => {
                Ok(vec![CertificateEvent::Installed(self.with_job(installation))])
            }
            (CertificateCommand::Install(installation), Some(in_use)) => {
                if in_use.is(&installation) {
                    Ok(Vec::new())
                } else if in_use.team_identifier == installation.team_identifier {
                    Ok(vec![CertificateEvent::Renewed(self.with_job(installation))])
                } else {
                    Err(CertificateError::AnotherTeam { installed: in_use.team_identifier.clone() })
                }
            }
            (CertificateCommand::Reseal { .. } | CertificateCommand::Revoke, None) => {
                Err(CertificateError::Unknown)
            }
            (CertificateCommand::Reseal { fingerprint, .. }, Some(in_use))
                if in_use.fingerprint != fingerprint =>
            {
                Err(CertificateError::AnotherInstalled { installed: in_use.fingerprint.clone() })
            }
            (CertificateCommand::Reseal { private_key, .. }, Some(in_use))
                if in_use.private_key == private_key =>
            {
                Ok(Vec::new())
            }
            (CertificateCommand::Reseal { fingerprint, private_key }, Some(_)) => {
                Ok(vec![CertificateEvent::Resealed { fingerprint, private_key }])
            }
            (CertificateCommand::Revoke, Some(in_use)) => {
                Ok(vec![CertificateEvent::Revoked { fingerprint: in_use.fingerprint.clone() }])
            }
        }
    }
}

impl Aggregate for Certificate {
    const TYPE: &'static str = Self::NAME;
    type Command = CertificateCommand;
    type Event = CertificateEvent;
    type Error = CertificateError;
    type Services = ();

    async fn handle(
        &mut self,
        command: CertificateCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CertificateError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: CertificateEvent) {
        match event {
            CertificateEvent::Installed(installation) | CertificateEvent::Renewed(installation) => {
                self.allows_nfc = installation.allows_nfc();
                self.in_use = Some(InUse::of(*installation));
            }
            CertificateEvent::Resealed { private_key: anew, .. } => {
                if let Some(InUse { private_key, .. }) = &mut self.in_use {
                    *private_key = anew;
                }
            }
            CertificateEvent::Revoked { .. } => self.in_use = None,
        }
    }
}

//! The rules of a certificate (`decide`) and its memory (`apply`).

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::certificate::{
    CertificateCommand, CertificateError, CertificateEvent, Installation, RequestedKey,
};
use crate::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use crate::sealed::Sealed;

/// A certificate as its events tell it. The default is a name that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    in_use: Option<InUse>,
    /// Whether the one that was installed last, revoked or not, allows `nfc`: passes are as it says. False before the first.
    allows_nfc: bool,
    /// A key that waits for its certificate.
    requested: Option<RequestedKey>,
}

/// What has to be remembered of the one that signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct InUse {
    pass_type_identifier: PassTypeIdentifier,
    team_identifier: TeamIdentifier,
    fingerprint: Digest,
    not_after: UnixSeconds,
    /// SHA-256 of the PEM: another one may have issued the same certificate.
    intermediate: Digest,
    private_key: Sealed,
    is_enhanced: Option<bool>,
    description: Option<String>,
}

impl InUse {
    fn of(installation: Installation) -> Self {
        Self {
            intermediate: Digest::of(installation.intermediate.as_bytes()),
            pass_type_identifier: installation.pass_type_identifier,
            team_identifier: installation.team_identifier,
            fingerprint: installation.fingerprint,
            not_after: installation.not_after,
            private_key: installation.private_key,
            is_enhanced: installation.is_enhanced,
            description: installation.description,
        }
    }

    /// Whether this is what an operator asks for. Its seal is another each time, and says nothing.
    fn is(&self, installation: &Installation) -> bool {
        self.fingerprint == installation.fingerprint
            && self.intermediate == Digest::of(installation.intermediate.as_bytes())
            && self.is_enhanced.unwrap_or(false) == installation.is_enhanced.unwrap_or(false)
            && self.description == installation.description
    }

    /// Whether another certificate may take over without further ado.
    fn check(&self, next: &Installation) -> Result<(), CertificateError> {
        if self.team_identifier != next.team_identifier {
            return Err(CertificateError::AnotherTeam { installed: self.team_identifier.clone() });
        }
        if next.not_after < self.not_after {
            let (installed, given) = (self.not_after, next.not_after);
            return Err(CertificateError::EndsEarlier { installed, given });
        }
        Ok(())
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
            (CertificateCommand::Install(installation) | CertificateCommand::Replace(installation), None) => {
                Ok(vec![CertificateEvent::Installed(self.with_job(installation))])
            }
            (
                CertificateCommand::Install(installation) | CertificateCommand::Replace(installation),
                Some(in_use),
            ) if in_use.is(&installation) => Ok(Vec::new()),
            (
                CertificateCommand::Install(installation) | CertificateCommand::Replace(installation),
                Some(in_use),
            ) if in_use.pass_type_identifier != installation.pass_type_identifier => {
                Err(CertificateError::AnotherPassType { installed: in_use.pass_type_identifier.clone() })
            }
            (CertificateCommand::Install(installation), Some(in_use)) => {
                in_use.check(&installation)?;
                Ok(vec![CertificateEvent::Renewed(self.with_job(installation))])
            }
            (CertificateCommand::Replace(installation), Some(_)) => {
                Ok(vec![CertificateEvent::Renewed(self.with_job(installation))])
            }
            (CertificateCommand::Reseal { .. } | CertificateCommand::Invalidate, None) => {
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
            (CertificateCommand::Revoke, in_use) => self.revoke(in_use.as_ref()),
            (CertificateCommand::Request(key), _) => Ok(vec![CertificateEvent::Requested(key)]),
            (CertificateCommand::ResealRequest { public_key, private_key }, _) => match &self.requested {
                Some(waits) if waits.public_key == public_key => {
                    Ok(vec![CertificateEvent::RequestResealed { public_key, private_key }])
                }
                _ => Err(CertificateError::NotRequested),
            },
            (CertificateCommand::Invalidate, Some(_)) => Ok(vec![CertificateEvent::Invalidated {}]),
        }
    }
}

impl Certificate {
    fn revoke(&self, in_use: Option<&InUse>) -> Result<Vec<CertificateEvent>, CertificateError> {
        let revoked =
            in_use.map(|in_use| CertificateEvent::Revoked { fingerprint: in_use.fingerprint.clone() });
        let withdrawn = self
            .requested
            .as_ref()
            .map(|waits| CertificateEvent::RequestWithdrawn { public_key: waits.public_key.clone() });
        let events: Vec<_> = revoked.into_iter().chain(withdrawn).collect();
        if events.is_empty() { Err(CertificateError::Unknown) } else { Ok(events) }
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
                if installation.requested_key.is_some() {
                    self.requested
                        .take_if(|waits| Some(&waits.public_key) == installation.requested_key.as_ref());
                }
                self.in_use = Some(InUse::of(*installation));
            }
            CertificateEvent::Resealed { private_key: anew, .. } => {
                if let Some(InUse { private_key, .. }) = &mut self.in_use {
                    *private_key = anew;
                }
            }
            CertificateEvent::Revoked { .. } => self.in_use = None,
            CertificateEvent::Requested(key) => self.requested = Some(key),
            CertificateEvent::RequestResealed { private_key: anew, .. } => {
                if let Some(RequestedKey { private_key, .. }) = &mut self.requested {
                    *private_key = anew;
                }
            }
            CertificateEvent::RequestWithdrawn { .. } => self.requested = None,
            CertificateEvent::Invalidated {} => {}
        }
    }
}

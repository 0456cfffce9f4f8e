//! The rules of a pass type (`decide`) and its memory (`apply`).

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::ids::{CertRef, JobId, OrganizationId, TeamIdentifier};
use crate::images::{self, Images};
use crate::localizations::{self, Localizations};
use crate::pass_type::{PassTypeCommand, PassTypeError, PassTypeEvent};

/// A pass type as its events tell it. The default is an identifier that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PassType {
    owner: Option<(OrganizationId, TeamIdentifier)>,
    /// The certificate that signs its passes; that of its own name where none was chosen.
    cert_ref: Option<CertRef>,
    assets: Images,
    localizations: Localizations,
}

impl PassType {
    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`PassTypeError`] says why not.
    pub fn decide(&self, command: PassTypeCommand) -> Result<Vec<PassTypeEvent>, PassTypeError> {
        match (command, &self.owner) {
            (PassTypeCommand::Create { pass_type_identifier, organization_id, team_identifier }, None) => {
                let cert_ref = None;
                Ok(vec![PassTypeEvent::Created {
                    pass_type_identifier,
                    organization_id,
                    team_identifier,
                    cert_ref,
                }])
            }
            (PassTypeCommand::Create { organization_id, team_identifier, .. }, Some(owner)) => {
                let same = *owner == (organization_id, team_identifier);
                if same { Ok(Vec::new()) } else { Err(PassTypeError::AlreadyCreated) }
            }
            (
                PassTypeCommand::Assign {
                    pass_type_identifier,
                    organization_id,
                    team_identifier,
                    cert_ref,
                    ..
                },
                None,
            ) => {
                let is_own_name = cert_ref == CertRef::of_pass_type(&pass_type_identifier);
                let cert_ref = Some(cert_ref).filter(|_| !is_own_name);
                Ok(vec![PassTypeEvent::Created {
                    pass_type_identifier,
                    organization_id,
                    team_identifier,
                    cert_ref,
                }])
            }
            (
                PassTypeCommand::Assign {
                    pass_type_identifier,
                    organization_id,
                    team_identifier,
                    cert_ref,
                    force,
                    job,
                },
                Some((owner, team)),
            ) => {
                let known = self.cert_ref.clone();
                let known = known.unwrap_or_else(|| CertRef::of_pass_type(&pass_type_identifier));
                if (owner, team, &known) == (&organization_id, &team_identifier, &cert_ref) {
                    Ok(Vec::new())
                } else if *owner != organization_id && !force {
                    Err(PassTypeError::AnotherOrganization { owner: owner.clone() })
                } else if *team != team_identifier && !force {
                    Err(PassTypeError::AnotherTeam { team: team.clone() })
                } else {
                    Ok(vec![PassTypeEvent::Assigned { organization_id, team_identifier, cert_ref, job }])
                }
            }
            (
                PassTypeCommand::PutAssets { .. }
                | PassTypeCommand::PutScales { .. }
                | PassTypeCommand::RemoveAsset { .. }
                | PassTypeCommand::PutLocalization { .. }
                | PassTypeCommand::RemoveLocalization { .. },
                None,
            ) => Err(PassTypeError::Unknown),
            (PassTypeCommand::PutAssets { assets: more, job }, Some(_)) => {
                let mut assets = self.assets.clone();
                assets.extend(more);
                Ok(self.change_assets(assets, job))
            }
            (PassTypeCommand::PutScales { assets: more, job }, Some(_)) => {
                Ok(self.change_assets(images::in_place_of_slots(&self.assets, more), job))
            }
            (PassTypeCommand::RemoveAsset { file, job }, Some(_)) => {
                let mut assets = self.assets.clone();
                assets.remove(&file);
                Ok(self.change_assets(assets, job))
            }
            (PassTypeCommand::PutLocalization { language, localization, job }, Some(_)) => {
                let mut localizations = self.localizations.clone();
                localizations.insert(language, localization);
                self.change_localizations(localizations, job)
            }
            (PassTypeCommand::RemoveLocalization { language, job }, Some(_)) => {
                let mut localizations = self.localizations.clone();
                localizations.remove(&language);
                self.change_localizations(localizations, job)
            }
        }
    }

    fn change_localizations(
        &self,
        localizations: Localizations,
        job: Option<JobId>,
    ) -> Result<Vec<PassTypeEvent>, PassTypeError> {
        localizations::check_size(&localizations).map_err(PassTypeError::LocalizationsTooLarge)?;
        let is_same = localizations == self.localizations;
        Ok(if is_same {
            Vec::new()
        } else {
            vec![PassTypeEvent::LocalizationsChanged { localizations, job }]
        })
    }

    fn change_assets(&self, assets: Images, job: Option<JobId>) -> Vec<PassTypeEvent> {
        if assets == self.assets { Vec::new() } else { vec![PassTypeEvent::AssetsChanged { assets, job }] }
    }
}

impl Aggregate for PassType {
    const TYPE: &'static str = "PassType";
    type Command = PassTypeCommand;
    type Event = PassTypeEvent;
    type Error = PassTypeError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PassTypeCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PassTypeError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PassTypeEvent) {
        match event {
            PassTypeEvent::Created { organization_id, team_identifier, cert_ref, .. } => {
                self.owner = Some((organization_id, team_identifier));
                self.cert_ref = cert_ref;
            }
            PassTypeEvent::Assigned { organization_id, team_identifier, cert_ref, .. } => {
                self.owner = Some((organization_id, team_identifier));
                self.cert_ref = Some(cert_ref);
            }
            PassTypeEvent::AssetsChanged { assets, .. } => self.assets = assets,
            PassTypeEvent::LocalizationsChanged { localizations, .. } => self.localizations = localizations,
        }
    }
}

//! Random histories: what integrators, phones and operators do in no order.

use honoken_domain::apns_key::{ApnsKeyCommand, ApnsKeyError};
use honoken_domain::certificate::{CertificateCommand, CertificateError};
use honoken_domain::ids::{Digest, PassId};
use honoken_domain::organization::{Organization, OrganizationCommand, OrganizationError, Scope, Scopes};
use honoken_domain::pass::{ContentPatch, PassCommand, PassError, TicketStyle};
use honoken_event_store::DispatchError;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::world::{OTHER, TICKET, World, apns_key, club, content, installation, order, pass_id, sealed};

pub(crate) const DEVICES: [&str; 3] = ["phone-1", "phone-2", "watch"];

/// The passes of these histories; the last is of another type and shares its serial number with the first.
pub(crate) fn passes() -> [PassId; 4] {
    [pass_id(TICKET, "A"), pass_id(TICKET, "B"), pass_id(TICKET, "C"), pass_id(OTHER, "A")]
}

/// One command. Numbers choose among few values, so that they meet often.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Issue { pass: usize },
    Change { pass: usize, seat: u8 },
    PutImage { pass: usize, image: u8 },
    RemoveImage { pass: usize },
    Void { pass: usize },
    Reinstate { pass: usize },
    Patch { pass: usize, row: u8 },
    Restyle { pass: usize, style: TicketStyle },
    Retire { pass: usize },
    Register { device: usize, pass: usize, token: u8 },
    Unregister { device: usize, pass: usize },
    ForgetToken { device: usize, pass: usize, token: u8 },
    TimePasses,
    AddKey { key: u8, imports: bool },
    RevokeKey { key: u8 },
    InstallCertificate { certificate: u8 },
    ResealCertificate { certificate: u8, seal: u8 },
    RevokeCertificate,
    InstallApnsKey { key: u8, file: u8 },
    ResealApnsKey { key: u8, file: u8, seal: u8 },
    RevokeApnsKey { key: u8 },
    TypeImage { image: u8 },
    BrandImage { image: u8 },
    UploadImage { image: u8 },
}

pub(crate) fn steps(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Step>> {
    let (pass, device, few) = (0..passes().len(), 0..DEVICES.len(), 0..3_u8);
    let step = prop_oneof![
        3 => pass.clone().prop_map(|pass| Step::Issue { pass }),
        6 => (pass.clone(), few.clone()).prop_map(|(pass, seat)| Step::Change { pass, seat }),
        2 => (pass.clone(), few.clone()).prop_map(|(pass, image)| Step::PutImage { pass, image }),
        1 => pass.clone().prop_map(|pass| Step::RemoveImage { pass }),
        1 => pass.clone().prop_map(|pass| Step::Void { pass }),
        1 => pass.clone().prop_map(|pass| Step::Reinstate { pass }),
        2 => (pass.clone(), few.clone()).prop_map(|(pass, row)| Step::Patch { pass, row }),
        2 => (pass.clone(), select(vec![TicketStyle::Event, TicketStyle::Boarding, TicketStyle::StoreCard]))
            .prop_map(|(pass, style)| Step::Restyle { pass, style }),
        // One of them alone: a retired pass takes no more changes, and there should be some.
        1 => Just(Step::Retire { pass: 2 }),
        6 => (device.clone(), pass.clone(), few.clone())
            .prop_map(|(device, pass, token)| Step::Register { device, pass, token }),
        5 => (device.clone(), pass.clone()).prop_map(|(device, pass)| Step::Unregister { device, pass }),
        2 => (device, pass, few.clone())
            .prop_map(|(device, pass, token)| Step::ForgetToken { device, pass, token }),
        1 => Just(Step::TimePasses),
        1 => (few.clone(), any::<bool>()).prop_map(|(key, imports)| Step::AddKey { key, imports }),
        1 => few.clone().prop_map(|key| Step::RevokeKey { key }),
        2 => few.clone().prop_map(|certificate| Step::InstallCertificate { certificate }),
        1 => (few.clone(), 0..20_u8)
            .prop_map(|(certificate, seal)| Step::ResealCertificate { certificate, seal }),
        1 => Just(Step::RevokeCertificate),
        2 => (few.clone(), few.clone()).prop_map(|(key, file)| Step::InstallApnsKey { key, file }),
        1 => (few.clone(), few.clone(), 0..20_u8)
            .prop_map(|(key, file, seal)| Step::ResealApnsKey { key, file, seal }),
        1 => few.clone().prop_map(|key| Step::RevokeApnsKey { key }),
        1 => few.clone().prop_map(|image| Step::TypeImage { image }),
        1 => few.clone().prop_map(|image| Step::BrandImage { image }),
        2 => few.prop_map(|image| Step::UploadImage { image }),
    ];
    proptest::collection::vec(step, count)
}

/// One history, the same in every run with the same seed.
pub(crate) fn history(seed: u8, length: usize) -> Vec<Step> {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    steps(length).new_tree(&mut runner).unwrap().current()
}

pub(crate) fn patch(row: u8) -> PassCommand {
    PassCommand::PatchContent { patch: ContentPatch::Merge(json!({ "row": row })) }
}

pub(crate) fn restyle(style: TicketStyle) -> PassCommand {
    PassCommand::ChangeMetadata { ticket_style: Some(style), poster: None }
}

impl World {
    pub(crate) async fn performs(&self, step: &Step) {
        let passes = passes();
        let asks = async |pass: usize, command| match self.asks(&passes[pass], command).await {
            Ok(_)
            | Err(DispatchError::Refused(
                PassError::Unknown | PassError::AlreadyIssued | PassError::Retired,
            )) => {}
            Err(fault) => panic!("{fault}"),
        };
        match *step {
            Step::Issue { pass } => asks(pass, order(&passes[pass], "first")).await,
            Step::Change { pass, seat } => {
                asks(pass, PassCommand::ReplaceContent { content: content(&seat.to_string()) }).await;
            }
            Step::PutImage { pass, image } => {
                let digest = Digest::of(&[image]);
                asks(pass, PassCommand::PutAsset { file: "logo.png".into(), digest }).await;
            }
            Step::RemoveImage { pass } => {
                asks(pass, PassCommand::RemoveAsset { file: "logo.png".into() }).await;
            }
            Step::Void { pass } => asks(pass, PassCommand::Void).await,
            Step::Reinstate { pass } => asks(pass, PassCommand::Reinstate).await,
            Step::Patch { pass, row } => asks(pass, patch(row)).await,
            Step::Restyle { pass, style } => asks(pass, restyle(style)).await,
            Step::Retire { pass } => asks(pass, PassCommand::Retire).await,
            Step::Register { device, pass, token } => {
                self.registers(DEVICES[device], &passes[pass], &format!("token-{token}")).await;
            }
            Step::Unregister { device, pass } => {
                self.unregisters(DEVICES[device], &passes[pass]).await;
            }
            Step::ForgetToken { device, pass, token } => {
                self.forgets(DEVICES[device], &passes[pass], &format!("token-{token}")).await;
            }
            Step::TimePasses => self.time_passes(),
            Step::AddKey { key, imports } => {
                let key_digest = Digest::of(key.to_string().as_bytes());
                let command = OrganizationCommand::AddApiKey {
                    key_digest,
                    label: format!("key {key}"),
                    scopes: if imports { Scopes::of([Scope::PassesImport]) } else { Scopes::default() },
                    expires_at: None,
                };
                self.asks_club(command).await;
            }
            Step::RevokeKey { key } => {
                let key_digest = Digest::of(key.to_string().as_bytes());
                self.asks_club(OrganizationCommand::RevokeApiKey { key_digest }).await;
            }
            Step::InstallCertificate { certificate } => {
                let installation = installation(TICKET, &certificate.to_string());
                self.tries_certificate(CertificateCommand::Install(installation.into())).await;
            }
            Step::ResealCertificate { certificate, seal } => {
                let fingerprint = Digest::of(certificate.to_string().as_bytes());
                let command = CertificateCommand::Reseal { fingerprint, private_key: sealed(seal) };
                self.tries_certificate(command).await;
            }
            Step::RevokeCertificate => self.tries_certificate(CertificateCommand::Revoke).await,
            Step::InstallApnsKey { key, file } => {
                let installation = apns_key(key, &file.to_string());
                self.tries_apns_key(key, ApnsKeyCommand::Install(installation)).await;
            }
            Step::ResealApnsKey { key, file, seal } => {
                let fingerprint = Digest::of(file.to_string().as_bytes());
                let command = ApnsKeyCommand::Reseal { fingerprint, private_key: sealed(seal) };
                self.tries_apns_key(key, command).await;
            }
            Step::RevokeApnsKey { key } => self.tries_apns_key(key, ApnsKeyCommand::Revoke).await,
            Step::TypeImage { image } => {
                self.puts_type_image(TICKET, "logo.png", &image.to_string()).await;
            }
            Step::BrandImage { image } => {
                self.puts_brand_image("logo.png", &image.to_string()).await;
            }
            Step::UploadImage { image } => {
                self.uploads(&club(), &[image]).await;
            }
        }
    }

    async fn asks_club(&self, command: OrganizationCommand) {
        match self.dispatch::<Organization>("club", command, &()).await {
            Ok(_)
            | Err(DispatchError::Refused(OrganizationError::UnknownKey | OrganizationError::KeyRevoked)) => {}
            Err(fault) => panic!("{fault}"),
        }
    }

    async fn tries_certificate(&self, command: CertificateCommand) {
        match self.asks_certificate(TICKET, command).await {
            Ok(_)
            | Err(DispatchError::Refused(
                CertificateError::Unknown | CertificateError::AnotherInstalled { .. },
            )) => {}
            Err(fault) => panic!("{fault}"),
        }
    }

    async fn tries_apns_key(&self, key: u8, command: ApnsKeyCommand) {
        match self.asks_apns_key(key, command).await {
            Ok(_)
            | Err(DispatchError::Refused(ApnsKeyError::Unknown | ApnsKeyError::AnotherInstalled { .. })) => {}
            Err(fault) => panic!("{fault}"),
        }
    }

    pub(crate) async fn lives_through(&self, history: &[Step]) {
        for step in history {
            self.performs(step).await;
        }
    }
}

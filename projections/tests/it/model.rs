//! Random commands, and a read model so small that it can be believed.

use std::collections::{BTreeMap, BTreeSet};

use honoken_domain::content::Content;
use honoken_domain::ids::{Digest, ETag, PassId, UnixSeconds};
use honoken_domain::images::{self, Images};
use honoken_domain::pass::{PassCommand, PassEvent, PassKind, TicketStyle};
use honoken_event_store::Position;
use honoken_projections::updated_serials::Since;
use proptest::prelude::*;

use crate::history::{DEVICES, Step, passes, patch, restyle, steps};
use crate::world::{Engine, OTHER, Running, TICKET, World, content, default_images, order};

#[derive(Debug, Clone)]
struct PassState {
    content: Content,
    assets: Images,
    style: TicketStyle,
    voided: bool,
    retired: bool,
    etag: ETag,
    updated_at: UnixSeconds,
    update_tag: Position,
}

#[derive(Debug, Default)]
struct Model {
    passes: BTreeMap<PassId, PassState>,
    /// Per device and pass type: the push token and the serial numbers.
    devices: BTreeMap<(String, String), (String, BTreeSet<String>)>,
}

impl Model {
    /// Sends a pass command, and changes the believed state by `change` if the log took something.
    async fn asks(
        &mut self,
        world: &World,
        id: &PassId,
        command: PassCommand,
        change: impl FnOnce(&mut PassState),
    ) {
        let Ok(committed) = world.asks(id, command).await else { return };
        if committed.events.is_empty() {
            return;
        }
        let etag = committed.aggregate.etag().unwrap().clone();
        let updated_at = committed.aggregate.updated_at().unwrap();
        let state = self.passes.entry(id.clone()).or_insert_with(|| PassState {
            content: content("first"),
            assets: Images::new(),
            style: TicketStyle::Event,
            voided: false,
            retired: false,
            etag: etag.clone(),
            updated_at,
            update_tag: committed.position,
        });
        (state.etag, state.updated_at) = (etag, updated_at);
        if committed.events.iter().any(PassEvent::is_seen) {
            state.update_tag = committed.position;
        }
        change(state);
    }

    async fn performs(&mut self, world: &World, step: &Step) {
        let passes = passes();
        match *step {
            Step::Issue { pass } => {
                self.asks(world, &passes[pass], order(&passes[pass], "first"), |_| {}).await;
            }
            Step::Change { pass, seat } => {
                let content = content(&seat.to_string());
                let command = PassCommand::ReplaceContent { content: content.clone() };
                self.asks(world, &passes[pass], command, |state| state.content = content).await;
            }
            Step::PutImage { pass, image } => {
                let digest = Digest::of(&[image]);
                let command = PassCommand::PutAsset { file: "logo.png".into(), digest: digest.clone() };
                let put = |state: &mut PassState| drop(state.assets.insert("logo.png".into(), digest));
                self.asks(world, &passes[pass], command, put).await;
            }
            Step::RemoveImage { pass } => {
                let command = PassCommand::RemoveAsset { file: "logo.png".into() };
                self.asks(world, &passes[pass], command, |state| state.assets.clear()).await;
            }
            Step::Void { pass } => {
                self.asks(world, &passes[pass], PassCommand::Void, |state| state.voided = true).await;
            }
            Step::Reinstate { pass } => {
                self.asks(world, &passes[pass], PassCommand::Reinstate, |state| state.voided = false).await;
            }
            Step::Patch { pass, row } => {
                let patched = |state: &mut PassState| {
                    let mut content = state.content.as_map().clone();
                    content.insert("row".into(), row.into());
                    state.content = Content::from_value(content.into()).unwrap();
                };
                self.asks(world, &passes[pass], patch(row), patched).await;
            }
            Step::Restyle { pass, style } => {
                self.asks(world, &passes[pass], restyle(style), |state| state.style = style).await;
            }
            Step::Retire { pass } => {
                let retired = |state: &mut PassState| (state.voided, state.retired) = (true, true);
                self.asks(world, &passes[pass], PassCommand::Retire, retired).await;
            }
            Step::Register { device, pass, token } => {
                let (key, serial) = held(device, &passes[pass]);
                let (push_token, serials) = self.devices.entry(key).or_default();
                *push_token = format!("token-{token}");
                serials.insert(serial);
                world.performs(step).await;
            }
            Step::Unregister { device, pass } => {
                let (key, serial) = held(device, &passes[pass]);
                if let Some((_, serials)) = self.devices.get_mut(&key) {
                    serials.remove(&serial);
                }
                self.devices.retain(|_, (_, serials)| !serials.is_empty());
                world.performs(step).await;
            }
            Step::ForgetToken { device, pass, token } => {
                let (key, _) = held(device, &passes[pass]);
                let token = format!("token-{token}");
                self.devices.retain(|known, (stored, _)| *known != key || *stored != token);
                world.performs(step).await;
            }
            Step::TimePasses
            | Step::AddKey { .. }
            | Step::RevokeKey { .. }
            | Step::InstallCertificate { .. }
            | Step::ResealCertificate { .. }
            | Step::RevokeCertificate
            | Step::InstallApnsKey { .. }
            | Step::ResealApnsKey { .. }
            | Step::RevokeApnsKey { .. }
            | Step::UploadImage { .. }
            | Step::TypeImage { .. }
            | Step::BrandImage { .. } => {
                world.performs(step).await;
            }
        }
    }

    /// What a device should be told.
    fn lists(&self, device: &str, of_type: &str, since: u64) -> Option<(Vec<String>, u64)> {
        let (_, held) = self.devices.get(&(device.to_owned(), of_type.to_owned()))?;
        let mut changed: Vec<_> = self
            .passes
            .iter()
            .filter(|(id, state)| {
                id.pass_type_identifier.as_str() == of_type
                    && held.contains(id.serial_number.as_str())
                    && state.update_tag.0 > since
            })
            .map(|(id, state)| (state.update_tag.0, id.serial_number.as_str().to_owned()))
            .collect();
        changed.sort();
        let up_to = changed.last()?.0;
        Some((changed.into_iter().map(|(_, serial)| serial).collect(), up_to))
    }

    async fn is_what(&self, world: &World, running: &Running) {
        for id in passes() {
            let document = running.model.pass_document(&id).await.unwrap();
            assert_eq!(document.is_some(), self.passes.contains_key(&id), "{id}");
            let (Some(document), Some(state)) = (document, self.passes.get(&id)) else { continue };
            let images = images::resolve(PassKind::plain(state.style), &state.assets, &default_images());
            assert_eq!(
                (document.row.etag, document.row.updated_at, document.update_tag, document.voided),
                (state.etag.clone(), state.updated_at, state.update_tag, state.voided)
            );
            assert_eq!((document.kind.style, document.retired), (state.style, state.retired));
            assert_eq!((document.content, document.images), (state.content.clone(), images));
            let holders = self.devices.iter().filter(|((_, of_type), (_, serials))| {
                *of_type == id.pass_type_identifier.as_str() && serials.contains(id.serial_number.as_str())
            });
            assert_eq!(document.registrations, holders.count() as u64);
        }
        let tokens =
            self.devices.iter().map(|((device, of_type), (token, _))| format!("{device} {of_type} {token}"));
        let rows = "select device_library_identifier || ' ' || pass_type_identifier || ' ' || push_token from wallet_device where deleted_at is null order by 1";
        assert_eq!(world.column(rows).await, tokens.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        for (device, of_type) in DEVICES.iter().flat_map(|device| [(device, TICKET), (device, OTHER)]) {
            for since in 0..=world.head().0 {
                assert_eq!(
                    running.lists(device, of_type, Since::Position(Position(since))).await,
                    self.lists(device, of_type, since)
                );
            }
        }
    }
}

fn held(device: usize, pass: &PassId) -> ((String, String), String) {
    let key = (DEVICES[device].to_owned(), pass.pass_type_identifier.as_str().to_owned());
    (key, pass.serial_number.as_str().to_owned())
}

async fn the_tables_are_what_they_lead_to(engine: Engine, steps: &[Step]) {
    let world = World::new(engine).await;
    let running = world.projects().await;
    let mut model = Model::default();
    for step in steps {
        model.performs(&world, step).await;
    }
    running.reaches(world.head()).await;
    model.is_what(&world, &running).await;
    running.stops().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_are_what_any_sequence_of_commands_leads_to(steps in steps(1..40)) {
        runtime().block_on(the_tables_are_what_they_lead_to(Engine::Sqlite, &steps));
    }

    #[test]
    fn a_database_is_what_any_sequence_of_commands_leads_to(steps in steps(1..40)) {
        runtime().block_on(the_tables_are_what_they_lead_to(Engine::Postgres, &steps));
    }
}

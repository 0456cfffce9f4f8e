//! The registration of a device for a pass type, as its two endpoints change it.

use std::net::IpAddr;
use std::sync::Arc;

use honoken_domain::ids::{DeviceLibraryIdentifier, PassId, PushToken, RegistrationId};
use honoken_domain::registration::{Registration, RegistrationCommand, RegistrationEvent};
use honoken_event_store::{Committed, Metadata};
use honoken_service::damaged_registration::mend;

use crate::device::turns::{Device, Next, SentToken, Written};
use crate::error::ApiError;
use crate::extractors::request_id::RequestId;
use crate::state::App;

/// The device and the pass of a request, and its client address.
#[derive(Debug)]
pub struct DeviceRequest<'a> {
    app: &'a App,
    pass: PassId,
    id: RegistrationId,
    client: Option<IpAddr>,
    request_id: &'a RequestId,
}

/// The result of registering.
#[derive(Debug)]
pub struct Registered {
    /// The registration as it is on disk.
    pub committed: Arc<Committed<Registration>>,
    /// Whether the device was not registered for the pass before.
    pub is_new: bool,
}

impl<'a> DeviceRequest<'a> {
    /// A device that has shown the token of a pass.
    pub fn new(
        app: &'a App,
        device: DeviceLibraryIdentifier,
        pass: PassId,
        client: Option<IpAddr>,
        request_id: &'a RequestId,
    ) -> Self {
        let pass_type_identifier = pass.pass_type_identifier.clone();
        let id = RegistrationId { pass_type_identifier, device_library_identifier: device };
        Self { app, pass, id, client, request_id }
    }

    /// Registers the device for the pass: with this push token, or with a newer one that it has sent meanwhile.
    ///
    /// # Errors
    /// 429 when too much is registered, 503 when a store is unavailable or too many requests wait.
    pub async fn register(&self, push_token: PushToken) -> Result<Registered, ApiError> {
        let device = self.device()?;
        let sent = device.record_token(push_token);
        loop {
            let mut written = device.turn().await;
            match device.next(&written, &sent, &self.pass.serial_number) {
                Next::Done(committed) => return Ok(Registered { committed, is_new: false }),
                Next::Register(newest) => {
                    let committed = Arc::new(self.register_with(&newest, &mut written).await?);
                    written.note(newest, committed.clone());
                    let is_new = committed.events.iter().any(is_registration);
                    return Ok(Registered { committed, is_new });
                }
                Next::Wait(then) => {
                    drop(written);
                    self.app.turns.wait_until(then).await?;
                }
            }
        }
    }

    async fn register_with(
        &self,
        sent: &SentToken,
        written: &mut Written,
    ) -> Result<Committed<Registration>, ApiError> {
        let command = RegistrationCommand::Register {
            serial_number: self.pass.serial_number.clone(),
            push_token: sent.push_token.clone(),
            at: self.app.clock.unix_seconds(),
        };
        self.dispatch_if(command, |events| {
            if events.iter().any(is_registration) {
                self.check_registration_change()?;
                self.app.rates.check_new_device(&self.pass, self.client)?;
            } else {
                self.app.rates.check_known_device(&self.pass, self.client)?;
            }
            written.expect(&sent.push_token, events);
            Ok(())
        })
        .await
    }

    /// Registers the device in its place: another service knows that it holds the pass, and this push token.
    ///
    /// # Errors
    /// 429 when too many requests for the device wait, 503 when a store is unavailable or too many requests wait.
    pub async fn import(&self, push_token: PushToken, metadata: &Metadata) -> Result<Registered, ApiError> {
        let device = self.device()?;
        loop {
            let mut written = device.turn().await;
            if let Some(then) = written.pause_before(&push_token) {
                drop(written);
                self.app.turns.wait_until(then).await?;
                continue;
            }
            let command = RegistrationCommand::Import {
                serial_number: self.pass.serial_number.clone(),
                push_token: push_token.clone(),
                at: self.app.clock.unix_seconds(),
            };
            let admits = |events: &[RegistrationEvent]| {
                written.expect(&push_token, events);
                Ok(())
            };
            let committed = self.dispatch_with(command, metadata, admits).await?;
            let is_new = committed.events.iter().any(is_registration);
            return Ok(Registered { committed: Arc::new(committed), is_new });
        }
    }

    /// Unregisters the device from the pass.
    ///
    /// # Errors
    /// 429 when it registers and unregisters too often, 503 when a store is unavailable.
    pub async fn unregister(&self) -> Result<Committed<Registration>, ApiError> {
        let device = self.device()?;
        let _turn = device.turn().await;
        let serial_number = self.pass.serial_number.clone();
        self.dispatch_if(RegistrationCommand::Unregister { serial_number }, |_| {
            self.check_registration_change()
        })
        .await
    }

    fn device(&self) -> Result<Arc<Device>, ApiError> {
        self.app.turns.of(&self.id)?.ok_or_else(|| self.app.rates.too_many_requests_of_device())
    }

    fn check_registration_change(&self) -> Result<(), ApiError> {
        self.app.rates.check_registration_change(&self.pass, &self.id.device_library_identifier)
    }

    async fn dispatch_if(
        &self,
        command: RegistrationCommand,
        admits: impl FnMut(&[RegistrationEvent]) -> Result<(), ApiError> + Send,
    ) -> Result<Committed<Registration>, ApiError> {
        let actor = format!("device:{}", self.id.device_library_identifier.shortened());
        let metadata = self.app.metadata(actor, None, &self.request_id.0);
        self.dispatch_with(command, &metadata, admits).await
    }

    async fn dispatch_with(
        &self,
        command: RegistrationCommand,
        metadata: &Metadata,
        mut admits: impl FnMut(&[RegistrationEvent]) -> Result<(), ApiError> + Send,
    ) -> Result<Committed<Registration>, ApiError> {
        let (id, App { dispatcher, read_model, .. }) = (self.id.aggregate_id(), self.app);
        let first = dispatcher.dispatch_if(&id, command.clone(), &(), metadata, &mut admits).await;
        match first {
            Err(fault) if fault.damaged().is_some() => {
                if !mend(dispatcher, read_model, &self.id, metadata).await? {
                    return Err(fault.into());
                }
                dispatcher.dispatch_if(&id, command, &(), metadata, admits).await?
            }
            outcome => outcome?,
        }
    }
}

fn is_registration(event: &RegistrationEvent) -> bool {
    matches!(event, RegistrationEvent::DeviceRegistered { .. })
}

//! Tells the domain that APNs calls a push token dead.

use std::error::Error;
use std::sync::Arc;

use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, PushToken, RegistrationId};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_event_store::Metadata;
use honoken_pushers::ports::DeadTokens;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::ids::{self, IdSource};

/// Who says so, in the metadata of events.
const ACTOR: &str = "system:apns";

/// Carries the word of APNs to the registration of a device, as a command.
#[derive(Clone)]
pub struct DeadTokenCommands {
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
}

impl DeadTokens for DeadTokenCommands {
    async fn report(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
        device: &DeviceLibraryIdentifier,
        token: &PushToken,
        since_ms: Option<i64>,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let id = RegistrationId {
            pass_type_identifier: pass_type_identifier.clone(),
            device_library_identifier: device.clone(),
        };
        let metadata = Metadata {
            actor: ACTOR.to_owned(),
            organization: None,
            request_id: ids::request_id(&*self.ids),
            recorded_at_ms: self.clock.unix_ms(),
            urgent: false,
        };
        let command = RegistrationCommand::ForgetToken { push_token: token.clone(), since_ms };
        let forgotten =
            self.dispatcher.dispatch::<Registration>(&id.aggregate_id(), command, &(), &metadata).await?;
        Ok(!forgotten.events.is_empty())
    }
}

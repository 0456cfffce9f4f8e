//! Reports to the domain that APNs calls a push token dead.

use std::error::Error;
use std::sync::Arc;

use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, PushToken, RegistrationId};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_event_store::Metadata;
use honoken_pushers::ports::DeadTokens;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::ids::{self, IdSource};

/// The actor in the metadata of these events.
const ACTOR: &str = "system:apns";

/// Carries the report of APNs to the registration of a device, as a command.
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
        let now = self.clock.unix_seconds();
        let metadata = Metadata {
            actor: ACTOR.to_owned(),
            organization: None,
            request_id: ids::request_id(&*self.ids),
            recorded_at_ms: self.clock.unix_ms(),
            urgent: false,
        };
        let command = RegistrationCommand::ForgetToken { push_token: token.clone(), since_ms, at: now };
        let forgotten =
            self.dispatcher.dispatch::<Registration>(&id.aggregate_id(), command, &(), &metadata).await?;
        Ok(!forgotten.events.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use honoken_domain::ids::{SerialNumber, UnixSeconds};
    use honoken_event_store::{Epoch, EventLog, Log, Position, SqliteLog};
    use honoken_telemetry::Identity;
    use honoken_telemetry::metrics::{LabelSets, Metrics};
    use tempfile::TempDir;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ids::SystemIds;

    #[tokio::test]
    async fn a_dead_token_is_forgotten_in_the_name_of_apns_and_a_newer_one_is_not() {
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::open(&folder.path().join("events.sqlite"), Epoch(1)).await.unwrap();
        let log = Arc::new(Log::Sqlite(log));
        let dispatcher =
            Arc::new(Commands::new(log.clone(), Metrics::new(&Identity::default(), &LabelSets::default())));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let reports = DeadTokenCommands {
            dispatcher: dispatcher.clone(),
            clock: clock.clone(),
            ids: Arc::new(SystemIds),
        };
        let id = RegistrationId::parse("pass.com.example/phone-1").unwrap();
        let token = |text: &str| PushToken::parse(text).unwrap();
        let registered_at = clock.unix_seconds();
        let register = async |serial_number: &str, push_token: &str| {
            let command = RegistrationCommand::Register {
                serial_number: SerialNumber::parse(serial_number).unwrap(),
                push_token: token(push_token),
                at: registered_at,
            };
            let (id, metadata) = (id.aggregate_id(), Metadata::default());
            dispatcher.dispatch::<Registration>(&id, command, &(), &metadata).await.unwrap();
        };
        let since = |UnixSeconds(seconds): UnixSeconds| Some(seconds * 1000);
        let later = UnixSeconds(registered_at.0 + 1);
        let says = async |push_token: &str, since_ms| {
            let RegistrationId { pass_type_identifier, device_library_identifier } = &id;
            let token = token(push_token);
            reports.report(pass_type_identifier, device_library_identifier, &token, since_ms).await.unwrap()
        };

        assert!(!says("old", None).await, "nobody knows the device");
        register("A", "old").await;
        register("B", "new").await;
        assert!(!says("old", since(later)).await, "it has another token");
        assert!(!says("new", since(registered_at)).await, "it has registered since");
        assert!(says("new", since(later)).await);
        assert!(!says("new", since(later)).await, "it is gone already");

        let events = log.read_after(Position(0), 100).await.unwrap();
        let forgotten = events.iter().filter(|event| event.event.event_type == "DeviceUnregistered");
        let forgotten: Vec<_> = forgotten.map(|event| &event.event).collect();
        assert_eq!(forgotten.len(), 2, "both passes");
        for event in forgotten {
            assert_eq!(event.payload["DeviceUnregistered"]["cause"], "pushTokenDead");
            assert_eq!(event.metadata["actor"], "system:apns");
        }
    }
}

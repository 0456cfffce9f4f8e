//! The rules of a registration (`decide`) and its memory (`apply`).

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::ids::{PushToken, SerialNumber};
use crate::registration::{RegistrationCommand, RegistrationError, RegistrationEvent};

/// A registration as its events tell it. The default is a device that never asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    push_token: Option<PushToken>,
    serial_numbers: BTreeSet<SerialNumber>,
}

impl Registration {
    /// Decides a command: the events it leads to, none if it changes nothing.
    pub fn decide(&self, command: RegistrationCommand) -> Vec<RegistrationEvent> {
        match command {
            RegistrationCommand::Register { serial_number, push_token, at } => {
                let mut events = Vec::new();
                let holds_passes = !self.serial_numbers.is_empty();
                if holds_passes && self.push_token.as_ref() != Some(&push_token) {
                    events.push(RegistrationEvent::PushTokenChanged {
                        push_token: push_token.clone(),
                        changed_at: at,
                    });
                }
                if !self.serial_numbers.contains(&serial_number) {
                    events.push(RegistrationEvent::DeviceRegistered {
                        serial_number,
                        push_token,
                        registered_at: at,
                    });
                }
                events
            }
            RegistrationCommand::Unregister { serial_number }
                if self.serial_numbers.contains(&serial_number) =>
            {
                vec![RegistrationEvent::DeviceUnregistered { serial_number }]
            }
            RegistrationCommand::Unregister { .. } => Vec::new(),
        }
    }
}

impl Aggregate for Registration {
    const TYPE: &'static str = "Registration";
    type Command = RegistrationCommand;
    type Event = RegistrationEvent;
    type Error = RegistrationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: RegistrationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), RegistrationError> {
        for event in self.decide(command) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: RegistrationEvent) {
        match event {
            RegistrationEvent::DeviceRegistered { serial_number, push_token, .. } => {
                self.serial_numbers.insert(serial_number);
                self.push_token = Some(push_token);
            }
            RegistrationEvent::PushTokenChanged { push_token, .. } => self.push_token = Some(push_token),
            RegistrationEvent::DeviceUnregistered { serial_number } => {
                self.serial_numbers.remove(&serial_number);
            }
        }
    }
}

//! The rules of a registration (`decide`) and its memory (`apply`).

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::ids::{PushToken, SerialNumber, UnixSeconds};
use crate::registration::{RegistrationCommand, RegistrationError, RegistrationEvent, UnregistrationCause};

/// The clocks of several processes do not differ by more, in seconds. What was noted further in the future was noted by a clock that has been
/// set back since: nobody knows when it was.
const CLOCKS_DIFFER: i64 = 60;

/// A registration as its events tell it. The default is a device that never asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    push_token: Option<PushToken>,
    /// Whether the device itself said that it is reached there.
    token_is_its_own: bool,
    serial_numbers: BTreeSet<SerialNumber>,
    /// The passes that were imported for it, held or not: a pass that it has removed since is not imported once more.
    imported: BTreeSet<SerialNumber>,
    /// When the device last said where it is reached, as far as that was noted.
    last_word: UnixSeconds,
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
                        imported: false,
                    });
                }
                if !self.holds(&serial_number) {
                    events.push(RegistrationEvent::DeviceRegistered {
                        serial_number,
                        push_token,
                        registered_at: at,
                        imported: false,
                    });
                }
                // APNs may have called the token dead since the last word, and is heard late.
                if events.is_empty() && (at > self.last_word || self.has_spoken_in_the_future_of(at)) {
                    events.push(RegistrationEvent::PushTokenConfirmed { confirmed_at: at });
                }
                events
            }
            RegistrationCommand::Import { serial_number, push_token, at } => {
                self.import(serial_number, push_token, at)
            }
            RegistrationCommand::Unregister { serial_number } if self.holds(&serial_number) => {
                vec![RegistrationEvent::DeviceUnregistered { serial_number, cause: None }]
            }
            RegistrationCommand::ForgetToken { push_token, since_ms, at }
                if self.push_token.as_ref() == Some(&push_token) && !self.has_spoken_since(since_ms, at) =>
            {
                let cause = Some(UnregistrationCause::PushTokenDead);
                let forgotten = self.serial_numbers.iter().cloned();
                forgotten
                    .map(|serial_number| RegistrationEvent::DeviceUnregistered { serial_number, cause })
                    .collect()
            }
            RegistrationCommand::Unregister { .. } | RegistrationCommand::ForgetToken { .. } => Vec::new(),
            RegistrationCommand::Repair => vec![self.stated()],
        }
    }

    fn stated(&self) -> RegistrationEvent {
        let Self { push_token, token_is_its_own, serial_numbers, imported, last_word } = self.clone();
        RegistrationEvent::Repaired { push_token, token_is_its_own, serial_numbers, imported, last_word }
    }

    fn import(
        &self,
        serial_number: SerialNumber,
        push_token: PushToken,
        at: UnixSeconds,
    ) -> Vec<RegistrationEvent> {
        let its_own = self.push_token.as_ref().filter(|_| self.token_is_its_own);
        let push_token = its_own.cloned().unwrap_or(push_token);
        let mut events = Vec::new();
        if !self.serial_numbers.is_empty() && self.push_token.as_ref() != Some(&push_token) {
            events.push(RegistrationEvent::PushTokenChanged {
                push_token: push_token.clone(),
                changed_at: at,
                imported: true,
            });
        }
        let was_removed = self.imported.contains(&serial_number) && self.push_token.is_some();
        if !self.holds(&serial_number) && !was_removed {
            events.push(RegistrationEvent::DeviceRegistered {
                serial_number,
                push_token,
                registered_at: at,
                imported: true,
            });
        }
        events
    }

    /// Whether the device is registered for this pass.
    pub fn holds(&self, serial_number: &SerialNumber) -> bool {
        self.serial_numbers.contains(serial_number)
    }

    /// What another service knew of the device is not its own word, however lately it was imported: a token that died before must not count as
    /// confirmed.
    fn speaks(&mut self, at: UnixSeconds) {
        self.last_word = at;
        self.token_is_its_own = true;
    }

    /// Whether the device said where it is reached in the second of this moment, or later. A word of the future proves nothing: it would keep a
    /// device that is gone for ever.
    fn has_spoken_since(&self, since_ms: Option<i64>, now: UnixSeconds) -> bool {
        let later = since_ms.is_some_and(|since_ms| self.last_word.0 >= since_ms.div_euclid(1000));
        later && !self.has_spoken_in_the_future_of(now)
    }

    fn has_spoken_in_the_future_of(&self, now: UnixSeconds) -> bool {
        self.last_word.0 > now.0.saturating_add(CLOCKS_DIFFER)
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
            RegistrationEvent::DeviceRegistered { serial_number, push_token, registered_at, imported } => {
                if imported {
                    self.imported.insert(serial_number.clone());
                } else {
                    self.speaks(registered_at);
                }
                self.serial_numbers.insert(serial_number);
                self.push_token = Some(push_token);
            }
            RegistrationEvent::PushTokenChanged { push_token, changed_at, imported } => {
                if !imported {
                    self.speaks(changed_at);
                }
                self.push_token = Some(push_token);
            }
            RegistrationEvent::PushTokenConfirmed { confirmed_at } => self.speaks(confirmed_at),
            RegistrationEvent::DeviceUnregistered { serial_number, cause } => {
                self.serial_numbers.remove(&serial_number);
                match cause {
                    None => {}
                    // Where it is reached is unknown again, and what it holds is still what another service says.
                    Some(UnregistrationCause::PushTokenDead) => {
                        (self.push_token, self.token_is_its_own) = (None, false);
                    }
                }
            }
            RegistrationEvent::Repaired {
                push_token,
                token_is_its_own,
                serial_numbers,
                imported,
                last_word,
            } => *self = Self { push_token, token_is_its_own, serial_numbers, imported, last_word },
        }
    }
}

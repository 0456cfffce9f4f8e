//! Commands over NATS: whoever may publish on `honoken.command.pass.update_requested` can replace the content of a pass, by the rules and with
//! the answers of `PUT /manage/v1/passes/{type}/{serial}/content`.
//!
//! They wait in the stream `HONOKEN` until they are carried out: in order, one at a time in all processes together, and once. A message that
//! is handed out again after a crash finds its key in the pass (`command.rs`), and changes nothing.
//!
//! - `consumer.rs`: takes messages, carries them out, answers. Start there.
//! - `command.rs`: what a message says. `askers.rs`: who waits for an answer. `refused.rs`: what is said about a command that was refused.

mod askers;
mod command;
mod consumer;
mod refused;

pub use consumer::CommandConsumer;

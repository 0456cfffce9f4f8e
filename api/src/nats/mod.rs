//! Commands over NATS: whoever may publish on `honoken.command.pass.update_requested` can replace the content of a pass, by the rules and with
//! the answers of `PUT /manage/v1/passes/{type}/{serial}/content`.
//!
//! They wait in the stream `HONOKEN` until they are carried out: in one process at a time, those of an organisation in order, one after the other,
//! and once. Organisations do not wait for each other. A message that is carried out again after a crash finds its key in the pass
//! (`command.rs`), and changes nothing.
//!
//! - `consumer.rs`: takes commands when it may. `turn.rs`: when that is. Start there.
//! - `session.rs`: reads the stream, and lets lanes go on. `lanes.rs`: which command comes next, of whom. `stored.rs`: the messages of the stream.
//! - `carry_out.rs`: carries one command out, and answers.
//! - `command.rs`: what a message says. `askers.rs`: who waits for an answer. `refused.rs`: what is said about a command that was refused.

mod askers;
mod carry_out;
mod command;
mod consumer;
mod lanes;
mod refused;
mod request;
mod session;
mod stored;
mod turn;

pub use consumer::CommandConsumer;

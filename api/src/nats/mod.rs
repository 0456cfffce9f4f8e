//! Commands over NATS: a client that may publish on `honoken.command.pass.update_requested` can replace the content of a pass, by the rules
//! and with the answers of `PUT /manage/v1/passes/{type}/{serial}/content`.
//!
//! The commands wait in the stream `HONOKEN` until they are carried out, in one process at a time. Those of one organisation are carried
//! out in order, one after the other, and once. Organisations do not wait for each other. A message that is carried out again after a crash
//! finds its key in the pass (`command.rs`) and changes nothing.
//!
//! - `consumer.rs`: takes commands while this process holds the lease (`turn.rs`). Start there.
//! - `session.rs`: reads the stream and starts commands. `lanes.rs`: decides which command comes next, and of which organisation.
//!   `stream_message.rs`: the messages of the stream.
//! - `carry_out.rs`: carries one command out and answers it.
//! - `command.rs`: the content of a message. `reply_subjects.rs`: the subjects on which answers are awaited. `refused.rs`: the document
//!   that is published about a refused command.

mod carry_out;
mod command;
mod consumer;
mod lanes;
mod refused;
mod reply_subjects;
mod request;
mod session;
mod stream_message;
mod turn;

pub use consumer::CommandConsumer;

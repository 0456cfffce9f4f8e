//! The client of APNs against a fake of Apple's servers: every answer, every way a connection can end, and nothing that Apple forbids.

mod harness;

mod answers;
mod certificates;
mod connections;
mod tokens;

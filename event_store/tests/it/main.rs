//! The expectations of the event log: the same of every engine, and of Postgres those that only a server can be put through.
//!
//! - `append_socket.rs`: commands beside the process that has a file.
//! - `contended.rs`: an event log on which other processes are always faster.
//! - `appending.rs`, `unreadable.rs`, `dispatching.rs`, `states.rs`, `snapshots.rs`: what every engine must keep.
//! - `turns.rs`, `order.rs`, `earlier_release.rs`, `frozen_writer.rs`, `lost_connection.rs`, `restarts.rs`: several processes, and servers that go away.
//! - `copies.rs`, `migrations.rs`: the tables, and moving them; `transfer.rs`: to another engine, into a file and out of one. `sqlite_version.rs`: the SQLite that is linked.
//! - `kurrentdb.rs`: what only a server can be put through, on the stand-in for KurrentDB.
//! - `store.rs`, `numbered.rs`, `note.rs`, `proxy.rs`: what the tests are made with.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// Makes two tests out of each function that takes a [`Store`](crate::store::Store): one per engine. On one thread, unless told otherwise.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        $(on_both_engines![@ $test ()];)*
    };
    (threads = 4; $($test:ident),* $(,)?) => {
        $(on_both_engines![@ $test (flavor = "multi_thread", worker_threads = 4)];)*
    };
    (@ $test:ident ($($runtime:tt)*) $($third:item)?) => {
        mod $test {
            #[tokio::test($($runtime)*)]
            async fn sqlite() {
                super::$test(crate::store::Store::sqlite()).await;
            }
            #[tokio::test($($runtime)*)]
            async fn postgres() {
                super::$test(crate::store::Store::postgres().await).await;
            }
            $($third)?
        }
    };
}

/// The same, and a third one on KurrentDB.
macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        $(on_every_engine![@ $test ()];)*
    };
    (threads = 4; $($test:ident),* $(,)?) => {
        $(on_every_engine![@ $test (flavor = "multi_thread", worker_threads = 4)];)*
    };
    (@ $test:ident ($($runtime:tt)*)) => {
        on_both_engines![@ $test ($($runtime)*)
            #[cfg(feature = "kurrentdb")]
            #[tokio::test($($runtime)*)]
            async fn kurrentdb() {
                super::$test(crate::store::Store::kurrentdb()).await;
            }
        ];
    };
}

mod append_socket;
mod appending;
mod contended;
mod copies;
mod dispatching;
mod earlier_release;
mod frozen_writer;
#[cfg(feature = "kurrentdb")]
mod kurrentdb;
mod lost_connection;
mod migrations;
mod note;
mod numbered;
mod order;
mod proxy;
mod refusing;
mod restarts;
mod set_back;
mod snapshots;
mod sqlite_version;
mod states;
mod store;
mod transfer;
mod turns;
mod unreadable;

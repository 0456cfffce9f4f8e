//! What the program under test keeps its log and its tables in.

/// The variable that chooses the engine of all tests that do not insist on one: `sqlite`, the default, or `postgres`.
const VARIABLE: &str = "HONOKEN_TEST_ENGINE";

/// The variable that puts the event log of all such tests on a server of its own, besides the tables: `kurrentdb`, or nothing.
const EVENT_STORE: &str = "HONOKEN_TEST_EVENT_STORE";

/// Whether the tests are run with their event log on a KurrentDB.
///
/// # Panics
///
/// When another store is named.
pub fn has_log_on_kurrentdb() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the same tests run once per store, told from outside")]
    let chosen = std::env::var(EVENT_STORE);
    match chosen.as_deref() {
        Err(_) | Ok("") => false,
        Ok("kurrentdb") => true,
        Ok(other) => panic!("{EVENT_STORE} is `kurrentdb` or nothing, not {other:?}"),
    }
}

/// What the log and the tables are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Files in the data folder.
    Sqlite,
    /// A database in a server, which `DATABASE_URL` names.
    Postgres,
}

impl Engine {
    /// The engine that the tests are run for.
    ///
    /// # Panics
    ///
    /// When there is no such engine.
    pub fn chosen() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the same tests run once per engine, told from outside"
        )]
        let chosen = std::env::var(VARIABLE);
        match chosen.as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("{VARIABLE} is `sqlite` or `postgres`, not {other:?}"),
        }
    }

    /// Whether this run leaves out a test that means something on SQLite only; says so, and why.
    pub fn leaves_out(because: &str) -> bool {
        Self::chosen().is_left_out(Self::Postgres, because)
    }

    /// Whether this run leaves a test that is about several processes, or the server, to the run on Postgres; says so.
    pub fn leaves_to_postgres() -> bool {
        Self::chosen().is_left_out(Self::Sqlite, "it needs Postgres and belongs to the run for that")
    }

    fn is_left_out(self, on: Self, because: &str) -> bool {
        let leaves_out = self == on;
        if leaves_out {
            #[expect(clippy::print_stderr, reason = "nobody shall take the test for one that has passed")]
            {
                eprintln!("left out on {self:?}: {because}");
            }
        }
        leaves_out
    }
}

//! On a server each process says which copy of the tables it reads. No process promises more than the tables show that any other reads: a phone that
//! hears of a change from one process may fetch the pass from another.
//!
//! A process that has not said so for five seconds does not count any more, and one whose session with the server has ended for one and a half. It knows: from four seconds on it reads nothing before it has said so
//! again, and has found out whether another copy is live by now.

use std::time::Duration;

use honoken_database::postgres::within;
use sqlx::{PgConnection, PgPool};

use crate::projection::VERSION;

/// The time between two reports.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// How long a process reads after the beginning of its last report. (Others count it for a second longer.)
pub(crate) const TRUST: Duration = Duration::from_secs(4);

/// A name for a process, which no other has.
pub(crate) async fn name(connection: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar("select gen_random_uuid()::text").fetch_one(connection).await
}

/// Says that a process reads the copy that is live for this release, and returns which one that is and its version. The row of that copy is locked for
/// it, so that no switch comes between.
pub(crate) async fn report(pool: &PgPool, process: &str) -> sqlx::Result<Option<(i64, i64)>> {
    let reported = sqlx::query_as(
        "with live as (select copy, version from read_model_copy where state = 'live' order by version = $2 desc, version desc limit 1 for share),
              reported as (insert into read_model_reader (process, copy, version, seen_at, session, session_started)
                           select $1, copy, $2, clock_timestamp(), pg_backend_pid(),
                                  (select backend_start from pg_stat_activity where pid = pg_backend_pid())
                           from live
                           on conflict (process, copy) do update
                           set seen_at = excluded.seen_at, session = excluded.session, session_started = excluded.session_started
                           returning copy)
         select live.copy, live.version from live join reported using (copy)",
    );
    within(reported.bind(process).bind(VERSION).fetch_optional(pool)).await
}

/// Says that a process has left all copies but this one, and forgets processes that have long ended.
pub(crate) async fn leave_others(pool: &PgPool, process: &str, copy: i64) -> sqlx::Result<()> {
    let left = sqlx::query(
        "delete from read_model_reader
         where (process = $1 and copy <> $2) or seen_at < clock_timestamp() - interval '1 minute'",
    );
    within(left.bind(process).bind(copy).execute(pool)).await.map(drop)
}

/// Says that a process reads nothing any more.
pub(crate) async fn leave(pool: &PgPool, process: &str) -> sqlx::Result<()> {
    let left = sqlx::query("delete from read_model_reader where process = $1");
    within(left.bind(process).execute(pool)).await.map(drop)
}

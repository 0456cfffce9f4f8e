//! Makes and removes the places of copies, in one of several processes at a time: the row of the copy is locked meanwhile.

use sqlx::PgPool;

use crate::copies::directory::{Copy, CopyDirectory};
use crate::copies::place::Home;
use crate::migrations::OpenError;

/// Makes the tables of a copy that is at work, where none has made them. `false` when another process is at it, or the copy is not wanted any more.
pub(crate) async fn prepare(
    home: &Home,
    directory: &CopyDirectory,
    pool: Option<&PgPool>,
    copy: &Copy,
) -> Result<bool, OpenError> {
    let place = home.of(copy.id);
    let Some(pool) = pool else {
        if !copy.prepared {
            // Tables that an earlier installation has left under this name are not those of this copy.
            place.remove().await?;
        }
        place.prepare().await?;
        directory.prepared(copy.id).await?;
        return Ok(true);
    };
    let mut transaction = pool.begin().await?;
    let locked = sqlx::query_scalar::<_, bool>(
        "select prepared from read_model_copy where copy = $1 and state in ('filling', 'catchingUp', 'ready') for update skip locked",
    );
    let Some(prepared) = locked.bind(copy.id).fetch_optional(&mut *transaction).await? else {
        return Ok(false);
    };
    if !prepared {
        place.remove().await?;
        place.prepare().await?;
        let noted = sqlx::query("update read_model_copy set prepared = true where copy = $1");
        noted.bind(copy.id).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Removes the tables of a copy that leaves, unless another process is at it, or reads it yet.
pub(crate) async fn remove(
    home: &Home,
    directory: &CopyDirectory,
    pool: Option<&PgPool>,
    copy: &Copy,
) -> sqlx::Result<()> {
    let Some(pool) = pool else {
        home.of(copy.id).remove().await?;
        return directory.gone(copy.id).await;
    };
    let mut transaction = pool.begin().await?;
    let locked = sqlx::query_scalar::<_, i64>(
        "select copy from read_model_copy
         where copy = $1 and state = 'leaving'
           and not exists (select 1 from read_model_reader reader
                           where reader.copy = $1 and reader.seen_at > clock_timestamp() - interval '5 seconds'
                             and (reader.seen_at > clock_timestamp() - interval '1500 milliseconds'
                                  or exists (select 1 from pg_stat_activity activity
                                             where activity.pid = reader.session and activity.backend_start = reader.session_started)))
         for update skip locked",
    );
    if locked.bind(copy.id).fetch_optional(&mut *transaction).await?.is_none() {
        return Ok(());
    }
    home.of(copy.id).remove().await?;
    let noted = sqlx::query("update read_model_copy set state = 'gone' where copy = $1");
    noted.bind(copy.id).execute(&mut *transaction).await?;
    transaction.commit().await
}

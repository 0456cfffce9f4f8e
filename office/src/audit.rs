//! What operators did, one row for each action.

use honoken_database::statements::{Row, sql};

use crate::{Office, OfficeError};

/// The most entries of one page.
pub const PAGE: i64 = 100;

/// An action of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A name of its own, by which entries sort by age.
    pub id: String,
    /// When the action began, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// The name of the operator; that of a person on the command line begins with `command-line:`.
    pub actor: String,
    /// The client address, if it is known.
    pub from: Option<String>,
    /// The name of the action.
    pub action: String,
    /// What it was about: the path below the prefix of operators.
    pub target: String,
    /// The status of the answer, or the exit status of a command; none when it was not written, because the process ended or the request was given up.
    pub result: Option<i64>,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Of this operator.
    pub actor: Option<&'a str>,
    /// Of this action.
    pub action: Option<&'a str>,
    /// Older than the one of this id.
    pub before: Option<&'a str>,
}

impl Office {
    /// Notes an action before it is carried out, so that none is carried out without a trace.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn begin_action(&self, entry: &Entry) -> Result<(), OfficeError> {
        let insert = sql(
            "insert into audit (id, at_ms, actor, client, action, target) values ($1, $2, $3, $4, $5, $6)
             on conflict do nothing",
        );
        let insert = insert.bind(entry.id.as_str()).bind(entry.at_ms).bind(entry.actor.as_str());
        let insert =
            insert.bind(entry.from.as_deref()).bind(entry.action.as_str()).bind(entry.target.as_str());
        self.run("noting an action", insert).await.map(drop)
    }

    /// Notes the status of the answer to an action.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn end_action(&self, id: &str, result: i64) -> Result<(), OfficeError> {
        let update = sql("update audit set result = $2 where id = $1").bind(id).bind(result);
        self.run("noting the result of an action", update).await.map(drop)
    }

    /// The latest entries, [`PAGE`] at most, and whether there are older ones.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn actions(&self, filter: &Filter<'_>) -> Result<(Vec<Entry>, bool), OfficeError> {
        let doing = "reading actions";
        // Every id sorts before this one.
        let before = filter.before.unwrap_or("~");
        let select = match (filter.actor, filter.action) {
            (None, None) => sql("select id, at_ms, actor, client, action, target, result from audit
                 where id < $1 order by id desc limit $2")
            .bind(before),
            (Some(actor), None) => sql("select id, at_ms, actor, client, action, target, result from audit
                 where id < $1 and actor = $2 order by id desc limit $3")
            .bind(before)
            .bind(actor),
            (None, Some(action)) => sql("select id, at_ms, actor, client, action, target, result from audit
                 where id < $1 and action = $2 order by id desc limit $3")
            .bind(before)
            .bind(action),
            (Some(actor), Some(action)) => {
                sql("select id, at_ms, actor, client, action, target, result from audit
                 where id < $1 and actor = $2 and action = $3 order by id desc limit $4")
                .bind(before)
                .bind(actor)
                .bind(action)
            }
        };
        let rows = self.run(doing, select.bind(PAGE + 1)).await?;
        let entries = rows.iter().map(entry).collect::<sqlx::Result<Vec<_>>>();
        let mut entries = entries.map_err(|source| OfficeError { doing, source })?;
        let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
        let there_are_more = entries.len() > page;
        entries.truncate(page);
        Ok((entries, there_are_more))
    }
}

fn entry(row: &Row) -> sqlx::Result<Entry> {
    Ok(Entry {
        id: row.get("id")?,
        at_ms: row.get("at_ms")?,
        actor: row.get("actor")?,
        from: row.get("client")?,
        action: row.get("action")?,
        target: row.get("target")?,
        result: row.get("result")?,
    })
}

//! `wallet_pass_word`: which passes have a word on them. The words of a pass stand in its `wallet_pass_content` as well, so that a change writes
//! only those that come and go.

use std::collections::{BTreeMap, BTreeSet};

use honoken_domain::ids::PassId;

use crate::apply::ApplyError;
use crate::database::{Connection, Value, execute_for_each, fetch_for_each};
use crate::wallet_pass::{Change, serial_of, type_of};
use crate::words;

/// Writes the words of changed contents, before the contents: what is known of a pass is compared with what is new.
pub(crate) async fn apply(
    connection: &mut Connection,
    changes: &mut BTreeMap<PassId, Change>,
) -> Result<(), ApplyError> {
    let mut new = BTreeMap::new();
    for (id, change) in changes {
        let Some(content) = &change.content else { continue };
        let words = words::of_pass(&id.serial_number, content);
        change.words = words.iter().map(String::as_str).collect::<Vec<_>>().join(" ").into();
        new.insert(id.clone(), (words, change.sequence()));
    }
    if new.is_empty() {
        return Ok(());
    }
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let mut old = known(connection, new.keys()).await?;
    for (id, (words, sequence)) in new {
        let (known, known_sequence) = old.remove(&id).unwrap_or_default();
        // Applied before: the words are those of a later content.
        if known_sequence >= sequence {
            continue;
        }
        let row = |word: &String| [type_of(&id), word.clone().into(), serial_of(&id)];
        gone.extend(known.difference(&words).map(row));
        come.extend(words.difference(&known).map(row));
    }
    delete(connection, gone).await?;
    insert(connection, come).await
}

/// The words of passes that have a row, and its sequence.
async fn known(
    connection: &mut Connection,
    ids: impl Iterator<Item = &PassId>,
) -> Result<BTreeMap<PassId, (BTreeSet<String>, i64)>, ApplyError> {
    let rows = fetch_for_each(
        connection,
        "select new.column1 as pass_type_identifier, new.column2 as serial_number, content.words, pass.sequence
         from (values {rows}) as new
         join wallet_pass pass on pass.pass_type_identifier = new.column1 and pass.serial_number = new.column2
         join wallet_pass_content content
           on content.pass_type_identifier = new.column1 and content.serial_number = new.column2",
        ids.map(|id| [type_of(id), serial_of(id)]).collect(),
    )
    .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let id =
            format!("{}/{}", row.get::<&str>("pass_type_identifier")?, row.get::<&str>("serial_number")?);
        let words: &str = row.get("words")?;
        let words = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        known.insert(PassId::parse(&id)?, (words, row.get("sequence")?));
    }
    Ok(known)
}

async fn delete(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "delete from wallet_pass_word
         where (pass_type_identifier, word, serial_number) in (select column1, column2, column3 from (values {rows}) as new)",
        rows,
    )
    .await?;
    Ok(())
}

async fn insert(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "insert into wallet_pass_word (pass_type_identifier, word, serial_number)
         values {rows}
         on conflict do nothing",
        rows,
    )
    .await?;
    Ok(())
}

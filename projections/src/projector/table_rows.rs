//! Compares a table with a fresh one row by row, in the order of its key, with some rows of each in memory.

use std::cmp::Ordering;
use std::collections::VecDeque;

use honoken_database::statements::{Connection, Statement, Value as Parameter, composed, sql};
use honoken_domain::ids::UnixSeconds;
use serde_json::{Map, Value};

/// Rows that are read at a time.
const PAGE: usize = 200;

/// Tables of which old rows may be purged.
const PURGED: [&str; 2] = ["wallet_device", "wallet_registration"];

/// A difference between tables.
pub(crate) struct Difference {
    /// Table and key of the row, if it is about one.
    pub(crate) row: Option<String>,
    /// What differs, where the second tables are the right ones.
    pub(crate) sentence: String,
}

/// The differences between tables.
pub(crate) struct Differences<F> {
    add: F,
    rows: u64,
}

impl<F: FnMut(Difference) + Send> Differences<F> {
    pub(crate) fn new(add: F) -> Self {
        Self { add, rows: 0 }
    }

    /// Adds one that is about no row.
    pub(crate) fn add(&mut self, sentence: String) {
        (self.add)(Difference { row: None, sentence });
    }

    fn add_row(&mut self, row: String, what: &str) {
        (self.add)(Difference { sentence: format!("the read model {what}: {row}"), row: Some(row) });
    }

    /// How many rows were compared.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

/// A table of the read model, as its newest schema has it.
pub(crate) struct Table {
    name: String,
    columns: Vec<String>,
    /// The columns of its key, and whether each is text.
    key: Vec<(String, bool)>,
}

impl Table {
    /// All that are filled from events.
    pub(crate) async fn all(fresh: &mut Connection) -> sqlx::Result<Vec<Self>> {
        let names = sql("select name from sqlite_master where type = 'table' and substr(name, 1, 7) = 'wallet_' order by name")
            .fetch_all(&mut *fresh)
            .await?;
        let mut tables = Vec::new();
        for name in names {
            let name: String = name.get("name")?;
            let rows = sql("select name, pk, type from pragma_table_info($1) order by pk")
                .bind(name.as_str())
                .fetch_all(&mut *fresh)
                .await?;
            let mut table = Self { name, columns: Vec::new(), key: Vec::new() };
            for row in rows {
                let column: String = row.get("name")?;
                if row.get::<i64>("pk")? > 0 {
                    table.key.push((column.clone(), row.get::<String>("type")?.eq_ignore_ascii_case("text")));
                }
                table.columns.push(column);
            }
            tables.push(table);
        }
        Ok(tables)
    }

    /// The columns of the key, for a comparison of texts by their bytes, as SQLite makes it by itself.
    fn key(&self, connection: &Connection) -> String {
        let column = |(column, is_text): &(String, bool)| match connection {
            Connection::Postgres(_) if *is_text => format!("row_of.{column} collate \"C\""),
            _ => format!("row_of.{column}"),
        };
        self.key.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// The next rows behind a key, as JSON.
    async fn page(
        &self,
        connection: &mut Connection,
        behind: Option<&Map<String, Value>>,
        cutoff: UnixSeconds,
    ) -> sqlx::Result<VecDeque<Map<String, Value>>> {
        let row = match connection {
            Connection::Postgres(_) => "to_jsonb(row_of)::text".to_owned(),
            Connection::Sqlite(..) => {
                let column = |column: &String| format!("'{column}', row_of.{column}");
                format!("json_object({})", self.columns.iter().map(column).collect::<Vec<_>>().join(", "))
            }
        };
        let key = self.key(connection);
        let mut conditions = Vec::new();
        let mut values: Vec<Parameter> = Vec::new();
        if let Some(behind) = behind {
            let place = |number: usize| format!("${}", number + 1);
            let places = (0..self.key.len()).map(place).collect::<Vec<_>>().join(", ");
            conditions.push(format!("({key}) > ({places})"));
            for (column, _) in &self.key {
                values.push(match &behind[column] {
                    Value::String(text) => text.as_str().into(),
                    other => other.as_i64().unwrap_or_default().into(),
                });
            }
        }
        if PURGED.contains(&self.name.as_str()) {
            values.push(cutoff.0.into());
            conditions.push(format!("(row_of.deleted_at is null or row_of.deleted_at >= ${})", values.len()));
        }
        let filter =
            if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
        let text = format!(
            "select {row} as row_text from {} row_of {filter} order by {key} limit {PAGE}",
            self.name
        );
        let statement = values.into_iter().fold(composed(text), Statement::bind);
        let rows = statement.fetch_all(connection).await?;
        let parsed = rows.iter().map(|row| {
            let text: String = row.get("row_text")?;
            serde_json::from_str(&text).map_err(|fault| sqlx::Error::Decode(Box::new(fault)))
        });
        parsed.collect()
    }

    fn compare_keys(&self, one: &Map<String, Value>, other: &Map<String, Value>) -> Ordering {
        let by_column = |(column, _): &(String, bool)| match (&one[column], &other[column]) {
            (Value::String(one), Value::String(other)) => one.as_bytes().cmp(other.as_bytes()),
            (one, other) => one.as_i64().cmp(&other.as_i64()),
        };
        self.key.iter().map(by_column).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Table and key of a row, in words.
    fn name_of(&self, row: &Map<String, Value>) -> String {
        let text = |(column, _): &(String, bool)| match &row[column] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{} {}", self.name, self.key.iter().map(text).collect::<Vec<_>>().join(" "))
    }
}

/// The rows of a table, page by page.
struct Rows<'a> {
    table: &'a Table,
    connection: &'a mut Connection,
    cutoff: UnixSeconds,
    page: VecDeque<Map<String, Value>>,
    is_last: bool,
    last: Option<Map<String, Value>>,
}

impl<'a> Rows<'a> {
    fn of(table: &'a Table, connection: &'a mut Connection, cutoff: UnixSeconds) -> Self {
        Self { table, connection, cutoff, page: VecDeque::new(), is_last: false, last: None }
    }

    async fn next(&mut self) -> sqlx::Result<Option<Map<String, Value>>> {
        if self.page.is_empty() && !self.is_last {
            self.page = self.table.page(self.connection, self.last.as_ref(), self.cutoff).await?;
            self.is_last = self.page.len() < PAGE;
            self.last = self.page.back().cloned();
        }
        Ok(self.page.pop_front())
    }
}

/// Compares a table with the fresh one.
pub(crate) async fn compare<F: FnMut(Difference) + Send>(
    table: &Table,
    live: &mut Connection,
    fresh: &mut Connection,
    cutoff: UnixSeconds,
    differences: &mut Differences<F>,
) -> sqlx::Result<()> {
    let (mut live, mut fresh) = (Rows::of(table, live, cutoff), Rows::of(table, fresh, cutoff));
    let (mut is, mut should_be) = (live.next().await?, fresh.next().await?);
    loop {
        let order = match (&is, &should_be) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(is), Some(should_be)) => table.compare_keys(is, should_be),
        };
        match (&is, &should_be) {
            (Some(row), _) if order.is_lt() => {
                differences.add_row(table.name_of(row), "has a row too many");
            }
            (_, Some(row)) if order.is_gt() => {
                differences.add_row(table.name_of(row), "lacks a row");
            }
            (Some(is), Some(should_be)) => {
                differences.rows += 1;
                let differ = |column: &&String| {
                    let value = |row: &Map<String, Value>| row.get(*column).cloned().unwrap_or_default();
                    !is_same(&value(is), &value(should_be))
                };
                let columns: Vec<&str> = table.columns.iter().filter(differ).map(String::as_str).collect();
                if !columns.is_empty() {
                    let what = format!("has another {} than a fresh one", columns.join(", "));
                    differences.add_row(table.name_of(is), &what);
                }
            }
            _ => {}
        }
        if order.is_le() {
            is = live.next().await?;
        }
        if order.is_ge() {
            should_be = fresh.next().await?;
        }
    }
}

/// Whether a value of either engine is that of SQLite, where a boolean is a number, and JSON is text.
fn is_same(value: &Value, of_sqlite: &Value) -> bool {
    match (value, of_sqlite) {
        (Value::Bool(flag), Value::Number(number)) => number.as_i64() == Some(i64::from(*flag)),
        (Value::Object(_) | Value::Array(_), Value::String(text)) => {
            serde_json::from_str(text).is_ok_and(|parsed: Value| is_same_json(value, &parsed))
        }
        // JSON that is null.
        (Value::Null, Value::String(text)) => text == "null",
        // JSON in both.
        (Value::String(one), Value::String(other)) if one != other && one.starts_with(['{', '[']) => {
            let parsed = |text| serde_json::from_str::<Value>(text).ok();
            matches!((parsed(one), parsed(other)), (Some(one), Some(other)) if is_same_json(&one, &other))
        }
        (value, of_sqlite) => value == of_sqlite,
    }
}

/// JSON as RFC 8785 has it: numbers are doubles, however they are written.
fn is_same_json(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(name, value): (&String, &Value)| {
                other.get(name).is_some_and(|in_other| is_same_json(value, in_other))
            };
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_json(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_server_are_compared_with_those_of_a_file() {
        assert!(is_same(&json!(true), &json!(1)) && !is_same(&json!(true), &json!(0)));
        assert!(is_same(&json!(null), &json!("null")) && is_same(&json!(null), &json!(null)));
        assert!(is_same(&json!({ "a": [100, 1] }), &json!(r#"{"a":[1e2,1.0]}"#)));
        assert!(!is_same(&json!({ "a": 1 }), &json!(r#"{"a":2}"#)));
        assert!(is_same(&json!(r#"{"a":1,"b":2}"#), &json!(r#"{"b":2,"a":1}"#)));
        assert!(is_same(&json!("[]"), &json!("[]")) && !is_same(&json!(null), &json!("")));
    }
}

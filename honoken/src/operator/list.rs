//! The lists of operators: a table, or JSON for programs.

use clap::Args;
use serde_json::Value;

use crate::operator::print::{print_json, print_line, table};
use crate::operator::session::StorageOptions;

/// The form of a list, and the storage that it is read from.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) location: StorageOptions,
}

/// An entry of a list.
pub(super) trait Entry<const COLUMNS: usize> {
    /// The titles of the columns.
    const TITLES: [&'static str; COLUMNS];

    /// Its line in the table.
    fn line(&self) -> [String; COLUMNS];

    /// All there is to know about it, in the words of the API.
    fn json(&self) -> Value;

    /// What is wrong with it, in a sentence that begins with its name.
    fn problem(&self) -> Option<String> {
        None
    }
}

impl ListOptions {
    /// Prints entries in the form that was asked for. Below a table their problems are logged; JSON has them inside.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(super) fn print<const COLUMNS: usize, E: Entry<COLUMNS>>(&self, entries: &[E]) -> anyhow::Result<()> {
        if self.json {
            return print_json(&entries.iter().map(E::json).collect());
        }
        print_line(&table(E::TITLES, &entries.iter().map(E::line).collect::<Vec<_>>()))?;
        for problem in entries.iter().filter_map(E::problem) {
            tracing::warn!("{problem}");
        }
        Ok(())
    }
}

//! Printing of results: standard output is only for them.

use std::io::Write;

/// Prints a sentence on a line of its own.
///
/// # Errors
/// When standard output is closed.
pub fn print_line(sentence: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{sentence}")?)
}

/// Prints JSON, for programs.
///
/// # Errors
/// When standard output is closed.
pub fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print_line(&serde_json::to_string_pretty(value)?)
}

/// A table with columns as wide as their content, under their titles.
pub fn table<const COLUMNS: usize>(titles: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(titles.to_vec())).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["pass.a".to_owned(), "1".to_owned()], ["pass.länger".to_owned(), "22".to_owned()]];
        let expected = "PASS TYPE    DAYS\npass.a       1\npass.länger  22";
        assert_eq!(table(["PASS TYPE", "DAYS"], &rows), expected);
    }
}

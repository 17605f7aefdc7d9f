//! Conditions over the table, in polars SQL.

use polars::prelude::{DataType, Expr, IntoLazy, PolarsError};
use polars::sql::sql_expr;
use thiserror::Error;

use super::CorpusTable;
use crate::nearest::nearest;

/// Why a condition selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// The condition is not a polars SQL expression.
    #[error("`{sql}` is not an SQL condition: {reason}")]
    Syntax {
        /// The condition.
        sql: String,
        /// What polars says, in one line.
        reason: String,
    },
    /// The condition joins so many parts that evaluating it could exhaust the stack.
    #[error(
        "a condition of {parts} parts joined by AND and OR is too long, {} is the most: write `IN (…)`, or make a column",
        MOST_PARTS
    )]
    TooLong {
        /// Parts of the condition.
        parts: usize,
    },
    /// The condition names a column that the corpus has not.
    #[error(
        "`{sql}`: the corpus has no column `{column}`{}",
        nearest.as_ref().map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default()
    )]
    NoColumn {
        /// The condition.
        sql: String,
        /// The column as the condition names it.
        column: String,
        /// The column that was probably meant.
        nearest: Option<String>,
    },
    /// The condition does not go with the types of the columns.
    #[error("`{sql}` cannot be evaluated: {reason}")]
    Evaluation {
        /// The condition.
        sql: String,
        /// What polars says, in one line.
        reason: String,
    },
    /// The expression does not give each row its answer.
    #[error("`{sql}` gives {width} columns of {height} values, not one answer for each row")]
    Several {
        /// The expression.
        sql: String,
        /// Columns that it gives.
        width: usize,
        /// Values in each of them.
        height: usize,
    },
    /// The condition of one row asks for others.
    #[error("`{sql}` looks at several rows: it is evaluated one row at a time, without AVG, MAX, COUNT and the like")]
    OverRows {
        /// The condition.
        sql: String,
    },
    /// The expression is no condition.
    #[error("`{sql}` gives {dtype} for a row, not true or false")]
    NotBoolean {
        /// The expression.
        sql: String,
        /// The polars type that it gives.
        dtype: String,
    },
}

/// The columns that a condition reads, each once, in alphabetic order: whether `duration_s` must be known, for example.
///
/// # Errors
///
/// The condition is not a polars SQL expression.
pub fn columns_read(sql: &str) -> Result<Vec<String>, SelectError> {
    parsed(sql).map(|(_, columns)| columns)
}

/// polars 0.55 recurses over the parts: 400 were seen to pass on a thread's stack of 2 MiB, 800 overflowed it.
const MOST_PARTS: usize = 256;

pub(super) fn parsed(sql: &str) -> Result<(Expr, Vec<String>), SelectError> {
    let joins = sql
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| ["and", "or"].iter().any(|join| word.eq_ignore_ascii_case(join)));
    let parts = 1 + joins.count();
    if parts > MOST_PARTS {
        return Err(SelectError::TooLong { parts });
    }
    let expression =
        sql_expr(sql).map_err(|error| SelectError::Syntax { sql: sql.to_owned(), reason: one_line(&error) })?;
    let mut columns: Vec<String> = expression.clone().meta().root_names().iter().map(ToString::to_string).collect();
    columns.sort_unstable();
    columns.dedup();
    Ok((expression, columns))
}

/// Longer reasons are syntax trees printed out.
const LONGEST_REASON: usize = 160;

/// The reason without the query plan that polars prints below it.
pub(super) fn one_line(error: &PolarsError) -> String {
    let message = error.to_string();
    let reason = message.split("\n\n").next().unwrap_or_default();
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl CorpusTable {
    /// The rows for which the polars SQL condition `sql` is true, in their order; a null is not true.
    ///
    /// # Errors
    ///
    /// The text is no condition, names a column that is not there, or compares what cannot be compared.
    pub fn select(&self, sql: &str) -> Result<Self, SelectError> {
        self.select_keeping(sql, |_, _| false)
    }

    /// The rows that [`Self::select`] gives, and those that `keep` names: it is asked of each row that is not selected, with
    /// what the condition says of it, false or null.
    ///
    /// # Errors
    ///
    /// As [`Self::select`].
    pub fn select_keeping(&self, sql: &str, keep: impl Fn(usize, Option<bool>) -> bool) -> Result<Self, SelectError> {
        let (expression, columns) = parsed(sql)?;
        let names = || self.columns().map(|(name, _)| name);
        if let Some(column) = columns.into_iter().find(|column| names().all(|name| name != column)) {
            let nearest = nearest(&column, names()).map(str::to_owned);
            return Err(SelectError::NoColumn { sql: sql.to_owned(), column, nearest });
        }
        let fail = |error: PolarsError| SelectError::Evaluation { sql: sql.to_owned(), reason: one_line(&error) };
        let answer = self.frame().and_then(|frame| frame.lazy().select([expression]).collect()).map_err(fail)?;
        let (height, width) = answer.shape();
        // An expression over no column, or over all rows at once, gives one answer for all of them.
        let [column] = answer.columns() else {
            return Err(SelectError::Several { sql: sql.to_owned(), width, height });
        };
        if height != 1 && height != self.len() {
            return Err(SelectError::Several { sql: sql.to_owned(), width, height });
        }
        let mask = match column.dtype() {
            DataType::Null => None,
            DataType::Boolean => Some(column.bool().map_err(fail)?),
            other => return Err(SelectError::NotBoolean { sql: sql.to_owned(), dtype: other.to_string() }),
        };
        let answer = |row: usize| mask.and_then(|mask| mask.get(if height == 1 { 0 } else { row }));
        let selected = |row: &usize| match answer(*row) {
            Some(true) => true,
            answer => keep(*row, answer),
        };
        let rows: Vec<u32> = (0..self.len()).filter(selected).map(|row| row as u32).collect();
        Ok(self.gather(&rows))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Cell, Rows, Value};
    use super::*;
    use crate::corpus::Position;

    /// Four rows: a to d, 1 s to 4 s, speakers f1, f1, m1 and none, scores 10 to 40.
    fn four() -> CorpusTable {
        let mut rows = Rows::new(Path::new("four.jsonl"), Path::new("/corpus"));
        for (row, (name, speaker)) in [("a", "f1"), ("b", "f1"), ("c", "m1"), ("d", "")].into_iter().enumerate() {
            rows.begin(Position::Line(row as u64 + 1));
            let number = row as i64 + 1;
            for (column, cell) in [
                ("audio", Cell::Untyped(name)),
                ("duration_s", Cell::Typed(Value::Float64(number as f64))),
                ("speaker", Cell::Untyped(speaker)),
                ("score", Cell::Typed(Value::Int64(10 * number))),
                ("good", Cell::Typed(Value::Boolean(number > 1))),
            ] {
                let key = rows.column(column).unwrap();
                rows.put(key, cell).unwrap();
            }
            rows.end().unwrap();
        }
        rows.finish().unwrap()
    }

    fn selected(sql: &str) -> String {
        let table = four().select(sql).unwrap_or_else(|error| panic!("{error}"));
        (0..table.len()).map(|row| table.id(row)).collect()
    }

    fn message(sql: &str) -> String {
        let message = four().select(sql).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn conditions_are_sql_over_standard_and_further_columns() {
        assert_eq!(selected("duration_s BETWEEN 2 AND 3"), "bc");
        assert_eq!(selected("speaker = 'f1' OR score >= 40"), "abd");
        assert_eq!(selected("speaker LIKE 'f%' AND good"), "b");
        assert_eq!(selected("id IN ('d', 'a')"), "ad");
        assert_eq!(selected("STARTS_WITH(speaker, 'm') OR speaker IS NULL"), "cd");
        assert_eq!(selected("true"), "abcd");
        assert_eq!(selected("duration_s > AVG(duration_s)"), "cd");
        assert_eq!(selected("score > 100"), "");
    }

    #[test]
    fn a_null_is_not_true() {
        assert_eq!(selected("speaker <> 'f1'"), "c");
        assert_eq!(selected("NOT (speaker = 'f1')"), "c");
        assert_eq!(selected("text = 'x'"), "");
        assert_eq!(selected("NULL"), "");
    }

    #[test]
    fn a_selection_keeps_every_column_of_its_rows() {
        let table = four().select("id = 'c'").unwrap();
        assert_eq!((table.audio(0), table.speaker(0), table.duration_s(0)), ("c", Some("m1"), Some(3.0)));
        assert_eq!((table.extra(0, 0), table.extra(1, 0)), (Value::Int64(30), Value::Boolean(true)));
    }

    #[test]
    fn an_unknown_column_is_named_with_the_nearest_one() {
        assert_eq!(
            message("duraton_s > 1"),
            "`duraton_s > 1`: the corpus has no column `duraton_s` (did you mean `duration_s`?)"
        );
    }

    #[test]
    fn what_is_no_condition_is_said_in_one_line() {
        for sql in
            ["", "duration_s >", "SELECT * FROM x", "a; DROP", "id = 'a' WHERE", "*", "(", "id IN (SELECT id FROM t)"]
        {
            assert!(!message(sql).is_empty());
        }
        assert!(message("duration_s + 1").contains("not true or false"));
        assert!(message("speaker > 3").contains("cannot be evaluated"));
        assert!(message("UNNEST(ARRAY[1, 2]) > 1").contains("1 columns of 2 values"));
        assert!(message("EXISTS (SELECT 1 FROM a_table WHERE a_column = 'a value')").ends_with('…'));
    }

    #[test]
    fn a_condition_that_would_exhaust_the_stack_is_refused() {
        assert_eq!(selected(&vec!["id = 'a'"; MOST_PARTS].join(" OR ")), "a");
        assert!(message(&vec!["id = 'a'"; 100_000].join("\nor ")).starts_with("a condition of 100000 parts"));
    }

    #[test]
    fn the_columns_that_a_condition_reads_are_known_before_it_runs() {
        assert_eq!(
            columns_read("duration_s > 1 AND (text IS NULL OR duration_s < 2)").unwrap(),
            ["duration_s", "text"]
        );
        assert!(columns_read("duration_s >").is_err());
    }
}

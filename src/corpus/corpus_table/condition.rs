//! Conditions over one row at a time, and over numbers that are measured of it: `keep_if`.

use polars::prelude::{
    AggExpr, BooleanChunked, Column, DataFrame, DataType, Expr, Float64Chunked, FunctionExpr, Int64Chunked, IntoColumn,
    IntoLazy, NewChunkedArray, PolarsError, StringChunked,
};

use super::select::{SelectError, one_line, parsed};
use super::{Kind, Value};
use crate::nearest::nearest;

/// A polars SQL condition that is true or not of a row by itself.
#[derive(Debug, Clone)]
pub struct RowCondition {
    sql: String,
    expression: Expr,
    columns: Vec<String>,
}

impl RowCondition {
    /// The condition that `sql` says.
    ///
    /// # Errors
    ///
    /// The text is no polars SQL expression, or it looks at several rows at once.
    pub fn parse(sql: &str) -> Result<Self, SelectError> {
        let (expression, columns) = parsed(sql)?;
        if expression.into_iter().any(looks_around) {
            return Err(SelectError::OverRows { sql: sql.to_owned() });
        }
        Ok(Self { sql: sql.to_owned(), expression, columns })
    }

    /// The condition as it was written.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The columns that it reads, each once.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Checks the condition against the columns that there are.
    ///
    /// # Errors
    ///
    /// It reads another column, compares what cannot be compared, or is no condition.
    pub fn check<'a>(&self, there: impl Iterator<Item = (&'a str, Kind)> + Clone) -> Result<(), SelectError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let Some((name, kind)) = there.clone().find(|(name, _)| name == column) else {
                let nearest = nearest(column, there.map(|(name, _)| name)).map(str::to_owned);
                return Err(SelectError::NoColumn { sql: self.sql.clone(), column: column.clone(), nearest });
            };
            columns.push(column_of(name, kind, &[Value::Null]));
        }
        self.answer(1, columns).map(drop)
    }

    /// Whether the condition is true of a row of which `cells` gives the cell of any column; a null is not true.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), or the values of the row cannot be evaluated, such as a text that is no number.
    pub fn holds<'v>(&self, cells: impl Fn(&str) -> Option<(Kind, Value<'v>)>) -> Result<bool, SelectError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (kind, value) = cells(column).ok_or_else(|| SelectError::NoColumn {
                sql: self.sql.clone(),
                column: column.clone(),
                nearest: None,
            })?;
            columns.push(column_of(column, kind, &[value]));
        }
        Ok(self.answer(1, columns)? == [true])
    }

    /// Whether the condition is true of each of `rows` rows, of which `cells` gives the cells of any column.
    ///
    /// # Errors
    ///
    /// Those of [`holds`](Self::holds).
    pub fn holds_of<'v>(
        &self,
        rows: usize,
        cells: impl Fn(&str) -> Option<(Kind, Vec<Value<'v>>)>,
    ) -> Result<Vec<bool>, SelectError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (kind, values) = cells(column).ok_or_else(|| SelectError::NoColumn {
                sql: self.sql.clone(),
                column: column.clone(),
                nearest: None,
            })?;
            columns.push(column_of(column, kind, &values));
        }
        self.answer(rows, columns)
    }

    /// What the condition says of each row of a frame.
    fn answer(&self, rows: usize, columns: Vec<Column>) -> Result<Vec<bool>, SelectError> {
        let sql = || self.sql.clone();
        let fail = |error: PolarsError| SelectError::Evaluation { sql: sql(), reason: one_line(&error) };
        let frame = DataFrame::new(rows, columns).map_err(fail)?;
        let answer = frame.lazy().select([self.expression.clone()]).collect().map_err(fail)?;
        let (height, width) = answer.shape();
        let [column] = answer.columns() else { return Err(SelectError::Several { sql: sql(), width, height }) };
        // A condition that reads no column has one answer for all.
        let once = height == 1 && self.columns.is_empty();
        if height != rows && !once {
            return Err(SelectError::Several { sql: sql(), width, height });
        }
        match column.dtype() {
            DataType::Null => Ok(vec![false; rows]),
            DataType::Boolean if once => Ok(vec![column.bool().map_err(fail)?.get(0) == Some(true); rows]),
            DataType::Boolean => Ok(column.bool().map_err(fail)?.iter().map(|answer| answer == Some(true)).collect()),
            other => Err(SelectError::NotBoolean { sql: sql(), dtype: other.to_string() }),
        }
    }
}

/// Whether a part of a condition needs other rows. The list of an `IN (…)` is gathered into one value and needs none.
fn looks_around(part: &Expr) -> bool {
    match part {
        Expr::Agg(AggExpr::Implode { input, .. }) => input.into_iter().any(|part| matches!(part, Expr::Column(_))),
        Expr::Agg(_) | Expr::Len | Expr::Over { .. } | Expr::SubPlan(..) => true,
        Expr::Function { function, .. } => {
            matches!(function, FunctionExpr::Correlation { .. } | FunctionExpr::Quantile { .. })
        }
        _ => false,
    }
}

/// A column of these values.
fn column_of(name: &str, kind: Kind, values: &[Value<'_>]) -> Column {
    let name = name.into();
    match kind {
        Kind::String => {
            let texts = values.iter().map(|value| if let Value::String(text) = value { Some(*text) } else { None });
            StringChunked::from_iter_options(name, texts).into_column()
        }
        Kind::Int64 => {
            let numbers =
                values.iter().map(|value| if let Value::Int64(number) = value { Some(*number) } else { None });
            Int64Chunked::from_iter_options(name, numbers).into_column()
        }
        Kind::Float64 => {
            let numbers =
                values.iter().map(|value| if let Value::Float64(number) = value { Some(*number) } else { None });
            Float64Chunked::from_iter_options(name, numbers).into_column()
        }
        Kind::Boolean => {
            let truths = values.iter().map(|value| if let Value::Boolean(truth) = value { Some(*truth) } else { None });
            BooleanChunked::from_iter_options(name, truths).into_column()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Cell, CorpusTable, Rows};
    use super::*;
    use crate::corpus::Position;

    /// One row: speaker `f1`, 2 seconds, score 7.
    fn one() -> CorpusTable {
        let mut rows = Rows::new(Path::new("one.jsonl"), Path::new("/corpus"));
        rows.begin(Position::Line(1));
        for (column, value) in [
            ("audio", Value::String("a.wav")),
            ("speaker", Value::String("f1")),
            ("duration_s", Value::Float64(2.0)),
            ("score", Value::Int64(7)),
        ] {
            let key = rows.column(column).unwrap();
            rows.put(key, Cell::Typed(value)).unwrap();
        }
        rows.end().unwrap();
        rows.finish().unwrap()
    }

    fn holds(sql: &str) -> bool {
        let table = one();
        let cells = |column: &str| match column {
            "snr_db" => Some((Kind::Float64, Value::Float64(12.5))),
            column => table.cell(column, 0),
        };
        RowCondition::parse(sql).unwrap().holds(cells).unwrap()
    }

    #[test]
    fn a_condition_reads_the_corpus_and_the_measures() {
        for sql in [
            "snr_db > 10 AND speaker = 'f1'",
            "speaker IN ('f1', 'f2')",
            "score NOT IN (-8, 8)",
            "score + snr_db BETWEEN 19 AND 20",
            "text IS NULL",
            "true",
        ] {
            assert!(holds(sql), "{sql}");
        }
        for sql in [
            "snr_db > 20",
            "speaker NOT IN ('f1', 'f2')",
            "score IN (1, 2)",
            "text = 'x'",
            "NULL",
            "duration_s < 1 OR NOT speaker LIKE 'f%'",
        ] {
            assert!(!holds(sql), "{sql}");
        }
    }

    #[test]
    fn what_looks_at_several_rows_is_refused() {
        for sql in [
            "snr_db > AVG(snr_db)",
            "COUNT(*) > 1",
            "score = MAX(score)",
            "SUM(score) OVER (PARTITION BY id) > 1",
            "CORR(snr_db, score) IS NULL",
            "COVAR(snr_db, score) IS NULL",
            "QUANTILE_CONT(score, 0.5) = score",
        ] {
            let error = RowCondition::parse(sql).unwrap_err().to_string();
            assert!(error.contains("one row at a time"), "{sql}: {error}");
        }
    }

    #[test]
    fn a_condition_is_checked_against_columns_without_rows() {
        let table = one();
        let check = |sql: &str| {
            let there = table.columns().chain([("snr_db", Kind::Float64)]).collect::<Vec<_>>();
            RowCondition::parse(sql).unwrap().check(there.iter().copied()).map_err(|error| error.to_string())
        };
        assert_eq!(check("snr_db > 10 AND score > 1"), Ok(()));
        assert!(check("snr > 10").unwrap_err().contains("did you mean `snr_db`?"));
        assert!(check("snr_db + 1").unwrap_err().contains("not true or false"));
        assert!(check("speaker > 3").unwrap_err().contains("cannot be evaluated"));
    }
}

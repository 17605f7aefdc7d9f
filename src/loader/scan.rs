//! Columns of texts and numbers of all rows, read before the first epoch: for a condition, or for lengths.

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::error::{Damage, DamageKind, LoaderError};
use super::settings::{OnDamage, Settings, Verify};
use super::source::{Shard, Source};
use crate::corpus::{Kind, RowCondition, Value};
use crate::error::chain;
use crate::manifest::Checksums;
use crate::write::{WriteError, arrow_schema, kind_of, row_checksum, value_at};

/// Which rows of `source` the condition is true of, in their order.
pub(super) fn rows_that_hold(source: &Source, sql: &str, settings: &Settings) -> Result<Vec<bool>, LoaderError> {
    let condition = RowCondition::parse(sql)?;
    let schema = arrow_schema(&source.schema);
    let fields = schema.fields().iter();
    let kinds: Vec<_> = fields.filter_map(|field| Some((field.name().as_str(), kind_of(field.data_type())?))).collect();
    condition.check(kinds.into_iter())?;
    let columns: Vec<&str> = condition.columns().iter().map(String::as_str).collect();
    // A row that cannot be read stays, so that whoever comes to it finds the damage.
    scan(source, &columns, settings, true, |batch| {
        Ok(condition.holds_of(batch.num_rows(), |name| {
            let column = batch.column_by_name(name)?;
            let values = (0..batch.num_rows()).map(|row| value_at(column, row));
            Some((kind_of(column.data_type())?, values.collect()))
        })?)
    })
}

/// A column of whole numbers as lengths.
pub(super) fn counts(source: &Source, name: &str, settings: &Settings) -> Result<Vec<u32>, LoaderError> {
    let folder = source.folder.path().display();
    let wrong = |reason: &str| LoaderError::setting("length_of", format!("{folder}: the column `{name}` {reason}"));
    let schema = arrow_schema(&source.schema);
    let field = schema.field_with_name(name).map_err(|_| wrong("is not there"))?;
    if kind_of(field.data_type()) != Some(Kind::Int64) {
        return Err(wrong("holds no whole numbers"));
    }
    scan(source, &[name], settings, 1, |batch| {
        let column = batch.column_by_name(name).ok_or_else(|| wrong("is not there"))?;
        let length = |row| match value_at(column, row) {
            Value::Int64(length) => u32::try_from(length).map_err(|_| wrong("has a value that is no length")),
            _ => Err(wrong("has an empty value")),
        };
        (0..batch.num_rows()).map(length).collect()
    })
}

/// What `of` makes of the columns of each row, in the order of the rows; `damaged` for rows that are damaged and to be skipped.
fn scan<T: Copy + Send + Sync>(
    source: &Source,
    columns: &[&str],
    settings: &Settings,
    damaged: T,
    of: impl Fn(&RecordBatch) -> Result<Vec<T>, LoaderError> + Sync,
) -> Result<Vec<T>, LoaderError> {
    let is_verified = settings.verify != Verify::Never;
    let schema = arrow_schema(&source.schema);
    let all: Vec<&str> = match is_verified {
        // The values of a row have one checksum.
        true => schema
            .fields()
            .iter()
            .filter(|field| kind_of(field.data_type()).is_some())
            .map(|field| field.name().as_str())
            .collect(),
        // Without a column there would be no rows.
        false if columns.is_empty() => vec!["key"],
        false => columns.to_vec(),
    };
    let of_shard = |shard: &Shard| {
        let checksums = if is_verified { Some(source.checksums(shard)?.rows) } else { None };
        let mut rows = Vec::with_capacity(shard.entry.rows as usize);
        let end = read(source, shard, &all, checksums.as_ref(), |batch, wrong| {
            let first = rows.len();
            rows.extend(of(batch)?);
            for row in wrong {
                rows[first + row] = damaged;
            }
            Ok(())
        });
        match end {
            Err(LoaderError::Damaged(damage)) if settings.on_damage == OnDamage::Skip && damage.is_of_data() => {
                tracing::warn!("{}", chain(damage.as_ref()));
            }
            end => end?,
        }
        rows.resize(shard.entry.rows as usize, damaged);
        Ok(rows)
    };
    let rows: Vec<Vec<T>> = source.shards.par_iter().map(of_shard).collect::<Result<_, LoaderError>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// Gives `take` the columns of a shard's rows, some rows at a time, with those whose checksum is wrong.
fn read(
    source: &Source,
    shard: &Shard,
    columns: &[&str],
    checksums: Option<&Checksums>,
    mut take: impl FnMut(&RecordBatch, &[usize]) -> Result<(), LoaderError>,
) -> Result<(), LoaderError> {
    let damage = |error| {
        let path = source.paths(shard).into_iter().next().unwrap_or_default();
        Damage { path, shard: shard.number, row: None, source: Box::new(DamageKind::Format(error)) }
    };
    let batches = source.format.member().read(&source.schema, &source.paths(shard), Some(columns)).map_err(damage)?;
    let mut first = 0;
    for batch in batches {
        let batch = batch.map_err(damage)?;
        if (first + batch.num_rows()) as u64 > shard.entry.rows {
            break;
        }
        let mut wrong = Vec::new();
        if let Some(Checksums(written)) = checksums {
            let found = row_checksum::of_batch(&batch, &source.schema).map_err(damage)?;
            let written = &written.get(first..first + batch.num_rows()).unwrap_or_default();
            wrong.extend((0..found.len()).filter(|row| written.get(*row) != Some(&found[*row])));
        }
        take(&batch, &wrong)?;
        first += batch.num_rows();
    }
    if first as u64 != shard.entry.rows {
        let reason = format!("it has another number of rows than the manifest, which says {}", shard.entry.rows);
        return Err(damage(WriteError::Damaged(reason)).into());
    }
    Ok(())
}

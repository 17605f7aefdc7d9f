//! A shard in work: rows in, then the file and its record put in place, in that order.

use std::ops::Range;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::audio::Words;
use crate::manifest::{Checksums, DatasetFolder, Moments, RowChecksums, ShardEntry, ShardRecord, write_json};
use crate::plan::{Entry, Plan, row_key, segment_id};
use crate::write::{Row, RowSchema, ShardFile, ShardName, WriteRows, row_checksum};

use super::row::{Made, MadeRow};
use super::{RunError, remove_file};

/// A shard whose rows are being written. Dropped before it is finished, it leaves nothing.
pub(super) struct ShardInWork<'p> {
    plan: &'p Plan,
    folder: &'p DatasetFolder,
    entries: Range<usize>,
    writer: Box<dyn WriteRows>,
    record: ShardRecord,
}

impl<'p> ShardInWork<'p> {
    pub(super) fn start(plan: &'p Plan, folder: &'p DatasetFolder, shard: usize) -> Result<Self, RunError> {
        // A record must never vouch for data that is not the data it was written for.
        remove_file(&folder.record(shard))?;
        let name = plan.shard_name(shard);
        let writer = open(plan, folder.path(), &name)?;
        let columns = || plan.schema.features.iter();
        let split = name.split.map(str::to_owned);
        let record = ShardRecord {
            plan_hash: plan.hash.clone(),
            shard,
            entry: ShardEntry { split, rows: 0, audio_s: 0.0, files: Vec::new() },
            frames: columns().map(|column| (column.name.clone(), Vec::new())).collect(),
            checksums: no_checksums(&plan.schema),
            moments: columns()
                .map(|column| (column.name.clone(), Moments::empty(column.bins.unwrap_or(1))))
                .collect::<IndexMap<_, _>>(),
            utterances: 0,
            faults: 0,
            rejects: Vec::new(),
            warnings: Vec::new(),
        };
        Ok(Self { plan, folder, entries: plan.shards[shard].clone(), writer, record })
    }

    /// The position behind the shard's last entry.
    pub(super) fn end(&self) -> usize {
        self.entries.end
    }

    /// Takes what became of the next entry.
    pub(super) fn push(&mut self, entry: Entry, made: Made) -> Result<(), RunError> {
        self.record.utterances += 1;
        self.record.faults += u64::from(made.is_fault());
        for row in made.rows {
            self.push_row(entry, &row)?;
        }
        self.record.rejects.extend(made.rejects);
        self.record.warnings.extend(made.warnings);
        Ok(())
    }

    fn push_row(&mut self, entry: Entry, made: &MadeRow) -> Result<(), RunError> {
        let Self { plan, writer, record, .. } = self;
        let written = with_row(plan, entry, made, |row| {
            add_checksums(&mut record.checksums, row, &plan.schema);
            writer.push(row)
        });
        written.map_err(|source| RunError::shard(&self.place(), source))?;
        self.record.entry.rows += 1;
        self.record.entry.audio_s += made.seconds();
        for (frames, cell) in self.record.frames.values_mut().zip(&made.columns.cells) {
            frames.push(cell.frames);
        }
        for (sum, moments) in self.record.moments.values_mut().zip(&made.columns.moments) {
            sum.merge(moments);
        }
        Ok(())
    }

    /// Puts the shard's files in place, then its record, which makes it count.
    pub(super) fn finish(self) -> Result<usize, RunError> {
        let place = self.place();
        let Self { writer, mut record, folder, .. } = self;
        let files = writer.finish().map_err(|source| RunError::shard(&place, source))?;
        for file in files {
            let place = folder.path().join(file.path());
            record.entry.files.push(file.commit().map_err(|source| RunError::file(&place, source))?);
        }
        let record_place = folder.record(record.shard);
        write_json(&record_place, &record).map_err(|source| RunError::file(&record_place, source))?;
        Ok(record.shard)
    }

    /// The first of its files.
    fn place(&self) -> PathBuf {
        let name = self.plan.shard_name(self.record.shard);
        let files = self.plan.pipeline.write.member().files(&name, &self.plan.schema);
        self.folder.path().join(files.first().map_or("data", String::as_str))
    }
}

/// Starts the files of a shard in `folder`.
pub(super) fn open(plan: &Plan, folder: &Path, name: &ShardName<'_>) -> Result<Box<dyn WriteRows>, RunError> {
    let format = plan.pipeline.write.member();
    let paths = format.files(name, &plan.schema);
    let file =
        |path: &String| ShardFile::create(folder, path).map_err(|source| RunError::file(&folder.join(path), source));
    let files = paths.iter().map(file).collect::<Result<Vec<_>, _>>()?;
    let first = folder.join(paths.first().map_or("", String::as_str));
    format.start(&plan.schema, files).map_err(|source| RunError::shard(&first, source))
}

/// The checksums of no rows.
fn no_checksums(schema: &RowSchema) -> RowChecksums {
    let features = schema.features.iter().map(|column| &column.name);
    let cells = features.chain(schema.audio.iter().map(|column| &column.name));
    RowChecksums { rows: Checksums::default(), cells: cells.map(|name| (name.clone(), Checksums::default())).collect() }
}

fn add_checksums(checksums: &mut RowChecksums, row: &Row<'_>, schema: &RowSchema) {
    checksums.rows.0.push(row_checksum::of_row(row, schema));
    let cells = row.cells.iter().map(|cell| &cell.bytes).chain(row.audio);
    for (column, cell) in checksums.cells.values_mut().zip(cells) {
        column.0.push(row_checksum::of_cell(cell));
    }
}

/// Gives `take` the row as a shard's writer takes it.
pub(super) fn with_row<T>(plan: &Plan, entry: Entry, made: &MadeRow, take: impl FnOnce(&Row<'_>) -> T) -> T {
    let (table, utterance) = (&plan.table, entry.utterance);
    let id = table.id(utterance);
    let segment_id = made.segment.map(|number| segment_id(id, number));
    let key = row_key(segment_id.as_deref().unwrap_or(id), entry.copy);
    let (id, copy) = made.carried.as_ref().map_or((id, entry.copy), |carried| (&carried.id, carried.copy));
    let extras: Vec<_> = (0..plan.schema.extras.len()).map(|column| table.extra(column, utterance)).collect();
    take(&Row {
        key: &key,
        id,
        copy,
        text: table.text(utterance).filter(|_| made.words == Words::Kept),
        speaker: table.speaker(utterance),
        language: table.language(utterance),
        num_samples: made.num_samples,
        sample_rate: made.sample_rate,
        augmentation: made.augmentation.as_deref(),
        extras: &extras,
        sound: &made.sound,
        cells: &made.columns.cells,
        audio: &made.columns.audio,
    })
}

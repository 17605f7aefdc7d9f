//! A shard in work: rows in, then the file and its record put in place, in that order.

use std::ops::Range;

use indexmap::IndexMap;

use crate::manifest::{DatasetFolder, Moments, ShardEntry, ShardRecord, write_json};
use crate::plan::{Entry, Plan, row_key, segment_id};
use crate::write::{Row, ShardFile, WriteError, WriteRows};

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
        let format = plan.pipeline.write.member();
        let path = DatasetFolder::data(shard, format.extension());
        let place = folder.path().join(&path);
        // A record must never vouch for data that is not the data it was written for.
        remove_file(&folder.record(shard))?;
        let file = ShardFile::create(&place).map_err(|source| RunError::file(&place, source))?;
        let writer = format.start(&plan.schema, file).map_err(|source| RunError::shard(&place, source))?;
        let columns = || plan.schema.features.iter();
        let record = ShardRecord {
            plan_hash: plan.hash.clone(),
            shard,
            entry: ShardEntry { path, rows: 0, bytes: 0, checksum: String::new(), audio_s: 0.0 },
            frames: columns().map(|column| (column.name.clone(), Vec::new())).collect(),
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
        write_row(self.writer.as_mut(), self.plan, entry, made)
            .map_err(|source| RunError::shard(&self.place(), source))?;
        self.record.entry.rows += 1;
        self.record.entry.audio_s += made.seconds();
        for (frames, cell) in self.record.frames.values_mut().zip(&made.cells) {
            frames.push(cell.frames);
        }
        for (sum, moments) in self.record.moments.values_mut().zip(&made.moments) {
            sum.merge(moments);
        }
        Ok(())
    }

    /// Puts the shard's file in place, then its record, which makes it count.
    pub(super) fn finish(self) -> Result<usize, RunError> {
        let place = self.place();
        let Self { writer, mut record, folder, .. } = self;
        let file = writer.finish().map_err(|source| RunError::shard(&place, source))?;
        (record.entry.bytes, record.entry.checksum) = file.commit().map_err(|source| RunError::file(&place, source))?;
        let record_place = folder.record(record.shard);
        write_json(&record_place, &record).map_err(|source| RunError::file(&record_place, source))?;
        Ok(record.shard)
    }

    fn place(&self) -> std::path::PathBuf {
        self.folder.path().join(&self.record.entry.path)
    }
}

/// Hands a row to a shard's writer.
pub(super) fn write_row(
    writer: &mut dyn WriteRows,
    plan: &Plan,
    entry: Entry,
    made: &MadeRow,
) -> Result<(), WriteError> {
    let id = plan.table.id(entry.utterance);
    let segment_id = made.segment.map(|number| segment_id(id, number));
    writer.push(&Row {
        key: &row_key(segment_id.as_deref().unwrap_or(id), entry.copy),
        table: &plan.table,
        utterance: entry.utterance,
        copy: entry.copy,
        words: made.words,
        num_samples: made.num_samples,
        sample_rate: made.sample_rate,
        augmentation: made.augmentation.as_deref(),
        sound: &made.sound,
        cells: &made.cells,
    })
}

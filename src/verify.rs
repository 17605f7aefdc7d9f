//! A dataset held against its manifest, its records and its plan: every checksum and every count.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;

use crate::error::chain;
use crate::manifest::{
    Checksums, DatasetFolder, FileEntry, Join, Manifest, ManifestError, Reject, RowChecksums, ShardEntry, ShardRecord,
    Totals,
};
use crate::pipeline::Pipeline;
use crate::plan::{PlanFile, PlanHead, PlannedRow, row_key, segment_id};
use crate::write::{CellChannels, FeatureColumn, NUM_CHANNELS, ROW_COLUMNS, RowSchema, ShardFile, row_checksum};

/// One thing that is wrong with a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file in which it is wrong.
    pub path: PathBuf,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

/// What a dataset claims, and everything in which it is not so.
#[derive(Debug)]
pub struct Verdict {
    /// The totals of the manifest.
    pub totals: Totals,
    /// The shards of the manifest.
    pub shards: usize,
    /// What is wrong; nothing if the dataset is whole.
    pub findings: Vec<Finding>,
}

/// Checks the dataset in `folder`.
///
/// # Errors
///
/// There is no manifest that could be checked.
pub fn verify(folder: &DatasetFolder) -> Result<Verdict, ManifestError> {
    let manifest = Manifest::read(folder)?;
    let mut check = Check { folder, findings: Vec::new() };
    check.dataset(&manifest);
    Ok(Verdict { totals: manifest.totals, shards: manifest.shards.len(), findings: check.findings })
}

struct Check<'a> {
    folder: &'a DatasetFolder,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn note(&mut self, path: PathBuf, message: impl Into<String>) {
        self.findings.push(Finding { path, message: message.into() });
    }

    fn dataset(&mut self, manifest: &Manifest) {
        let place = self.folder.manifest();
        let pipeline: Option<Pipeline> = match serde_json::from_value(manifest.pipeline.clone()) {
            Ok(pipeline) => Some(pipeline),
            Err(error) => {
                self.note(place.clone(), format!("the pipeline is none of this version: {error}"));
                None
            }
        };
        let hash = blake3::hash(manifest.pipeline.to_string().as_bytes()).to_hex();
        if hash.as_str() != manifest.pipeline_hash {
            self.note(place.clone(), "the pipeline is not the one that its hash was made of");
        }
        let schema = RowSchema::of(&manifest.schema);
        if schema.is_none() {
            self.note(place.clone(), "the schema is none of this version");
        }
        let mut planned = self.plan(manifest);
        let mut join = Join::default();
        for (number, entry) in manifest.shards.iter().enumerate() {
            let rows = planned.remove(&number).unwrap_or_default();
            if let Some(record) = self.record(manifest, number, entry) {
                self.accounts(number, pipeline.as_ref(), &record, &rows);
                let damaged = entry.files.iter().filter(|file| !self.file(file)).count();
                let whole = damaged == 0;
                if whole
                    && let Some(pipeline) = &pipeline
                    && let Some(schema) = &schema
                {
                    self.rows(pipeline, schema, &record, &rows);
                }
                join.add(record);
            }
        }
        for shard in planned.keys() {
            self.note(place.clone(), format!("the plan's shard {shard} is not listed"));
        }
        for file in &manifest.common {
            self.file(file);
        }
        self.rejects(join.rejects());
        if join.totals() != manifest.totals {
            self.note(place.clone(), format!("the totals are not those of the shards: {:?}", join.totals()));
        }
        if join.statistics() != manifest.statistics {
            self.note(place.clone(), "the statistics are not those of the shards");
        }
        if let Some(pipeline) = &pipeline
            && !manifest.schema.ends_with(&pipeline.row_schema(Vec::new()).describe()[ROW_COLUMNS.len()..])
        {
            self.note(place, "the schema does not end with the columns of the pipeline");
        }
    }

    /// The plan's rows by shard.
    fn plan(&mut self, manifest: &Manifest) -> BTreeMap<usize, Vec<PlannedRow>> {
        let place = self.folder.plan();
        let mut rows: BTreeMap<usize, Vec<PlannedRow>> = BTreeMap::new();
        match PlanFile::open(&place) {
            Ok(None) => self.note(place, "the file is missing"),
            Err(error) => self.note(place, chain(&error)),
            Ok(Some(file)) => {
                let PlanHead { plan_hash, wavemill_version, engines, pipeline, schema, at_load, .. } = &file.head;
                if *plan_hash != manifest.plan_hash {
                    self.note(place.clone(), "the plan is another than the manifest's");
                }
                let differs = [
                    ("wavemill_version", *wavemill_version != manifest.wavemill_version),
                    ("engines", *engines != manifest.engines),
                    ("pipeline", *pipeline != manifest.pipeline),
                    ("seed", pipeline["seed"] != manifest.seed),
                    ("name", pipeline["name"] != *manifest.name),
                    ("schema", *schema != manifest.schema),
                    ("at_load", *at_load != manifest.at_load),
                ];
                for (key, _) in differs.into_iter().filter(|(_, differs)| *differs) {
                    self.note(self.folder.manifest(), format!("`{key}` is not as the plan has it"));
                }
                for row in file.rows() {
                    match row {
                        Ok(row) => rows.entry(row.shard).or_default().push(row),
                        Err(error) => {
                            self.note(place, chain(&error));
                            break;
                        }
                    }
                }
            }
        }
        rows
    }

    /// The shard's record, held against the manifest.
    fn record(&mut self, manifest: &Manifest, shard: usize, entry: &ShardEntry) -> Option<ShardRecord> {
        let place = self.folder.record(shard);
        let record: ShardRecord = match crate::manifest::read_json(&place) {
            Ok(record) => record,
            Err(error) => {
                self.note(place, chain(&error));
                return None;
            }
        };
        if record.plan_hash != manifest.plan_hash || record.shard != shard {
            self.note(place.clone(), "the record belongs to another shard or plan");
        }
        if record.entry != *entry {
            self.note(place, "the record and the manifest do not agree on this shard");
        }
        Some(record)
    }

    /// Rows and rejects of a shard, held against its plan.
    fn accounts(&mut self, shard: usize, pipeline: Option<&Pipeline>, record: &ShardRecord, planned: &[PlannedRow]) {
        let place = self.folder.record(shard);
        let (rows, rejects) = (record.entry.rows as usize, record.rejects.len());
        let whole = pipeline.is_some_and(|pipeline| pipeline.segment.is_empty());
        if record.utterances != planned.len() as u64 || (whole && rows + rejects != planned.len()) {
            let message =
                format!("{rows} rows and {rejects} rejects are not the {} utterances of the plan", planned.len());
            self.note(place.clone(), message);
        }
        for (column, frames) in &record.frames {
            if frames.len() != rows {
                self.note(place.clone(), format!("`{column}` has frame counts of {} rows, not {rows}", frames.len()));
            }
        }
        if record.checksums.is_empty() {
            return;
        }
        let cells = record.checksums.cells.iter().map(|(column, checksums)| (format!("`{column}`"), checksums));
        for (what, checksums) in cells.chain([("what is beside the cells".to_owned(), &record.checksums.rows)]) {
            if checksums.0.len() != rows {
                let message = format!("{what} has checksums of {} rows, not {rows}", checksums.0.len());
                self.note(place.clone(), message);
            }
        }
    }

    /// Size and checksum of a file; whether it can be read further.
    fn file(&mut self, entry: &FileEntry) -> bool {
        let place = self.folder.path().join(&entry.path);
        match ShardFile::measure(&place) {
            Err(error) => self.note(place, format!("the file cannot be read: {error}")),
            Ok((bytes, _)) if bytes != entry.bytes => {
                self.note(place, format!("the file has {bytes} bytes, not {}", entry.bytes));
            }
            Ok((_, checksum)) if checksum != entry.checksum => {
                self.note(place, format!("the file's checksum is {checksum}, not {}", entry.checksum));
            }
            Ok(_) => return true,
        }
        false
    }

    /// Every row of a shard, held against its plan and its record.
    fn rows(&mut self, pipeline: &Pipeline, schema: &RowSchema, record: &ShardRecord, planned: &[PlannedRow]) {
        let files = record.entry.paths(self.folder.path());
        let place = files.first().cloned().unwrap_or_default();
        let mut expected = Expected::new(pipeline, record, planned);
        let batches = match pipeline.write.member().read(schema, &files, None) {
            Ok(batches) => batches,
            Err(error) => return self.note(place, chain(&error)),
        };
        let mut read = 0;
        for batch in batches {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return self.note(place, chain(&error)),
            };
            let Some(keys) = batch.column_by_name("key").and_then(|keys| keys.as_string_opt::<i32>()) else {
                return self.note(place, "there is no column `key`");
            };
            for key in keys.iter().map(Option::unwrap_or_default) {
                if let Err(message) = expected.meet(key) {
                    return self.note(place, format!("row {read}, `{key}`, {message}"));
                }
                read += 1;
            }
            let first = read - batch.num_rows();
            for column in &schema.features {
                if let Some(message) = wrong_cells(&batch, column, record, first) {
                    return self.note(place, message);
                }
            }
            if let Some(message) = wrong_checksums(&batch, schema, &record.checksums, first) {
                return self.note(place, message);
            }
        }
        if let Some(planned) = expected.unmet() {
            self.note(place.clone(), format!("`{planned}` of the plan is neither a row nor a reject"));
        }
        if read as u64 != record.entry.rows {
            self.note(place, format!("the file has {read} rows, and its record {}", record.entry.rows));
        }
    }

    /// `rejects.jsonl`, held against the records.
    fn rejects(&mut self, expected: &[Reject]) {
        let place = self.folder.rejects();
        match fs::read_to_string(&place) {
            Err(error) => self.note(place, format!("the file cannot be read: {error}")),
            Ok(text) => {
                let found: Result<Vec<Reject>, _> = text.lines().map(serde_json::from_str).collect();
                match found {
                    Err(error) => self.note(place, format!("a line is damaged: {error}")),
                    Ok(found) if found != expected => {
                        self.note(place, "the rejects are not those of the shards' records");
                    }
                    Ok(_) => {}
                }
            }
        }
    }
}

/// The keys that a shard's rows must have, one after the other.
struct Expected<'a> {
    planned: std::slice::Iter<'a, PlannedRow>,
    /// Utterances, copies and, of those that are cut, segments that are rejects.
    left_out: HashSet<(&'a str, u32, Option<u32>)>,
    /// What the next row is: of which entry, and which segment of it.
    next: Option<(&'a PlannedRow, Option<u32>)>,
    segments: bool,
    /// Whether the entry at hand has given a row or a reject.
    met: bool,
}

impl<'a> Expected<'a> {
    fn new(pipeline: &Pipeline, record: &'a ShardRecord, planned: &'a [PlannedRow]) -> Self {
        let left_out = record.rejects.iter().map(|reject| (reject.id.as_str(), reject.copy, reject.segment)).collect();
        let segments = !pipeline.segment.is_empty();
        let mut this = Self { planned: planned.iter(), left_out, next: None, segments, met: false };
        this.advance();
        this
    }

    /// Goes on to the next entry that is no reject as a whole.
    fn advance(&mut self) {
        let left_out = &self.left_out;
        let next = self.planned.find(|row| !left_out.contains(&(row.id.as_str(), row.copy, None)));
        self.next = next.map(|row| (row, self.segments.then_some(0)));
        self.met = false;
        self.skip();
    }

    /// Passes over segments that are rejects.
    fn skip(&mut self) {
        while let Some((row, Some(segment))) = self.next
            && self.left_out.contains(&(row.id.as_str(), row.copy, Some(segment)))
        {
            self.next = Some((row, Some(segment + 1)));
            self.met = true;
        }
    }

    /// Holds the next row's key against the plan.
    fn meet(&mut self, key: &str) -> Result<(), String> {
        loop {
            let Some((row, segment)) = self.next else { return Err("is not in the plan".to_owned()) };
            let wanted = match segment {
                Some(segment) => row_key(&segment_id(&row.id, segment as usize), row.copy).into_owned(),
                None => row.key().into_owned(),
            };
            if wanted == key {
                match segment {
                    Some(segment) => {
                        self.next = Some((row, Some(segment + 1)));
                        self.met = true;
                        self.skip();
                    }
                    None => self.advance(),
                }
                return Ok(());
            }
            // How many segments an entry has, its sound decides: the next row may be the next entry's first.
            if segment.is_none() || !self.met {
                return Err(format!("stands where the plan has `{wanted}`"));
            }
            self.advance();
        }
    }

    /// The key of the first entry that should have had a row.
    fn unmet(mut self) -> Option<String> {
        while self.met {
            self.advance();
        }
        self.next.map(|(row, _)| row.key().into_owned())
    }
}

/// What is wrong with a column's frame counts and cells in a batch whose first row is row `first` of the shard.
fn wrong_cells(batch: &RecordBatch, column: &FeatureColumn, record: &ShardRecord, first: usize) -> Option<String> {
    let name = &column.name;
    let (Some(cells), Some(frames), Some(recorded)) = (
        batch.column_by_name(name).and_then(|cells| cells.as_binary_opt::<i64>()),
        batch.column_by_name(&column.frames_name()).and_then(|frames| frames.as_primitive_opt::<Int32Type>()),
        record.frames.get(name),
    ) else {
        return Some(format!("there is no column `{name}` with its frame counts"));
    };
    for row in 0..batch.num_rows() {
        let (count, at) = (frames.value(row) as u64, first + row);
        if recorded.get(at).map(|frames| u64::from(*frames)) != Some(count) {
            return Some(format!("row {at} has {count} frames of `{name}`, and its record another number"));
        }
        let channels = match column.channels {
            CellChannels::One => 1,
            CellChannels::All => {
                let channels =
                    batch.column_by_name(NUM_CHANNELS).and_then(|there| there.as_primitive_opt::<Int32Type>());
                channels.map_or(0, |channels| channels.value(row) as u64)
            }
        };
        let frame_bytes = column.frame_bytes() as u64 * channels;
        let found = cells.value(row).len() as u64 / frame_bytes.max(1);
        if found != count {
            return Some(format!("the cell of `{name}` in row {at} holds {found} frames, not {count}"));
        }
    }
    None
}

/// Which row of a batch, whose first is row `first` of the shard, is not the one that its checksums were made of.
fn wrong_checksums(batch: &RecordBatch, schema: &RowSchema, checksums: &RowChecksums, first: usize) -> Option<String> {
    if checksums.is_empty() {
        return None;
    }
    let rows = match row_checksum::of_batch(batch, schema) {
        Ok(rows) => rows,
        Err(error) => return Some(chain(&error)),
    };
    let differs = |recorded: &Checksums, row, found| recorded.0.get(first + row) != Some(&found);
    if let Some((row, _)) = rows.into_iter().enumerate().find(|(row, found)| differs(&checksums.rows, *row, *found)) {
        return Some(format!("what is beside the cells of row {} is not what its checksum was made of", first + row));
    }
    let features = schema.features.iter().map(|column| &column.name);
    for name in features.chain(schema.audio.iter().map(|column| &column.name)) {
        let cells = batch.column_by_name(name).and_then(|cells| cells.as_binary_opt::<i64>());
        let (Some(cells), Some(recorded)) = (cells, checksums.cells.get(name)) else {
            return Some(format!("there is no column `{name}` with its checksums"));
        };
        let mut found = (0..batch.num_rows()).map(|row| (row, row_checksum::of_cell(cells.value(row))));
        if let Some((row, _)) = found.find(|(row, found)| differs(recorded, *row, *found)) {
            return Some(format!("the cell of `{name}` in row {} is not what its checksum was made of", first + row));
        }
    }
    None
}

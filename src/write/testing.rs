//! Rows of every kind, and what a shard format must do with them: for the tests of the formats.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::columns::BatchBuilder;
use super::contract::{
    AudioColumn, Cell, CellChannels, FeatureColumn, NUM_CHANNELS, Number, Row, RowSchema, SoundColumn, WriteError,
    WriteShards,
};
use super::{ShardFile, ShardName, ShardPlaces, encode, encode_scaled};
use crate::audio::Hertz;
use crate::manifest::Dtype;
use crate::value::{Kind, Value};

/// The one shard of a dataset.
pub(super) const SHARD: ShardName<'static> = ShardName { split: None, number: 0, count: 1 };

/// Rows, and the columns that they have.
pub(super) struct Rows {
    pub(super) schema: RowSchema,
    pub(super) rows: Vec<OwnedRow>,
}

/// A row that borrows nothing.
#[derive(Clone)]
pub(super) struct OwnedRow {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) copy: u32,
    pub(super) text: Option<&'static str>,
    pub(super) speaker: Option<&'static str>,
    pub(super) language: Option<&'static str>,
    pub(super) num_samples: u64,
    pub(super) augmentation: Option<String>,
    pub(super) extras: Vec<Value<'static>>,
    pub(super) sound: Vec<f64>,
    pub(super) cells: Vec<Cell>,
    pub(super) audio: Vec<Vec<u8>>,
}

impl OwnedRow {
    pub(super) fn row(&self) -> Row<'_> {
        Row {
            key: &self.key,
            id: &self.id,
            copy: self.copy,
            text: self.text,
            speaker: self.speaker,
            language: self.language,
            num_samples: self.num_samples,
            sample_rate: Hertz::new(16_000).unwrap(),
            augmentation: self.augmentation.as_deref(),
            extras: &self.extras,
            sound: &self.sound,
            cells: &self.cells,
            audio: &self.audio,
        }
    }
}

impl Rows {
    /// `count` rows with columns of every kind and type. Every fifth row has nothing but empty cells, and no row has the
    /// size of another.
    pub(super) fn of_all_kinds(count: usize) -> Self {
        let feature = |name: &str, bins, dtype, unit: &str, channels| FeatureColumn {
            name: name.to_owned(),
            bins,
            dtype,
            unit: unit.to_owned(),
            channels,
        };
        let (one, all) = (CellChannels::One, CellChannels::All);
        let extras =
            [("snr", Kind::Float64), ("chapter", Kind::Int64), ("clean", Kind::Boolean), ("note", Kind::String)];
        let schema = RowSchema {
            extras: extras.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
            sound: vec![
                SoundColumn { name: NUM_CHANNELS.to_owned(), number: Number::Int32, unit: None },
                SoundColumn { name: "loudness".to_owned(), number: Number::Float64, unit: Some("LUFS".to_owned()) },
            ],
            features: vec![
                feature("mel", Some(5), Dtype::F32, "dB", one),
                feature("half", Some(3), Dtype::F16, "ln(power)", one),
                feature("brain", None, Dtype::Bf16, "Hz", one),
                feature("samples", None, Dtype::I16, "amplitude", one),
                feature("scaled", Some(2), Dtype::I8, "dB", one),
                feature("scaled_too", None, Dtype::I16, "dB", one),
                feature("channels", Some(2), Dtype::F32, "dB", all),
                feature("waves", None, Dtype::F32, "amplitude", all),
            ],
            audio: vec![AudioColumn { name: "audio".to_owned(), codec: "flac".to_owned() }],
        };
        let rows = (0..count).map(|index| owned(index, &schema)).collect();
        Self { schema, rows }
    }

    /// The same rows with only the feature columns that pass.
    pub(super) fn with_features(mut self, keep: impl Fn(&FeatureColumn) -> bool) -> Self {
        let kept: Vec<bool> = self.schema.features.iter().map(keep).collect();
        let mut at = kept.iter();
        self.schema.features.retain(|_| *at.next().unwrap());
        for row in &mut self.rows {
            let mut at = kept.iter();
            row.cells.retain(|_| *at.next().unwrap());
        }
        self
    }

    /// The same rows without encoded sound.
    pub(super) fn without_audio(mut self) -> Self {
        self.schema.audio.clear();
        self.rows.iter_mut().for_each(|row| row.audio.clear());
        self
    }

    /// The same rows, but the first feature of row `at` has so many frames.
    pub(super) fn with_frames(mut self, at: usize, frames: usize) -> Self {
        self.rows[at].cells[0] = cell(at, frames, 1, &self.schema.features[0]);
        self
    }

    /// The rows as a batch: what any format must give back.
    pub(super) fn batch(&self) -> RecordBatch {
        let mut batch = BatchBuilder::new(&self.schema);
        self.rows.iter().for_each(|row| batch.push(&row.row()));
        batch.finish().unwrap()
    }

    /// Writes them as the only shard of a dataset in `folder`, and says which files it has.
    pub(super) fn write(&self, format: &dyn WriteShards, folder: &Path) -> Vec<PathBuf> {
        format.accepts(&self.schema).unwrap();
        let files = format.files(&SHARD, &self.schema);
        let files: Vec<_> = files.iter().map(|path| ShardFile::create(folder, path).unwrap()).collect();
        let mut writer = format.start(&self.schema, files).unwrap();
        self.rows.iter().for_each(|row| writer.push(&row.row()).unwrap());
        let files = writer.finish().unwrap();
        files.into_iter().map(|file| folder.join(file.commit().unwrap().path)).collect()
    }

    /// Writes them, and asserts that they come back, whole and column by column, in batches of bounded size; that the shard
    /// leaves no other file; and that they give the same bytes again.
    pub(super) fn assert_round_trip(&self, format: &dyn WriteShards) {
        let folder = tempfile::tempdir().unwrap();
        let files = self.write(format, folder.path());
        assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), files.len());

        let expected = self.batch();
        assert_eq!(read(format, &self.schema, &files, None).unwrap(), expected);
        let schema = expected.schema();
        for (index, field) in schema.fields().iter().enumerate() {
            let column = read(format, &self.schema, &files, Some(&[field.name()])).unwrap();
            assert_eq!(column, expected.project(&[index]).unwrap());
        }

        let again = tempfile::tempdir().unwrap();
        for (file, other) in files.iter().zip(self.write(format, again.path())) {
            assert!(fs::read(file).unwrap() == fs::read(other).unwrap(), "{} differs", file.display());
        }
    }

    /// Writes them, and asserts that every cell lies where the format says, whichever columns are asked for; gives what it said.
    pub(super) fn assert_places(&self, format: &dyn WriteShards) -> ShardPlaces {
        let folder = tempfile::tempdir().unwrap();
        let files = self.write(format, folder.path());
        let places = places(format, &self.schema, &files).unwrap().unwrap();
        assert_eq!(places.rows, self.rows.len() as u64);
        let bytes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let expected = row.cells.iter().map(|cell| &cell.bytes).chain(&row.audio);
            for ((cells, expected), name) in places.cells.iter().zip(expected).zip(cell_names(&self.schema)) {
                let place = cells[number];
                let found = &bytes[place.file][place.offset as usize..][..place.bytes as usize];
                assert!(found == expected, "`{name}` of row {number}");
            }
        }
        let names = cell_names(&self.schema);
        let some = [*names.last().unwrap(), names[0]];
        let some_places = format.places(&self.schema, &files, &some).unwrap().unwrap();
        assert_eq!(some_places.cells, [places.cells.last().unwrap().clone(), places.cells[0].clone()]);
        assert_eq!(format.places(&self.schema, &files, &[names[0], "key"]).unwrap(), None);
        places
    }

    /// Writes them, then damages each file in many places: reading must fail or give something, without a panic. A file that was
    /// cut must not be read as whole. The same of the places of cells, where the format tells them.
    pub(super) fn assert_survives_damage(&self, format: &dyn WriteShards) {
        let folder = tempfile::tempdir().unwrap();
        let files = self.write(format, folder.path());
        let whole_places = places(format, &self.schema, &files).unwrap();
        for (number, file) in files.iter().enumerate() {
            let whole = fs::read(file).unwrap();
            let cells = whole_places.iter().flat_map(|places| places.cells.iter().flatten());
            let holds_cells = cells.into_iter().any(|cell| cell.file == number);
            let step = (whole.len() / 61).max(1);
            for end in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
                fs::write(file, &whole[..end]).unwrap();
                let read = read(format, &self.schema, &files, None);
                assert!(read.is_err(), "{} is read as whole with {end} of {} bytes", file.display(), whole.len());
                let told = places(format, &self.schema, &files);
                assert!(
                    !holds_cells || matches!(told, Err(WriteError::Damaged(_))),
                    "the places in {} with {end} of {} bytes are {told:?}",
                    file.display(),
                    whole.len()
                );
            }
            let ends = (0..whole.len().min(300)).chain(whole.len().saturating_sub(300)..whole.len());
            for at in ends.step_by(3).chain((0..whole.len()).step_by(step)) {
                for damage in [0x80, 0x01, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= damage;
                    fs::write(file, &damaged).unwrap();
                    let _ = read(format, &self.schema, &files, None);
                    let _ = places(format, &self.schema, &files);
                }
            }
            fs::write(file, &whole).unwrap();
        }
        assert!(read(format, &self.schema, &files, None).is_ok());
        assert_eq!(places(format, &self.schema, &files).unwrap(), whole_places);
    }
}

/// The names of all columns of cells.
fn cell_names(schema: &RowSchema) -> Vec<&str> {
    let features = schema.features.iter().map(|column| column.name.as_str());
    features.chain(schema.audio.iter().map(|column| column.name.as_str())).collect()
}

/// The places of all cells, after asserting that they can be: each row has one, and all lie within the files as they are.
fn places(format: &dyn WriteShards, schema: &RowSchema, files: &[PathBuf]) -> Result<Option<ShardPlaces>, WriteError> {
    let names = cell_names(schema);
    let places = format.places(schema, files, &names)?;
    if let Some(ShardPlaces { rows, cells, groups }) = &places {
        let lengths: Vec<u64> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
        assert_eq!(cells.len(), names.len());
        assert!(cells.iter().all(|cells| cells.len() as u64 == *rows), "not as many cells as rows");
        for cell in cells.iter().flatten() {
            let end = cell.offset.checked_add(cell.bytes);
            assert!(end.is_some_and(|end| end <= lengths[cell.file]), "{cell:?} lies outside of its file");
        }
        assert!(groups.is_sorted_by(|one, next| one < next) && groups.iter().all(|group| *group == 0 || group < rows));
    }
    Ok(places)
}

/// All rows of a shard, or some of their columns, as one batch.
pub(super) fn read(
    format: &dyn WriteShards,
    schema: &RowSchema,
    files: &[PathBuf],
    columns: Option<&[&str]>,
) -> Result<RecordBatch, WriteError> {
    let batches = format.read(schema, files, columns)?.collect::<Result<Vec<_>, _>>()?;
    let first = batches.first().ok_or_else(|| WriteError::Damaged("no batch".to_owned()))?;
    assert!(batches.iter().all(|batch| batch.num_rows() <= 64), "a batch of more than 64 rows");
    Ok(concat_batches(&first.schema(), &batches)?)
}

fn owned(index: usize, schema: &RowSchema) -> OwnedRow {
    let channels = 1 + index % 2;
    let empty = index % 5 == 3;
    let some = |every: usize, text| (!index.is_multiple_of(every)).then_some(text);
    let copy = (index % 3) as u32;
    let id = format!("book 1/für-{index:03}.a");
    let cells = schema.features.iter().enumerate().map(|(number, column)| {
        let frames = if empty { 0 } else { 1 + (index * 7 + number) % 11 };
        cell(index, frames, if column.channels == CellChannels::All { channels } else { 1 }, column)
    });
    OwnedRow {
        key: if copy == 0 { id.clone() } else { format!("{id}~{copy}") },
        copy,
        text: some(4, "say \"ah\",\nthen ø"),
        speaker: some(3, "anna"),
        language: some(7, "de"),
        num_samples: 1000 + index as u64,
        augmentation: (copy > 0).then(|| format!("[{{\"gain\":{{\"db\":{index}.5}}}}]")),
        extras: vec![
            if index % 3 == 1 { Value::Null } else { Value::Float64(index as f64 / 7.0) },
            if index % 4 == 1 { Value::Null } else { Value::Int64(i64::MAX - index as i64) },
            if index % 5 == 1 { Value::Null } else { Value::Boolean(index.is_multiple_of(2)) },
            if index % 6 == 1 { Value::Null } else { Value::String("a, \"b\"\tc") },
        ],
        sound: vec![channels as f64, -23.1 - index as f64 / 3.0],
        cells: cells.collect(),
        audio: schema
            .audio
            .iter()
            .map(|_| (0..if empty { 0 } else { 20 + index }).map(|byte| byte as u8).collect())
            .collect(),
        id,
    }
}

fn cell(index: usize, frames: usize, channels: usize, column: &FeatureColumn) -> Cell {
    let numbers = channels * frames * column.bins.unwrap_or(1);
    let values: Vec<f32> = (0..numbers).map(|number| ((index * 31 + number) as f32 * 0.37).sin()).collect();
    let mut cell = Cell { frames: frames as u32, ..Cell::default() };
    if column.is_scaled() {
        cell.scale = encode_scaled(&values, column.dtype, &mut cell.bytes);
    } else {
        encode(&values, column.dtype, &mut cell.bytes);
    }
    cell
}

/// A WAV file of one channel at 16 kHz.
pub(super) fn wav(num_samples: u64) -> Vec<u8> {
    let data: Vec<u8> = (0..num_samples).flat_map(|sample| (sample as i16).to_le_bytes()).collect();
    let (rates, length) = ([16_000_u32, 32_000].map(u32::to_le_bytes).concat(), data.len() as u32);
    let format = [&[16, 0, 0, 0, 1, 0, 1, 0][..], &rates, &[2, 0, 16, 0]].concat();
    let whole = (length + 36).to_le_bytes();
    [b"RIFF", &whole[..], b"WAVEfmt ", &format, b"data", &length.to_le_bytes(), &data].concat()
}

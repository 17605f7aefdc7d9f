//! The plain program: what reading a dataset into padded batches costs at the least.
//!
//! It reads each data file with read(2) into a buffer that is used again, and copies each cell once, from there into a padded
//! batch. Batches are of rows of like length, in the order of the files. Nothing is shuffled, checked, or done on another thread,
//! and where each cell lies is found out before the clock starts.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::{Value, json};
use wavemill::manifest::{DatasetFolder, Manifest};

/// How rows become batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// Frames in a batch, padding counted.
    pub(crate) max_frames: usize,
    /// Ranges of lengths, of as many rows each; a batch is of one of them.
    pub(crate) buckets: usize,
}

/// A dataset of f32 in Parquet, and which row goes into which batch.
pub(crate) struct Plain {
    files: Vec<(PathBuf, usize)>,
    /// In the order of the files, and of their offsets.
    rows: Vec<Row>,
    batches: Vec<Shape>,
    bins: usize,
    /// Where files are read to.
    buffer: Vec<u8>,
    /// Batches that are being filled, by number, and how many rows they lack.
    open: Vec<Option<(Vec<f32>, usize)>>,
    /// Memory of batches that are done.
    pool: Vec<Vec<f32>>,
}

/// Where a cell lies, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Row {
    file: usize,
    offset: usize,
    frames: usize,
    batch: usize,
    slot: usize,
}

/// `[rows, longest, bins]`.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    rows: usize,
    longest: usize,
}

impl Plain {
    /// The dataset in `folder`: the cells of its column `features`.
    pub(crate) fn open(folder: &Path, batching: Batching) -> Self {
        let manifest = Manifest::read(&DatasetFolder::new(folder)).expect("a dataset");
        let column = manifest.schema.iter().find(|column| column.name == "features").expect("a column of features");
        assert_eq!(column.dtype, "f32", "the plain program copies f32");
        let bins = column.shape.as_ref().and_then(|shape| shape.get(1)).map_or(1, |bins| *bins as usize);
        let (mut files, mut rows) = (Vec::new(), Vec::new());
        for path in manifest.shards.iter().flat_map(|shard| shard.paths(folder)) {
            let bytes = Bytes::from(std::fs::read(&path).expect("a data file"));
            let cells = cells(&bytes);
            rows.extend(cells.into_iter().map(|(offset, length)| Row {
                file: files.len(),
                offset,
                frames: length / (4 * bins),
                batch: 0,
                slot: 0,
            }));
            files.push((path, bytes.len()));
        }
        let batches = batches(&mut rows, batching);
        let open = vec![None; batches.len()];
        Self { files, rows, batches, bins, buffer: Vec::new(), open, pool: Vec::new() }
    }

    /// Bytes of the cells.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(|row| 4 * row.frames * self.bins).sum()
    }

    /// Reads every file and nothing more, in blocks of about `block` bytes.
    pub(crate) fn read(&mut self, block: usize) {
        self.go(block, |_, bytes, _, _| {
            black_box(bytes);
        });
    }

    /// Reads every file in blocks of about `block` bytes, and copies each cell into its batch.
    pub(crate) fn read_and_pad(&mut self, block: usize) {
        self.go(block, |this, bytes, start, rows| {
            for row in rows {
                this.copy(*row, &bytes[row.offset - start..][..4 * row.frames * this.bins]);
            }
        });
        assert!(self.open.iter().all(Option::is_none), "every batch was filled");
    }

    /// Reads blocks that end behind a cell, and hands each on with its start in the file and the cells in it.
    fn go(&mut self, block: usize, mut each: impl FnMut(&mut Self, &[u8], usize, &[Row])) {
        let (files, rows) = (std::mem::take(&mut self.files), std::mem::take(&mut self.rows));
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rest = rows.as_slice();
        for (number, (path, length)) in files.iter().enumerate() {
            let mut file = File::open(path).expect("a data file");
            let mut start = 0;
            while start < *length {
                let here = rest.iter().take_while(|row| row.file == number);
                let count = here.take_while(|row| row.offset < start.saturating_add(block)).count();
                let (now, later) = rest.split_at(count);
                let ends_here = later.first().is_none_or(|row| row.file != number);
                let end = match now.last() {
                    Some(last) if !ends_here => last.offset + 4 * last.frames * self.bins,
                    _ => *length,
                };
                if buffer.len() < end - start {
                    buffer.resize(end - start, 0);
                }
                let bytes = &mut buffer[..end - start];
                file.read_exact(bytes).expect("as many bytes as before");
                each(self, bytes, start, now);
                (rest, start) = (later, end);
            }
        }
        (self.files, self.rows, self.buffer) = (files, rows, buffer);
    }

    fn copy(&mut self, row: Row, cell: &[u8]) {
        let Shape { rows, longest } = self.batches[row.batch];
        let (mut batch, lacking) = self.open[row.batch].take().unwrap_or_else(|| {
            let mut batch = self.pool.pop().unwrap_or_default();
            batch.resize(rows * longest * self.bins, 0.0);
            (batch, rows)
        });
        let slot = &mut batch[row.slot * longest * self.bins..][..longest * self.bins];
        let (values, padding) = slot.split_at_mut(row.frames * self.bins);
        bytemuck::cast_slice_mut::<f32, u8>(values).copy_from_slice(cell);
        padding.fill(0.0);
        if lacking == 1 {
            black_box(&batch);
            self.pool.push(batch);
        } else {
            self.open[row.batch] = Some((batch, lacking - 1));
        }
    }
}

/// The offset and the length of each cell of the column `features` in a file.
fn cells(file: &Bytes) -> Vec<(usize, usize)> {
    let reader = SerializedFileReader::new(file.clone()).expect("a Parquet file");
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let column = columns.iter().position(|column| column.name() == "features").expect("a column of features");
    let levels = columns[column].max_def_level();
    let mut cells = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("a row group");
        let mut pages = group.get_column_page_reader(column).expect("its pages");
        while let Some(page) = pages.get_next_page().expect("a page") {
            let Page::DataPage { buf, num_values, encoding: Encoding::PLAIN, .. } = page else {
                panic!("the plain program reads uncompressed pages of version 1 in the encoding PLAIN")
            };
            // Pages of a file in memory that is not compressed are parts of it.
            let mut place = buf.as_ptr() as usize - file.as_ptr() as usize;
            let word = |place: usize| u32::from_le_bytes(file[place..place + 4].try_into().expect("four")) as usize;
            if levels > 0 {
                place += 4 + word(place);
            }
            for _ in 0..num_values {
                let length = word(place);
                cells.push((place + 4, length));
                place += 4 + length;
            }
        }
    }
    assert!(cells.is_sorted(), "cells lie in the order of the rows");
    cells
}

/// Deals rows to batches, in their order, by the bucket of their length.
fn batches(rows: &mut [Row], Batching { max_frames, buckets }: Batching) -> Vec<Shape> {
    let mut lengths: Vec<usize> = rows.iter().map(|row| row.frames).collect();
    lengths.sort_unstable();
    let edges: Vec<usize> =
        (1..buckets).filter_map(|edge| lengths.get(edge * lengths.len() / buckets).copied()).collect();
    let mut batches: Vec<Shape> = Vec::new();
    let mut filling: Vec<Option<usize>> = vec![None; buckets.max(1)];
    for row in rows {
        let filling = &mut filling[edges.partition_point(|edge| *edge <= row.frames)];
        let fits = |batch: &usize| {
            let Shape { rows, longest } = batches[*batch];
            (rows + 1) * longest.max(row.frames) <= max_frames
        };
        let batch = filling.filter(fits).unwrap_or_else(|| {
            batches.push(Shape::default());
            batches.len() - 1
        });
        *filling = Some(batch);
        let shape = &mut batches[batch];
        (row.batch, row.slot) = (batch, shape.rows);
        *shape = Shape { rows: shape.rows + 1, longest: shape.longest.max(row.frames) };
    }
    batches
}

/// A block of some row groups: what is copied from it is still in the processor's cache.
const BLOCK: usize = 1 << 20;

/// A figure's name, and what is timed for it.
type Way = (&'static str, fn(&mut Plain));

/// The median over `rounds` of everything, after one that does not count.
pub(crate) fn measured(folder: &Path, batching: Batching, rounds: usize) -> Value {
    let mut plain = Plain::open(folder, batching);
    let (rows, bytes) = (plain.rows.len(), plain.bytes());
    let frames: usize = plain.rows.iter().map(|row| row.frames).sum();
    let padded: usize = plain.batches.iter().map(|batch| batch.rows * batch.longest).sum();
    let ways: [Way; 4] = [
        ("read_mb_s", |plain| plain.read(usize::MAX)),
        ("read_blocks_mb_s", |plain| plain.read(BLOCK)),
        ("mb_s", |plain| plain.read_and_pad(usize::MAX)),
        ("blocks_mb_s", |plain| plain.read_and_pad(BLOCK)),
    ];
    let mut taken = ways.map(|_| Vec::new());
    for round in 0..=rounds {
        for ((_, way), taken) in ways.iter().zip(&mut taken) {
            let started = Instant::now();
            way(&mut plain);
            if round > 0 {
                taken.push(started.elapsed().as_secs_f64());
            }
        }
    }
    let mut figures = json!({
        "rows": rows,
        "frames": frames,
        "mb": bytes as f64 / 1e6,
        "batches": plain.batches.len(),
        "padding_waste": 1.0 - frames as f64 / padded as f64,
    });
    for ((name, _), mut taken) in ways.into_iter().zip(taken) {
        taken.sort_by(f64::total_cmp);
        let seconds = taken[taken.len() / 2];
        figures[name] = json!(bytes as f64 / 1e6 / seconds);
        if name == "mb_s" {
            figures["rows_s"] = json!(rows as f64 / seconds);
            figures["frames_s"] = json!(frames as f64 / seconds);
        }
    }
    figures
}

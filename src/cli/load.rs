//! `wavemill load`.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::loader::{Batch, Column, Loader, OnDamage, Verify};

use super::exit::Failure;
use super::{count, counted, print};

/// Show what a training job would see of a dataset: how many batches, and with --bench how fast they come
#[derive(Debug, Args)]
pub(super) struct Load {
    /// The folder of the dataset
    dir: PathBuf,
    /// Load an epoch, and tell how fast
    #[arg(long)]
    bench: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Only these columns, with commas between them
    #[arg(long, value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Only this part of a dataset that is split
    #[arg(long)]
    split: Option<String>,
    /// Only rows of which this condition is true (SQL)
    #[arg(long, value_name = "SQL")]
    filter: Option<String>,
    /// The seed of the order
    #[arg(long, value_name = "SEED", default_value_t = 17)]
    shuffle: u64,
    /// Buckets of like length
    #[arg(long, default_value_t = 30)]
    buckets: usize,
    /// Frames of a batch at most, padding counted
    #[arg(long, value_name = "FRAMES", default_value_t = 20_000)]
    max_frames: u64,
    /// Rows of a batch at most
    #[arg(long, value_name = "ROWS")]
    batch_size: Option<u32>,
    /// This process, counted from 0
    #[arg(long, default_value_t = 0)]
    rank: u32,
    /// How many processes there are
    #[arg(long, default_value_t = 1)]
    world: u32,
    /// Batches of a step, over all processes (default: one each)
    #[arg(long)]
    slots: Option<u32>,
    /// Threads that make batches; 0 makes them one by one
    #[arg(long)]
    threads: Option<usize>,
    /// Batches that are made ahead
    #[arg(long, default_value_t = 8)]
    prefetch: usize,
    /// When rows are held against their checksums
    #[arg(long, value_enum, default_value_t = When::FirstRead)]
    verify: When,
    /// Leave damaged rows out instead of stopping
    #[arg(long)]
    skip_damaged: bool,
}

/// [`Verify`], as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    FirstRead,
    Never,
    Always,
}

impl From<When> for Verify {
    fn from(when: When) -> Self {
        match when {
            When::FirstRead => Self::FirstRead,
            When::Never => Self::Never,
            When::Always => Self::Always,
        }
    }
}

/// The plan of the first epoch.
#[derive(Debug, Serialize)]
struct Epoch {
    /// Rows that all processes read.
    rows: usize,
    /// Batches of this process.
    batches: usize,
    /// Seconds until the plan was made.
    plan_s: f64,
}

/// What one process saw of it.
#[derive(Debug, Default, Serialize)]
struct Seen {
    rows: u64,
    frames: u64,
    /// Bytes of features, without padding.
    bytes: u64,
    /// Frames with padding.
    padded_frames: u64,
    skipped: u64,
    took_s: f64,
    rows_s: f64,
    frames_s: f64,
    /// Millions of bytes of features a second, without padding.
    mb_s: f64,
    /// Which share of the frames of a batch is padding.
    padding_waste: f64,
    /// From opening the dataset to the first batch.
    first_batch_s: f64,
    /// From opening the dataset to the batch after a state from the middle of the epoch.
    resume_s: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    epoch: Epoch,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
}

impl Load {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let batches = self.loader()?.batches()?;
        let epoch = Epoch {
            rows: batches.rows_in_epoch(0),
            batches: batches.batches_in_epoch(0),
            plan_s: started.elapsed().as_secs_f64(),
        };
        drop(batches);
        let seen = if self.bench { Some(self.bench(&epoch)?) } else { None };
        let report = Report { epoch, seen };
        if self.json {
            let json = serde_json::to_string(&report).map_err(std::io::Error::from)?;
            return print(&format!("{json}\n"));
        }
        print(&told(&report))
    }

    fn loader(&self) -> Result<Loader, Failure> {
        let mut loader = Loader::open(&self.dir)?
            .shuffle(self.shuffle)
            .buckets(self.buckets)
            .max_frames(self.max_frames)
            .rank(self.rank, self.world)
            .prefetch(self.prefetch)
            .verify(self.verify.into())
            .on_damage(if self.skip_damaged { OnDamage::Skip } else { OnDamage::Stop });
        if let Some(columns) = &self.columns {
            loader = loader.columns(columns.iter().map(String::as_str));
        }
        if let Some(split) = &self.split {
            loader = loader.split(split);
        }
        if let Some(sql) = &self.filter {
            loader = loader.filter(sql);
        }
        if let Some(rows) = self.batch_size {
            loader = loader.batch_size(rows);
        }
        if let Some(slots) = self.slots {
            loader = loader.slots(slots);
        }
        if let Some(threads) = self.threads {
            loader = loader.threads(threads);
        }
        Ok(loader)
    }

    /// Loads an epoch, and the batch in its middle once more as a job that resumes there.
    fn bench(&self, epoch: &Epoch) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        let opened = Instant::now();
        let mut batches = self.loader()?.batches()?;
        let started = Instant::now();
        let mut middle = None;
        for number in 0.. {
            let Some(batch) = batches.next() else { break };
            let batch = batch?;
            if number == 0 {
                seen.first_batch_s = opened.elapsed().as_secs_f64();
            }
            if number == epoch.batches / 2 {
                middle = Some(batches.state());
            }
            seen.add(&batch);
        }
        seen.took_s = started.elapsed().as_secs_f64();
        if let Some(state) = middle {
            let opened = Instant::now();
            let mut batches = self.loader()?.resume(&state).batches()?;
            batches.next().transpose()?;
            seen.resume_s = opened.elapsed().as_secs_f64();
        }
        let each_s = |number: u64| number as f64 / seen.took_s;
        (seen.rows_s, seen.frames_s, seen.mb_s) = (each_s(seen.rows), each_s(seen.frames), each_s(seen.bytes) / 1e6);
        if seen.padded_frames > 0 {
            seen.padding_waste = 1.0 - seen.frames as f64 / seen.padded_frames as f64;
        }
        Ok(seen)
    }
}

impl Seen {
    fn add(&mut self, batch: &Batch) {
        self.rows += batch.len() as u64;
        self.skipped += batch.skipped.len() as u64;
        if let Some(features) = batch.features() {
            self.frames += features.lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
            self.padded_frames += (batch.len() * features.frames()) as u64;
        }
        for column in batch.columns.values() {
            if let Column::Padded(padded) = column {
                // A frame of all channels.
                let frame = padded.bytes().len() / (padded.shape[0] * padded.frames()).max(1);
                self.bytes += padded.lengths.iter().map(|length| u64::from(*length)).sum::<u64>() * frame as u64;
            }
        }
    }
}

fn told(report: &Report) -> String {
    let Report { epoch, seen } = report;
    let mut text = format!(
        "an epoch is {} in {} {}, planned in {}\n",
        counted(epoch.rows as u64, "row"),
        count(epoch.batches as u64),
        if epoch.batches == 1 { "batch" } else { "batches" },
        seconds(epoch.plan_s)
    );
    if let Some(seen) = seen {
        let rows = [
            ("rows/s", count(seen.rows_s as u64)),
            ("frames/s", count(seen.frames_s as u64)),
            ("MB/s of features", count(seen.mb_s as u64)),
            ("padding", format!("{:.1} %", 100.0 * seen.padding_waste)),
            ("first batch after", seconds(seen.first_batch_s)),
            ("resumed after", seconds(seen.resume_s)),
        ];
        for (name, figure) in rows {
            let _ = writeln!(text, "  {name:<18} {figure}");
        }
        if seen.skipped > 0 {
            let _ = writeln!(text, "{} left out as damaged", counted(seen.skipped, "row"));
        }
    }
    text
}

/// A time for people: `12 ms`, `3.4 s`.
fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds:.1} s") }
}

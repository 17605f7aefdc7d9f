//! The plan of an epoch of a million rows, and going on in its middle: what a job waits for before its first batch.
//!
//! The manifest and the records of the shards are real files of 400 rows each; there is no data, which no plan needs.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use wavemill::loader::{Loader, State};

const ROWS_OF_SHARD: usize = 400;

/// Makes the manifest and the records of `rows` rows from those of a dataset.
pub(crate) fn make(dataset: &Path, rows: usize, folder: &Path) {
    let read = |path: &str| fs::read(dataset.join(path)).expect("a file of the dataset");
    let mut manifest: Value = serde_json::from_slice(&read("manifest.json")).expect("a manifest");
    let mut record: Value = serde_json::from_slice(&read("shards/part-00000.json")).expect("a record");
    let mut shard = manifest["shards"][0].clone();
    fs::create_dir_all(folder.join("shards")).expect("a temporary folder");
    let mut state = 17_u64;
    let mut shards = Vec::new();
    for number in 0..rows.div_ceil(ROWS_OF_SHARD) {
        let count = ROWS_OF_SHARD.min(rows - number * ROWS_OF_SHARD);
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        // The mean of four draws: most utterances are neither short nor long.
        let frames: Vec<u64> = (0..count).map(|_| 30 + (0..4).map(|_| random() % 500).sum::<u64>()).collect();
        let checksums = "0123456789abcdef".repeat(count);
        (record["shard"], record["rows"], shard["rows"]) = (number.into(), count.into(), count.into());
        record["frames"] = json!({ "features": frames });
        record["checksums"] = json!({ "rows": checksums, "cells": { "features": checksums } });
        shard["files"][0]["path"] = format!("data/part-{number:05}.parquet").into();
        record["files"] = shard["files"].clone();
        let place = folder.join(format!("shards/part-{number:05}.json"));
        fs::write(place, serde_json::to_vec_pretty(&record).expect("JSON")).expect("a temporary file");
        shards.push(shard.clone());
    }
    manifest["shards"] = shards.into();
    let manifest = serde_json::to_vec_pretty(&manifest).expect("JSON");
    fs::write(folder.join("manifest.json"), manifest).expect("a temporary file");
}

/// Seconds from opening to the plan of the first epoch, and of another one to its middle; and the most memory that was held.
pub(crate) fn measured(folder: &Path) -> Value {
    let loader = || Loader::open(folder).expect("a dataset").shuffle(17).buckets(30).max_frames(20_000).threads(0);
    let started = Instant::now();
    let batches = loader().batches().expect("a loader");
    let (rows, count) = (batches.rows_in_epoch(0), batches.batches_in_epoch(0));
    let plan_s = started.elapsed().as_secs_f64();
    let state = State { epoch: 3, batches: count as u64 / 2, ..batches.state() };
    drop(batches);
    let started = Instant::now();
    let batches = loader().resume(&state).batches().expect("a loader");
    let _ = batches.rows_in_epoch(3);
    let resume_s = started.elapsed().as_secs_f64();
    json!({ "rows": rows, "batches": count, "plan_s": plan_s, "resume_s": resume_s, "peak_mib": peak_mib() })
}

/// The most memory that this process has held, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

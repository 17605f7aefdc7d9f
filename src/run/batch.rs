//! Rows that wait for a module, which takes the inputs of several at once.
//!
//! The last bits of what a module gives depend on what shares its batch, so a batch must be a function of the plan: the rows of one
//! job are made by one worker, in order, and wait together in a window. Where their inputs are more than [`WAITING_BYTES`], the window
//! ends after the entry that made them so. In it, the inputs of a column are sorted by length, those of one length in the order of
//! the plan, and cut into batches. No clock, thread or interruption has a part in it.
//!
//! If the module fails for a batch, or gives a number that is not finite, its utterances go through one by one: only those are
//! refused that fail by themselves.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Kept;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audio::Hertz;
use crate::featurize::{ModuleFault, Recipe, RowError, Torchscript};
use crate::isolation::isolated;
use crate::manifest::Moments;
use crate::plan::{Entry, Plan};
use crate::seed::Draws;
use crate::transform::{Extract, ExtractError};
use crate::write::Cell;

use super::cell::{CELL_BYTES, CellInWork};
use super::failure::{Failure, Panic, WorldFault, in_column};
use super::features::add_channel;
use super::order::End;
use super::row::{Made, MadeRow};
use super::worker::draws;

/// Bytes of inputs that wait before modules take them, beyond those of the last entry.
pub(super) const WAITING_BYTES: usize = 64 << 20;

/// Batches of the largest module that a window has rows for: more are nearer to each other in length.
const WINDOW_BATCHES: usize = 8;

/// The most rows of a window.
const WINDOW_ROWS: usize = 512;

/// Bytes that the rows of a window and their sound take, as far as they can be told before.
const WINDOW_BYTES: u64 = 64 << 20;

/// What the longest of a padded batch may be longer than the shortest: a quarter.
const LIKE: f64 = 1.25;

/// The positions of a shard in windows. The variants of an utterance stay together where they are not more than a window, and an
/// utterance whose length is not known is a window by itself, so that memory does not depend on luck.
pub(super) fn windows(plan: &Plan, shard: Range<usize>) -> Vec<Range<usize>> {
    let largest = plan.pipeline.columns().filter_map(|(_, recipe)| recipe.batched()).map(|module| module.batch.get());
    let most_rows = (WINDOW_BATCHES * largest.max().unwrap_or(1) as usize).min(WINDOW_ROWS);
    let variants = plan.variants();
    let size = |first: usize| {
        let utterance = plan.entry(first).utterance;
        let seconds = plan.table.duration_s(utterance)?;
        let rate = plan.pipeline.rate().map_or(16_000, Hertz::get);
        let sound = (seconds * f64::from(rate)) as u64 * size_of::<f32>() as u64;
        Some(plan.estimated_row_bytes(utterance).saturating_add(sound).saturating_mul(variants as u64))
    };
    let mut windows = Vec::new();
    let (mut start, mut filled) = (shard.start, 0_u64);
    for first in shard.clone().step_by(variants) {
        let bytes = size(first).unwrap_or(u64::MAX);
        let rows = first + variants - start;
        if first > start && (rows > most_rows || filled.saturating_add(bytes) > WINDOW_BYTES) {
            windows.push(start..first);
            (start, filled) = (first, 0);
        }
        filled = filled.saturating_add(bytes);
    }
    windows.push(start..shard.end);
    let parts = |window: Range<usize>| {
        let end = window.end;
        window.step_by(most_rows).map(move |start| start..(start + most_rows).min(end))
    };
    windows.into_iter().filter(|window| !window.is_empty()).flat_map(parts).collect()
}

/// What one thread keeps from window to window to have modules run.
#[derive(Default)]
pub(super) struct Batches {
    /// By column, what follows the module, and the cell that it makes.
    after: HashMap<usize, (Box<dyn Extract>, CellInWork)>,
}

/// What became of one channel of a row.
type OneChannel = Result<(Cell, Moments), Failure>;

/// One input in a window.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Its entry, row and channel.
    entry: usize,
    row: usize,
    channel: usize,
    /// Its frames.
    length: usize,
    seconds: f64,
}

impl Batches {
    /// Has modules run for all rows of a window that wait for them. Rows for which that fails become rejects.
    pub(super) fn complete(
        &mut self,
        plan: &Plan,
        window: &mut [(Entry, Result<Made, WorldFault>)],
        stop: &AtomicBool,
    ) -> Result<End, WorldFault> {
        let mut refused: HashMap<(usize, usize), Failure> = HashMap::new();
        for (column, (_, recipe)) in plan.pipeline.columns().enumerate() {
            let Some(module) = recipe.batched() else { continue };
            let items = items(window, column, module, &refused);
            let mut given: HashMap<(usize, usize, usize), OneChannel> = HashMap::new();
            for batch in cut(&items, module) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(End::Stopped);
                }
                let inputs: Vec<&[f32]> = batch.iter().map(|item| input(window, column, *item)).collect();
                let outputs = run(module, &inputs)?;
                for (item, output) in batch.iter().zip(outputs) {
                    let (entry, outcome) = &window[item.entry];
                    let Some(row) = outcome.as_ref().ok().and_then(|made| made.rows.get(item.row)) else { continue };
                    let who = Draws { channel: item.channel, ..draws(plan, *entry, row.segment) };
                    let most = CELL_BYTES / channels(row, column).max(1);
                    let of_column = in_column(&plan.schema.features[column]);
                    let cell = isolated(|| {
                        let frames = output.map_err(&of_column)?;
                        self.cell(plan, column, (recipe, module), who, most, &frames).map_err(&of_column)
                    });
                    let cell = cell.unwrap_or_else(|text| {
                        self.after.remove(&column); // what the panic left half done is not used again
                        Err(Failure::Panic { stage: "featurize", error: Panic::Panicked { text } })
                    });
                    given.insert((item.entry, item.row, item.channel), cell);
                }
            }
            for (number, (_, outcome)) in window.iter_mut().enumerate() {
                let Ok(made) = outcome else { continue };
                for (row_number, row) in made.rows.iter_mut().enumerate() {
                    let mut whole = Ok(None);
                    for channel in 0..channels(row, column) {
                        let Some(cell) = given.remove(&(number, row_number, channel)) else { continue };
                        whole = whole.and_then(|mut whole: Option<(Cell, Moments)>| {
                            add_channel(&mut whole, cell?);
                            Ok(whole)
                        });
                    }
                    row.columns.waiting.retain(|waiting| waiting.column != column);
                    match whole {
                        Ok(Some((cell, moments))) => {
                            row.columns.cells[column] = cell;
                            row.columns.moments[column] = moments;
                        }
                        Ok(None) => {}
                        Err(failure) => {
                            refused.insert((number, row_number), failure);
                        }
                    }
                }
            }
        }
        refuse(plan, window, refused)?;
        Ok(End::Done)
    }

    /// What becomes of a module's frames: the transforms after it, and the bytes that are stored.
    fn cell(
        &mut self,
        plan: &Plan,
        column: usize,
        (recipe, module): (&Recipe, &Torchscript),
        who: Draws<'_>,
        most: usize,
        frames: &[f32],
    ) -> Result<(Cell, Moments), ExtractError> {
        let feature = &plan.schema.features[column];
        let (transforms, cell) = match self.after.entry(column) {
            Kept::Occupied(there) => there.into_mut(),
            Kept::Vacant(free) => {
                let transforms = recipe.prepare_transforms(module.rate_hz, &format!("featurize.{}", feature.name));
                let fits = |RowError { error, .. }| ExtractError::Setting { setting: error };
                free.insert((transforms.map_err(fits)?, CellInWork::new(feature)))
            }
        };
        transforms.begin(who);
        cell.begin(most);
        cell.push(transforms.as_mut(), frames)?;
        cell.finish(transforms.as_mut())
    }
}

/// Channels of a row that wait for the module of a column.
fn channels(row: &MadeRow, column: usize) -> usize {
    row.columns.waiting.iter().find(|waiting| waiting.column == column).map_or(0, |waiting| waiting.channels.len())
}

/// What waits for the module of a column, by length.
fn items(
    window: &[(Entry, Result<Made, WorldFault>)],
    column: usize,
    module: &Torchscript,
    refused: &HashMap<(usize, usize), Failure>,
) -> Vec<Item> {
    let width = module.input_width();
    let mut items = Vec::new();
    for (entry, (_, outcome)) in window.iter().enumerate() {
        let rows = outcome.iter().flat_map(|made| made.rows.iter().enumerate());
        for (row, made) in rows.filter(|(row, _)| !refused.contains_key(&(entry, *row))) {
            let waiting = made.columns.waiting.iter().filter(|waiting| waiting.column == column);
            for (channel, input) in waiting.flat_map(|waiting| waiting.channels.iter().enumerate()) {
                items.push(Item { entry, row, channel, length: input.len() / width, seconds: made.seconds() });
            }
        }
    }
    items.sort_by_key(|item| item.length);
    items
}

/// The input that an item stands for.
fn input(window: &[(Entry, Result<Made, WorldFault>)], column: usize, item: Item) -> &[f32] {
    let row = window[item.entry].1.as_ref().ok().and_then(|made| made.rows.get(item.row));
    let waiting = row.and_then(|row| row.columns.waiting.iter().find(|waiting| waiting.column == column));
    waiting.and_then(|waiting| waiting.channels.get(item.channel)).map_or(&[], Vec::as_slice)
}

/// Items in ascending order of length, cut into batches: of one length, or of like lengths where the module takes padded ones.
fn cut<'i>(items: &'i [Item], module: &Torchscript) -> impl Iterator<Item = &'i [Item]> {
    let (most, most_seconds, pads) = (module.batch.get() as usize, module.max_duration, module.pads());
    let mut left = items;
    std::iter::from_fn(move || {
        let shortest = left.first()?;
        let fits = |count: usize, item: &Item| {
            let alike =
                if pads { item.length as f64 <= LIKE * shortest.length as f64 } else { item.length == shortest.length };
            // The last is the longest, and all are padded to it.
            count < most && alike && (count + 1) as f64 * item.seconds <= most_seconds
        };
        let more = left[1..].iter().enumerate().take_while(|(number, item)| fits(number + 1, item)).count();
        let (batch, rest) = left.split_at(1 + more);
        left = rest;
        Some(batch)
    })
}

/// What a module makes of the inputs of a batch, each by itself if it fails for all.
fn run(module: &Torchscript, inputs: &[&[f32]]) -> Result<Vec<Result<Vec<f32>, ExtractError>>, WorldFault> {
    let run = |inputs: &[&[f32]]| match module.run(inputs) {
        Ok(frames) if frames.len() != inputs.len() => {
            let message = "it did not give something for each utterance".to_owned();
            Ok(vec![Err(ExtractError::Module { message }); inputs.len()])
        }
        Ok(frames) => {
            Ok(frames.into_iter().map(|frames| module.checked(frames)).collect::<Vec<Result<Vec<f32>, ExtractError>>>())
        }
        Err(ModuleFault::Failed { message }) => Ok(vec![Err(ExtractError::Module { message }); inputs.len()]),
        Err(ModuleFault::World { message }) => {
            let path = PathBuf::from(module.module.as_written());
            Err(WorldFault {
                path,
                source: io::Error::other(format!("{message}: set `batch` or `max_duration` lower")),
            })
        }
    };
    if inputs.iter().any(|input| input.is_empty()) {
        let none = ExtractError::TooFewFrames { frames: 0, needed: 1 };
        return Ok(vec![Err(none); inputs.len()]); // they are all of no length
    }
    let outputs = run(inputs)?;
    if inputs.len() == 1 || outputs.iter().all(Result::is_ok) {
        return Ok(outputs);
    }
    let each = inputs.iter().map(|input| run(&[*input]));
    Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Puts rejects in the place of rows.
fn refuse(
    plan: &Plan,
    window: &mut [(Entry, Result<Made, WorldFault>)],
    refused: HashMap<(usize, usize), Failure>,
) -> Result<(), WorldFault> {
    let mut of_entries: HashMap<usize, Vec<(usize, Failure)>> = HashMap::new();
    for ((entry, row), failure) in refused {
        of_entries.entry(entry).or_default().push((row, failure));
    }
    for (number, mut failures) in of_entries {
        let (entry, outcome) = &mut window[number];
        let Ok(made) = outcome else { continue };
        failures.sort_by_key(|(row, _)| *row);
        let of_row = |(row, failure): (usize, Failure)| {
            let segment = made.rows.get(row).and_then(|row| row.segment);
            failure.of(plan, *entry, segment).map(|(reject, _)| (row, reject))
        };
        let rejects = failures.into_iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
        made.refuse(rejects);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::Lengths;
    use crate::variables::Template;

    fn items(lengths: &[usize]) -> Vec<Item> {
        let item = |(entry, length): (usize, &usize)| Item {
            entry,
            row: 0,
            channel: 0,
            length: *length,
            seconds: *length as f64 / 100.0,
        };
        lengths.iter().enumerate().map(item).collect()
    }

    fn batches(lengths: &[usize], change: impl FnOnce(&mut Torchscript)) -> Vec<Vec<usize>> {
        let mut module = Torchscript::new(Template::from("a.pt"), Hertz::new(100).unwrap());
        change(&mut module);
        let items = items(lengths);
        cut(&items, &module).map(|batch| batch.iter().map(|item| item.length).collect()).collect()
    }

    #[test]
    fn without_lengths_a_batch_is_of_one_length() {
        assert_eq!(batches(&[3, 5, 5, 5, 6], |_| ()), [vec![3], vec![5, 5, 5], vec![6]]);
        let two = |module: &mut Torchscript| module.batch = 2.try_into().unwrap();
        assert_eq!(batches(&[5, 5, 5], two), [vec![5, 5], vec![5]]);
        assert_eq!(batches(&[], |_| ()), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_padded_batch_is_of_like_lengths_and_bounded_with_its_padding() {
        let padded = |module: &mut Torchscript| {
            (module.lengths, module.output_lengths) = (Lengths::Absolute, vec![1]);
            module.max_duration = 3.0;
        };
        assert_eq!(batches(&[80, 90, 100, 101, 400], padded), [vec![80, 90, 100], vec![101], vec![400]]);
        assert_eq!(batches(&[80, 101], padded), [[80], [101]]);
        assert_eq!(batches(&[100, 100, 100, 100], padded), [vec![100; 3], vec![100]]);
    }
}

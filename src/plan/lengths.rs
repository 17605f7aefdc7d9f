//! The utterances that a pipeline takes, each with its length.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use crate::audio::Seconds;
use crate::corpus::{CorpusTable, SelectError, columns_read, read_ids};
use crate::isolation::isolated;
use crate::load::{self, Channels, Header, Limits, Load, Location};
use crate::pipeline::Pipeline;
use crate::variables::{Template, Variables};

use super::PlanError;

/// The corpus table after `select`, with the lengths that the corpus does not give read from the files' headers. With
/// `channels: each` every channel is an utterance of its own.
///
/// A recording whose header cannot be read keeps no length, passes any selection that asks for one, and becomes a reject
/// when it is loaded. One whose header is fine and tells no length (a live stream, fragments) passes where the condition
/// needs that length, so that it is null: nothing is left out without a reason.
pub(super) fn select_and_measure(pipeline: &Pipeline, variables: &Variables) -> Result<CorpusTable, PlanError> {
    let table = excluded(pipeline.corpus.member().read(variables)?, &pipeline.exclude, variables)?;
    if table.is_empty() {
        return Ok(table);
    }
    let load = &pipeline.load;
    let Some(select) = &pipeline.select else { return Ok(measure(table, load)?.0) };
    let condition = select.fill(variables)?;
    // Headers are read before the selection only if it asks for what they tell: afterwards there are fewer.
    let measures = pipeline.measures();
    let misplaced = |error: SelectError| match error {
        SelectError::NoColumn { column, .. } if measures.iter().any(|(name, _)| *name == column) => {
            PlanError::SelectMeasure { column }
        }
        error => PlanError::Select(error),
    };
    let columns = columns_read(&condition)?;
    let reads = |name: &str| columns.iter().any(|column| column == name);
    if reads("duration_s") || reads("channel") {
        let (table, unreadable) = measure(table, load)?;
        let endless = |row: usize| reads("duration_s") && table.duration_s(row).is_none();
        let keep =
            |row: usize, answer: Option<bool>| unreadable.contains(table.id(row)) || (answer.is_none() && endless(row));
        return table.select_keeping(&condition, keep).map_err(misplaced);
    }
    Ok(measure(table.select(&condition).map_err(misplaced)?, load)?.0)
}

/// The table without the utterances that lists name.
fn excluded(table: CorpusTable, lists: &[Template], variables: &Variables) -> Result<CorpusTable, PlanError> {
    let mut excluded = HashSet::new();
    for list in lists {
        excluded.extend(read_ids(Path::new(list.fill(variables)?.as_ref()))?);
    }
    if excluded.is_empty() {
        return Ok(table);
    }
    let kept = (0..table.len()).filter(|row| !excluded.contains(table.id(*row)));
    Ok(table.gather(&kept.map(|row| row as u32).collect::<Vec<_>>()))
}

/// Fills in what is missing, and gives the ids of the recordings whose headers cannot be read.
fn measure(table: CorpusTable, load: &Load) -> Result<(CorpusTable, HashSet<String>), PlanError> {
    let (each, limits) = (load.channels == Channels::Each, load.limits());
    let lacks = |row: usize| table.duration_s(row).is_none() || (each && table.channel(row).is_none());
    let headers = (0..table.len())
        .into_par_iter()
        .map(|row| if lacks(row) { header(&table.location(row), &limits) } else { Ok(None) });
    let headers: Vec<Option<Header>> = headers.collect::<Result<_, _>>()?;
    let unreadable = (0..table.len()).filter(|row| lacks(*row) && headers[*row].is_none());
    let unreadable: HashSet<String> = unreadable.map(|row| table.id(row).to_owned()).collect();
    // A header that claims more than anything that could be loaded says nothing, and would fill shards with what never comes.
    let longest = load.max_duration_s.max(Load::MAX_DURATION_S);
    let length = |row: usize| rest(headers[row].as_ref()?, table.start_s(row)).filter(|length| *length <= longest);
    let durations: Vec<Option<f64>> = (0..table.len()).map(length).collect();
    let counts: Vec<u16> =
        headers.iter().map(|header| header.as_ref().map_or(1, |header| header.num_channels.max(1))).collect();
    let table = table.with_durations(&durations);
    if !each {
        return Ok((table, unreadable));
    }
    match table.each_channel(&counts) {
        Ok(table) => Ok((table, unreadable)),
        Err(id) => Err(PlanError::ChannelId { id }),
    }
}

/// What the header of a recording claims; none if it is damaged, so much that a demuxer panics even.
fn header(location: &Location, limits: &Limits) -> Result<Option<Header>, PlanError> {
    match isolated(|| load::probe_within(location, limits)) {
        Ok(Ok(header)) => Ok(Some(header)),
        Ok(Err(source)) if source.is_world() => {
            Err(PlanError::Unreadable { path: location.to_string().into(), source })
        }
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

/// The seconds from `start_s` to the end that the header claims.
fn rest(header: &Header, start_s: Option<f64>) -> Option<f64> {
    let whole = Seconds::of_samples(header.num_samples?, header.sample_rate).get();
    Some((whole - start_s.unwrap_or(0.0)).max(0.0))
}

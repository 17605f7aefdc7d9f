//! The utterances that a pipeline takes, each with its length.

use rayon::prelude::*;

use crate::audio::Seconds;
use crate::corpus::{CorpusTable, columns_read};
use crate::load::{self, Channels, Header};
use crate::pipeline::Pipeline;
use crate::variables::Variables;

use super::PlanError;

/// The corpus table after `select`, with the lengths that the corpus does not give read from the files' headers. With
/// `channels: each` every channel is an utterance of its own.
pub(super) fn select_and_measure(pipeline: &Pipeline, variables: &Variables) -> Result<CorpusTable, PlanError> {
    let mut table = pipeline.corpus.member().read(variables)?;
    if let Some(select) = &pipeline.select {
        let condition = select.fill(variables)?;
        // Headers are read before the selection only if it asks for what they tell: afterwards there are fewer.
        if columns_read(&condition)?.iter().any(|column| column == "duration_s" || column == "channel") {
            table = measure(table, pipeline.load.channels)?;
        }
        table = table.select(&condition)?;
    }
    measure(table, pipeline.load.channels)
}

/// Fills in what is missing; a file whose header cannot be read keeps no length and becomes a reject when it is loaded.
fn measure(table: CorpusTable, channels: Channels) -> Result<CorpusTable, PlanError> {
    let each = channels == Channels::Each;
    let lacks = |row: usize| table.duration_s(row).is_none() || (each && table.channel(row).is_none());
    if !(0..table.len()).any(lacks) {
        return Ok(table);
    }
    let headers: Vec<Option<Header>> = (0..table.len())
        .into_par_iter()
        .map(|row| lacks(row).then(|| load::probe(&table.audio_path(row)).ok()).flatten())
        .collect();
    let durations: Vec<Option<f64>> =
        (0..table.len()).map(|row| headers[row].as_ref().and_then(|header| rest(header, table.start_s(row)))).collect();
    let counts: Vec<u16> =
        headers.iter().map(|header| header.as_ref().map_or(1, |header| header.num_channels.max(1))).collect();
    let table = table.with_durations(&durations);
    if !each {
        return Ok(table);
    }
    table.each_channel(&counts).map_err(|id| PlanError::ChannelId { id })
}

/// The seconds from `start_s` to the end that the header claims.
fn rest(header: &Header, start_s: Option<f64>) -> Option<f64> {
    let whole = Seconds::of_samples(header.num_samples?, header.sample_rate).get();
    Some((whole - start_s.unwrap_or(0.0)).max(0.0))
}

//! The sound of one utterance: decoded, looked at and brought to the pipeline's rate, block by block.

use std::collections::HashMap;

use crate::audio::{Hertz, Seconds};
use crate::load::{Channels, Cut, Decoder, Listener, LoadWarning, Pick, Quality, QualityColumns, Take};
use crate::plan::Plan;
use crate::resample::{Method, Resampler};

use super::failure::Failure;
use super::keep_if::measured;

/// Resamplers that a thread keeps, one for each rate and channel. Corpora have a few; a folder of thousands must not fill the
/// memory.
const RATES: usize = 16;

/// Bytes that they may take while another rate is at hand: a few of odd rates take as much as hundreds of usual ones.
const RESAMPLER_BYTES: usize = 128 << 20;

/// What one thread keeps from utterance to utterance to read sound.
#[derive(Default)]
pub(super) struct Reader {
    /// One for each channel, like the listeners.
    blocks: Vec<Vec<f32>>,
    listeners: Vec<Listener>,
    resampled: Vec<f32>,
    /// One for each channel.
    resamplers: HashMap<Hertz, Vec<Resampler>>,
}

/// An utterance that is open.
pub(super) struct Opened {
    decoder: Decoder,
    /// Whether all channels are read, or the one that was picked.
    all: bool,
    /// Channels that are given.
    pub(super) channels: usize,
    /// The rate in which they are given.
    pub(super) rate: Hertz,
}

/// What was found in an utterance that was read to its end.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Samples of each channel, at the rate in which they were given.
    pub(super) num_samples: u64,
    pub(super) quality: Option<Quality>,
    pub(super) warning: Option<LoadWarning>,
}

impl Reader {
    /// Opens the utterance in `row` of the plan's table.
    pub(super) fn open(&mut self, plan: &Plan, row: usize) -> Result<Opened, Failure> {
        let Plan { pipeline, table, .. } = plan;
        let pick = match table.channel(row) {
            Some(channel) => Pick::Channel(channel.try_into().unwrap_or(u16::MAX)),
            None => pipeline.load.channels.pick(),
        };
        let cut = Cut {
            start: table.start_s(row).and_then(Seconds::new).unwrap_or(Seconds::ZERO),
            duration: table.cut_duration_s(row).and_then(Seconds::new),
        };
        let take = Take { cut, pick, rate: pipeline.rate() };
        let decoder = Decoder::open(table.location(row), take, &pipeline.load)?;
        let all = pipeline.load.channels == Channels::Keep && table.channel(row).is_none();
        let channels = if all { usize::from(decoder.num_channels()) } else { 1 };
        let native = decoder.sample_rate();
        let opened = Opened { all, channels, rate: pipeline.rate().unwrap_or(native), decoder };
        self.make_ready(plan, native, opened.rate, channels)?;
        Ok(opened)
    }

    /// Reads an utterance to its end and gives `sink` each channel's samples at the pipeline's rate, block by block, all
    /// channels in turn.
    pub(super) fn read(
        &mut self,
        plan: &Plan,
        opened: Opened,
        mut sink: impl FnMut(usize, &[f32]) -> Result<(), Failure>,
    ) -> Result<Found, Failure> {
        let Opened { mut decoder, all, channels, .. } = opened;
        let native = decoder.sample_rate();
        let blocks = &mut self.blocks[..channels];
        let listeners = &mut self.listeners[..channels];
        let Some(resamplers) = self.resamplers.get_mut(&native) else { unreachable!("they were made ready") };
        for (listener, resampler) in listeners.iter_mut().zip(resamplers.iter_mut()) {
            listener.begin(native);
            resampler.reset();
        }
        let mut num_samples = 0;
        loop {
            let more = if all { decoder.read_channels(blocks)? } else { decoder.read(&mut blocks[0])? };
            for (listener, block) in listeners.iter_mut().zip(blocks.iter_mut()) {
                listener.look(block)?;
            }
            for (channel, block) in blocks.iter().enumerate() {
                self.resampled.clear();
                if more {
                    resamplers[channel].push(block, &mut self.resampled);
                } else {
                    resamplers[channel].finish(&mut self.resampled);
                }
                num_samples += if channel == 0 { self.resampled.len() as u64 } else { 0 };
                sink(channel, &self.resampled)?;
            }
            if !more {
                break;
            }
        }
        let quality = Listener::finish(listeners, plan.pipeline.load.silence)?;
        Ok(Found { num_samples, quality, warning: decoder.warning() })
    }

    /// Sees to it that there are filters for so many channels.
    fn make_ready(&mut self, plan: &Plan, native: Hertz, rate: Hertz, channels: usize) -> Result<(), Failure> {
        let pipeline = &plan.pipeline;
        let kept = || self.resamplers.values().flatten();
        if kept().count() > RATES.max(channels) || kept().map(Resampler::bytes).sum::<usize>() > RESAMPLER_BYTES {
            self.resamplers.retain(|kept, _| *kept == native);
            self.resamplers.entry(native).or_default().truncate(channels);
        }
        let quality: QualityColumns = measured(plan);
        let resamplers = self.resamplers.entry(native).or_default();
        for channel in 0..channels {
            if channel >= resamplers.len() {
                let method = pipeline.resample.as_ref().map_or_else(Method::default, |resample| resample.method);
                let made = match resamplers.first() {
                    Some(first) => first.another(),
                    None => Resampler::new(native, rate, &method),
                };
                resamplers.push(made.map_err(Failure::Resample)?);
            }
            if channel >= self.blocks.len() {
                self.blocks.push(Vec::new());
                self.listeners.push(Listener::new(pipeline.load.nan, quality));
            }
        }
        Ok(())
    }
}

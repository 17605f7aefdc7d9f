//! A module at work on one utterance by itself, as a batch of one.

use super::{ModuleFault, Torchscript};
use crate::seed::Draws;
use crate::transform::{Extract, ExtractError};

/// The rows of `input`, then the module once all of an utterance is there.
pub(super) struct AtWork {
    settings: Torchscript,
    input: Box<dyn Extract>,
    made: Vec<f32>,
}

impl AtWork {
    pub(super) fn new(settings: Torchscript, input: Box<dyn Extract>) -> Self {
        Self { settings, input, made: Vec::new() }
    }
}

impl Extract for AtWork {
    fn begin(&mut self, draws: Draws<'_>) {
        self.made.clear();
        self.input.begin(draws);
    }

    fn push(&mut self, samples: &[f32], _: &mut Vec<f32>) {
        self.input.push(samples, &mut self.made);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        self.input.finish(&mut self.made)?;
        out.extend(alone(&self.settings, &self.made)?);
        Ok(())
    }
}

/// What the module makes of one input by itself.
fn alone(settings: &Torchscript, input: &[f32]) -> Result<Vec<f32>, ExtractError> {
    let failed = |fault: ModuleFault| ExtractError::Module { message: fault.to_string() };
    let made = settings.run(&[input]).map_err(failed)?.into_iter().next();
    settings.checked(made.ok_or_else(|| failed(ModuleFault::Failed { message: "it gave nothing".to_owned() }))?)
}

//! In place of libtorch, where wavemill is built without it.

use std::path::Path;
use std::sync::Arc;

use super::call::{Call, Given};
use super::{ModuleDevice, ModuleError, ModuleFault};

/// A module that nobody can open.
#[derive(Debug)]
pub(super) enum Module {}

impl Module {
    pub(super) fn open(_: &Path, _: ModuleDevice) -> Result<Arc<Self>, ModuleError> {
        Err(ModuleError::NotBuilt)
    }

    pub(super) fn hash(&self) -> &str {
        match *self {}
    }

    pub(super) fn run(&self, _: &Call<'_>, _: &[&[f32]]) -> Result<Vec<Given>, ModuleFault> {
        match *self {}
    }
}

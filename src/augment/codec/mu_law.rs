//! The μ-law of telephones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Apply, AugmentError, Draw};
use crate::audio::{Waveform, g711};

/// ITU-T G.711 μ-law: 8 bits for each 16-bit sample. It has no settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuLaw {}

impl Apply for MuLaw {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        g711::mu_law(sound);
        Ok(())
    }
}

//! The A-law of telephones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Apply, AugmentError, Draw};
use crate::audio::{Waveform, g711};

/// ITU-T G.711 A-law: 8 bits for each 16-bit sample. It has no settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ALaw {}

impl Apply for ALaw {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        g711::a_law(sound);
        Ok(())
    }
}

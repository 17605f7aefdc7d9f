//! The A-law of telephones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Apply, AugmentError, Draw};
use super::carrier::as_integers;
use crate::audio::Waveform;
use crate::audio::g711::{a_law_decode, a_law_encode};

/// ITU-T G.711 A-law: 8 bits for each 16-bit sample. It has no settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ALaw {}

impl Apply for ALaw {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        as_integers(sound, |sample| a_law_decode(a_law_encode(sample)));
        Ok(())
    }
}

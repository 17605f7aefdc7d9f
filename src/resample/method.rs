//! How sound is resampled: as well as a quality says, or with the kernel of a peer.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::fft::Design;
use super::torchaudio::Torchaudio;

/// What decides the filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Ours, as good as this.
    Quality(Quality),
    /// A peer's, to the last digits.
    Kernel(Kernel),
}

impl Default for Method {
    fn default() -> Self {
        Self::Quality(Quality::High)
    }
}

/// How good the filter is; `docs/resample.md` has the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Flat to 0.94 of the lower Nyquist frequency, nothing beyond 1 above −120 dB.
    #[default]
    High,
    /// Flat to 0.85, nothing beyond 1 above −80 dB; up to a tenth faster, and it rings a quarter as long.
    Fast,
}

impl Quality {
    pub(super) const fn design(self) -> Design {
        match self {
            // Single precision leaves some 130 dB; the short side is the fastest for sound of 5 s, see benches/resample.rs.
            Self::High => Design { pass: 0.94, attenuation_db: 130.0, short_side: 2_048 },
            Self::Fast => Design { pass: 0.85, attenuation_db: 90.0, short_side: 1_024 },
        }
    }
}

/// `kernel:` of the pipeline file: the kernel's name alone, or with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// The windowed sinc of torchaudio's `Resample`.
    Torchaudio(Torchaudio),
    /// rubato's `Fft` with blocks of smooth lengths.
    Rubato,
}

impl Kernel {
    /// What may be written, for error messages and the schema.
    const FORMS: &'static str = "`rubato`, `torchaudio`, or `torchaudio` with its settings as a mapping";
    /// The kernels' names.
    const NAMES: [&'static str; 2] = ["rubato", "torchaudio"];
}

impl<'de> Deserialize<'de> for Kernel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KernelVisitor)
    }
}

/// Reads a word or a mapping by hand: serde's `untagged` would forget where in the file a mistake stands.
struct KernelVisitor;

impl<'de> Visitor<'de> for KernelVisitor {
    type Value = Kernel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Kernel::FORMS)
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Kernel, E> {
        match word {
            "torchaudio" => Ok(Kernel::Torchaudio(Torchaudio::default())),
            "rubato" => Ok(Kernel::Rubato),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kernel, A::Error> {
        use serde::de::Error as _;
        let kernel = match map.next_key::<Cow<'de, str>>()?.as_deref() {
            Some("torchaudio") => Kernel::Torchaudio(map.next_value()?),
            Some(name) => return Err(A::Error::unknown_field(name, &["torchaudio"])),
            None => return Err(A::Error::invalid_length(0, &self)),
        };
        match map.next_key::<Cow<'de, str>>()? {
            None => Ok(kernel),
            Some(second) => Err(A::Error::unknown_field(&second, &["torchaudio"])),
        }
    }
}

impl JsonSchema for Kernel {
    fn schema_name() -> Cow<'static, str> {
        "Kernel".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": Self::FORMS,
            "anyOf": [
                { "enum": Self::NAMES },
                {
                    "type": "object",
                    "properties": { "torchaudio": generator.subschema_for::<Torchaudio>() },
                    "required": ["torchaudio"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::torchaudio::ResamplingMethod;

    fn read(json: &str) -> Result<Kernel, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_alone_has_its_defaults_and_is_written_back_with_them() {
        let default = Kernel::Torchaudio(Torchaudio::default());
        assert_eq!(read(r#""rubato""#).unwrap(), Kernel::Rubato);
        assert_eq!(serde_json::to_string(&Kernel::Rubato).unwrap(), r#""rubato""#);
        for json in [r#""torchaudio""#, r#"{"torchaudio": {}}"#] {
            assert_eq!(read(json).unwrap(), default, "{json}");
        }
        let written = serde_json::to_string(&default).unwrap();
        assert!(written.contains(r#""lowpass_filter_width":6"#), "{written}");
        assert_eq!(read(&written).unwrap(), default);
        let wide = Torchaudio {
            lowpass_filter_width: 64,
            resampling_method: ResamplingMethod::SincInterpKaiser,
            ..Torchaudio::default()
        };
        let json = r#"{"torchaudio": {"lowpass_filter_width": 64, "resampling_method": "sinc_interp_kaiser"}}"#;
        assert_eq!(read(json).unwrap(), Kernel::Torchaudio(wide));
    }

    #[test]
    fn all_else_is_refused_with_what_would_do() {
        for (json, says) in [
            (r#""librosa""#, "`torchaudio`"),
            ("3", "`torchaudio`"),
            ("{}", "`torchaudio`"),
            (r#"{"librosa": {}}"#, "`torchaudio`"),
            (r#"{"torchaudio": {}, "librosa": {}}"#, "`librosa`"),
            (r#"{"torchaudio": {"rollof": 1}}"#, "`rolloff`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}

//! Where a module runs.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a module runs: `cpu`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ModuleDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The GPU of a number, from 0.
    Cuda(u8),
}

impl fmt::Display for ModuleDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Serialize for ModuleDevice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModuleDevice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let number = |text: &str| text.strip_prefix("cuda:")?.parse().ok();
        match text.as_ref() {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => number(other)
                .map(Self::Cuda)
                .ok_or_else(|| D::Error::custom(format!("`{other}` is no device: write `cpu`, `cuda` or `cuda:1`"))),
        }
    }
}

impl JsonSchema for ModuleDevice {
    fn schema_name() -> Cow<'static, str> {
        "ModuleDevice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "title": "`cpu`, `cuda`, `cuda:1`", "description": "Where a module runs." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_as_torch_names_it() {
        let read = |text: &str| serde_json::from_str::<ModuleDevice>(&format!("\"{text}\"")).map_err(|e| e.to_string());
        assert_eq!(read("cpu"), Ok(ModuleDevice::Cpu));
        assert_eq!(read("cuda"), Ok(ModuleDevice::Cuda(0)));
        assert_eq!(read("cuda:3").map(|device| device.to_string()), Ok("cuda:3".to_owned()));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cuda:256"] {
            assert!(read(wrong).unwrap_err().contains("is no device"), "{wrong}");
        }
    }
}

//! Cepstral mean and variance normalisation: each bin less its mean, over its standard deviation if asked for.
//!
//! Over the utterance: y = (x − μ) / max(σ + `eps`, `std_floor`), as Kaldi's `apply-cmvn` (variance over n, floor 1e-20), NeMo's
//! `normalize: per_feature` (variance over n − 1, σ + 1e-5) and `SpeechBrain`'s `InputNormalization` have it. Over a sliding
//! window: torchaudio 2.11's `SlidingWindowCmn`, which is Kaldi's `apply-cmvn-sliding`.

mod global;
mod sliding;
mod utterance;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::global::GlobalStatistics;
use self::global::OverDataset;
use self::sliding::Sliding;
use self::utterance::OverUtterance;
use super::{AtLoad, AtLoadError, Column, EachFrame, Extract, SettingError, Transform, Whole};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// Each bin less its mean, and over its standard deviation if asked for.
///
/// Shape `[frames, bins]`; the unit stays, or is standard deviations with `norm_vars`. Kaldi's `apply-cmvn` is `{}`, or `{ norm_vars:
/// true }`; NeMo's `per_feature` `{ norm_vars: true, variance: unbiased, eps: 1.0e-5 }`; `torchaudio.transforms.SlidingWindowCmn`
/// `{ over: sliding }`, whose names and defaults the window's settings have. A bin that does not change becomes 0, where
/// torchaudio has infinities or none at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cmvn {
    /// What mean and variance are taken over: `utterance` (default), `sliding` or `global`.
    pub over: CmvnOver,
    /// `global`: a JSON file with `mean` and `variance` of each bin, as `statistics` of a manifest has them by column; null takes
    /// those of the dataset that is made.
    pub statistics: Option<Template>,
    /// Whether the mean is taken away; true.
    pub norm_means: bool,
    /// Whether the standard deviation is made 1; false.
    pub norm_vars: bool,
    /// What the squares are divided by: their number, `population` (default), or one less, `unbiased`.
    pub variance: Variance,
    /// What is added to the standard deviation, up to 1000; 0. NeMo has 1e-5.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub eps: f64,
    /// The least standard deviation that is divided by, 1e-20 to 1000; 1e-10, as in Kaldi.
    #[schemars(range(min = 1e-20, max = 1000.0))]
    pub std_floor: f64,
    /// `sliding`: the window in frames, up to a million; 600. Without `center`, one more: the frame itself.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cmn_window: u32,
    /// `sliding` without `center`: the frames that the first windows have at least, up to a million; 100.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_cmn_window: u32,
    /// `sliding`: whether the frame is in the middle of its window rather than at its end; false.
    pub center: bool,
}

/// What mean and variance are taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CmvnOver {
    /// All frames of the utterance.
    #[default]
    Utterance,
    /// The frames around each frame, or before it.
    Sliding,
    /// All frames of the dataset, or those of `statistics`: frames are stored as they are, the manifest hands this row on to
    /// the loader under `at_load`, and only rows of that kind can follow.
    Global,
}

/// What the summed squares of the deviations are divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// Their number, as in Kaldi and in torchaudio's sliding window.
    #[default]
    Population,
    /// One less than their number, as in torch's `std` and NeMo.
    Unbiased,
}

impl Default for Cmvn {
    fn default() -> Self {
        Self {
            over: CmvnOver::Utterance,
            statistics: None,
            norm_means: true,
            norm_vars: false,
            variance: Variance::Population,
            eps: 0.0,
            std_floor: 1e-10,
            cmn_window: 600,
            min_cmn_window: 100,
            center: false,
        }
    }
}

impl Member for Cmvn {
    const EXAMPLE: &'static str = "cmvn: { norm_vars: true }";
}

impl Cmvn {
    /// The first setting of the sliding window that is not its default.
    fn window_setting(&self) -> Option<&'static str> {
        let default = Self::default();
        let changed = [
            ("cmn_window", self.cmn_window != default.cmn_window),
            ("min_cmn_window", self.min_cmn_window != default.min_cmn_window),
            ("center", self.center != default.center),
        ];
        changed.into_iter().find_map(|(key, changed)| changed.then_some(key))
    }

    const fn norm(&self) -> Norm {
        let Self { norm_means: means, norm_vars: vars, variance, eps, std_floor, .. } = *self;
        Norm { means, vars, variance, eps, std_floor }
    }
}

impl Transform for Cmvn {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("eps", self.eps, 0.0, 1e3)?;
        SettingError::unless_within("std_floor", self.std_floor, 1e-20, 1e3)?;
        SettingError::unless_within("cmn_window", f64::from(self.cmn_window), 1.0, 1e6)?;
        SettingError::unless_within("min_cmn_window", f64::from(self.min_cmn_window), 0.0, 1e6)?;
        if !self.norm_means && !self.norm_vars {
            return Err(SettingError::DoesNotFit {
                key: "norm_means",
                reason: "with neither `norm_means` nor `norm_vars` nothing is normalised",
            });
        }
        if self.over != CmvnOver::Sliding
            && let Some(key) = self.window_setting()
        {
            return Err(SettingError::DoesNotFit { key, reason: "a window needs `over: sliding`" });
        }
        if self.over == CmvnOver::Global && self.variance == Variance::Unbiased {
            return Err(SettingError::DoesNotFit {
                key: "variance",
                reason: "statistics of a dataset are of the population",
            });
        }
        if self.statistics.is_some() && self.over != CmvnOver::Global {
            return Err(SettingError::DoesNotFit {
                key: "statistics",
                reason: "statistics of a file need `over: global`",
            });
        }
        let unit = if self.norm_vars { "standard deviations".to_owned() } else { before.unit.clone() };
        Ok(Column { unit, dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let bins = before.bins.unwrap_or(1);
        Ok(match self.over {
            CmvnOver::Utterance => Box::new(Whole::new(OverUtterance::new(self.norm(), bins))),
            CmvnOver::Sliding => Box::new(Sliding::new(self, bins)),
            CmvnOver::Global => {
                let reason = "statistics of a dataset are applied when it is loaded";
                return Err(SettingError::DoesNotFit { key: "over", reason });
            }
        })
    }

    fn at_load(&self) -> Option<&dyn AtLoad> {
        (self.over == CmvnOver::Global).then_some(self)
    }
}

impl AtLoad for Cmvn {
    /// The settings, `statistics` being the mean and the variance of each bin where a file is named.
    fn settings(&self, before: &Column, variables: &Variables) -> Result<Value, AtLoadError> {
        let mut settings = serde_json::to_value(self).unwrap_or_else(|error| unreachable!("plain data: {error}"));
        if let Some(path) = &self.statistics {
            let path = PathBuf::from(path.fill(variables)?.as_ref());
            settings["statistics"] = serde_json::to_value(GlobalStatistics::read(path, before.bins.unwrap_or(1))?)
                .unwrap_or_else(|error| unreachable!("numbers: {error}"));
        }
        Ok(settings)
    }

    fn prepare(&self, before: &Column, statistics: Option<&GlobalStatistics>) -> Result<Box<dyn Extract>, AtLoadError> {
        self.column(before).map_err(AtLoadError::Setting)?;
        let statistics = statistics.ok_or(AtLoadError::NoneInManifest)?;
        statistics.check(before.bins.unwrap_or(1))?;
        Ok(Box::new(EachFrame(OverDataset::new(self.norm(), statistics))))
    }
}

/// What is done with mean and variance.
#[derive(Debug, Clone, Copy)]
struct Norm {
    means: bool,
    vars: bool,
    variance: Variance,
    eps: f64,
    std_floor: f64,
}

impl Norm {
    /// What is divided by to make a variance of the summed squares of `count` deviations.
    fn denominator(self, count: usize) -> f64 {
        match self.variance {
            Variance::Population => count as f64,
            Variance::Unbiased => count.saturating_sub(1).max(1) as f64,
        }
    }

    /// What is multiplied with where the variance is `variance`, zero or more.
    fn scale(self, variance: f64) -> f64 {
        1.0 / (variance.sqrt() + self.eps).max(self.std_floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let before = Column::of(3, "dB", None);
        let refused = |json: &str| {
            let settings: Cmvn = serde_json::from_str(json).unwrap();
            settings.column(&before).unwrap_err().key()
        };
        assert_eq!(refused(r#"{"norm_means": false}"#), "norm_means");
        assert_eq!(refused(r#"{"cmn_window": 300}"#), "cmn_window");
        assert_eq!(refused(r#"{"center": true}"#), "center");
        assert_eq!(refused(r#"{"over": "sliding", "cmn_window": 0}"#), "cmn_window");
        assert_eq!(refused(r#"{"std_floor": 0}"#), "std_floor");
        assert_eq!(refused(r#"{"eps": -1}"#), "eps");
        assert_eq!(refused(r#"{"statistics": "a.json"}"#), "statistics");
    }

    #[test]
    fn the_unit_stays_until_variances_are_normalised() {
        let after = |settings: Cmvn| settings.column(&Column::of(3, "dB", None)).unwrap().unit;
        assert_eq!(after(Cmvn::default()), "dB");
        assert_eq!(after(Cmvn { norm_vars: true, ..Cmvn::default() }), "standard deviations");
    }

    #[test]
    fn statistics_of_a_file_are_handed_to_the_loader_and_those_of_other_features_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statistics.json");
        let variables: Variables = [("DIR".to_owned(), folder.path().display().to_string())].into_iter().collect();
        let json = r#"{"over": "global", "statistics": "${DIR}/statistics.json"}"#;
        let cmvn: Cmvn = serde_json::from_str(json).unwrap();
        let settings = |bins| cmvn.at_load().unwrap().settings(&Column::of(bins, "dB", None), &variables);
        assert!(settings(2).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, "{\"mean\": [1, 2]}").unwrap();
        assert!(settings(2).unwrap_err().to_string().contains("`variance`"));
        std::fs::write(&path, "{\"count\": 9, \"mean\": [1, 2], \"variance\": [4, 9]}").unwrap();
        assert_eq!(settings(2).unwrap()["statistics"]["variance"], serde_json::json!([4.0, 9.0]));
        assert!(settings(3).unwrap_err().to_string().contains("2 bins, and the column has 3"));
        assert!(Cmvn::default().at_load().is_none());
    }
}

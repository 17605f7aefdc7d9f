//! What is done to the stored frames of a column when they are loaded: what the manifest leaves to the loader, then what its user asks
//! for, as one.

use serde_json::{Value, json};
use thiserror::Error;

use super::{
    AtLoadError, Column, Extract, ExtractError, Finite, GlobalStatistics, Link, SettingError, Transforms, chain,
};
use crate::audio::Seconds;
use crate::manifest::Statistics;
use crate::seed::Draws;
use crate::variables::Variables;

/// Numbers that a stored frame may have: a spectrum of two million points has no more.
const MOST_BINS: usize = 1 << 20;

/// A column of features as a dataset's manifest describes it.
#[derive(Debug, Clone, Copy)]
pub struct StoredColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// Numbers a frame: cells are `[frames, bins]`; none where a cell is one-dimensional, `[frames]`.
    pub bins: Option<usize>,
    /// What the numbers measure.
    pub unit: &'a str,
    /// The time from one frame to the next, where it is known.
    pub frame_shift: Option<Seconds>,
    /// The manifest's rows of the column under `at_load`: each a transform's name and its settings.
    pub at_load: &'a [Value],
    /// The manifest's statistics of the column, where it has any.
    pub statistics: Option<&'a Statistics>,
}

/// The transforms of a column that are done when it is loaded: first those that the manifest hands on under `at_load`, then further ones, in
/// their order, as one.
///
/// What a row draws depends on the seed, on its place, `load.<column>.<row>`, and on the utterance and the copy of the [`Draws`] that
/// its work [begins](Extract::begin) with, and on nothing else. Rows are counted from 0, the manifest's first. A loader gives the
/// key of the dataset's row as [`id`](Draws::id) and the epoch as [`copy`](Draws::copy), so that each epoch draws anew and any
/// row of any epoch can be made again without those before it:
///
/// ```
/// use serde_json::json;
/// use wavemill::manifest::Statistics;
/// use wavemill::seed::Draws;
/// use wavemill::transform::{LoadChain, StoredColumn};
/// use wavemill::variables::Variables;
///
/// let statistics = Statistics { count: 9, mean: vec![1.0, 2.0], variance: vec![4.0, 9.0] };
/// let column = StoredColumn {
///     name: "features",
///     bins: Some(2),
///     unit: "ln(energy)",
///     frame_shift: None,
///     at_load: &[json!({"cmvn": {"over": "global", "norm_vars": true, "statistics": null}})],
///     statistics: Some(&statistics),
/// };
/// let further = [serde_json::from_value(json!({"crop": {"frames": 1, "location": "end"}}))?];
/// let load_chain = LoadChain::new(&column, &further, &Variables::default())?;
/// assert_eq!(load_chain.num_frames(2), 1);
///
/// let mut at_work = load_chain.prepare()?;
/// let (seed, key, epoch) = (17, "alba-01", 0);
/// let mut out = Vec::new();
/// at_work.begin(Draws { seed, id: key, copy: epoch, segment: None, channel: 0 });
/// at_work.push(&[0.0, 0.0, 3.0, 8.0], &mut out);
/// at_work.finish(&mut out)?;
/// assert_eq!(out, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LoadChain {
    name: String,
    stored: Column,
    loaded: Column,
    rows: Vec<Row>,
}

/// A row of the chain.
#[derive(Debug, Clone)]
struct Row {
    transform: Transforms,
    /// Those of its settings; else, where it needs any, the manifest's.
    statistics: Option<GlobalStatistics>,
}

/// Why a column cannot be loaded as it was asked for.
#[derive(Debug, Error)]
pub enum LoadChainError {
    /// Frames of no numbers, or of absurdly many.
    #[error("the manifest gives the column `{column}` {bins} bins, and a frame has 1 to {MOST_BINS}: it is damaged")]
    Bins {
        /// The column.
        column: String,
        /// Numbers a frame, as the manifest says.
        bins: usize,
    },
    /// The manifest hands on a row that is no transform of this version.
    #[error(
        "row {row} of `at_load.{column}` in the manifest is no transform that this wavemill knows: use the version that made the \
         dataset, or a newer one"
    )]
    Unknown {
        /// The column.
        column: String,
        /// The row, counted from 0.
        row: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A row does not fit the column, or the row before it.
    #[error("`{transform}` cannot be applied when the column `{column}` is loaded{}", told_key(source))]
    Setting {
        /// The column.
        column: String,
        /// The row, counted from 0, the manifest's first.
        row: usize,
        /// The row's transform.
        transform: &'static str,
        /// What does not fit.
        #[source]
        source: SettingError,
    },
    /// What a row needs is not there, or is not of this column.
    #[error("`{transform}` cannot be applied when the column `{column}` is loaded")]
    AtLoad {
        /// The column.
        column: String,
        /// The row, counted from 0, the manifest's first.
        row: usize,
        /// The row's transform.
        transform: &'static str,
        /// What it lacks.
        #[source]
        source: AtLoadError,
    },
}

/// The key of the setting that must change, where there is one.
fn told_key(error: &SettingError) -> String {
    if error.key().is_empty() { String::new() } else { format!(" (`{}`)", error.key()) }
}

impl LoadChain {
    /// The chain of a stored column: its rows under `at_load`, then `further` ones. `variables` are for the paths in these.
    ///
    /// # Errors
    ///
    /// A row of a later version, one that does not fit what comes before it, or one whose statistics are missing or of other
    /// features.
    pub fn new(
        column: &StoredColumn<'_>,
        further: &[Transforms],
        variables: &Variables,
    ) -> Result<Self, LoadChainError> {
        let StoredColumn { name, bins, unit, frame_shift, at_load, statistics } = *column;
        if let Some(bins) = bins.filter(|bins| !(1..=MOST_BINS).contains(bins)) {
            return Err(LoadChainError::Bins { column: name.to_owned(), bins });
        }
        let stored = Column { bins, unit: unit.to_owned(), dtype: None, frame_shift };
        let mut made = Self { name: name.to_owned(), loaded: stored.clone(), stored, rows: Vec::new() };
        let dataset = statistics.map(GlobalStatistics::from);
        for row in at_load {
            let (transform, own) = made.read(row)?;
            made.add(transform, own, dataset.as_ref())?;
        }
        for transform in further {
            let (transform, own) = match transform.member().at_load() {
                Some(row) => {
                    let settings = row.settings(&made.loaded, variables);
                    let settings = settings.map_err(|source| made.lacking(transform, source))?;
                    made.read(&json!({ transform.name(): settings }))?
                }
                None => (transform.clone(), None),
            };
            made.add(transform, own, dataset.as_ref())?;
        }
        Ok(made)
    }

    /// The column as it is loaded.
    #[must_use]
    pub const fn column(&self) -> &Column {
        &self.loaded
    }

    /// Whether nothing is done: what is loaded is what is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many frames become of `frames` stored ones.
    #[must_use]
    pub fn num_frames(&self, frames: u64) -> u64 {
        let members = self.rows.iter().map(|row| row.transform.member());
        // Without frames there is nothing to load, whatever would be made of none.
        members.fold(frames, |frames, row| if frames == 0 { 0 } else { row.num_frames(frames) })
    }

    /// The chain made ready for one worker, who pushes stored frames as [`Extract`] takes them. What it makes is watched: an
    /// utterance of which no frame or a number that is not finite becomes is an error.
    ///
    /// # Errors
    ///
    /// None: a chain that was made can be made ready.
    pub fn prepare(&self) -> Result<Box<dyn Extract>, LoadChainError> {
        let mut column = self.stored.clone();
        let mut links = Vec::with_capacity(self.rows.len());
        for (number, row) in self.rows.iter().enumerate() {
            let at_work = self.at_work(number, row, &column)?;
            column = row.transform.member().column(&column).map_err(|error| self.unfit(number, row, error))?;
            links.push(Link::new(at_work, column.bins.unwrap_or(1)));
        }
        let mut links = links.into_iter();
        let Some(first) = links.next() else { return Ok(Box::new(AsStored)) };
        Ok(Box::new(Finite::new(chain(first, links.collect()), column.bins.unwrap_or(1))))
    }

    /// The transform of a row of the manifest, and the statistics of its own.
    fn read(&self, row: &Value) -> Result<(Transforms, Option<GlobalStatistics>), LoadChainError> {
        let mut row = row.clone();
        let settings = row.as_object_mut().and_then(|row| row.values_mut().next());
        let own = settings.and_then(|settings| settings.get_mut("statistics")).map(Value::take);
        let unknown = |source| LoadChainError::Unknown { column: self.name.clone(), row: self.rows.len(), source };
        let transform: Transforms = serde_json::from_value(row).map_err(unknown)?;
        match own {
            None | Some(Value::Null) => Ok((transform, None)),
            Some(own) => match serde_json::from_value(own) {
                Ok(own) => Ok((transform, Some(own))),
                Err(error) => Err(self.lacking(&transform, AtLoadError::NotStatistics(error))),
            },
        }
    }

    /// Adds a row with the statistics of its own, or else those of the dataset if it needs any.
    fn add(
        &mut self,
        transform: Transforms,
        own: Option<GlobalStatistics>,
        dataset: Option<&GlobalStatistics>,
    ) -> Result<(), LoadChainError> {
        let statistics = match (transform.member().at_load(), own) {
            (None, _) => None,
            (Some(_), Some(own)) => Some(own),
            (Some(_), None) => {
                let changing = self.rows.iter().find(|row| !picks_frames(&row.transform));
                if let Some(row) = changing.map(|row| row.transform.name()) {
                    return Err(self.lacking(&transform, AtLoadError::NotOfTheseFrames { row }));
                }
                dataset.cloned()
            }
        };
        let (number, row) = (self.rows.len(), Row { transform, statistics });
        let after = row.transform.member().column(&self.loaded);
        let after = after.map_err(|error| self.unfit(number, &row, error))?;
        self.at_work(number, &row, &self.loaded)?;
        self.loaded = after;
        self.rows.push(row);
        Ok(())
    }

    /// A row made ready for frames of the column `before`.
    fn at_work(&self, number: usize, row: &Row, before: &Column) -> Result<Box<dyn Extract>, LoadChainError> {
        let transform = row.transform.member();
        if let Some(at_load) = transform.at_load() {
            let at_work = at_load.prepare(before, row.statistics.as_ref());
            at_work.map_err(|source| self.lacking_at(number, &row.transform, source))
        } else {
            let at_work = transform.prepare(before, &format!("load.{}.{number}", self.name));
            at_work.map_err(|error| self.unfit(number, row, error))
        }
    }

    fn unfit(&self, number: usize, row: &Row, source: SettingError) -> LoadChainError {
        LoadChainError::Setting { column: self.name.clone(), row: number, transform: row.transform.name(), source }
    }

    /// What the row that would be the next lacks.
    fn lacking(&self, transform: &Transforms, source: AtLoadError) -> LoadChainError {
        self.lacking_at(self.rows.len(), transform, source)
    }

    fn lacking_at(&self, row: usize, transform: &Transforms, source: AtLoadError) -> LoadChainError {
        LoadChainError::AtLoad { column: self.name.clone(), row, transform: transform.name(), source }
    }
}

/// Whether a transform leaves the numbers of the frames that it keeps as they are, so that statistics of all frames are theirs too.
const fn picks_frames(transform: &Transforms) -> bool {
    matches!(transform, Transforms::Crop(_) | Transforms::Subsample(_))
}

/// Frames as they are stored.
struct AsStored;

impl Extract for AsStored {
    fn begin(&mut self, _: Draws<'_>) {}

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        out.extend_from_slice(input);
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    const COLUMN: StoredColumn<'static> = StoredColumn {
        name: "features",
        bins: Some(2),
        unit: "ln(energy)",
        frame_shift: None,
        at_load: &[],
        statistics: None,
    };

    const ONE: Draws<'static> = Draws { seed: 17, id: "alba-01", copy: 0, channel: 0, segment: None };

    fn statistics() -> Statistics {
        Statistics { count: 9, mean: vec![1.5, -2.0], variance: vec![6.25, 0.0] }
    }

    /// A row as a manifest has it, with all settings.
    fn handed_on(settings: &Value) -> Value {
        let row: Transforms = serde_json::from_value(json!({ "cmvn": settings })).unwrap();
        let settings = row.member().at_load().unwrap().settings(&Column::of(2, "dB", None), &Variables::default());
        json!({ "cmvn": settings.unwrap() })
    }

    fn rows(rows: Value) -> Vec<Transforms> {
        serde_json::from_value(rows).unwrap()
    }

    fn chained(column: &StoredColumn<'_>, further: Value) -> Result<LoadChain, LoadChainError> {
        LoadChain::new(column, &rows(further), &Variables::default())
    }

    /// What it makes of frames that are pushed at once and in pieces, which must be the same, and as many as foretold.
    fn loaded(chain: &LoadChain, frames: &[f32], draws: Draws<'_>) -> Result<Vec<f32>, ExtractError> {
        let bins = chain.stored.bins.unwrap_or(1);
        let mut at_work = chain.prepare().unwrap();
        let mut one_way = |piece: usize| {
            at_work.begin(Draws { id: "before", ..draws });
            at_work.push(&vec![5.0; 9 * bins], &mut Vec::new());
            let mut out = vec![7.0; 5];
            at_work.begin(draws);
            for frames in frames.chunks(piece * bins) {
                at_work.push(frames, &mut out);
            }
            at_work.finish(&mut out)?;
            assert_eq!(out[..5], [7.0; 5], "what was in the vector stays there");
            Ok(out.split_off(5))
        };
        let whole: Result<Vec<f32>, ExtractError> = one_way(usize::MAX / bins);
        for piece in [1, 3, 64] {
            assert!(whole == one_way(piece), "in pieces of {piece} frames");
        }
        if let Ok(whole) = &whole {
            let foretold = chain.num_frames((frames.len() / bins) as u64) as usize;
            assert_eq!(whole.len(), foretold * chain.column().bins.unwrap_or(1), "as many frames as foretold");
        }
        whole
    }

    /// The message and those of its causes.
    fn told(error: &LoadChainError) -> String {
        let mut told = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            told = format!("{told}: {error}");
            cause = error.source();
        }
        told
    }

    fn frames(count: u16) -> Vec<f32> {
        (0..2 * count).map(|value| f32::from(value).sqrt() - 3.0).collect()
    }

    #[test]
    fn what_the_manifest_hands_on_is_done_with_its_statistics_or_those_of_the_row() {
        let by_numpy = |mean: [f32; 2], deviation: [f32; 2]| -> Vec<f32> {
            let value = |(place, value): (usize, f32)| (value - mean[place % 2]) / deviation[place % 2];
            frames(70).into_iter().enumerate().map(value).collect()
        };
        let own = json!({"mean": [0.5, 3.0], "variance": [4.0, 0.25]});
        let mut of_file = handed_on(&json!({"over": "global", "norm_vars": true}));
        of_file["cmvn"]["statistics"] = own;
        for (row, expected) in [
            (handed_on(&json!({"over": "global"})), by_numpy([1.5, -2.0], [1.0, 1.0])),
            (
                handed_on(&json!({"over": "global", "norm_vars": true, "eps": 0.5, "std_floor": 0.75})),
                by_numpy([1.5, -2.0], [3.0, 0.75]),
            ),
            (
                handed_on(&json!({"over": "global", "norm_vars": true, "norm_means": false, "std_floor": 0.125})),
                by_numpy([0.0, 0.0], [2.5, 0.125]),
            ),
            (of_file, by_numpy([0.5, 3.0], [2.0, 0.5])),
        ] {
            let statistics = statistics();
            let column = StoredColumn { at_load: std::slice::from_ref(&row), statistics: Some(&statistics), ..COLUMN };
            let out = loaded(&chained(&column, json!([])).unwrap(), &frames(70), ONE).unwrap();
            for (number, (out, expected)) in out.iter().zip(&expected).enumerate() {
                let near = (out - expected).abs() <= 2.0 * f32::EPSILON * expected.abs();
                assert!(near, "{row}: {number}: {out} is not {expected}");
            }
            assert_eq!(out.len(), expected.len());
        }
    }

    #[test]
    fn further_rows_follow_and_draw_by_seed_place_key_and_epoch() {
        let statistics = statistics();
        let at_load = [handed_on(&json!({"over": "global"}))];
        let column = StoredColumn { at_load: &at_load, statistics: Some(&statistics), ..COLUMN };
        let further =
            json!([{"crop": {"frames": 40}}, {"spec_augment": {}}, {"stack_frames": {"stack": 2, "stride": 2}}]);
        let chain = chained(&column, further.clone()).unwrap();
        assert_eq!((chain.column().bins, chain.num_frames(70), chain.num_frames(0)), (Some(4), 20, 0));

        // Each row by itself, at its place.
        let mut expected = frames(70);
        for value in expected.as_chunks_mut::<2>().0 {
            *value = [value[0] - 1.5, value[1] + 2.0];
        }
        let mut before = Column::of(2, "ln(energy)", None);
        for (number, row) in rows(further).iter().enumerate() {
            let mut at_work = row.member().prepare(&before, &format!("load.features.{}", number + 1)).unwrap();
            before = row.member().column(&before).unwrap();
            let mut out = Vec::new();
            at_work.begin(ONE);
            at_work.push(&expected, &mut out);
            at_work.finish(&mut out).unwrap();
            expected = out;
        }
        assert_eq!(loaded(&chain, &frames(70), ONE).unwrap(), expected);
        for other in [Draws { seed: 18, ..ONE }, Draws { id: "alba-02", ..ONE }, Draws { copy: 1, ..ONE }] {
            assert_ne!(loaded(&chain, &frames(70), other).unwrap(), expected, "{other:?}");
        }
    }

    #[test]
    fn a_further_row_takes_the_manifests_statistics_or_those_of_a_file() {
        let statistics = statistics();
        let column = StoredColumn { statistics: Some(&statistics), ..COLUMN };
        let global = json!({"cmvn": {"over": "global"}});
        let chain = chained(&column, json!([{"crop": {"frames": 1, "location": "start"}}, global])).unwrap();
        assert_eq!(loaded(&chain, &[1.0; 6], ONE).unwrap(), [-0.5, 3.0]);

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s.json"), r#"{"mean": [1, 2], "variance": [4, 9]}"#).unwrap();
        let variables: Variables = [("DIR".to_owned(), folder.path().display().to_string())].into_iter().collect();
        let of_file = rows(json!([{"log": {}}, {"cmvn": {"over": "global", "statistics": "${DIR}/s.json"}}]));
        let chain = LoadChain::new(&column, &of_file, &variables).unwrap();
        assert_eq!(loaded(&chain, &[1.0; 2], ONE).unwrap(), [-1.0, -2.0]);
        let unfilled = LoadChain::new(&column, &of_file, &Variables::default()).unwrap_err();
        assert!(told(&unfilled).contains("DIR"), "{}", told(&unfilled));
    }

    #[test]
    fn what_cannot_be_done_is_told_with_its_column_and_row() {
        let statistics = statistics();
        let with = |at_load: &[Value], further: Value| {
            let column = StoredColumn { at_load, statistics: Some(&statistics), ..COLUMN };
            told(&chained(&column, further).unwrap_err())
        };
        let global = handed_on(&json!({"over": "global"}));
        for row in
            [json!({"warp_drive": {}}), json!({"cmvn": {"over": "galaxy"}}), json!("cmvn"), json!({}), json!(null)]
        {
            let told = with(&[row], json!([]));
            assert!(told.contains("row 0 of `at_load.features`") && told.contains("newer"), "{told}");
        }
        let told_of = |statistics: Value| {
            let mut row = global.clone();
            row["cmvn"]["statistics"] = statistics;
            with(&[row], json!([]))
        };
        assert!(told_of(json!("a/file.json")).contains("`mean` and `variance`"));
        assert!(told_of(json!({"mean": [1, 2], "variance": [1, 2, 3]})).contains("3 bins, and the column has 2"));
        assert!(told_of(json!({"mean": [1, 2], "variance": [1, -2]})).contains("below zero, of bin 1"));
        // The manifest's statistics are of what is stored, not of what an earlier row made of it.
        let twice = with(std::slice::from_ref(&global), json!([{"cmvn": {"over": "global"}}]));
        assert!(twice.contains("`features`") && twice.contains("`cmvn` changes them"), "{twice}");
        let later = with(&[], json!([{"splice": {}}, {"cmvn": {"over": "global"}}]));
        assert!(later.contains("`splice` changes them"), "{later}");
        let unfit = with(std::slice::from_ref(&global), json!([{"crop": {"frames": 0}}]));
        assert!(unfit.contains("`crop`") && unfit.contains("(`frames`)") && unfit.contains("not between"), "{unfit}");
        let pcen = with(&[], json!([{"pcen": {}}]));
        assert!(pcen.contains("`pcen`") && pcen.contains("is not known"), "{pcen}");

        let without = StoredColumn { at_load: std::slice::from_ref(&global), ..COLUMN };
        assert!(told(&chained(&without, json!([])).unwrap_err()).contains("no statistics of this column"));
        let of_one = StoredColumn { bins: None, statistics: Some(&statistics), ..without };
        assert!(told(&chained(&of_one, json!([])).unwrap_err()).contains("2 bins, and the column has 1"));
        for bins in [0, MOST_BINS + 1, usize::MAX] {
            let told = told(&chained(&StoredColumn { bins: Some(bins), ..COLUMN }, json!([])).unwrap_err());
            assert!(told.contains(&format!("`features` {bins} bins")), "{told}");
        }
    }

    #[test]
    fn nothing_to_do_changes_nothing() {
        let chain = chained(&COLUMN, json!([])).unwrap();
        assert!(chain.is_empty());
        assert_eq!(*chain.column(), Column::of(2, "ln(energy)", None));
        assert_eq!(loaded(&chain, &frames(9), ONE).unwrap(), frames(9));
    }

    #[test]
    fn numbers_that_grow_beyond_single_precision_are_an_error_of_the_utterance() {
        let statistics = Statistics { count: 9, mean: vec![0.0; 2], variance: vec![0.0; 2] };
        let at_load = [handed_on(&json!({"over": "global", "norm_vars": true, "std_floor": 1e-20}))];
        let column = StoredColumn { at_load: &at_load, statistics: Some(&statistics), ..COLUMN };
        let chain = chained(&column, json!([])).unwrap();
        assert_eq!(loaded(&chain, &[0.0, 1.0, 0.0, 1e30], ONE), Err(ExtractError::NotFinite { frame: 1 }));
        assert_eq!(loaded(&chain, &[], ONE), Err(ExtractError::TooFewFrames { frames: 0, needed: 1 }));
    }
}

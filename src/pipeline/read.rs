//! From the text of a pipeline file to a [`Pipeline`], or to all that is wrong with it.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_path_to_error::Segment;
use thiserror::Error;

use super::Pipeline;
use super::lint::lint;
use super::mistake::{Mistake, Mistakes};
use super::tree::{Kind, Node, Step, bytes};
use crate::audio::Hertz;
use crate::augment::Augments;
use crate::corpus::{self, Corpus, CorpusTable, Deduplicate, RowCondition, SelectError};
use crate::error::chain;
use crate::featurize::{ModuleError, Recipe, RowError};
use crate::load::{Load, Quality};
use crate::transform::SettingError;
use crate::variables::{Template, Variables};
use crate::write::{ROW_COLUMNS, Split};

/// Why a pipeline file gives no pipeline.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read at all.
    #[error("the pipeline file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is read, and wrong.
    #[error(transparent)]
    Wrong(#[from] Mistakes),
}

/// Reads a pipeline file and checks all that can be known without its corpus.
///
/// # Errors
///
/// The file cannot be read, or every mistake in it that could be found in one go.
pub fn read(path: &Path, variables: &Variables) -> Result<Pipeline, ReadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ReadError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, variables).map_err(|mistakes| Mistakes::new(&path.display().to_string(), &text, mistakes).into())
}

/// The pipeline that a text describes, or its mistakes.
fn parse(text: &str, variables: &Variables) -> Result<Pipeline, Vec<Mistake>> {
    let tree = Node::parse(text).map_err(|error| vec![syntax(text, &error)])?;
    let mut mistakes = lint(&tree, Pipeline::schema().as_value(), "the pipeline");
    tree.visit_strings(&mut |string, span| {
        if let Err(error) = Template::from(string).fill(variables) {
            mistakes.push(Mistake::at(span.clone(), error.to_string()));
        }
    });
    // Serde sees the file only once the schema has nothing to say: it would repeat the first of these mistakes.
    if mistakes.is_empty() {
        match serde_path_to_error::deserialize::<_, Pipeline>(&tree.to_json()) {
            Ok(mut pipeline) => {
                let unopened = pipeline.open_modules(variables);
                mistakes = disagreements(&pipeline, &tree, variables, &unopened);
                if mistakes.is_empty() {
                    return Ok(pipeline);
                }
            }
            Err(error) => {
                let steps: Vec<Step> = error.path().iter().filter_map(step).collect();
                mistakes.push(Mistake::at(tree.place(&steps), error.inner().to_string()));
            }
        }
    }
    Err(mistakes)
}

/// A text that is no YAML.
fn syntax(text: &str, error: &serde_saphyr::Error) -> Mistake {
    let error = error.without_snippet();
    let place = error.location().map_or(0..0, |location| place_of(text, location));
    if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error {
        return Mistake::at(place, format!("the key `{key}` stands here twice"));
    }
    let message = error.to_string();
    // The parser's message ends with the line and column, which the caret shows.
    let reason = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
    Mistake::at(place, reason)
}

/// The bytes at a location of which the parser may know the line and column alone.
fn place_of(text: &str, location: serde_saphyr::Location) -> Range<usize> {
    if location.span().byte_len().is_some_and(|length| length > 0) {
        return bytes(location);
    }
    let line_start = text.split_inclusive('\n').take((location.line() as usize).saturating_sub(1)).map(str::len).sum();
    let column = (location.column() as usize).saturating_sub(1);
    let start: usize = line_start + text[line_start..].chars().take(column).map(char::len_utf8).sum::<usize>();
    let start = start.min(text.trim_end().len());
    start..start
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    }
}

/// What each part of the file allows but the parts together do not.
fn disagreements(
    pipeline: &Pipeline,
    tree: &Node,
    variables: &Variables,
    unopened: &[(String, ModuleError)],
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let place = |path: &[&str]| tree.place(&path.iter().map(|key| Step::Key((*key).to_owned())).collect::<Vec<_>>());
    if let Some(select) = &pipeline.select
        && let Err(error) = polars::sql::sql_expr(select.as_written())
        && !select.as_written().contains("${")
    {
        let mistake = Mistake::at(place(&["select"]), format!("this is no SQL condition: {error}"));
        mistakes.push(mistake.help("a condition over the corpus table, such as `duration_s BETWEEN 1 AND 30`"));
    }
    if let Some(keep_if) = &pipeline.keep_if
        && !keep_if.as_written().contains("${")
        && let Err(error) = check_keep_if(keep_if.as_written())
    {
        let mistake = Mistake::at(place(&["keep_if"]), error.to_string());
        let measures = Quality::COLUMNS.map(|(name, _)| format!("`{name}`")).join(", ");
        mistakes.push(mistake.help(format!("a condition over the corpus table and {measures}")));
    }
    let (least, most) = (pipeline.load.min_rate_hz, pipeline.load.max_rate_hz);
    if least > most {
        let key = if tree.get("load").is_some_and(|load| load.get("min_rate_hz").is_some()) { "min" } else { "max" };
        let message = format!("no rate is between {least} and {most}");
        let mistake = Mistake::at(place(&["load", &format!("{key}_rate_hz")]), message);
        mistakes.push(mistake.help("`min_rate_hz` is at most `max_rate_hz`"));
    }
    if pipeline.featurize.is_empty() {
        mistakes.extend(unmade(pipeline, tree));
    }
    for column in pipeline.featurize.keys() {
        let key_span = key_span(tree, column);
        let beside = |other: &&String| *column == format!("{other}_frames") || *column == format!("{other}_scale");
        if let Some(counted) = pipeline.featurize.keys().find(beside) {
            let message =
                format!("`{column}` is already a column beside `{counted}`: of its frame counts or its scales");
            mistakes.push(Mistake::at(key_span.clone(), message).help("choose another name for this column"));
        }
        let sound = pipeline.sound_columns().into_iter().map(|column| column.name);
        let fixed = ROW_COLUMNS.into_iter().map(str::to_owned);
        if let Some(taken) = fixed.chain(sound).find(|taken| taken == column) {
            let mistake = Mistake::at(key_span.clone(), format!("every row already has a column `{taken}`"));
            mistakes.push(mistake.help("choose another name for this column"));
        }
        if !column.starts_with(|c: char| c.is_ascii_alphabetic())
            || !column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            let mistake = Mistake::at(key_span, format!("`{column}` is no name for a column"));
            mistakes.push(mistake.help("a letter, then letters, digits and underscores"));
        }
    }
    if let Some(augment) = &pipeline.augment {
        if augment.each.is_empty() && augment.chain.is_empty() {
            let mistake = Mistake::at(place(&["augment"]), "the variants are to be augmented, and nothing says how");
            mistakes.push(mistake.help("add a `chain` of augmentations: `wavemill list augment` names them"));
        }
        for (key, rows) in [("each", &augment.each), ("chain", &augment.chain)] {
            let path = ["augment", key].map(|key| Step::Key(key.to_owned()));
            unfit_augmentations(pipeline.rate(), rows, &path, tree, &mut mistakes);
        }
    }
    for (index, row) in pipeline.segment.iter().enumerate() {
        if let Err(error) = row.member().check(pipeline.rate()) {
            let path = [Step::Key("segment".to_owned()), Step::Index(index)];
            mistakes.push(unfit_setting(&path, row.name(), &error, tree));
        }
    }
    mistakes
        .extend(pipeline.columns().filter_map(|(name, recipe)| unprepared(pipeline, tree, variables, name, recipe)));
    for (column, encode) in pipeline.audio() {
        if let Err(error) = encode.check(pipeline.rate()) {
            let steps = ["featurize", column].map(|key| Step::Key(key.to_owned())).into_iter().chain([Step::Index(0)]);
            let steps = steps.chain(["encode", error.key()].map(|key| Step::Key(key.to_owned()))).collect::<Vec<_>>();
            mistakes.push(Mistake::at(tree.place(&steps), error.to_string()));
        }
    }
    let is_open = |name: &str| unopened.iter().all(|(column, _)| column != name);
    let mut unfit: Vec<Mistake> = pipeline
        .columns()
        .filter(|(name, _)| is_open(name))
        .filter_map(|(name, recipe)| unfit(pipeline, tree, name, recipe))
        .collect();
    unfit.extend(unopened.iter().map(|(column, error)| no_module(tree, column, error)));
    if !unfit.is_empty() {
        mistakes.extend(unfit);
        return mistakes;
    }
    if let Some((part, message)) = pipeline.write.split.as_ref().and_then(Split::mistake) {
        let path: Vec<&str> = ["write", "split"].into_iter().chain(part).collect();
        mistakes.push(Mistake::at(place(&path), message));
    }
    if let Err(error) = pipeline.write.member().accepts(&pipeline.row_schema(Vec::new())) {
        mistakes.push(Mistake::at(place(&["write", pipeline.write.name(), error.key()]), error.to_string()));
    }
    mistakes
}

/// What is wrong with a pipeline that makes no columns.
fn unmade(pipeline: &Pipeline, tree: &Node) -> Option<Mistake> {
    let place = |key: &str| tree.place(&[Step::Key(key.to_owned())]);
    let Corpus::Wavemill(_) = &pipeline.corpus else {
        let mistake = Mistake::at(tree.place(&[]), "the pipeline lacks the key `featurize`");
        return Some(
            mistake.help("it names the columns to make; only a corpus that is a dataset (`wavemill`) goes without"),
        );
    };
    let idle = [
        ("load", pipeline.load != Load::default()),
        ("keep_if", pipeline.keep_if.is_some()),
        ("deduplicate", pipeline.deduplicate != Deduplicate::None),
        ("resample", pipeline.resample.is_some()),
        ("segment", !pipeline.segment.is_empty()),
        ("augment", pipeline.augment.is_some()),
    ];
    let (key, _) = idle.into_iter().find(|(_, there)| *there)?;
    let message = format!("`{key}` has no sound to work on: without `featurize` the rows go on as they are");
    Some(Mistake::at(place(key), message).help("add `featurize`, or leave this out"))
}

/// What a row that is done when the dataset is loaded lacks.
fn unprepared(
    pipeline: &Pipeline,
    tree: &Node,
    variables: &Variables,
    column: &str,
    recipe: &Recipe,
) -> Option<Mistake> {
    let error = recipe.at_load(pipeline.rate(), variables).err()?;
    let last = recipe.transforms.len();
    let steps = ["featurize", column].map(|key| Step::Key(key.to_owned())).into_iter().chain([Step::Index(last)]);
    let steps: Vec<Step> =
        steps.chain([recipe.name(last), "statistics"].map(|key| Step::Key(key.to_owned()))).collect();
    let mistake = Mistake::at(tree.place(&steps), chain(&error));
    Some(mistake.help("a JSON file with `mean` and `variance`, as `statistics` of a manifest has them by column"))
}

/// The row of a column that does not fit the sample rate, or the row before it.
fn unfit(pipeline: &Pipeline, tree: &Node, column: &str, recipe: &Recipe) -> Option<Mistake> {
    /// What is wrong at each of these is wrong at any rate of speech.
    const USUAL_RATES: [Hertz; 4] = [
        Hertz::new(16_000).unwrap(),
        Hertz::new(8_000).unwrap(),
        Hertz::new(22_050).unwrap(),
        Hertz::new(48_000).unwrap(),
    ];
    let prepare = |rate: Hertz| recipe.prepare(rate, &format!("featurize.{column}")).map(drop);
    let checked = match pipeline.rate() {
        Some(rate) => prepare(rate),
        None => recipe.column(None).map(drop).and_then(|()| {
            let checked = USUAL_RATES.map(prepare);
            if checked.iter().any(Result::is_ok) { Ok(()) } else { checked.into_iter().next().unwrap_or(Ok(())) }
        }),
    };
    let RowError { row, error } = checked.err()?;
    let (name, key) = (recipe.name(row), error.key());
    let steps = ["featurize", column].map(|key| Step::Key(key.to_owned())).into_iter().chain([Step::Index(row)]);
    let steps: Vec<Step> = steps.chain([name, key].map(|key| Step::Key(key.to_owned()))).collect();
    let mistake = Mistake::at(tree.place(&steps), error.to_string());
    Some(mistake.help(match error {
        SettingError::NeedsRate { .. } => "add a row such as `resample: { rate_hz: 16000 }`".to_owned(),
        SettingError::WrongRate { needed, key: "", .. } => format!("set `resample.rate_hz` to {}", needed.get()),
        SettingError::AfterLoad => "put this row before that one".to_owned(),
        _ if key.is_empty() => format!("`{name}` does not take sound at this rate: set another `resample.rate_hz`"),
        SettingError::DoesNotFit { .. } => format!("set `{key}` of `{name}` to something else"),
        _ => format!("set `{key}` of `{name}`, or another `resample.rate_hz`"),
    }))
}

/// A module that cannot be used.
fn no_module(tree: &Node, column: &str, error: &ModuleError) -> Mistake {
    let row = ["featurize", column].map(|key| Step::Key(key.to_owned())).into_iter().chain([Step::Index(0)]);
    let keys = ["torchscript", error.key()].map(|key| Step::Key(key.to_owned()));
    Mistake::at(tree.place(&row.chain(keys).collect::<Vec<_>>()), chain(error)).help(error.help())
}

/// Every augmentation below `path` with a setting that does not fit the sample rate, or another setting.
fn unfit_augmentations(
    rate: Option<Hertz>,
    rows: &[Augments],
    path: &[Step],
    tree: &Node,
    mistakes: &mut Vec<Mistake>,
) {
    for (index, row) in rows.iter().enumerate() {
        let path = [path, &[Step::Index(index)]].concat();
        if let Err(error) = row.member().check(rate) {
            mistakes.push(unfit_setting(&path, row.name(), &error, tree));
        }
        let inner = [row.name(), "transforms"].map(|key| Step::Key(key.to_owned()));
        unfit_augmentations(rate, row.member().inner(), &[path.as_slice(), &inner].concat(), tree, mistakes);
    }
}

/// A setting of the row at `path` that does not fit.
fn unfit_setting(path: &[Step], name: &str, error: &SettingError, tree: &Node) -> Mistake {
    let setting = [name, error.key()].map(|key| Step::Key(key.to_owned()));
    let mistake = Mistake::at(tree.place(&[path, &setting].concat()), error.to_string());
    match error.key() {
        "" => mistake,
        key => mistake.help(format!("set `{key}` of `{name}` to something else")),
    }
}

/// Checks a condition as far as the corpus need not be known: the columns of a source may have any name.
fn check_keep_if(sql: &str) -> Result<(), SelectError> {
    let condition = RowCondition::parse(sql)?;
    let known: Vec<(&str, corpus::Kind)> = CorpusTable::STANDARD_COLUMNS
        .into_iter()
        .chain(Quality::COLUMNS.map(|(name, _)| (name, corpus::Kind::Float64)))
        .collect();
    if condition.columns().iter().all(|column| known.iter().any(|(name, _)| name == column)) {
        condition.check(known.iter().copied())?;
    }
    Ok(())
}

/// The place of a column's name.
fn key_span(tree: &Node, column: &str) -> Range<usize> {
    match tree.get("featurize").map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.iter().find(|(key, _)| key.name == column).map(|(key, _)| key.span.clone()),
        _ => None,
    }
    .unwrap_or_else(|| tree.place(&[Step::Key("featurize".into())]))
}

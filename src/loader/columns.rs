//! Which columns a batch has, and how each is made of what is stored.

use crate::manifest::Dtype;
use crate::transform::{LoadChain, StoredColumn, Transforms};
use crate::value::Kind;
use crate::write::{CellChannels, FeatureColumn, arrow_schema, kind_of};

use super::error::LoaderError;
use super::prepared::features_column;
use super::settings::Settings;
use super::shard::Wanted;
use super::source::Source;

/// The columns of the batches of a loader.
pub(super) struct Columns {
    /// What is read of the shards of each dataset.
    pub(super) wanted: Vec<Wanted>,
    pub(super) padded: Vec<PaddedColumn>,
    /// Columns of encoded sound.
    pub(super) sound: Vec<String>,
    /// Columns of texts and numbers.
    pub(super) values: Vec<(String, Kind)>,
    /// The column that is taken for the features.
    pub(super) features: Option<String>,
}

/// A column of features.
pub(super) struct PaddedColumn {
    pub(super) name: String,
    /// The type of its numbers in a batch.
    pub(super) dtype: Dtype,
    /// Numbers a frame in a batch; none where it is one-dimensional.
    pub(super) bins: Option<usize>,
    pub(super) channels: CellChannels,
    /// As each dataset stores it, and what is done to its frames.
    pub(super) stored: Vec<(FeatureColumn, Option<LoadChain>)>,
}

impl PaddedColumn {
    /// Whether cells go into a batch as they are stored.
    pub(super) fn is_direct(&self, dataset: usize) -> bool {
        let (column, chain) = &self.stored[dataset];
        chain.is_none() && column.dtype == self.dtype && column.channels == CellChannels::One
    }
}

impl Columns {
    pub(super) fn new(sources: &[&Source], settings: &Settings) -> Result<Self, LoaderError> {
        let Some(first) = sources.first() else {
            return Err(LoaderError::setting("mix", "there is no dataset"));
        };
        let asked =
            |name: &str| settings.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column == name));
        if let Some(columns) = &settings.columns {
            for source in sources {
                let there = arrow_schema(&source.schema);
                if let Some(name) = columns.iter().find(|name| there.field_with_name(name).is_err()) {
                    let folder = source.folder.path().display();
                    let nearest =
                        crate::nearest::nearest(name, there.fields().iter().map(|field| field.name().as_str()));
                    let meant = nearest.map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default();
                    return Err(LoaderError::setting("columns", format!("{folder} has no column `{name}`{meant}")));
                }
            }
        }
        for (name, _) in &settings.transforms {
            if !first.schema.features.iter().any(|column| column.name == *name && asked(name)) {
                return Err(LoaderError::setting(
                    "transform",
                    format!("the batches have no column `{name}` of features"),
                ));
            }
        }
        let features = first.schema.features.iter().filter(|column| asked(&column.name));
        let padded = features.map(|column| padded(column, sources, settings)).collect::<Result<Vec<_>, _>>()?;
        let sound = first.schema.audio.iter().map(|column| column.name.clone()).filter(|name| asked(name));
        let sound: Vec<String> = sound.collect();
        let schema = arrow_schema(&first.schema);
        let values =
            schema.fields().iter().filter_map(|field| Some((field.name().clone(), kind_of(field.data_type())?)));
        // Keys and texts have places of their own.
        // Integers mean nothing without their scale.
        let raw = padded.iter().filter(|column: &&PaddedColumn| matches!(column.dtype, Dtype::I16 | Dtype::I8));
        let scales: Vec<String> = raw.filter_map(|column| column.stored[0].0.scale_name()).collect();
        let given = |name: &String| (asked(name) && name != "key" && name != "text") || scales.contains(name);
        let values: Vec<_> = values.filter(|(name, _)| given(name)).collect();
        let cells: Vec<String> = padded.iter().map(|column| column.name.clone()).chain(sound.iter().cloned()).collect();
        let wanted = sources.iter().map(|source| wanted(source, &cells, settings)).collect();
        let features = features_column(first, settings.columns.as_deref()).map(str::to_owned);
        let this = Self { wanted, padded, sound, values, features };
        for source in sources {
            let there = arrow_schema(&source.schema);
            let is_alike = |name: &str| {
                let [here, there] = [&schema, &there].map(|schema| schema.field_with_name(name).ok());
                here.zip(there).is_some_and(|(here, there)| here.data_type() == there.data_type())
            };
            let sounds = |name: &str| source.schema.audio.iter().any(|column| column.name == name);
            let values = this.values.iter().map(|(name, _)| name).find(|name| !is_alike(name));
            if let Some(name) = values.or_else(|| this.sound.iter().find(|name| !sounds(name))) {
                let folder = source.folder.path().display();
                let reason = format!(
                    "{folder} has no column `{name}` like that of the first dataset: name those of `columns` that all have"
                );
                return Err(LoaderError::setting("mix", reason));
            }
        }
        Ok(this)
    }
}

/// What is read of the shards of a dataset: the cells, and of the rest what is verified or given.
fn wanted(source: &Source, cells: &[String], settings: &Settings) -> Wanted {
    let schema = arrow_schema(&source.schema);
    let values = schema.fields().iter().filter(|field| kind_of(field.data_type()).is_some());
    // A row's texts and numbers have one checksum, and they are small.
    Wanted {
        cells: cells.to_vec(),
        values: values.map(|field| field.name().clone()).collect(),
        verify: settings.verify,
    }
}

fn padded(column: &FeatureColumn, sources: &[&Source], settings: &Settings) -> Result<PaddedColumn, LoaderError> {
    let name = column.name.as_str();
    let further = settings.transforms.iter().filter(|(of, _)| of == name).flat_map(|(_, rows)| rows.iter().cloned());
    let further: Vec<Transforms> = further.collect();
    let mut stored = Vec::new();
    let (mut bins, mut dtypes) = (Vec::new(), Vec::new());
    for source in sources {
        let there = source.schema.features.iter().find(|there| there.name == name);
        let there = there.filter(|there| there.channels == column.channels).ok_or_else(|| {
            let folder = source.folder.path().display();
            LoaderError::setting("mix", format!("{folder} has no column `{name}` like that of the first dataset"))
        })?;
        let of_manifest = StoredColumn {
            name,
            bins: there.bins,
            unit: &there.unit,
            frame_shift: None,
            at_load: source.at_load.get(name).map_or(&[][..], Vec::as_slice),
            statistics: source.statistics.get(name),
        };
        let chain = LoadChain::new(&of_manifest, &further, &settings.variables)?;
        let chain = Some(chain).filter(|chain| !chain.is_empty());
        let is_raw = settings.dtype == Some(there.dtype) && chain.is_none();
        dtypes.push(match (settings.dtype, there.dtype) {
            (Some(dtype @ (Dtype::F32 | Dtype::F16 | Dtype::Bf16)), _) => dtype,
            (Some(dtype), _) if is_raw => dtype,
            (Some(dtype), stored) => {
                let reason = format!(
                    "`{name}` is stored as {}, and can be given as f32, f16 or bf16, or as it is stored where nothing is done to it, not as {}",
                    stored.name(),
                    dtype.name()
                );
                return Err(LoaderError::setting("dtype", reason));
            }
            (None, Dtype::I16 | Dtype::I8) => Dtype::F32,
            (None, _) if chain.is_some() => Dtype::F32,
            (None, dtype) => dtype,
        });
        bins.push(chain.as_ref().map_or(there.bins, |chain| chain.column().bins));
        stored.push((there.clone(), chain));
    }
    if bins.iter().any(|other| *other != bins[0]) {
        let reason = format!("the frames of `{name}` have not the same number of bins in all datasets: {bins:?}");
        return Err(LoaderError::setting("mix", reason));
    }
    // Where datasets store different types, single precision holds them all.
    let dtype = if dtypes.iter().all(|other| *other == dtypes[0]) { dtypes[0] } else { Dtype::F32 };
    Ok(PaddedColumn { name: name.to_owned(), dtype, bins: bins[0], channels: column.channels, stored })
}

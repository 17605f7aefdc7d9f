//! A safetensors file being written, and the lines beside it.

use std::cmp::Reverse;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::Path;

use safetensors::Dtype as TensorType;
use safetensors::tensor::{Metadata as Header, TensorInfo};

use super::spool::Spool;
use super::{ROWS, offsets_name, tensor_type};
use crate::write::contract::{FeatureColumn, Row, RowSchema, WriteError, WriteRows};
use crate::write::{Metadata, ShardFile};

/// A shard being written: its tensors in files of their own until all rows are there.
pub(super) struct Shard {
    schema: RowSchema,
    file: ShardFile,
    lines: BufWriter<ShardFile>,
    features: Vec<Packed>,
    audio: Vec<Packed>,
    rows: usize,
}

impl Shard {
    pub(super) fn start(schema: &RowSchema, file: ShardFile, lines: ShardFile) -> Result<Self, WriteError> {
        let folder = file.folder();
        let features = schema.features.iter().map(|column| Packed::of_feature(column, folder));
        let audio = schema.audio.iter().map(|column| Packed::of_bytes(&column.name, folder));
        Ok(Self {
            features: features.collect::<io::Result<_>>()?,
            audio: audio.collect::<io::Result<_>>()?,
            schema: schema.clone(),
            file,
            lines: BufWriter::new(lines),
            rows: 0,
        })
    }
}

impl WriteRows for Shard {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        for (column, cell) in self.features.iter_mut().zip(row.cells) {
            column.push(&cell.bytes, cell.scale)?;
        }
        for (column, sound) in self.audio.iter_mut().zip(row.audio) {
            column.push(sound, 1.0)?;
        }
        serde_json::to_writer(&mut self.lines, &Metadata::of(row, &self.schema).0).map_err(io::Error::from)?;
        self.lines.write_all(b"\n")?;
        self.rows += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>, WriteError> {
        let Self { mut file, lines, features, audio, rows, .. } = *self;
        let mut tensors: Vec<Tensor> =
            features.into_iter().chain(audio).flat_map(|column| column.tensors(rows)).collect();
        // As safetensors orders them itself: so that each starts at a multiple of the size of its numbers.
        tensors.sort_by(|left, right| (Reverse(left.dtype), &left.name).cmp(&(Reverse(right.dtype), &right.name)));
        file.write_all(&header(&tensors, rows)?)?;
        for tensor in tensors {
            tensor.spool.pour(&mut file)?;
        }
        Ok(vec![file, lines.into_inner().map_err(IntoInnerError::into_error)?])
    }
}

/// The file's head: its length and what tensors follow.
fn header(tensors: &[Tensor], rows: usize) -> Result<Vec<u8>, WriteError> {
    let mut start = 0;
    let infos = tensors.iter().map(|tensor| {
        let data_offsets = (start, start + tensor.spool.len() as usize);
        start = data_offsets.1;
        (tensor.name.clone(), TensorInfo { dtype: tensor.dtype, shape: tensor.shape.clone(), data_offsets })
    });
    // One key only: a map of more would have them in any order.
    let metadata = [(ROWS.to_owned(), rows.to_string())].into_iter().collect();
    let header = Header::new(Some(metadata), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header).map_err(io::Error::from)?;
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut header);
    Ok(bytes)
}

struct Tensor {
    name: String,
    dtype: TensorType,
    shape: Vec<usize>,
    spool: Spool,
}

/// A column on its way into tensors.
struct Packed {
    name: String,
    dtype: TensorType,
    bins: Option<usize>,
    /// Bytes of what an offset counts: a frame, or a byte.
    frame_bytes: u64,
    cells: Spool,
    offsets: Spool,
    scales: Option<(String, Spool)>,
}

impl Packed {
    fn of_feature(column: &FeatureColumn, folder: &Path) -> io::Result<Self> {
        let scales = column.scale_name().map(|name| Ok::<_, io::Error>((name, Spool::create(folder)?))).transpose()?;
        Ok(Self {
            dtype: tensor_type(column.dtype),
            bins: column.bins,
            frame_bytes: column.frame_bytes() as u64,
            scales,
            ..Self::of_bytes(&column.name, folder)?
        })
    }

    fn of_bytes(name: &str, folder: &Path) -> io::Result<Self> {
        let mut offsets = Spool::create(folder)?;
        offsets.push(&0_i64.to_le_bytes())?;
        let (cells, scales, dtype) = (Spool::create(folder)?, None, TensorType::U8);
        Ok(Self { name: name.to_owned(), dtype, bins: None, frame_bytes: 1, cells, offsets, scales })
    }

    /// The frames of all rows so far.
    fn frames(&self) -> u64 {
        self.cells.len() / self.frame_bytes.max(1)
    }

    fn push(&mut self, cell: &[u8], scale: f32) -> io::Result<()> {
        self.cells.push(cell)?;
        self.offsets.push(&(self.frames() as i64).to_le_bytes())?;
        match &mut self.scales {
            Some((_, scales)) => scales.push(&scale.to_le_bytes()),
            None => Ok(()),
        }
    }

    fn tensors(self, rows: usize) -> impl Iterator<Item = Tensor> {
        let shape = [self.frames() as usize].into_iter().chain(self.bins).collect();
        let name = offsets_name(&self.name);
        let offsets = Tensor { name, dtype: TensorType::I64, shape: vec![rows + 1], spool: self.offsets };
        let cells = Tensor { name: self.name, dtype: self.dtype, shape, spool: self.cells };
        let scales = self.scales.map(|(name, spool)| Tensor { name, dtype: TensorType::F32, shape: vec![rows], spool });
        [Some(cells), Some(offsets), scales].into_iter().flatten()
    }
}

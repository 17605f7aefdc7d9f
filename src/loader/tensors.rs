//! Batches as tensors of libtorch.
//!
//! The threads of the loader read cells straight into the memory of tensors, so that each number is written once. For a GPU the
//! tensor is put into pinned memory and copied from there while the training loop goes on; libtorch's cache of pinned memory
//! keeps each piece until its copy is done.

use indexmap::IndexMap;
use tch::{Device, Kind, Tensor};

use super::batch::{Batch, Column, Padded};
use super::batches::Batches;
use super::error::LoaderError;
use super::memory::Buffer;
use super::state::State;
use crate::manifest::Dtype;

/// The memory of a tensor of bytes.
pub(super) struct Bytes(Tensor);

impl Bytes {
    pub(super) fn empty(bytes: usize) -> Self {
        Self(Tensor::empty([bytes as i64], (Kind::Uint8, Device::Cpu)))
    }

    #[expect(
        unsafe_code,
        reason = "libtorch gives its memory as a pointer; a copy out of it would be one pass more over each batch"
    )]
    pub(super) fn bytes(&self) -> &[u8] {
        if self.0.numel() == 0 {
            return &[];
        }
        // SAFETY: the tensor is contiguous, on the processor, of as many bytes as `numel` says, and its memory is handed out by nobody
        // else: `into_tensor` takes it by value.
        unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast::<u8>(), self.0.numel()) }
    }

    #[expect(
        unsafe_code,
        reason = "libtorch gives its memory as a pointer; a copy into it would be one pass more over each batch"
    )]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        if self.0.numel() == 0 {
            return &mut [];
        }
        // SAFETY: as above, and `self` is borrowed alone. The memory comes from libtorch, behind a call that the compiler cannot look
        // into: its bytes have some value, whichever.
        unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast::<u8>(), self.0.numel()) }
    }
}

/// A batch as tensors. The order of rows is the same in all of them.
#[derive(Debug)]
pub struct TensorBatch {
    /// The rows' keys: unique in a dataset.
    pub keys: Vec<String>,
    /// What is said in each, as far as that is known.
    pub texts: Vec<Option<String>>,
    /// The columns of features that were asked for.
    pub padded: IndexMap<String, PaddedTensor>,
    /// The columns of numbers and truths of which every row has a value: Int64, Double or Bool, `[rows]`.
    pub numbers: IndexMap<String, Tensor>,
    /// All other columns.
    pub columns: IndexMap<String, Column>,
    /// Rows that belong here and are damaged, where [`OnDamage::Skip`](super::OnDamage::Skip) leaves them out.
    pub skipped: Vec<String>,
    features: Option<String>,
}

/// A column of features.
#[derive(Debug)]
pub struct PaddedTensor {
    /// `[rows, frames, bins]` or `[rows, frames]`, with channels behind the rows where all are kept.
    pub values: Tensor,
    /// Frames of each row that are not padding: Int64, `[rows]`.
    pub lengths: Tensor,
}

impl TensorBatch {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The features: `features`, or else the only matrix, or else the first padded column that was asked for.
    #[must_use]
    pub fn features(&self) -> Option<&PaddedTensor> {
        self.padded.get(self.features.as_ref()?)
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<&Tensor> {
        self.numbers.get(name)
    }
}

impl Batch {
    /// The batch as tensors on `device`. For a GPU, features are copied from pinned memory while the program goes on.
    #[must_use]
    pub fn to_tensors(self, device: Device) -> TensorBatch {
        let Self { keys, texts, columns: all, skipped, features } = self;
        let (mut padded, mut numbers, mut columns) = (IndexMap::new(), IndexMap::new(), IndexMap::new());
        for (name, column) in all {
            match number(&column) {
                Some(tensor) => drop(numbers.insert(name, moved(&tensor, device))),
                None => match column {
                    Column::Padded(column) => drop(padded.insert(name, column.into_tensor(device))),
                    column => drop(columns.insert(name, column)),
                },
            }
        }
        TensorBatch { keys, texts, padded, numbers, columns, skipped, features }
    }
}

/// A column of numbers, if every row has one.
fn number(column: &Column) -> Option<Tensor> {
    match column {
        Column::Int(values) => Some(Tensor::from_slice(&values.iter().copied().collect::<Option<Vec<i64>>>()?)),
        Column::Float(values) => Some(Tensor::from_slice(&values.iter().copied().collect::<Option<Vec<f64>>>()?)),
        Column::Boolean(values) => Some(Tensor::from_slice(&values.iter().copied().collect::<Option<Vec<bool>>>()?)),
        Column::Padded(_) | Column::Text(_) | Column::Sound(_) => None,
    }
}

impl Padded {
    fn into_tensor(self, device: Device) -> PaddedTensor {
        let Self { dtype, shape, lengths, buffer, .. } = self;
        let kind = match dtype {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::Bf16 => Kind::BFloat16,
            Dtype::I16 => Kind::Int16,
            Dtype::I8 => Kind::Int8,
        };
        let shape: Vec<i64> = shape.into_iter().map(|size| size as i64).collect();
        let bytes = match buffer {
            Buffer::Tensor(bytes) => bytes.0,
            Buffer::Words(..) => Tensor::from_slice(buffer.bytes()),
        };
        let values = if bytes.numel() == 0 {
            Tensor::empty(shape, (kind, Device::Cpu))
        } else {
            bytes.view_dtype(kind).reshape(shape)
        };
        let lengths: Vec<i64> = lengths.into_iter().map(i64::from).collect();
        PaddedTensor { values: moved(&values, device), lengths: moved(&Tensor::from_slice(&lengths), device) }
    }
}

fn moved(values: &Tensor, device: Device) -> Tensor {
    if !device.is_cuda() {
        return values.to_device(device);
    }
    let kind = values.kind();
    values.pin_memory(device).to_device_(device, kind, true, false)
}

/// The batches of one process as tensors, in their order.
#[derive(Debug)]
pub struct TensorBatches {
    batches: Batches,
    device: Device,
}

impl TensorBatches {
    pub(super) const fn new(batches: Batches, device: Device) -> Self {
        Self { batches, device }
    }

    /// Where the sequence stands: see [`Batches::state`].
    #[must_use]
    pub fn state(&self) -> State {
        self.batches.state()
    }

    /// Batches that this process takes in an epoch.
    #[must_use]
    pub fn batches_in_epoch(&self, epoch: u32) -> usize {
        self.batches.batches_in_epoch(epoch)
    }
}

impl Iterator for TensorBatches {
    type Item = Result<TensorBatch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.map(|batch| batch.to_tensors(self.device)))
    }
}

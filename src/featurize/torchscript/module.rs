//! A module at work in libtorch.
//!
//! Determinism: operators run in one thread, so that sums have a fixed order. TorchScript's executor is told not to optimise: it
//! would watch the first runs and fuse operators for later ones, and the bits of an utterance would depend on how many came before
//! it in this process.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use tch::{CModule, Cuda, Device, IValue, Kind, TchError, Tensor};

use super::call::{Call, Given};
use super::error::one_line;
use super::{Lengths, ModuleDevice, ModuleError, ModuleFault, ModuleOutput};
use crate::isolation::isolated;

/// A module that is open.
#[derive(Debug)]
pub(super) struct Module {
    script: CModule,
    device: Device,
    hash: String,
    /// On a GPU, one batch at a time has its memory.
    turn: Option<Mutex<()>>,
}

/// The modules that are open in this process.
static OPEN: Mutex<Vec<(String, ModuleDevice, Weak<Module>)>> = Mutex::new(Vec::new());

impl Module {
    /// Opens the module in a file, once a process for each device.
    pub(super) fn open(path: &Path, device: ModuleDevice) -> Result<Arc<Self>, ModuleError> {
        let unreadable = |source| ModuleError::Unreadable { path: path.to_owned(), source };
        let place = match device {
            ModuleDevice::Cpu => Device::Cpu,
            ModuleDevice::Cuda(number) if Cuda::is_available() && i64::from(number) < Cuda::device_count() => {
                Device::Cuda(number.into())
            }
            ModuleDevice::Cuda(_) => return Err(ModuleError::NoDevice { device: device.to_string() }),
        };
        settle();
        let hash = hashed(path).map_err(unreadable)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, _, module)| module.strong_count() > 0);
        let there = open.iter().find(|(other, on, _)| (other, on) == (&hash, &device));
        if let Some(module) = there.and_then(|(_, _, module)| module.upgrade()) {
            return Ok(module);
        }
        let mut file = Hashed { file: File::open(path).map_err(unreadable)?, hasher: blake3::Hasher::new() };
        let no_module =
            |error: &TchError| ModuleError::NoModule { path: path.to_owned(), message: one_line(&error.to_string()) };
        let mut script = CModule::load_data_on_device(&mut file, place).map_err(|error| no_module(&error))?;
        script.f_set_eval().map_err(|error| no_module(&error))?;
        if file.hasher.finalize().to_hex().as_str() != hash {
            return Err(unreadable(io::Error::other("it was changed meanwhile")));
        }
        let turn = place.is_cuda().then(Mutex::default);
        let module = Arc::new(Self { script, device: place, hash: hash.clone(), turn });
        open.push((hash, device, Arc::downgrade(&module)));
        Ok(module)
    }

    /// BLAKE3 of the file, in hexadecimal.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// What it makes of a batch: shorter inputs end in zeros.
    pub(super) fn run(&self, call: &Call<'_>, inputs: &[&[f32]]) -> Result<Vec<Given>, ModuleFault> {
        let _turn = self.turn.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let _plain = Plain::begin();
        match isolated(|| tch::no_grad(|| self.try_run(call, inputs))) {
            Ok(Ok(given)) => Ok(given),
            Ok(Err(error)) => Err(fault(&error.to_string())),
            Err(panic) => Err(fault(&panic)),
        }
    }

    fn try_run(&self, call: &Call<'_>, inputs: &[&[f32]]) -> Result<Vec<Given>, TchError> {
        let width = call.bins.unwrap_or(1);
        let lengths: Vec<usize> = inputs.iter().map(|input| input.len() / width).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = vec![0.0_f32; inputs.len() * longest * width];
        for (room, input) in padded.chunks_exact_mut((longest * width).max(1)).zip(inputs) {
            room[..input.len()].copy_from_slice(input);
        }
        let mut shape = vec![inputs.len() as i64, longest as i64];
        shape.extend(call.bins.map(|bins| bins as i64));
        let input = Tensor::f_from_slice(&padded)?.f_reshape(&shape[..])?.f_to_device(self.device)?;
        drop(padded);
        let mut arguments = vec![input];
        match call.lengths {
            Lengths::None => {}
            Lengths::Absolute => {
                let counts: Vec<i64> = lengths.iter().map(|length| *length as i64).collect();
                arguments.push(Tensor::f_from_slice(&counts)?.f_to_device(self.device)?);
            }
            Lengths::Relative => {
                let shares: Vec<f32> = lengths.iter().map(|length| *length as f32 / longest as f32).collect();
                arguments.push(Tensor::f_from_slice(&shares)?.f_to_device(self.device)?);
            }
        }
        if call.select.is_empty() && call.output_lengths.is_empty() {
            let out = self.script.method_ts(call.method, &arguments).map_err(|error| match error {
                TchError::Torch(text) if text.contains("did not return a tensor") => TchError::Convert(
                    "it returns something else than one tensor: `select` says where that stands".into(),
                ),
                error => error,
            })?;
            return given(call, inputs.len(), &out, None);
        }
        let values: Vec<IValue> = arguments.iter().map(|argument| IValue::Tensor(argument.shallow_clone())).collect();
        let returned = self.script.method_is(call.method, &values).inspect_err(|_| {
            // tch forgets its handles of the arguments when a method fails: at least the numbers behind them are freed.
            for argument in &mut arguments {
                let _ = argument.f_set_();
            }
        })?;
        let out = tensor_at(&returned, call.select, "select")?;
        let counts = match call.output_lengths {
            [] => None,
            path => Some(tensor_at(&returned, path, "output_lengths")?),
        };
        given(call, inputs.len(), out, counts)
    }
}

/// What stands at a place of what a method returned.
fn tensor_at<'v>(value: &'v IValue, path: &[u32], key: &str) -> Result<&'v Tensor, TchError> {
    let wrong = || {
        let what = match value {
            IValue::Tuple(values) => format!("a tuple of {}", values.len()),
            IValue::GenericList(values) => format!("a list of {}", values.len()),
            IValue::TensorList(values) => format!("a list of {} tensors", values.len()),
            IValue::GenericDict(values) => format!("a dictionary of {}", values.len()),
            IValue::Tensor(_) => "a tensor".to_owned(),
            IValue::None => "nothing".to_owned(),
            _ => "something else than tensors".to_owned(),
        };
        let rest: Vec<String> = path.iter().map(ToString::to_string).collect();
        let place = rest.join(", ");
        TchError::Convert(format!("{what} stands where `{key}` looks for a tensor, with [{place}] left to follow"))
    };
    let (number, rest) = match (value, path) {
        (IValue::Tensor(tensor), []) => return Ok(tensor),
        (_, []) => return Err(wrong()),
        (_, [number, rest @ ..]) => (*number as usize, rest),
    };
    match value {
        IValue::Tuple(values) | IValue::GenericList(values) => {
            tensor_at(values.get(number).ok_or_else(wrong)?, rest, key)
        }
        IValue::GenericDict(values) => tensor_at(&values.get(number).ok_or_else(wrong)?.1, rest, key),
        IValue::TensorList(tensors) if rest.is_empty() => tensors.get(number).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// The frames of each utterance in what a module gave for `batch` of them.
fn given(call: &Call<'_>, batch: usize, out: &Tensor, counts: Option<&Tensor>) -> Result<Vec<Given>, TchError> {
    let (shape, wanted) = (
        out.size(),
        match call.output {
            ModuleOutput::Frames => "[batch, frames, bins]",
            ModuleOutput::Embedding => "[batch, bins]",
            ModuleOutput::Values => "[batch, frames]",
        },
    );
    let sizes: Vec<usize> = shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
    let (frames, bins) = match (call.output, sizes.as_slice()) {
        (ModuleOutput::Frames, [first, frames, bins]) if *first == batch && *bins > 0 => (*frames, *bins),
        (ModuleOutput::Embedding, [first, bins]) if *first == batch && *bins > 0 => (1, *bins),
        (ModuleOutput::Values, [first, frames]) if *first == batch => (*frames, 1),
        _ => {
            return Err(TchError::Shape(format!("it gave {shape:?} for a batch of {batch}, and {wanted} is expected")));
        }
    };
    match out.f_kind()? {
        Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble => {
            return Err(TchError::Kind("it gave complex numbers".to_owned()));
        }
        _ => {}
    }
    let out = out.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0_f32; batch * frames * bins];
    let numel = values.len();
    out.f_copy_data(&mut values, numel)?;
    let counts = match counts {
        None => vec![frames; batch],
        Some(counts) => frame_counts(counts, batch, frames)?,
    };
    let of_each = values.chunks_exact((frames * bins).max(1)).zip(&counts);
    let mut given: Vec<Given> = of_each
        .map(|(values, count)| Given { values: values[..count * bins].to_vec(), frames: *count, bins })
        .collect();
    given.resize(batch, Given { values: Vec::new(), frames: 0, bins });
    Ok(given)
}

/// How many of the `frames` of a batch are those of each utterance.
fn frame_counts(counts: &Tensor, batch: usize, frames: usize) -> Result<Vec<usize>, TchError> {
    let wrong =
        |what: String| TchError::Shape(format!("{what} where `output_lengths` looks for the frames of each utterance"));
    let (shape, kind) = (counts.size(), counts.f_kind()?);
    if shape != [batch as i64] || !matches!(kind, Kind::Int64 | Kind::Int) {
        return Err(wrong(format!("it gave {kind:?} {shape:?}")));
    }
    let counts = counts.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_contiguous()?;
    let mut numbers = vec![0_i64; batch];
    counts.f_copy_data(&mut numbers, batch)?;
    let checked = |count: i64| match usize::try_from(count) {
        Ok(count) if count <= frames => Ok(count),
        _ => Err(wrong(format!("it gave {count} of {frames} frames"))),
    };
    numbers.into_iter().map(checked).collect()
}

/// What libtorch says, judged: whether the utterances are at fault, or the machine.
fn fault(text: &str) -> ModuleFault {
    const WORLD: [&str; 5] =
        ["out of memory", "can't allocate memory", "not enough memory", "CUDA error", "CUDNN_STATUS"];
    let text = text.strip_prefix("invalid shape: ").or_else(|| text.strip_prefix("conversion error: ")).unwrap_or(text);
    let message = one_line(text);
    if WORLD.iter().any(|sign| text.contains(sign)) {
        ModuleFault::World { message }
    } else {
        ModuleFault::Failed { message }
    }
}

/// Until it is dropped, the executor of this thread does not optimise.
struct Plain;

impl Plain {
    fn begin() -> Self {
        tch::jit::set_graph_executor_optimize(false);
        Self
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        tch::jit::set_graph_executor_optimize(true);
    }
}

/// Sets what this process does the same way for every module: operators run in one thread.
fn settle() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tch::set_num_threads(1);
        // It can be set only before it is first used: whoever did that has more of them, which changes no bits.
        let _ = isolated(|| tch::set_num_interop_threads(1));
        Cuda::cudnn_set_benchmark(false);
    });
}

/// A file whose hash is taken while it is read.
struct Hashed {
    file: File,
    hasher: blake3::Hasher,
}

impl Read for Hashed {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(room)?;
        self.hasher.update(&room[..count]);
        Ok(count)
    }
}

/// BLAKE3 of a regular file.
fn hashed(path: &Path) -> io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

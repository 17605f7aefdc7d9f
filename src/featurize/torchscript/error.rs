//! Why a module cannot be used, and what it says when it fails.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::variables::VariableError;

/// Why a module cannot be used at all.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// There is no libtorch in this program.
    #[error("this wavemill was built without `tch`, which `torchscript` needs")]
    NotBuilt,
    /// The file's path holds a variable without a value.
    #[error("the path of the module cannot be filled in")]
    Variable(#[from] VariableError),
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no TorchScript module: {message}", path.display())]
    NoModule {
        /// The file.
        path: PathBuf,
        /// What libtorch said.
        message: String,
    },
    /// The machine has no such device, or this libtorch cannot use it.
    #[error("there is no device `{device}` here")]
    NoDevice {
        /// The device.
        device: String,
    },
    /// It fails for noise.
    #[error("the module fails for {input}: {message}")]
    Fails {
        /// What it was given.
        input: String,
        /// What it said.
        message: String,
    },
    /// It gives infinities, or no numbers, for noise.
    #[error("the module gives numbers that are not finite for {input}")]
    NotFinite {
        /// What it was given.
        input: String,
    },
    /// It gives other numbers each time.
    #[error("the module gives other numbers for the same sound each time")]
    Unsteady,
    /// A batch is not what its utterances are one by one.
    #[error("the module gives other numbers for {batch} than one by one")]
    Mixes {
        /// What the batch was.
        batch: String,
        /// The setting that helps.
        key: &'static str,
    },
    /// It is not the module that the pipeline file describes.
    #[error("{} is not the module that `probe` describes", path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
}

impl ModuleError {
    /// The key of the row that is wrong; empty where it is the row itself.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::NotBuilt | Self::Fails { .. } | Self::NotFinite { .. } => "",
            Self::Variable(_) | Self::Unreadable { .. } | Self::NoModule { .. } | Self::Unsteady => "module",
            Self::NoDevice { .. } => "device",
            Self::Mixes { key, .. } => key,
            Self::Other { .. } => "probe",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NotBuilt => "build it with `cargo build --features tch`, after `make libtorch`",
            Self::Variable(_) | Self::Unreadable { .. } => "the file that `torch.jit.save` wrote",
            Self::NoModule { .. } => {
                "write it with `torch.jit.save(torch.jit.script(module), path)`; weights alone are no module"
            }
            Self::NoDevice { .. } => "`cpu`, or the number of a GPU that the libtorch in `LIBTORCH` can use",
            Self::Fails { .. } => {
                "`input`, `lengths`, `method`, `output` and `select` say how it is called and what it gives"
            }
            Self::NotFinite { .. } => {
                "it was given noise of a tenth of full scale: does `input` prepare the sound as in training?"
            }
            Self::Unsteady => "a module must not draw random numbers when it is in evaluation",
            Self::Mixes { .. } => "`batch: 1` runs it one by one, and without `lengths` nothing is padded",
            Self::Other { .. } => "leave `probe` out to take the module as it is now",
        }
    }
}

/// Why a batch came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModuleFault {
    /// The module raised an exception, or gave what it should not: the utterance's fault, or that of one in the batch.
    #[error("{message}")]
    Failed {
        /// What it said, in one line.
        message: String,
    },
    /// There is no memory left, or the GPU failed: no utterance's fault.
    #[error("{message}")]
    World {
        /// What libtorch said, in one line.
        message: String,
    },
}

/// What libtorch says, in one line: the exception that a module raised, or the first thing that is wrong, without traces.
#[cfg_attr(not(feature = "tch"), expect(dead_code, reason = "without libtorch nothing is said"))]
pub(super) fn one_line(text: &str) -> String {
    /// More is not read.
    const MOST: usize = 300;
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(text);
    let told = || {
        let lines = text.lines().map(str::trim);
        lines.take_while(|line| !line.starts_with("Exception raised from") && !line.starts_with("frame #"))
    };
    // A traceback ends with what was raised.
    let line = if text.contains("Traceback of TorchScript") {
        told().filter(|line| !line.is_empty() && !line.starts_with('~')).last()
    } else {
        told().find(|line| !line.is_empty())
    };
    let line = line.unwrap_or("an exception without words");
    let line = line.strip_prefix("RuntimeError: ").unwrap_or(line);
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "tch")]
    use super::one_line;

    #[test]
    #[cfg(feature = "tch")]
    fn what_libtorch_says_becomes_one_line() {
        let raised = "Internal torch error: The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most recent call last):\n  File \"a.py\", line 3, in forward\n    raise RuntimeError(\"loud\")\n    ~~~~ <--- HERE\nbuiltins.RuntimeError: loud\n";
        assert_eq!(one_line(raised), "builtins.RuntimeError: loud");
        let broken = "Internal torch error: PytorchStreamReader failed reading zip archive: not a ZIP archive\nException raised from valid at x.cc:1\nframe #0: c10::Error\n";
        assert_eq!(one_line(broken), "PytorchStreamReader failed reading zip archive: not a ZIP archive");
        assert_eq!(one_line(""), "an exception without words");
        assert_eq!(one_line(&"é".repeat(400)).chars().count(), 301);
    }
}

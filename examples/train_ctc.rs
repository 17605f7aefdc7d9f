//! Characters from speech with CTC, on the bundled sample corpus: the shortest way from sound to text.
//!
//! `make libtorch`, then `cargo run --release --features tch --example train_ctc`. Twelve sentences are far too few to learn
//! to read speech from; a small network learns them by heart in seconds, which shows that all parts work together.

use std::error::Error;
use std::path::Path;

use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Reduction, Tensor};
use wavemill::loader::{Loader, PaddedTensor, Vocabulary};
use wavemill::manifest::DatasetFolder;
use wavemill::plan::Plan;
use wavemill::run::{Existing, Options, Silent};
use wavemill::variables::Variables;

const EPOCHS: u32 = 60;
const BINS: i64 = 80;
/// The class for "no new character here": CTC needs one, and the vocabulary leaves 0 free for it.
const BLANK: i64 = 0;
/// Each sentence's features with mean 0 and variance 1, when they are loaded.
const CMVN: &str = "[cmvn: { norm_vars: true }]";
const NO_FEATURES: &str = "the dataset has no features";

fn main() -> Result<(), Box<dyn Error>> {
    let dataset = Path::new("out/sample_ctc");
    make_dataset(dataset)?;
    let vocabulary = vocabulary(dataset)?;

    // So small a network gains nothing from more threads.
    tch::set_num_threads(1);
    tch::manual_seed(1);
    let weights = nn::VarStore::new(Device::Cpu);
    let network = network(&weights.root(), vocabulary.len() as i64);
    let mut optimizer = nn::Adam::default().build(&weights, 1e-3)?;

    let batches = Loader::open(dataset)?
        .columns(["features", "text"])
        .shuffle(1)
        .batch_size(4)
        .epochs(EPOCHS)
        .transform("features", CMVN)?
        .tensors(Device::Cpu)?;
    let mut losses = Vec::new();
    for batch in batches {
        let batch = batch?;
        let (targets, target_lengths) = vocabulary.batch(&batch.texts)?.to_tensors(Device::Cpu);
        let (log_probs, lengths) = forward(&network, batch.features().ok_or(NO_FEATURES)?);
        let loss = Tensor::ctc_loss_tensor(
            &log_probs.transpose(0, 1), // [frames, batch, classes]
            &targets,
            &lengths,
            &target_lengths,
            BLANK,
            Reduction::Mean,
            false,
        );
        optimizer.backward_step(&loss);
        losses.push(loss.double_value(&[]));
        if let [.., first, second, third] = losses[..]
            && losses.len().is_multiple_of(15)
        {
            // An epoch is three batches.
            println!("step {:4}  loss {:.3}", losses.len(), (first + second + third) / 3.0);
        }
    }

    let judged = Loader::open(dataset)?.columns(["features", "text"]).batch_size(4);
    for batch in judged.transform("features", CMVN)?.tensors(Device::Cpu)? {
        let batch = batch?;
        let (log_probs, lengths) = forward(&network, batch.features().ok_or(NO_FEATURES)?);
        for (row, text) in batch.texts.iter().enumerate() {
            let frames = log_probs.get(row as i64).narrow(0, 0, lengths.int64_value(&[row as i64]));
            let mut classes = Vec::<i64>::try_from(frames.argmax(-1, false))?;
            classes.dedup(); // one character may take several frames
            println!("{}\n  read as: {}", text.as_deref().unwrap_or_default(), vocabulary.decode(&classes));
        }
    }
    Ok(())
}

/// Makes features of the sample corpus, as `wavemill run pipelines/sample.yaml` would.
fn make_dataset(dataset: &Path) -> Result<(), Box<dyn Error>> {
    let variables = Variables::default();
    let pipeline = wavemill::pipeline::read("pipelines/sample.yaml".as_ref(), &variables)?;
    let plan = Plan::make(pipeline, &variables)?;
    let options = Options { threads: 2, share: None, existing: Existing::Keep };
    wavemill::run::run(&plan, &DatasetFolder::new(dataset), options, &Silent, &false.into())?;
    Ok(())
}

/// The characters of all texts.
fn vocabulary(dataset: &Path) -> Result<Vocabulary, Box<dyn Error>> {
    let mut texts = Vec::new();
    for batch in Loader::open(dataset)?.columns(["text"]).batches()? {
        texts.extend(batch?.texts.into_iter().flatten());
    }
    Ok(Vocabulary::characters(texts.iter().map(String::as_str)))
}

/// Convolutions over time, the first of which halves the frames.
fn network(root: &nn::Path<'_>, classes: i64) -> nn::Sequential {
    let convolution = |name, from, to, stride| {
        let config = nn::ConvConfig { stride, padding: 2, ..Default::default() };
        nn::conv1d(root / name, from, to, 5, config)
    };
    nn::seq()
        .add(convolution("first", BINS, 128, 2))
        .add_fn(Tensor::relu)
        .add(convolution("second", 128, 128, 1))
        .add_fn(Tensor::relu)
        .add(convolution("third", 128, 128, 1))
        .add_fn(Tensor::relu)
        .add(nn::conv1d(root / "classes", 128, classes, 1, nn::ConvConfig::default()))
}

/// Log probabilities `[batch, frames, classes]` of features `[batch, frames, bins]`, and how many frames of each row are no
/// padding.
fn forward(network: &nn::Sequential, features: &PaddedTensor) -> (Tensor, Tensor) {
    let logits = network.forward(&features.values.transpose(1, 2)).transpose(1, 2);
    (logits.log_softmax(-1, Kind::Float), (&features.lengths + 1).divide_scalar_mode(2, "floor"))
}

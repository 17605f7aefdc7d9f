//! Spoken digits, from raw recordings to a trained network.
//!
//! ```text
//! make libtorch
//! cargo run --release --features tch --example train_digits -- CORPUS
//! ```
//!
//! CORPUS is the folder of recordings of the Free Spoken Digit Dataset: 3,000 files `{digit}_{speaker}_{take}.wav`.
//! The pipeline `pipelines/digits.yaml` makes features of them and of three augmented copies of each; the loader makes
//! batches of those; a small convolutional network learns from the batches. It never sees takes 0 to 4 of anybody, by
//! convention the test set, nor one of the six speakers, and is judged by both, on recordings as they are.
//!
//! Every 50 steps all that training needs to go on is saved. Stopped anywhere, by `--stop-after` or by the power, and started
//! again with `--resume`, it goes on in the middle of the epoch and comes to the same losses, bit for bit:
//!
//! ```text
//! … --example train_digits -- CORPUS --out out/one
//! … --example train_digits -- CORPUS --out out/two --stop-after 430
//! … --example train_digits -- CORPUS --out out/two --resume
//! cmp out/one/losses.tsv out/two/losses.tsv
//! ```

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, thread};

use clap::Parser;
use tch::nn::{self, Module, ModuleT};
use tch::{Device, Kind, Tensor};
use wavemill::loader::{Loader, PaddedTensor, State};
use wavemill::manifest::DatasetFolder;
use wavemill::plan::Plan;
use wavemill::run::{Existing, Options, Silent};
use wavemill::variables::Variables;

/// Batches that the network learns from: some sixteen times all recordings and copies.
const STEPS: usize = 2_400;
/// The highest learning rate: it is reached after 100 steps, and falls to 0 along a cosine.
const LEARNING_RATE: f64 = 0.1;
/// Steps from one checkpoint to the next.
const CHECKPOINT_EVERY: usize = 50;
/// Steps from one line of the learning curve to the next.
const SHOW_EVERY: usize = 100;
/// What is done to the features each time they are loaded, as rows of a pipeline file: some bins and some frames are hidden.
/// The features have mean 0, so that `zero` hides them best.
const MASKS: &str = "
- spec_augment:
    policy: torchaudio
    num_freq_masks: 1
    max_freq_width_bins: 9
    num_time_masks: 1
    max_time_width_frames: 11
    max_time_fraction: 0.25
    fill: zero
";
const NO_FEATURES: &str = "the dataset has no features";
/// Mel bins of a frame: `num_mel_bins` of the pipeline.
const BINS: i64 = 40;
/// Classes.
const DIGITS: i64 = 10;

#[derive(Parser)]
struct Arguments {
    /// The folder of recordings: `0_jackson_0.wav` and so on
    corpus: PathBuf,
    /// Where the dataset, the checkpoint and the losses go
    #[arg(long, default_value = "out/digits")]
    out: PathBuf,
    /// The speaker whom the network never hears in training
    #[arg(long, default_value = "theo")]
    unseen: String,
    /// Stop after so many steps, as if by accident: what the last checkpoint lacks is lost
    #[arg(long)]
    stop_after: Option<usize>,
    /// Go on from the last checkpoint
    #[arg(long)]
    resume: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let dataset = arguments.out.join("dataset");
    make_dataset(&arguments.corpus, &dataset)?;
    println!("features made in {:.0} s", started.elapsed().as_secs_f64());

    // Augmented copies bear the take of their original, so that none of a recording that is held out is trained on.
    let training = format!("take >= 5 AND speaker != '{}'", arguments.unseen);
    let unseen_takes = format!("take < 5 AND speaker != '{}' AND copy = 0", arguments.unseen);
    let unseen_speaker = format!("speaker = '{}' AND copy = 0", arguments.unseen);

    // So small a network gains nothing from more threads, and with one it comes out the same however many cores there are.
    tch::set_num_threads(1);
    tch::manual_seed(1);
    let weights = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&weights.root());
    let mut optimizer = Sgd::new(&weights);
    let mut losses: Vec<f64> = Vec::new();

    let mut loader = Loader::open(&dataset)?
        .filter(&training)
        .columns(["features", "text"])
        .shuffle(1)
        .buckets(4)
        .max_frames(3_000)
        .epochs(100) // more than it takes
        .transform("features", MASKS)?;
    let checkpoint = arguments.out.join("checkpoint.safetensors");
    if arguments.resume {
        let (seen, state) = load(&checkpoint, &weights, &mut optimizer)?;
        println!("going on after step {}", seen.len());
        losses = seen;
        loader = loader.resume(&state);
    }

    let mut batches = loader.tensors(Device::Cpu)?;
    while losses.len() < STEPS {
        let batch = batches.next().ok_or("the epochs are over")??;
        let logits = network.forward(batch.features().ok_or(NO_FEATURES)?, Mode::Training);
        let loss = logits.cross_entropy_for_logits(&digits(&batch.texts)?);
        loss.backward();
        optimizer.step(learning_rate(losses.len()));

        losses.push(loss.double_value(&[]));
        let step = losses.len();
        if step.is_multiple_of(SHOW_EVERY) {
            let mean = losses[step - SHOW_EVERY..].iter().sum::<f64>() / SHOW_EVERY as f64;
            let accuracy = accuracy(&network, &dataset, &unseen_takes)?;
            let bar = "#".repeat((mean * 20.0) as usize);
            println!("step {step:5}  unseen takes {:5.1} %  loss {mean:.3} {bar}", accuracy * 100.0);
        }
        if step.is_multiple_of(CHECKPOINT_EVERY) || step == STEPS {
            save(&checkpoint, &weights, &optimizer, &losses, &batches.state())?;
            let lines = losses.iter().enumerate().map(|(step, loss)| format!("{}\t{loss}\n", step + 1));
            fs::write(arguments.out.join("losses.tsv"), lines.collect::<String>())?;
        }
        if arguments.stop_after == Some(step) {
            println!("stopped after step {step}");
            return Ok(());
        }
    }
    println!("takes never seen:   {:5.1} % right", accuracy(&network, &dataset, &unseen_takes)? * 100.0);
    println!("speaker never seen: {:5.1} % right", accuracy(&network, &dataset, &unseen_speaker)? * 100.0);
    println!("all in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Makes features of the recordings, as `wavemill run pipelines/digits.yaml --out DATASET` would; of what is already there
/// it makes nothing.
fn make_dataset(corpus: &Path, dataset: &Path) -> Result<(), Box<dyn Error>> {
    let variables = Variables::from_iter([("CORPUS".to_owned(), corpus.display().to_string())]);
    let pipeline = wavemill::pipeline::read("pipelines/digits.yaml".as_ref(), &variables)?;
    let plan = Plan::make(pipeline, &variables)?;
    let threads = thread::available_parallelism()?.get();
    let options = Options { threads, share: None, existing: Existing::Keep };
    wavemill::run::run(&plan, &DatasetFolder::new(dataset), options, &Silent, &false.into())?;
    Ok(())
}

/// The share of recordings of which the network tells the digit.
fn accuracy(network: &Network, dataset: &Path, filter: &str) -> Result<f64, Box<dyn Error>> {
    let _guard = tch::no_grad_guard();
    let batches =
        Loader::open(dataset)?.filter(filter).columns(["features", "text"]).batch_size(100).tensors(Device::Cpu)?;
    let (mut right, mut all) = (0, 0);
    for batch in batches {
        let batch = batch?;
        let guess = network.forward(batch.features().ok_or(NO_FEATURES)?, Mode::Judging).argmax(-1, false);
        right += guess.eq_tensor(&digits(&batch.texts)?).sum(Kind::Int64).int64_value(&[]);
        all += batch.keys.len();
    }
    if all == 0 {
        return Err(format!("no recording has {filter}").into());
    }
    Ok(right as f64 / all as f64)
}

/// What is said, as classes.
fn digits(texts: &[Option<String>]) -> Result<Tensor, Box<dyn Error>> {
    let digits = texts.iter().map(|text| Ok(text.as_deref().ok_or("a recording without its digit")?.parse()?));
    Ok(Tensor::from_slice(&digits.collect::<Result<Vec<i64>, Box<dyn Error>>>()?))
}

/// Whether batches are normalised by their own statistics, or by those of training.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Training,
    Judging,
}

/// Three convolutions over time and frequency, each of which halves both, then the mean over time.
struct Network {
    layers: Vec<(nn::Conv2D, nn::BatchNorm)>,
    output: nn::Linear,
}

impl Network {
    fn new(root: &nn::Path<'_>) -> Self {
        let channels = [1, 24, 48, 96];
        let layers = channels.windows(2).enumerate().map(|(layer, channels)| {
            let path = root / format!("layer{layer}");
            let halving = nn::ConvConfig { stride: 2, padding: 1, bias: false, ..Default::default() };
            let ones = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
            let convolution = nn::conv2d(&path / "convolution", channels[0], channels[1], 3, halving);
            (convolution, nn::batch_norm2d(&path / "norm", channels[1], ones))
        });
        let layers = layers.collect();
        let output = nn::linear(root / "output", channels[3] * BINS / 8, DIGITS, nn::LinearConfig::default());
        Self { layers, output }
    }

    /// Logits `[batch, digits]` of features `[batch, frames, bins]`.
    fn forward(&self, features: &PaddedTensor, mode: Mode) -> Tensor {
        let mut x = features.values.unsqueeze(1);
        let mut lengths = features.lengths.shallow_clone();
        for (convolution, norm) in &self.layers {
            let seen = norm.forward_t(&convolution.forward(&x), mode == Mode::Training).relu();
            // Padding stays zero, so that a recording's logits do not depend on how long its neighbours are.
            lengths = (lengths + 1).divide_scalar_mode(2, "floor");
            let frames = Tensor::arange(seen.size()[2], (Kind::Int64, Device::Cpu));
            x = seen * frames.unsqueeze(0).lt_tensor(&lengths.unsqueeze(1)).unsqueeze(1).unsqueeze(3);
        }
        let mean = x.sum_dim_intlist(2, false, Kind::Float) / lengths.view([-1, 1, 1]);
        self.output.forward(&mean.flatten(1, -1))
    }
}

/// The learning rate of the step after `step` others.
fn learning_rate(step: usize) -> f64 {
    let warmup = ((step + 1) as f64 / 100.0).min(1.0);
    LEARNING_RATE * warmup * (1.0 + (PI * step as f64 / STEPS as f64).cos()) / 2.0
}

/// Gradient descent with Nesterov's momentum and weight decay, as `torch.optim.SGD` has it; tch's own cannot be saved.
struct Sgd {
    /// By the name of the weight: the weight and its velocity.
    weights: BTreeMap<String, (Tensor, Tensor)>,
}

impl Sgd {
    const MOMENTUM: f64 = 0.9;
    const WEIGHT_DECAY: f64 = 1e-3;

    fn new(store: &nn::VarStore) -> Self {
        let trained = store.variables().into_iter().filter(|(_, weight)| weight.requires_grad());
        let weights = trained.map(|(name, weight)| {
            let velocity = weight.zeros_like().detach();
            (name, (weight, velocity))
        });
        Self { weights: weights.collect() }
    }

    fn step(&mut self, learning_rate: f64) {
        tch::no_grad(|| {
            for (weight, velocity) in self.weights.values_mut() {
                let gradient = weight.grad() + &*weight * Self::WEIGHT_DECAY;
                *velocity = &*velocity * Self::MOMENTUM + &gradient;
                let _ = weight.g_sub_(&((gradient + &*velocity * Self::MOMENTUM) * learning_rate));
                weight.zero_grad();
            }
        });
    }
}

/// Saves all that training needs to go on, in one file that is there whole or not at all.
fn save(
    path: &Path,
    store: &nn::VarStore,
    optimizer: &Sgd,
    losses: &[f64],
    state: &State,
) -> Result<(), Box<dyn Error>> {
    let weights = store.variables().into_iter().map(|(name, weight)| (format!("network.{name}"), weight));
    let velocities = optimizer.weights.iter();
    let velocities = velocities.map(|(name, (_, velocity))| (format!("velocity.{name}"), velocity.shallow_clone()));
    let mut tensors: Vec<(String, Tensor)> = weights.chain(velocities).collect();
    tensors.push(("losses".to_owned(), Tensor::from_slice(losses)));
    // Where the loader is, as JSON.
    tensors.push(("loader".to_owned(), Tensor::from_slice(&serde_json::to_vec(state)?)));
    let unfinished = path.with_extension("unfinished");
    Tensor::write_safetensors(&tensors, &unfinished)?;
    Ok(fs::rename(unfinished, path)?)
}

/// Sets weights and velocities to those saved; the losses until then, and where the loader was.
fn load(path: &Path, store: &nn::VarStore, optimizer: &mut Sgd) -> Result<(Vec<f64>, State), Box<dyn Error>> {
    let tensors =
        Tensor::read_safetensors(path).map_err(|error| format!("there is no checkpoint to go on from: {error}"))?;
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let saved = |name: &str| tensors.get(name).ok_or_else(|| format!("the checkpoint lacks {name}"));
    let _guard = tch::no_grad_guard();
    for (name, mut weight) in store.variables() {
        weight.copy_(saved(&format!("network.{name}"))?);
    }
    for (name, (_, velocity)) in &mut optimizer.weights {
        velocity.copy_(saved(&format!("velocity.{name}"))?);
    }
    let state: Vec<u8> = saved("loader")?.try_into()?;
    Ok((saved("losses")?.try_into()?, serde_json::from_slice(&state)?))
}

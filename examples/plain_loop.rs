//! The loader without tch: batches as plain numbers, for whatever trains on them.
//!
//! ```text
//! make run
//! cargo run --release --example plain_loop -- out/sample
//! ```

use std::error::Error;
use std::path::PathBuf;

use wavemill::loader::Loader;
use wavemill::manifest::Dtype;

fn main() -> Result<(), Box<dyn Error>> {
    let dataset: PathBuf = std::env::args_os().nth(1).ok_or("usage: plain_loop DATASET")?.into();
    let batches = Loader::open(&dataset)?
        .columns(["features", "text"])
        .shuffle(17) // the same order every time; another one every epoch
        .buckets(3) // rows of like length go together
        .max_frames(2_000) // a batch is as many rows as give at most so many frames, padding included
        .dtype(Dtype::F32) // however they are stored
        .epochs(2)
        .batches()?;
    for (step, batch) in batches.enumerate() {
        let batch = batch?;
        let features = batch.features().ok_or("the dataset has no features")?;
        let [rows, frames, bins] = features.shape[..] else { return Err("the features are no matrices".into()) };
        println!("step {step}: {rows} rows × {frames} frames × {bins} bins");
        // Row-major numbers; what lies beyond a row's length is padding.
        let cells = features.f32s().into_iter().flat_map(|values| values.chunks_exact(frames * bins));
        for ((key, length), cell) in batch.keys.iter().zip(&features.lengths).zip(cells) {
            let filled = &cell[..*length as usize * bins];
            let mean = filled.iter().sum::<f32>() / filled.len() as f32;
            println!("  {key}: {length} frames, mean {mean:.2}");
        }
    }
    Ok(())
}

//! A feature drawn in the terminal: frames from left to right, low bins at the bottom.

use std::fmt::Write;
use std::io::{self, IsTerminal};

/// Characters across and down.
const WIDTH: usize = 96;
const HEIGHT: usize = 20;

/// Shades from the smallest to the largest value, where there are no colours.
const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// Colours from the smallest to the largest value: dark violet over red to pale yellow, evenly brighter, so that it can
/// also be read without seeing colour.
const COLOURS: [[u8; 3]; 6] =
    [[8, 5, 30], [72, 12, 104], [150, 38, 104], [220, 80, 60], [250, 165, 30], [252, 252, 190]];

/// A picture of `values`, row-major `[frames, bins]`: a map of a feature, or the envelope of a waveform without bins.
pub(super) fn picture(values: &[f32], bins: Option<usize>) -> String {
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    draw(values, bins, colours)
}

fn draw(values: &[f32], bins: Option<usize>, colours: bool) -> String {
    match bins {
        None | Some(0) => envelope(values),
        Some(bins @ 1..=FEW) => (0..bins).map(|bin| curve(values, bins, bin)).collect(),
        Some(bins) => map(values, bins, colours),
    }
}

/// Numbers a frame up to which each is drawn as a curve of its own: they rarely share a scale, as a pitch and its probability.
const FEW: usize = 4;

/// Characters from an eighth of a line to the whole of it.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The means of one bin over time, as bars from its lowest to its highest value.
fn curve(values: &[f32], bins: usize, bin: usize) -> String {
    const LINES: usize = 4;
    let frames: Vec<f32> = values.iter().skip(bin).step_by(bins).copied().collect();
    let columns = frames.len().min(WIDTH);
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let means: Vec<f32> = (0..columns)
        .map(|column| mean(&frames[column * frames.len() / columns..(column + 1) * frames.len() / columns]))
        .collect();
    let (low, high) = bounds(means.iter());
    let eighths =
        |value: f32| ((value - low) / (high - low).max(f32::MIN_POSITIVE) * (8 * LINES) as f32).round() as usize;
    let mut text = String::new();
    for line in (0..LINES).rev() {
        text.extend(means.iter().map(|&value| BARS[eighths(value).saturating_sub(8 * line).min(8)]));
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// Two pixels a character with colours, one without.
fn map(values: &[f32], bins: usize, colours: bool) -> String {
    let frames = values.len() / bins;
    if frames == 0 {
        return String::new();
    }
    let columns = frames.min(WIDTH);
    let rows = if colours { (HEIGHT * 2).min(bins.next_multiple_of(2)) } else { HEIGHT.min(bins) };
    let pixel = |column: usize, row: usize| {
        let span = |index: usize, of: usize, all: usize| {
            let start = (index * all / of).min(all - 1);
            start..((index + 1) * all / of).clamp(start + 1, all)
        };
        let (frames, bins_here) = (span(column, columns, frames), span(row, rows, bins));
        let count = (frames.len() * bins_here.len()) as f32;
        frames.flat_map(|frame| bins_here.clone().map(move |bin| values[frame * bins + bin])).sum::<f32>() / count
    };
    let pixels: Vec<Vec<f32>> = (0..rows).map(|row| (0..columns).map(|column| pixel(column, row)).collect()).collect();
    let (low, high) = bounds(pixels.iter().flatten());
    let scale = |value: f32| if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
    let mut text = String::new();
    if colours {
        for pair in pixels.rchunks(2) {
            for column in 0..columns {
                let [above, below] =
                    [pair.last(), pair.first()].map(|row| row.map_or([0; 3], |row| colour(scale(row[column]))));
                let ([r, g, b], [below_r, below_g, below_b]) = (above, below);
                let _ = write!(text, "\x1b[38;2;{r};{g};{b}m\x1b[48;2;{below_r};{below_g};{below_b}m▀");
            }
            text.push_str("\x1b[0m\n");
        }
    } else {
        for row in pixels.iter().rev() {
            text.extend(row.iter().map(|value| SHADES[(scale(*value) * (SHADES.len() - 1) as f32).round() as usize]));
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
    }
    text
}

/// The peaks of a waveform, upwards from silence.
fn envelope(samples: &[f32]) -> String {
    let columns = samples.len().min(WIDTH);
    let peak = |part: &[f32]| part.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let highest = peak(samples).max(f32::MIN_POSITIVE);
    let bar = |column: usize| {
        let part = &samples[column * samples.len() / columns..(column + 1) * samples.len() / columns];
        BARS[(peak(part) / highest * (BARS.len() - 1) as f32).round() as usize]
    };
    format!("{}\n", (0..columns).map(bar).collect::<String>())
}

fn bounds<'a>(values: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The colour at `place`, from 0 to 1.
fn colour(place: f32) -> [u8; 3] {
    let steps = (COLOURS.len() - 1) as f32;
    let below = ((place * steps) as usize).min(COLOURS.len() - 2);
    let part = place * steps - below as f32;
    std::array::from_fn(|channel| {
        let (from, to) = (f32::from(COLOURS[below][channel]), f32::from(COLOURS[below + 1][channel]));
        (from + (to - from) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_bins_are_at_the_bottom_and_large_values_dark_on_paper() {
        // Two frames of three bins: the first frame is loud in the lowest bin, the second in the highest.
        let values = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(draw(&values, Some(5), false), " @\n\n\n\n@\n");
    }

    #[test]
    fn each_of_a_few_bins_is_a_curve_of_its_own() {
        let values = [0.0, 5.0, 50.0, 5.0, 100.0, 5.0];
        assert_eq!(draw(&values, Some(2), false), "  █\n  █\n ██\n ██\n\n\n\n\n");
    }

    #[test]
    fn anything_can_be_drawn() {
        for (values, bins) in [
            (vec![], Some(1)),
            (vec![3.0; 300], Some(3)),
            (vec![], Some(80)),
            (vec![], None),
            (vec![0.0; 80], Some(80)),
            (vec![0.5; 7], None),
        ] {
            for colours in [false, true] {
                let _ = draw(&values, bins, colours);
            }
        }
        assert_eq!(draw(&[0.0, 0.0, 1.0, -0.5], None, true), "  █▄\n");
    }
}

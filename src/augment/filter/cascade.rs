//! Sections one after the other, in one pass over the samples.
//!
//! A recursive filter waits for its own last sample. So the sections work side by side, each on the sample that the one
//! before it finished a step ago: eight sections take little longer than one, and lanes that do the same become
//! vectors.

use multiversion::multiversion;

use super::Section;

/// Filters `samples` in place, starting from the state that their first value for ever would have left.
pub(super) fn run(sections: &[Section], samples: &mut [f64]) {
    for group in sections.chunks(8) {
        match group {
            [one] => side_by_side(&[*one], samples),
            [one, two] => side_by_side(&[*one, *two], samples),
            [one, two, three] => four(&[*one, *two, *three, Section::IDENTITY], samples),
            [one, two, three, last] => four(&[*one, *two, *three, *last], samples),
            group => {
                let mut sections = [Section::IDENTITY; 8];
                sections[..group.len()].copy_from_slice(group);
                eight(&sections, samples);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn four(sections: &[Section; 4], samples: &mut [f64]) {
    side_by_side(sections, samples);
}

#[multiversion(targets("x86_64+avx2"))]
fn eight(sections: &[Section; 8], samples: &mut [f64]) {
    side_by_side(sections, samples);
}

/// Samples between two looks at how small the states are.
const BLOCK: usize = 64;
/// States below this, -600 dB, become 0: in digital silence they would fade into numbers with which processors are a
/// hundred times slower.
const FADED: f64 = 1e-30;

#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of functions that are compiled for AVX2 too")]
fn side_by_side<const LANES: usize>(sections: &[Section; LANES], samples: &mut [f64]) {
    let Some(&first) = samples.first() else { return };
    let mut lanes = Lanes::steady(sections, first);
    // Lane `l` works on the sample `l` steps ago.
    let (len, lag) = (samples.len(), LANES - 1);
    for &sample in samples.iter().take(lag) {
        lanes.step(sample);
    }
    let mut start = lag;
    while start < len {
        let end = (start + BLOCK).min(len);
        for index in start..end {
            samples[index - lag] = lanes.step(samples[index]);
        }
        lanes.forget_what_faded();
        start = end;
    }
    for index in len..len + lag {
        let filtered = lanes.step(0.0);
        if index >= lag {
            samples[index - lag] = filtered;
        }
    }
}

/// Coefficients and states of sections side by side (the transposed direct form II).
struct Lanes<const LANES: usize> {
    b: [[f64; LANES]; 3],
    a: [[f64; LANES]; 2],
    state: [[f64; LANES]; 2],
    /// What each section gave last.
    output: [f64; LANES],
}

impl<const LANES: usize> Lanes<LANES> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of functions that are compiled for AVX2 too")]
    fn steady(sections: &[Section; LANES], first: f64) -> Self {
        let mut lanes = Self {
            b: std::array::from_fn(|power| std::array::from_fn(|lane| sections[lane].feedforward[power])),
            a: std::array::from_fn(|power| std::array::from_fn(|lane| sections[lane].feedback[power])),
            state: [[0.0; LANES]; 2],
            output: [0.0; LANES],
        };
        let mut input = first;
        for (lane, section) in sections.iter().enumerate() {
            let output = input * section.gain_at_zero;
            lanes.state[1][lane] = section.feedforward[2] * input - section.feedback[1] * output;
            lanes.state[0][lane] = section.feedforward[1] * input - section.feedback[0] * output + lanes.state[1][lane];
            lanes.output[lane] = output;
            input = output;
        }
        lanes
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of functions that are compiled for AVX2 too")]
    fn step(&mut self, sample: f64) -> f64 {
        let mut input = [sample; LANES];
        input[1..].copy_from_slice(&self.output[..LANES - 1]);
        let ([b0, b1, b2], [a1, a2], [one, two]) = (&self.b, &self.a, &mut self.state);
        for lane in 0..LANES {
            let output = b0[lane] * input[lane] + one[lane];
            one[lane] = (b1[lane] * input[lane] + two[lane]) - a1[lane] * output;
            two[lane] = b2[lane] * input[lane] - a2[lane] * output;
            self.output[lane] = output;
        }
        self.output[LANES - 1]
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of functions that are compiled for AVX2 too")]
    fn forget_what_faded(&mut self) {
        for lane in 0..LANES {
            if self.state[0][lane].abs() < FADED && self.state[1][lane].abs() < FADED {
                self.state[0][lane] = 0.0;
                self.state[1][lane] = 0.0;
            }
        }
    }
}

//! For tests of all members that filter: scipy's and audiomentations' numbers, and what holds of every filter.

use std::f64::consts::PI;

use super::Section;
use crate::audio::golden::golden;
use crate::audio::{Hertz, Range, Waveform};
use crate::augment::testing::{drawn, is_uniform, mono, sine, varied};
use crate::augment::{Augments, BandPass, BandStop, HighPass, HighShelf, LowPass, LowShelf, Peaking, Phase};

/// What `fixtures/golden/augment/filters.py` took of its signals.
pub(in crate::augment) fn voiced(rate: u32) -> Waveform {
    let (_, samples) = golden(&format!("signal-voiced-{rate}"));
    mono(rate, samples[3_000..4_200].to_vec())
}

/// The largest difference from an array of `fixtures/golden/augment/filters`.
pub(in crate::augment) fn off(sound: &Waveform, name: &str) -> f32 {
    let (_, expected) = golden(&format!("augment/filters/{name}"));
    assert_eq!(sound.num_samples(), expected.len(), "{name}");
    sound.channels[0].iter().zip(expected).fold(0.0, |most, (y, x)| most.max((y - x).abs()))
}

/// The magnitude of a cascade in dB, at a share of the Nyquist frequency.
fn response_db(sections: &[Section], at: f64) -> f64 {
    let power = |coefficients: [f64; 3]| {
        let (real, imaginary) = coefficients.iter().enumerate().fold((0.0, 0.0), |(real, imaginary), (delay, c)| {
            let (sin, cos) = (PI * at * delay as f64).sin_cos();
            (real + c * cos, imaginary - c * sin)
        });
        real * real + imaginary * imaginary
    };
    let one = |section: &Section| power(section.feedforward) / power([1.0, section.feedback[0], section.feedback[1]]);
    10.0 * sections.iter().map(one).product::<f64>().max(1e-30).log10()
}

/// Compares with scipy's response wherever that is above -60 dB.
fn assert_response(sections: &[Section], name: &str) {
    let (_, expected) = golden(&format!("augment/filters/response-{name}"));
    let mut compared = 0;
    for (bin, expected) in expected.iter().enumerate().filter(|(_, expected)| **expected > -60.0) {
        let db = response_db(sections, bin as f64 / 200.0);
        assert!((db - f64::from(*expected)).abs() < 1e-3, "{name}, bin {bin}: {db} dB and {expected} dB");
        compared += 1;
    }
    assert!(compared > 0, "{name}");
}

fn hertz(rate: u32) -> Hertz {
    Hertz::new(rate).unwrap()
}

/// The cases of `cutoffs()` in filters.py.
fn cutoffs() -> Vec<(super::cutoff::Side, u32, f64, u32, Phase)> {
    use super::cutoff::Side::{High, Low};
    let (minimum, zero) = (Phase::Minimum, Phase::Zero);
    vec![
        (Low, 16_000, 1_000.0, 12, minimum),
        (Low, 16_000, 150.0, 24, minimum),
        (Low, 16_000, 3_000.0, 18, minimum),
        (Low, 8_000, 7_500.0, 24, minimum),
        (Low, 48_000, 20.0, 96, minimum),
        (Low, 16_000, 2_000.0, 24, zero),
        (Low, 16_000, 500.0, 36, zero),
        (High, 16_000, 300.0, 12, minimum),
        (High, 48_000, 20.0, 24, minimum),
        (High, 16_000, 2_400.0, 6, minimum),
        (High, 8_000, 80.0, 48, minimum),
        (High, 16_000, 1_000.0, 24, zero),
    ]
}

/// The cases of `bands()` in filters.py.
fn bands() -> Vec<(super::band::Inside, u32, f64, f64, u32, Phase)> {
    use super::band::Inside::{Passes, Stops};
    let (minimum, zero) = (Phase::Minimum, Phase::Zero);
    vec![
        (Passes, 16_000, 1_000.0, 0.5, 12, minimum),
        (Passes, 16_000, 200.0, 1.99, 24, minimum),
        (Passes, 16_000, 2_500.0, 1.0, 18, minimum),
        (Passes, 8_000, 4_000.0, 1.5, 6, minimum),
        (Passes, 16_000, 1_500.0, 1.2, 24, zero),
        (Stops, 16_000, 1_000.0, 0.5, 12, minimum),
        (Stops, 48_000, 4_000.0, 1.99, 24, minimum),
        (Stops, 16_000, 800.0, 0.8, 18, minimum),
        (Stops, 16_000, 800.0, 0.8, 36, zero),
    ]
}

fn cutoff(side: super::cutoff::Side, cutoff_hz: f64, rolloff: u32, phase: Phase) -> Augments {
    let (cutoff_hz, rolloff_db_per_octave) = (Range::fixed(cutoff_hz), Range::fixed(f64::from(rolloff)));
    match side {
        super::cutoff::Side::Low => LowPass { cutoff_hz, rolloff_db_per_octave, phase, ..LowPass::default() }.into(),
        super::cutoff::Side::High => HighPass { cutoff_hz, rolloff_db_per_octave, phase, ..HighPass::default() }.into(),
    }
}

fn band(inside: super::band::Inside, centre: f64, fraction: f64, rolloff: u32, phase: Phase) -> Augments {
    let (centre_hz, bandwidth_fraction) = (Range::fixed(centre), Range::fixed(fraction));
    let rolloff_db_per_octave = Range::fixed(f64::from(rolloff));
    match inside {
        super::band::Inside::Passes => {
            BandPass { centre_hz, bandwidth_fraction, rolloff_db_per_octave, phase, ..BandPass::default() }.into()
        }
        super::band::Inside::Stops => {
            BandStop { centre_hz, bandwidth_fraction, rolloff_db_per_octave, phase, ..BandStop::default() }.into()
        }
    }
}

fn equalizer(shape: super::Shape, centre_hz: f64, gain_db: f64, q: f64) -> Augments {
    let [centre_hz, gain_db, q] = [centre_hz, gain_db, q].map(Range::fixed);
    match shape {
        super::Shape::LowShelf => LowShelf { centre_hz, gain_db, q, ..LowShelf::default() }.into(),
        super::Shape::HighShelf => HighShelf { centre_hz, gain_db, q, ..HighShelf::default() }.into(),
        super::Shape::Peak => Peaking { centre_hz, gain_db, q, ..Peaking::default() }.into(),
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Minimum => "minimum",
        Phase::Zero => "zero",
    }
}

#[test]
fn parameters_are_drawn_evenly_and_frequencies_in_mels() {
    let mel = |hertz: f64| 2_595.0 * (1.0 + hertz / 700.0).log10();
    let frequencies: [(Augments, &str, f64, f64); 6] = [
        (HighPass::default().into(), "cutoff_hz", 20.0, 2_400.0),
        (BandPass::default().into(), "centre_hz", 200.0, 4_000.0),
        (BandStop::default().into(), "centre_hz", 200.0, 4_000.0),
        (LowShelf::default().into(), "centre_hz", 50.0, 4_000.0),
        (HighShelf::default().into(), "centre_hz", 300.0, 7_500.0),
        (Peaking::default().into(), "centre_hz", 50.0, 7_500.0),
    ];
    for (row, key, low, high) in frequencies {
        let name = row.name();
        let mels: Vec<f64> = drawn(row, key, 10_000).into_iter().map(mel).collect();
        assert!(is_uniform(&mels, mel(low) - 1e-6, mel(high) + 1e-6), "{name} {key}");
    }
    let others: [(Augments, &str, f64, f64); 8] = [
        (BandPass::default().into(), "bandwidth_fraction", 0.5, 1.99),
        (BandStop::default().into(), "bandwidth_fraction", 0.5, 1.99),
        (LowShelf::default().into(), "gain_db", -18.0, 18.0),
        (LowShelf::default().into(), "q", 0.1, 0.999),
        (HighShelf::default().into(), "gain_db", -18.0, 18.0),
        (HighShelf::default().into(), "q", 0.1, 0.999),
        (Peaking::default().into(), "gain_db", -24.0, 24.0),
        (Peaking::default().into(), "q", 0.5, 5.0),
    ];
    for (row, key, low, high) in others {
        let name = row.name();
        assert!(is_uniform(&drawn(row, key, 10_000), low, high), "{name} {key}");
    }
}

#[test]
fn low_and_high_passes_are_those_of_scipy_and_audiomentations() {
    for (side, rate, hz, rolloff, phase) in cutoffs() {
        let kind = if side == super::cutoff::Side::Low { "low" } else { "high" };
        let name = format!("{kind}-{rate}-{hz}-{rolloff}-{}", word(phase));
        if phase == Phase::Minimum {
            let mut sections = Vec::new();
            let edge = super::within(hz, hertz(rate));
            super::butterworth::one_edge(side, edge, phase.order(f64::from(rolloff)), hertz(rate), &mut sections);
            assert_response(&sections, &name);
        }
        let off = off(&varied(cutoff(side, hz, rolloff, phase), &voiced(rate)), &name);
        assert!(off < 1e-6, "{name}: {off:e}");
    }
}

#[test]
fn band_passes_and_stops_are_those_of_scipy_and_audiomentations() {
    for (inside, rate, centre, fraction, rolloff, phase) in bands() {
        let kind = if inside == super::band::Inside::Passes { "pass" } else { "stop" };
        let fraction_word = if fraction == 1.0 { "1.0".to_owned() } else { fraction.to_string() };
        let name = format!("{kind}-{rate}-{centre}-{fraction_word}-{rolloff}-{}", word(phase));
        if phase == Phase::Minimum {
            let mut filter = super::Filter::default();
            let edges = [centre * (1.0 - fraction / 2.0), centre * (1.0 + fraction / 2.0)];
            assert!(super::band::design(inside, edges, phase.order(f64::from(rolloff)), hertz(rate), &mut filter));
            assert_response(&filter.sections, &name);
        }
        let off = off(&varied(band(inside, centre, fraction, rolloff, phase), &voiced(rate)), &name);
        assert!(off < 1e-6, "{name}: {off:e}");
    }
}

#[test]
fn shelves_and_peaks_are_those_of_audiomentations() {
    use super::Shape::{HighShelf, LowShelf, Peak};
    for (shape, kind, rate, centre, gain, q) in [
        (LowShelf, "low-shelf", 16_000, 500.0, 12.0, 0.7),
        (LowShelf, "low-shelf", 48_000, 50.0, -18.0, 0.1),
        (HighShelf, "high-shelf", 16_000, 3_000.0, -9.0, 0.999),
        (HighShelf, "high-shelf", 8_000, 7_500.0, 18.0, 0.3),
        (Peak, "peak", 16_000, 1_000.0, 24.0, 5.0),
        (Peak, "peak", 48_000, 50.0, -24.0, 0.5),
    ] {
        let q_word = if q == 5.0 { "5.0".to_owned() } else { q.to_string() };
        let name = format!("{kind}-{rate}-{centre}-{gain}-{q_word}");
        assert_response(&[shape.section(centre, gain, q, hertz(rate))], &name);
        let off = off(&varied(equalizer(shape, centre, gain, q), &voiced(rate)), &name);
        assert!(off < 1e-6, "{name}: {off:e}");
    }
}

/// Settings at the limits of what is allowed, and in between.
fn every_filter() -> Vec<Augments> {
    let mut rows: Vec<Augments> = Vec::new();
    for hz in [1.0, 20.0, 1_000.0, 7_999.0, 384_000.0] {
        for (rolloff, phase) in [(6, Phase::Minimum), (96, Phase::Minimum), (12, Phase::Zero), (96, Phase::Zero)] {
            for side in [super::cutoff::Side::Low, super::cutoff::Side::High] {
                rows.push(cutoff(side, hz, rolloff, phase));
            }
            for inside in [super::band::Inside::Passes, super::band::Inside::Stops] {
                for fraction in [0.001, 0.5, 1.999] {
                    rows.push(band(inside, hz, fraction, rolloff, phase));
                }
            }
        }
        for shape in [super::Shape::LowShelf, super::Shape::HighShelf, super::Shape::Peak] {
            for (gain, q) in [(-96.0, 0.01), (96.0, 0.1), (-24.0, 100.0), (12.0, 0.7)] {
                rows.push(equalizer(shape, hz, gain, q));
            }
        }
    }
    rows
}

#[test]
fn no_filter_within_its_limits_grows_without_end() {
    for rate in [1_000, 8_000, 48_000, 768_000] {
        for row in every_filter() {
            let mut clip = mono(rate, vec![0.0; 6_000]);
            clip.channels[0][500] = 1.0;
            let filtered = varied(row.clone(), &clip);
            assert_eq!(filtered.num_samples(), 6_000);
            let peak = filtered.channels[0].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            // 96 dB, and some for peaks of narrow bands.
            assert!(peak < 1e5, "{rate} Hz, {row:?}: {peak}");
        }
    }
}

#[test]
fn silence_and_clips_of_one_sample_stay_what_they_are() {
    for row in every_filter() {
        assert_eq!(varied(row.clone(), &mono(16_000, vec![0.0; 300])).channels[0], [0.0; 300], "{row:?}");
        for len in [1, 2, 3, 9] {
            let filtered = varied(row.clone(), &mono(16_000, vec![0.0; len]));
            assert_eq!(filtered.num_samples(), len);
        }
    }
    // Of one sample, only its own past is heard: a constant.
    let low = cutoff(super::cutoff::Side::Low, 1_000.0, 24, Phase::Minimum);
    assert!((varied(low, &mono(16_000, vec![0.5])).channels[0][0] - 0.5).abs() < 1e-7);
}

#[test]
fn a_constant_begins_without_a_jump() {
    let constant = mono(16_000, vec![0.25; 2_000]);
    for phase in [Phase::Minimum, Phase::Zero] {
        for (row, expected) in [
            (cutoff(super::cutoff::Side::Low, 20.0, 24, phase), 0.25),
            (cutoff(super::cutoff::Side::High, 20.0, 24, phase), 0.0),
            (band(super::band::Inside::Passes, 1_000.0, 0.5, 24, phase), 0.0),
            (band(super::band::Inside::Stops, 1_000.0, 0.5, 24, phase), 0.25),
            (equalizer(super::Shape::LowShelf, 500.0, 20.0, 0.7), 2.5),
            (equalizer(super::Shape::HighShelf, 500.0, 20.0, 0.7), 0.25),
            (equalizer(super::Shape::Peak, 500.0, 20.0, 0.7), 0.25),
        ] {
            for sample in &varied(row.clone(), &constant).channels[0] {
                assert!((sample - expected).abs() < 1e-6, "{row:?}: {sample}");
            }
        }
    }
}

#[test]
fn a_step_settles_and_an_impulse_dies_away() {
    let mut step = mono(16_000, vec![1.0; 8_000]);
    step.channels[0][..100].fill(0.0);
    let mut impulse = mono(16_000, vec![0.0; 8_000]);
    impulse.channels[0][100] = 1.0;
    for (row, settled) in [
        (cutoff(super::cutoff::Side::Low, 200.0, 24, Phase::Minimum), 1.0),
        (cutoff(super::cutoff::Side::High, 200.0, 24, Phase::Minimum), 0.0),
        (equalizer(super::Shape::LowShelf, 500.0, -20.0, 0.7), 0.1),
    ] {
        let after = varied(row.clone(), &step).channels[0][7_999];
        assert!((after - settled).abs() < 1e-6, "{row:?}: {after}");
        let response = varied(row.clone(), &impulse);
        assert_eq!(response.channels[0][..100], [0.0; 100], "nothing before its cause");
        let sum: f64 = response.channels[0].iter().map(|sample| f64::from(*sample)).sum();
        assert!((sum - f64::from(settled)).abs() < 1e-5, "{row:?}: {sum}");
        assert!(response.channels[0][7_999].abs() < 1e-9);
    }
}

#[test]
fn a_filter_of_zero_phase_delays_no_tone() {
    let tone = sine(500.0, 0.5, 16_000);
    let row = cutoff(super::cutoff::Side::Low, 1_000.0, 24, Phase::Zero);
    let filtered = varied(row, &tone);
    // Order 2 twice: |H|^2 = 1 / (1 + (tan / tan)^4).
    let ratio = (PI * 500.0 / 16_000.0).tan() / (PI * 1_000.0 / 16_000.0).tan();
    let gain = (1.0 / (1.0 + ratio.powi(4))) as f32;
    for (y, x) in filtered.channels[0].iter().zip(&tone.channels[0]).skip(4_000).take(8_000) {
        assert!((y - gain * x).abs() < 1e-6);
    }
}

#[test]
fn channels_do_not_hear_each_other() {
    let (one, other) = (voiced(16_000), sine(300.0, 0.3, 16_000));
    let mut both = one.clone();
    both.channels.push(other.channels[0][..1_200].to_vec());
    both.channels.push(one.channels[0].clone());
    for row in every_filter().into_iter().step_by(7) {
        let filtered = varied(row.clone(), &both);
        assert_eq!(filtered.channels[0], filtered.channels[2]);
        assert_eq!(filtered.channels[0], varied(row, &one).channels[0]);
    }
}

#[test]
fn any_number_of_sections_side_by_side_gives_the_numbers_of_one_after_the_other() {
    let sound: Vec<f64> = voiced(16_000).channels[0].iter().map(|sample| f64::from(*sample)).collect();
    for count in 1..20 {
        let sections: Vec<Section> =
            (0..count).map(|n| super::Shape::Peak.section(100.0 * f64::from(n + 1), 6.0, 1.0, hertz(16_000))).collect();
        for len in [1, 2, 5, 7, 8, 63, 64, 65, 71, 72, 200, 1_200] {
            let (mut together, mut apart) = (sound[..len].to_vec(), sound[..len].to_vec());
            super::cascade::run(&sections, &mut together);
            for section in &sections {
                super::cascade::run(&[*section], &mut apart);
            }
            let off = together.iter().zip(&apart).fold(0.0_f64, |most, (y, x)| most.max((y - x).abs()));
            assert!(off < 1e-9, "{count} sections, {len} samples: {off:e}");
        }
    }
}

#[test]
fn roll_offs_that_no_filter_has_are_refused() {
    use super::cutoff::check_rolloff;
    assert!(check_rolloff(&Range::Uniform([6.0, 96.0]), Phase::Minimum).is_ok());
    assert!(check_rolloff(&Range::Uniform([12.0, 24.0]), Phase::Zero).is_ok());
    for (range, phase) in [
        (Range::fixed(13.0), Phase::Minimum),
        (Range::fixed(0.0), Phase::Minimum),
        (Range::fixed(102.0), Phase::Minimum),
        (Range::Uniform([12.0, 18.0]), Phase::Zero),
    ] {
        assert!(check_rolloff(&range, phase).is_err(), "{range:?}");
    }
}

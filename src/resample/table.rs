//! The measurements of `docs/resample.md`: what each method does to tones, beside the peers' figures.

use std::f64::consts::TAU;
use std::fmt::Write;
use std::fs;

use super::{Kernel, Method, Quality, Resampler, Torchaudio};
use crate::audio::Hertz;

/// The pairs of rates of the table, in the order of the peers' file.
const PAIRS: [(u32, u32); 7] = [
    (48_000, 16_000),
    (44_100, 16_000),
    (22_050, 16_000),
    (16_000, 8_000),
    (8_000, 16_000),
    (16_000, 44_100),
    (16_000, 17_600),
];

/// Tones in a sweep, as in `fixtures/golden/resample.py`, which measures the peers in the same way.
const TONES: u32 = 24;

/// The level from which on figures say no more than that single precision is at its end: the last bits differ from
/// processor to processor.
const FLOOR_DB: f64 = 120.0;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// The largest deviation from 0 dB up to 0.9 of the lower Nyquist frequency.
    ripple_db: f64,
    level_at_095_db: f64,
    /// The strongest alias of a tone beyond 1.05, or for a higher rate out the strongest image there.
    alias_db: f64,
    sinad_1khz_db: f64,
    sinad_09_db: f64,
    /// At 1 kHz, in output samples.
    delay: f64,
}

/// Resamples tones from one rate to another.
struct Bench {
    from: u32,
    to: u32,
    resampler: Resampler,
}

/// What became of a tone.
struct Fit {
    gain_db: f64,
    delay: f64,
    /// The level of all else, relative to the tone that went in.
    rest_db: f64,
}

impl Bench {
    fn new(from: u32, to: u32, method: Method) -> Self {
        let rates = [from, to].map(|rate| Hertz::new(rate).unwrap());
        Self { from, to, resampler: Resampler::new(rates[0], rates[1], &method).unwrap() }
    }

    fn nyquist(&self) -> f64 {
        f64::from(self.from.min(self.to)) / 2.0
    }

    /// The middle 60 % of what becomes of half a second of a tone at half of full scale, and the place of its first sample.
    fn middle(&mut self, hertz: f64) -> (usize, Vec<f64>) {
        let step = TAU * hertz / f64::from(self.from);
        let tone: Vec<f32> = (0..self.from / 2).map(|i| (0.5 * (step * f64::from(i)).sin()) as f32).collect();
        let mut out = Vec::new();
        self.resampler.push(&tone, &mut out);
        self.resampler.finish(&mut out);
        assert_eq!(out.len(), (tone.len() * self.to as usize).div_ceil(self.from as usize), "the length is exact");
        let edge = out.len() / 5;
        (edge, out[edge..out.len() - edge].iter().map(|&x| f64::from(x)).collect())
    }

    /// A tone at this share of the lower Nyquist frequency, fitted by least squares.
    fn fit(&mut self, share: f64) -> Fit {
        let hertz = share * self.nyquist();
        let step = TAU * hertz / f64::from(self.to);
        let (first, out) = self.middle(hertz);
        let basis: Vec<(f64, f64)> = (first..first + out.len()).map(|i| (step * i as f64).sin_cos()).collect();
        let (mut ss, mut sc, mut cc, mut sx, mut cx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (&(sin, cos), x) in basis.iter().zip(&out) {
            ss += sin * sin;
            sc += sin * cos;
            cc += cos * cos;
            sx += sin * x;
            cx += cos * x;
        }
        let determinant = ss * cc - sc * sc;
        let (a, b) = ((sx * cc - cx * sc) / determinant, (cx * ss - sx * sc) / determinant);
        let rest = basis.iter().zip(&out).map(|((sin, cos), x)| (x - a * sin - b * cos).powi(2));
        let rest_db = decibels(rest.sum::<f64>() / out.len() as f64);
        Fit { gain_db: 20.0 * (a.hypot(b) / 0.5).log10(), delay: -b.atan2(a) / step, rest_db }
    }

    fn figures(mut self) -> Figures {
        let sweep = |top: f64| (1..=TONES).map(move |tone| top * f64::from(tone) / f64::from(TONES));
        let ripple_db = sweep(0.9).map(|share| self.fit(share).gain_db.abs()).fold(0.0, f64::max);
        let alias_db = if self.from > self.to {
            let first = 1.05 * self.nyquist();
            let step = (0.98 * f64::from(self.from) / 2.0 - first) / f64::from(TONES - 1);
            let level = |tone| {
                let (_, out) = self.middle(first + step * f64::from(tone));
                decibels(out.iter().map(|x| x * x).sum::<f64>() / out.len() as f64)
            };
            (0..TONES).map(level).fold(f64::NEG_INFINITY, f64::max)
        } else {
            // Tones up to 0.95 have their images beyond 1.05.
            sweep(0.95).map(|share| self.fit(share).rest_db).fold(f64::NEG_INFINITY, f64::max)
        };
        let kilohertz = self.fit(1_000.0 / self.nyquist());
        Figures {
            ripple_db,
            level_at_095_db: self.fit(0.95).gain_db,
            alias_db,
            sinad_1khz_db: -kilohertz.rest_db,
            sinad_09_db: -self.fit(0.9).rest_db,
            delay: kilohertz.delay.abs(),
        }
    }
}

/// The level of a power relative to that of a sine of 0.5.
fn decibels(power: f64) -> f64 {
    10.0 * (power / 0.125).max(1e-30).log10()
}

impl Figures {
    fn row(&self, name: &str) -> String {
        let sinad = |db: f64| if db >= FLOOR_DB { format!("> {FLOOR_DB}") } else { format!("{db:.0}") };
        let alias = if self.alias_db <= -FLOOR_DB {
            format!("< −{FLOOR_DB}")
        } else {
            minus(&format!("{:.0}", self.alias_db))
        };
        // Below a hundredth of a decibel there is the sweep's own resolution.
        let ripple = if self.ripple_db < 0.01 { "< 0.01".to_owned() } else { format!("{:.2}", self.ripple_db) };
        let delay = if self.delay < 0.001 { "< 0.001".to_owned() } else { format!("{:.3}", self.delay) };
        let level = minus(&format!("{:.2}", self.level_at_095_db + 0.0));
        let (low, high) = (sinad(self.sinad_1khz_db), sinad(self.sinad_09_db));
        format!("| {name} | {ripple} | {level} | {alias} | {low} | {high} | {delay} |\n")
    }

    /// What is promised of `quality: high`.
    fn assert_high(&self, pair: &str) {
        assert!(self.ripple_db <= 0.01, "{pair}: {self:?}");
        assert!(self.alias_db <= -100.0, "{pair}: {self:?}");
        assert!(self.sinad_1khz_db >= 110.0 && self.sinad_09_db >= 110.0, "{pair}: {self:?}");
    }
}

/// With the sign of minus, and no negative zero.
fn minus(number: &str) -> String {
    let zero = number.trim_start_matches('-').chars().all(|c| "0.".contains(c));
    if zero { number.trim_start_matches('-').to_owned() } else { number.replace('-', "−") }
}

/// The peers' rows of a pair.
fn peers(file: &str, from: u32, to: u32) -> Vec<(String, Figures)> {
    let rows = file.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[0] == from.to_string() && row[1] == to.to_string())
        .map(|row| {
            let number = |column: usize| row[column].parse().unwrap();
            let figures = Figures {
                ripple_db: number(3),
                level_at_095_db: number(4),
                alias_db: number(5),
                sinad_1khz_db: number(6),
                sinad_09_db: number(7),
                delay: number(8),
            };
            (row[2].to_owned(), figures)
        })
        .collect()
}

const HEAD: &str = "\
# Resampling, measured

What each `quality` and `kernel` of [`resample`](stages.md#resample) does to tones, beside soxr HQ (librosa's default) and
torchaudio's `Resample`. Half-second sines at half of full scale go through each; the middle 60 % of what comes out is fitted
by least squares. All in single precision.

- ripple: the largest deviation from 0 dB, up to 0.9 of the lower of the two Nyquist frequencies.
- level at 0.95: what is left of a tone there.
- alias: the strongest remainder of any tone beyond 1.05; where the rate rises, the strongest image there.
- SINAD: the tone's level over that of all else, at 1 kHz and at 0.9 of the lower Nyquist frequency.
- delay: at 1 kHz, in output samples.

Beyond 120 dB single precision is at its end, and figures differ from processor to processor.

This page is made by `make docs` from a test (`src/resample/table.rs`), which holds wavemill to its promises; the peers'
figures come from `make golden`.
";

/// Whether the page is written anew, by `make docs`, or held against what it should be.
const SWITCH: &str = "MAKE_DOCS";

#[test]
fn every_method_does_to_tones_what_its_page_says() {
    let golden = fs::read_to_string("fixtures/golden/resample-peers.csv").expect("`make golden` makes it");
    let kaiser_best =
        r#"{"lowpass_filter_width": 64, "rolloff": 0.9475937167399596, "resampling_method": "sinc_interp_kaiser"}"#;
    let kaiser_best: Torchaudio = serde_json::from_str(kaiser_best).unwrap();
    let mut page = HEAD.to_owned();
    for (from, to) in PAIRS {
        let pair = format!("{from} to {to} Hz");
        let _ = write!(
            page,
            "\n## {pair}\n\n| | ripple (dB) | level at 0.95 (dB) | alias (dB) | SINAD at 1 kHz (dB) | SINAD at 0.9 (dB) | delay |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        );
        let figures = |method| Bench::new(from, to, method).figures();

        let high = figures(Method::Quality(Quality::High));
        high.assert_high(&pair);
        page.push_str(&high.row("`quality: high`"));

        let fast = figures(Method::Quality(Quality::Fast));
        assert!(fast.alias_db <= -80.0 && fast.sinad_1khz_db >= 80.0, "{pair}: {fast:?}");
        let edge = Bench::new(from, to, Method::Quality(Quality::Fast)).fit(0.85);
        assert!(edge.gain_db.abs() <= 0.1, "{pair}: {} dB at 0.85", edge.gain_db);
        page.push_str(&fast.row("`quality: fast`"));

        let peers = peers(&golden, from, to);
        assert_eq!(peers.len(), 2, "{pair}");
        let soft = figures(Method::Kernel(Kernel::Torchaudio(Torchaudio::DEFAULT)));
        // What torchaudio's kernel does is the peer's figure, as far as that is not its rounding.
        let theirs = peers[1].1;
        assert!((soft.ripple_db - theirs.ripple_db).abs() < 0.001, "{pair}: {soft:?} {theirs:?}");
        assert!((soft.level_at_095_db - theirs.level_at_095_db).abs() < 0.001, "{pair}: {soft:?} {theirs:?}");
        assert!((soft.alias_db - theirs.alias_db).abs() < 0.01, "{pair}: {soft:?} {theirs:?}");
        page.push_str(&soft.row("`kernel: torchaudio`"));

        let sharp = figures(Method::Kernel(Kernel::Torchaudio(kaiser_best)));
        assert!(sharp.ripple_db <= 0.03 && sharp.alias_db <= -100.0, "{pair}: {sharp:?}");
        page.push_str(&sharp.row("`kernel: torchaudio`, kaiser_best¹"));
        let rubato = figures(Method::Kernel(Kernel::Rubato));
        rubato.assert_high(&pair);
        page.push_str(&rubato.row("`kernel: rubato`"));
        for all in [high, fast, soft, sharp, rubato] {
            assert!(all.delay < 1e-3, "{pair}: {all:?}");
        }
        for (peer, figures) in peers {
            page.push_str(&figures.row(&peer));
        }
    }
    page.push_str("\n¹ `lowpass_filter_width: 64, rolloff: 0.9475937167399596, resampling_method: sinc_interp_kaiser`, torchaudio's\nlikeness of resampy's filter of that name.\n");
    if std::env::var_os(SWITCH).is_some() {
        fs::write("docs/resample.md", &page).unwrap();
    }
    let written = fs::read_to_string("docs/resample.md").unwrap_or_default();
    assert!(written == page, "docs/resample.md is out of date: run `make docs`\n{page}");
}

//! By what angle each bin of a frame is turned, so that frames that come closer or farther apart still agree.
//!
//! With `X` a frame's spectrum about the middle of its window and `T[b]` the turn of bin b (output over input, of magnitude 1):
//!
//! - time: if a bin went on as it did over the hop before, its turn is `T'[b] · X'[b] · conj(X⁻[b])`, where `T'` and `X'` are of the
//!   frame before in the output and `X⁻` is the spectrum one hop before in the input;
//! - frequency: the output's phase from bin to bin is the input's over a step that is longer by the stretch `s` (a moment's
//!   distance from the middle grows so): `T[b] = T[b-1] · X[b-1] · conj(X[b-s])`. The same over four bins, the width of a window's
//!   main lobe, and upwards from the neighbours' turns by time.
//!
//! Each is weighted by the energy of the bins that it leans on, so that peaks lead. Source: Luff, 2023, as in `stretch.rs`; in
//! the form of turns it is one sum over all channels.

use multiversion::multiversion;
use rustfft::num_complex::Complex;

use super::{FASTEST, OVERLAP};

/// Stretches of the spectrum that are worked through side by side.
const LANES: usize = 8;

/// Bins that a stretch begins early, so that it meets the one below in phase.
const RUN_IN: usize = 8;

/// The long step between bins.
const LONG: usize = OVERLAP;

/// Bins of silence to either side: what any step may reach.
const MARGIN: usize = (LONG * FASTEST as usize + 2).next_multiple_of(8);

/// Added to energies, so that silence is no division by zero.
const TINY: f32 = 1e-30;

/// Complex numbers by bin, with margins: `[MARGIN + bins + MARGIN, …]`.
pub(super) struct Bins {
    re: Vec<f32>,
    im: Vec<f32>,
}

/// How long rows with margins are: the last of the stretches may end behind the last bin.
const fn room(bins: usize) -> usize {
    bins + 2 * MARGIN + LANES
}

impl Bins {
    pub(super) fn new(bins: usize) -> Self {
        Self { re: vec![0.0; room(bins)], im: vec![0.0; room(bins)] }
    }

    fn fill(&mut self, re: f32) {
        self.re.fill(re);
        self.im.fill(0.0);
    }

    /// `len` bins from this many away from the first.
    fn from(&self, shift: isize, len: usize) -> (&[f32], &[f32]) {
        let start = MARGIN.saturating_add_signed(shift);
        (&self.re[start..start + len], &self.im[start..start + len])
    }

    fn all(&mut self, len: usize) -> (&mut [f32], &mut [f32]) {
        self.some(0, len)
    }

    /// `len` bins from this one on.
    fn some(&mut self, first: usize, len: usize) -> (&mut [f32], &mut [f32]) {
        let start = MARGIN + first;
        (&mut self.re[start..start + len], &mut self.im[start..start + len])
    }
}

/// What is known of a channel: the spectra about a frame.
pub(super) struct Spectra {
    /// The frame's.
    now: Bins,
    /// One hop before it in the input.
    before: Bins,
    /// The frame's before in the output.
    last: Bins,
    bins: usize,
}

impl Spectra {
    pub(super) fn new(bins: usize) -> Self {
        Self { now: Bins::new(bins), before: Bins::new(bins), last: Bins::new(bins), bins }
    }

    /// Forgets the clip before.
    pub(super) fn clear(&mut self) {
        self.last.fill(0.0);
    }

    /// Takes the transform of two real frames, `now + i·before`, `[2·(bins - 1)]`.
    pub(super) fn take(&mut self, pair: &[Complex<f32>]) {
        let half = self.bins - 1;
        let (now, before) = (self.now.all(self.bins), self.before.all(self.bins));
        for end in [0, half] {
            (now.0[end], now.1[end], before.0[end], before.1[end]) = (pair[end].re, 0.0, pair[end].im, 0.0);
        }
        let inner = half - 1;
        part(&pair[1..half], &pair[half + 1..], self.now.some(1, inner), self.before.some(1, inner));
    }

    /// Ends a frame.
    pub(super) fn keep(&mut self) {
        std::mem::swap(&mut self.now, &mut self.last);
    }
}

/// The turns of all bins from frame to frame.
pub(super) struct Turns {
    bins: usize,
    /// The stretch in time: by it the steps in frequency are longer.
    stretch: f32,
    current: Bins,
    energy: Vec<f32>,
    last_energy: Vec<f32>,
    /// By time alone.
    timed: Bins,
    /// From the bin one below, and from that `LONG` below.
    short: Bins,
    long: Bins,
    /// All that a bin's turn comes from: the factors of the turns below it, and what the bins above say.
    from_short: Bins,
    from_long: Bins,
    from_above: Bins,
}

impl Turns {
    pub(super) fn new(bins: usize) -> Self {
        let row = || Bins::new(bins);
        Self {
            bins,
            stretch: 1.0,
            current: row(),
            energy: vec![0.0; room(bins)],
            last_energy: vec![0.0; room(bins)],
            timed: row(),
            short: row(),
            long: row(),
            from_short: row(),
            from_long: row(),
            from_above: row(),
        }
    }

    /// Begins a clip that becomes `stretch` times as long.
    pub(super) fn begin(&mut self, stretch: f64) {
        self.stretch = stretch as f32;
        self.current.fill(1.0);
        self.energy.fill(0.0);
        self.last_energy.fill(0.0);
    }

    /// Finds the turns of the next frame.
    pub(super) fn turn<'a>(&mut self, channels: impl Iterator<Item = &'a Spectra>) {
        let bins = self.bins;
        std::mem::swap(&mut self.energy, &mut self.last_energy);
        self.energy.fill(0.0);
        for row in [&mut self.timed, &mut self.short, &mut self.long] {
            row.fill(0.0);
        }
        for channel in channels {
            let now = channel.now.from(0, bins);
            let energy = &mut self.energy[MARGIN..MARGIN + bins];
            advance(now, channel.last.from(0, bins), channel.before.from(0, bins), energy, self.timed.all(bins));
            for (row, step) in [(&mut self.short, 1), (&mut self.long, LONG)] {
                let reach = step as f32 * self.stretch;
                let whole = reach.ceil();
                let below = channel.now.from(-(whole as isize), bins + 1);
                relate(channel.now.from(-(step as isize), bins), below, whole - reach, row.all(bins));
            }
        }
        let energy = &self.energy[MARGIN..];
        predict(energy, &self.last_energy[MARGIN..], self.current.from(0, bins), self.timed.all(bins));
        weigh(energy, self.short.from(0, bins), 0, self.from_short.all(bins));
        weigh(energy, self.long.from(0, bins), 0, self.from_long.all(bins));
        let above = self.from_above.all(bins);
        above.0.fill(0.0);
        above.1.fill(0.0);
        lean(energy, 1, self.timed.from(1, bins), self.short.from(1, bins), self.from_above.all(bins));
        lean(
            energy,
            LONG,
            self.timed.from(LONG as isize, bins),
            self.long.from(LONG as isize, bins),
            self.from_above.all(bins),
        );
        climb(bins, &self.from_short, &self.from_long, &self.from_above, &mut self.current);
    }

    /// The frame's spectrum, turned.
    pub(super) fn apply(&self, spectra: &Spectra, turned: &mut Bins) {
        product(spectra.now.from(0, self.bins), self.current.from(0, self.bins), turned.all(self.bins));
        for end in [0, self.bins - 1] {
            turned.im[MARGIN + end] = 0.0;
        }
    }

    /// The transform of two real frames, `first + i·second`, where `first` is turned and `spectra` is that of the second.
    pub(super) fn apply_pair(&self, spectra: &Spectra, first: &Bins, pair: &mut [Complex<f32>]) {
        let half = self.bins - 1;
        for end in [0, half] {
            let place = MARGIN + end;
            let second =
                spectra.now.re[place] * self.current.re[place] - spectra.now.im[place] * self.current.im[place];
            pair[end] = Complex::new(first.re[place], second);
        }
        let (low, high) = pair.split_at_mut(half + 1);
        let inner = half - 1;
        join(first.from(1, inner), spectra.now.from(1, inner), self.current.from(1, inner), &mut low[1..half], high);
    }
}

type Complexes<'a> = (&'a [f32], &'a [f32]);
type ComplexesMut<'a> = (&'a mut [f32], &'a mut [f32]);

/// Parts the transform of two real frames; `mirrored` are the bins from the highest frequency down.
#[multiversion(targets("x86_64+avx2"))]
fn part(bins: &[Complex<f32>], mirrored: &[Complex<f32>], real: ComplexesMut<'_>, imaginary: ComplexesMut<'_>) {
    let len = bins.len();
    let (rr, ri, ir, ii) = (&mut real.0[..len], &mut real.1[..len], &mut imaginary.0[..len], &mut imaginary.1[..len]);
    let mirrored = &mirrored[..len];
    for bin in 0..len {
        let (one, other) = (bins[bin], mirrored[len - 1 - bin]);
        rr[bin] = 0.5 * (one.re + other.re);
        ri[bin] = 0.5 * (one.im - other.im);
        ir[bin] = 0.5 * (one.im + other.im);
        ii[bin] = 0.5 * (other.re - one.re);
    }
}

/// The inverse of [`part`], with the second frame turned on the way.
#[multiversion(targets("x86_64+avx2"))]
fn join(
    first: Complexes<'_>,
    now: Complexes<'_>,
    turns: Complexes<'_>,
    bins: &mut [Complex<f32>],
    mirrored: &mut [Complex<f32>],
) {
    let len = bins.len();
    let (fr, fi, nr, ni) = (&first.0[..len], &first.1[..len], &now.0[..len], &now.1[..len]);
    let (tr, ti, mirrored) = (&turns.0[..len], &turns.1[..len], &mut mirrored[..len]);
    for bin in 0..len {
        let re = nr[bin] * tr[bin] - ni[bin] * ti[bin];
        let im = nr[bin] * ti[bin] + ni[bin] * tr[bin];
        bins[bin] = Complex::new(fr[bin] - im, fi[bin] + re);
        mirrored[len - 1 - bin] = Complex::new(fr[bin] + im, re - fi[bin]);
    }
}

/// Adds the frame's energy, and how each bin turned since the frame one hop before it: `last · conj(before)`.
#[multiversion(targets("x86_64+avx2"))]
fn advance(
    now: Complexes<'_>,
    last: Complexes<'_>,
    before: Complexes<'_>,
    energy: &mut [f32],
    timed: ComplexesMut<'_>,
) {
    let len = energy.len();
    let (nr, ni, lr, li) = (&now.0[..len], &now.1[..len], &last.0[..len], &last.1[..len]);
    let (br, bi, tr, ti) = (&before.0[..len], &before.1[..len], &mut timed.0[..len], &mut timed.1[..len]);
    for bin in 0..len {
        energy[bin] += nr[bin] * nr[bin] + ni[bin] * ni[bin];
        tr[bin] += lr[bin] * br[bin] + li[bin] * bi[bin];
        ti[bin] += li[bin] * br[bin] - lr[bin] * bi[bin];
    }
}

/// Adds `near · conj(far)`, where the far ones stand between bins, this share of the way to the next.
#[multiversion(targets("x86_64+avx2"))]
fn relate(near: Complexes<'_>, far: Complexes<'_>, share: f32, sum: ComplexesMut<'_>) {
    let len = sum.0.len();
    let (nr, ni, sr, si) = (&near.0[..len], &near.1[..len], &mut sum.0[..len], &mut sum.1[..len]);
    let (fr, fi, gr, gi) = (&far.0[..len], &far.1[..len], &far.0[1..=len], &far.1[1..=len]);
    for bin in 0..len {
        let (re, im) = (fr[bin] + share * (gr[bin] - fr[bin]), fi[bin] + share * (gi[bin] - fi[bin]));
        sr[bin] += nr[bin] * re + ni[bin] * im;
        si[bin] += ni[bin] * re - nr[bin] * im;
    }
}

/// The turns by time, as certain as the energy is steady.
#[multiversion(targets("x86_64+avx2"))]
fn predict(energy: &[f32], last_energy: &[f32], turns: Complexes<'_>, timed: ComplexesMut<'_>) {
    let len = timed.0.len();
    let (energy, last_energy) = (&energy[..len], &last_energy[..len]);
    let (ur, ui, tr, ti) = (&turns.0[..len], &turns.1[..len], &mut timed.0[..len], &mut timed.1[..len]);
    for bin in 0..len {
        let (one, other) = (energy[bin], last_energy[bin]);
        let weight = 1.0 / (if one > other { one } else { other } + TINY);
        let (re, im) = (tr[bin] * weight, ti[bin] * weight);
        tr[bin] = re * ur[bin] - im * ui[bin];
        ti[bin] = re * ui[bin] + im * ur[bin];
    }
}

/// Numbers weighted by the energy of the bin `shift` above, among the three that decide.
#[multiversion(targets("x86_64+avx2"))]
fn weigh(energy: &[f32], numbers: Complexes<'_>, shift: usize, weighed: ComplexesMut<'_>) {
    let len = weighed.0.len();
    let (own, next, far, leading) =
        (&energy[..len], &energy[1..=len], &energy[LONG..LONG + len], &energy[shift..shift + len]);
    let (nr, ni, wr, wi) = (&numbers.0[..len], &numbers.1[..len], &mut weighed.0[..len], &mut weighed.1[..len]);
    for bin in 0..len {
        let weight = leading[bin] / (own[bin] + next[bin] + far[bin] + TINY);
        wr[bin] = nr[bin] * weight;
        wi[bin] = ni[bin] * weight;
    }
}

/// Adds what the bins `shift` above say: their turns by time, taken back over the step.
#[multiversion(targets("x86_64+avx2"))]
fn lean(energy: &[f32], shift: usize, timed: Complexes<'_>, steps: Complexes<'_>, sum: ComplexesMut<'_>) {
    let len = sum.0.len();
    let (own, next, far, leading) =
        (&energy[..len], &energy[1..=len], &energy[LONG..LONG + len], &energy[shift..shift + len]);
    let (tr, ti, vr, vi) = (&timed.0[..len], &timed.1[..len], &steps.0[..len], &steps.1[..len]);
    let (sr, si) = (&mut sum.0[..len], &mut sum.1[..len]);
    for bin in 0..len {
        let weight = leading[bin] / (own[bin] + next[bin] + far[bin] + TINY);
        sr[bin] += (tr[bin] * vr[bin] + ti[bin] * vi[bin]) * weight;
        si[bin] += (ti[bin] * vr[bin] - tr[bin] * vi[bin]) * weight;
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn product(one: Complexes<'_>, other: Complexes<'_>, product: ComplexesMut<'_>) {
    let len = product.0.len();
    let (ar, ai, br, bi) = (&one.0[..len], &one.1[..len], &other.0[..len], &other.1[..len]);
    let (pr, pi) = (&mut product.0[..len], &mut product.1[..len]);
    for bin in 0..len {
        pr[bin] = ar[bin] * br[bin] - ai[bin] * bi[bin];
        pi[bin] = ar[bin] * bi[bin] + ai[bin] * br[bin];
    }
}

type Group = [f32; LANES];

/// From the lowest bin up, each turn from those below it and what is said from above. Each of `LANES` stretches of the spectrum begins
/// a little below its first bin, so that all can be worked through at once.
#[multiversion(targets("x86_64+avx2"))]
fn climb(bins: usize, from_short: &Bins, from_long: &Bins, from_above: &Bins, turns: &mut Bins) {
    let length = bins.div_ceil(LANES);
    let mut history = [[[0.0_f32; LANES]; 2]; LONG];
    for step in 0..RUN_IN + length {
        // The first bin of the lowest stretch that has no silence below it is at RUN_IN.
        let start = MARGIN - RUN_IN + step;
        let gather = |row: &[f32]| -> Group { std::array::from_fn(|lane| row[start + lane * length]) };
        let (sr, si) = (gather(&from_short.re), gather(&from_short.im));
        let (lr, li) = (gather(&from_long.re), gather(&from_long.im));
        let (mut re, mut im) = (gather(&from_above.re), gather(&from_above.im));
        let [near_re, near_im] = history[0];
        let [far_re, far_im] = history[LONG - 1];
        for lane in 0..LANES {
            re[lane] += far_re[lane] * lr[lane] - far_im[lane] * li[lane];
            im[lane] += far_re[lane] * li[lane] + far_im[lane] * lr[lane];
        }
        for lane in 0..LANES {
            re[lane] += near_re[lane] * sr[lane] - near_im[lane] * si[lane];
            im[lane] += near_re[lane] * si[lane] + near_im[lane] * sr[lane];
        }
        for lane in 0..LANES {
            let power = re[lane] * re[lane] + im[lane] * im[lane];
            let weak = power < TINY;
            let scale = 1.0 / power.sqrt();
            re[lane] = if weak { 1.0 } else { re[lane] * scale };
            im[lane] = if weak { 0.0 } else { im[lane] * scale };
        }
        history.rotate_right(1);
        history[0] = [re, im];
        if step >= RUN_IN {
            for lane in 0..LANES {
                turns.re[start + lane * length] = re[lane];
                turns.im[start + lane * length] = im[lane];
            }
        }
    }
}

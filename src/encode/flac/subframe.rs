//! One channel of one frame (RFC 9639, 9.2): how it is kept best.

use super::bits::BitWriter;
use super::predict::{self, FIXED, MOST, Width};

/// Partitions are halved up to so often: libFLAC's number at level 5.
const MOST_HALVINGS: u32 = 5;

/// The highest Rice parameters: of 4 bits, and of 5. One above means something else.
const HIGHEST_SHORT: u32 = 14;
const HIGHEST_LONG: u32 = 30;

/// Bits of a subframe's own header, but for those of dropped zeros.
const HEADER: u64 = 8;

/// Up to here a prediction's sum has 32 bits: those of 16-bit sound, and of the difference of two such channels.
const NARROW: u32 = 17;

/// Frames shorter than this are not worth weights.
const SHORTEST_PREDICTED: usize = 64;

/// What the samples of a subframe become.
#[derive(Debug, Clone, Copy, Default)]
enum Kind {
    /// One value for all.
    Constant,
    /// Samples as they are.
    #[default]
    Verbatim,
    /// A polynomial of this order.
    Fixed(usize),
    /// Weights of so many bits, and the shift of their sum.
    Predicted { order: usize, weights: [i32; MOST], precision: u32, shift: u32 },
}

/// How what a prediction misses is divided.
#[derive(Debug, Clone, Copy, Default)]
struct Partitions {
    halvings: u32,
    parameters: [u32; 1 << MOST_HALVINGS],
    /// Bits of all, an estimate.
    size: u64,
}

/// A channel as it is best kept.
#[derive(Default)]
pub(super) struct Analysis {
    /// The samples without the zeros that all of them end in.
    samples: Vec<i32>,
    zeros: u32,
    /// Bits of a sample, without the zeros.
    depth: u32,
    kind: Kind,
    missed: Vec<i32>,
    partitions: Partitions,
    /// An estimate, in bits.
    size: u64,
    window: Vec<f64>,
    weighed: Vec<f64>,
    other: Vec<i32>,
}

impl Analysis {
    /// Bits that the channel takes, an estimate.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Finds how a channel of samples of `depth` bits is best kept.
    pub(super) fn of(&mut self, samples: &[i32], depth: u32) {
        let used = samples.iter().fold(0, |used, sample| used | sample);
        self.zeros = if used == 0 { 0 } else { used.trailing_zeros() };
        self.depth = depth - self.zeros;
        self.samples.clear();
        self.samples.extend(samples.iter().map(|sample| sample >> self.zeros));
        let (len, bits) = (self.samples.len(), u64::from(self.depth));
        let first = self.samples.first().copied().unwrap_or(0);
        if self.samples.iter().fold(true, |same, sample| same & (*sample == first)) {
            (self.kind, self.size) = (Kind::Constant, HEADER + bits);
            return;
        }
        (self.kind, self.size) = (Kind::Verbatim, HEADER + len as u64 * bits);
        self.try_fixed();
        if len >= SHORTEST_PREDICTED {
            self.try_predicted();
        }
    }

    /// Takes what `other` holds if it is shorter than the best so far.
    fn offer(&mut self, kind: Kind, order: usize, head: u64) {
        let partitions = partition(&self.other, order, self.depth);
        let size = HEADER + head + partitions.size;
        if size < self.size {
            (self.kind, self.size, self.partitions) = (kind, size, partitions);
            std::mem::swap(&mut self.missed, &mut self.other);
        }
    }

    fn try_fixed(&mut self) {
        let sums = predict::fixed_sums(&self.samples);
        let order = (0..FIXED.len()).min_by_key(|order| sums[*order]).unwrap_or(0);
        // Sums of fewer than five samples are all zero.
        let order = order.min(self.samples.len() - 1);
        if predict::miss(&self.samples, FIXED[order], 0, Width::Narrow, &mut self.other) {
            self.offer(Kind::Fixed(order), order, order as u64 * u64::from(self.depth));
        }
    }

    fn try_predicted(&mut self) {
        let len = self.samples.len();
        if self.window.len() != len {
            self.window = predict::tukey(len);
        }
        self.weighed.clear();
        self.weighed.resize(MOST + len, 0.0);
        predict::weigh(&self.samples, &self.window, &mut self.weighed[MOST..]);
        let orders = predict::levinson(&predict::autocorrelate(&self.weighed));
        let precision = precision(len, self.depth);
        // The order of which the fewest bits are expected: those of Laplacian noise of the power that it misses.
        let expected = |(at, (_, missed)): &(usize, &([f64; MOST], f64))| {
            let order = at + 1;
            let each = if *missed > 0.0 { (0.5 * (0.5 * missed / len as f64).log2()).max(0.0) } else { 0.0 };
            each * (len - order) as f64 + (order as u32 * (self.depth + precision)) as f64
        };
        let best = orders.iter().enumerate().min_by(|one, other| expected(one).total_cmp(&expected(other)));
        let Some((at, (weights, _))) = best else { return };
        let order = at + 1;
        let Some((weights, shift)) = predict::quantize(&weights[..order], precision) else { return };
        let width = if self.depth <= NARROW { Width::Narrow } else { Width::Wide };
        if predict::miss(&self.samples, &weights[..order], shift, width, &mut self.other) {
            let head = 4 + 5 + order as u64 * u64::from(self.depth + precision);
            self.offer(Kind::Predicted { order, weights, precision, shift }, order, head);
        }
    }

    /// Writes the subframe.
    pub(super) fn write(&self, writer: &mut BitWriter) {
        let (kind, order) = match self.kind {
            Kind::Constant => (0, 0),
            Kind::Verbatim => (1, 0),
            Kind::Fixed(order) => (8 + order as u64, order),
            Kind::Predicted { order, .. } => (32 + order as u64 - 1, order),
        };
        writer.put(kind << 1 | u64::from(self.zeros > 0), 8);
        if self.zeros > 0 {
            // One less as so many zeros and a one.
            writer.put(1, self.zeros);
        }
        let plain = match self.kind {
            Kind::Constant => 1,
            Kind::Verbatim => self.samples.len(),
            _ => order,
        };
        for sample in self.samples.iter().take(plain) {
            writer.put_signed(*sample, self.depth);
        }
        match self.kind {
            Kind::Constant | Kind::Verbatim => return,
            Kind::Fixed(_) => {}
            Kind::Predicted { order, weights, precision, shift } => {
                writer.put(u64::from(precision - 1), 4);
                writer.put(shift.into(), 5);
                weights[..order].iter().for_each(|weight| writer.put_signed(*weight, precision));
            }
        }
        self.write_missed(order, writer);
    }

    /// Writes what the prediction misses (RFC 9639, 9.2.7).
    fn write_missed(&self, order: usize, writer: &mut BitWriter) {
        let Partitions { halvings, parameters, .. } = &self.partitions;
        let parameters = &parameters[..1 << halvings];
        let (method, bits) =
            if parameters.iter().any(|parameter| *parameter > HIGHEST_SHORT) { (1, 5) } else { (0, 4) };
        writer.put(method, 2);
        writer.put((*halvings).into(), 4);
        let mut rest = &*self.missed;
        for (at, parameter) in parameters.iter().enumerate() {
            let len = (self.samples.len() >> halvings) - if at == 0 { order } else { 0 };
            let (part, after) = rest.split_at(len.min(rest.len()));
            rest = after;
            writer.put((*parameter).into(), bits);
            part.iter().for_each(|number| writer.put_rice(*number, *parameter));
        }
    }
}

/// Bits of a weight, as libFLAC chooses them by the number of samples and their depth; sums of narrow samples stay within 32.
const fn precision(len: usize, depth: u32) -> u32 {
    match depth {
        0..=15 => {
            if 2 + depth / 2 > 5 {
                2 + depth / 2
            } else {
                5
            }
        }
        16 | 17 => match len {
            0..=192 => 7,
            193..=384 => 8,
            385..=576 => 9,
            577..=1_152 => 10,
            1_153..=2_304 => 11,
            _ => 12,
        },
        _ => match len {
            0..=384 => 13,
            385..=1_152 => 14,
            _ => 15,
        },
    }
}

/// The Rice parameter that fewest bits are expected of, and how many: `sum` is that of the magnitudes of `len` numbers.
fn parameter(sum: u64, len: u64, highest: u32) -> (u32, u64) {
    // A number takes its sign, a one and the parameter's bits, and its magnitude shifted: half a bit less on average, for shifting
    // rounds down.
    let size = |parameter: u32| {
        let shifted = if parameter == 0 { sum << 1 } else { sum >> (parameter - 1) };
        (u64::from(1 + parameter) * len + shifted).saturating_sub(if parameter == 0 { 0 } else { len / 2 })
    };
    let mean = sum.checked_div(len).unwrap_or(0);
    let likely = (64 - mean.leading_zeros()).min(highest);
    let one_less = likely.saturating_sub(1);
    let (of_likely, of_one_less) = (size(likely), size(one_less));
    if of_one_less < of_likely { (one_less, of_one_less) } else { (likely, of_likely) }
}

/// The division of `missed`, which `order` samples come before, of which fewest bits are expected.
fn partition(missed: &[i32], order: usize, depth: u32) -> Partitions {
    let len = missed.len() + order;
    let highest = if depth > 16 { HIGHEST_LONG } else { HIGHEST_SHORT };
    let fits = |halvings: &u32| len.is_multiple_of(1 << halvings) && len >> halvings > order;
    let most = (0..=MOST_HALVINGS).rev().find(fits).unwrap_or(0);
    let mut sums = [0; 1 << MOST_HALVINGS];
    let mut rest = missed;
    for (at, sum) in sums.iter_mut().take(1 << most).enumerate() {
        let part = (len >> most) - if at == 0 { order } else { 0 };
        let (now, after) = rest.split_at(part.min(rest.len()));
        *sum = magnitude(now);
        rest = after;
    }
    let mut best = Partitions { size: u64::MAX, ..Partitions::default() };
    for halvings in (0..=most).rev() {
        let mut found = Partitions { halvings, size: 6, ..Partitions::default() };
        for (at, parameter_of) in found.parameters.iter_mut().take(1 << halvings).enumerate() {
            let part = (len >> halvings) - if at == 0 { order } else { 0 };
            let (parameter, size) = parameter(sums[at], part as u64, highest);
            *parameter_of = parameter;
            found.size += size + 4;
        }
        if found.size < best.size {
            best = found;
        }
        for at in 0..1 << halvings >> 1 {
            sums[at] = sums[2 * at] + sums[2 * at + 1];
        }
    }
    best
}

/// The sum of magnitudes.
#[multiversion::multiversion(targets("x86_64+avx2"))]
fn magnitude(numbers: &[i32]) -> u64 {
    numbers.iter().map(|number| u64::from(number.unsigned_abs())).sum()
}

//! The impulse response of a room with six flat walls: mirror images for its first part, noise that decays for the rest.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::seed::Generator;

/// The speed of sound in m/s, at 20 degrees.
pub(super) const SPEED: f64 = 343.0;

/// Taps of the windowed sinc that puts an image between two samples.
const WIDTH: usize = 32;
/// The tap of a sinc at which an image on a sample stands.
const CENTRE: usize = WIDTH / 2 - 1;
/// Places between two samples at which the sinc is tabled; between them it is interpolated, within 1e-5.
const PHASES: usize = 256;

/// A sinc under a Hann window for each place, one more at the end.
static SINCS: LazyLock<Vec<[f32; WIDTH]>> = LazyLock::new(|| {
    let tap = |phase: usize, tap: usize| {
        let x = tap as f64 - CENTRE as f64 - phase as f64 / PHASES as f64;
        let window =
            (0.5 + 0.5 * (2.0 * PI * x / WIDTH as f64).cos()) * f64::from(u8::from(x.abs() < WIDTH as f64 / 2.0));
        let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        (sinc * window) as f32
    };
    (0..=PHASES).map(|phase| std::array::from_fn(|number| tap(phase, number))).collect()
});

/// A room, and who stands where: metres along length, width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Room {
    pub(super) size: [f64; 3],
    pub(super) source: [f64; 3],
    pub(super) microphone: [f64; 3],
    /// The share of the energy that a wall takes.
    pub(super) absorption: f64,
}

impl Room {
    /// From this many images a second on the response is noise: three times as many as where it begins to sound like it.
    const DENSITY: f64 = 30_000.0;

    fn volume(&self) -> f64 {
        self.size.iter().product()
    }

    fn surface(&self) -> f64 {
        let [length, width, height] = self.size;
        2.0 * (length * width + width * height + height * length)
    }

    /// The most that walls absorb: with all of the energy there is no reverberation that could decay.
    pub(super) const MOST_ABSORPTION: f64 = 0.99;

    /// The absorption with which a room of this size has a decay time: Eyring (1930). It is held at
    /// [`MOST_ABSORPTION`](Self::MOST_ABSORPTION).
    pub(super) fn absorption_of(&self, rt60_s: f64) -> f64 {
        (-(-self.decay_of_one() / rt60_s).exp_m1()).min(Self::MOST_ABSORPTION)
    }

    /// The decay time to -60 dB: Eyring (1930).
    pub(super) fn rt60_s(&self) -> f64 {
        self.decay_of_one() / -(-self.absorption).ln_1p()
    }

    /// The decay time if walls let 1/e of the energy remain.
    fn decay_of_one(&self) -> f64 {
        24.0 * 10_f64.ln() * self.volume() / (SPEED * self.surface())
    }

    /// How far the microphone is from the source.
    pub(super) fn distance(&self) -> f64 {
        self.source.iter().zip(&self.microphone).map(|(s, m)| (s - m).powi(2)).sum::<f64>().sqrt()
    }

    /// Writes the response of at most `longest_s` at `rate`, the direct path 1 high at the sample whose number is given;
    /// the noise is drawn from `generator`.
    pub(super) fn response(
        &self,
        rate: f64,
        longest_s: f64,
        generator: &mut Generator,
        response: &mut Vec<f32>,
    ) -> usize {
        let rt60_s = self.rt60_s();
        let direct = self.distance();
        response.clear();
        let samples = (rt60_s.min(longest_s) * rate).ceil() as usize;
        response.resize(samples + 2 * WIDTH, 0.0);

        let radius = self.radius().min(direct + SPEED * rt60_s.min(longest_s));
        self.mirror(rate, radius, response);
        let from = CENTRE + ((radius - direct) / SPEED * rate).round() as usize;
        if let Some(rest) = response.get_mut(from..) {
            self.noise(rate, radius, generator, rest);
        }
        high_pass(response, rate);
        if let Some(reverberation) = response.get_mut(CENTRE + WIDTH / 2..) {
            set_decay_time(reverberation, rate, rt60_s);
        }
        CENTRE
    }

    /// How far away images are made one by one. There is one for each volume of the room, so that they come the denser the
    /// farther they are.
    fn radius(&self) -> f64 {
        (Self::DENSITY * self.volume() / (4.0 * PI * SPEED)).sqrt().max(self.distance() * 1.001)
    }

    /// Adds the images within `radius` metres: Allen and Berkley (1979).
    fn mirror(&self, rate: f64, radius: f64, response: &mut [f32]) {
        let [along, across, up] = [0, 1, 2].map(|axis| self.images(axis, radius));
        let most = [&along, &across, &up].iter().flat_map(|axis| axis.iter()).map(|image| image.1).max().unwrap_or(0);
        let direct = self.distance();
        let gains: Vec<f64> =
            (0..=3 * most).map(|walls| direct * (1.0 - self.absorption).powf(walls as f64 / 2.0)).collect();
        let (reach, per_metre) = (radius * radius, rate / SPEED);
        for (x, x_walls) in &along {
            for (y, y_walls) in &across {
                let before = x + y;
                if before > reach {
                    continue;
                }
                for (z, z_walls) in &up {
                    if before + z > reach {
                        continue;
                    }
                    let distance = (before + z).sqrt();
                    let gain = gains[x_walls + y_walls + z_walls] / distance;
                    add(response, ((distance - direct) * per_metre).max(0.0), gain as f32);
                }
            }
        }
    }

    /// Adds what stands for the images from `radius` metres on: noise with the mean and the variance that they would have at that
    /// distance if their places were drawn, which decays with the room's decay time. The mean is no sound, but if it ended
    /// with the images one would hear it end.
    fn noise(&self, rate: f64, radius: f64, generator: &mut Generator, response: &mut [f32]) {
        let per_sample = 4.0 * PI * SPEED * radius * radius / (self.volume() * rate);
        let (mean, mean_square) = self.remaining(radius);
        let image = self.distance() / radius;
        let deviation = image * (per_sample * mean_square).sqrt();
        let mut mean = image * per_sample * mean;
        // Images come the denser the farther they are, and add to a mean; their energies stay alike.
        let (grows, decay) = (mean * SPEED / (rate * radius), 10_f64.powf(-3.0 / (self.rt60_s() * rate)));
        let mut decayed = 1.0;
        for pair in response.chunks_mut(2) {
            let (one, other) = generator.normal_pair();
            for (sample, noise) in pair.iter_mut().zip([one, other]) {
                *sample += (decayed * (deviation * noise + mean)) as f32;
                mean += grows;
                decayed *= decay;
            }
        }
    }

    /// The images along one axis: the square of the distance to the microphone, and how many walls are between.
    fn images(&self, axis: usize, radius: f64) -> Vec<(f64, usize)> {
        let (size, source, microphone) = (self.size[axis], self.source[axis], self.microphone[axis]);
        let most = (radius / size) as i64 + 2;
        let image = |walls: i64| {
            let place = if walls % 2 == 0 { walls as f64 * size + source } else { (walls + 1) as f64 * size - source };
            ((place - microphone).powi(2), walls.unsigned_abs() as usize)
        };
        (-most..=most).map(image).filter(|image| image.0 <= radius * radius).collect()
    }

    /// The mean gain that walls leave to images from so many metres, and the mean of its square, over all directions. In some
    /// there are fewer walls than in others, and what comes from there outlasts the rest.
    fn remaining(&self, distance: f64) -> (f64, f64) {
        /// Directions on a side of an eighth of the sphere.
        const GRID: usize = 24;
        let middle = |n: usize| (n as f64 + 0.5) / GRID as f64;
        let [length, width, height] = self.size;
        let (mut sum, mut squares) = (0.0, 0.0);
        let of_a_wall = (-self.absorption).ln_1p() / 2.0;
        for n in 0..GRID {
            let (sin, cos) = (middle(n) * PI / 2.0).sin_cos();
            for m in 0..GRID {
                let up = middle(m);
                let flat = (1.0 - up * up).sqrt();
                let walls = distance * (flat * cos / length + flat * sin / width + up / height);
                let gain = (of_a_wall * walls).exp();
                sum += gain;
                squares += gain * gain;
            }
        }
        let count = (GRID * GRID) as f64;
        (sum / count, squares / count)
    }
}

/// Adds an image of this gain `place` samples after the direct path.
fn add(response: &mut [f32], place: f64, gain: f32) {
    let whole = place as usize;
    let phase = (place - whole as f64) * PHASES as f64;
    let (row, share) = (phase as usize, phase.fract() as f32);
    let (Some([one, other]), Some(taps)) =
        (SINCS.get(row..row + 2), response.get_mut(whole..).and_then(<[f32]>::first_chunk_mut::<WIDTH>))
    else {
        return;
    };
    for ((tap, one), other) in taps.iter_mut().zip(one).zip(other) {
        *tap += gain * (one + share * (other - one));
    }
}

/// Takes out what lies below 50 Hz: images are all positive and add to a pressure that no room has, as Allen and Berkley
/// found. Butterworth's filter of order 2.
fn high_pass(response: &mut [f32], rate: f64) {
    const CUTOFF: f64 = 50.0;
    let k = (PI * CUTOFF / rate).tan();
    let norm = 1.0 / (1.0 + std::f64::consts::SQRT_2 * k + k * k);
    let (a1, a2) = (2.0 * (k * k - 1.0) * norm, (1.0 - std::f64::consts::SQRT_2 * k + k * k) * norm);
    let (mut one, mut two) = (0.0, 0.0);
    for sample in response {
        let x = f64::from(*sample);
        let y = norm * x + one;
        one = -2.0 * norm * x - a1 * y + two;
        two = norm * x - a2 * y;
        *sample = y as f32;
    }
}

/// Makes a reverberation decay the faster or the slower, by a factor that is exponential in time, until its T30 is `rt60_s`.
fn set_decay_time(reverberation: &mut [f32], rate: f64, rt60_s: f64) {
    /// Within half a percent nobody hears a difference (5 % is just noticeable, ISO 3382-1).
    const CLOSE: f64 = 0.005;
    const TRIES: usize = 8;
    /// How much faster at most, in shares of the decay asked for: a room with a few strong echoes has no decay to set.
    const MOST: f64 = 2.0;
    /// How much slower at most: what ends at -60 dB should not be heard to end.
    const LEAST: f64 = -0.25;
    if rt60_s <= 0.0 || !rt60_s.is_finite() {
        return;
    }
    let block_len = (rate / 1e3).round().max(1.0) as usize;
    let block_s = block_len as f64 / rate;
    let energy = |block: &[f32]| block.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let energies: Vec<f64> = reverberation.chunks(block_len).map(energy).collect();
    let asked = 3.0 * 10_f64.ln() / rt60_s;
    let (mut faster, mut left) = (0.0, Vec::new());
    for _ in 0..TRIES {
        let ratio = (-2.0 * faster * asked * block_s).exp();
        let Some(t30_s) = decay_time(&energies, ratio, block_s, &mut left) else {
            break;
        };
        if (t30_s / rt60_s - 1.0).abs() < CLOSE {
            break;
        }
        faster = (faster + 1.0 - rt60_s / t30_s).clamp(LEAST, MOST);
    }
    let (mut gain, ratio) = (1.0, (-faster * asked / rate).exp());
    for sample in reverberation {
        *sample = (f64::from(*sample) * gain) as f32;
        gain *= ratio;
    }
}

/// T30 of blocks of these energies, each multiplied by `ratio` once more than the one before: the time to -60 dB of the line
/// through Schroeder's decay (1965) from -5 to -35 dB. None if less than three blocks lie there.
fn decay_time(energies: &[f64], ratio: f64, block_s: f64, left: &mut Vec<f64>) -> Option<f64> {
    left.clear();
    // The energy left at the beginning of each block, in units of that block's own factor.
    let mut sum = 0.0;
    left.extend(energies.iter().rev().map(|energy| {
        sum = energy + ratio * sum;
        sum
    }));
    let whole = sum;
    let (mut factor, mut count) = (1.0, 0.0);
    let (mut times, mut levels, mut squares, mut products) = (0.0, 0.0, 0.0, 0.0);
    for (number, left) in left.iter().rev().enumerate() {
        let share = factor * left / whole;
        factor *= ratio;
        if share < 10_f64.powf(-3.5) {
            break;
        }
        if share <= 10_f64.powf(-0.5) {
            let (time, level) = (number as f64 * block_s, 10.0 * share.log10());
            count += 1.0;
            times += time;
            levels += level;
            squares += time * time;
            products += time * level;
        }
    }
    let slope = (count * products - times * levels) / (count * squares - times * times);
    (count >= 3.0 && slope < 0.0).then(|| -60.0 / slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::WHO;

    const ROOM: Room =
        Room { size: [5.0, 4.0, 2.7], source: [1.2, 2.9, 1.5], microphone: [3.6, 1.1, 1.2], absorption: 0.3 };

    fn response(room: &Room, rate: f64) -> (Vec<f32>, usize) {
        let mut response = Vec::new();
        let direct = room.response(rate, 5.0, &mut WHO.stage("room"), &mut response);
        (response, direct)
    }

    /// A room of this size, in which source and microphone stand anywhere, 0.15 m to so many metres apart.
    fn drawn(size: [f64; 3], apart: f64, generator: &mut Generator) -> Room {
        let mut anywhere = || size.map(|side| 0.1 + (side - 0.2) * generator.unit());
        loop {
            let room = Room { size, source: anywhere(), microphone: anywhere(), absorption: 0.0 };
            if (0.15..apart).contains(&room.distance()) {
                return room;
            }
        }
    }

    /// A room within the ranges that are drawn by default.
    fn usual(apart: f64, generator: &mut Generator) -> Room {
        let size = [(3.6, 2.0), (3.6, 0.3), (2.4, 0.6)].map(|(least, span)| least + span * generator.unit());
        drawn(size, apart, generator)
    }

    fn energy(samples: &[f32]) -> f64 {
        samples.iter().map(|y| f64::from(*y).powi(2)).sum()
    }

    /// The decay time by Schroeder's backward integration (1965): a line through the decay from -5 dB to `to_db`, through every
    /// sample.
    fn schroeder(response: &[f32], rate: f64, to_db: f64) -> f64 {
        let mut left: Vec<f64> = response.iter().map(|y| f64::from(*y).powi(2)).collect();
        for n in (0..left.len() - 1).rev() {
            left[n] += left[n + 1];
        }
        let points = left.iter().enumerate().map(|(n, e)| (n as f64 / rate, 10.0 * (e / left[0]).log10()));
        let points: Vec<(f64, f64)> = points.filter(|(_, db)| (to_db..=-5.0).contains(db)).collect();
        let count = points.len() as f64;
        let (t, db) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
        let slope = points.iter().map(|point| (point.0 - t) * (point.1 - db)).sum::<f64>()
            / points.iter().map(|point| (point.0 - t).powi(2)).sum::<f64>();
        -60.0 / slope
    }

    #[test]
    fn the_decay_time_of_a_usual_room_is_the_one_asked_for() {
        let mut generator = WHO.stage("rooms");
        for rate in [8_000.0, 16_000.0, 48_000.0] {
            for (rt60_s, apart) in
                [0.15, 0.2, 0.3, 0.5, 0.8].into_iter().flat_map(|rt60_s| [(rt60_s, 0.35), (rt60_s, 2.0)])
            {
                for _ in 0..6 {
                    let mut room = usual(apart, &mut generator);
                    room.absorption = room.absorption_of(rt60_s);
                    assert!((room.rt60_s() / rt60_s - 1.0).abs() < 1e-9);
                    let mut response = Vec::new();
                    let direct = room.response(rate, 5.0, &mut generator, &mut response);
                    // With the direct path, as one measures it, and without.
                    let times = [
                        schroeder(&response, rate, -35.0),
                        schroeder(&response[direct + WIDTH..], rate, -35.0),
                        schroeder(&response[direct + WIDTH..], rate, -25.0),
                    ];
                    assert!(times.iter().all(|t| (t / rt60_s - 1.0).abs() < 0.12), "{times:?}, not {rt60_s}: {room:?}");
                }
            }
        }
    }

    #[test]
    fn the_reverberation_of_uneven_and_soft_rooms_decays_as_asked_too() {
        let mut generator = WHO.stage("halls");
        for size in [[25.0, 15.0, 8.0], [10.0, 7.0, 3.5], [30.0, 20.0, 3.0]] {
            for absorption in [0.1, 0.3, 0.5, 0.7] {
                // A flat hall with soft walls has a few echoes and no decay.
                if size[2] == 3.0 && absorption > 0.3 {
                    continue;
                }
                for _ in 0..4 {
                    let room = Room { absorption, ..drawn(size, 3.0, &mut generator) };
                    let mut response = Vec::new();
                    let direct = room.response(16_000.0, 5.0, &mut generator, &mut response);
                    let (time, due) = (schroeder(&response[direct + WIDTH / 2..], 16_000.0, -35.0), room.rt60_s());
                    assert!((time / due - 1.0).abs() < 0.15, "{time}, not {due}: {room:?}");
                }
            }
        }
    }

    #[test]
    fn noise_takes_over_at_the_level_of_the_images() {
        let rate = 16_000.0;
        for rt60_s in [0.2, 0.4, 0.8] {
            let mut generator = WHO.stage("level");
            let (mut images, mut noises) = (0.0, 0.0);
            for _ in 0..60 {
                let mut room = usual(2.0, &mut generator);
                room.absorption = room.absorption_of(rt60_s);
                let radius = room.radius();
                let from = CENTRE + ((radius - room.distance()) / SPEED * rate).round() as usize;
                let mut all = vec![0.0; from + 480 + WIDTH];
                room.mirror(rate, radius + 12.0, &mut all);
                let mut some = vec![0.0; all.len()];
                room.mirror(rate, radius, &mut some);
                room.noise(rate, radius, &mut generator, &mut some[from..]);
                // In the 20 ms that follow; the ends of both kinds overlap.
                for (response, sum) in [(&mut all, &mut images), (&mut some, &mut noises)] {
                    high_pass(response, rate);
                    *sum += energy(&response[from + 32..from + 352]) / room.distance().powi(2);
                }
            }
            let db = 10.0 * (noises / images).log10();
            assert!(db.abs() < 1.0, "{db} dB with {rt60_s} s");
        }
    }

    #[test]
    fn first_reflections_come_when_and_as_loud_as_geometry_says() {
        let rate = 96_000.0;
        let (response, direct) = response(&ROOM, rate);
        assert!((response[direct] - 1.0).abs() < 0.01, "{}", response[direct]);
        let root = |dx: f64, dy: f64, dz: f64| (dx * dx + dy * dy + dz * dz).sqrt();
        let straight = root(2.4, 1.8, 0.3);
        assert!((ROOM.distance() - straight).abs() < 1e-12);
        // Floor, ceiling, and the walls at width 0 and 4 and at length 0 and 5.
        let ways = [
            root(2.4, 1.8, 2.7),
            root(2.4, 1.8, 2.7),
            root(2.4, 4.0, 0.3),
            root(2.4, 4.0, 0.3),
            root(4.8, 1.8, 0.3),
            root(5.2, 1.8, 0.3),
        ];
        // Where two come at once, their gains add.
        for (way, count) in [(ways[0], 2.0), (ways[2], 2.0), (ways[4], 1.0)] {
            let place = direct + ((way - straight) / SPEED * rate).round() as usize;
            let heard = response[place - 24..=place + 24].iter().map(|y| f64::from(*y).powi(2)).sum::<f64>().sqrt();
            let due = count * straight / way * 0.7_f64.sqrt();
            assert!((heard / due - 1.0).abs() < 0.06, "{way} m: {heard}, not {due}");
        }
        let first = direct + ((ways[0] - straight) / SPEED * rate) as usize;
        let between = &response[direct + 60..first - 60];
        assert!(between.iter().all(|y| y.abs() < 0.02), "nothing comes before the first reflection");
    }

    #[test]
    fn an_image_between_two_samples_is_a_sinc_there() {
        let mut taps = vec![0.0; 200];
        add(&mut taps, 50.37, 0.8);
        // A sine through it is delayed by so much.
        for share in [0.05, 0.3, 0.6, 0.8] {
            let omega = PI * share;
            let (re, im) = taps.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, tap)| {
                let angle = omega * (n as f64 - 50.37 - CENTRE as f64);
                (re + f64::from(*tap) * angle.cos(), im - f64::from(*tap) * angle.sin())
            });
            assert!((re - 0.8).abs() < 3e-3 && im.abs() < 3e-3, "{share}: {re} {im}");
        }
    }

    #[test]
    fn no_room_takes_more_images_or_samples_than_are_bounded() {
        for size in [[1.0, 1.0, 1.0], [100.0, 1.0, 1.0], [100.0, 100.0, 1.0], [100.0, 100.0, 100.0]] {
            for absorption in [0.01, 0.99] {
                let far = size.map(|side: f64| side - 0.1);
                let room = Room { size, source: [0.1; 3], microphone: far, absorption };
                let (response, direct) = response(&room, 1_000.0);
                assert!(response.len() <= 5_000 + 2 * WIDTH && response.iter().all(|y| y.is_finite()));
                assert!(response[direct].abs() > 0.1, "{size:?}");
            }
        }
    }
}

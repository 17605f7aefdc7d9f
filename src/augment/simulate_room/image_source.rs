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

    /// The absorption with which a room of this size has a decay time: Eyring (1930).
    pub(super) fn absorption_of(&self, rt60_s: f64) -> f64 {
        -(-self.decay_of_one() / rt60_s).exp_m1()
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

        // There is one image for each volume of the room, so that they come the denser the farther they are.
        let sphere = (Self::DENSITY * self.volume() / (4.0 * PI * SPEED)).sqrt();
        let radius = sphere.max(direct * 1.001).min(direct + SPEED * rt60_s.min(longest_s));
        self.mirror(rate, radius, response);
        let from = CENTRE + ((radius - direct) / SPEED * rate).round() as usize;
        if let Some(rest) = response.get_mut(from..) {
            let level = (4.0 * PI * SPEED / (self.volume() * rate)).sqrt() * direct;
            let level = level * 10_f64.powf(-3.0 * radius / SPEED / rt60_s);
            noise(rest, level, 10_f64.powf(-3.0 / (rt60_s * rate)), generator);
        }
        high_pass(response, rate);
        CENTRE
    }

    /// Adds the images within `radius` metres: Allen and Berkley (1979), each made softer by the excess at its distance.
    fn mirror(&self, rate: f64, radius: f64, response: &mut [f32]) {
        /// Distances at which the excess is computed; between them it is interpolated.
        const STEPS: usize = 32;
        let [along, across, up] = [0, 1, 2].map(|axis| self.images(axis, radius));
        let most = [&along, &across, &up].iter().flat_map(|axis| axis.iter()).map(|image| image.1).max().unwrap_or(0);
        let direct = self.distance();
        let gains: Vec<f64> =
            (0..=3 * most).map(|walls| direct * (1.0 - self.absorption).powf(walls as f64 / 2.0)).collect();
        let even: Vec<f64> = (0..=STEPS + 1).map(|n| 1.0 / self.excess(radius * n as f64 / STEPS as f64)).collect();
        let evened = |distance: f64| {
            let place = distance / radius * STEPS as f64;
            let n = (place as usize).min(STEPS);
            even[n] + (even[n + 1] - even[n]) * (place - n as f64)
        };
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
                    let walls = x_walls + y_walls + z_walls;
                    let gain = gains[walls] / distance * if walls == 0 { 1.0 } else { evened(distance) };
                    let place = ((distance - direct) * per_metre).max(0.0);
                    add(response, place, gain as f32);
                }
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

    /// By how much images from so many metres are louder, averaged over all directions, than a decay by Eyring's formula:
    /// in some directions there are fewer walls than on average, and what comes from there outlasts the rest.
    fn excess(&self, distance: f64) -> f64 {
        /// Directions on a side of an eighth of the sphere.
        const GRID: usize = 12;
        let middle = |n: usize| (n as f64 + 0.5) / GRID as f64;
        let [length, width, height] = self.size;
        let mean = self.surface() / (4.0 * self.volume());
        let (mut sum, remaining) = (0.0, (-self.absorption).ln_1p());
        for (n, m) in (0..GRID).flat_map(|n| (0..GRID).map(move |m| (n, m))) {
            let (up, (sin, cos)) = (middle(n), (middle(m) * PI / 2.0).sin_cos());
            let flat = (1.0 - up * up).sqrt();
            let walls = flat * cos / length + flat * sin / width + up / height;
            sum += (remaining * (walls - mean) * distance).exp();
        }
        (sum / (GRID * GRID) as f64).sqrt()
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

/// Adds noise that begins at `level` and falls by `decay` from sample to sample.
fn noise(response: &mut [f32], mut level: f64, decay: f64, generator: &mut Generator) {
    for pair in response.chunks_mut(2) {
        let (one, other) = generator.normal_pair();
        for (sample, noise) in pair.iter_mut().zip([one, other]) {
            *sample += (level * noise) as f32;
            level *= decay;
        }
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

    /// The decay time by Schroeder's backward integration (1965): a line through the decay from -5 dB to `to_db`.
    fn decay_time(response: &[f32], rate: f64, to_db: f64) -> f64 {
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
    fn the_decay_time_is_the_one_asked_for() {
        let mut checked = 0;
        for rate in [8_000.0, 16_000.0, 48_000.0] {
            for (size, scale) in
                [([5.0, 4.0, 2.7], 1.0), ([3.6, 3.6, 2.4], 1.0), ([10.0, 7.0, 3.5], 1.5), ([25.0, 15.0, 8.0], 2.0)]
            {
                for rt60_s in [0.2, 0.4, 0.8, 1.5] {
                    let mut room = Room {
                        size,
                        source: [1.2 * scale, 2.1, 1.5],
                        microphone: [2.9 * scale, 1.1, 1.2],
                        absorption: 0.0,
                    };
                    room.absorption = room.absorption_of(rt60_s);
                    // Beyond it decay times are up to 22 % off in a hall.
                    if room.absorption > 0.5 {
                        continue;
                    }
                    checked += 1;
                    assert!((room.rt60_s() / rt60_s - 1.0).abs() < 1e-9);
                    let (response, _) = response(&room, rate);
                    let (t20, t30) = (decay_time(&response, rate, -25.0), decay_time(&response, rate, -35.0));
                    let close = |time: f64| (time / rt60_s - 1.0).abs() < 0.15;
                    assert!(close(t20) && close(t30), "{size:?} at {rate}: {t20} and {t30} s, not {rt60_s}");
                }
            }
        }
        assert!(checked >= 30, "{checked}");
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

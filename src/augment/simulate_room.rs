//! Simulated rooms.

mod image_source;

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::image_source::Room;
use super::reverberation::{Normalize, Response, Reverberation, Tail};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Reverberation of a room that is drawn anew for each clip: four walls, a floor and a ceiling, a source and a microphone.
///
/// The impulse response is made of mirror images (Allen and Berkley 1979): an image that `n` walls reflect, `d` metres away, comes
/// `(d - d0) / 343 m/s` after the direct path of `d0` metres, and `d0 / d (1 - a)^(n / 2)` as loud; between samples by a sinc under a
/// Hann window of 32 taps. All six walls absorb the share `a` of the energy, at every frequency alike. Images are
/// made one by one until 30,000 come in a second (after 50 ms in a living room, later in a larger one). From there on the
/// response is Gaussian noise with the mean and the variance that images of that distance would have, averaged over all
/// directions, and decays with the room's decay time: its statistics are the room's, not its samples. It ends after
/// `rt60_s`. What lies below 50 Hz is taken out, as images add up there to a pressure that no room has.
///
/// `rt60_s` and `absorption` belong together by Eyring's formula (1930), `rt60_s = 24 ln(10) V / (-343 S ln(1 - a))` with the
/// volume `V` and the surface `S`. Walls absorb 99 % at most: where the decay time asked for is shorter than that makes it, as in a
/// large hall, the room has the shortest that it can have, and that is recorded as `rt60_s`. Images of an uneven or
/// soft room decay more slowly
/// than that. So the response is multiplied at last by `exp(-k t)`, with the `k` that makes T30 of what follows the direct path
/// the decay time asked for: less than a tenth of the decay in a living room, a third of it in a hall whose walls absorb 70 %.
/// It decays at most three times as fast by that, and a quarter more slowly: a flat hall of few echoes decays as it does.
///
/// The room's sides, `rt60_s` or `absorption`, and `distance_m` are drawn uniformly. The microphone is in any direction from the
/// source (uniform on the sphere, at most as steep as the room is high), and the pair stands anywhere in the room where
/// both keep `wall_m` from all walls, each place equally likely. Where the room is too small for the distance in that
/// direction, the microphone stands as far away as it can; the distance that came of it is recorded, and both places
/// (`source_m` and `microphone_m`, from a corner along length, width and height). All channels of the clip have the same room.
///
/// The clip then keeps its time, length and power as with `reverb`. Source: audiomentations 0.43 `RoomSimulator`, which traces rays for
/// the late part and leaves the direct path's delay and gain in. It does the work of lhotse's `FastRandomRIRGenerator` too,
/// whose images have random places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulateRoom {
    /// The room's length in metres, 1 to 100; [3.6, 5.6].
    pub length_m: Range,
    /// The room's width in metres, 1 to 100; [3.6, 3.9].
    pub width_m: Range,
    /// The room's height in metres, 1 to 100; [2.4, 3.0].
    pub height_m: Range,
    /// The time in which the reverberation decays by 60 dB, in seconds, 0.05 to 5; in place of `absorption`.
    pub rt60_s: Option<Range>,
    /// The share of the energy that walls absorb, 0.01 to 0.99; [0.075, 0.4] where `rt60_s` is not given. The largest room with the
    /// least of it may not reverberate for more than 5 s.
    pub absorption: Option<Range>,
    /// How far the microphone is from the source in metres, 0.05 to 100; [0.15, 0.35].
    pub distance_m: Range,
    /// How far both are from all walls at least, in metres, 0 to 10; 0.1.
    pub wall_m: f64,
    /// The level: the clip's mean power, or that of a direct path as loud as the clip with the reverberation added.
    pub normalize: Normalize,
    /// Whether the reverberation behind the clip's end is cut off or kept.
    pub tail: Tail,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for SimulateRoom {
    fn default() -> Self {
        Self {
            length_m: Range::Uniform([3.6, 5.6]),
            width_m: Range::Uniform([3.6, 3.9]),
            height_m: Range::Uniform([2.4, 3.0]),
            rt60_s: None,
            absorption: None,
            distance_m: Range::Uniform([0.15, 0.35]),
            wall_m: 0.1,
            normalize: Normalize::Power,
            tail: Tail::Cut,
            probability: Probability::ALWAYS,
        }
    }
}

/// The longest response, in seconds.
const LONGEST_S: f64 = 5.0;

/// How a room's decay is said.
#[derive(Debug, Clone)]
enum Decay {
    Rt60(Range),
    Absorption(Range),
}

impl Member for SimulateRoom {
    const EXAMPLE: &'static str =
        "simulate_room: { rt60_s: [0.15, 0.8], distance_m: [0.5, 2], tail: cut, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.RoomSimulator", "lhotse.FastRandomRIRGenerator"];
}

impl Augment for SimulateRoom {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("wall_m", self.wall_m, 0.0, 10.0)?;
        for (key, side) in [("length_m", &self.length_m), ("width_m", &self.width_m), ("height_m", &self.height_m)] {
            SettingError::unless_all_within(key, side, 1.0, 100.0)?;
            if side.values().iter().any(|side| *side < 2.0 * self.wall_m + 0.1) {
                let reason = "`wall_m` at both sides leaves less than 0.1 m of the room";
                return Err(SettingError::DoesNotFit { key, reason });
            }
        }
        if let (Some(_), Some(_)) = (&self.rt60_s, &self.absorption) {
            let reason = "`rt60_s` and `absorption` say the same: one of them is enough";
            return Err(SettingError::DoesNotFit { key: "absorption", reason });
        }
        match self.decay() {
            Decay::Rt60(range) => SettingError::unless_all_within("rt60_s", &range, 0.05, LONGEST_S)?,
            Decay::Absorption(range) => {
                SettingError::unless_all_within("absorption", &range, 0.01, Room::MOST_ABSORPTION)?;
                if self.longest_rt60_s(&range) > LONGEST_S {
                    let reason =
                        "the largest room would reverberate for more than 5 s: let it absorb more, or set `rt60_s`";
                    return Err(SettingError::DoesNotFit { key: "absorption", reason });
                }
            }
        }
        SettingError::unless_all_within("distance_m", &self.distance_m, 0.05, 100.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(RoomAtWork {
            decay: self.decay(),
            reverberation: Reverberation::new(self.normalize, self.tail),
            settings: self.clone(),
            response: Vec::new(),
        })
    }
}

impl SimulateRoom {
    fn decay(&self) -> Decay {
        match (&self.rt60_s, &self.absorption) {
            (Some(range), _) => Decay::Rt60(range.clone()),
            (None, Some(range)) => Decay::Absorption(range.clone()),
            (None, None) => Decay::Absorption(Range::Uniform([0.075, 0.4])),
        }
    }

    /// The decay time of the largest room with the least absorption, which is the longest: it grows with each side.
    fn longest_rt60_s(&self, absorption: &Range) -> f64 {
        let largest = |side: &Range| side.values().iter().copied().fold(0.0, f64::max);
        let size = [&self.length_m, &self.width_m, &self.height_m].map(largest);
        let absorption = absorption.values().iter().copied().fold(1.0, f64::min);
        Room { size, source: [0.0; 3], microphone: [0.0; 3], absorption }.rt60_s()
    }
}

struct RoomAtWork {
    settings: SimulateRoom,
    decay: Decay,
    reverberation: Reverberation,
    response: Vec<f32>,
}

impl Apply for RoomAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let room = self.room(draw);
        let rate = f64::from(sound.sample_rate.get());
        let direct = room.response(rate, LONGEST_S, draw.generator(), &mut self.response);
        let response = Response { taps: &self.response, direct: direct as isize, key: None };
        self.reverberation.apply(sound, &[response]);
        Ok(())
    }
}

impl RoomAtWork {
    fn room(&self, draw: &mut Draw<'_>) -> Room {
        let SimulateRoom { length_m, width_m, height_m, distance_m, wall_m, .. } = &self.settings;
        let size =
            [draw.number("length_m", length_m), draw.number("width_m", width_m), draw.number("height_m", height_m)];
        let mut room = Room { size, source: [0.0; 3], microphone: [0.0; 3], absorption: 0.0 };
        match &self.decay {
            Decay::Rt60(range) => {
                room.absorption = room.absorption_of(draw.number("rt60_s", range));
                if room.absorption >= Room::MOST_ABSORPTION {
                    draw.note("rt60_s", room.rt60_s());
                }
            }
            Decay::Absorption(range) => {
                room.absorption = draw.number("absorption", range);
                draw.note("rt60_s", room.rt60_s());
            }
        }
        let distance = draw.number("distance_m", distance_m);
        let between = size.map(|side| side - 2.0 * wall_m);
        // Archimedes: on a sphere, every height is equally likely.
        let up = (2.0 * draw.unit() - 1.0) * distance.min(between[2]);
        let (sin, cos) = (TAU * draw.unit()).sin_cos();
        let flat = (distance * distance - up * up).max(0.0).sqrt();
        let fits = |side: f64, there: f64| if side.abs() > there { there / side.abs() } else { 1.0 };
        let flat = flat * fits(flat * cos, between[0]).min(fits(flat * sin, between[1]));
        let way = [flat * cos, flat * sin, up];
        for axis in 0..3 {
            let first = wall_m + (-way[axis]).max(0.0);
            room.source[axis] = first + (between[axis] - way[axis].abs()).max(0.0) * draw.unit();
            room.microphone[axis] = room.source[axis] + way[axis];
        }
        draw.note("distance_m", room.distance());
        draw.note("source_m", room.source.to_vec());
        draw.note("microphone_m", room.microphone.to_vec());
        room
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::augment::Told;
    use crate::augment::level::power_of;
    use crate::augment::testing::{WHO, drawn, is_uniform, mono, sine, told, varied};
    use crate::seed::Draws;

    fn room(rt60_s: f64) -> SimulateRoom {
        SimulateRoom { rt60_s: Some(Range::fixed(rt60_s)), distance_m: Range::fixed(1.0), ..SimulateRoom::default() }
    }

    #[test]
    fn power_and_length_stay_and_the_direct_path_is_where_the_click_was() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let mut click = vec![0.0; rate as usize];
            click[3_000] = 0.5;
            let wet = varied(room(0.3), &mono(rate, click.clone()));
            let samples = &wet.channels[0];
            let highest = (0..samples.len()).max_by(|a, b| samples[*a].abs().total_cmp(&samples[*b].abs()));
            assert_eq!((wet.num_samples(), highest), (rate as usize, Some(3_000)));
            let db = 10.0 * (power_of(&wet) / power_of(&mono(rate, click))).log10();
            assert!(db.abs() < 0.01, "{db} dB");
        }
    }

    #[test]
    fn a_tail_that_is_kept_lengthens_the_clip_by_the_decay_time() {
        let sound = sine(440.0, 0.1, 16_000);
        let wet = varied(SimulateRoom { tail: Tail::Keep, ..room(0.5) }, &sound);
        assert!((24_000..24_100).contains(&wet.num_samples()), "{}", wet.num_samples());
    }

    #[test]
    fn all_channels_have_one_room_and_a_clip_may_be_silent_or_a_sample() {
        let mut sound = sine(440.0, 0.1, 16_000);
        sound.channels.push(sound.channels[0].iter().map(|x| -x).collect());
        let wet = varied(SimulateRoom::default(), &sound);
        assert!(wet.channels[0].iter().zip(&wet.channels[1]).all(|(one, other)| (one + other).abs() < 1e-6));
        assert_eq!(varied(room(0.5), &mono(16_000, vec![0.0; 100])).channels[0], vec![0.0; 100]);
        let one = varied(room(0.5), &mono(1_000, vec![0.25]));
        assert!((one.channels[0][0].abs() - 0.25).abs() < 1e-6);
    }

    #[test]
    fn places_are_in_the_room_and_distances_as_drawn() {
        let distances = drawn(SimulateRoom::default(), "distance_m", 2_000);
        assert!(is_uniform(&distances, 0.15, 0.35));
        let far = SimulateRoom { distance_m: Range::fixed(100.0), rt60_s: Some(Range::fixed(0.05)), ..room(0.05) };
        let distances = drawn(far, "distance_m", 500);
        // The diagonal of the largest room, and half its height, less the walls.
        assert!(distances.iter().all(|d| (0.05..7.4).contains(d)) && distances.iter().any(|d| *d > 4.0));
    }

    #[test]
    fn what_is_drawn_is_recorded_with_the_decay_time() {
        let (_, told) = told(SimulateRoom::default(), &sine(440.0, 0.1, 8_000));
        let record = &told.applied[0]["simulate_room"];
        for key in ["length_m", "width_m", "height_m", "absorption", "rt60_s", "distance_m"] {
            assert!(record[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {record}");
        }
    }

    #[test]
    fn the_decay_time_of_a_hall_that_cannot_be_so_dry_is_the_shortest_it_has() {
        let side = || Range::fixed(100.0);
        let hall = SimulateRoom { length_m: side(), width_m: side(), height_m: side(), ..room(0.05) };
        let (wet, told) = told(hall, &sine(440.0, 0.1, 16_000));
        assert!(wet.channels[0].iter().all(|sample| sample.is_finite()));
        // 24 ln(10) / 343 * 100 / 6 / ln(100)
        let recorded = told.applied[0]["simulate_room"]["rt60_s"].as_f64().unwrap();
        assert!((recorded - 0.5831).abs() < 1e-3, "{recorded} s");
    }

    #[test]
    fn a_room_that_would_reverberate_for_longer_than_is_made_is_refused() {
        let side = || Range::Uniform([2.0, 30.0]);
        let hall = |absorption| SimulateRoom {
            length_m: side(),
            width_m: side(),
            height_m: side(),
            absorption: Some(Range::Uniform([absorption, 0.5])),
            ..SimulateRoom::default()
        };
        // A cube of 30 m: 0.8056 s / -ln(1 - a).
        assert_eq!(hall(0.148).check(None).unwrap_err().key(), "absorption");
        assert!(hall(0.15).check(None).is_ok());
    }

    /// The rooms that are drawn for so many utterances, and the records of them.
    fn rooms(settings: SimulateRoom, utterances: usize) -> Vec<(Room, Map<String, Value>)> {
        settings.check(None).unwrap();
        let at_work = RoomAtWork {
            decay: settings.decay(),
            reverberation: Reverberation::new(settings.normalize, settings.tail),
            settings,
            response: Vec::new(),
        };
        let room = |number| {
            let (id, mut told) = (format!("utt-{number}"), Told::default());
            let mut draw = Draw::new(Draws { id: &id, ..WHO }, "augment.chain.0", &mut told);
            (at_work.room(&mut draw), draw.finish())
        };
        (0..utterances).map(room).collect()
    }

    #[test]
    fn source_and_microphone_keep_away_from_all_walls() {
        let far = SimulateRoom { distance_m: Range::Uniform([0.05, 6.0]), wall_m: 0.7, ..SimulateRoom::default() };
        let (mut low, mut high) = (0, 0);
        for (room, record) in rooms(far, 3_000) {
            assert_eq!(record["source_m"], json!(room.source));
            assert_eq!(record["microphone_m"], json!(room.microphone));
            for place in [room.source, room.microphone] {
                for (place, side) in place.iter().zip(room.size) {
                    assert!((0.7 - 1e-9..=side - 0.7 + 1e-9).contains(place), "{room:?}");
                    low += usize::from(*place < 0.75);
                    high += usize::from(*place > side - 0.75);
                }
            }
        }
        assert!(low > 100 && high > 100, "both ends are reached: {low}, {high}");
    }

    #[test]
    fn rooms_are_drawn_evenly() {
        let dry = SimulateRoom { rt60_s: Some(Range::Uniform([0.15, 0.8])), ..SimulateRoom::default() };
        let dry = rooms(dry, 10_000);
        let usual = rooms(SimulateRoom::default(), 10_000);
        for (rooms, key, low, high) in [
            (&dry, "rt60_s", 0.15, 0.8),
            (&usual, "absorption", 0.075, 0.4),
            (&usual, "length_m", 3.6, 5.6),
            (&usual, "width_m", 3.6, 3.9),
            (&usual, "height_m", 2.4, 3.0),
        ] {
            let draws: Vec<f64> = rooms.iter().map(|(_, record)| record[key].as_f64().unwrap()).collect();
            assert!(is_uniform(&draws, low, high), "{key}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let both = SimulateRoom { absorption: Some(Range::fixed(0.5)), ..room(0.5) };
        assert_eq!(both.check(None).unwrap_err().key(), "absorption");
        let narrow = SimulateRoom { wall_m: 1.5, ..SimulateRoom::default() };
        assert_eq!(narrow.check(None).unwrap_err().key(), "height_m");
        assert!(SimulateRoom { rt60_s: Some(Range::fixed(9.0)), ..SimulateRoom::default() }.check(None).is_err());
    }
}

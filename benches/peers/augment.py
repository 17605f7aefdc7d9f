#!/usr/bin/env python3
"""How fast wavemill and audiomentations augment a clip of ten seconds at 16 kHz, each row in turn in one run, on one thread.

    pip install -r benches/peers/requirements-augment.txt
    python benches/peers/augment.py

wavemill's times are those of `benches/augment.rs`, which this builds and runs row by row between the peer's rounds; a bench
that is built already can be named with `--bench`. Both draw their parameters anew for each clip, from the same ranges (the
peer's defaults); the median of a round counts, and of all rounds the least. lhotse's row is timed where lhotse is installed.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import audiomentations as A
import criterion
import numpy as np

RATE, SECONDS = 16000, 10
NOISE, RIR = "fixtures/noise", "fixtures/rir"


def peers():
    """By row: the peer's transform, always applied."""
    return {
        "add_gaussian_noise": A.AddGaussianNoise(p=1.0),
        "add_gaussian_snr": A.AddGaussianSNR(p=1.0),
        "add_color_noise": A.AddColorNoise(p=1.0),
        "add_noise": A.AddBackgroundNoise(sounds_path=NOISE, p=1.0),
        "add_short_noises": A.AddShortNoises(sounds_path=NOISE, p=1.0),
        "reverb": A.ApplyImpulseResponse(ir_path=RIR, p=1.0),
        "simulate_room": A.RoomSimulator(p=1.0),
        "air_absorption": A.AirAbsorption(p=1.0),
        "time_stretch": A.TimeStretch(leave_length_unchanged=False, p=1.0),
        "pitch_shift": A.PitchShift(p=1.0),
        "time_mask": A.TimeMask(p=1.0),
        "shift": A.Shift(p=1.0),
        "reverse": A.Reverse(p=1.0),
        "repeat_part": A.RepeatPart(p=1.0),
        "adjust_duration": A.AdjustDuration(duration_seconds=4, p=1.0),
        "trim_silence": A.Trim(p=1.0),
        "gain": A.Gain(p=1.0),
        "gain_transition": A.GainTransition(p=1.0),
        "normalize_peak": A.Normalize(p=1.0),
        "normalize_loudness": A.LoudnessNormalization(p=1.0),
        "clip": A.Clip(p=1.0),
        "clipping_distortion": A.ClippingDistortion(p=1.0),
        "tanh_distortion": A.TanhDistortion(p=1.0),
        "limiter": A.Limiter(p=1.0),
        "polarity_inversion": A.PolarityInversion(p=1.0),
        "bit_crush": A.BitCrush(p=1.0),
        "low_pass": A.LowPassFilter(p=1.0),
        "high_pass": A.HighPassFilter(p=1.0),
        "band_pass": A.BandPassFilter(p=1.0),
        "band_stop": A.BandStopFilter(p=1.0),
        "low_shelf": A.LowShelfFilter(p=1.0),
        "high_shelf": A.HighShelfFilter(p=1.0),
        "peaking": A.PeakingFilter(p=1.0),
        "seven_band_eq": A.SevenBandParametricEQ(p=1.0),
        "aliasing": A.Aliasing(p=1.0),
        "mp3": A.Mp3Compression(p=1.0),
    }


def sound():
    times = np.arange(RATE * SECONDS)
    tone = 0.3 * np.sin(times * 0.05) * np.sin(times * 0.0002)
    return (tone + 0.01 * np.random.default_rng(0).standard_normal(times.size)).astype(np.float32)


def median(call):
    """The median time of a call, in seconds, over a second; its result as one run of samples, not a view of others.

    Some draws of RepeatPart of audiomentations 0.43.1 end in an error: they count for nothing.
    """
    took, end = [], float("inf")
    while time.perf_counter() < end or len(took) < 2:
        start = time.perf_counter()
        try:
            np.ascontiguousarray(call())
        except ValueError:
            continue
        took.append(time.perf_counter() - start)
        # The first call reads files and makes plans.
        end = min(end, time.perf_counter() + 1.0)
    return statistics.median(took[1:])


def ours(bench, row):
    """The median time of wavemill's row, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [bench, "--bench", "--noplot", f"^augment/{re.escape(row)}$"]
        subprocess.run(command, env=os.environ | {"CRITERION_HOME": folder}, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        (path,) = Path(folder).glob("*/*/new/sample.json")
        sample = json.loads(path.read_text(encoding="utf-8"))
        return statistics.median(t / n for t, n in zip(sample["times"], sample["iters"])) / 1e9


def lhotse_speed():
    try:
        import torch
        from lhotse.augmentation import Speed
    except ImportError:
        return {}
    torch.set_num_threads(1)
    return {"speed": lambda samples, rate: Speed(factor=1.1)(samples[None], rate)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", help="the bench's executable (default: built with cargo)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--rows", default="", help="only the rows whose name matches this regular expression")
    options = parser.parse_args()
    bench = options.bench or criterion.build("augment")
    warnings.simplefilter("ignore")
    calls = {row: (f"audiomentations {version('audiomentations')}", call) for row, call in peers().items()}
    calls |= {row: ("lhotse", call) for row, call in lhotse_speed().items()}
    samples = sound()
    print(f"x real time at {RATE} Hz, clips of {SECONDS} s, one thread\n")
    print("| row | wavemill | peer | peer's | wavemill / peer |")
    print("| --- | --- | --- | --- | --- |")
    for name in criterion.names(bench):
        row = name.removeprefix("augment/")
        if not re.search(options.rows, row):
            continue
        peer, call = calls.get(row, ("-", None))
        best = [float("inf")] * 2
        for _ in range(options.rounds):
            best[0] = min(best[0], ours(bench, row))
            if call:
                best[1] = min(best[1], median(lambda: call(samples, RATE)))
        theirs = f"{SECONDS / best[1]:,.0f} | {best[1] / best[0]:.1f}" if call else "- | -"
        print(f"| {row} | {SECONDS / best[0]:,.0f} | {peer} | {theirs} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How fast wavemill, soxr HQ and torchaudio resample, each ratio in turn in one run, on one thread.

    pip install -r benches/peers/requirements-resample.txt
    python benches/peers/resample.py

wavemill's times are those of `benches/resample.rs`, which this builds and runs pair by pair between the peers' rounds; a
bench that is built already can be named with `--bench`. soxr gets the whole sound in one call of `soxr.resample`, torchaudio
in one call of a `transforms.Resample` made before. The least time of all rounds counts for everyone.
"""

import argparse

import criterion
import numpy as np
import soxr
import torch
import torchaudio
from timing import least

PAIRS = [(48000, 16000), (44100, 16000), (22050, 16000), (16000, 8000), (8000, 16000), (16000, 44100), (16000, 17600)]
METHODS = ["fast", "high", "rubato", "torchaudio"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", help="the bench's executable (default: built with cargo)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    options = parser.parse_args()
    bench = options.bench or criterion.build("resample")
    torch.set_num_threads(1)
    print(f"x real time; soxr {soxr.__version__} HQ, torchaudio {torchaudio.__version__}, numpy {np.__version__}\n")
    print("| from | to | s | high | fast | kernel: rubato | soxr HQ | high / soxr HQ | kernel: torchaudio | torchaudio | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for source, target in PAIRS:
        for seconds in (5, 60):
            sound = np.random.default_rng(0).uniform(-1, 1, source * seconds).astype(np.float32)
            kernel = torchaudio.transforms.Resample(source, target)
            tensor = torch.from_numpy(sound)
            best = {}
            for _ in range(options.rounds):
                for name, took in ours(bench, source, target, seconds).items():
                    best[name] = min(took, best.get(name, took))
                for name, call in (("soxr", lambda: soxr.resample(sound, source, target, "HQ")), ("peer", lambda: kernel(tensor))):
                    took = least(call)
                    best[name] = min(took, best.get(name, took))
            speed = {name: seconds / took for name, took in best.items()}
            print(
                f"| {source} | {target} | {seconds} | {speed['high']:,.0f} | {speed['fast']:,.0f} | {speed['rubato']:,.0f} | {speed['soxr']:,.0f}"
                f" | {speed['high'] / speed['soxr']:.2f} | {speed['torchaudio']:,.0f} | {speed['peer']:,.0f}"
                f" | {speed['torchaudio'] / speed['peer']:.2f} |",
                flush=True,
            )


def ours(bench, source, target, seconds):
    """Seconds that each method takes."""
    return criterion.run(bench, [f"^resample/{source} to {target}, {seconds} s, "], METHODS)


if __name__ == "__main__":
    main()

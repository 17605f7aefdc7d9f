#!/usr/bin/env python3
"""How fast lhotse turns a folder of FLAC files into 80 log mel energies, on one core.

    pip install -r benches/peers/requirements-lhotse.txt
    fixtures/synthetic.py --hours 0.6 --out /tmp/corpus
    python benches/peers/lhotse_fbank.py /tmp/corpus

Three figures, each containing the one before: decoding the audio; decoding and Fbank (80 bins, 25 ms frames every 10 ms,
no dither), as `cut.compute_features(Fbank())` does it; and `CutSet.compute_and_store_features`, which is how features are
extracted with lhotse, with its default storage (lilcom), into a folder for temporary files. One process and one thread;
the files are read once before the clock starts, so that the disk is not measured. Of several rounds the fastest by CPU
time counts.
"""

import os

# Before torch is imported: its thread pools are made on import.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import sys
import tempfile
import time
from pathlib import Path

import lhotse
import torch
from lhotse import CutSet, Fbank, FbankConfig, Recording


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="a folder of FLAC files at 16 kHz, in any depth")
    parser.add_argument("--files", type=int, default=200, help="how many of them, in order of name (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args()
    torch.set_num_threads(1)

    paths = sorted(options.corpus.rglob("*.flac"))[: options.files]
    if not paths:
        sys.exit(f"lhotse_fbank.py: there are no FLAC files in {options.corpus}")
    cuts = [Recording.from_file(path, recording_id=str(path)).to_cut() for path in paths]
    wrong = [cut.id for cut in cuts if cut.sampling_rate != 16_000]
    if wrong:
        sys.exit(f"lhotse_fbank.py: {wrong[0]} is not at 16 kHz, as are {len(wrong) - 1} more")
    hours = sum(cut.duration for cut in cuts) / 3600
    fbank = Fbank(FbankConfig(num_filters=80))

    frames = sum(len(cut.compute_features(fbank)) for cut in cuts)
    print(f"lhotse {lhotse.__version__}, torch {torch.__version__}: {len(cuts)} files, {hours:.3f} h, {frames} frames")

    load = fastest(options.rounds, lambda: [cut.load_audio() for cut in cuts])
    both = fastest(options.rounds, lambda: [cut.compute_features(fbank) for cut in cuts])
    stored = fastest(options.rounds, lambda: store(CutSet.from_cuts(cuts), fbank))
    report("load", hours, *load)
    report("load + Fbank", hours, *both)
    report("load + Fbank + store", hours, *stored)


def store(cuts, fbank):
    with tempfile.TemporaryDirectory() as folder:
        cuts.compute_and_store_features(fbank, Path(folder) / "features", progress_bar=False)


def fastest(rounds, work):
    """CPU seconds and wall seconds of the round that took the fewest CPU seconds."""
    times = []
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(times)


def report(what, hours, cpu_s, wall_s):
    print(
        f"{what:20} {hours / cpu_s:8.4f} hours of audio per second per core, {hours * 3600 / cpu_s:6.0f} x real time"
        f" (CPU {cpu_s:.2f} s, wall {wall_s:.2f} s)"
    )


if __name__ == "__main__":
    main()

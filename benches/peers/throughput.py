#!/usr/bin/env python3
"""How fast wavemill and lhotse turn FLAC files into 80 log mel energies on disk, per core, in one run.

    cargo build --release
    pip install -r benches/peers/requirements-lhotse.txt
    fixtures/synthetic.py --hours 2 --out /tmp/corpus
    python benches/peers/throughput.py /tmp/corpus --wavemill target/release/wavemill

wavemill is measured as a whole process with one worker thread: reading the folder and every header, planning, decoding,
features, statistics, checksums, Parquet, fsync. CPU time is that of all its threads, user and system. lhotse's figures are
those of `lhotse_fbank.py`, which leaves out Python's start-up and the reading of the manifest. Both see warm files; of several
rounds the one with the least CPU time counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PIPELINE = """
version: 1
corpus: { audio_folder: { root: "${CORPUS}", extensions: [flac] } }
resample: { rate_hz: 16000 }
featurize:
  features: [kaldi_fbank: { num_mel_bins: 80, sample_scale: unit, snip_edges: false, high_freq_hz: -400 }]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, help="a folder of FLAC files at 16 kHz, in any depth")
    parser.add_argument("--wavemill", default="wavemill", help="the command (default: wavemill)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        pipeline = Path(folder) / "fbank.yaml"
        pipeline.write_text(PIPELINE, encoding="utf-8")
        rounds = [run(options, pipeline, Path(folder) / f"out{number}") for number in range(options.rounds + 1)]
    hours, cpu_s, wall_s, memory_mb = min(rounds[1:], key=lambda measured: measured[1])
    print(
        f"wavemill, whole process: {hours / cpu_s:.4f} hours of audio per second per core,"
        f" {hours * 3600 / cpu_s:.0f} x real time (CPU {cpu_s:.2f} s, wall {wall_s:.2f} s, at most {memory_mb:.0f} MB)",
        flush=True,
    )
    lhotse = Path(__file__).with_name("lhotse_fbank.py")
    subprocess.run([sys.executable, lhotse, options.corpus, "--rounds", str(options.rounds)], check=True)


def run(options, pipeline, out):
    """Hours of sound, CPU and wall seconds, and peak memory of one run."""
    command = [options.wavemill, "run", pipeline, "--out", out, "--threads", "1", "--quiet"]
    before = os.times().elapsed
    process = subprocess.Popen([*command, "--var", f"CORPUS={options.corpus}"])
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = os.times().elapsed - before
    if status:
        sys.exit(f"throughput.py: wavemill ended with {os.waitstatus_to_exitcode(status)}")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return manifest["totals"]["hours"], usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()

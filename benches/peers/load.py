#!/usr/bin/env python3
"""How fast wavemill's loader and its peers read the same features, in turn in one run, one consumer process each, hot cache.

    pip install -r benches/peers/requirements-load.txt
    python benches/peers/load.py [--rows 2000] [--folder /data/bench]        (or `make bench`)

2,000 rows are 2 million frames of 80 float32, 640 MB: 200 to 3,000 frames each, a thousand on average, log-normal. wavemill makes
its dataset of WAV files of noise (`kaldi_fbank`, Parquet); the peers get the very same arrays, keys and texts, read from that
dataset with pyarrow and written by their own writers into shards of about 128 MiB. A round is one epoch of each side; rounds take
turns, the first one warms the cache and does not count, and the median of the others does. The clock runs from the first call of the
iterator to its end; opening the dataset is in `first batch`, which runs from the import's end to the first row or batch.

A peer hands out rows: its key, its text and an array `[frames, 80]`, nothing padded. Whoever trains on them pads: the second line
of each peer puts every 32 rows, in the order in which they come, into a new array of zeros, as numpy does it. wavemill's batches
are shuffled, bucketed and padded, with checksums verified. Peers shuffle as their documentation shows; pyarrow does not shuffle.
MB are a million bytes of features, without padding.

The plain program is `benches/load/plain.rs`: read(2) and one copy into padded batches in the order of the files, nothing else.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import lhotse
import numpy as np
import pyarrow.parquet as pq
import streaming
import webdataset
from lhotse.features.io import MemoryRawWriter
from lhotse.shar import SharWriter

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINS, RATE, BATCH, SHARD_BYTES = 80, 16000, 32, 128 << 20
PIPELINE = """\
version: 1
name: load
corpus: {{ audio_folder: {{ root: "{corpus}", name: "{{speaker}}-{{number}}" }} }}
featurize: {{ features: [kaldi_fbank: {{ num_mel_bins: 80 }}] }}
write: {{ parquet: {{ dtype: f32, shard_mib: 128 }} }}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000, help="default: 2000, 640 MB")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--folder", type=Path, help="where the datasets are kept, and found again (default: a temporary folder)")
    parser.add_argument("--binary", type=Path, default=TARGET / "release/wavemill", help="default: %(default)s")
    parser.add_argument("--only", help="peers, with commas between: webdataset,lhotse,streaming,pyarrow")
    parser.add_argument("--peers-only", action="store_true", help="leave wavemill's loader and the plain program out")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args()
    if not options.peers_only and not options.binary.exists():
        sys.exit(f"load.py: there is no {options.binary}: `cargo build --release` makes it")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        datasets = prepare(folder, options)
        results, total = measure(datasets, options)
    report(results, total)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(datasets, options):
    """By side: its figures of each round. And what there is to read."""
    rows = list(stored_rows(datasets / "wavemill"))
    total = {"rows": len(rows), "frames": sum(len(row[2]) for row in rows), "mb": sum(row[2].nbytes for row in rows) / 1e6}
    expected = {key: float(array[len(array) // 2, 7]) for key, _, array in rows}
    del rows
    chosen = [name for name in PEERS if options.only is None or name in options.only.split(",")]
    sides = {}
    if not options.peers_only:
        sides["wavemill"] = lambda: ours(options, datasets / "wavemill")
        sides["plain program"] = lambda: plain(datasets / "wavemill")
    for name in chosen:
        open_rows = PEERS[name]
        label = f"{name} {importlib.metadata.version(PACKAGES.get(name, name))}"
        sides[f"{label}, rows"] = lambda name=name, open_rows=open_rows: timed(open_rows, datasets / name, total, False)
        sides[f"{label}, padded"] = lambda name=name, open_rows=open_rows: timed(open_rows, datasets / name, total, True)
        read = {key: float(array[len(array) // 2, 7]) for key, _, array in open_rows(datasets / name)()}
        if read != expected:
            sys.exit(f"load.py: {name} does not read what wavemill wrote")
    results = {side: [] for side in sides}
    for number in range(options.rounds + 1):
        for side, call in sides.items():
            figures = call()
            if number > 0:
                results[side].append(figures)
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    return results, total


def timed(open_rows, path, total, padded):
    """An epoch of a peer."""
    start = time.perf_counter()
    rows = open_rows(path)
    things = padded_batches(rows()) if padded else rows()
    opened = time.perf_counter()
    count, frames, first, kept = 0, 0, None, 0
    for thing in things:
        if first is None:
            first = time.perf_counter()
        if padded:
            _, _, features, lengths = thing
            count, frames, kept = count + len(lengths), frames + int(lengths.sum()), kept + features.shape[0] * features.shape[1]
        else:
            count, frames = count + 1, frames + thing[2].shape[0]
    took = time.perf_counter() - opened
    if (count, frames) != (total["rows"], total["frames"]):
        sys.exit(f"load.py: {path.name} gave {count} rows and {frames} frames")
    return {
        "rows_s": count / took,
        "frames_s": frames / took,
        "mb_s": total["mb"] / took,
        "padding_waste": 1 - frames / kept if padded else None,
        "first_batch_s": first - start,
    }


def padded_batches(rows):
    """Every 32 rows as one array `[rows, longest, 80]`."""
    batch = []

    def pad():
        lengths = np.array([len(array) for _, _, array in batch])
        features = np.zeros((len(batch), lengths.max(), BINS), np.float32)
        for slot, (_, _, array) in zip(features, batch):
            slot[: len(array)] = array
        return [key for key, _, _ in batch], [text for _, text, _ in batch], features, lengths

    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield pad()
            batch.clear()
    if batch:
        yield pad()


def ours(options, path):
    """`wavemill load DIR --bench --json`: one epoch, shuffled, bucketed, padded; its own clock."""
    command = [options.binary, "load", path, "--bench", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def plain(path):
    command = ["cargo", "bench", "--quiet", "--bench", "load", "--", "--plain", path, "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(results, total):
    """The medians, and ours over theirs."""
    print(f"{total['rows']} rows, {total['frames']} frames, {total['mb']:.0f} MB of float32, one consumer, hot cache\n")
    median = {side: middle(figures) for side, figures in results.items()}
    mine = median.get("wavemill")
    print("| loader | rows/s | frames/s | MB/s | padding | first batch | wavemill / this |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for side, figures in median.items():
        ratio = f"{mine['mb_s'] / figures['mb_s']:.2f}" if mine and side != "wavemill" else "-"
        waste, first = figures.get("padding_waste"), figures.get("first_batch_s")
        print(
            f"| {side} | {figures['rows_s']:,.0f} | {figures['frames_s'] / 1e6:.2f} M | {figures['mb_s']:,.0f} "
            f"| {'-' if waste is None else f'{waste:.1%}'} | {'-' if first is None else f'{1e3 * first:.0f} ms'} | {ratio} |"
        )
    if figures := median.get("plain program"):
        print(f"\nread(2) alone, nothing copied: {figures['read_mb_s']:,.0f} MB/s of features")
    if mine and "resume_s" in mine:
        print(f"wavemill resumes in {1e3 * mine['resume_s']:.0f} ms")


def middle(rounds):
    """The median of each figure over the rounds."""
    numbers = {key for key, value in rounds[0].items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    return {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0] if key in numbers}


# --- datasets -------------------------------------------------------------------------------------------------------------------


def prepare(folder, options):
    """The folder with wavemill's dataset of so many rows, and each peer's of the same arrays; made if they are not there."""
    folder = folder / f"rows-{options.rows}"
    made = folder / "wavemill"
    if not (made / "manifest.json").exists():
        corpus = folder / "corpus"
        make_corpus(corpus, options.rows)
        pipeline = folder / "pipeline.yaml"
        pipeline.write_text(PIPELINE.format(corpus=corpus), encoding="utf-8")
        subprocess.run([options.binary, "run", pipeline, "--out", made], check=True, stdout=sys.stderr)
        shutil.rmtree(corpus)
    for peer, write in WRITERS.items():
        done = folder / f"{peer}.done"
        if not done.exists():
            shutil.rmtree(folder / peer, ignore_errors=True)
            (folder / peer).mkdir()
            write(stored_rows(made), folder / peer)
            done.touch()
    if not (folder / "pyarrow").exists():
        (folder / "pyarrow").symlink_to(made, target_is_directory=True)
    return folder


def make_corpus(folder, count):
    """WAV files of noise whose level changes, and a text for each."""
    rng = np.random.default_rng(0)
    # exp(0.55² / 2) · 860 is 1,000: the mean before the longest and shortest are cut.
    frames = np.clip(rng.lognormal(np.log(860), 0.55, count), 200, 3000).astype(int)
    noise = rng.standard_normal(60 * RATE)
    level = 0.1 + 0.09 * np.sin(np.arange(60 * RATE) * 2e-4)
    noise = np.round(noise * level * 8000).clip(-32768, 32767).astype("<i2")
    folder.mkdir(parents=True)
    for number, length in enumerate(frames):
        samples = 400 + 160 * (int(length) - 1)
        start = int(rng.integers(0, len(noise) - samples))
        path = folder / f"s{number % 40:02}-{number:06}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(noise[start : start + samples].tobytes())
        path.with_suffix(".txt").write_text(f"utterance number {number} of those that are loaded", encoding="utf-8")


def shards(path):
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    return [path / shard["files"][0]["path"] for shard in manifest["shards"]]


def stored_rows(path):
    """wavemill's dataset by pyarrow: key, text, array `[frames, 80]`."""
    for shard in shards(path):
        file = pq.ParquetFile(shard)
        for batch in file.iter_batches(batch_size=BATCH, columns=["key", "text", "features"]):
            keys, texts, cells = batch.columns
            for key, text, cell in zip(keys.to_pylist(), texts.to_pylist(), cells):
                yield key, text, np.frombuffer(cell.as_buffer(), "<f4").reshape(-1, BINS)


def parts(rows):
    """Rows in runs of about 128 MiB."""
    part, size = [], 0
    for row in rows:
        part.append(row)
        size += row[2].nbytes
        if size >= SHARD_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def write_webdataset(rows, folder):
    for number, part in enumerate(parts(rows)):
        with webdataset.TarWriter(str(folder / f"{number:05}.tar")) as writer:
            for key, text, array in part:
                writer.write({"__key__": key, "npy": array, "txt": text})


def write_shar(rows, folder):
    """With the codec that keeps float32 as it is; lilcom, the default, does not."""
    store = MemoryRawWriter()
    with SharWriter(str(folder), fields={"features": "numpy"}, shard_size=400) as writer:
        for key, text, array in rows:
            duration = len(array) / 100
            features = lhotse.Features(
                "kaldi-fbank", len(array), BINS, 0.01, RATE, 0, duration, store.name, "", store.write(key, array), channels=0
            )
            supervision = lhotse.SupervisionSegment(key, key, 0, duration, 0, text)
            writer.write(lhotse.MonoCut(key, 0, duration, 0, [supervision], features=features))


def write_streaming(rows, folder):
    columns = {"key": "str", "text": "str", "features": "ndarray:float32"}
    with streaming.MDSWriter(out=str(folder), columns=columns, size_limit=SHARD_BYTES) as writer:
        for key, text, array in rows:
            writer.write({"key": key, "text": text, "features": array})


WRITERS = {"webdataset": write_webdataset, "lhotse": write_shar, "streaming": write_streaming}


# --- peers ----------------------------------------------------------------------------------------------------------------------


def open_webdataset(path):
    """Shards and a buffer of 1,000 rows shuffled, as its README shows."""
    tars = sorted(str(tar) for tar in path.glob("*.tar"))
    dataset = webdataset.WebDataset(tars, shardshuffle=100).shuffle(1000).decode().to_tuple("__key__", "txt", "npy")
    return lambda: iter(dataset)


def open_shar(path):
    """Shards and a buffer of 1,000 cuts shuffled."""
    cuts = lhotse.CutSet.from_shar(in_dir=path, shuffle_shards=True).shuffle(buffer_size=1000)
    return lambda: ((cut.id, cut.supervisions[0].text, cut.load_features()) for cut in cuts)


def open_streaming(path):
    streaming.base.util.clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(local=str(path), shuffle=True, batch_size=BATCH)
    return lambda: ((row["key"], row["text"], row["features"]) for row in dataset)


def open_pyarrow(path):
    """Our own files in batches of 32 rows, with pyarrow's threads; nothing is shuffled."""
    return lambda: stored_rows(path)


PEERS = {"webdataset": open_webdataset, "lhotse": open_shar, "streaming": open_streaming, "pyarrow": open_pyarrow}
PACKAGES = {"streaming": "mosaicml-streaming"}


if __name__ == "__main__":
    main()

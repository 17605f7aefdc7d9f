#!/usr/bin/env python3
"""How fast wavemill and each format's own writer put rows on disk, in turn in one run, on one thread each.

    pip install -r benches/peers/requirements-interop.txt
    python benches/peers/write.py [--rows 2000] [--frames 1000] [--audio]        (or `make bench`)

A row is about 1,000 frames of 80 float32, or with `--audio` ten seconds of sound that is FLAC already, and an id, a text and a
speaker. MB are a million bytes of features, or of FLAC, and of these texts, as they lie in memory. Shards are of 128 MiB. The clock
stops when the files are on disk: both sides call fsync on every file. wavemill's times hold its BLAKE3 checksums too. The best of
several rounds counts; all write into the same folder.

Peers get their rows as suits them best: pyarrow and safetensors NumPy arrays that are put together once a batch or shard,
webdataset, kaldiio and kaldi_native_io one array a row, lhotse cuts and `datasets` a table that are in memory before the clock starts.

wavemill's are those of `benches/write.rs`, see `ours`.
"""

import os

# Before numpy and torch are imported: their thread pools are made on import.
os.environ.update({f"{pool}_NUM_THREADS": "1" for pool in ("OMP", "MKL", "OPENBLAS")})

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

CACHE = tempfile.TemporaryDirectory()
os.environ |= {"HF_HOME": CACHE.name, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import datasets
import kaldi_native_io
import kaldiio
import lhotse
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import webdataset
from datasets.arrow_writer import ArrowWriter
from lhotse.features.io import MemoryRawWriter
from lhotse.shar import SharWriter
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
BINS, RATE = 80, 16000
SHARD_BYTES, BATCH_BYTES = 128 << 20, 8 << 20


@dataclass
class Row:
    id: str
    text: str
    speaker: str
    cell: object  # float32 `[frames, 80]`, or bytes of FLAC

    @property
    def size(self):
        size = self.cell.nbytes if isinstance(self.cell, np.ndarray) else len(self.cell)
        return size + sum(len(text.encode()) for text in (self.id, self.text, self.speaker))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000, help="default: 2000, of features 640 MB")
    parser.add_argument("--frames", type=int, default=1000, help="frames of a row, give or take a half (default: 1000)")
    parser.add_argument("--audio", action="store_true", help="rows of encoded sound instead of features")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--folder", type=Path, help="where all write (default: the folder for temporary files)")
    parser.add_argument("--peers-only", action="store_true", help="leave wavemill out: nothing is built")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    datasets.disable_progress_bars()

    rows = audio_rows(options.rows) if options.audio else feature_rows(options.rows, options.frames)
    megabytes = sum(row.size for row in rows) / 1e6
    peers = audio_peers(rows) if options.audio else feature_peers(rows)
    theirs = {peer: 0.0 for peer in peers}
    best = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for _ in range(options.rounds):
            if not options.peers_only:
                for writer, rate in ours(options, folder).items():
                    best[writer] = max(best.get(writer, 0.0), rate)
            for peer, write in peers.items():
                theirs[peer] = max(theirs[peer], megabytes / seconds(write, Path(folder) / "peer"))
    what = "FLAC" if options.audio else "float32 features"
    print(f"MB/s of {what}, {len(rows)} rows, {megabytes:.0f} MB, one thread, with fsync\n")
    print("| format | wavemill | peer | peer's | wavemill / peer |")
    print("| --- | --- | --- | --- | --- |")
    for (writer, peer), rate in theirs.items():
        known = best.get(writer)
        mine = (f"{known:,.0f}", f"{known / rate:.1f}") if known else ("-", "-")
        print(f"| {writer} | {mine[0]} | {peer} | {rate:,.0f} | {mine[1]} |")
    if not options.peers_only and (missing := {writer for writer, _ in theirs} - set(best)):
        sys.exit(f"write.py: the bench did not measure {', '.join(sorted(missing))}")


def ours(options, folder):
    """MB/s by format: `benches/write.rs` prints a line of JSON for each, {"writer": "arrow", "mb_per_s": 812.5}, for rows as above:
    how many, of how many frames, whether of sound, and where to, it is told by the environment."""
    environment = os.environ | {
        "WRITE_ROWS": str(options.rows),
        "WRITE_FRAMES": str(options.frames),
        "WRITE_DATA": "audio" if options.audio else "features",
        "WRITE_FOLDER": str(folder),
    }
    command = ["cargo", "bench", "--quiet", "--bench", "write", "--", "--peer-json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        sys.exit("write.py: the bench printed no line of JSON")
    return {line["writer"]: line["mb_per_s"] for line in lines}


def seconds(write, folder):
    """The time of a writer until its files are on disk."""
    folder.mkdir()
    os.sync()
    start = time.perf_counter()
    write(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    took = time.perf_counter() - start
    assert files and sum(path.stat().st_size for path in files), "the peer wrote nothing"
    shutil.rmtree(folder)
    return took


# --- rows -----------------------------------------------------------------------------------------------------------------------


def texts(number):
    return f"speaker-{number % 40:02}-{number:06}", f"utterance number {number} of those that are written", f"speaker-{number % 40:02}"


def feature_rows(count, frames):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        key, text, speaker = texts(number)
        length = int(rng.integers(frames // 2, frames + frames // 2 + 1))
        rows.append(Row(key, text, speaker, rng.standard_normal((length, BINS), dtype=np.float32) * 4 - 8))
    return rows


def audio_rows(count):
    """Of ten seconds each; twenty recordings are repeated, so that encoding them takes no time."""
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(10 * RATE) * 0.05) * np.sin(np.arange(10 * RATE) * 0.0002)
    encoded = []
    for _ in range(20):
        file = io.BytesIO()
        soundfile.write(file, 0.3 * tone + 0.01 * rng.standard_normal(tone.size), RATE, format="FLAC", subtype="PCM_16")
        encoded.append(file.getvalue())
    # A row has bytes of its own, as a decoder's or encoder's would be.
    return [Row(*texts(number), bytes(bytearray(encoded[number % 20]))) for number in range(count)]


def parts(rows, size):
    """Rows in runs of about so many bytes."""
    part, total = [], 0
    for row in rows:
        part.append(row)
        total += row.size
        if total >= size:
            yield part
            part, total = [], 0
    if part:
        yield part


# --- peers ----------------------------------------------------------------------------------------------------------------------


def feature_peers(rows):
    """By format and peer: a function that writes all rows into a folder."""
    cuts, table = feature_cuts(rows), feature_table(rows)
    return {
        ("parquet", f"pyarrow {pa.__version__}"): lambda folder: write_parquet(rows, folder),
        ("arrow", f"pyarrow {pa.__version__}"): lambda folder: write_arrow(rows, folder),
        ("arrow", f"datasets {datasets.__version__} ArrowWriter"): lambda folder: write_arrow_writer(rows, folder),
        ("safetensors", f"safetensors {version('safetensors')}"): lambda folder: write_safetensors(rows, folder),
        ("webdataset", f"webdataset {version('webdataset')}"): lambda folder: write_webdataset(rows, "npy", folder),
        ("lhotse_shar", f"lhotse {lhotse.__version__}"): lambda folder: write_shar(cuts, {"features": "numpy"}, folder),
        ("hugging_face", f"datasets {datasets.__version__} to_parquet"): lambda folder: table.to_parquet(str(folder / "x.parquet")),
        ("kaldi_ark", f"kaldiio {version('kaldiio')}"): lambda folder: write_kaldiio(rows, folder),
        ("kaldi_ark", f"kaldi_native_io {version('kaldi_native_io')}"): lambda folder: write_kaldi_native_io(rows, folder),
    }


def audio_peers(rows):
    cuts, table = audio_cuts(rows), audio_table(rows)
    return {
        ("parquet", f"pyarrow {pa.__version__}"): lambda folder: write_parquet(rows, folder),
        ("arrow", f"pyarrow {pa.__version__}"): lambda folder: write_arrow(rows, folder),
        ("safetensors", f"safetensors {version('safetensors')}"): lambda folder: write_safetensors(rows, folder),
        ("webdataset", f"webdataset {version('webdataset')}"): lambda folder: write_webdataset(rows, "flac", folder),
        ("lhotse_shar", f"lhotse {lhotse.__version__}"): lambda folder: write_shar(cuts, {"recording": "original"}, folder),
        ("hugging_face", f"datasets {datasets.__version__} to_parquet"): lambda folder: table.to_parquet(str(folder / "x.parquet")),
    }


SCHEMA = pa.schema([("key", pa.string()), ("text", pa.string()), ("speaker", pa.string()), ("cell", pa.large_binary())])


def batch(rows):
    """The rows as Arrow's columns: one copy of the cells."""
    cells = [row.cell.reshape(-1).view("u1") if isinstance(row.cell, np.ndarray) else np.frombuffer(row.cell, "u1") for row in rows]
    offsets = np.zeros(len(cells) + 1, "<i8")
    np.cumsum([len(cell) for cell in cells], out=offsets[1:])
    binary = pa.Array.from_buffers(pa.large_binary(), len(cells), [None, pa.py_buffer(offsets), pa.py_buffer(np.concatenate(cells))])
    columns = [[row.id for row in rows], [row.text for row in rows], [row.speaker for row in rows], binary]
    return pa.record_batch([pa.array(column, field.type) if isinstance(column, list) else column
                            for column, field in zip(columns, SCHEMA)], schema=SCHEMA)  # fmt: skip


def write_parquet(rows, folder):
    compression = {"key": "zstd", "text": "zstd", "speaker": "zstd", "cell": "none"}
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        options = dict(compression=compression, use_dictionary=["key", "text", "speaker"], write_statistics=["key", "text", "speaker"])
        with pq.ParquetWriter(folder / f"{number:05}.parquet", SCHEMA, **options) as writer:
            for part in parts(shard, BATCH_BYTES):
                writer.write_batch(batch(part))


def write_arrow(rows, folder):
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        with pa.OSFile(str(folder / f"{number:05}.arrow"), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            for part in parts(shard, BATCH_BYTES):
                writer.write_batch(batch(part))


def write_arrow_writer(rows, folder):
    """As `Dataset.from_generator` and `map` write their caches."""
    string = datasets.Value("string")
    features = datasets.Features(key=string, text=string, speaker=string, features=datasets.Array2D((None, BINS), "float32"))
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        writer = ArrowWriter(features=features, path=str(folder / f"{number:05}.arrow"), writer_batch_size=25)
        for row in shard:
            writer.write({"key": row.id, "text": row.text, "speaker": row.speaker, "features": row.cell})
        writer.finalize()
        writer.close()


def write_safetensors(rows, folder):
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        cells = [row.cell if isinstance(row.cell, np.ndarray) else np.frombuffer(row.cell, "u1") for row in shard]
        offsets = np.zeros(len(cells) + 1, "<i8")
        np.cumsum([len(cell) for cell in cells], out=offsets[1:])
        save_file({"cell": np.concatenate(cells), "cell_offsets": offsets}, folder / f"{number:05}.safetensors")
        with open(folder / f"{number:05}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"key": row.id, "text": row.text, "speaker": row.speaker}) + "\n" for row in shard)


def write_webdataset(rows, extension, folder):
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        with webdataset.TarWriter(str(folder / f"{number:05}.tar")) as writer:
            for row in shard:
                writer.write({"__key__": row.id, extension: row.cell, "json": {"speaker": row.speaker}, "txt": row.text})


def write_shar(cuts, fields, folder):
    with SharWriter(str(folder), fields=fields, shard_size=400) as writer:
        for cut in cuts:
            writer.write(cut)


def supervised(row, duration, **about):
    supervision = lhotse.SupervisionSegment(row.id, row.id, 0, duration, 0, row.text, speaker=row.speaker)
    return lhotse.MonoCut(row.id, 0, duration, 0, [supervision], **about)


def feature_cuts(rows):
    """Cuts with their features in memory."""
    store = MemoryRawWriter()
    cuts = []
    for row in rows:
        duration = len(row.cell) / 100
        features = lhotse.Features(
            "kaldi-fbank", len(row.cell), BINS, 0.01, RATE, 0, duration, store.name, "", store.write(row.id, row.cell), channels=0
        )
        cuts.append(supervised(row, duration, features=features))
    return cuts


def audio_cuts(rows):
    """Cuts with their sound in memory. Shar's writer copies it as it is (`original`)."""
    recordings = [lhotse.Recording.from_bytes(row.cell, row.id) for row in rows]
    return [supervised(row, recording.duration, recording=recording) for row, recording in zip(rows, recordings)]


def text_columns(rows):
    string = datasets.Value("string")
    arrays = [pa.array([getattr(row, name) for row in rows]) for name in ("id", "text", "speaker")]
    return dict(key=string, text=string, speaker=string), arrays


def feature_table(rows):
    """A `datasets` table in memory, with Array2D."""
    about, arrays = text_columns(rows)
    features = datasets.Features(about | {"features": datasets.Array2D((None, BINS), "float32")})
    offsets = np.cumsum([0] + [len(row.cell) for row in rows])
    numbers = pa.array(np.concatenate([row.cell for row in rows]).reshape(-1))
    inner = pa.ListArray.from_arrays(pa.array(np.arange(0, len(numbers) + 1, BINS), pa.int32()), numbers)
    storage = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner)
    schema = features.arrow_schema
    cells = pa.ExtensionArray.from_storage(schema.field("features").type, storage)
    return datasets.Dataset(pa.Table.from_arrays([*arrays, cells], schema=schema))


def audio_table(rows):
    about, arrays = text_columns(rows)
    features = datasets.Features(about | {"audio": datasets.Audio(decode=False)})
    schema = features.arrow_schema
    sounds = pa.array([{"bytes": row.cell, "path": f"{row.id}.flac"} for row in rows], schema.field("audio").type)
    return datasets.Dataset(pa.Table.from_arrays([*arrays, sounds], schema=schema))


def write_kaldiio(rows, folder):
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        with kaldiio.WriteHelper(f"ark,scp:{folder}/{number:05}.ark,{folder}/{number:05}.scp") as writer:
            for row in shard:
                writer(row.id, row.cell)
    write_lists(rows, folder)


def write_kaldi_native_io(rows, folder):
    for number, shard in enumerate(parts(rows, SHARD_BYTES)):
        with kaldi_native_io.FloatMatrixWriter(f"ark,scp:{folder}/{number:05}.ark,{folder}/{number:05}.scp") as writer:
            for row in shard:
                writer.write(row.id, row.cell)
    write_lists(rows, folder)


def write_lists(rows, folder):
    (folder / "text").write_text("".join(f"{row.id} {row.text}\n" for row in rows), encoding="utf-8")
    (folder / "utt2spk").write_text("".join(f"{row.id} {row.speaker}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the bundled sample corpus in every format, opens each with the tools it is made for, and compares with Parquet.

    cargo build
    pip install -r benches/peers/requirements-interop.txt
    python benches/peers/interop.py [--wavemill PATH] [--only parquet,arrow]        (or `make interop`)

A line a check. Every row must be there, with the same key, text and numbers, the same bytes of sound, and every array equal to
the last bit. Exits with 1 if anything differs, if a format cannot be written or opened, or if there was nothing to compare.

Ids of the corpus have `.`, `/`, `%` and spaces in them, which formats made of file names or of words escape as `%2E`; shards are
small, so that there are several. What peers need beside a file name, this script shows: see `check_hugging_face` and
`check_kaldi_ark` for what they do not do by themselves.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import warnings
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "corpus"
CACHE = tempfile.TemporaryDirectory()
# Before datasets is imported: nothing is looked up, and nothing stays in the home directory.
os.environ |= {"HF_HOME": CACHE.name, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

FEATURES = "features: [kaldi_fbank: { num_mel_bins: 80 }]"
WAVEFORM = "waveform: [waveform: { dtype: i16 }]"
AUDIO = "audio: [encode: { codec: flac }]"
WAV = "audio: [encode: { codec: wav }]"
# How each format is asked for, and with which columns. Kaldi reads sound from archives as WAV.
WRITERS = {
    "parquet": ("parquet: { shard_mib: 1 }", [FEATURES, WAVEFORM, AUDIO]),
    "arrow": ("arrow: { shard_mib: 1, dtype: f32 }", [FEATURES, WAVEFORM, AUDIO]),
    "safetensors": ("safetensors: { shard_mib: 1 }", [FEATURES, WAVEFORM, AUDIO]),
    "webdataset": ("webdataset: { shard_mib: 1 }", [FEATURES, WAVEFORM, AUDIO]),
    "lhotse_shar": ("lhotse_shar: { shard_mib: 1 }", [FEATURES, WAVEFORM, AUDIO]),
    "hugging_face": ("hugging_face: { shard_mib: 1 }", [FEATURES, WAVEFORM, AUDIO]),
    "kaldi_ark": ("kaldi_ark: { shard_mib: 1 }", [FEATURES, WAV]),
}
PIPELINE = """version: 1
name: interop
corpus: {{ jsonl: {{ path: "{manifest}" }} }}
resample: {{ rate_hz: 16000 }}
featurize:
  {columns}
write: {{ {writer} }}
"""
NUMPY = {"f32": "<f4", "f16": "<f2", "i16": "<i2", "i8": "i1"}


class Difference(Exception):
    """What a peer read is not what was written."""


@dataclass
class Row:
    """A row as Parquet has it: its texts and numbers, its arrays, its encoded sound."""

    about: dict
    arrays: dict
    audio: bytes


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wavemill", type=Path, help="the program (default: what `cargo build` makes)")
    parser.add_argument("--only", help="formats, with commas between; the others are not checked")
    parser.add_argument("--keep", type=Path, help="write the datasets into this folder, and leave them there")
    options = parser.parse_args()
    formats = options.only.split(",") if options.only else list(WRITERS)
    if unknown := set(formats) - set(WRITERS):
        parser.error(f"no such format: {', '.join(sorted(unknown))}; there are {', '.join(WRITERS)}")
    wavemill = (options.wavemill or built()).resolve()
    if not wavemill.exists():
        sys.exit(f"interop.py: there is no {wavemill}: `cargo build` makes it")
    warnings.simplefilter("ignore")

    checked = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        work = options.keep or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        manifest = write_manifest(work)
        reference = read_parquet(write_dataset(wavemill, "parquet", manifest, work))
        for name in formats:
            try:
                out = work / name if name == "parquet" else write_dataset(wavemill, name, manifest, work)
                # A check yields what it read, and by what.
                for peer, rows in CHECKS[name](out, reference):
                    require(rows > 0, f"{peer} read no rows")
                    print(f"ok    {name}: {rows} rows by {peer}", flush=True)
                    checked += 1
            except Exception as error:  # a peer may raise anything
                print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
                failed += 1
    print(f"{checked} passed, {failed} failed")
    sys.exit(1 if failed or not checked else 0)


def built():
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    return Path(metadata["target_directory"]) / "debug" / "wavemill"


def write_manifest(work):
    """The sample corpus under ids that formats stumble over."""
    odd = {"alba-01": "en/alba.01", "alba-02": "en/alba.02", "noah-01": "noah 01", "greta-01": "100%-grün", "emil-01": "emil-01.wav"}
    lines = (FIXTURES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    path = work / "manifest.jsonl"
    seen = set()
    with path.open("w", encoding="utf-8") as out:
        for row in rows:
            stem = Path(row["audio_filepath"]).stem
            key = odd.get(stem, stem) if stem not in seen else f"{stem}-again"
            seen.add(stem)
            audio = str(FIXTURES / row["audio_filepath"])
            # Of one nobody knows what is said: formats must not stumble over that either.
            text = {"text": None} if stem == "noah-02" else {}
            out.write(json.dumps(row | {"id": key, "audio_filepath": audio} | text, ensure_ascii=False) + "\n")
    return path


def write_dataset(wavemill, name, manifest, work):
    writer, columns = WRITERS[name]
    pipeline = work / f"{name}.yaml"
    pipeline.write_text(PIPELINE.format(manifest=manifest, columns="\n  ".join(columns), writer=writer), encoding="utf-8")
    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run([wavemill, "run", pipeline, "--out", out, "--quiet"], capture_output=True, text=True)
    if done.returncode:
        if name == "parquet":  # without it there is nothing to compare with
            sys.exit(f"interop.py: {wavemill} cannot write Parquet:\n{done.stderr.strip()}")
        raise Difference(f"wavemill run ended with {done.returncode}: {done.stderr.strip()}")
    return out


def require(condition, message):
    if not condition:
        raise Difference(message)


def same(what, found, expected):
    require(found == expected, f"{what} is {found!r}, in Parquet {expected!r}")


def same_array(what, found, expected):
    """Equal in shape, type and every bit."""
    found = np.asarray(found)
    shapes = f"{found.dtype} {found.shape}, in Parquet {expected.dtype} {expected.shape}"
    require(found.dtype == expected.dtype and found.shape == expected.shape, f"{what} is {shapes}")
    require(found.tobytes() == expected.tobytes(), f"{what} differs from Parquet's")


def same_keys(found, reference):
    require(len(found) == len(set(found)), "a key is there twice")
    missing, more = sorted(set(reference) - set(found)), sorted(set(found) - set(reference))
    require(not missing and not more, f"keys are missing: {missing}; are too many: {more}")


def same_about(key, found, row, names=("key", "id", "text", "speaker", "language", "num_samples", "sample_rate", "duration_s")):
    for name in names:
        same(f"{name} of {key}", found.get(name), row.about[name])


def files(out, pattern):
    paths = sorted((out / "data").glob(pattern))
    require(paths, f"there is no data/{pattern}")
    return paths


def unescaped(key):
    return urllib.parse.unquote(key)


# --- Parquet and Arrow: columns -------------------------------------------------------------------------------------------------


def rows_of(table):
    """The rows of an Arrow table by key; cells become arrays as docs/opening.md says."""
    rows = {}
    for cells in table.to_pylist():
        arrays, audio = {}, None
        for field in table.schema:
            cell = cells[field.name]
            if b"wavemill:shape" in (field.metadata or {}):
                dtype, shape = field.metadata[b"wavemill:dtype"].decode(), json.loads(field.metadata[b"wavemill:shape"])
                frames = cells[f"{field.name}_frames"]
                arrays[field.name] = np.frombuffer(cell, NUMPY[dtype]).reshape([frames if n == -1 else n for n in shape])
            elif field.name == "audio" and not isinstance(cell, str):
                audio = cell["bytes"] if isinstance(cell, dict) else cell
        about = {name: cell for name, cell in cells.items() if not isinstance(cell, (bytes, dict))}
        require(about["key"] not in rows, f"{about['key']} is there twice")
        rows[about["key"]] = Row(about, arrays, audio)
    return rows


def read_parquet(out):
    """What everything else is compared with. The sound must be what the row says of it."""
    rows = rows_of(pa.concat_tables(pq.read_table(path) for path in files(out, "*.parquet")))
    require(len(rows) == 13, f"the sample corpus has 13 utterances, here are {len(rows)}")
    for key, row in rows.items():
        about = soundfile.info(io.BytesIO(row.audio))
        same(f"rate of the sound of {key}", about.samplerate, row.about["sample_rate"])
        same(f"length of the sound of {key}", about.frames, row.about["num_samples"])
        require(row.arrays["features"].shape[1] == 80 and row.arrays["features"].size, f"{key} has no features")
    return rows


def same_rows(found, reference):
    same_keys(found, reference)
    for key, row in reference.items():
        same_about(key, found[key].about, row, row.about.keys())
        same("columns of arrays", sorted(found[key].arrays), sorted(row.arrays))
        for name, array in row.arrays.items():
            same_array(f"{name} of {key}", found[key].arrays[name], array)
        same(f"length of the sound of {key}", len(found[key].audio or b""), len(row.audio))
        require(found[key].audio == row.audio, f"the sound of {key} differs")
    return len(found)


def same_tables(path, table, frame, duck):
    """Three readers of one file, every cell."""
    names = [column[0] for column in duck.description]
    duck_rows = duck.fetchall()
    same(f"columns of {path.name} in polars", frame.columns, table.column_names)
    same(f"columns of {path.name} in DuckDB", names, table.column_names)
    for index, name in enumerate(names):
        cells = table[name].to_pylist()
        require(cells == frame[name].to_list(), f"{path.name}: polars reads another {name}")
        require(cells == [row[index] for row in duck_rows], f"{path.name}: DuckDB reads another {name}")
    return len(table)


def check_parquet(out, reference):
    paths = files(out, "*.parquet")
    yield f"pyarrow {pa.__version__}, in {len(paths)} shards", len(reference)
    rows = 0
    for path in paths:
        duck = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)])
        rows += same_tables(path, pq.read_table(path), pl.read_parquet(path), duck)
    yield f"polars {pl.__version__} and DuckDB {duckdb.__version__}", rows


def check_arrow(out, reference):
    paths, tables, rows = files(out, "*.arrow"), [], 0
    with contextlib.ExitStack() as stack:
        before = pa.total_allocated_bytes()
        for path in paths:
            tables.append(pa.ipc.open_file(stack.enter_context(pa.memory_map(str(path)))).read_all())
        copied = pa.total_allocated_bytes() - before
        size = sum(path.stat().st_size for path in paths)
        require(copied < size / 100, f"{copied} bytes of {size} were copied: the file cannot be used where it lies in memory")
        yield f"pyarrow {pa.__version__}, mapped, in {len(paths)} shards", same_rows(rows_of(pa.concat_tables(tables)), reference)
        for path, mapped in zip(paths, tables):
            # DuckDB finds `mapped` by its name.
            rows += same_tables(path, mapped, pl.read_ipc(path), duckdb.sql("SELECT * FROM mapped"))
        yield f"polars {pl.__version__} and DuckDB {duckdb.__version__}", rows


# --- safetensors ----------------------------------------------------------------------------------------------------------------


def check_safetensors(out, reference):
    from importlib.metadata import version

    from safetensors import safe_open
    from safetensors.numpy import load_file

    found, sliced = {}, 0
    for path in files(out, "*.safetensors"):
        tensors = load_file(path)
        lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        with safe_open(path, framework="numpy") as file:
            same(f"tensors of {path.name}", sorted(file.keys()), sorted(tensors))
            for number, line in enumerate(lines):
                about = json.loads(line)
                row = reference[about["key"]]
                found[about["key"]] = about
                same_about(about["key"], about, row)
                for name, array in [*row.arrays.items(), ("audio", np.frombuffer(row.audio, "u1"))]:
                    offsets = tensors[f"{name}_offsets"]
                    same_array(f"{name}_offsets", offsets[:1], np.zeros(1, "<i8"))
                    require(len(offsets) == len(lines) + 1, f"{name}_offsets of {path.name} has {len(offsets)} numbers")
                    start, end = map(int, offsets[number : number + 2])
                    same_array(f"{name} of {about['key']}", tensors[name][start:end], array)
                    same_array(f"{name} of {about['key']}, by its slice", file.get_slice(name)[start:end], array)
                    sliced += 1
    same_keys(list(found), reference)
    yield f"safetensors {version('safetensors')}, {sliced} slices of tensors", len(found)


# --- WebDataset -----------------------------------------------------------------------------------------------------------------


def check_webdataset(out, reference):
    from importlib.metadata import version

    import datasets
    import webdataset

    tars = files(out, "*.tar")
    found = []
    for sample in webdataset.WebDataset(list(map(str, tars)), shardshuffle=False).decode():
        about = sample["json"]
        row = reference[about["key"]]
        found.append(about["key"])
        same("the key that the names escape", unescaped(sample["__key__"]), about["key"])
        same_about(about["key"], about, row)
        for name, array in row.arrays.items():
            same_array(f"{name} of {about['key']}", sample[f"{name}.npy"], array)
        require(sample["flac"] == row.audio, f"the sound of {about['key']} differs")
        same(f"text of {about['key']}", sample.get("txt"), row.about["text"] or "")
    same_keys(found, reference)
    yield f"webdataset {version('webdataset')}, in {len(tars)} shards", len(found)

    # Told nothing, datasets makes `flac` an Audio, for which it wants torchcodec though it decodes nothing here.
    arrays = {"features.npy": datasets.Array2D((None, 80), "float32"), "waveform.npy": datasets.List(datasets.Value("int16"))}
    string = datasets.Value("string")
    about = {"key": string, "text": string, "speaker": string, "duration_s": datasets.Value("float64")}
    features = datasets.Features(arrays | {"flac": datasets.Value("binary"), "json": about, "txt": string, "__key__": string})
    datasets.disable_progress_bars()
    for streaming in (False, True):
        paths = list(map(str, tars))
        data = datasets.load_dataset("webdataset", data_files=paths, split="train", features=features, streaming=streaming)
        found = []
        for sample in data:
            key = sample["json"]["key"]
            row = reference[key]
            found.append(key)
            same(f"text of {key}", sample["txt"] or "", row.about["text"] or "")
            same_array(f"features of {key}", np.asarray(sample["features.npy"], "<f4"), row.arrays["features"])
            same_array(f"waveform of {key}", np.asarray(sample["waveform.npy"], "<i2"), row.arrays["waveform"])
            require(sample["flac"] == row.audio, f"the sound of {key} differs")
        same_keys(found, reference)
        yield f"datasets {datasets.__version__}{', streaming' if streaming else ''}", len(found)
    yield "tarfile, by the offsets of the .idx", sum(check_offsets(tar, ".json") for tar in tars)


def check_offsets(tar, suffix):
    """An index has where each sample begins and where the last one ends: little-endian, 64 bits."""
    offsets = np.fromfile(tar.with_suffix(".idx"), "<u8")
    require(len(offsets) > 1 and offsets[-1] <= tar.stat().st_size, f"the offsets of {tar.name} end at {offsets[-1:]}")
    with tar.open("rb") as file:
        names = []
        for offset in map(int, offsets[:-1]):
            file.seek(offset)
            names.append(tarfile.open(fileobj=file, mode="r:").next().name)
    with tarfile.open(tar) as archive:
        same(f"samples of {tar.name}", names, [name for name in archive.getnames() if name.endswith(suffix)])
    return len(names)


# --- lhotse Shar ----------------------------------------------------------------------------------------------------------------


def check_lhotse_shar(out, reference):
    import lhotse

    data = out / "data"
    found = []
    for cut in lhotse.CutSet.from_shar(in_dir=str(data)):
        key = cut.id if cut.id in reference else unescaped(cut.id)
        require(key in reference, f"there is no row of the cut {cut.id}")
        row = reference[key]
        found.append(key)
        (supervision,) = cut.supervisions
        same(f"text of {key}", supervision.text, row.about["text"])
        same(f"speaker of {key}", supervision.speaker, row.about["speaker"])
        same(f"language of {key}", supervision.language, row.about["language"])
        same(f"rate of {key}", cut.sampling_rate, row.about["sample_rate"])
        same(f"samples of {key}", cut.num_samples, row.about["num_samples"])
        same_array(f"features of {key}", cut.load_features(), row.arrays["features"])
        same_array(f"waveform of {key}", cut.load_waveform(), row.arrays["waveform"])
        require(cut.recording.sources[0].source == row.audio, f"the sound of {key} differs")
        samples = soundfile.read(io.BytesIO(row.audio), dtype="float32")[0]
        same_array(f"sound of {key}, decoded", cut.load_audio(), samples[None])
    same_keys(found, reference)
    shards = len(list(data.glob("cuts.*")))
    yield f"lhotse {lhotse.__version__}, in {shards} shards", len(found)
    if indexed := [tar for tar in sorted(data.glob("*.tar")) if Path(f"{tar}.idx").exists()]:
        rows = 0
        for tar in indexed:
            offsets = np.fromfile(f"{tar}.idx", "<u8")
            require(np.all(np.diff(offsets.astype("i8")) > 0), f"the offsets of {tar.name} do not climb")
            same(f"end of {tar.name}.idx", int(offsets[-1]), tar.stat().st_size)
            for offset in map(int, offsets[:-1]):
                with tar.open("rb") as file:
                    file.seek(offset)
                    member = tarfile.open(fileobj=file, mode="r:").next()
                require(member is not None and not member.name.endswith(".json"), f"{tar.name} has no data at {offset}")
            rows += len(offsets) - 1
        yield "tarfile, by the offsets of the .idx", rows
    # As text, without lhotse: gzip or not.
    cuts = [path for path in sorted(data.glob("cuts.*")) if not path.name.endswith(".idx")]
    texts = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in cuts]
    yield "json", sum(len([json.loads(line) for line in text.splitlines()]) for text in texts)


# --- Hugging Face ---------------------------------------------------------------------------------------------------------------


def check_hugging_face(out, reference):
    """`load_dataset(folder)` alone. Audio is decoded only by torchcodec: `decode=False` gives the bytes."""
    import datasets

    datasets.disable_progress_bars()
    for streaming in (False, True):
        data = datasets.load_dataset(str(out), split="train", streaming=streaming)
        same("type of the sound", type(data.features["audio"]), datasets.Audio)
        same("type of the features", data.features["features"], datasets.Array2D((None, 80), "float32"))
        same("type of the waveform", data.features["waveform"], datasets.List(datasets.Value("int16")))
        found = []
        for sample in data.cast_column("audio", datasets.Audio(decode=False)):
            row = reference[sample["key"]]
            found.append(sample["key"])
            same_about(sample["key"], sample, row)
            require(sample["audio"]["bytes"] == row.audio, f"the sound of {sample['key']} differs")
            require(sample["audio"]["path"].endswith(".flac"), f"the sound of {sample['key']} is {sample['audio']['path']}")
            same_array(f"features of {sample['key']}", np.asarray(sample["features"], "<f4"), row.arrays["features"])
            same_array(f"waveform of {sample['key']}", np.asarray(sample["waveform"], "<i2"), row.arrays["waveform"])
        same_keys(found, reference)
        yield f"datasets {datasets.__version__}{', streaming' if streaming else ''}", len(found)
    arrays = datasets.load_dataset(str(out), split="train").remove_columns("audio").with_format("numpy")
    for sample in arrays:
        key = str(sample["key"])
        same_array(f"features of {key} as numpy", sample["features"], reference[key].arrays["features"])
    yield f"datasets {datasets.__version__}, as numpy", len(arrays)

    # Without datasets, the features are lists of lists.
    table = pa.concat_tables(pq.read_table(path) for path in files(out, "*.parquet"))
    duck = duckdb.execute("SELECT key, features FROM read_parquet(?)", [str(out / "data" / "*.parquet")]).fetchall()
    for key, features in duck:
        same_array(f"features of {key} in DuckDB", np.array(features, "<f4"), reference[key].arrays["features"])
    same("rows in pyarrow", len(table), len(duck))
    yield f"DuckDB {duckdb.__version__}", len(duck)


# --- Kaldi ----------------------------------------------------------------------------------------------------------------------


def check_kaldi_ark(out, reference):
    """The paths in `feats.scp` are relative to the dataset's folder. Kaldi, kaldiio and kaldi_native_io take them from the working
    directory, not from where `feats.scp` lies: one works in that folder, or puts its path before each of them."""
    from importlib.metadata import version

    import kaldi_native_io
    import kaldiio

    lists = out / "data" if (out / "data" / "feats.scp").exists() else out

    def table(name):
        lines = (lists / name).read_text(encoding="utf-8").splitlines()
        pairs = [line.partition(" ")[::2] for line in lines]
        keys = [key.encode() for key, _ in pairs]
        require(keys == sorted(set(keys)), f"{name} is not sorted as LC_ALL=C sorts, or has a key twice")
        return dict(pairs)

    tables = {name: table(name) for name in ("feats.scp", "wav.scp", "text", "utt2spk", "utt2num_frames", "utt2dur")}
    keys = list(tables["feats.scp"])
    for name, cells in tables.items():
        # Kaldi's `text` has no line where there is no text.
        spoken = [key for key in keys if name != "text" or reference[unescaped(key)].about["text"] is not None]
        same(f"keys of {name}", list(cells), spoken)
    same_keys(list(map(unescaped, keys)), reference)
    speakers = {}
    for key in keys:
        row = reference[unescaped(key)]
        same(f"text of {key}", tables["text"].get(key), row.about["text"])
        same(f"speaker of {key}", unescaped(tables["utt2spk"][key]), row.about["speaker"])
        same(f"frames of {key}", int(tables["utt2num_frames"][key]), len(row.arrays["features"]))
        require(abs(float(tables["utt2dur"][key]) - row.about["duration_s"]) < 1e-3, f"{key} lasts {tables['utt2dur'][key]} s")
        speakers.setdefault(tables["utt2spk"][key], []).append(key)
    same("spk2utt", {name: cells.split() for name, cells in table("spk2utt").items()}, speakers)
    yield "line by line", len(keys)

    # What a script for Kaldi does: `cd` to the folder.
    before = os.getcwd()
    os.chdir(out)
    try:
        here = lists.relative_to(out)
        features = kaldiio.load_scp(str(here / "feats.scp"))
        for key in features:
            same_array(f"features of {key}", features[key], reference[unescaped(key)].arrays["features"])
        yield f"kaldiio {version('kaldiio')}", len(features)
        sounds = kaldiio.load_scp(str(here / "wav.scp"))
        for key in sounds:
            rate, samples = sounds[key]
            expected, expected_rate = soundfile.read(io.BytesIO(reference[unescaped(key)].audio), dtype="int16")
            same(f"rate of the sound of {key}", rate, expected_rate)
            same_array(f"sound of {key}", samples, expected)
        yield f"kaldiio {version('kaldiio')}, sound", len(sounds)
        rows = 0
        with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{here / 'feats.scp'}") as reader:
            for key, array in reader:
                same_array(f"features of {key}", array, reference[unescaped(key)].arrays["features"])
                rows += 1
        same("rows in kaldi_native_io", rows, len(keys))
        yield f"kaldi_native_io {version('kaldi_native_io')}, scp", rows
        rows = 0
        for ark in files(Path("."), "feats.*.ark"):
            with kaldi_native_io.SequentialFloatMatrixReader(f"ark:{ark}") as reader:
                for key, array in reader:
                    same_array(f"features of {key}", array, reference[unescaped(key)].arrays["features"])
                    rows += 1
        same("rows in the archives", rows, len(keys))
        yield f"kaldi_native_io {version('kaldi_native_io')}, ark", rows
    finally:
        os.chdir(before)


CHECKS = {name: globals()[f"check_{name}"] for name in WRITERS}

if __name__ == "__main__":
    main()

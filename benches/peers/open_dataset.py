#!/usr/bin/env python3
"""Opens a wavemill dataset with pyarrow, polars and DuckDB, and holds its features against kaldi-native-fbank.

    pip install -r benches/peers/requirements.txt
    python benches/peers/open_dataset.py DIR [--column features] [--audio audio] [--must-compare]

Exits with 1 if the three readers differ in one byte, if a cell is not what the schema says, or if a filter bank differs from
kaldi-native-fbank's by more than 0.001 in one number of a thousand, by more than 0.005 in any band within 96 dB (the range of
16-bit sound) of its frame's loudest, or by more than 0.05 in any other: down there the rounding of single precision is as
large, and kaldi-native-fbank itself was seen to be 0.015 off the same computation in double precision.

The comparison needs two columns in the dataset, both stored as f32:

    featurize:
      waveform: [{ waveform: {} }]
      features: [{ kaldi_fbank: { num_mel_bins: 80, dither: 0 } }]

How a cell becomes an array is in `to_array` below and in docs/opening.md.
"""

import argparse
import json
import sys
from pathlib import Path

import duckdb
import kaldi_native_fbank as knf
import numpy as np
import polars as pl
import pyarrow.parquet as pq

MAX_DIFFERENCE = 5e-3
P999_DIFFERENCE = 1e-3
MAX_FAINT_DIFFERENCE = 5e-2
FAINT = 96 / 10 * np.log(10)  # in ln(energy) below the frame's loudest band

NUMPY_DTYPES = {"f32": "<f4", "f16": "<f2", "bf16": "<u2", "i16": "<i2"}
# Kaldi computes with samples as 16-bit integers; lhotse and others with a full scale of 1.
SAMPLE_SCALES = {"int16": 32768, "unit": 1}


def to_array(cell, frames, field):
    """One cell as a numpy array: `cell` the bytes, `frames` the number beside it, `field` its column in the Arrow schema."""
    dtype = field.metadata[b"wavemill:dtype"].decode()
    shape = json.loads(field.metadata[b"wavemill:shape"])  # such as [-1, 80]: -1 stands for the frames
    array = np.frombuffer(cell, NUMPY_DTYPES[dtype]).reshape([frames if n == -1 else n for n in shape])
    if dtype == "bf16":  # numpy has no bfloat16: it is the upper half of an f32
        array = (array.astype("<u4") << 16).view("<f4")
    return array


def is_tensor(field):
    return b"wavemill:shape" in (field.metadata or {})


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path, metavar="DIR", help="a dataset that wavemill made, as Parquet")
    parser.add_argument("--column", default="features", help="the column to show a row of (default: features)")
    parser.add_argument(
        "--audio", default="audio", help="the column of encoded audio, if there is one (default: audio)"
    )
    parser.add_argument("--must-compare", action="store_true", help="fail if there is nothing to compare with Kaldi's")
    options = parser.parse_args()

    # A dataset is what its manifest says: a file in data/ that it does not name is not part of it.
    manifest = json.loads((options.dataset / "manifest.json").read_text(encoding="utf-8"))
    rows, differences = 0, {}
    for shard in manifest["shards"]:
        path = options.dataset / shard["path"]
        table = pq.read_table(path)
        check(len(table) == shard["rows"], f"{path} has {len(table)} rows, its manifest says {shard['rows']}")
        check_readers_agree(path, table)
        for row in table.to_pylist():
            arrays = {
                field.name: to_array(row[field.name], row[f"{field.name}_frames"], field)
                for field in table.schema
                if is_tensor(field)
            }
            if rows == 0:
                show(table.schema, row, arrays, options)
            rows += 1
            for column, config in comparable(manifest, table.schema):
                reference = kaldi_fbank(arrays["waveform"], row["sample_rate"], config)
                check(
                    reference.shape == arrays[column].shape,
                    f"{row['key']}: {column} is {arrays[column].shape}, kaldi-native-fbank's is {reference.shape}",
                )
                faint = reference < reference.max(axis=1, keepdims=True) - FAINT
                both = np.stack([np.abs(arrays[column] - reference).ravel(), faint.ravel()])
                differences.setdefault(column, []).append(both)

    check(rows > 0, f"{options.dataset} has no rows")
    print(f"\n{rows} rows in {len(manifest['shards'])} shards: pyarrow, polars and DuckDB agree on every byte")
    check(differences or not options.must_compare, "there is no waveform with a kaldi_fbank, both as f32, to compare")
    for column, parts in differences.items():
        compare(column, *np.concatenate(parts, axis=1))


def check(condition, message):
    if not condition:
        sys.exit(f"open_dataset.py: {message}")


def check_readers_agree(path, table):
    """Every cell of every column, read three times."""
    polars = pl.read_parquet(path)
    duck = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in duck.description]
    duck_rows = duck.fetchall()
    check(table.column_names == polars.columns == names, f"{path}: the readers see different columns")
    for index, name in enumerate(names):
        cells = table[name].to_pylist()
        check(cells == polars[name].to_list(), f"{path}: pyarrow and polars differ in column {name}")
        check(cells == [row[index] for row in duck_rows], f"{path}: pyarrow and DuckDB differ in column {name}")


def show(schema, row, arrays, options):
    """The columns, and the first row."""
    check(
        options.column in arrays,
        f"there is no column of arrays named {options.column}; there is {', '.join(arrays) or 'none'}",
    )
    for field in schema:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        print(f"  {field.name:20} {field.type!s:14} {about if is_tensor(field) else ''}")
    print(f"\n{row['key']}: {row['duration_s']} s at {row['sample_rate']} Hz, {row['text']!r}")
    array = arrays[options.column].astype("f4")
    print(f"{options.column}: {array.shape}, from {array.min():.3f} to {array.max():.3f}, mean {array.mean():.3f}")
    if options.audio in row:
        audio = row[options.audio]
        audio = audio["bytes"] if isinstance(audio, dict) else audio
        print(f"{options.audio}: {len(audio)} bytes that begin with {audio[:4]!r}")


def comparable(manifest, schema):
    """The columns that hold nothing but a kaldi_fbank, with its settings."""
    f32 = {field.name for field in schema if is_tensor(field) and field.metadata[b"wavemill:dtype"] == b"f32"}
    if "waveform" in f32:
        for column, rows in manifest["pipeline"]["featurize"].items():
            if column in f32 and len(rows) == 1 and "kaldi_fbank" in rows[0]:
                yield column, rows[0]["kaldi_fbank"]


def kaldi_fbank(waveform, rate, config):
    """What kaldi-native-fbank makes of the same samples with the same settings, `[frames, bins]`."""
    config = {key: value for key, value in config.items() if value is not None}
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = rate
    scale = config.pop("sample_scale")
    check(scale in SAMPLE_SCALES, f"kaldi_fbank has a sample_scale that this script does not know: {scale}")
    check(config.pop("dither", 0) == 0, "the features have dither: random numbers cannot be compared")
    options.frame_opts.dither = 0  # kaldi-native-fbank dithers a little unless told not to
    for key, (part, name) in {
        "num_mel_bins": ("mel_opts", "num_bins"),
        "low_freq_hz": ("mel_opts", "low_freq"),
        "high_freq_hz": ("mel_opts", "high_freq"),
        "frame_length_ms": ("frame_opts", "frame_length_ms"),
        "frame_shift_ms": ("frame_opts", "frame_shift_ms"),
        "preemphasis_coefficient": ("frame_opts", "preemph_coeff"),
        "remove_dc_offset": ("frame_opts", "remove_dc_offset"),
        "round_to_power_of_two": ("frame_opts", "round_to_power_of_two"),
        "window_type": ("frame_opts", "window_type"),
        "blackman_coeff": ("frame_opts", "blackman_coeff"),
        "snip_edges": ("frame_opts", "snip_edges"),
        "vtln_low_hz": ("mel_opts", "vtln_low"),
        "vtln_high_hz": ("mel_opts", "vtln_high"),
        "htk_compat": (None, "htk_compat"),
        "raw_energy": (None, "raw_energy"),
        "energy_floor": (None, "energy_floor"),
        "use_energy": (None, "use_energy"),
        "use_log_fbank": (None, "use_log_fbank"),
        "use_power": (None, "use_power"),
    }.items():
        if key in config:
            setattr(getattr(options, part) if part else options, name, config.pop(key))
    # What kaldi-native-fbank cannot be told, but does of itself.
    for key, own in {"subtract_mean": False, "vtln_warp": 1.0, "empty_filters": "refuse"}.items():
        check(config.pop(key, own) == own, f"kaldi-native-fbank cannot be told `{key}`: there is nothing to compare")
    check(not config, f"kaldi_fbank has settings that this script does not know: {', '.join(config)}")

    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(rate, waveform * np.float32(SAMPLE_SCALES[scale]))
    fbank.input_finished()
    frames = [fbank.get_frame(n) for n in range(fbank.num_frames_ready)]
    return np.array(frames, dtype="f4").reshape(-1, options.mel_opts.num_bins)


def compare(column, differences, faint):
    p999 = np.quantile(differences, 0.999)
    worst = differences[faint == 0].max()
    worst_faint = differences[faint == 1].max(initial=0)
    print(
        f"{column} against kaldi-native-fbank {knf.__version__}, {differences.size} numbers:"
        f" max {worst:.2e}, p99.9 {p999:.2e}, mean {differences.mean():.2e};"
        f" max {worst_faint:.2e} in {int(faint.sum())} bands more than 96 dB below their frame's loudest"
    )
    check(
        worst <= MAX_DIFFERENCE and p999 <= P999_DIFFERENCE and worst_faint <= MAX_FAINT_DIFFERENCE,
        f"{column} differs too much: at most {MAX_DIFFERENCE} and, at p99.9, {P999_DIFFERENCE} is allowed",
    )


if __name__ == "__main__":
    main()

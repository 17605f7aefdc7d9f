#!/usr/bin/env python3
"""How fast wavemill, ffmpeg and libsndfile decode each codec, on one core, in one run.

    cargo bench --bench decode --no-run
    pip install -r benches/peers/requirements-decode.txt
    python benches/peers/decode.py SPEECH.flac --minutes 10

SPEECH is any recording; it is repeated to the length asked for and encoded by ffmpeg in every form. Each decoder makes all
samples of all channels of the file (wavemill mixes them to one). ffmpeg runs as `-threads 1 -f null -`; its CPU time is that of the
process less what it takes for a file of a tenth of a second. libsndfile is called through soundfile, and left out where it reads
the format not at all. Of several rounds, taken in turn, the least counts. With `--minutes 60` the last column is what five seconds at
minute 50 of an hour cost.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import criterion
import soundfile

CASES = [
    ("wav-16000.wav", "-ar 16000 -ac 1 -c:a pcm_s16le"),
    ("wav-44100-stereo.wav", "-ar 44100 -ac 2 -c:a pcm_s16le"),
    ("mulaw-8000.wav", "-ar 8000 -ac 1 -c:a pcm_mulaw"),
    ("ima-16000.wav", "-ar 16000 -ac 1 -c:a adpcm_ima_wav"),
    ("flac-16000.flac", "-ar 16000 -ac 1 -c:a flac"),
    ("flac-44100-stereo.flac", "-ar 44100 -ac 2 -c:a flac"),
    ("alac-44100-stereo.m4a", "-ar 44100 -ac 2 -c:a alac"),
    ("mp3-16000.mp3", "-ar 16000 -ac 1 -c:a libmp3lame -b:a 48k"),
    ("mp3-44100-stereo.mp3", "-ar 44100 -ac 2 -c:a libmp3lame -b:a 128k"),
    ("vorbis-16000.ogg", "-ar 16000 -ac 1 -c:a libvorbis -q:a 4"),
    ("vorbis-44100-stereo.ogg", "-ar 44100 -ac 2 -c:a libvorbis -q:a 4"),
    ("opus-32k.opus", "-ar 48000 -ac 1 -c:a libopus -b:a 32k"),
    ("opus-96k-stereo.opus", "-ar 48000 -ac 2 -c:a libopus -b:a 96k"),
    ("opus-32k.webm", "-ar 48000 -ac 1 -c:a libopus -b:a 32k"),
    ("aac-16000.m4a", "-ar 16000 -ac 1 -c:a aac -b:a 48k"),
    ("aac-44100-stereo.m4a", "-ar 44100 -ac 2 -c:a aac -b:a 128k"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path, help="a recording of any format")
    parser.add_argument("--minutes", type=float, default=10, help="default: 10")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--bench", help="the bench's executable (default: built with cargo)")
    options = parser.parse_args()
    bench = options.bench or criterion.build("decode")
    version = subprocess.run(["ffmpeg", "-version"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[2]
    print(f"x real time, {options.minutes:g} min; ffmpeg {version}, {soundfile.__libsndfile_version__}\n")
    print("| file | wavemill | ffmpeg | ratio of times | libsndfile | ratio of times | 5 s at 5/6, share of the whole |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, settings in CASES:
        with tempfile.TemporaryDirectory() as folder:
            measure(options, bench, Path(folder), name, settings)


def measure(options, bench, folder, name, settings):
    seconds = options.minutes * 60
    files, short = folder / "files", folder / f"short{Path(name).suffix}"
    files.mkdir()
    encode(options.speech, files / name, settings, seconds)
    encode(options.speech, short, settings, 0.1)
    best = {}
    for _ in range(options.rounds):
        took = ours(bench, files) | {"ffmpeg": ffmpeg(files / name) - ffmpeg(short), "libsndfile": libsndfile(files / name)}
        for what, time_s in took.items():
            if time_s is not None:
                best[what] = min(time_s, best.get(what, time_s))
    speed = {what: seconds / time_s for what, time_s in best.items()}
    sndfile = f"{speed['libsndfile']:,.0f} | {best['whole'] / best['libsndfile']:.2f}" if "libsndfile" in best else "- | -"
    print(
        f"| {name} | {speed['whole']:,.0f} | {speed['ffmpeg']:,.0f} | {best['whole'] / best['ffmpeg']:.2f}"
        f" | {sndfile} | {100 * best['cut'] / best['whole']:.2f} % |",
        flush=True,
    )


def encode(speech, out, settings, seconds):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", speech, "-t", str(seconds)]
    subprocess.run([*command, *settings.split(), out], check=True)


def ours(bench, files):
    """Seconds for the whole file and for the cut."""
    arguments = ["--warm-up-time", "0.2", "--measurement-time", "1"]
    return criterion.run(bench, arguments, ["cut", "whole"], {"DECODE_BENCH": str(files)})


def ffmpeg(path):
    """CPU seconds of a process that decodes to nothing."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", path, "-f", "null", "-"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"decode.py: ffmpeg ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def libsndfile(path):
    """CPU seconds to decode block by block; none where libsndfile does not read the format."""
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError:
        return None
    with file:
        block = None
        before = time.process_time()
        for block in file.blocks(blocksize=65_536, dtype="float32", out=block):
            pass
        return time.process_time() - before


if __name__ == "__main__":
    main()

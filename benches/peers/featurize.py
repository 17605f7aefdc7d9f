#!/usr/bin/env python3
"""How fast wavemill and its peers turn sound into features, each row in turn in one run, on one thread.

    pip install -r benches/peers/requirements-featurize.txt
    python benches/peers/featurize.py

wavemill's times are those of `benches/featurize.rs`, which this builds and runs row by row between the peers' rounds; a
bench that is built already can be named with `--bench`. A peer gets the whole sound in one call, as float32, and its
transforms, windows and filters are made before. Where the peer of a recipe is a toolkit that is not installed (Whisper,
NeMo, SpeechBrain, wav2vec2), the recipe is written in torch here. The least time of all rounds counts for everyone; rows
that this wavemill does not have are left out, and the bench names them.
"""

import argparse
import math
import re
import sys
import warnings

import criterion
import kaldi_native_fbank
import librosa
import numpy as np
import torch
import torchaudio
import torchaudio.compliance.kaldi as kaldi
import torchaudio.transforms as T
from timing import least

RATE = 16000
SPEECH = dict(n_fft=512, win_length=400, hop_length=160)
#: The lowest and highest pitch of `yin` and `pyin`.
PITCH = dict(fmin=65.0, fmax=400.0, sr=RATE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", help="the bench's executable (default: built with cargo)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--rows", default="", help="only the rows whose name matches this regular expression")
    options = parser.parse_args()
    bench = options.bench or criterion.build("featurize")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*mel filterbank has all zero values.*")
    lengths, calls = sound_lengths(bench), peers()
    for row in lengths.keys() - calls.keys():
        print(f"{row}: left out, no peer is given here", file=sys.stderr)
    print(f"x real time at {RATE} Hz; torch {torch.__version__}, torchaudio {torchaudio.__version__}, librosa "
          f"{librosa.__version__}, kaldi-native-fbank {kaldi_native_fbank.__version__}, numpy {np.__version__}\n")
    print("| row | s | wavemill | peer | peer's | wavemill / peer |")
    print("| --- | --- | --- | --- | --- | --- |")
    with torch.inference_mode():
        for row in calls:
            for seconds in lengths.get(row, []) if re.search(options.rows, row) else []:
                measure(bench, row, calls[row], seconds, options.rounds)


def measure(bench, row, calls, seconds, rounds):
    """Prints the lines of one row: wavemill beside each of its peers."""
    times = np.arange(RATE * seconds)
    sound = 0.3 * np.sin(times * 0.05) + 0.01 * np.random.default_rng(0).standard_normal(times.size)
    sound = sound.astype(np.float32)
    best = {}
    for _ in range(rounds):
        took = criterion.run(bench, [f"^features/{seconds} s, {re.escape(row)}$"], [row])
        took |= {peer: least(lambda call=call: call(sound)) for peer, call in calls.items()}
        best = {name: min(time, best.get(name, time)) for name, time in took.items()}
    for peer in calls:
        print(f"| {row} | {seconds} | {seconds / best[row]:,.0f} | {peer} | {seconds / best[peer]:,.0f}"
              f" | {best[peer] / best[row]:.2f} |", flush=True)


def sound_lengths(bench):
    """The lengths in seconds that the bench measures each row at, by row."""
    lengths = {}
    for name in criterion.names(bench):
        seconds, _, row = name.removeprefix("features/").partition(" s, ")
        lengths.setdefault(row, []).append(int(seconds))
    return lengths


def in_torch(call):
    """A call that takes the sound as torch has it, `[1, samples]`."""
    return lambda sound: call(torch.from_numpy(sound)[None])


def peers():
    """By row: each peer's computation of it, from the sound."""
    mel = dict(n_mels=80, **SPEECH)
    mel_of, decibels = T.MelSpectrogram(RATE, **mel), T.AmplitudeToDB("power")
    mel_of_defaults, spectrogram, mfcc, lfcc = T.MelSpectrogram(RATE), T.Spectrogram(**SPEECH), T.MFCC(RATE), T.LFCC(RATE)
    loudness, deltas, augment = T.Loudness(RATE), T.ComputeDeltas(), T.SpecAugment(2, 100, 2, 27)

    def kaldi_fbank(tensor):
        return kaldi.fbank(tensor, num_mel_bins=80, sample_frequency=RATE)

    def with_deltas(tensor):
        first = deltas(features := kaldi_fbank(tensor).T)
        return torch.cat([features, first, deltas(first)])

    def normalized(tensor):
        features = kaldi_fbank(tensor)
        return (features - features.mean(0)) / features.std(0)

    return {
        "kaldi_fbank 80": {"torchaudio": in_torch(kaldi_fbank), "kaldi-native-fbank": native(mel_opts=dict(num_bins=80))},
        "kaldi_mfcc": {
            "torchaudio": in_torch(lambda tensor: kaldi.mfcc(tensor, sample_frequency=RATE)),
            "kaldi-native-fbank": native(kaldi_native_fbank.OnlineMfcc, kaldi_native_fbank.MfccOptions, use_energy=False),
        },
        "kaldi_spectrogram": {"torchaudio": in_torch(lambda tensor: kaldi.spectrogram(tensor, sample_frequency=RATE))},
        "lhotse_fbank": {
            "kaldi-native-fbank": native(frame_opts=dict(snip_edges=False), mel_opts=dict(num_bins=80, high_freq=-400.0))
        },
        "spectrogram": {
            "torchaudio": in_torch(spectrogram),
            "librosa": lambda sound: np.abs(librosa.stft(sound, **SPEECH)) ** 2,
        },
        "mel_spectrogram 80": {
            "torchaudio": in_torch(mel_of),
            "librosa": lambda sound: librosa.feature.melspectrogram(y=sound, sr=RATE, **mel),
        },
        "log_mel 80": {
            "torchaudio": in_torch(lambda tensor: decibels(mel_of(tensor))),
            "librosa": lambda sound: librosa.power_to_db(librosa.feature.melspectrogram(y=sound, sr=RATE, **mel)),
        },
        "log_mel": {"torchaudio": in_torch(lambda tensor: decibels(mel_of_defaults(tensor)))},
        "mfcc": {
            "torchaudio": in_torch(mfcc),
            "librosa": lambda sound: librosa.feature.mfcc(y=sound, sr=RATE, n_mfcc=40, n_fft=400, hop_length=200, n_mels=128),
        },
        "lfcc": {"torchaudio": in_torch(lfcc)},
        "whisper": {"torch": in_torch(whisper())},
        "nemo": {"torch": in_torch(nemo())},
        "speechbrain_fbank": {"torch": in_torch(speechbrain_fbank())},
        "wav2vec2": {"torch": in_torch(lambda tensor: (tensor - tensor.mean()) / (tensor.var(correction=0) + 1e-7).sqrt())},
        "rms": {"librosa": lambda sound: librosa.feature.rms(y=sound)},
        "zero_crossing_rate": {"librosa": lambda sound: librosa.feature.zero_crossing_rate(sound)},
        "spectral_centroid": {
            "torchaudio": in_torch(T.SpectralCentroid(RATE)),
            "librosa": lambda sound: librosa.feature.spectral_centroid(y=sound, sr=RATE, n_fft=400, hop_length=200),
        },
        "spectral_contrast": {"librosa": lambda sound: librosa.feature.spectral_contrast(y=sound, sr=RATE)},
        "chroma": {"librosa": lambda sound: librosa.feature.chroma_stft(y=sound, sr=RATE, tuning=0.0)},
        "yin": {"librosa": lambda sound: librosa.yin(sound, **PITCH)},
        "pyin": {"librosa": lambda sound: librosa.pyin(sound, **PITCH)},
        # One number for the whole sound, where wavemill's is a column of them.
        "loudness": {"torchaudio": in_torch(loudness)},
        "kaldi_fbank 80 and deltas": {"torchaudio": in_torch(with_deltas)},
        "kaldi_fbank 80 and spec_augment": {"torchaudio": in_torch(lambda tensor: augment(kaldi_fbank(tensor).T))},
        "kaldi_fbank 80 and cmvn": {"torchaudio, torch": in_torch(normalized)},
    }


def native(extractor=kaldi_native_fbank.OnlineFbank, options=kaldi_native_fbank.FbankOptions, *, frame_opts=None, mel_opts=None,
           **settings):
    """kaldi-native-fbank's frames, one call each, stacked: its Python face has no other way."""
    chosen = options()
    for target, values in ((chosen, settings), (chosen.frame_opts, {"dither": 0.0} | (frame_opts or {})),
                           (chosen.mel_opts, mel_opts or {})):
        for key, value in values.items():
            setattr(target, key, value)

    def call(sound):
        online = extractor(chosen)
        online.accept_waveform(RATE, sound)
        online.input_finished()
        return np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])

    return call


def whisper():
    """OpenAI's log mel spectrogram, 80 bins, without the padding to 30 s."""
    filters, window = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80)), torch.hann_window(400)

    def call(tensor):
        spectrum = torch.stft(tensor, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2
        logs = (filters @ spectrum).clamp(min=1e-10).log10()
        return (torch.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0

    return call


def nemo():
    """NeMo's log mel spectrogram, 80 bins, as FastConformer's recipe has it: pre-emphasis, each bin normalised."""
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=512, n_mels=80))
    window = torch.hann_window(400, periodic=False)

    def call(tensor):
        sound = torch.cat((tensor[:, :1], tensor[:, 1:] - 0.97 * tensor[:, :-1]), dim=1)
        spectrum = torch.stft(sound, 512, 160, 400, window=window, pad_mode="constant", return_complex=True).abs() ** 2
        logs = (filters @ spectrum + 2**-24).log()
        valid = logs[..., : tensor.shape[1] // 160]
        logs = (logs - valid.mean(-1, keepdim=True)) / (valid.std(-1, keepdim=True) + 1e-5)
        logs[..., valid.shape[-1] :] = 0.0
        return logs

    return call


def speechbrain_fbank():
    """SpeechBrain's log mel spectrogram, 40 bins: triangles as wide on the right as on the left, 80 dB of range."""
    edges = 700.0 * (10.0 ** (torch.linspace(0.0, 2595.0 * math.log10(1.0 + RATE / 1400.0), 42) / 2595.0) - 1.0)
    distance = (torch.linspace(0.0, RATE / 2.0, 201)[:, None] - edges[1:-1]) / (edges[1:-1] - edges[:-2])
    filters, window = (1.0 - distance.abs()).clamp(min=0.0), torch.hamming_window(400)

    def call(tensor):
        spectrum = torch.stft(tensor, 400, 160, window=window, pad_mode="constant", return_complex=True)
        energies = torch.view_as_real(spectrum).pow(2).sum(-1).transpose(1, 2) @ filters
        decibels = 10.0 * energies.clamp(min=1e-10).log10()
        return torch.maximum(decibels, decibels.max() - 80.0)

    return call


if __name__ == "__main__":
    main()

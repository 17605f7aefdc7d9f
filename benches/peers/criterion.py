"""The project's own benches, for the scripts beside this file that run them in turn with the peers."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def build(bench):
    """The path of a bench's executable, built."""
    command = ["cargo", "bench", "--bench", bench, "--no-run", "--message-format=json"]
    messages = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    built = [json.loads(message) for message in messages if message.startswith("{")]
    return next(m["executable"] for m in built if m.get("executable") and m["target"]["name"] == bench)


def names(executable):
    """The functions that a bench measures, each as `group/name`."""
    lines = subprocess.run([executable, "--bench", "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return [line.removesuffix(": benchmark") for line in lines if line.endswith(": benchmark")]


def run(executable, arguments, expected, environment=None):
    """Seconds that each function took whose name ends in one of those expected, the least sample of a run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [executable, "--bench", "--noplot", *arguments]
        variables = os.environ | {"CRITERION_HOME": folder} | (environment or {})
        subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = {}
        for path in Path(folder).glob("*/*/new/sample.json"):
            sample = json.loads(path.read_text(encoding="utf-8"))
            name = json.loads((path.parent / "benchmark.json").read_text(encoding="utf-8"))["function_id"].split(", ")[-1]
            took[name] = min(t / n for t, n in zip(sample["times"], sample["iters"])) / 1e9
    if sorted(took) != sorted(expected):
        sys.exit(f"{executable}: the bench measured {sorted(took)}")
    return took

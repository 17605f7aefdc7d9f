"""Lays out libtorch for the Cargo feature `tch` in the folder that is given: the libraries for the processor and the headers of
PyTorch's wheel, and two small libraries of CUDA that they are linked with. No GPU and no CUDA is needed."""

import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

# The version that tch 0.26 binds.
VERSION = "2.13.0"
WHEELS = [f"torch=={VERSION}", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"]
LIBRARIES = ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"]


def download(folder: pathlib.Path) -> list[pathlib.Path]:
    venv.create(folder / "venv", with_pip=True)
    pip = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", folder / "wheels", *WHEELS], check=True)
    return sorted((folder / "wheels").glob("*.whl"))


def lay_out(wheels: list[pathlib.Path], prefix: pathlib.Path) -> None:
    (prefix / "lib").mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as files:
            for member in files.namelist():
                name = pathlib.PurePosixPath(member).name
                if member.startswith("torch/include/") and not member.endswith("/"):
                    target = prefix / pathlib.PurePosixPath(member).relative_to("torch")
                elif name in LIBRARIES:
                    target = prefix / "lib" / name
                else:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with files.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    missing = [name for name in LIBRARIES if not (prefix / "lib" / name).is_file()]
    if missing:
        sys.exit(f"the wheels have no {', '.join(missing)}")
    # The wheel's own libtorch.so wants CUDA.
    (prefix / "lib/libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
    (prefix / "build-version").write_text(f"{VERSION}\n")


def main() -> None:
    prefix = pathlib.Path(sys.argv[1])
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit(f"libtorch {VERSION} is fetched for Linux on x86-64 only: install it yourself and set LIBTORCH to its folder")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetching libtorch {VERSION} (0.5 GB, once) into {prefix}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=prefix.parent) as folder:
        folder = pathlib.Path(folder)
        lay_out(download(folder), folder / "prefix")
        # Whole or not at all; what is there without a version is none.
        if prefix.exists() and not (prefix / "build-version").is_file():
            shutil.rmtree(prefix)
        (folder / "prefix").rename(prefix)


main()

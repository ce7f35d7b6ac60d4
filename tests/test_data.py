"""The data folder: its content, size and datasheet, and the script that builds it."""

import hashlib
import importlib.util
import lzma
import shutil
import sys
import zipfile

import pandas as pd
import pytest

from lgdcnn_lib.benchmarks import BENCHMARKS
from lgdcnn_lib.elements import ELEMENT_TABLES, data_dir


def load_script():
    path = data_dir() / "build.py"
    spec = importlib.util.spec_from_file_location("data_build", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = load_script()


def read(path):
    return lzma.decompress(path.read_bytes()).decode()


def test_every_file_has_its_recorded_content():
    assert build.check(data_dir()) == []


def test_the_data_fit_in_twenty_megabytes():
    folders = ("benchmarks", "elements", "published")
    files = [path for name in folders for path in (data_dir() / name).iterdir()]
    assert sum(path.stat().st_size for path in files) < 20e6


def test_nothing_is_missing_and_nothing_is_unknown():
    recorded = set(build.recorded_hashes(data_dir()))
    made_in_code = {"onehot", "random"}
    tables = {f"elements/{n}.csv.xz" for n in ELEMENT_TABLES if n not in made_in_code}
    tasks = {f"benchmarks/{name}.csv.xz" for name in BENCHMARKS}
    assert tasks | tables <= recorded
    assert set(build.ELEMENTS) == set(ELEMENT_TABLES) - made_in_code
    assert [*build.EXTENDED, *build.MATBENCH] == list(BENCHMARKS)


def test_the_registry_has_the_hashes_of_the_files():
    recorded = build.recorded_hashes(data_dir())
    hashes = {n: recorded[f"benchmarks/{n}.csv.xz"] for n in BENCHMARKS}
    assert {name: task.sha256 for name, task in BENCHMARKS.items()} == hashes
    tasks = build.read_rows(data_dir() / "benchmarks/registry.csv")
    small = [task for task in tasks if int(task["rows"]) < 5_000]
    for task in small:
        assert build.measured_facts(data_dir(), task).items() <= task.items()
    assert len(small) > 9


def test_repeated_compositions():
    repeated = {name: task.repeated for name, task in BENCHMARKS.items()}
    assert repeated["matbench_perovskites"] == 9282
    extended = {name: repeated[name] for name in build.EXTENDED if repeated[name]}
    assert extended == {"aflow__Egap": 4, "aflow__energy_atom": 4}


def test_the_datasheet_has_not_drifted():
    text = (data_dir() / "README.md").read_text(encoding="utf-8")
    assert build.datasheet(data_dir(), text) == text


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_files_hold_the_text_of_the_source(name):
    path = data_dir() / f"benchmarks/{name}.csv.xz"
    text = read(path)
    assert "\r" not in text
    assert '"' not in text
    assert text.endswith("\n")
    header = text.split("\n", 1)[0]
    split = ",split" if BENCHMARKS[name].collection == "extended" else ""
    assert header == f"formula,target{split}"


@pytest.mark.parametrize("name", ["extended_mae", "matbench_v0.1"])
def test_published_tables_name_their_source_and_real_tasks(name):
    path = data_dir() / f"published/{name}.csv"
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert set(pd.read_csv(path, comment="#")["task"]) <= set(BENCHMARKS)


def test_check_reports_missing_changed_and_unknown_files(tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(data_dir() / "published", folder)
    names = ("extended_mae.csv", "matbench_v0.1.csv")
    hashes = {f"published/{n}": build.content_hash(folder / n) for n in names}
    hashes["elements/lost.csv.xz"] = "0" * 64
    rows = [{"file": name, "sha256": sha} for name, sha in hashes.items()]
    build.write_rows(tmp_path / "checksums.csv", rows)
    assert build.check(tmp_path) == ["elements/lost.csv.xz: missing"]
    (folder / "extended_mae.csv").write_text("changed", encoding="utf-8")
    (folder / "new.csv").write_text("new", encoding="utf-8")
    assert build.check(tmp_path) == [
        "elements/lost.csv.xz: missing",
        "published/extended_mae.csv: content changed",
        "published/new.csv: not recorded",
    ]


def test_the_hash_is_of_the_decompressed_text(tmp_path):
    for preset in (0, 9):
        path = tmp_path / f"{preset}.csv.xz"
        path.write_bytes(lzma.compress(b"formula,target\nNaN,1\n" * 99, preset=preset))
    first, second = (build.content_hash(tmp_path / f"{n}.csv.xz") for n in (0, 9))
    assert first == second


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Two small wheels with the layout of the real ones."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    content = {"crabnet": {}, "elementembeddings": {}}
    for task in build.EXTENDED:
        for split, row in (
            ("train", "NaN,1.50"),
            ("val", "Fe,2"),
            ("test", "O2,1e-05"),
        ):
            path = f"crabnet/data/benchmark_data/{task}/{split}.csv"
            content["crabnet"][path] = f"formula,target\r\n{row}\r\n"
    for source in build.MATBENCH.values():
        path = f"crabnet/data/matbench/{source}.csv"
        content["crabnet"][path] = "formula,target\nK6S6,1.10\n"
    for path in build.ELEMENTS.values():
        text = (
            '{"Null": [0.0, 0], "H": [0.10, 2]}' if "json" in path else "element\nH\n"
        )
        content[path.split("/")[0]][path] = text
    pinned = []
    for wheel in build.WHEELS:
        path = folder / f"{wheel.name}-{wheel.version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in content[wheel.name].items():
                archive.writestr(name, text)
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        pinned.append(wheel._replace(sha256=sha))
    monkeypatch.setattr(build, "WHEELS", tuple(pinned))
    monkeypatch.setattr(build, "PRESET", 0)
    return folder


def test_build_keeps_every_digit(wheels, tmp_path):
    build.build(tmp_path, wheels)
    extended = read(tmp_path / "benchmarks/mp_e_hull.csv.xz")
    expected = "formula,target,split\nNaN,1.50,train\nFe,2,val\nO2,1e-05,test\n"
    assert extended == expected
    matbench = read(tmp_path / "benchmarks/matbench_perovskites.csv.xz")
    assert matbench == "formula,target\nK6S6,1.10\n"
    assert read(tmp_path / "elements/megnet16.csv.xz") == "element,0,1\nH,0.10,2\n"
    assert read(tmp_path / "elements/mat2vec.csv.xz") == "element\nH\n"
    assert len(build.data_files(tmp_path)) == 31 + 12


def test_each_wheel_is_asked_for_by_a_python_that_it_accepts(tmp_path, monkeypatch):
    commands = []

    def run(command, check):
        commands.append(" ".join(command))

    monkeypatch.setattr(build.subprocess, "run", run)
    build.download(tmp_path)
    assert "--python-version 3.10" in commands[0]
    assert commands[0].endswith("crabnet==2.0.8")
    assert "--python-version 3.11" in commands[1]
    assert commands[1].endswith("elementembeddings==0.8.0")
    assert all("--no-deps --only-binary=:all:" in command for command in commands)


def test_a_wheel_with_another_content_is_refused(wheels, tmp_path):
    (wheels / "crabnet-2.0.8-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="SHA-256 is"):
        build.build(tmp_path, wheels)
    assert build.data_files(tmp_path) == []


def test_a_source_with_another_header_is_refused(wheels):
    with (
        zipfile.ZipFile(wheels / "elementembeddings-0.8.0-py3-none-any.whl") as wheel,
        pytest.raises(SystemExit, match="unexpected header"),
    ):
        build.rows_of(wheel, build.ELEMENTS["chgnet"])


def test_the_command_line(wheels, tmp_path, monkeypatch, capsys):
    root = tmp_path / "data"
    monkeypatch.setattr(build, "HERE", root)
    build.build(root, wheels)
    build.write_rows(
        root / "checksums.csv",
        [{"file": f, "sha256": h} for f, h in build.measured_hashes(root).items()],
    )
    fetched = []

    def download(folder):
        fetched.append(folder)
        for path in wheels.iterdir():
            shutil.copy(path, folder)

    monkeypatch.setattr(build, "download", download)
    assert build.main(["--check"]) == 0
    assert not fetched
    assert build.main([]) == 0
    assert build.main(["--wheels", str(wheels)]) == 0
    assert len(fetched) == 1
    (root / "elements/mat2vec.csv.xz").unlink()
    capsys.readouterr()
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().out == "elements/mat2vec.csv.xz: missing\n"


def test_record_writes_what_it_measures(tmp_path):
    for name in ("benchmarks/matbench_steels.csv.xz", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(data_dir() / name, tmp_path / name)
    registry = build.read_rows(data_dir() / "benchmarks/registry.csv")
    steels = next(task for task in registry if task["name"] == "matbench_steels")
    blank = {**steels, "rows": "", "n_train": "", "sha256": ""}
    build.write_rows(tmp_path / "benchmarks/registry.csv", [blank])
    build.record(tmp_path)
    assert build.read_rows(tmp_path / "benchmarks/registry.csv") == [steels]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "`matbench_steels` | yield strength" in text
    assert "`matbench_glass` | forms" not in text
    assert build.check(tmp_path) == []

"""Run the set-up cell and the first chapter in an imitation of Colab.

A virtual environment of its own holds a `google.colab` module and Colab's packages
(torch, numpy, pandas, matplotlib, …) at this project's versions, as hard links, which
take no space. It lacks the library, and what Colab lacks. Git is told that the address
of the repository is a copy of this checkout. Then the set-up cell clones, installs and
imports; no version of what was there may differ afterwards; and the first chapter runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from importlib import metadata
from pathlib import Path

from colab import PACKAGE
from notebooks import (
    ROOT,
    chapters,
    read,
    release_tag,
    repository_url,
    setup_cell,
    source,
    write,
)

HOME = "/content/lgdcnn-book"  # where the set-up cell clones to
# What Colab does not bring: the library, pymatgen, and what only pymatgen needs.
LACKING = {PACKAGE, "pymatgen", "pymatgen-core", "monty", "spglib", "ruamel-yaml"}
VERSIONS = (
    "import json; from importlib import metadata as m;"
    "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)


def normal(name: str) -> str:
    """The name of a distribution in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imitate(folder: Path) -> Path:
    """Make the environment; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    target = Path(_output(python, code).strip())
    present = {normal(path.name.split("-")[0]) for path in target.glob("*.dist-info")}
    for found in metadata.distributions():
        if normal(found.name) not in LACKING | present:
            _link(found, target)
    colab = target / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").touch()
    # As in Colab's kernel, the module is loaded before the first cell.
    (target / "colab.pth").write_text("import google.colab\n", encoding="utf-8")
    return python


def _link(found: metadata.Distribution, target: Path) -> None:
    """Hard-link a distribution's files, or copy them from another file system."""
    for file in found.files or ():
        origin, copy = Path(str(found.locate_file(file))), target / file
        if ".." in file.parts or file.suffix == ".pyc" or not origin.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if copy.exists():
            continue
        try:
            os.link(origin, copy)
        except OSError:
            shutil.copyfile(origin, copy)


def _output(python: Path, code: str) -> str:
    command = [str(python), "-I", "-c", code]  # not what lies in this folder
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_origin(folder: Path) -> dict[str, str]:
    """Make a repository of this checkout, with the released tag.

    It holds the files as they are now, committed or not. Returns the settings by which
    Git finds it under the public address.
    """
    git = ["git", "-c", f"safe.directory={ROOT}", "-C"]
    listed = [*git, str(ROOT), "ls-files", "-z"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    author = ["-c", "user.name=check", "-c", "user.email=check@localhost"]
    author += ["-c", "commit.gpgsign=false"]
    for command in (
        ["init", "-q"],
        ["add", "--force", "."],
        [*author, "commit", "-q", "--no-verify", "-m", "check"],
        ["tag", release_tag()],
    ):
        subprocess.run(["git", *command], check=True, cwd=folder)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository_url(),
    }


def check(folder: Path) -> list[str]:
    """Return what went wrong, one line each."""
    start = time.perf_counter()
    python = imitate(folder / "env")
    before: dict[str, str] = json.loads(_output(python, VERSIONS))
    settings = make_origin(folder / "origin")
    print(f"imitation of Colab: {len(before)} packages, {_since(start)}", flush=True)
    # Only the folder differs: /content may not exist, or not be ours to write to.
    here = str(folder / "content")
    environment = os.environ | settings
    cell = setup_cell().replace(HOME, here)
    done = subprocess.run([str(python), "-c", cell], env=environment, cwd=folder)
    if done.returncode:
        return ["the set-up cell failed"]
    print(f"set-up cell done, {_since(start)}", flush=True)
    after: dict[str, str] = json.loads(_output(python, VERSIONS))
    problems = [
        f"{name} was {version}, is {after.get(name, 'gone')}"
        for name, version in before.items()
        if after.get(name) != version
    ]
    new = sorted(set(after) - set(before))
    print(f"new packages: {', '.join(new)}", flush=True)
    problems += [] if PACKAGE in after else [f"{PACKAGE} is not installed"]
    problems += _first_chapter(python, folder, here, environment)
    print(f"first chapter done, {_since(start)}", flush=True)
    return problems


def _first_chapter(
    python: Path, folder: Path, here: str, environment: dict[str, str]
) -> list[str]:
    notebook = read(chapters()[0])
    for cell in notebook["cells"]:
        if "setup" in cell["metadata"].get("tags", []):
            cell["source"] = [source(cell).replace(HOME, here)]
    path = folder / "chapter.ipynb"
    write(notebook, path)
    code = "from nbclient.cli import main; main()"
    run = [str(python), "-c", code, "--timeout=600", "--inplace", path.name]
    done = subprocess.run(run, env=environment, cwd=folder)
    ran = [cell for cell in read(path)["cells"] if cell.get("execution_count")]
    return ["the first chapter failed"] if done.returncode or not ran else []


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.0f} s"


def main() -> int:
    """Check in a folder that is removed afterwards, beside the environment."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="colab-") as folder:
        problems = check(Path(folder))
    print("\n".join(problems) or "Colab's packages are as they were; chapter 1 ran.")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

"""What the README promises can be done as it says."""

import ast
import re
import subprocess
import sys

from notebooks import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_first_prediction_works_as_written():
    (command,) = [text for text in fences("bash") if " predict " in text]
    words = command.replace(".venv/bin/python", sys.executable).split()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    found = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert set(found) == {"Fe2O3", "NaCl"}
    # Both are stable compounds, so their formation energies are negative.
    assert all(-4 < float(value) < -0.5 for value in found.values())


def test_python_of_the_readme_is_python_that_imports():
    for text in fences("python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                code = compile(ast.Module([node], []), "README.md", "exec")
                exec(code, {})


def test_every_target_and_file_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.M))
    named = {name for pair in named for name in pair if name}
    assert {"book", "test", "serve", "setup"} <= named <= targets
    for name in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / name).exists(), name

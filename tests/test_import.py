"""Importing the package costs nothing and changes nothing."""

import subprocess
import sys

import imports


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_importing_the_package_loads_no_torch():
    code = "import lgdcnn_lib, sys; print('torch' in sys.modules)"
    assert run(code) == "False"


def test_importing_the_package_is_quick():
    code = (
        "import time; start = time.perf_counter(); import lgdcnn_lib;"
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.3


def test_what_predicts_loads_no_scikit_learn():
    """It takes two seconds, a third of the time of a small screen."""
    code = "import lgdcnn_lib.predictor, lgdcnn_lib.tables, lgdcnn_lib.novelty, sys;"
    assert run(code + "print('sklearn' in sys.modules)") == "False"


def test_importing_the_modules_has_no_side_effects():
    """No seed, no rcParams, no warning filter, no number of threads is touched."""
    code = f"""
import importlib, random, warnings
import ipywidgets, matplotlib.pyplot, numpy, pandas, pymatgen.core, scipy.stats
import sklearn.ensemble, torch, tqdm.auto
def state():
    return (str(random.getstate()), str(numpy.random.get_state()),
            torch.get_rng_state().tolist(), torch.get_num_threads(),
            torch.get_default_dtype(), dict(matplotlib.rcParams),
            list(warnings.filters), pandas.get_option("display.max_rows"))
before = state()
for name in {imports.modules()}:
    importlib.import_module("lgdcnn_lib." + name)
    assert state() == before, name + " changes something when it is imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)

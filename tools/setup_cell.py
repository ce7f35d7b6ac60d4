import os
import subprocess
import sys

if "google.colab" in sys.modules:  # fetch the book, install only what is missing
    url = "@REPOSITORY@"
    home = "/content/lgdcnn-book"
    if not os.path.isdir(home):
        clone = f"git clone -q --depth 1 --branch @TAG@ {url} {home}"
        subprocess.run(clone.split(), check=True)
    subprocess.run([sys.executable, f"{home}/tools/colab.py"], check=True)
    sys.path.insert(0, home)

import torch

from lgdcnn_lib.plotting import use_style

use_style()
FULL = os.environ.get("LGDCNN_FULL") == "1"
DEVICE = "mps" if torch.backends.mps.is_available() else "cpu"
DEVICE = "cuda" if torch.cuda.is_available() else DEVICE
print(f"Running on {DEVICE}; {'FULL' if FULL else 'FAST'}")

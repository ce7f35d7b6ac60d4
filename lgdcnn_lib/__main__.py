"""``python -m lgdcnn_lib``."""

import io
import sys

from lgdcnn_lib.cli import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe on Windows is not UTF-8
        sys.stdout.reconfigure(encoding="utf-8")
    raise SystemExit(main())

"""Give the book the address of its public repository, everywhere it stands.

    python tools/publish.py https://github.com/OWNER/NAME

``_config.yml`` is the one place that other files take it from: this writes it there,
into the set-up cells, and into the few files that cannot read it (README and citation).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from notebooks import ROOT, repository_url, rewrite_setup_cells, site_url

REPOSITORY = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
# Files that hold the address as text.
COPIES = ("README.md", "CITATION.cff")


def publish_to(url: str) -> list[Path]:
    """Write the address everywhere; return the files that changed.

    Raises
    ------
    ValueError
        If it is no address of a repository on GitHub, which Colab needs.
    """
    url = url.rstrip("/").removesuffix(".git")
    if not REPOSITORY.fullmatch(url):
        raise ValueError(f"{url!r} is not of the form https://github.com/OWNER/NAME")
    before = _addresses()
    changed = _replace(ROOT / "_config.yml", {repository_url(): url})
    pairs = dict(zip(before, _addresses(), strict=True))
    for name in COPIES:
        changed += _replace(ROOT / name, pairs)
    return changed + rewrite_setup_cells()


def _addresses() -> tuple[str, ...]:
    """How the repository, its site, its notebooks in Colab and its clone are named."""
    slug = repository_url().removeprefix("https://github.com/")
    colab = f"colab.research.google.com/github/{slug}/"
    clone = f"&& cd {slug.rpartition('/')[2]}"
    return f"github.com/{slug}", site_url().rstrip("/"), colab, clone


def _replace(path: Path, pairs: dict[str, str]) -> list[Path]:
    text = path.read_text(encoding="utf-8")
    new = text
    for old, url in pairs.items():
        new = new.replace(old, url)
    path.write_text(new, encoding="utf-8")
    return [path] if new != text else []


def main() -> int:
    """Publish to the address in the command line."""
    if len(sys.argv) != 2:
        print("which address? make publish-to URL=https://github.com/OWNER/NAME")
        return 2
    try:
        changed = publish_to(sys.argv[1])
    except ValueError as error:
        print(error)
        return 2
    for path in changed:
        print(f"address written: {path.relative_to(ROOT)}")
    print(f"repository {repository_url()}, site {site_url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

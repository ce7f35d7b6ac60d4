"""The chemical elements, and vectors that describe them.

An element table holds one vector for each element. Row 0 is zero and stands for
padding, so that an atomic number is the index of its row. Tables come from the
literature; each carries its source, licence and citation. `ELEMENT_TABLES` lists
them, `element_table` reads one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge
As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm
Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th
Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

#: Symbols by atomic number; index 0 is the empty string (padding).
SYMBOLS: tuple[str, ...] = ("", *_SYMBOLS.split())

#: Atomic number of each symbol.
ATOMIC_NUMBERS: dict[str, int] = {s: z for z, s in enumerate(SYMBOLS) if s}


@dataclass(frozen=True)
class TableInfo:
    """Where an element table comes from.

    Attributes
    ----------
    dimension
        Length of each element's vector.
    description
        What the numbers are.
    source
        Package or code that the numbers were taken from.
    licence
        Licence under which that source gives them.
    citation
        Publication to cite.
    """

    dimension: int
    description: str
    source: str
    licence: str
    citation: str


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Vectors of the 118 elements.

    Attributes
    ----------
    name
        Name in `ELEMENT_TABLES`, or several joined by ``+``.
    vectors
        Array (119, k), float32. Row z belongs to atomic number z; row 0 is zero.
    missing
        Symbols that the source lacks; their rows are the mean of the elements it has.
        Single values that it lacks are the mean of their column.
    info
        Source, licence and citation; one for each joined table.
    """

    name: str
    vectors: NDArray[np.float32] = field(repr=False)
    missing: tuple[str, ...]
    info: tuple[TableInfo, ...]


_OURS = ("this library", "BSD-3-Clause")
_CRABNET = ("crabnet 2.0.8", "MIT as distributed")
_EMBEDDINGS = ("elementembeddings 0.8.0", "MIT as distributed")

#: The tables that `element_table` knows, by name.
ELEMENT_TABLES: dict[str, TableInfo] = {
    "mat2vec": TableInfo(
        200,
        "Word vectors of the symbols, learnt from materials science abstracts",
        *_CRABNET,
        "Tshitoyan et al., Nature 571, 95 (2019), doi:10.1038/s41586-019-1335-8",
    ),
    "onehot": TableInfo(
        118,
        "One channel for each element: no chemistry at all",
        *_OURS,
        "none",
    ),
    "random": TableInfo(
        200,
        "Fixed normal random vectors: a control without chemistry",
        *_OURS,
        "none",
    ),
    "magpie": TableInfo(
        22,
        "Tabulated properties of the elements",
        *_CRABNET,
        "Ward et al., npj Comput. Mater. 2, 16028 (2016), "
        "doi:10.1038/npjcompumats.2016.28",
    ),
    "oliynyk": TableInfo(
        44,
        "Tabulated properties of the elements",
        *_CRABNET,
        "Oliynyk et al., Chem. Mater. 28, 7324 (2016), "
        "doi:10.1021/acs.chemmater.6b02724",
    ),
    "jarvis": TableInfo(
        438,
        "Classical force-field inspired descriptors, chemical part",
        *_CRABNET,
        "Choudhary et al., Phys. Rev. Mater. 2, 083801 (2018), "
        "doi:10.1103/PhysRevMaterials.2.083801",
    ),
    "skipatom": TableInfo(
        200,
        "Vectors learnt from which atoms are neighbours in crystals",
        *_CRABNET,
        "Antunes et al., npj Comput. Mater. 8, 44 (2022), "
        "doi:10.1038/s41524-022-00729-3",
    ),
    "xenonpy": TableInfo(
        58,
        "Tabulated properties of the elements",
        *_EMBEDDINGS,
        "Kusaba et al., Comput. Mater. Sci. 211, 111496 (2022), "
        "doi:10.1016/j.commatsci.2022.111496",
    ),
    "megnet16": TableInfo(
        16,
        "Element vectors of a graph network trained on formation energies",
        *_EMBEDDINGS,
        "Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294",
    ),
    "matscibert": TableInfo(
        768,
        "Token vectors of a language model of materials science text",
        *_EMBEDDINGS,
        "Gupta et al., npj Comput. Mater. 8, 102 (2022), "
        "doi:10.1038/s41524-022-00784-w",
    ),
    "mace_mp0": TableInfo(
        128,
        "Invariant atom features of the potential MACE-MP-0, mean over MP-20 crystals",
        *_EMBEDDINGS,
        "Batatia et al., arXiv:2401.00096",
    ),
    "sevennet": TableInfo(
        128,
        "Scalar atom features of the potential 7net-0, mean over MP-20 crystals",
        *_EMBEDDINGS,
        "Park et al., J. Chem. Theory Comput. 20, 4857 (2024), arXiv:2402.03789",
    ),
    "orb_v2": TableInfo(
        256,
        "Atom features of the potential ORB v2, mean over MP-20 crystals",
        *_EMBEDDINGS,
        "Neumann et al., arXiv:2410.22570",
    ),
    "chgnet": TableInfo(
        64,
        "Atom features of the potential CHGNet, mean over MP-20 crystals",
        *_EMBEDDINGS,
        "Deng et al., Nat. Mach. Intell. 5, 1031 (2023), "
        "doi:10.1038/s42256-023-00716-3",
    ),
}


def data_dir() -> Path:
    """Return the folder with the project's data.

    It is ``$LGDCNN_DATA`` where that is set, else the ``data`` folder beside the
    package.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it holds no benchmarks.
    """
    chosen = os.environ.get("LGDCNN_DATA")
    folder = Path(chosen) if chosen else Path(__file__).resolve().parent.parent / "data"
    if not (folder / "benchmarks").is_dir():
        raise FileNotFoundError(
            f"no data in {folder}: set the environment variable LGDCNN_DATA to the "
            "folder 'data' of a clone of the project, which holds 'benchmarks'"
        )
    return folder


@cache
def element_table(name: str) -> ElementTable:
    """Read an element table.

    Parameters
    ----------
    name
        A key of `ELEMENT_TABLES`, or several joined by ``+``, such as
        ``"mat2vec+magpie"``. A single table is returned as published, with its gaps
        filled (`ElementTable.missing`). Joined tables are standardised
        first, each column to mean 0 and standard deviation 1 over the elements that its
        source has. Each table is then divided by the square root of
        its dimension, so that all have the same weight however wide they are, and the
        whole is multiplied so that its mean square is 1 over those elements.

    Returns
    -------
    ElementTable
        Vectors (119, k), read-only.

    Raises
    ------
    KeyError
        If the name, or one of the joined names, is not known.
    """
    names = name.split("+")
    for part in names:
        if part not in ELEMENT_TABLES:
            known = ", ".join(sorted(ELEMENT_TABLES))
            raise KeyError(f"no element table {part!r}; known: {known}")
    frames = [_read(part) for part in names]
    if len(frames) > 1:
        width = sum(frame.shape[1] for frame in frames)
        share = [np.sqrt(width / len(frames) / f.shape[1]) for f in frames]
        frames = [_standardise(f) * s for f, s in zip(frames, share, strict=True)]
    vectors = np.concatenate([_fill(frame) for frame in frames], axis=1)
    vectors.setflags(write=False)
    absent = {symbol for frame in frames for symbol in _absent(frame)}
    missing = tuple(s for s in SYMBOLS if s in absent)
    return ElementTable(name, vectors, missing, tuple(ELEMENT_TABLES[n] for n in names))


def element_properties() -> pd.DataFrame:
    """Return properties of the 118 elements for plots and axes.

    Returns
    -------
    DataFrame
        Index: symbol, by atomic number. Columns: ``atomic_number``, ``name``,
        ``group`` (1 to 18; 3 for lanthanides and actinides), ``period``, ``block``,
        ``atomic_mass`` (u), ``electronegativity`` (Pauling), ``atomic_radius``
        (angstrom), ``mendeleev_number``. Unknown values are NaN. Source: pymatgen.
    """
    return _properties().copy()  # yours to change


@cache
def _properties() -> pd.DataFrame:
    path = data_dir() / "elements" / "properties.csv"
    frame: pd.DataFrame = pd.read_csv(
        path, index_col=0, keep_default_na=False, na_values=[""], comment="#"
    )
    return frame


def _read(name: str) -> pd.DataFrame:
    """Return a table as published: index symbol, missing elements absent or NaN."""
    if name == "onehot":
        return _full_frame(np.eye(len(SYMBOLS) - 1))
    if name == "random":
        shape = (len(SYMBOLS) - 1, ELEMENT_TABLES[name].dimension)
        return _full_frame(np.random.default_rng(0).standard_normal(shape))
    path = data_dir() / "elements" / f"{name}.csv.xz"
    frame: pd.DataFrame = pd.read_csv(
        path, index_col=0, keep_default_na=False, na_values=[""]
    )
    return frame


def _full_frame(vectors: NDArray[np.float64]) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(vectors)
    frame.index = pd.Index(SYMBOLS[1:])
    return frame


def _absent(frame: pd.DataFrame) -> list[str]:
    return [symbol for symbol in SYMBOLS[1:] if symbol not in frame.index]


def _standardise(frame: pd.DataFrame) -> pd.DataFrame:
    spread = frame.std(ddof=0)
    scaled: pd.DataFrame = (frame - frame.mean()) / spread.where(spread > 0, 1.0)
    return scaled


def _fill(frame: pd.DataFrame) -> NDArray[np.float32]:
    """Return (119, k): padding row, then every element, gaps filled by column means."""
    rows = frame.reindex(list(SYMBOLS[1:])).fillna(frame.mean())
    padding = np.zeros((1, frame.shape[1]))
    return np.concatenate([padding, rows.to_numpy()]).astype(np.float32)

"""Reading one formula: from text to atomic numbers and amounts.

What a formula may hold: brackets of any kind, fractional amounts, scientific
notation (``Fe1e-3O``), subscript digits, a leading factor (``2H2O``), and addition
compounds written with ``·``, ``•``, ``⋅`` or ``*`` (``CuSO4·5H2O``). Plain formulas
are read by one regular expression; for all others, the notation is brought to the
form that pymatgen knows, and pymatgen adds up the amounts.

Some texts are ambiguous. They are read by these rules, and a note says how:

- A plain dot before a number and a final ``H2O``, ``D2O`` or ``NH3`` (bracketed or
  not) is a separator: ``CuSO4.5H2O`` is CuSO4 · 5 H2O. Not so where the amount
  before the dot is 0: ``Na0.5H2O`` holds half a sodium atom. Any other dot before a
  digit is a decimal point. A dot before a letter or a bracket (``LiOH.H2O``) can
  only be a separator.
- A dot right after a symbol starts a decimal amount: ``Fe.5O`` is Fe0.5O.
- D and T are hydrogen: their vectors are those of H.
- An ``@`` between two parts (``Y3N@C80``, a molecule in a cage) adds them up.

Everything else is a `FormulaError`: nothing is guessed and nothing is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
from pandas.api.types import is_scalar

from lgdcnn_lib.elements import ATOMIC_NUMBERS

#: Amounts outside this range are refused: pymatgen takes smaller ones for zero, and
#: the fraction of the rarest element must survive single precision.
AMOUNT_RANGE = (1e-8, 1e8)


class FormulaError(ValueError):
    """A formula that cannot be read.

    Attributes
    ----------
    row
        Position in the list given to `encode`, or None.
    formula
        The formula as given.
    reason
        What is wrong with it.
    """

    def __init__(self, formula: object, reason: str, row: int | None = None) -> None:
        super().__init__(formula, reason, row)
        self.row, self.formula, self.reason = row, formula, reason

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row}: "
        return f"{where}{self.formula!r}: {self.reason}"


class FormulaWarning(UserWarning):
    """A formula was read by a rule that its writer may not have meant."""


#: Atomic numbers, amounts, and a note on how an ambiguous text was read ("" if none).
Parsed = tuple[list[int], list[float], str]

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:[0-9]+(?:\.[0-9]+)?)?)+")
_TERM = re.compile(r"([A-Z][a-z]?)([0-9.]*)")
_TOKEN = re.compile(
    rf"(?P<symbol>[A-Z][a-z]*)|(?P<number>{_NUMBER})"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])",
    re.ASCII,
)
_ADDED = r"(?:[HD]2O|NH3)"
_HYDRATE = re.compile(rf"\.\d+(?:\.\d+)?(?:{_ADDED}|[(\[{{]{_ADDED}[)\]}}])$", re.ASCII)
_LEADING = re.compile(_NUMBER, re.ASCII)
_SEPARATOR = re.compile(r"[·•⋅∙‧*]|(?<=[\w)\]}])\.(?=[A-Z(\[{])")
_CAGE = re.compile(r"(?<=[\w)\]}])@(?=[A-Z(\[{])")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CHARGE = re.compile(r"[-−–+⁺⁻^⁰¹²³⁴-⁹]")
_ISOTOPES = ("D", "T")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def read_formula(formula: object) -> Parsed:
    """Read one formula.

    Parameters
    ----------
    formula
        Text; anything else is an error.

    Returns
    -------
    tuple
        Atomic numbers in the order of the text, their amounts (each element once),
        and a note, empty unless the text was read by one of the module's rules.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    """
    if not isinstance(formula, str):
        raise FormulaError(formula, _not_text(formula))
    if _PLAIN.fullmatch(formula):
        plain = _read_plain(formula)
        if plain is not None:
            return plain
    return _read_any(formula)


def _not_text(value: Any) -> str:
    missing = is_scalar(value) and bool(pd.isna(value))
    return "missing value" if missing else f"not text but {type(value).__name__}"


def _read_plain(formula: str) -> Parsed | None:
    """Read a run of symbols and amounts, or leave it to the general reader."""
    if "." in formula and _HYDRATE.search(formula):
        return None
    low, high = AMOUNT_RANGE
    amounts: dict[int, float] = {}
    for symbol, text in _TERM.findall(formula):
        number = ATOMIC_NUMBERS.get(symbol)
        amount = float(text) if text else 1.0
        # Repeated, unknown and out-of-range elements are for the general reader.
        if number is None or number in amounts or not low <= amount <= high:
            return None
        amounts[number] = amount
    return list(amounts), list(amounts.values()), ""


def _read_any(formula: str) -> Parsed:
    """Read any formula: its parts one after the other, then their sum."""
    notes: list[str] = []
    amounts: dict[int, float] = {}
    for factor, part in _split(formula, _without_space(formula), notes):
        for number, amount in _read_part(formula, part, notes):
            amounts[number] = amounts.get(number, 0.0) + factor * amount
    for amount in amounts.values():
        _check_range(formula, amount)
    # Products of decimals leave noise in the last digits: 0.7 * 0.1 is not 0.07.
    values = [float(f"{amount:.14g}") for amount in amounts.values()]
    return list(amounts), values, "; ".join(notes)


def _without_space(formula: str) -> str:
    """Return the text without blanks, with plain digits."""
    text = _CAGE.sub("", formula.strip().translate(_SUBSCRIPTS))
    if re.search(r"[\d.]\s+[\d.]|\s[a-z]", text):
        raise FormulaError(formula, "a blank inside a symbol or a number")
    if re.search(rf"[A-Za-z)\]}}]\s+\d[\d.]*\s*{_ADDED}$", text, re.ASCII):
        raise FormulaError(formula, "a blank before added molecules: write a ·")
    text = re.sub(r"\s+", "", text)
    if not text:
        raise FormulaError(formula, "empty formula")
    return text


def _split(formula: str, text: str, notes: list[str]) -> list[tuple[float, str]]:
    """Split an addition compound into (factor, part)."""
    pieces: list[str] = []
    for piece in _SEPARATOR.split(text):
        cut = _hydrate_dot(piece)
        if cut is None:
            pieces.append(piece)
        else:
            pieces += [piece[:cut], piece[cut + 1 :]]
            notes.append(f"read as {piece[:cut]} · {piece[cut + 1 :]}")
    parts = []
    for piece in pieces:
        leading = _LEADING.match(piece)
        part = piece[leading.end() :] if leading else piece
        factor = float(leading.group()) if leading else 1.0
        if not part:
            raise FormulaError(formula, f"no element in {piece!r}")
        if len(pieces) > 1 and _depth(part):
            raise FormulaError(formula, "brackets do not match, or hold a separator")
        _check_range(formula, factor)
        parts.append((factor, part))
    return parts


def _depth(part: str) -> int:
    """Return the number of brackets that stay open."""
    return sum(map(part.count, "([{")) - sum(map(part.count, ")]}"))


def _hydrate_dot(piece: str) -> int | None:
    """Return where a plain dot separates a final hydrate, or None."""
    for match in re.finditer(r"\.", piece):
        dot = match.start()
        # "Na0." and a leading "0." are the whole part of a decimal number.
        decimal = re.search(r"(?:^|[A-Za-z)\]}])0$|^\d*$", piece[:dot])
        if not decimal and _HYDRATE.match(piece, dot):
            return dot
    return None


def _read_part(
    formula: str, part: str, notes: list[str]
) -> Iterator[tuple[int, float]]:
    """Yield (atomic number, amount) of a part, as pymatgen adds it up."""
    from pymatgen.core import Composition  # slow to import, and seldom needed

    tokens = list(_tokens(formula, part, notes))
    try:
        found = {e.Z: float(n) for e, n in Composition("".join(tokens)).items()}
    except ValueError:  # pymatgen cannot read the exponents that it writes from 1e16 on
        high = AMOUNT_RANGE[1]
        raise FormulaError(formula, f"an amount is above {high:g}") from None
    for token in tokens:
        # pymatgen drops what brackets and factors together bring below its tolerance.
        if token in ATOMIC_NUMBERS and ATOMIC_NUMBERS[token] not in found:
            low = AMOUNT_RANGE[0]
            raise FormulaError(formula, f"the amount of {token} is below {low:g}")
    yield from found.items()


def _tokens(formula: str, part: str, notes: list[str]) -> Iterator[str]:
    """Yield a part's tokens in the notation of pymatgen, or say what is wrong."""
    at, before, opened = 0, "", list[str]()
    while at < len(part):
        match = _TOKEN.match(part, at)
        if match is None:
            raise FormulaError(formula, _unexpected(part[at:]))
        token, kind = match.group(), str(match.lastgroup)
        if kind == "symbol":
            token = _symbol(formula, token, notes)
        elif kind == "number":
            if before not in ("symbol", "close"):
                raise FormulaError(formula, f"the number {token} follows no element")
            token = _amount(formula, token, notes)
        elif kind == "open":
            opened.append(_PAIRS[token])
            token = "("
        else:
            if not opened or opened.pop() != token or before == "open":
                raise FormulaError(formula, "brackets do not match, or are empty")
            token = ")"
        yield token
        at, before = match.end(), kind
    if opened:
        raise FormulaError(formula, "brackets do not match")


def _symbol(formula: str, symbol: str, notes: list[str]) -> str:
    """Return a known symbol, H for its isotopes."""
    if symbol in _ISOTOPES:
        _note(notes, f"{symbol} read as hydrogen")
        return "H"
    if symbol not in ATOMIC_NUMBERS:
        raise FormulaError(formula, f"unknown element symbol {symbol!r}")
    return symbol


def _note(notes: list[str], note: str) -> None:
    """Add a note, once."""
    if note not in notes:
        notes.append(note)


def _amount(formula: str, token: str, notes: list[str]) -> str:
    """Return an amount with all its digits and no exponent."""
    _check_range(formula, float(token))
    if token.startswith("."):
        _note(notes, f"{token!r} read as the amount 0{token}")
    return f"{Decimal(token):f}"


def _check_range(formula: str, amount: float) -> None:
    low, high = AMOUNT_RANGE
    if amount == 0:
        raise FormulaError(formula, "an amount of zero")
    if not low <= amount <= high:
        raise FormulaError(formula, f"amount {amount:g} is not in {low:g} to {high:g}")


def _unexpected(rest: str) -> str:
    """Say what is wrong with a text that starts with no token."""
    if re.match(r"[-−–][\d.]", rest):
        return f"negative amount, or a charge: {rest!r}"
    if _CHARGE.match(rest):
        return f"charges, dashes and superscripts are not read: {rest!r}"
    if rest[0].islower():
        return f"{rest!r} does not start with an element symbol, such as He or O"
    return f"unexpected character {rest[0]!r}"

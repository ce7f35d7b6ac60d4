"""Reading one formula: from text to atomic numbers and amounts.

What a formula may hold: brackets of any kind, fractional amounts, scientific notation
(``Fe1e-3O``), subscript digits, a leading factor (``2H2O``), and addition compounds written
with ``·``, ``•``, ``⋅`` or ``*`` (``CuSO4·5H2O``). Plain formulas are read by one regular
expression; for all others, the notation is brought to the form that pymatgen knows, and
pymatgen adds up the amounts.

Some texts are ambiguous. They are read by these rules, and a note says how:

- A plain dot before a number and a final ``H2O`` (or ``D2O``, bracketed or not) separates a
  hydrate: ``CuSO4.5H2O`` is CuSO4 · 5 H2O. Not so where the amount before the dot is 0:
  ``Na0.5H2O`` holds half a sodium atom. Any other dot before a digit is a decimal point. A
  dot before a letter or a bracket (``LiOH.H2O``) can only be a separator.
- A dot right after a symbol starts a decimal amount: ``Fe.5O`` is Fe0.5O.
- D and T are hydrogen: their vectors are those of H.

Everything else is a `FormulaError`: nothing is guessed and nothing is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pandas as pd

from lgdcnn_lib.elements import ATOMIC_NUMBERS

#: Amounts outside this range are refused: pymatgen takes smaller ones for zero, and the
#: fraction of the rarest element must survive single precision.
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

# Each text below is one alternative of the grammar in the module's description.
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:[0-9]+(?:\.[0-9]+)?)?)+")
_TERM = re.compile(r"([A-Z][a-z]?)([0-9.]*)")
_TOKEN = re.compile(
    rf"(?P<symbol>[A-Z][a-z]*)|(?P<number>{_NUMBER})|(?P<open>[(\[{{])|(?P<close>[)\]}}])",
    re.ASCII,
)
_HYDRATE = re.compile(r"\.(\d+(?:\.\d+)?)(?:[HD]2O|[(\[{][HD]2O[)\]}])$", re.ASCII)
_LEADING = re.compile(_NUMBER, re.ASCII)
_SEPARATOR = re.compile(r"[·•⋅∙‧*]|(?<=[\w)\]}])\.(?=[A-Z(\[{])")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CHARGE = re.compile(r"[+⁺⁻^⁰¹²³⁴-⁹]|[-−–](?![\d.])")
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
        Atomic numbers in the order of the text, their amounts (each element once), and a
        note, empty unless the text was read by one of the module's rules.

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


def _not_text(value: object) -> str:
    missing = value is None or value is pd.NA or value is pd.NaT or value != value
    return "missing value" if missing else f"not text but {type(value).__name__}"


def _read_plain(formula: str) -> Parsed | None:
    """Read a run of symbols and amounts, or give up for the general reader to try."""
    if "." in formula and _HYDRATE.search(formula):
        return None
    amounts: dict[int, float] = {}
    for symbol, text in _TERM.findall(formula):
        number = ATOMIC_NUMBERS.get(symbol)
        amount = float(text) if text else 1.0
        # Repeated, unknown and out-of-range elements are for the general reader.
        if number is None or number in amounts or not 1e-8 <= amount <= 1e8:
            return None
        amounts[number] = amount
    return list(amounts), list(amounts.values()), ""


def _read_any(formula: str) -> Parsed:
    """Read any formula: its parts one after the other, then their sum."""
    text = _without_space(formula)
    notes: list[str] = []
    parts, by_rule = _split(formula, text)
    amounts: dict[int, float] = {}
    for factor, part in parts:
        for number, amount in _read_part(formula, part, notes):
            amounts[number] = amounts.get(number, 0.0) + float(factor) * amount
    if by_rule:
        terms = [f"{f} {p}" if f != 1 else p for f, p in parts]
        notes.insert(0, f"{' · '.join(terms)} (a plain dot before a final hydrate)")
    for amount in amounts.values():
        _in_range(formula, amount)
    # Products of decimals leave noise in the last digits: 0.7 * 0.1 is not 0.07.
    values = [float(f"{amount:.14g}") for amount in amounts.values()]
    return list(amounts), values, f"is read as {'; '.join(notes)}" if notes else ""


def _without_space(formula: str) -> str:
    """Return the text without blanks, with plain digits."""
    text = formula.strip().translate(_SUBSCRIPTS).replace("@", "")
    if re.search(r"[\d.]\s+[\d.]|\s[a-z]", text):
        raise FormulaError(formula, "a blank inside a symbol or a number")
    text = re.sub(r"\s+", "", text)
    if not text:
        raise FormulaError(formula, "empty formula")
    return text


def _split(formula: str, text: str) -> tuple[list[tuple[Decimal, str]], bool]:
    """Split an addition compound into (factor, part); say whether a dot was ambiguous."""
    pieces: list[str] = []
    by_rule = False
    for piece in _SEPARATOR.split(text):
        cut = _hydrate_dot(piece)
        pieces += [piece] if cut is None else [piece[:cut], piece[cut + 1 :]]
        by_rule = by_rule or cut is not None
    parts = []
    for piece in pieces:
        leading = _LEADING.match(piece)
        part = piece[leading.end() :] if leading else piece
        if not part:
            raise FormulaError(formula, "nothing stands on one side of a separator")
        if sum(map(part.count, "([{")) != sum(map(part.count, ")]}")):
            raise FormulaError(formula, "brackets do not match")
        factor = Decimal(leading.group()) if leading else Decimal(1)
        _in_range(formula, float(factor))
        parts.append((factor, part))
    return parts, by_rule


def _hydrate_dot(piece: str) -> int | None:
    """Return where a plain dot separates a final hydrate, or None."""
    for match in re.finditer(r"\.", piece):
        before = piece[: match.start()]
        decimal = re.search(r"(^|[A-Za-z)\]}])0$", before) or not re.search("[A-Z]", before)
        if not decimal and _HYDRATE.match(piece, match.start()):
            return match.start()
    return None


def _read_part(
    formula: str, part: str, notes: list[str]
) -> Iterator[tuple[int, float]]:
    """Yield (atomic number, amount) of a part, as pymatgen adds it up."""
    from pymatgen.core import Composition  # slow to import, and seldom needed

    plain = "".join(_tokens(formula, part, notes))
    for element, amount in Composition(plain).items():
        yield element.Z, float(amount)


def _tokens(formula: str, part: str, notes: list[str]) -> Iterator[str]:
    """Yield a part's tokens in the notation of pymatgen, or say what is wrong."""
    at, before, opened = 0, "", list[str]()
    while at < len(part):
        match = _TOKEN.match(part, at)
        if match is None:
            raise FormulaError(formula, _unexpected(part, at))
        token, kind = match.group(), str(match.lastgroup)
        if kind == "symbol":
            token = _symbol(formula, token, notes)
        elif kind == "number":
            token = _amount(formula, token, before, part[:at], notes)
        elif kind == "open":
            opened.append(_PAIRS[token])
            token = "("
        else:
            if not opened or opened.pop() != token or before == "open":
                raise FormulaError(formula, "brackets do not match, or hold nothing")
            token = ")"
        yield token
        at, before = match.end(), kind
    if opened:
        raise FormulaError(formula, "brackets do not match")


def _symbol(formula: str, symbol: str, notes: list[str]) -> str:
    if symbol in _ISOTOPES:
        note = f"{symbol} taken for hydrogen"
        notes += [] if note in notes else [note]
        return "H"
    if symbol not in ATOMIC_NUMBERS:
        raise FormulaError(formula, f"unknown element symbol {symbol!r}")
    return symbol


def _amount(
    formula: str, token: str, before: str, text: str, notes: list[str]
) -> str:
    """Return an amount with all its digits and no exponent."""
    if before not in ("symbol", "close"):
        raise FormulaError(formula, f"the number {token} follows no element")
    _in_range(formula, float(token))
    if token.startswith("."):
        notes.append(f"{text}0{token} with a decimal amount (0{token})")
    return f"{Decimal(token):f}"


def _in_range(formula: str, amount: float) -> None:
    if amount == 0:
        raise FormulaError(formula, "an amount of zero")
    low, high = AMOUNT_RANGE
    if not low <= amount <= high:
        raise FormulaError(formula, f"amount {amount:g} is not in {low:g} to {high:g}")


def _unexpected(part: str, at: int) -> str:
    """Say what is wrong with a character that starts no token."""
    rest = part[at:]
    if rest[0] in "-−–" and re.match(r"[-−–][\d.]", rest) and at:
        return f"negative amount, or a charge, at {rest!r}"
    if _CHARGE.match(rest):
        return f"charges and dashes are not part of a composition: {rest!r}"
    if rest[0].isalpha() and rest[0].islower():
        return f"{rest!r} does not start with an element symbol (capital letter first)"
    return f"unexpected character {rest[0]!r}"

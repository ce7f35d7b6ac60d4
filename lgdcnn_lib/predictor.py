"""A trained model that takes formulas and returns physical units.

One safetensors file holds the weights, the element table, the scaler, the errors that
calibrate intervals and, as JSON in its header, what is needed to build the model again.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import lgdcnn_lib
from lgdcnn_lib.composition import CompositionBatch, encode, shuffle_elements
from lgdcnn_lib.inference import run_model
from lgdcnn_lib.intervals import Calibration
from lgdcnn_lib.models import CompositionModel, ModelConfig, Variant

FORMAT = "lgdcnn-predictor"
FORMAT_VERSION = 1
SCORES = "calibration.scores"  # beside the weights, which have other names


@dataclass(frozen=True)
class Scaler:
    """Standardise targets: ``(y - mean) / std``. Classification uses mean 0, std 1."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, y: np.ndarray) -> Scaler:
        """Fit on the training targets (n,). A constant target keeps std 1."""
        # Rounding leaves 1e-17 for the std of equal numbers.
        return cls(float(np.mean(y)), float(np.std(y)) if np.ptp(y) > 0 else 1.0)


@dataclass
class Predictor:
    """A model with its scaler and its history: formulas in, physical units out.

    Attributes
    ----------
    model : CompositionModel
    scaler : Scaler
    metric : {"mae", "rocauc"}
        ``"rocauc"``: a classifier, whose prediction is a probability.
    unit : str
    info : dict
        Task, data hash, training settings: what is worth knowing later.
    calibration : Calibration, optional
        What intervals are made of; ``fit`` fills it from the validation set.
    """

    model: CompositionModel
    scaler: Scaler
    metric: str = "mae"
    unit: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    def predict(
        self,
        formulas: Iterable[str],
        batch_size: int = 1024,
        orders: int = 0,
        interval: float | None = None,
    ) -> pd.DataFrame:
        """Predict a property for each formula, in the order given.

        Parameters
        ----------
        formulas : N str
        batch_size : int
        orders : int
            With 1 or more, the mean of the predictions over as many random orders of
            the elements (the same for the same call), and of the deviations.
        interval : float, optional
            Share of the true values that the interval shall hold, such as 0.9.

        Returns
        -------
        DataFrame
            ``formula``, ``prediction`` and ``std`` (one standard deviation; both in
            the unit of the target; for a classifier, probability and its spread);
            with ``interval``, also its ends ``lower`` and ``upper``.

        Raises
        ------
        FormulaError
            Naming row, formula and reason, for a formula that cannot be read.
        ValueError
            When an interval is asked of a classifier, or of a predictor that was not
            calibrated, or not with as many ``orders`` or enough rows; for ``orders``
            below 0.
        TypeError
            For one text instead of a list of them.
        """
        if orders < 0:
            raise ValueError(f"orders={orders}; must be 0 or more")
        if interval is None:
            return self._predict(formulas, batch_size, orders)
        calibration = self._calibration_for(orders)
        table = self._predict(formulas, batch_size, orders)
        half = calibration.half_width(table["std"], interval)
        table["lower"] = table["prediction"] - half
        table["upper"] = table["prediction"] + half
        return table

    def calibrate(self, data: pd.DataFrame, orders: int = 0) -> None:
        """Learn the width of intervals from rows that the training has not seen.

        Parameters
        ----------
        data : DataFrame
            ``formula`` and ``target``.
        orders : int
            As later in ``predict``.

        Raises
        ------
        ValueError
            For a classifier; when there is no row, or a target is not a number.
        """
        self._check_regression()
        table = self._predict(data["formula"], orders=orders)
        self.calibration = Calibration.of(
            data["target"], table["prediction"], table["std"], orders=orders
        )

    def _check_regression(self) -> None:
        if self.metric == "rocauc":
            raise ValueError(
                "a classifier has no intervals: its prediction is a probability already"
            )

    def _calibration_for(self, orders: int) -> Calibration:
        self._check_regression()
        if self.calibration is None:
            raise ValueError(
                "this predictor holds no calibration; call calibrate(data) with rows "
                "that it was not trained on, such as the validation set"
            )
        if self.calibration.orders != orders:
            raise ValueError(
                f"calibrated with orders={self.calibration.orders}, not {orders}: call "
                f"calibrate(data, orders={orders})"
            )
        return self.calibration

    def _predict(
        self, formulas: Iterable[str], batch_size: int = 1024, orders: int = 0
    ) -> pd.DataFrame:
        batch = encode(formulas, order=self.model.config.order)
        if not orders:
            return self.predict_batch(batch, batch_size)
        generator = torch.Generator().manual_seed(0)
        tables = [
            self.predict_batch(shuffle_elements(batch, generator), batch_size)
            for _ in range(orders)
        ]
        columns = ["prediction", "std"]
        means = sum(table[columns] for table in tables) / orders
        return tables[0][["formula"]].join(means)

    def predict_batch(
        self, batch: CompositionBatch, batch_size: int = 1024
    ) -> pd.DataFrame:
        """Predict for encoded formulas; see :meth:`predict`."""
        out = run_model(self.model, batch, batch_size)
        mean, std = out.mean.double().numpy(), out.log_std.double().exp().numpy()
        if self.metric == "rocauc":
            prediction = 1 / (1 + np.exp(-mean))
            std = np.sqrt(prediction * (1 - prediction))
        else:
            prediction = mean * self.scaler.std + self.scaler.mean
            std = std * self.scaler.std
        return pd.DataFrame(
            {"formula": list(batch.formulas), "prediction": prediction, "std": std}
        )

    def save(self, path: str | Path) -> None:
        """Write the predictor to a safetensors file.

        Raises
        ------
        OSError
            When the file cannot be written.
        TypeError
            When ``info`` holds what JSON cannot.
        """
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "variant": asdict(self.model.variant),
            "config": asdict(self.model.config),
            "scaler": asdict(self.scaler),
            "metric": self.metric,
            "unit": self.unit,
            "info": self.info,
            "calibration": None,
            "versions": {
                "lgdcnn_lib": lgdcnn_lib.__version__,
                "torch": str(torch.__version__),
                "python": platform.python_version(),
            },
        }
        state = {k: v.cpu().contiguous() for k, v in self.model.state_dict().items()}
        if self.calibration is not None:
            settings = asdict(self.calibration)
            state[SCORES] = torch.from_numpy(settings.pop("scores"))
            header["calibration"] = settings
        text = json.dumps(header, default=np.generic.item)  # seeds may be np.int64
        try:
            save_file(state, path, metadata={"predictor": text})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> Predictor:
        """Read a predictor that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            For a file that is no predictor, or of a format that is not known here.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no predictor file at {path}")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                # Copies: a view of the file breaks when somebody replaces the file.
                state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path} is no safetensors file: {error}") from error
        header = _checked_header(metadata, path)
        try:
            predictor = _build(header, state)
        except (KeyError, TypeError, RuntimeError) as error:  # of a newer library
            raise ValueError(f"{path} cannot be built here: {error!r}") from error
        predictor.model.to(device)
        return predictor


def _build(header: dict[str, Any], state: dict[str, Tensor]) -> Predictor:
    calibration = None
    if settings := header.get("calibration"):  # older files have none
        scores = state.pop(SCORES).numpy()
        calibration = Calibration(scores, **settings)
    variant = Variant(**header["variant"])
    variant = Variant(tuple(variant.stages), variant.summary, variant.defaults)
    with torch.random.fork_rng(devices=[]):
        model = CompositionModel(
            variant, ModelConfig(**header["config"]), state["elements.vectors"]
        )
    model.load_state_dict(state)
    return Predictor(
        model,
        Scaler(**header["scaler"]),
        header["metric"],
        header["unit"],
        header["info"],
        calibration,
    )


def _checked_header(metadata: dict[str, str], path: str | Path) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(metadata["predictor"])
    except (KeyError, ValueError):
        raise ValueError(f"{path} holds no predictor") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path} holds no predictor")
    if header.get("format") != FORMAT or header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {header.get('format')!r} version "
            f"{header.get('format_version')!r}; this library reads "
            f"{FORMAT!r} version {FORMAT_VERSION}"
        )
    return header

"""The runs that choose the recipe: judged by validation, test sets left alone.

The first round changes one thing at a time, on three tasks. The second asks what helps
against learning by heart, on more tasks; its last part which loss large tasks want.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lgdcnn_lib.models import ModelConfig
from lgdcnn_lib.runs import RunSpec
from lgdcnn_lib.training import TrainConfig

# The tasks on which recipes are chosen, by validation alone.
CHOICE: tuple[tuple[str, int | None], ...] = (
    ("aflow__ael_bulk_modulus_vrh", None),
    ("matbench_expt_gap", 0),
    ("matbench_log_gvrh", 0),
)
FOUR_TABLES = "mat2vec+mace_mp0+orb_v2+magpie"
DEFAULT = TrainConfig(batch_size="root", eval_every=1000)
NETWORK = ModelConfig(element_table=FOUR_TABLES)  # what `recipe` chose
# The second round of `recipe`: a long training, a new order of elements at every step.
LONG = replace(DEFAULT, epochs=100, shuffle_elements=True)
ORDERS = 8


Change = tuple[dict[str, Any], dict[str, Any]]  # of the network, of the training


def recipe() -> list[RunSpec]:
    """Every run of the search, once."""
    rounds = (
        first_round, second_round, loss_round, decay_round, tiny_round, partner_round,
        large_round,
    )  # fmt: skip
    return list({spec.key: spec for each in rounds for spec in each()}.values())


def varied(
    changes: list[tuple[dict[str, Any], dict[str, Any], int]],
    tasks: Sequence[tuple[str, int | None]],
    network: ModelConfig | None = None,
    base: TrainConfig = DEFAULT,
) -> list[RunSpec]:
    """Each change of network, training and orders on each task, with two seeds."""
    return [
        RunSpec(
            task,
            "lg_dcnn",
            fold,
            seed,
            replace(network or ModelConfig(), **model),
            replace(base, seed=seed, **train),
            orders=orders,
        )
        for seed in (0, 1)
        for model, train, orders in changes
        for task, fold in tasks
    ]


def first_round() -> list[RunSpec]:
    """One change at a time from the default, then combinations; two seeds."""
    wide: dict[str, Any] = {"element_table": FOUR_TABLES}
    changes: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({}, {}, 0),
        *(({}, {"batch_size": n}, 0) for n in (32, 128)),
        *(({}, {"lr": lr}, 0) for lr in (5e-4, 2e-3)),
        *(({}, {"epochs": n}, 0) for n in (20, 80)),
        *(({"d": d}, {}, 0) for d in (128, 512)),
        *(({}, {"weight_decay": w}, 0) for w in (0.1, 1.0)),
        ({}, {"averaging": "ema"}, 0),
        ({}, {"jitter": 0.02}, 0),
        ({}, {"shuffle_elements": True}, 8),
        (wide, {}, 0),
        (wide, {"epochs": 100}, 0),
        (wide, {"epochs": 100, "shuffle_elements": True}, 8),
        (wide, {"epochs": 100, "weight_decay": 1.0}, 0),
    ]
    return varied(changes, CHOICE)


def second_round() -> list[RunSpec]:
    """Longer trainings, shuffled elements, decay, width, tables; one seed."""
    small = (
        *CHOICE[:2],
        ("matbench_expt_gap", 1),
        CHOICE[2],
        ("mp_bulk_modulus", None),
    )
    seven = "mat2vec+mace_mp0+orb_v2+chgnet+sevennet+magpie+skipatom"
    plain: dict[str, Any] = {"epochs": 100, "shuffle_elements": False}
    many: list[Change] = [
        ({}, {}),
        ({}, {"epochs": 40}),
        ({}, {"weight_decay": 1.0}),
        ({}, plain),
        ({}, plain | {"weight_decay": 1.0}),
        ({}, {"epochs": 40, "shuffle_elements": False}),
    ]
    few: list[Change] = [
        ({}, plain | {"weight_decay": 0.3}),
        ({}, {"weight_decay": 0.3}),
        ({}, {"epochs": 200}),
        *(({"d": d}, {}) for d in (128, 512)),
        ({}, {"batch_size": 32}),
        *(({}, {"lr": lr}) for lr in (5e-4, 2e-3)),
        ({}, {"jitter": 0.02}),
        *(({"element_table": t}, {}) for t in ("mat2vec", "mat2vec+magpie", seven)),
    ]
    large = (*small, ("matbench_perovskites", 0), ("mp_e_hull", None))
    pairs = [(change, large) for change in many]
    pairs += [(change, small) for change in few]
    pairs.append((({"element_table": "mat2vec"}, {}), (large[5],)))
    grid = [
        _long(task, fold, model, train)
        for (model, train), tasks in pairs
        for task, fold in tasks
    ]
    fused = [_long(task, fold, {}, {}) for task, fold in small]
    return grid + [replace(spec, model="lg_dcnn_v1") for spec in fused]


def _long(
    task: str, fold: int | None, model: dict[str, Any], train: dict[str, Any]
) -> RunSpec:
    """Change the long recipe; where orders are shuffled, average over some."""
    network, config = replace(NETWORK, **model), replace(LONG, **train)
    orders = ORDERS if config.shuffle_elements else 0
    return RunSpec(task, "lg_dcnn", fold, 0, network, config, None, orders)


def loss_round() -> list[RunSpec]:
    """How much the spread weighs the loss (beta), small networks, one seed."""
    network = replace(NETWORK, d=128)
    sizes = {
        "mp_mu_b": 20_000,
        "mp_e_hull": 20_000,
        "CritExam__Ef": 20_000,
        "aflow__Egap": None,
        "aflow__energy_atom": None,
        "matbench_mp_gap": 20_000,
        "OQMD_Bandgap": 60_000,
    }
    grid = []
    for beta in (0.0, 1.0):
        config = replace(DEFAULT, epochs=20, beta=beta)
        for task, size in sizes.items():
            fold = 0 if task.startswith("matbench") else None
            grid.append(RunSpec(task, "lg_dcnn", fold, 0, network, config, size))
        for task in ("thermal_conductivity_300K", "thermal_expansion_300K"):
            change = {"beta": beta}
            grid.append(_long(f"aflow__agl_{task}", None, {"d": 128}, change))
    return grid


def tiny_round() -> list[RunSpec]:
    """The three smallest tasks, one fold."""
    return [
        _long(task, 0, {}, change)
        for task in ("matbench_steels", "matbench_jdft2d", "matbench_phonons")
        for change in (
            {"epochs": 40, "shuffle_elements": False},
            {},
            {"weight_decay": 1.0},
        )
    ]


def decay_round() -> list[RunSpec]:
    """Perovskites: against learning twins by heart."""
    wide, narrow = NETWORK, replace(NETWORK, d=128)
    tried = [(wide, 1.0, 40), (wide, 3.0, 40)]
    tried += [(narrow, 1.0, 40), (narrow, 3.0, 40), (narrow, 1.0, 10)]
    return [
        RunSpec("matbench_perovskites", "lg_dcnn", 0, 0, network,
                replace(DEFAULT, weight_decay=decay, epochs=epochs))
        for network, decay, epochs in tried
    ]  # fmt: skip


def partner_round() -> list[RunSpec]:
    """How long a transformer needs; other losses for measured band gaps and twins."""
    plain = replace(DEFAULT, epochs=100)
    gaps = [replace(c, beta=1.0) for c in (DEFAULT, LONG)]
    twins = replace(DEFAULT, weight_decay=3.0, beta=1.0)
    half = replace(NETWORK, d=128)
    grid = [
        RunSpec(task, "transformer", fold, 0, NETWORK, plain)
        for task, fold in (CHOICE[0], ("mp_bulk_modulus", None), CHOICE[2])
    ]
    grid += [
        RunSpec("matbench_perovskites", model, 0, 0, network, config)
        for model, network, config in (
            ("lg_dcnn", half, twins),
            ("lg_dcnn", half, replace(twins, weight_decay=10.0)),
            ("lg_dcnn", replace(NETWORK, d=64), twins),
            ("transformer", half, twins),
        )
    ]
    grid += [
        RunSpec("matbench_expt_gap", "lg_dcnn", fold, 0, NETWORK, config,
                orders=ORDERS if config.shuffle_elements else 0)
        for config in gaps
        for fold in (0, 1)
    ]  # fmt: skip
    return grid


def large_round() -> list[RunSpec]:
    """The long recipe on one of the largest tasks; `main` has the default's row."""
    return [_long("OQMD_Formation_Enthalpy", None, {}, {})]


def class_round() -> list[RunSpec]:
    """What the two small classifications want, one change at a time; two seeds."""
    shuffled = {"shuffle_elements": True}
    changes: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({}, {}, 0),
        *(({}, {"epochs": n}, 0) for n in (10, 20)),
        ({}, {"epochs": 10} | shuffled, ORDERS),
        ({}, shuffled, ORDERS),
        ({}, {"weight_decay": 3.0}, 0),
        ({"d": 128}, {"weight_decay": 3.0}, 0),
        ({}, {"epochs": 100} | shuffled, ORDERS),
    ]
    tasks = (("matbench_expt_is_metal", 0), ("matbench_glass", 0))
    return varied(changes, tasks, NETWORK)

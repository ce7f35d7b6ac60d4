"""Two processes train as one does."""

import socket

import pandas as pd
import pytest
import torch
import torch.multiprocessing as mp

from lgdcnn_lib import experiments, parallel
from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.composition import encode
from lgdcnn_lib.experiments import run_grid
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.runs import RunSpec
from lgdcnn_lib.training import TrainConfig, fit

# 65 compounds in batches of 16: some left-over batches are smaller than 2.
CONFIG = TrainConfig(epochs=2, batch_size=16, jitter=0.02, device="cpu")


NETWORK = ModelConfig(d=8)
GRID = [
    RunSpec("matbench_steels", model, 0, 0, NETWORK, TrainConfig(epochs=1))
    for model in ("mean", "lstm")
]


def train(checkpoint=None):
    full = load_benchmark("aflow__ael_bulk_modulus_vrh")
    task = Task("small", full.train[:65], full.val[:20], full.test[:0], "GPa", "mae")
    network = build_model("lg_dcnn", ModelConfig(d=16))
    return fit(network, task, CONFIG, checkpoint=checkpoint)


def join(rank, port):
    """As torchrun does it."""
    torch.set_num_threads(1)
    for name, value in {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }.items():
        parallel.os.environ[name] = str(value)
    parallel.join()


def worker(rank, port, queue, checkpoint):
    join(rank, port)
    run = train(checkpoint)
    weights = {k: v.tolist() for k, v in run.predictor.model.state_dict().items()}
    queue.put((parallel.rank(), run.history["train_loss"].tolist(), weights))
    parallel.dist.destroy_process_group()


def grid_worker(rank, port, queue, path):
    """Do two runs together, of which one has its row, and say which were done."""
    join(rank, port)
    done = []
    run = experiments.run
    experiments.run = lambda spec, *rest: done.append(spec) or run(spec, *rest)
    failed = run_grid(GRID, path, predictions=path.parent / "predictions")
    queue.put((rank, [spec.model for spec in done], failed))
    parallel.dist.destroy_process_group()


def together(work, argument):
    """What two processes, started as torchrun does it, put into their queue."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.Queue()
    jobs = [
        context.Process(target=work, args=(rank, port, queue, argument))
        for rank in range(2)
    ]
    for job in jobs:
        job.start()
    results = sorted(queue.get(timeout=240) for _ in jobs)
    for job in jobs:
        job.join()
    return results


def test_two_processes_equal_one(tmp_path):
    checkpoint = tmp_path / "run.safetensors"  # one process writes it
    results = together(worker, checkpoint)
    assert checkpoint.exists()
    alone = train()
    assert [rank for rank, *_ in results] == [0, 1]
    for _, losses, weights in results:
        assert losses == pytest.approx(alone.history["train_loss"].tolist(), abs=1e-5)
        for key, value in alone.predictor.model.state_dict().items():
            assert torch.allclose(torch.tensor(weights[key]), value, atol=1e-4), key


def test_two_processes_do_each_run_of_a_grid_together(tmp_path):
    path = tmp_path / "grid.csv"
    assert run_grid(GRID[:1], path) == 0
    assert together(grid_worker, path) == [(0, ["lstm"], 0), (1, ["lstm"], 0)]
    rows = pd.read_csv(path)
    assert list(rows["model"]) == ["mean", "lstm"]  # each once
    commands = [text.split()[:3] for text in rows["command"]]
    assert commands[0][0] != "torchrun"
    assert commands[1] == ["torchrun", "--nproc-per-node", "2"]
    assert len(list((tmp_path / "predictions").iterdir())) == 1


def test_alone_nothing_is_shared(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    parallel.join()
    assert (parallel.rank(), parallel.processes()) == (0, 1)
    batch, target = encode(["NaCl", "Fe2O3"]), torch.zeros(2)
    assert parallel.share(batch, target) == (batch, target, 1.0)
    assert [parallel.agree(answer) for answer in (True, False)] == [True, False]

"""Two processes train as one does."""

import socket

import pytest
import torch
import torch.multiprocessing as mp

from lgdcnn_lib import parallel
from lgdcnn_lib.benchmarks import Task, load_benchmark
from lgdcnn_lib.composition import encode
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.training import TrainConfig, fit

# 65 compounds in batches of 16: some left-over batches are smaller than 2.
CONFIG = TrainConfig(epochs=2, batch_size=16, jitter=0.02, device="cpu")


def train(checkpoint=None):
    full = load_benchmark("aflow__ael_bulk_modulus_vrh")
    task = Task("small", full.train[:65], full.val[:20], full.test[:0], "GPa", "mae")
    network = build_model("lg_dcnn", ModelConfig(d=16))
    return fit(network, task, CONFIG, checkpoint=checkpoint)


def worker(rank, port, queue, checkpoint):
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
    run = train(checkpoint)
    weights = {k: v.tolist() for k, v in run.predictor.model.state_dict().items()}
    queue.put((parallel.rank(), run.history["train_loss"].tolist(), weights))
    parallel.dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    checkpoint = tmp_path / "run.safetensors"  # one process writes it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.Queue()
    jobs = [
        context.Process(target=worker, args=(r, port, queue, checkpoint))
        for r in range(2)
    ]
    for job in jobs:
        job.start()
    results = sorted(queue.get(timeout=240) for _ in jobs)
    for job in jobs:
        job.join()
    assert checkpoint.exists()
    alone = train()
    assert [rank for rank, *_ in results] == [0, 1]
    for _, losses, weights in results:
        assert losses == pytest.approx(alone.history["train_loss"].tolist(), abs=1e-5)
        for key, value in alone.predictor.model.state_dict().items():
            assert torch.allclose(torch.tensor(weights[key]), value, atol=1e-4), key


def test_alone_nothing_is_shared(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    parallel.join()
    assert (parallel.rank(), parallel.processes()) == (0, 1)
    batch, target = encode(["NaCl", "Fe2O3"]), torch.zeros(2)
    assert parallel.share(batch, target) == (batch, target, 1.0)

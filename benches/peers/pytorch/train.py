#!/usr/bin/env python3
"""Trains case1 or case2 with PyTorch for some seconds, on noise; prints one line of JSON.

train.py MODEL BATCH SECONDS DEVICE VARIANT: plain SGD; DEVICE cpu or cuda, VARIANT eager, channels_last or graph (a
CUDA graph of a whole step).
"""
import json
import resource
import sys
import time

started = time.perf_counter()
import torch
from torch import nn


def network(case2):
    pool = [nn.MaxPool2d(2)] if case2 else []
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), *pool,
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(64 * (25 if case2 else 144), 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )


def main(model, batch, seconds, device, variant):
    torch.manual_seed(1)
    if device == "cpu":
        torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))
    layout = torch.channels_last if variant == "channels_last" else torch.contiguous_format
    net = network(model == "case2").to(device).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    cost = nn.CrossEntropyLoss()
    # The data handling of a step: select rows of a set.
    rows = 60 * batch
    images = torch.rand(rows, 1, 28, 28, device=device)
    labels = torch.arange(rows, device=device) % 10
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None

    def step():
        drawn = torch.randint(rows, (batch,), device=device)
        optimizer.zero_grad(set_to_none=variant != "graph")
        cost(net(images[drawn].contiguous(memory_format=layout)), labels[drawn]).backward()
        optimizer.step()

    step()
    finish()
    first = time.perf_counter() - started
    if variant == "graph":
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        run = graph.replay
    else:
        run = step
    for _ in range(20):
        run()
    finish()
    clock, steps = time.perf_counter(), 0
    while time.perf_counter() - clock < seconds:
        for _ in range(10):
            run()
            steps += 1
        finish()
    rate = steps * batch / (time.perf_counter() - clock)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"images_per_second": round(rate, 1), "start_seconds": round(first, 2), "peak_memory": memory}))


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5])

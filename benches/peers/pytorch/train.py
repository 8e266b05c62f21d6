#!/usr/bin/env python3
"""Trains a preset of shadegrad with PyTorch for some seconds, on noise; prints a line of JSON for each setting.

train.py MODEL BATCH SECONDS DEVICE SETTING[,SETTING...]: plain SGD, no augmentation; DEVICE cpu or cuda. A setting is
words joined by `+`:

    eager, graph, compile, graph+compile
                    how a step runs: one call after another, as one CUDA graph, through
                    torch.compile(mode="max-autotune"), or as a CUDA graph of the compiled step; eager is the default
    channels_last   layout of the images
    f32, tf32, bf16 precision: no TF32 anywhere, TF32 in convolutions and products, autocast to bfloat16; otherwise
                    PyTorch's defaults, which are TF32 in convolutions alone
    benchmark       cuDNN tries its algorithms

A setting that fails has its error as its line, the others still run, and the exit status is 1. `start_seconds` is
importing PyTorch and the time to the first step of the setting; the first setting opens the device besides.
`peak_memory` is the host's, of the process so far; `device_memory` is what PyTorch reserved on the device.
"""
import contextlib
import json
import os
import re
import resource
import sys
import time

started = time.perf_counter()
import torch
from torch import nn

imported = time.perf_counter() - started

# Layers of the presets, in their order.
NETWORKS = {
    "case1": "conv32 relu conv64 relu pool drop25 flat dense128 relu drop50 dense10",
    "case2": "conv32 relu pool conv64 relu pool drop25 flat dense128 relu drop50 dense10",
    "case3": "conv32 relu conv64 relu pool flat dense128 relu dense10",
    "case4": "conv32 relu pool conv64 relu pool flat dense128 relu dense10",
    "case5": "conv32 relu conv64 relu pool flat dense128 relu drop50 dense10",
    "case6": "conv32 relu pool conv64 relu pool flat dense128 relu drop50 dense10",
    "lenet5": "same5x6 relu pool conv5x16 relu pool flat dense120 relu dense84 relu dense10",
    "mlp": "flat dense512 relu dense256 relu dense128 relu dense64 relu dense10",
    "starter": "conv8 norm relu pool conv32 norm relu pool conv96 norm relu flat drop30 dense10",
    "fast": "conv8 norm relu pool conv32 norm relu pool conv64 norm relu flat dense10",
    "best": "conv5x32 norm relu pool same64 norm relu same64 norm relu pool drop25 same128 norm relu same128 norm relu "
            "pool flat drop50 dense10",
}
WORDS = ["eager", "graph", "compile", "channels_last", "f32", "tf32", "bf16", "benchmark"]


def layer(word):
    name, numbers = re.match("([a-z]+)(.*)", word).groups()
    if name in ["conv", "same"]:
        kernel, filters = map(int, numbers.split("x")) if "x" in numbers else (3, int(numbers))
        return nn.LazyConv2d(filters, kernel, padding="same" if name == "same" else 0)
    make = {"relu": nn.ReLU, "norm": nn.LazyBatchNorm2d, "pool": lambda: nn.MaxPool2d(2), "flat": nn.Flatten,
            "drop": lambda: nn.Dropout(int(numbers) / 100), "dense": lambda: nn.LazyLinear(int(numbers))}
    return make[name]()


def set_precision(words, defaults):
    """TF32 where the setting wants it, and what PyTorch does by itself where it says nothing."""
    convolutions, products = (True, True) if "tf32" in words else (False, False) if "f32" in words else defaults
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.benchmark = "benchmark" in words


def train(model, batch, seconds, device, words, started):
    """Images per second, and what it took to get there."""
    torch.manual_seed(1)
    cuda = device == "cuda"
    if cuda:
        torch.cuda.init()  # Says why, where there is no device.
        torch.cuda.reset_peak_memory_stats()
    else:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    if "graph" in words and not cuda:
        raise ValueError("a CUDA graph needs the device cuda")
    layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
    net = nn.Sequential(*map(layer, NETWORKS[model].split())).to(device)
    net(torch.rand(2, 1, 28, 28, device=device))  # The layers take their inputs' sizes from it.
    net = net.to(memory_format=layout).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    cost = nn.CrossEntropyLoss()
    # The data handling of a step: select rows of a set.
    rows = 60 * batch
    images = torch.rand(rows, 1, 28, 28, device=device)
    labels = torch.arange(rows, device=device) % 10
    finish = torch.cuda.synchronize if cuda else lambda: None

    def loss(drawn):
        # Autocast keeps no copies of the weights: those in a graph would stay what they were when it was captured.
        to_bf16 = torch.autocast(device, torch.bfloat16, cache_enabled="graph" not in words)
        with to_bf16 if "bf16" in words else contextlib.nullcontext():
            return cost(net(images[drawn].contiguous(memory_format=layout)), labels[drawn])

    if "compile" in words:
        loss = torch.compile(loss, mode="max-autotune-no-cudagraphs" if "graph" in words else "max-autotune")

    def step():
        drawn = torch.randint(rows, (batch,), device=device)
        optimizer.zero_grad(set_to_none="graph" not in words)
        loss(drawn).backward()
        optimizer.step()

    step()
    finish()
    first = time.perf_counter() - started
    if "graph" in words:
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
    result = {"images_per_second": round(rate, 1), "start_seconds": round(imported + first, 2), "peak_memory": memory}
    return result | ({"device_memory": torch.cuda.max_memory_reserved()} if cuda else {})


def main(model, batch, seconds, device, settings):
    defaults = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    failed = False
    for setting in settings.split(","):
        words = setting.split("+")
        unknown = [word for word in words if word not in WORDS]
        if unknown or model not in NETWORKS or device not in ["cpu", "cuda"]:
            sys.exit(f"error: {model} {device} {setting}: expected {', '.join(NETWORKS)}; cpu, cuda; {', '.join(WORDS)}")
        try:
            set_precision(words, defaults)
            result = train(model, batch, seconds, device, words, time.perf_counter())
        except Exception as error:  # Whatever PyTorch, Triton or the driver raise; the next setting may work.
            text = " ".join(str(error).split())
            result = {"error": f"{type(error).__name__}: {text[:400]}"}
            print(f"error: {model}, {device}, {setting}: {result['error']}", file=sys.stderr)
            failed = True
        print(json.dumps({"setting": setting} | result), flush=True)
        if "compile" in words:
            torch._dynamo.reset()
        if device == "cuda" and torch.cuda.is_available():
            torch.cuda.empty_cache()
    sys.exit(failed)


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5])

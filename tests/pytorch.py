"""Compares shadegrad with PyTorch on the same weights and images. Run by hand; needs torch, numpy and safetensors.

    python tests/pytorch.py DATA_DIR [SHADEGRAD_BINARY]

DATA_DIR holds the four MNIST files. What is compared, on case4 (no dropout):

1. weights: PyTorch saves an `nn.Sequential`, shadegrad starts from the file, trains 20 steps and saves; PyTorch loads
   that without any permutation. The logits of 100 test images agree within 1e-4.
2. losses: the 20 steps are done by the GPU (`--device auto`), by the CPU, by the reference and by PyTorch. The losses of
   each step agree within 1e-4, relative.
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

STEPS, BATCH, RATE, MOMENTUM = 20, 100, 0.05, 0.9


def network():
    """case4, module by module"""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10))


def read_idx(folder, name, header):
    path = os.path.join(folder, name)
    with (gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def read_set(folder, part):
    images = read_idx(folder, f"{part}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    labels = read_idx(folder, f"{part}-labels-idx1-ubyte", 8)
    return torch.tensor(images, dtype=torch.float32) / 255, torch.tensor(labels, dtype=torch.long)


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def shadegrad_losses(binary, data, init, device, out):
    lines = run(binary, "train", "--model", "case4", "--data", data, "--init", init, "--no-shuffle", "--device", device,
                "--max-steps", str(STEPS), "--batch-size", str(BATCH), "--learning-rate", str(RATE),
                "--momentum", str(MOMENTUM), "--log-every", "1", "--json", "--out", out).splitlines()
    return [line["loss"] for line in map(json.loads, lines) if line["kind"] == "step"]


def pytorch_losses(model, images, labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    losses = []
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(data, binary="target/release/shadegrad"):
    torch.manual_seed(1)
    images, labels = read_set(data, "train")
    test_images, _ = read_set(data, "t10k")
    model = network()
    with tempfile.TemporaryDirectory() as folder:
        init = os.path.join(folder, "init.safetensors")
        save_file(model.state_dict(), init)
        runs = {device: os.path.join(folder, device) for device in ("auto", "cpu", "reference")}
        losses = {device: shadegrad_losses(binary, data, init, device, out) for device, out in runs.items()}
        losses["PyTorch"] = pytorch_losses(model, images, labels)

        trained = os.path.join(runs["auto"], "model.safetensors")
        csv = os.path.join(folder, "logits.csv")
        run(binary, "evaluate", trained, "--data", data, "--logits", csv, "--json")
        ours = np.loadtxt(csv, delimiter=",")[:100]
        loaded = network()
        loaded.load_state_dict(load_file(trained))
        with torch.no_grad():
            theirs = loaded(test_images[:100]).numpy()

    print("step   " + "  ".join(f"{name:>10}" for name in losses))
    for step, row in enumerate(zip(*losses.values()), 1):
        print(f"{step:>4}   " + "  ".join(f"{loss:10.7f}" for loss in row))
    spread = max((max(row) - min(row)) / abs(min(row)) for row in zip(*losses.values()))
    error = np.abs(ours - theirs).max()
    print(f"losses of {STEPS} steps: largest relative difference {spread:.2e} (at most 1e-4)")
    print(f"logits of 100 test images: largest difference {error:.2e} (at most 1e-4)")
    return 0 if spread <= 1e-4 and error <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

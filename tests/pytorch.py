"""Compares shadegrad with PyTorch on the same weights and images. Run by hand; needs torch, numpy and safetensors.

    python tests/pytorch.py DATA_DIR [SHADEGRAD_BINARY]

DATA_DIR holds the four MNIST files. What is compared, on case4 (no dropout) and on a network with batch_norm behind a
convolution, a flatten and a dense layer:

1. weights: PyTorch saves an `nn.Sequential`, shadegrad starts from the file, trains 20 steps and saves; PyTorch loads
   that without any permutation. The logits of 100 test images agree within 1e-4.
2. losses: the 20 steps are done by the GPU (`--device auto`), by the CPU, by the reference and by PyTorch. The losses of
   each step agree within 2e-3, relative: rounding grows from step to step, most that of the reference, which adds in one
   row (1e-3 seen with batch_norm); a wrong gradient shows in the second step.
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


def case4():
    """The preset, module by module."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10))


NORMALISED = """
input = [28, 28, 1]
[[layers]]
type = "conv2d"
filters = 8
kernel = 5
[[layers]]
type = "batch_norm"
activation = "relu"
[[layers]]
type = "max_pool2d"
size = 4
[[layers]]
type = "flatten"
[[layers]]
type = "batch_norm"
momentum = 0.3
epsilon = 1e-3
[[layers]]
type = "dense"
units = 32
[[layers]]
type = "batch_norm"
activation = "relu"
[[layers]]
type = "dense"
units = 10
"""


def normalised():
    """NORMALISED, module by module."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4),
        nn.Flatten(), nn.BatchNorm1d(288, eps=1e-3, momentum=0.3),
        nn.Linear(288, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


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


def shadegrad_losses(binary, model, data, init, device, out):
    lines = run(binary, "train", "--model", model, "--data", data, "--init", init, "--no-shuffle", "--device", device,
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


def compare(binary, data, model, network, images, labels, test_images):
    """Whether the network of `--model model` agrees with the one that `network()` makes."""
    torch.manual_seed(1)
    theirs = network()
    with tempfile.TemporaryDirectory() as folder:
        if "\n" in model:
            text, model = model, os.path.join(folder, "normalised.toml")
            with open(model, "w") as file:
                file.write(text)
        init = os.path.join(folder, "init.safetensors")
        save_file(theirs.state_dict(), init)
        runs = {device: os.path.join(folder, device) for device in ("auto", "cpu", "reference")}
        losses = {device: shadegrad_losses(binary, model, data, init, device, out) for device, out in runs.items()}
        losses["PyTorch"] = pytorch_losses(theirs, images, labels)

        trained = os.path.join(runs["auto"], "model.safetensors")
        csv = os.path.join(folder, "logits.csv")
        run(binary, "evaluate", trained, "--data", data, "--logits", csv, "--json")
        ours = np.loadtxt(csv, delimiter=",")[:100]
        loaded = network()
        loaded.load_state_dict(load_file(trained))
        loaded.eval()
        with torch.no_grad():
            expected = loaded(test_images[:100]).numpy()

    print(f"{network.__name__}\nstep   " + "  ".join(f"{name:>10}" for name in losses))
    for step, row in enumerate(zip(*losses.values()), 1):
        print(f"{step:>4}   " + "  ".join(f"{loss:10.7f}" for loss in row))
    spread = max((max(row) - min(row)) / abs(min(row)) for row in zip(*losses.values()))
    error = np.abs(ours - expected).max()
    print(f"losses of {STEPS} steps: largest relative difference {spread:.2e} (at most 2e-3)")
    print(f"logits of 100 test images: largest difference {error:.2e} (at most 1e-4)\n")
    return spread <= 2e-3 and error <= 1e-4


def main(data, binary="target/release/shadegrad"):
    images, labels = read_set(data, "train")
    test_images, _ = read_set(data, "t10k")
    both = [compare(binary, data, model, network, images, labels, test_images)
            for model, network in (("case4", case4), (NORMALISED, normalised))]
    return 0 if all(both) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""PyTorch with a hand-written loop: preloaded tensors, autocast, channels-last memory, fused optimizers.

Variants: ``eager``; ``compiled`` puts network and loss through ``torch.compile``; ``-planar`` keeps the default memory
layout. The compiled ones draw dropout masks with eager's generator, which is faster than the compiler's own.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

from .common import Clock, arguments, load


def main() -> None:
    chosen = arguments("eager", "eager-planar", "compiled", "compiled-planar")

    import torch
    from probes import read
    from torch import nn
    from torch.nn.functional import cross_entropy

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    probe, is_planar = chosen.probe, chosen.variant.endswith("-planar")
    is_bfloat16 = chosen.precision == "bfloat16"

    class Flatten(nn.Module):
        def forward(self, values):
            return (values if is_planar else values.permute(0, 2, 3, 1)).flatten(1)

    modules: list[nn.Module] = []
    side, channels = 28, 1
    for layer in map(read, probe.layers):
        match layer.kind:
            case "conv":
                filters, kernel = layer.sizes
                modules.append(nn.Conv2d(channels, filters, kernel))
                side, channels = side - kernel + 1, filters
            case "batchnorm":
                modules.append(nn.BatchNorm2d(channels, eps=0.001, momentum=0.01))
            case "maxpool":
                is_same = layer.padding == "same"  # a window over the edge, which for a maximum is the same
                modules.append(nn.MaxPool2d(layer.sizes[0], ceil_mode=is_same))
                side = (math.ceil if is_same else math.floor)(side / layer.sizes[0])
            case "dropout":
                modules.append(nn.Dropout(layer.rate))
            case "flatten":
                modules.append(Flatten())
                channels *= side * side
            case "dense":
                modules.append(nn.Linear(channels, layer.sizes[0]))
                channels = layer.sizes[0]
        if isinstance(modules[-1], nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(modules[-1].weight)
            nn.init.zeros_(modules[-1].bias)
        if layer.activation == "relu":
            modules.append(nn.ReLU(inplace=True))
    network = nn.Sequential(*modules)
    if not is_planar:
        network = network.to(memory_format=torch.channels_last)

    parameters, rate = list(network.parameters()), probe.learning_rate
    optimizer = {
        "adam": lambda: torch.optim.Adam(parameters, rate, eps=1e-7, fused=True),
        "sgd": lambda: torch.optim.SGD(parameters, rate, fused=True),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, rate, alpha=0.9, eps=1e-7, foreach=True),
    }[probe.optimizer]()

    def loss_of(inputs, targets):
        with torch.autocast("cpu", torch.bfloat16) if is_bfloat16 else nullcontext():
            logits = network(inputs)
        return cross_entropy(logits.float(), targets)

    if chosen.variant.startswith("compiled"):
        loss_of = torch.compile(loss_of, dynamic=False, options={"fallback_random": True})

    images, classes = map(torch.from_numpy, load(chosen.data, probe, chosen.images))
    images = images.permute(0, 3, 1, 2)
    if is_bfloat16:
        images = images.to(torch.bfloat16)  # once, not in every step
    size, steps = probe.batch_size, len(images) // probe.batch_size
    clock = Clock(chosen, steps * size, {"versions": {"torch": torch.__version__}})
    for _ in clock.epochs():
        order = torch.randperm(len(images))
        for index in range(steps):
            batch = order[index * size : (index + 1) * size]
            loss = loss_of(images[batch], classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        clock.about["loss"] = loss.item()


if __name__ == "__main__":
    main()

"""PyTorch with a hand-written loop: preloaded tensors, autocast, channels-last memory, fused optimizers.

Variants: ``eager``; ``compiled`` puts network and loss through ``torch.compile``; ``-planar`` keeps the default memory
layout. The compiled ones draw dropout masks with eager's generator, which is faster than the compiler's own.
"""

from __future__ import annotations

from contextlib import nullcontext

from .common import Clock, arguments, load


def main() -> None:
    chosen = arguments("eager", "eager-planar", "compiled", "compiled-planar")

    import torch
    from torch.nn.functional import cross_entropy

    from .torch_network import network_of

    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    probe, is_planar = chosen.probe, chosen.variant.endswith("-planar")
    is_bfloat16 = chosen.precision == "bfloat16"

    network = network_of(probe, is_planar=is_planar)
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
    if is_planar:
        images = images.contiguous()
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

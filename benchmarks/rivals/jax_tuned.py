"""JAX without a framework: one jitted scan over an epoch's steps, convolutions as patches times a matrix.

That form is several times faster on processors than ``jax.lax.conv``. Keras's formulas for the optimizers.
"""

from __future__ import annotations

import math
import os
from functools import partial

from .common import Clock, arguments, load


def main() -> None:
    chosen = arguments("scan")
    if chosen.threads:  # XLA sizes its pools by the cores that it sees
        cores = sorted(os.sched_getaffinity(0))
        first = chosen.place * chosen.threads % len(cores)
        os.sched_setaffinity(0, cores[first : first + chosen.threads])

    import jax
    import jax.numpy as jnp
    from probes import layers_of

    probe = chosen.probe
    dtype = jnp.dtype(chosen.precision)
    layers = layers_of(probe)
    if {layer.kind for layer in layers} & {"residual", "depthwise"} or probe.shape != (28, 28, 1):
        raise SystemExit("this script trains the probes on grey images only: see roster.py")

    def glorot(key, shape, window=1):
        limit = math.sqrt(6 / (window * (shape[0] // window + shape[1])))
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    def initial(key):
        """Trainable values and moving statistics, a dictionary for each layer."""
        values, moving, side, channels = [], [], 28, 1
        for layer in layers:
            key, own = jax.random.split(key)
            value, statistics = {}, {}
            if layer.kind == "conv":
                filters, kernel = layer.sizes
                value["kernel"] = glorot(own, (kernel * kernel * channels, filters), kernel * kernel)
                value["bias"] = jnp.zeros(filters)
                side, channels = side - kernel + 1, filters
            elif layer.kind == "batchnorm":
                value = {"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)}
                statistics = {"mean": jnp.zeros(channels), "variance": jnp.ones(channels)}
            elif layer.kind == "maxpool":
                side = (math.ceil if layer.padding == "same" else math.floor)(side / layer.sizes[0])
            elif layer.kind == "flatten":
                channels *= side * side
            elif layer.kind == "dense":
                value = {"kernel": glorot(own, (channels, layer.sizes[0])), "bias": jnp.zeros(layer.sizes[0])}
                channels = layer.sizes[0]
            values.append(value)
            moving.append(statistics)
        return values, moving

    def product(one, other):
        return jnp.matmul(one.astype(dtype), other.astype(dtype), preferred_element_type=jnp.float32)

    def convolve(x, value, kernel):
        rows, columns = x.shape[1] - kernel + 1, x.shape[2] - kernel + 1
        windows = [x[:, i : i + rows, j : j + columns] for i in range(kernel) for j in range(kernel)]
        return product(jnp.concatenate(windows, axis=-1), value["kernel"]) + value["bias"]

    def pool(x, size, padding):
        over = -x.shape[1] % size if padding == "same" else 0
        if over:
            x = jnp.pad(x, ((0, 0), (0, over), (0, over), (0, 0)), constant_values=-jnp.inf)
        side = x.shape[1] // size
        x = x[:, : side * size, : side * size].reshape(len(x), side, size, side, size, x.shape[-1])
        return x.max((2, 4))

    def normalize(x, value, statistics):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        moved = {"mean": mean, "variance": variance}
        moved = {name: 0.99 * statistics[name] + 0.01 * new for name, new in moved.items()}
        return (x - mean) * (jax.lax.rsqrt(variance + 0.001) * value["gamma"]) + value["beta"], moved

    def loss_of(values, moving, inputs, targets, key):
        x, moved = inputs, []
        for layer, value, statistics in zip(layers, values, moving, strict=True):
            if layer.kind == "conv":
                x = convolve(x, value, layer.sizes[1])
            elif layer.kind == "batchnorm":
                x, statistics = normalize(x, value, statistics)
            elif layer.kind == "maxpool":
                x = pool(x, layer.sizes[0], layer.padding)
            elif layer.kind == "dropout":
                key, own = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(own, 1 - layer.rate, x.shape), x / (1 - layer.rate), 0)
            elif layer.kind == "flatten":
                x = x.reshape(len(x), -1)
            elif layer.kind == "dense":
                x = product(x, value["kernel"]) + value["bias"]
            x = jax.nn.relu(x) if layer.activation == "relu" else x
            moved.append(statistics)
        picked = jnp.take_along_axis(jax.nn.log_softmax(x), targets[:, None], axis=1)
        return -picked.mean(), moved

    def update(value, slots, gradient, step):
        rate = probe.learning_rate
        if probe.optimizer == "sgd":
            return value - rate * gradient, slots
        if probe.optimizer == "rmsprop":
            square = 0.9 * slots[0] + 0.1 * gradient**2
            return value - rate * gradient * jax.lax.rsqrt(square + 1e-7), (square, slots[1])
        mean = 0.9 * slots[0] + 0.1 * gradient
        square = 0.999 * slots[1] + 0.001 * gradient**2
        rate = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        return value - rate * mean / (jnp.sqrt(square) + 1e-7), (mean, square)

    def train_step(images, classes, state, batch):
        values, moving, slots, step, key = state
        key, own = jax.random.split(key)
        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, moving), gradients = gradient_of(values, moving, images[batch], classes[batch], own)
        flat, tree = jax.tree.flatten(values)
        pairs = zip(flat, slots, jax.tree.leaves(gradients), strict=True)
        updated = [update(*pair, step + 1.0) for pair in pairs]
        values = jax.tree.unflatten(tree, [value for value, _ in updated])
        return (values, moving, [slot for _, slot in updated], step + 1.0, key), loss

    size, steps = probe.batch_size, chosen.images // probe.batch_size

    @partial(jax.jit, donate_argnums=2)
    def epoch(images, classes, state):
        key, own = jax.random.split(state[-1])
        order = jax.random.permutation(own, len(images))[: steps * size].reshape(steps, size)
        state, losses = jax.lax.scan(partial(train_step, images, classes), (*state[:-1], key), order)
        return state, losses[-1]

    images, classes = map(jnp.asarray, load(chosen.data, probe, chosen.images))
    values, moving = initial(jax.random.key(0))
    slots = [(jnp.zeros_like(leaf), jnp.zeros_like(leaf)) for leaf in jax.tree.leaves(values)]
    # Dropout masks from the generator that is fastest on processors.
    state = (values, moving, slots, jnp.zeros(()), jax.random.key(1, impl="unsafe_rbg"))
    clock = Clock(chosen, steps * size, {"versions": {"jax": jax.__version__}})
    for _ in clock.epochs():
        state, loss = epoch(images, classes, state)
        clock.about["loss"] = float(loss)


if __name__ == "__main__":
    main()

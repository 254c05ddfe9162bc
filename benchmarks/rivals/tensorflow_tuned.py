"""TensorFlow as fast as its own means make it: mixed precision, no copies from NumPy, with and without XLA.

Variants: ``pipeline`` feeds ``fit`` from a tf.data pipeline over images cached in memory, many steps per call;
``memory`` runs whole epochs in one ``tf.function`` that gathers its batches from a tensor. ``-xla`` compiles the step.
"""

from __future__ import annotations

import os
from importlib.metadata import version

from .common import Clock, arguments, load


def main() -> None:
    chosen = arguments("memory", "memory-xla", "pipeline", "pipeline-xla")
    os.environ["KERAS_BACKEND"] = "tensorflow"

    import tensorflow as tf

    if chosen.threads:
        tf.config.threading.set_intra_op_parallelism_threads(chosen.threads)
        tf.config.threading.set_inter_op_parallelism_threads(chosen.threads)
    import keras

    from .keras_models import Timed, model_of, optimizer_of

    if chosen.precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    probe, use_xla = chosen.probe, chosen.variant.endswith("-xla")
    images, classes = (tf.constant(array) for array in load(chosen.data, probe, chosen.images))
    size, steps = probe.batch_size, len(images) // probe.batch_size
    model, optimizer = model_of(probe), optimizer_of(probe)
    clock = Clock(chosen, steps * size, {"versions": {name: version(name) for name in ("keras", "tensorflow-cpu")}})

    if chosen.variant.startswith("pipeline"):
        indices = tf.data.Dataset.range(len(images)).shuffle(len(images)).batch(size, drop_remainder=True)
        batches = indices.map(lambda chosen: (tf.gather(images, chosen), tf.gather(classes, chosen))).prefetch(2)
        options = tf.data.Options()
        options.threading.private_threadpool_size = chosen.threads
        model.compile(
            optimizer,
            loss="sparse_categorical_crossentropy",
            jit_compile=use_xla,
            steps_per_execution=min(20, steps),
        )
        model.fit(batches.with_options(options), epochs=10**6, verbose=0, callbacks=[Timed(clock)])
        return

    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    @tf.function(jit_compile=use_xla)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            loss = loss_of(targets, model(inputs, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function
    def epoch():
        order = tf.random.shuffle(tf.range(len(images)))
        loss = 0.0
        for index in tf.range(steps):
            batch = order[index * size : (index + 1) * size]
            loss = step(
                tf.ensure_shape(tf.gather(images, batch), (size, *probe.shape)),
                tf.ensure_shape(tf.gather(classes, batch), (size,)),
            )
        return loss

    for _ in clock.epochs():
        clock.about["loss"] = float(epoch())


if __name__ == "__main__":
    main()

"""Local training of Keras models: simulated owners at once, beside one after the other.

CPU times of one thread, medians of several rounds, after a first round that TensorFlow compiles. Every owner has 60 images of
8 x 8 and takes local steps of gradient descent over batches of 20. The time has all that a round needs on the owners' side:
drawing batches, loading weights, steps, reading the result. Both give the same updates, which is checked.

Run: ``python benchmarks/local_training.py [--owners N] [--steps K]``.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privwiz.federated.data_owner import BaseDataOwner, Broadcast, LocalUpdate
from privwiz.federated.lazy_tensorflow import load_keras
from privwiz.federated.model_fns import reptile_cohort_fn, reptile_model_fn
from privwiz.federated.records import write_records

RUNS = 3


def models() -> dict[str, Any]:
    """Two classifiers of small images."""
    keras = load_keras()
    layers, image = keras.layers, keras.layers.Input((8, 8, 1))
    return {
        "dense, 4,810 weights": keras.Sequential(
            [image, layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)]
        ),
        "convolution, 5,130 weights": keras.Sequential(
            [
                image,
                layers.Conv2D(16, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(32, activation="relu"),
                layers.Dense(10),
            ]
        ),
    }


def measure(
    owners: list[BaseDataOwner], model: Any, work: Callable[[], Iterator[LocalUpdate]]
) -> tuple[float, list[LocalUpdate]]:
    """Median CPU milliseconds of a round, and its updates."""
    times = []
    updates: list[LocalUpdate] = []
    for _ in range(RUNS + 1):
        start = time.process_time()
        for owner in owners:
            owner.receive(Broadcast(0, tuple(model.get_weights()), seed=0))
        updates = list(work(owners))
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times[1:]), updates


def one_by_one(owners: list[BaseDataOwner], steps: int) -> Iterator[LocalUpdate]:
    """Let owners take turns."""
    for owner in owners:
        yield owner.compute(reptile_model_fn, {"iterations": steps})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    keras, rng = load_keras(), np.random.default_rng(0)
    loss, optimizer = keras.losses.SparseCategoricalCrossentropy(from_logits=True), keras.optimizers.SGD(0.1)
    print(f"{options.owners} owners, {options.steps} local steps; CPU ms per round")
    print(f"{'model':<28}{'one by one':>12}{'at once':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.owners):
            write_records(Path(folder, str(number)), rng.normal(size=(60, 8, 8, 1)).astype("float32"), rng.integers(10, size=60))
        for name, model in models().items():
            owners = [
                BaseDataOwner(str(number), Path(folder, str(number)), model, loss, optimizer, batch_size=20)
                for number in range(options.owners)
            ]
            for owner in owners:
                owner.share(owners[0].replica)
            slow, alone = measure(owners, model, partial(one_by_one, steps=options.steps))
            fast, together = measure(owners, model, partial(reptile_cohort_fn, iterations=options.steps))
            for one, other in zip(alone, together, strict=True):
                for left, right in zip(one.trainable, other.trainable, strict=True):
                    np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-5)
            print(f"{name:<28}{slow:>12.0f}{fast:>10.0f}{slow / fast:>8.1f}")


if __name__ == "__main__":
    main()

"""Secure sums: what secret sharing costs beside adding in the open, and how many simulated devices learn per second.

CPU times of one thread, medians of several runs. Rivals in the same run: numpy's sum of the same encoded array, and the plain
engine. "Randomness" is making and expanding the seeds of all devices once; sharing needs it twice, on the device and at the
aggregator. Learning is FedAvg with 50 weights, 30 examples and 5 local steps, beside the plain loop over devices.

Run: ``python benchmarks/secure_sum.py [--devices N] [--length D]``.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from privwiz.federated.aggregator import Aggregator, open_sums
from privwiz.federated.algorithms import Local, fed_avg, start
from privwiz.federated.examples import Examples, stack
from privwiz.federated.fixed_point import encode
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.secure import PlainSum, SecureSum, ShareSum
from privwiz.federated.shares import expand, fresh_seeds, share_update

RUNS = 5
BOUND = 16.0


def cpu(work: Callable[[], object]) -> float:
    """Median CPU milliseconds of a piece of work."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def sums(devices: int, length: int) -> list[tuple[str, float]]:
    """Times of one secure sum and its parts."""
    updates = np.clip(np.random.default_rng(0).normal(size=(devices, length)), -BOUND, BOUND)
    codes = encode(updates, BOUND)
    plan = RoundPlan(0, frozenset(range(devices)), length, BOUND)
    uploads = [share_update(plan, k, update, fresh_seeds()) for k, update in enumerate(updates)]

    def round_of(engine: SecureSum) -> None:
        engine.begin(plan)
        for k, update in enumerate(updates):
            engine.submit(k, update)
        error = np.abs(engine.open().mean() - updates.mean(axis=0)).max()
        assert error < 1e-6, error

    def add_up() -> None:
        aggregators = [Aggregator(index) for index in range(3)]
        for index, aggregator in enumerate(aggregators):
            aggregator.begin(plan)
            for messages in uploads:
                aggregator.receive(messages[index])
            aggregator.close()
        open_sums(plan, [aggregator.add(plan.cohort) for aggregator in aggregators])

    return [
        ("numpy's sum of the encoded array", cpu(lambda: codes.sum(axis=0, dtype=np.uint64))),
        ("randomness, once", cpu(lambda: [expand(seed, length) for _ in updates for seed in fresh_seeds()])),
        ("`plain`: encode and add", cpu(lambda: round_of(PlainSum()))),
        ("`shares`: encode, share, check, add, open", cpu(lambda: round_of(ShareSum()))),
        ("of these, the three aggregators and opening", cpu(add_up)),
    ]


def learning(devices: int) -> tuple[float, float]:
    """Devices per CPU-second: the batch, and the plain loop."""
    rng = np.random.default_rng(0)
    examples = [Examples(rng.normal(size=(30, 50)), rng.choice([-1, 1], (30, 1)).astype(np.int8)) for _ in range(devices)]
    algorithm, state, batch = fed_avg(Local(rate=0.1, steps=5)), start(np.zeros((1, 50))), stack(examples)
    few = examples[: devices // 8]
    batched = cpu(lambda: algorithm.client_updates(state, batch))
    loop = cpu(lambda: [algorithm.client_update(state, one) for one in few])
    return 1000 * devices / batched, 1000 * len(few) / loop


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--length", type=int, default=1000)
    options = parser.parse_args()
    rows = sums(options.devices, options.length)
    plain = dict(rows)["`plain`: encode and add"]
    print(f"| {options.devices:,} devices x {options.length:,} numbers | CPU ms | times `plain` |\n|---|---|---|")
    for name, ms in rows:
        print(f"| {name} | {ms:.1f} | {ms / plain:.2f} |")
    batched, loop = learning(512)
    print(f"\nFedAvg, devices per CPU-second: {batched:,.0f} batched, {loop:,.0f} in the plain loop")


if __name__ == "__main__":
    main()

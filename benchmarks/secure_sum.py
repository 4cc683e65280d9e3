"""Secure sums: what each engine costs, beside adding in the open; and how many simulated devices learn per second.

Medians of several runs, in one process, after a first run that does not count. CPU times are those of all threads. Every sum is
checked: the engines agree bit for bit, and the mean differs from that of floats by at most 1e-6. "Randomness" is making and
expanding the seeds of all devices once; sharing needs it twice, on the device and at the aggregator. Learning is FedAvg with 50
weights, 30 examples and 5 local steps, beside the plain loop over devices.

Rivals in the same run: numpy's sum of the same encoded array, and tf-encrypted's own way, once: `define_private_input` for each
device, then `add_n`. That crashes unless its native source of random numbers was built for this very version of TensorFlow. So
seeds of the operating system are put in its place here, which TensorFlow's generator expands; it is not fit for secrets, but
fast. With the native source, 1,000 x 1,000 took 37.9 s (Pond, eager) when it was built and measured once, on a busy machine.

Run: ``python benchmarks/secure_sum.py [--sizes 1000x1000,100x10000]``.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count

import numpy as np

from privwiz.federated.aggregator import Aggregator, open_sums
from privwiz.federated.algorithms import Local, fed_avg, start
from privwiz.federated.examples import Examples, stack
from privwiz.federated.fixed_point import encode
from privwiz.federated.rounds import OpenedSum, RoundPlan
from privwiz.federated.secure import ENGINES, PlainSum, SecureSum
from privwiz.federated.shares import expand, fresh_seeds, share_update
from privwiz.federated.simulation import train_round
from privwiz.federated.tfe import load

RUNS = 5
BOUND = 16.0


ROUNDS = count()
Times = tuple[float, float]
"""CPU and wall milliseconds."""


def measured(work: Callable[[], object]) -> Times:
    """Median times of a piece of work."""
    work()
    times = []
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        times.append((1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)))
    return statistics.median(cpu for cpu, _ in times), statistics.median(wall for _, wall in times)


def sums(devices: int, length: int) -> Iterator[tuple[str, Times]]:
    """Times of one secure sum on every engine, of its parts, and of the rivals."""
    updates = np.clip(np.random.default_rng(0).normal(size=(devices, length)), -BOUND, BOUND)
    codes = encode(updates, BOUND)
    cohort = frozenset(range(devices))
    uploads = [share_update(RoundPlan(0, cohort, length, BOUND), k, update, fresh_seeds()) for k, update in enumerate(updates)]

    def round_of(engine: SecureSum) -> OpenedSum:
        engine.begin(RoundPlan(next(ROUNDS), cohort, length, BOUND))
        engine.submit_many(range(devices), updates)
        opened = engine.open()
        assert (opened.ring == codes.sum(axis=0, dtype=np.uint64)).all()
        error = np.abs(opened.mean() - updates.mean(axis=0)).max()
        assert error <= 1e-6, error
        return opened

    def add_up() -> None:
        aggregators = [Aggregator(index) for index in range(3)]
        plan = RoundPlan(0, cohort, length, BOUND)
        for index, aggregator in enumerate(aggregators):
            aggregator.begin(plan)
            for messages in uploads:
                aggregator.receive(messages[index])
            aggregator.close()
        open_sums(plan, [aggregator.add(cohort) for aggregator in aggregators])

    yield "numpy's sum of the encoded array", measured(lambda: codes.sum(axis=0, dtype=np.uint64))
    yield "randomness, once", measured(lambda: [expand(seed, length) for _ in updates for seed in fresh_seeds()])
    yield "the three aggregators of `shares` and opening", measured(add_up)
    for name, make in ENGINES.items():
        engine = make()
        yield f"`{name}`", measured(lambda engine=engine: round_of(engine))  # type: ignore[misc]


def own_way(protocol: str, devices: int, length: int) -> Times:
    """Times of one sum of which tf-encrypted makes the shares itself."""
    tfe = load()
    import tensorflow as tf
    from tf_encrypted.operations import secure_random

    tfe.set_config(tfe.LocalConfig(["server0", "server1", "server2", "model-owner"]))
    tfe.set_protocol(getattr(tfe.protocol, protocol)())
    values = np.clip(np.random.default_rng(0).normal(size=(devices, length)), -BOUND, BOUND)
    opened: list[object] = []

    def total() -> None:
        inputs = [tfe.define_private_input("model-owner", lambda row=row: tf.constant(row)) for row in values]
        tfe.define_output("model-owner", [tfe.add_n(inputs)], lambda total: opened.append(total.numpy()))

    secure_random.secure_seed = lambda: tf.constant(np.frombuffer(os.urandom(16), np.int64))
    cpu, wall = time.process_time(), time.perf_counter()
    total()
    times = 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)
    tfe.protocol.protocol.nodes.clear()
    return times


class Stream(Mapping[int, Examples]):
    """Any number of devices, handed out from a few that were prepared: what a mapping that reads them from a disk would do."""

    def __init__(self, prepared: list[Examples], devices: int) -> None:
        self._prepared, self._devices = prepared, devices

    def __getitem__(self, device: int) -> Examples:
        """The examples of a device."""
        return self._prepared[device % len(self._prepared)]

    def __iter__(self) -> Iterator[int]:
        """The devices in their order."""
        return iter(range(self._devices))

    def __len__(self) -> int:
        """How many there are."""
        return self._devices


def learning() -> Iterator[tuple[str, float, float]]:
    """What is done, devices per CPU-second, and the largest memory so far in MB."""
    rng = np.random.default_rng(0)
    examples = [Examples(rng.normal(size=(30, 50)), rng.choice([-1, 1], (30, 1)).astype(np.int8)) for _ in range(256)]
    algorithm, state, batch = fed_avg(Local(rate=0.1, steps=5)), start(np.zeros((1, 50))), stack(examples)
    few = examples[:32]

    def row(name: str, devices: int, work: Callable[[], object]) -> tuple[str, float, float]:
        cpu, _ = measured(work)
        return name, 1000 * devices / cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def whole_round(devices: int) -> None:
        plan = RoundPlan(next(ROUNDS), frozenset(range(devices)), 51, 800.0)
        train_round(algorithm, state, Stream(examples, devices), plan, PlainSum())

    yield row("the plain loop, updates alone", len(few), lambda: [algorithm.client_update(state, one) for one in few])
    yield row("batched, updates alone", len(examples), lambda: algorithm.client_updates(state, batch))
    for devices in (2_000, 20_000, 200_000):
        yield row(f"whole round, streamed, {devices:,} devices", devices, lambda devices=devices: whole_round(devices))  # type: ignore[misc]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000x1000,1000x50,100x10000", metavar="DEVICESxLENGTH,...")
    for size in parser.parse_args().sizes.split(","):
        devices, length = map(int, size.split("x"))
        rows = dict(sums(devices, length))
        plain, _ = rows["`plain`"]
        print(f"| {devices:,} devices x {length:,} numbers | CPU ms | wall ms | CPU, times `plain` |\n|---|---|---|---|")
        for name, (cpu, wall) in rows.items():
            print(f"| {name} | {cpu:.1f} | {wall:.1f} | {cpu / plain:.2f} |")
        numpy_and_randomness = rows["numpy's sum of the encoded array"][0] + rows["randomness, once"][0]
        print(f"\n`shares` takes {rows['`shares`'][0] / numpy_and_randomness:.1f} times numpy's sum and the randomness.")
        for name, protocol in (("tfe-pond", "Pond"), ("tfe-aby3", "ABY3")):
            cpu, wall = own_way(protocol, devices, length)
            times = cpu / rows[f"`{name}`"][0]
            print(f"tf-encrypted's own way, {protocol}: {cpu:,.0f} ms CPU, {wall:,.0f} ms wall; {times:.0f} times `{name}` (CPU)")
        print()
    print("| FedAvg | devices per CPU-second | memory at most, MB |\n|---|---|---|")
    for name, devices_per_second, memory in learning():
        print(f"| {name} | {devices_per_second:,.0f} | {memory:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

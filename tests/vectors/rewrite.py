"""Write the known-answer vectors again: ``python tests/vectors/rewrite.py``, after a change that is meant to change what is sent.

Each file holds cases; a case that must fail says so by ``refused``, a part of the reason. Numbers are hexadecimal floats, ring
elements decimal texts, bytes hexadecimal. Seeds are derived from a label of the case, so the files come out the same everywhere.

``encoding.json``  values, bound, fraction_bits -> ring
``plans.json``     the terms of a round, admitted or refused
``shares.json``    round, device, values and seeds -> the three messages on the wire
``sums.json``      steps of a round at the three aggregators, each admitted or refused -> the opened ring sum
``engines.json``   steps of a round at any engine of secure sums, each admitted or refused -> the opened ring sum
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from privwiz.errors import PrivwizError
from privwiz.federated.aggregator import Aggregator, open_sums
from privwiz.federated.fixed_point import encode
from privwiz.federated.rounds import RoundPlan
from privwiz.federated.shares import ShareMessage, share_update

HERE = Path(__file__).parent

ENCODINGS = [
    {"values": [0.0, 1.0, -1.0, 0.5, -0.5], "bound": 1.0, "fraction_bits": 24},
    {"values": [2.0**-25, 3 * 2.0**-25, -(2.0**-25), 2.0**-26], "bound": 1.0, "fraction_bits": 24},  # halves go to even
    {"values": [3.0, -7.0], "bound": 10.0, "fraction_bits": 0},
    {"values": [0.1, -0.1], "bound": 1.0, "fraction_bits": 52},
    {"values": [], "bound": 1.0, "fraction_bits": 24},
    {"values": [float("nan")], "bound": 1.0, "fraction_bits": 24, "refused": "holds nan"},
    {"values": [0.0, float("-inf")], "bound": 1.0, "fraction_bits": 24, "refused": "holds -inf"},
    {"values": [1.0000001], "bound": 1.0, "fraction_bits": 24, "refused": "beyond the bound"},
    {"values": [0.0], "bound": 2.0**40, "fraction_bits": 24, "refused": "do not fit 64 bits"},
    {"values": [0.0], "bound": -1.0, "fraction_bits": 24, "refused": "must be positive"},
    {"values": [0.0], "bound": 1.0, "fraction_bits": 63, "refused": "from 0 to 62"},
]

PLAN = {"round_id": 7, "cohort": list(range(100, 112)), "length": 3, "bound": 4.0}
PLANS = [
    PLAN,
    PLAN | {"cohort": list(range(9)), "refused": "too few"},
    PLAN | {"cohort": [1, 2], "minimum": 2, "refused": "only a simulation"},
    PLAN | {"cohort": [1, 2], "minimum": 2, "simulation": True},
    PLAN | {"cohort": list(range(16)), "bound": 2.0**35 - 2**-18},  # the float below 2^35
    PLAN | {"cohort": list(range(16)), "bound": 2.0**35, "refused": "wrap around"},
    PLAN | {"cohort": list(range(16)), "bound": 2.0**34, "noise_variance": 2**120, "refused": "wrap around"},
    PLAN | {"length": 0, "refused": "length"},
    PLAN | {"round_id": 2**64, "refused": "2^64 - 1"},
    PLAN | {"cohort": [-1, *range(20)], "refused": "2^64 - 1"},
]

SHARES = [
    {"label": "one", "device": 100, "values": [1.5, -2.25, 0.0]},
    {"label": "two", "device": 111, "values": [-4.0, 4.0, 2.0**-24]},
    {"label": "uninvited", "device": 99, "values": [0.0, 0.0, 0.0], "refused": "not in the cohort"},
    {"label": "long", "device": 100, "values": [0.0] * 4, "refused": "shape (4,)"},
    {"label": "short", "device": 100, "values": [0.0] * 2, "refused": "shape (2,)"},
    {"label": "nan", "device": 100, "values": [0.0, float("nan"), 0.0], "refused": "holds nan"},
]


def plan_of(terms) -> RoundPlan:
    """Return the plan of these terms."""
    known = {name: value for name, value in terms.items() if name != "refused"}
    return RoundPlan(**(known | {"cohort": frozenset(terms["cohort"])}))


def seeds_of(label):
    """Return two seeds that follow from a label: for vectors only."""
    return tuple(hashlib.sha256(f"{label}/{k}".encode()).digest() for k in range(2))


def messages_of(device, values, label=None, **plan):
    """Return the three messages of a device in the round of the vectors, or in one that differs in some terms."""
    return share_update(plan_of(PLAN | plan), device, np.array(values), seeds_of(label or f"device {device}"))


def attempt(action):
    """Return what an action gives and None, or None and why it was refused."""
    try:
        return action(), None
    except PrivwizError as error:
        return None, str(error)


def encoded(case):
    """Run a case of encoding.json: the ring elements as texts."""
    values = np.array([float.fromhex(value) for value in case["values"]])
    return attempt(lambda: [str(code) for code in encode(values, float.fromhex(case["bound"]), case["fraction_bits"])])


def shared(case):
    """Run a case of shares.json: the three messages as they are sent."""
    values = np.array([float.fromhex(value) for value in case["values"]])
    seeds = tuple(bytes.fromhex(seed) for seed in case["seeds"])
    return attempt(lambda: [message.to_bytes().hex() for message in share_update(plan_of(PLAN), case["device"], values, seeds)])


def summed(steps):
    """Run the steps of a case of sums.json: whether each was refused and why, and the opened sum if it came to that."""
    aggregators = [Aggregator(index) for index in range(3)]
    results, partial = [], {}

    def do(step):
        aggregator = aggregators[step["aggregator"]]
        match step["do"]:
            case "begin":
                aggregator.begin(plan_of(step["plan"]))
            case "receive":
                aggregator.receive(ShareMessage.from_bytes(bytes.fromhex(step["message"])))
            case "close":
                aggregator.close()
            case "add":
                partial[step["aggregator"]] = aggregator.add(frozenset(step["contributors"]))

    for step in steps:
        if step["do"] == "open":
            result = attempt(lambda: open_sums(plan_of(PLAN), list(partial.values())))
            results.append(result)
        else:
            results.append(attempt(lambda step=step: do(step)))
    return results


def good_steps():
    """Return the steps of a round in which device 111 drops out before, and device 110 in the middle of its upload."""
    values = {device: [device / 64 - 1.5, -device / 32, 1.0] for device in range(100, 111)}
    uploads = {device: [message.to_bytes().hex() for message in messages_of(device, v)] for device, v in values.items()}
    together = list(range(100, 110))
    everybody = range(3)
    return [
        *({"do": "begin", "aggregator": k, "plan": PLAN} for k in everybody),
        *({"do": "receive", "aggregator": k, "message": uploads[device][k]} for device in together for k in everybody),
        *({"do": "receive", "aggregator": k, "message": uploads[110][k]} for k in (0, 2)),
        *({"do": "close", "aggregator": k} for k in everybody),
        *({"do": "add", "aggregator": k, "contributors": together} for k in everybody),
        {"do": "open", "aggregator": 0},
    ]


def refusals():
    """Return steps that must be refused and change nothing, each with its place in the good round."""
    good = good_steps()
    close = next(k for k, step in enumerate(good) if step["do"] == "close")
    add = next(k for k, step in enumerate(good) if step["do"] == "add")
    first = good[3]["message"]
    tampered, tampered_vector = (bytearray.fromhex(step["message"]) for step in (good[3], good[5]))
    tampered[-1] ^= 1
    tampered_vector[-1] ^= 1
    late = messages_of(111, [1.0, 1.0, 1.0])

    def receive(message, refused, aggregator=0):
        text = message if isinstance(message, str) else message.to_bytes().hex()
        return {"do": "receive", "aggregator": aggregator, "message": text, "refused": refused}

    def adding(contributors, refused):
        return {"do": "add", "aggregator": 0, "contributors": contributors, "refused": refused}

    def at(position, case, step):
        return {"case": case, "at": position, "step": step}

    end = len(good)
    return [
        at(3, "wrong round", receive(messages_of(100, [0.0] * 3, round_id=8)[0], "for round 8")),
        at(3, "wrong aggregator", receive(late[1], "for aggregator 1")),
        at(3, "wrong length", receive(messages_of(100, [0.0] * 4, length=4)[0], "has length 4")),
        at(3, "uninvited", receive(messages_of(9, [0.0] * 3, cohort=list(range(12)))[0], "not in the cohort")),
        at(3, "tampered seed", receive(tampered.hex(), "digest")),
        at(3, "tampered vector", receive(tampered_vector.hex(), "digest", aggregator=2)),
        at(3, "cut off", receive(first[:40], "cut off")),
        at(3, "seed too short", receive(first[:-2], "has 31 bytes")),
        at(3, "another version", receive("02" + first[2:], "version 2")),
        at(close, "repeated contributor", receive(first, "contributed")),
        at(close + 1, "late share", receive(late[0], "comes late")),
        at(close, "adding before closing", adding(list(range(100, 110)), "still receives")),
        at(add, "too few contributors", adding(list(range(100, 109)), "too few")),
        at(add, "share missing", adding(list(range(100, 112)), "no share of device 111")),
        at(add + 1, "second sum of a round", adding(list(range(100, 111)), "a second one")),
        at(end, "second sum after opening", adding(list(range(100, 111)), "a second one")),
        at(end, "round begun again", {"do": "begin", "aggregator": 0, "plan": PLAN, "refused": "begun before"}),
    ]


def played(engine, steps):
    """Run the steps of a case of engines.json: whether each was refused and why, and the opened sum if it came to that."""

    def do(step):
        match step["do"]:
            case "begin":
                return engine.begin(plan_of(step["plan"]))
            case "submit":
                return engine.submit(step["device"], floats(step["values"]))
            case "submit many":
                return engine.submit_many(step["devices"], floats(step["values"]))
        return engine.open()

    return [attempt(lambda step=step: do(step)) for step in steps]


def floats(texts):
    """Return the array that nested lists of hexadecimal floats stand for."""
    return np.array([floats(text) if isinstance(text, list) else float.fromhex(text) for text in texts])


def submit(device, values):
    """Return the step in which a device contributes."""
    return {"do": "submit", "device": device, "values": [float(value).hex() for value in values]}


def submit_many(devices, rows):
    """Return the step in which many devices contribute."""
    return {"do": "submit many", "devices": devices, "values": [[float(value).hex() for value in row] for row in rows]}


def engine_steps():
    """Return the steps of the round of `good_steps`: half of its devices one by one, half at once."""
    values = {device: [device / 64 - 1.5, -device / 32, 1.0] for device in range(100, 110)}
    return [
        {"do": "begin", "plan": PLAN},
        *(submit(device, values[device]) for device in range(100, 105)),
        submit_many(list(range(105, 110)), [values[device] for device in range(105, 110)]),
        {"do": "open"},
    ]


def engine_refusals():
    """Return steps that every engine must refuse without a change to the round, each with its place in the good one."""
    end, zeros, one = len(engine_steps()), [0.0] * 3, [1.0] * 3
    nan, inf = float("nan"), float("inf")
    cases = [
        (0, "no round yet", submit(100, zeros), "no round"),
        (0, "nothing to open", {"do": "open"}, "no round"),
        (1, "wrap-around", {"do": "begin", "plan": PLAN | {"round_id": 8, "bound": 2.0**36}}, "wrap around"),
        (1, "cohort too small", {"do": "begin", "plan": PLAN | {"round_id": 8, "cohort": list(range(9))}}, "too few"),
        (1, "minimum too small", {"do": "begin", "plan": PLAN | {"round_id": 8, "minimum": 2}}, "only a simulation"),
        (3, "round begun again", {"do": "begin", "plan": PLAN}, "begun before"),
        (3, "too few contributors", {"do": "open"}, "2 devices are too few"),
        (3, "repeated contributor", submit(100, one), "device 100 has contributed"),
        (3, "uninvited", submit(99, one), "device 99 is not in the cohort"),
        (3, "too long", submit(110, [1.0] * 4), "shape (4,)"),
        (3, "too short", submit(110, [1.0] * 2), "shape (2,)"),
        (3, "nan", submit(110, [0.0, nan, 0.0]), "holds nan"),
        (3, "infinity", submit(110, [0.0, 0.0, -inf]), "holds -inf"),
        (3, "beyond the bound", submit(110, [4.25, 0.0, 0.0]), "beyond the bound"),
        (3, "many, one of them repeated", submit_many([110, 101], [one, one]), "device 101 has contributed"),
        (3, "many, one of them twice", submit_many([110, 110], [one, one]), "device 110 has contributed"),
        (3, "many, one of them uninvited", submit_many([110, 112], [one, one]), "device 112 is not in the cohort"),
        (3, "many, too long", submit_many([110, 111], [[1.0] * 4] * 2), "shape (2, 4)"),
        (3, "many, one without an update", submit_many([110, 111], [one]), "shape (1, 3)"),
        (3, "many, one of them nan", submit_many([110, 111], [one, [0.0, nan, 0.0]]), "holds nan"),
        (3, "many, one beyond the bound", submit_many([110, 111], [one, [0.0, -4.25, 0.0]]), "beyond the bound"),
        (end, "late", submit(110, one), "no round"),
        (end, "many, late", submit_many([110, 111], [one, one]), "no round"),
        (end, "second sum", {"do": "open"}, "no round"),
        (end, "round begun after it was opened", {"do": "begin", "plan": PLAN}, "begun before"),
    ]
    return [{"case": case, "at": position, "step": step | {"refused": reason}} for position, case, step, reason in cases]


def files():
    """Return the text of each file of vectors."""
    encodings = [
        case | {"values": [float(value).hex() for value in case["values"]], "bound": case["bound"].hex()} for case in ENCODINGS
    ]
    shares = [
        case
        | {"values": [float(value).hex() for value in case["values"]], "seeds": [seed.hex() for seed in seeds_of(case["label"])]}
        for case in SHARES
    ]
    opened = summed(good_steps())[-1][0]
    answers = {"count": opened.count, "ring": [str(number) for number in opened.ring]}
    contents = {
        "encoding.json": [case if "refused" in case else case | {"ring": encoded(case)[0]} for case in encodings],
        "plans.json": PLANS,
        "shares.json": {
            "plan": PLAN,
            "cases": [case if "refused" in case else case | {"messages": shared(case)[0]} for case in shares],
        },
        "sums.json": {"steps": good_steps(), **answers, "refusals": refusals()},
        "engines.json": {"steps": engine_steps(), **answers, "refusals": engine_refusals()},
    }
    return {name: f"{json.dumps(content, indent=1)}\n" for name, content in contents.items()}


def main() -> None:
    """Write the files."""
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"wrote {HERE / name}", file=sys.stderr)


if __name__ == "__main__":
    main()

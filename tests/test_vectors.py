"""Known answers: what is sent and opened is the same in every version and language, and what must be refused is refused."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from privwiz.federated.secure import ENGINES
from privwiz.federated.shares import expand

REWRITE = Path(__file__).parent / "vectors" / "rewrite.py"
MENDED = "if this change was meant, run `python tests/vectors/rewrite.py` and look at the difference"
SCRIPT = runpy.run_path(str(REWRITE))


def stored(name):
    """Read a file of vectors."""
    return json.loads((REWRITE.parent / name).read_text(encoding="utf-8"))


def check(result, case, answer):
    """A case gives its stored answer, or is refused for the stored reason."""
    given, reason = result
    if "refused" in case:
        assert given is None
        assert case["refused"] in reason
    else:
        assert reason is None
        assert given == case.get(answer), MENDED


@pytest.mark.parametrize("case", stored("encoding.json"))
def test_encodings(case):
    """Numbers are encoded as stored; what is not finite, out of bounds or beyond 64 bits is refused."""
    check(SCRIPT["encoded"](case), case, "ring")


@pytest.mark.parametrize("case", stored("plans.json"))
def test_plans(case):
    """A cohort that is too small or could wrap around is refused before its round starts, up to the last unit of the ring."""
    _, reason = SCRIPT["attempt"](lambda: SCRIPT["plan_of"](case))
    check((None, reason), case, "nothing")


@pytest.mark.parametrize("case", stored("shares.json")["cases"], ids=lambda case: case["label"])
def test_shares(case):
    """The messages of a device are byte for byte as stored; an uninvited device or an update that does not fit is refused."""
    check(SCRIPT["shared"](case), case, "messages")


def test_a_good_round():
    """The stored messages of a round, two devices of which drop out, open to the stored sum."""
    case = stored("sums.json")
    results = SCRIPT["summed"](case["steps"])
    assert [reason for _, reason in results if reason] == []
    opened, _ = results[-1]
    assert [str(number) for number in opened.ring] == case["ring"], MENDED
    assert opened.count == case["count"] == 10


def test_the_sum_of_the_good_round_is_right():
    """The stored sum is what the ten contributors' numbers add up to, calculated by hand."""
    together = range(100, 110)
    expected = [sum(n / 64 - 1.5 for n in together), sum(-n / 32 for n in together), 10.0]
    assert [int(number) for number in stored("sums.json")["ring"]] == [int(number * 2**24) % 2**64 for number in expected]


@pytest.mark.parametrize("case", stored("sums.json")["refusals"], ids=lambda case: case["case"])
def test_refusals(case):
    """A step that must not be is refused for the stored reason, and the round opens as if it had not been tried."""
    good = stored("sums.json")
    steps, position = good["steps"], case["at"]
    results = SCRIPT["summed"]([*steps[:position], case["step"], *steps[position:]])
    check(results.pop(position), case["step"], "nothing")
    assert [reason for _, reason in results if reason] == []
    assert [str(number) for number in results[-1][0].ring] == good["ring"]


@pytest.mark.parametrize("name", ENGINES)
def test_a_good_round_of_every_engine(start_engine, name):
    """Every engine opens the sum that the stored messages of the same updates open to."""
    case = stored("engines.json")
    results = SCRIPT["played"](start_engine(name), case["steps"])
    assert [reason for _, reason in results if reason] == []
    opened, _ = results[-1]
    assert [str(number) for number in opened.ring] == case["ring"] == stored("sums.json")["ring"], MENDED
    assert opened.count == case["count"] == 10


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("case", stored("engines.json")["refusals"], ids=lambda case: case["case"])
def test_refusals_of_every_engine(start_engine, name, case):
    """What one engine refuses, every one does, for the stored reason, and the round opens as if it had not been tried."""
    good = stored("engines.json")
    steps, position = good["steps"], case["at"]
    results = SCRIPT["played"](start_engine(name), [*steps[:position], case["step"], *steps[position:]])
    check(results.pop(position), case["step"], "nothing")
    assert [reason for _, reason in results if reason] == []
    assert [str(number) for number in results[-1][0].ring] == good["ring"]


@pytest.mark.parametrize("name", ["encoding.json", "plans.json", "shares.json", "sums.json", "engines.json"])
def test_the_vectors_are_what_the_script_writes(name):
    """Nobody edited the vectors, and nobody forgot to write them again."""
    assert (REWRITE.parent / name).read_text(encoding="utf-8") == SCRIPT["files"]()[name], MENDED


def test_the_stream_is_that_of_the_standard():
    """The zero seed expands to the key stream of RFC 8439, appendix A.1, test vectors 1 and 2."""
    stream = bytes.fromhex(
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
    )
    assert expand(bytes(32), 16).tolist() == np.frombuffer(stream, "<u8").tolist()

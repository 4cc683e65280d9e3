import json
import os
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privwiz.calibration import Calibration
from privwiz.circles import find_circles
from privwiz.covariance import latent_prior
from privwiz.errors import DataError
from privwiz.features import FEATURES, friend_features
from privwiz.graphs import build_ego_network
from privwiz.items import CATALOGUE
from privwiz.posterior import Observations, condition, predict
from privwiz.prior import MOST_SCALE, MOST_WEIGHT, KernelScales, Prior
from privwiz.tuning import CANDIDATES

NAMES = list(FEATURES)
numbers = st.floats(-1e6, 1e6)


@st.composite
def priors(draw):
    """Priors over a few features and items, with numbers of any length."""
    features = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    items = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3, unique=True))
    d = len(features)
    factor = draw(arrays(float, (d + 1, d + 1), elements=st.floats(-10, 10)))
    return Prior(
        tuple(features),
        draw(arrays(float, d, elements=numbers)),
        draw(arrays(float, d, elements=st.floats(1e-9, 1e6))),
        tuple(items),
        draw(arrays(float, (len(items), d + 1), elements=st.floats(-MOST_WEIGHT, MOST_WEIGHT))),
        (factor @ factor.T + (factor @ factor.T).T) / 2,
        KernelScales(*draw(st.lists(st.floats(0, MOST_SCALE) | st.integers(0, 9), min_size=13, max_size=13))),
        draw(st.dictionaries(st.sampled_from(["data", "rounds"]), st.lists(st.integers() | st.booleans() | st.none()))),
        Calibration(*(draw(st.floats(low, high) | st.just(1)) for low, high in ((0, 4), (-1, 1), (-1, 1)))),
    )


def small(**changes):
    """Return a prior over two features and one item."""
    prior = Prior(("core", "log_degree"), np.array([0.5, 2]), np.array([1.0, 2]), ("phone",), np.array([[1.0, 2, 3]]), np.eye(3))
    return replace(prior, **changes)


def parts(prior):
    """Return all parts of a prior as values that compare with ``==``."""
    return [value.tolist() if isinstance(value := getattr(prior, part.name), np.ndarray) else value for part in fields(Prior)]


@given(priors())
@settings(max_examples=50)
def test_json_keeps_every_bit(prior):
    """What is read from JSON equals what was written, bit for bit, and is written as the same text."""
    back = Prior.from_json(prior.to_json())
    assert parts(back) == parts(prior)
    assert back.to_json() == prior.to_json()


def test_save_and_load(tmp_path):
    """`load` reads what `save` wrote; the file is one line of UTF-8 JSON of the named format."""
    path = tmp_path / "prior.json"
    prior = small(items=("手机",))
    prior.save(path)
    assert parts(Prior.load(path)) == parts(prior)
    text = path.read_text("utf-8")
    assert text.count("\n") == 1
    assert json.loads(text)["format"] == "privwiz.prior/1"


def test_save_replaces_in_one_step(tmp_path, monkeypatch):
    """If writing fails half-way, the old file is as it was and nothing else is left; else only the new file is there."""
    path = tmp_path / "prior.json"
    small().save(path)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        with pytest.raises(DataError, match="No space left on device"):
            Prior.flat().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    Prior.flat().save(path)
    assert parts(Prior.load(path)) == parts(Prior.flat())
    assert list(tmp_path.iterdir()) == [path]


def test_save_where_there_is_no_folder(tmp_path):
    """A folder that does not exist is an error that names the file."""
    path = tmp_path / "no" / "prior.json"
    with pytest.raises(DataError) as error:
        small().save(path)
    assert str(error.value) == f"{path}: its directory does not exist; create it first"


def damaged(**changes):
    """Return the text of a small prior with these parts replaced; a part that is None is left out."""
    data = {**json.loads(small().to_json()), **changes}
    return json.dumps({key: value for key, value in data.items() if value is not None})


def scales(**changes):
    """Return kernel scales as in a file, with these replaced; one that is None is left out."""
    return {name: value for name, value in {**asdict(KernelScales()), **changes}.items() if value is not None}


DAMAGED = {
    "empty": (
        "",
        (
            "this is not a JSON document (Expecting value: line 1 column 1 (char 0)); "
            "the file is damaged or cut off: take a whole copy, or make it anew"
        ),
    ),
    "list": ("[]", "the document is []; it must be an object"),
    "no format": ("{}", "'format' is missing; it must be a text"),
    "other format": ('{"format": "x"}', "the format is 'x'; a document of format 'privwiz.prior/1' is needed here"),
    "newer version": (
        '{"format": "privwiz.prior/2"}',
        "the format is 'privwiz.prior/2', but this privwiz reads version 1; export it again from this privwiz",
    ),
    "key twice": (
        '{"format": "privwiz.prior/1", "format": "privwiz.prior/1"}',
        "the key 'format' comes twice in one object; the file was edited or damaged: take a whole copy, or make it anew",
    ),
    "infinity": (damaged(center=[float("inf"), 0]), "Infinity is not a number that a file of ours can hold; export it again"),
    "too large": (damaged(center=[0, 0]).replace("0, 0]", "1e999, 0]", 1), "prior: center holds a number that is not finite"),
    "features missing": (damaged(features=None), "'features' is missing; it must be a list"),
    "feature not a text": (damaged(features=["core", 7]), "a name in 'features' is 7; it must be a text"),
    "feature unknown": (
        damaged(features=["core", "charm"]),
        "prior: this version has no friend feature 'charm'; train the prior again with this version",
    ),
    "feature twice": (damaged(features=["core", "core"]), "prior: friend feature 'core' comes twice"),
    "item twice": (damaged(items=["a", "a"], weights=[[1, 2, 3]] * 2), "prior: item 'a' comes twice"),
    "items a text": (damaged(items="phone"), "'items' is 'phone'; it must be a list"),
    "items too many": (
        damaged(items=["phone", "city"]),
        "prior: weights has shape (1, 3); its features and items need (2, 3)",
    ),
    "center missing": (damaged(center=None), "'center' is missing; it must be a list"),
    "center a text": (damaged(center=["0.5", 2]), "a number in 'center' is '0.5'; it must be a number"),
    "center short": (damaged(center=[1]), "prior: center has shape (1,); its features and items need (2,)"),
    "scale zero": (damaged(scale=[1, 0]), "prior: every scale must be positive"),
    "weights flat": (damaged(weights=[1, 2, 3]), "a row of 'weights' is 1; it must be a list"),
    "weights ragged": (damaged(weights=[[1, 2]]), "a row of 'weights' has 2 numbers; with these features it must have 3"),
    "weight true": (damaged(weights=[[1, 2, True]]), "a number in a row of 'weights' is True; it must be a number"),
    "weight astray": (
        damaged(weights=[[1, -1e10, 3]]),
        "prior: a weight of 1e+10 is more than 100 from 0; train the prior again, with smaller steps",
    ),
    "covariance not square": (
        damaged(covariance=[[1, 0, 0]]),
        "prior: covariance has shape (1, 3); its features and items need (3, 3)",
    ),
    "covariance not symmetric": (
        damaged(covariance=[[1, 1, 0], [0, 1, 0], [0, 0, 1]]),
        "prior: covariance must be symmetric and positive semi-definite",
    ),
    "covariance indefinite": (
        damaged(covariance=[[1, 2, 0], [2, 1, 0], [0, 0, 1]]),
        "prior: covariance must be symmetric and positive semi-definite",
    ),
    "scales missing": (damaged(scales=None), "'scales' is missing; it must be an object"),
    "a scale missing": (damaged(scales=scales(trust=None)), "kernel scale 'trust' is missing; it must be a number"),
    "a scale unknown": (
        damaged(scales=scales(charm=1)),
        "kernel scale 'charm' is not known to this version; use the one that made this prior",
    ),
    "a scale negative": (damaged(scales=scales(level=-1)), "kernel scale 'level' is -1.0; it must be a number from 0 to 100"),
    "a scale absurd": (damaged(scales=scales(level=1e6)), "kernel scale 'level' is 1000000.0; it must be a number from 0 to 100"),
    "provenance missing": (damaged(provenance=None), "'provenance' is missing; it must be an object"),
    "calibration a list": (damaged(calibration=[1, 0, 0]), "'calibration' is [1, 0, 0]; it must be an object"),
    "a calibration unknown": (
        damaged(calibration={"slope": 1, "charm": 1}),
        "calibration 'charm' is not known to this version; use the one that made this prior",
    ),
    "a calibration a text": (damaged(calibration={"slope": "1"}), "calibration 'slope' is '1'; it must be a number"),
    "a calibration out of bounds": (
        damaged(calibration={"intercept": 30}),
        "calibration: intercept is 30.0; it must be a number from -1.0 to 1.0",
    ),
    "a calibration true": (damaged(calibration={"intercept": True}), "calibration 'intercept' is True; it must be a number"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused(text, message, tmp_path):
    """A damaged file is refused with its path, and what is wrong in it."""
    path = tmp_path / "prior.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError) as error:
        Prior.load(path)
    assert str(error.value) == f"{path}: {message}"
    assert error.value.source == str(path)


def test_the_undamaged_file_is_read():
    """Negative control: the text that the damages start from is read."""
    assert parts(Prior.from_json(damaged())) == parts(small())


def test_a_file_from_before_calibration_is_not_calibrated():
    """A prior that says nothing about calibration, or of only one of its numbers, has the numbers that change nothing."""
    assert Prior.from_json(damaged(calibration=None)).calibration == Calibration()
    assert Prior.from_json(damaged(calibration={})).calibration == Calibration()
    assert Prior.from_json(damaged(calibration={"slope": 2})).calibration == Calibration(slope=2)


def test_a_file_that_cannot_be_read(tmp_path):
    """A missing file and one that is no text are named, with what to do."""
    path = tmp_path / "prior.json"
    with pytest.raises(DataError) as error:
        Prior.load(path)
    assert str(error.value) == f"{path}: no such file; check the path"
    path.write_bytes(b"{\n\xff")
    with pytest.raises(DataError) as error:
        Prior.load(path)
    assert str(error.value) == f"{path}, line 2: byte 0xff is not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"center": "high"}, "prior: center is not an array of numbers (could not convert string to float: 'high')"),
        ({"scale": np.array([1, np.nan])}, "prior: scale holds a number that is not finite"),
        ({"scale": np.array([1, -1])}, "prior: every scale must be positive"),
        ({"provenance": {"epsilon": float("inf")}}, "prior: provenance cannot be written as JSON (.*not JSON compliant.*)"),
        ({"provenance": {"rounds": np.int64(3)}}, "prior: provenance cannot be written as JSON (Object of type int64 .*)"),
    ],
)
def test_a_prior_that_cannot_be_is_not_made(changes, message):
    """The constructor refuses what could not be used, or not be written."""
    with pytest.raises(DataError, match="^" + message.replace("(", r"\(").replace(")", r"\)") + "$"):
        small(**changes)


@pytest.mark.parametrize("value", [-0.1, 100.1, 10**400, float("nan"), float("inf"), True, "1", None])
def test_a_kernel_scale_that_cannot_be_is_refused(value):
    """A kernel scale is a number from 0 to `MOST_SCALE`."""
    with pytest.raises(DataError) as error:
        KernelScales(alike=value)
    assert str(error.value) == f"kernel scale 'alike' is {value!r}; it must be a number from 0 to 100"


def test_a_prior_cannot_be_changed():
    """The arrays are copies that cannot be written to, and the provenance is a copy."""
    weights, provenance = np.array([[1.0, 2, 3]]), {"rounds": 1}
    prior = small(weights=weights, provenance=provenance)
    weights[0, 0], provenance["rounds"] = 9, 9
    assert (prior.weights[0, 0], prior.provenance) == (1, {"rounds": 1})
    for name in ("center", "scale", "weights", "covariance"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(prior, name)[0] = 1


def test_the_shipped_prior_says_where_it_is_from():
    """The default prior covers the whole catalogue and all features; it says its data are simulated, and which scales won."""
    prior = Prior.default()
    assert prior.items == tuple(item.id for item in CATALOGUE)
    assert prior.features == tuple(FEATURES)
    assert prior.provenance["data"] == "simulated people and simulated policies only; no real person's data"
    assert prior.provenance["command"] == "python -m privwiz.pretrain"
    assert prior.scales == CANDIDATES[prior.provenance["scales"]]
    assert prior.calibration != Calibration()


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_the_design_standardises_and_clips(seed):
    """A design is the named columns, centred and scaled, cut at four deviations, and a constant."""
    features = np.random.default_rng(seed).normal(0, 5, (4, len(NAMES)))
    expected = [
        [np.clip((row[NAMES.index("core")] - 0.5) / 1, -4, 4), np.clip((row[NAMES.index("log_degree")] - 2) / 2, -4, 4), 1]
        for row in features
    ]
    np.testing.assert_allclose(small().design(features), expected)
    assert small().design(features[:0]).shape == (0, 3)


def test_an_unknown_item_gets_the_average():
    """An item that was not trained has the average weights; none are zeros; no items make no rows."""
    prior = small(items=("phone", "city"), weights=np.array([[1.0, 2, 3], [3.0, 2, 5]]))
    assert prior.weights_for(("city", "nonsense")).tolist() == [[3, 2, 5], [2, 2, 4]]
    assert prior.weights_for(()).shape == (0, 3)
    assert Prior.flat().weights_for(("phone",)).tolist() == [[0]]


CLUBS = build_ego_network("me", "abcdef", [("a", "b"), ("b", "c"), ("a", "c"), ("d", "e")], {"a": {"school": "x"}})


def chances(prior, answers):
    """Return the model of a small network, and mean and variance of all its friends after answers about "phone"."""
    circles = find_circles(CLUBS)
    model = latent_prior(CLUBS, circles, friend_features(CLUBS, circles).values, prior, ("phone", "city"), []).of()
    rows = np.arange(len(answers))
    seen = Observations(rows, np.zeros(len(rows), np.intp), np.array(answers, float), np.zeros(len(rows)), np.ones(len(rows)))
    return model, *predict(model, condition(model, seen), np.arange(6))


def test_the_flat_prior_knows_nothing():
    """Without answers the flat prior gives everybody the same; an answer about one friend moves those in its circle most."""
    _, mean, variance = chances(Prior.flat(), [])
    assert (mean == 0).all()
    np.testing.assert_allclose(variance, variance[0, 0], rtol=1e-5)
    _, mean, _ = chances(Prior.flat(), [1])
    assert mean[0, 0] >= mean[0, 1] > mean[0, 5] > 0


@given(st.lists(st.sampled_from([0, 1]), max_size=6))
@settings(max_examples=30)
def test_a_prior_that_is_certain_learns_nothing(answers):
    """In the limit of infinite precision (no covariance, scales of zero) the result is the prior's mean whatever is answered."""
    default = Prior.default()
    certain = replace(
        default,
        covariance=np.zeros_like(default.covariance),
        scales=KernelScales(**{part.name: 0.0 for part in fields(KernelScales)} | {"mean": 1.0}),
    )
    model, mean, variance = chances(certain, answers)
    np.testing.assert_array_equal(mean, model.mean)
    assert (variance <= 1e-6 + 1e-12).all()

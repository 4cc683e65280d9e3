"""Regimes are the documented populations, and others can be made."""

import pytest

from privwiz.errors import DataError
from privwiz.regimes import BUILD_REGIMES, REGIMES, Regime, find_regime

# The table of the specification: shared, type, circle and cell spread, tie, tie rule, stranger rule, attribute rule, gender
# rule, denied people, allowed people, slip, fill, by circle; `stress` is this project's own.
TABLE = {
    "circle": (True, 0.5, 0.6, 0.4, 0, 0, 0, 0, 0, 0.01, 0.01, 0.01, False, True),
    "mixed": (True, 0.5, 0.6, 0.4, 0.5, 0.35, 0.2, 0.3, 0.06, 0.02, 0.03, 0.03, False, True),
    "noisy": (True, 0.5, 0.6, 0.6, 0.5, 0.35, 0.2, 0.3, 0.06, 0.04, 0.04, 0.08, False, True),
    "idio": (False, 0, 1.5, 0.8, 0, 0.1, 0.05, 0.05, 0.03, 0.02, 0.02, 0.03, False, True),
    "cohesive": (True, 0.5, 0.6, 0.15, 0, 0, 0, 0, 0, 0.01, 0.01, 0.01, True, True),
    "stress": (True, 0.5, 0.6, 0.4, 0, 0.5, 0.4, 0.5, 0.2, 0.04, 0.04, 0.03, False, False),
}
COLUMNS = """shared type_spread circle_spread cell_spread tie tie_rule stranger_rule attribute_rule gender_rule denied_people
    allowed_people slip fill by_circle""".split()


@pytest.mark.parametrize(("number", "name"), list(enumerate(TABLE)))
def test_regimes_have_the_specified_parameters(number, name):
    """Each regime has its number, which is part of the seed, and exactly the parameters of the specification."""
    regime = REGIMES[name]
    assert (regime.index, regime.name) == (number, name)
    assert tuple(getattr(regime, column) for column in COLUMNS) == TABLE[name]


def test_the_table_is_complete():
    """No regime and no parameter is left out of the comparison with the specification."""
    assert list(REGIMES) == list(TABLE)
    assert {*COLUMNS, "name", "index"} == set(Regime.__dataclass_fields__)
    assert {*BUILD_REGIMES, "stress"} == set(REGIMES)


def test_a_regime_of_ones_own_is_taken_as_it_is():
    """`find_regime` knows names, and hands back what is a regime already."""
    own = Regime(name="own", index=7)
    assert find_regime(own) is own
    assert find_regime("idio") is REGIMES["idio"]


def test_unknown_and_impossible_regimes_are_refused():
    """An unknown name and a negative number, which could not be a seed, are named in the error."""
    with pytest.raises(DataError, match="'calm' is not a regime; the regimes are circle, mixed, noisy, idio, cohesive"):
        find_regime("calm")
    with pytest.raises(DataError, match="index of regime 'own' is -1; it is part of the seed and must be 0 or more"):
        Regime(name="own", index=-1)

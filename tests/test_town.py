"""The parts of a synthetic town are believable: families, lives, ties, profiles."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privwiz.graphs import FIELDS
from privwiz.town.families import ELSEWHERE, MAIN_USER, kinships, raise_families
from privwiz.town.lives import Gathering, lead_lives
from privwiz.town.profiles import MISSING, write_profiles
from privwiz.town.ties import tie_people
from privwiz.town.words import shuffled_names

SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def register():
    """Everybody in a town with 1,500 users, in two places."""
    return raise_families(1500, 2, np.random.default_rng(5))


@pytest.fixture(scope="module")
def lives(register):
    """Lives and gatherings of the register."""
    return lead_lives(register, 2, np.random.default_rng(6))


@settings(max_examples=25)
@given(st.integers(10, 300), st.integers(1, 4), SEEDS)
def test_a_town_has_as_many_users_as_wanted(people, places, seed):
    """Exactly the wanted number of people is online, all with different lower-case ASCII ids, the main user among them."""
    register = raise_families(people, places, np.random.default_rng(seed))
    online = [person for person in register if person.online]
    ids = {person.id for person in register}
    assert len(online) == people
    assert len(ids) == len(register)
    assert all(name.isascii() and name == name.lower() and " " not in name for name in ids)
    assert MAIN_USER in {person.id for person in online}
    assert {person.place for person in register} <= {ELSEWHERE, *range(places)}


def test_parents_and_spouses_fit(register):
    """Parents are 20 to 41 years older than their children and a married couple; marriages are mutual, never of siblings."""
    for person in register:
        for parent in person.parents:
            assert 20 <= person.born - register[parent].born <= 41
        if person.parents:
            mother, father = (register[key] for key in person.parents)
            assert (mother.spouse, father.spouse) == (father.key, mother.key)
            assert person.last_name == father.last_name
        if person.spouse is not None:
            spouse = register[person.spouse]
            assert spouse.spouse == person.key
            assert spouse.place == person.place
            assert not set(person.parents) & set(spouse.parents)


def test_kinships_are_the_pedigree(register):
    """A family is a couple and its children; relatives hold every family of their descendants whole."""
    found = list(kinships(register))
    families = [set(keys) for kind, _, keys in found if kind == "family"]
    for family in families:
        parents = [key for key in family if register[key].spouse in family]
        assert len(parents) >= 2
        assert all(set(register[key].parents) <= family or key in parents for key in family)
    for members in (set(keys) for kind, _, keys in found if kind == "relatives"):
        assert all(family <= members for family in families if len(family & members) == len(family))
        assert any(family < members for family in families)


def test_everyone_online_leads_a_life_that_their_gatherings_show(register, lives):
    """Gatherings have two or more members, all online; firms and schools have those who name them in their life."""
    own, gatherings = lives
    assert len(own) == len(register)
    for kind, name, members in gatherings:
        assert len(members) >= 2
        assert list(members) == sorted(set(members))
        assert all(register[key].online for key in members)
        if kind == "work":
            assert all(name in own[key].employers for key in members)
        if kind == "class":
            assert all(name.partition(",")[0] in own[key].schools for key in members)
        if kind == "neighbourhood":
            assert len({register[key].place for key in members}) == 1


def test_gatherings_are_of_every_kind(lives):
    """A town has families, relatives, classes, schools, universities, courses, firms, teams, streets, clubs and friends."""
    kinds = "family relatives class school university course work team neighbourhood club friends".split()
    assert list(dict.fromkeys(gathering.kind for gathering in lives[1])) == kinds


def test_ties_are_pairs_with_a_closeness(register, lives):
    """Each tie is there once, lower position first, with a closeness from 0.1 to 10 in hundredths."""
    users = [person for person in register if person.online]
    one, other, closeness = tie_people(users, lives[1], np.random.default_rng(7))
    assert (one < other).all()
    assert len(set(zip(one.tolist(), other.tolist(), strict=True))) == len(one)
    assert (closeness >= 0.1).all()
    assert (closeness <= 10).all()
    assert (closeness == closeness.round(2)).all()


def test_close_kinds_of_gatherings_tie_closely(register, lives):
    """Members of a family know each other far more often, and closer, than neighbours do."""
    users = [person for person in register if person.online]
    one, other, closeness = tie_people(users, lives[1], np.random.default_rng(7))
    keys = [person.key for person in users]
    tie = {(keys[i], keys[j]): weight for i, j, weight in zip(one.tolist(), other.tolist(), closeness.tolist(), strict=True)}

    def among(kind):
        pairs = [(a, b) for found, _, members in lives[1] if found == kind for a in members for b in members if a < b]
        known = [tie[pair] for pair in pairs if pair in tie]
        return len(known) / len(pairs), np.median(known)

    family_share, family_closeness = among("family")
    street_share, street_closeness = among("neighbourhood")
    assert family_share > 5 * street_share
    assert family_closeness > 2 * street_closeness


def test_profiles_leave_out_what_the_table_says(register, lives):
    """Fields are left empty at the documented rates by those who could fill them, and the same people leave out many."""
    users = [person for person in register if person.online]
    profiles = write_profiles(users, lives[0], np.random.default_rng(8))
    assert tuple(MISSING) == FIELDS
    for field in ("gender", "hometown", "location", "last_name", "language", "locale"):
        missing = np.mean([field not in profile for profile in profiles])
        assert missing == pytest.approx(MISSING[field], abs=0.05)
    told = np.array([[field in profile for field in ("hometown", "language")] for profile in profiles], dtype=float)
    assert np.corrcoef(told.T)[0, 1] > 0.2
    assert all(profile["name"] == person.name for profile, person in zip(profiles, users, strict=True))


def test_a_gathering_without_sociable_members_ties_nobody(register):
    """The limit: people whose sociability is 0 meet nobody in their gatherings."""
    users = [person for person in register if person.online][:50]
    hermits = [replace(person, sociability=1e-12) for person in users]
    club = Gathering("club", "Chess Circle", tuple(person.key for person in users))
    together, _, _ = tie_people(users, [club], np.random.default_rng(0))
    apart, _, _ = tie_people(hermits, [club], np.random.default_rng(0))
    assert len(together) > len(apart)


def test_names_come_up_once_before_any_comes_again():
    """Names are shuffled; only when all are used do they come again, numbered."""
    names = shuffled_names(("Elm Row", "Mill Lane", "Oak Street"), np.random.default_rng(1))
    first, second = ({next(names) for _ in range(3)} for _ in range(2))
    assert first == {"Elm Row", "Mill Lane", "Oak Street"}
    assert second == {"Elm Row 2", "Mill Lane 2", "Oak Street 2"}

"""Profiles: what the people of a synthetic town tell about themselves."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from privwiz.town.families import MAIN_USER, YEAR, Person
from privwiz.town.lives import Life

__all__ = ["MISSING", "TownProfile", "write_profiles"]

TownProfile = dict[str, str | tuple[str, ...]]
"""Field -> its value, or its values if there are several."""

MISSING = {
    "gender": 0.1,
    "hometown": 0.45,
    "location": 0.35,
    "school": 0.25,
    "school_year": 0.35,
    "concentration": 0.3,
    "employer": 0.3,
    "last_name": 0.1,
    "language": 0.6,
    "locale": 0.1,
    "position": 0.35,
}
"""Share of the people who leave a field empty though they could fill it. Who leaves one empty tends to leave others empty."""

_RETICENCE = 0.6
"""Correlation between what one person leaves empty in any two fields."""
_LOCALES = {"english": ("en_GB", "en_US"), "chinese": ("en_GB", "zh_TW"), "han": ("zh_CN", "zh_TW")}
_LANGUAGES = {"english": ("English",), "chinese": ("English", "中文"), "han": ("中文",)}
_FURTHER_LANGUAGES = ("English", "Français", "Español", "日本語", "Deutsch")


def write_profiles(people: Sequence[Person], lives: Sequence[Life], rng: np.random.Generator) -> list[TownProfile]:
    """Return what each of ``people`` tells; everybody tells a display name, the main user everything.

    ``lives`` are by key of the person.
    """
    limit = np.array([NormalDist().inv_cdf(share) for share in MISSING.values()])
    own = rng.normal(size=(len(people), 1)) * np.sqrt(_RETICENCE)
    empty = own + rng.normal(size=(len(people), len(MISSING))) * np.sqrt(1 - _RETICENCE) < limit
    empty[[person.id == MAIN_USER for person in people]] = False
    return [
        _told(person.name, _facts(person, lives[person.key], rng), leaves_empty)
        for person, leaves_empty in zip(people, empty.tolist(), strict=True)
    ]


def _told(name: str, facts: Mapping[str, tuple[str, ...]], leaves_empty: Sequence[bool]) -> TownProfile:
    profile: TownProfile = {"name": name}
    for (field, values), empty in zip(facts.items(), leaves_empty, strict=True):
        if values and not empty:
            profile[field] = values[0] if len(values) == 1 else values
    return profile


def _facts(person: Person, life: Life, rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    """Return all values of each field of `MISSING`, in its order."""
    languages = {*_LANGUAGES[person.culture], *rng.choice(_FURTHER_LANGUAGES, rng.poisson(0.6)).tolist()}
    return {
        "gender": (person.gender,),
        "hometown": (life.hometown,),
        "location": (life.place,),
        "school": tuple(life.schools),
        "school_year": tuple(str(year) for year in life.school_years if year <= YEAR),
        "concentration": (life.concentration,) if life.concentration else (),
        "employer": tuple(life.employers),
        "last_name": (person.last_name,),
        "language": tuple(sorted(languages)),
        "locale": (_LOCALES[person.culture][int(rng.random() < 0.2)],),
        "position": (life.position,) if life.position else (),
    }

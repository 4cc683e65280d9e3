"""Circles: what the user corrects of them holds."""

CIRCLES = "/v1/users/ann/circles"


def circles(backend):
    """Return the circles by id."""
    return {circle["id"]: circle for circle in backend("GET", CIRCLES).json["circles"]}


def correct(backend, **correction):
    """Send a correction."""
    return backend("POST", f"{CIRCLES}/corrections", {"correction": correction})


def test_a_name_survives_recomputation(ann, network, settings, another):
    """What a circle was renamed to stays when friends come and go, the network is sent again, and in another process."""
    circle = next(iter(circles(ann).values()))
    renamed = correct(ann, kind="rename", circle=circle["id"], name="My club")
    assert renamed.status_code == 200
    assert renamed.json["circles"] == list(circles(ann).values())
    ann("POST", "/v1/users/ann/friends", {"friend": "zoe", "ties": circle["members"][:1]})
    ann("DELETE", "/v1/users/ann/friends/zoe")
    ann("PUT", "/v1/users/ann/network", network, match=True)
    other = type(ann)(another(settings), ann.tenant)
    assert circles(ann)[circle["id"]]["name"] == "My club"
    assert circles(other) == circles(ann)


def test_circles_are_merged_split_and_members_moved(ann):
    """Merge, split and move change the members; the screens and choices that follow are about the corrected circles."""
    level = max(circle["level"] for circle in circles(ann).values())
    one = next(circle for circle in circles(ann).values() if circle["level"] == level)
    outsider = next(friend for friend in ann("GET", "/v1/users/ann/network").json["friends"] if friend not in one["members"])
    assert correct(ann, kind="move", friend=outsider, into=one["id"]).status_code == 200
    assert set(circles(ann)[one["id"]]["members"]) == {*one["members"], outsider}
    assert correct(ann, kind="dismiss", circle=one["id"]).status_code == 200
    assert one["id"] not in circles(ann)
    assert correct(ann, kind="restore", circle=one["id"]).status_code == 200
    assert one["id"] in circles(ann)
    largest = max(circles(ann).values(), key=lambda circle: len(circle["members"]))
    assert correct(ann, kind="split", circle=largest["id"], members=largest["members"][:3], name="Three").status_code == 200
    three = next(circle for circle in circles(ann).values() if circle["name"] == "Three")
    assert three["members"] == largest["members"][:3]
    assert correct(ann, kind="merge", circles=[largest["id"], three["id"]]).status_code == 200
    kept = ann("GET", "/v1/users/ann/export").json["corrections"]
    assert [row["kind"] for row in kept] == ["move", "dismiss", "restore", "split", "merge"]


def test_what_cannot_be_corrected_is_refused(ann):
    """A circle that is not there, strangers, and names that cannot be shown change nothing."""
    before, circle = circles(ann), next(iter(circles(ann)))
    assert correct(ann, kind="rename", circle="c999", name="X").status_code == 422
    assert correct(ann, kind="rename", circle=circle, name=" ").status_code == 422
    assert correct(ann, kind="split", circle=circle, members=["x", "y", "z"]).status_code == 422
    assert correct(ann, kind="move", friend="2").status_code == 422
    assert circles(ann) == before

"""A machine of random requests against a model in memory: answers, undo, accepts, friends who come and go, retries, restarts."""

import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from privwiz_api import create_app

ITEMS = ("phone", "email")
FRIENDS = st.sampled_from([f"f{k}" for k in range(6)])
CELLS = st.tuples(st.sampled_from(ITEMS), FRIENDS)


class Model:
    """What must hold, told as plainly as possible: in force is what was accepted, and no one else's."""

    def __init__(self):
        self.friends = {"f0", "f1", "f2"}
        self.said = []
        self.in_force = [set()]

    def shown(self):
        """Return the cells that are in force."""
        return self.in_force[-1]

    def stated(self):
        """Return what the user said last about each cell that was said, undone answers left out."""
        return {cell: decision for cells in self.said for cell, decision in cells}

    def leave(self, friend):
        """Let a friend go; nothing that was accepted before, or is restored later, is about the friend."""
        self.friends.discard(friend)
        self.in_force = [{cell for cell in cells if cell[1] != friend} for cells in self.in_force]


class Machine(RuleBasedStateMachine):
    """Requests of a backend and a user in any order."""

    service_settings = backend_type = token = None

    def __init__(self):
        super().__init__()
        self.model, self.tenant, self.last = Model(), f"machine-{uuid.uuid4().hex[:8]}", None
        self.app = create_app(self.service_settings)

    def teardown(self):
        """Close the connections."""
        self.app.extensions["privwiz"].database.close()

    @initialize()
    def begin(self):
        """Make the catalogue and a network."""
        items = [{"id": item, "en": item, "zh": item} for item in ITEMS]
        assert self.call("PUT", "/v1/items", {"items": items}).status_code == 200
        friends = {friend: {} for friend in sorted(self.model.friends)}
        assert self.call("PUT", "/v1/users/ann/network", {"friends": friends, "ties": [["f0", "f1"]]}).status_code == 201

    def call(self, method, path, body=None, *, match=None, key=None):
        """Send a request."""
        return self.backend_type(self.app, self.tenant, scope="sns admin")(method, path, body, match=match, key=key)

    def change(self, path, body, *, match=None):
        """Send a request that must count once, remember it, and say whether it was taken."""
        key = uuid.uuid4().hex
        tag = self.call("GET", "/v1/users/ann/policy").headers["ETag"] if match else None
        answer = self.call("POST", f"/v1/users/ann/{path}", body, key=key, match=tag)
        if answer.status_code == 200:
            self.last = (path, body, key, tag, answer.json)
        return answer.status_code

    @rule(cell=CELLS, decision=st.sampled_from(["allow", "deny"]))
    def say(self, cell, decision):
        """The user says something of a cell."""
        said = {"answers": [{"item": cell[0], "friends": [cell[1]], "decision": decision}]}
        known = cell[1] in self.model.friends
        assert self.change("answers", said) == (200 if known else 422)
        if known:
            self.model.said.append([(cell, decision)])

    @rule()
    def confirm_a_screen(self):
        """The user leaves the next screen as it is."""
        screens = self.call("GET", "/v1/users/ann/screens/next").json["screens"]
        if screens:
            values = [None] * len(screens[0]["toggles"])
            assert self.change("answers", {"answers": [{"screen": screens[0]["id"], "values": values}]}) == 200
            self.model.said.append([])

    @rule()
    def take_an_answer_back(self):
        """The user undoes the last answer."""
        assert self.change("answers/undo", {}) == (200 if self.model.said else 409)
        if self.model.said:
            self.model.said.pop()

    @rule()
    def accept(self):
        """The user accepts what is suggested."""
        suggested = self.cells("suggested")
        assert self.change("policy/accept", {}, match=True) == 200
        self.model.in_force.append(suggested)

    @rule(cell=CELLS, decision=st.sampled_from(["allow", "deny"]))
    def override(self, cell, decision):
        """The user decides a cell at once."""
        body = {"cells": [{"item": cell[0], "friend": cell[1], "decision": decision}]}
        known = cell[1] in self.model.friends
        assert self.change("policy/override", body, match=True) == (200 if known else 422)
        if known:
            self.model.said.append([(cell, decision)])
            shown = self.model.shown() - {cell} | ({cell} if decision == "allow" else set())
            self.model.in_force.append(shown)

    @rule()
    def take_a_policy_back(self):
        """The user undoes what came into force last."""
        possible = len(self.model.in_force) > 1
        assert self.change("policy/undo", {}, match=True) == (200 if possible else 409)
        if possible:
            self.model.in_force.pop()

    @rule(friend=FRIENDS)
    def join(self, friend):
        """A friend joins, or is one already."""
        known = friend in self.model.friends
        answer = self.call("POST", "/v1/users/ann/friends", {"friend": friend, "ties": sorted(self.model.friends - {friend})[:2]})
        assert answer.status_code == (409 if known else 201)
        self.model.friends.add(friend)

    @rule(friend=FRIENDS)
    def leave(self, friend):
        """A friend leaves, or is none."""
        known = friend in self.model.friends
        assert self.call("DELETE", f"/v1/users/ann/friends/{friend}").status_code == (204 if known else 404)
        self.model.leave(friend)

    @rule(item=st.sampled_from(ITEMS))
    def replace_an_item(self, item):
        """An item goes, and another one of the same id comes: nothing that was accepted is about it."""
        for ids in ([other for other in ITEMS if other != item], ITEMS):
            items = [{"id": one, "en": one, "zh": one} for one in ids]
            assert self.call("PUT", "/v1/items", {"items": items}).status_code == 200
        self.model.in_force = [{cell for cell in cells if cell[0] != item} for cells in self.model.in_force]

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat_the_last_request(self):
        """A request that is sent again changes nothing, and is answered as before."""
        path, body, key, tag, answer = self.last
        assert self.call("POST", f"/v1/users/ann/{path}", body, key=key, match=tag).json == answer

    @rule()
    def restart(self):
        """The service forgets all but the database."""
        self.app.extensions["privwiz"].database.close()
        self.app = create_app(self.service_settings)

    def cells(self, which):
        """Return the cells that are shown."""
        return {(row["item"], friend) for row in self.call("GET", "/v1/users/ann/policy").json["items"] for friend in row[which]}

    @invariant()
    def what_is_in_force_is_what_was_accepted(self):
        """The service and the model agree on every cell."""
        assert self.cells("in_force") == self.model.shown()

    @invariant()
    def what_was_said_is_suggested(self):
        """What the user said of a friend who is there is what is suggested."""
        suggested = self.cells("suggested")
        for cell, decision in self.model.stated().items():
            if cell[1] in self.model.friends:
                assert (cell in suggested) == (decision == "allow")


@pytest.mark.slow
def test_the_service_agrees_with_the_model(settings_of_service, backend):
    """Whatever the order of requests, retries and restarts: in force is exactly what the user accepted."""
    machine = type("Bound", (Machine,), {"service_settings": settings_of_service, "backend_type": type(backend)})
    limits = settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=limits)


@pytest.fixture
def settings_of_service(settings, app):
    """Return the settings of a service whose tables are there."""
    return settings

"""What schemathesis cannot know: which users, friends and items there are, and which state they are in."""

import random

import requests
import schemathesis
from schemathesis import GenerationMode

random.seed(1)
KNOWN = {"friend": ("1", "2", "3"), "as": ("1", "2"), "item": ("phone", "email")}
ITEMS = [{"id": item, "en": item, "zh": item} for item in KNOWN["item"]]
NETWORK = {"friends": {friend: {} for friend in KNOWN["friend"]}, "ties": [["1", "2"]]}
BODIES = {
    "/items": lambda _: {"items": ITEMS},
    "/answers": lambda _: {
        "answers": [{"item": "phone", "friends": ["1"], "decision": random.choice(("allow", "deny", "unsure"))}]
    },
    "/friends": lambda body: body | {"ties": ["1"]},
    "/corrections": lambda _: {"correction": {"kind": "rename", "circle": random.choice(("c1", "c2")), "name": "Club"}},
    "/accept": lambda _: {"friends": ["1"]},
    "/override": lambda _: {"cells": [{"item": "phone", "friend": "1", "decision": random.choice(("allow", "deny"))}]},
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Let what is valid be about somebody who is there, nine times of ten, and about the present state."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or random.random() < 0.1:
        return
    path, changes = case.operation.path, case.operation.method.upper() != "GET"
    if case.path_parameters and "user" in case.path_parameters:
        meet(case, changes and path in ("/v1/users/{user}", "/v1/users/{user}/network"))
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"{random.getrandbits(64):x}"
    for part in (case.path_parameters, case.query):
        for name in KNOWN.keys() & (part or {}):
            part[name] = random.choice(KNOWN[name])
    for ending, change in BODIES.items():
        if changes and path.endswith(ending):
            case.body = change(case.body)


def meet(case, harmful):
    """Name a user: ann, whose network stays, or bob, who is made again where there is none; and the state that there is."""
    user, read = ("bob", "network") if harmful else ("ann", "policy")
    case.path_parameters["user"] = user
    if case.headers and "If-Match" in case.headers:
        address = f"{case.operation.base_url.rstrip('/')}/v1/users/{user}"
        headers = {"Authorization": case.headers["Authorization"]}
        requests.put(f"{address}/network", json=NETWORK, headers=headers, timeout=10)
        case.headers["If-Match"] = requests.get(f"{address}/{read}", headers=headers, timeout=10).headers.get("ETag", "")

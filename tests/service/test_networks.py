"""Networks, friends, items and batches."""

from concurrent.futures import ThreadPoolExecutor

NETWORK = "/v1/users/ann/network"


def test_a_network_is_given_back_as_it_was_sent(ann, network):
    """What was PUT can be read, changed and PUT again."""
    read = ann("GET", NETWORK)
    assert {name: said["profile"] for name, said in read.json["friends"].items()} == {
        name: said["profile"] for name, said in network["friends"].items()
    }
    assert read.json["ties"] == network["ties"]
    assert ann("PUT", NETWORK, read.json, match=read.headers["ETag"]).status_code == 200


def test_of_two_writers_with_one_tag_one_wins(ann, network):
    """Two changes that were made of the same network: one is taken, the other is told so; nothing is lost."""
    tag = ann("GET", NETWORK).headers["ETag"]
    assert ann("PUT", NETWORK, network).status_code == 428

    def rename(school):
        return ann("PATCH", NETWORK, {"friends": {"2": {"profile": {"school": school}}}}, match=tag).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(rename, ("PKU", "MIT"))) == [200, 412]


def test_a_merge_patch_changes_what_it_names(ann, network):
    """Null takes a friend away, with the ties; what is not named stays."""
    patch = {"friends": {"2": None, "zoe": {"profile": {"school": "PKU"}}}, "profile": {"school": "PKU"}}
    assert ann("PATCH", NETWORK, patch, match=True).status_code == 200
    after = ann("GET", NETWORK).json
    assert set(after["friends"]) == {*network["friends"], "zoe"} - {"2"}
    assert all("2" not in tie for tie in after["ties"])
    assert after["profile"] == {"club": network["profile"]["club"], "school": "PKU"}
    assert ann("PATCH", NETWORK, {"friends": {"zoe": {"weight": -1}}}, match=True).status_code == 422
    assert ann("PATCH", NETWORK, {"friends": None}, match=True).status_code == 200


def test_friends_come_and_go(ann):
    """A friend can be added once and removed once; ties and profile are part of the network."""
    body = {"friend": "zoe", "ties": {"2": 2.5}, "profile": {"school": "PKU"}, "weight": 3}
    assert ann("POST", "/v1/users/ann/friends", body).status_code == 201
    assert ann("POST", "/v1/users/ann/friends", body).status_code == 409
    network = ann("GET", NETWORK).json
    assert network["friends"]["zoe"] == {"profile": {"school": "PKU"}, "weight": 3.0}
    assert ["zoe", "2", 2.5] in network["ties"]
    assert ann("DELETE", "/v1/users/ann/friends/zoe").status_code == 204
    assert ann("DELETE", "/v1/users/ann/friends/zoe").status_code == 404
    assert ["zoe", "2", 2.5] not in ann("GET", NETWORK).json["ties"]


def test_circle_ids_stay_when_the_network_changes(ann, network):
    """A network that is sent again with one friend more keeps the circles' ids."""
    before = {circle["id"] for circle in ann("GET", "/v1/users/ann/circles").json["circles"]}
    more = network | {"friends": network["friends"] | {"zoe": {}}, "ties": [*network["ties"], ["zoe", "2"]]}
    ann("PUT", NETWORK, more, match=True)
    after = {circle["id"] for circle in ann("GET", "/v1/users/ann/circles").json["circles"]}
    assert before & after


def test_a_batch_takes_each_entry_for_itself(ann, network):
    """Each entry has its result in order: suggestions, or its own problem; a repeated batch with its key adds nobody twice."""
    ann("PUT", "/v1/users/bob/network", network)
    entries = [
        {"id": "a", "user": "ann", "friend": "zoe", "ties": ["2"]},
        {"id": "b", "user": "nobody", "friend": "zoe"},
        {"id": "c", "user": "bob", "friend": "2"},
        {"id": "d", "user": "bob", "friend": "yan", "ties": ["stranger"]},
        {"id": "e", "user": "bob", "friend": "xia"},
    ]
    first = ann("POST", "/v1/suggestions:batch", {"entries": entries}, key="batch").json["results"]
    assert [(row["id"], row["status"]) for row in first] == [("a", 201), ("b", 404), ("c", 409), ("d", 422), ("e", 201)]
    assert len(first[0]["suggestions"]) == 12
    again = ann("POST", "/v1/suggestions:batch", {"entries": entries}, key="batch").json["results"]
    assert again == first
    assert ann("GET", "/v1/users/ann/policy").json["revision"] == 2


def test_the_catalogue_is_the_tenants_own(ann):
    """Items, their sensitivity, cost ratio and names can be set; policies follow at once, other tenants see nothing of it."""
    items = [{"id": "diary", "sensitivity": 0.9, "cost_ratio": 20, "en": "diary", "zh": "日记"}]
    assert ann("PUT", "/v1/items", {"items": items}).status_code == 403
    put = ann.as_admin()("PUT", "/v1/items", {"items": items})
    assert put.json["items"] == [items[0] | {"cost_ratio": 20.0}]
    assert [row["item"] for row in ann("GET", "/v1/users/ann/policy").json["items"]] == ["diary"]
    toggles = ann("GET", "/v1/users/ann/screens/next").json["screens"][0]["toggles"]
    assert toggles[0]["text_zh"] == "您的日记可以给多少好友看？"
    assert ann.as_admin()("PUT", "/v1/items", {"items": items}, match='"i0"').status_code == 412
    assert ann.as_admin()("PUT", "/v1/items", {"items": items * 2}).status_code == 422
    stranger = type(ann)(ann.app)
    assert len(stranger("GET", "/v1/items").json["items"]) == 12


def test_sizes_are_limited(ann):
    """More than 5,000 friends are refused."""
    friends = {f"f{k}": {} for k in range(5_001)}
    assert ann("PUT", "/v1/users/bob/network", {"friends": friends}).status_code == 422

"""The whole flow, through the client, against a running server on each database."""

import json
import signal
import time
import uuid

import pytest

from privwiz.graphs import build_ego_network
from privwiz_api.client import Client, Refused


@pytest.fixture
def client(server, sign):
    """Return the client of a tenant of its own."""
    client = Client(server.url, sign(f"tenant-{uuid.uuid4().hex[:8]}", scope="sns admin"))
    yield client
    client.close()


def shown(user):
    """Return the cells that are in force."""
    return {(row["item"], friend) for row in user.policy()["items"] for friend in row["in_force"]}


def test_from_the_network_to_the_export(client, network):
    """Upload, screens, answers, policy, accept, a new friend, export, erasure."""
    client.put_items([{"id": "phone", "en": "phone number", "zh": "电话号码"}, {"id": "photos", "en": "photos", "zh": "照片"}])
    ann = client.user("ann")
    assert ann.put_network(network)["revision"] == 1
    screens, screen = 0, ann.next_screen()
    while screens < 3 and screen is not None:
        screens += 1
        screen = ann.answer_and_next(screen, ["most" if len(toggle["friends"]) > 1 else "allow" for toggle in screen["toggles"]])
    assert ann.next_screen() == screen
    if screen is not None:
        screens += 1
        ann.answer(screen, [None] * len(screen["toggles"]))
    ann.label("phone", ["2", "3"], "allow")
    ann.label("photos", "2", "deny")
    ann.undo_answer()
    assert shown(ann) == set()
    policy = ann.policy()
    assert ann.accept(policy)["revision"] == policy["revision"] + 1
    accepted = shown(ann)
    assert accepted == {(row["item"], friend) for row in policy["items"] for friend in row["suggested"]}
    assert {("phone", "2"), ("phone", "3")} <= accepted

    new = ann.add_friend("zoe", ties=["2", "3"], profile={"club": "Mr. Hi"})
    assert [cell["item"] for cell in new["suggestions"]] == ["phone", "photos"]
    assert shown(ann) == accepted, "the new friend sees nothing yet"
    assert not any(item["in_force"] for item in ann.preview("zoe")["items"])
    ann.override(ann.policy(), [{"item": "phone", "friend": "zoe", "decision": "allow"}])
    assert shown(ann) == accepted | {("phone", "zoe")}
    assert ann.explain("phone", "zoe")["reason"] == "You set this yourself."

    tuples = json.loads(ann.export("openfga"))["tuples"]
    assert {(row["object"], row["user"]) for row in tuples} == {(f"item:ann/{i}", f"user:{f}") for i, f in shown(ann)}
    assert ann.export("csv").count(",allow,") == len(shown(ann))
    assert "permit" in ann.export("cedar")
    ann.undo_policy(ann.policy())
    assert shown(ann) == accepted

    circle = ann.circles()[0]
    ann.correct("rename", circle=circle["id"], name="Club")
    assert ann.circles()[0]["name"] == "Club"
    ann.remove_friend("zoe")
    link = ann.wizard_link()
    own = Client(client.url, link["token"]).user("ann")
    assert own.policy() == ann.policy()
    own.client.close()
    assert len(ann.everything()["answers"]) == screens + 4, "two choices, a retraction, an override"
    ann.erase()
    with pytest.raises(Refused) as refused:
        ann.policy()
    assert (refused.value.status, refused.value.kind) == (404, "no-such-user")


def test_many_users_at_once(client, network):
    """A batch answers for each entry, and networks of the library are taken as they are."""
    client.user("ann").put_network(network)
    client.user("bob").put_network(build_ego_network("bob", ["x", "y"], [("x", "y", 2.0)], {"x": {"school": "PKU"}}))
    assert client.user("bob").network()["ties"] == [["x", "y", 2.0]]
    results = client.suggest([{"id": "1", "user": "ann", "friend": "zoe"}, {"id": "2", "user": "carl", "friend": "zoe"}])
    assert [row["status"] for row in results] == [201, 404]
    assert len(client.user("ann").cells(friend="zoe")) == 12
    assert len(client.user("ann").cells()) == 12 * (len(network["friends"]) + 1)


def test_an_unreachable_service_is_said_so():
    """The client gives up after its tries, with a word on what to do."""
    with pytest.raises(Refused, match="did not answer"):
        Client("http://127.0.0.1:9", "t", tries=2).items()


def test_a_stopped_server_finishes_what_it_does(run_server, database_url, app, sign, network):
    """SIGTERM ends the server with exit code 0, and a request that is being answered is answered."""
    from concurrent.futures import ThreadPoolExecutor

    server = run_server(database_url)
    client = Client(server.url, sign(f"tenant-{uuid.uuid4().hex[:8]}"), tries=1)
    ann = client.user("ann")
    ann.put_network(network)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ann.next_screens, 5)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert answer.result()
    assert server.process.wait(40) == 0
    client.close()


def test_a_stopped_server_leaves_one_file(run_server, tmp_path, sign, network):
    """After SIGTERM all that was written is in SQLite's one file, which may be copied."""
    path = tmp_path / "own.db"
    server = run_server(f"sqlite:///{path}")
    client = Client(server.url, sign("t"), tries=1)
    client.user("ann").put_network(network)
    client.close()
    assert path.with_name("own.db-wal").exists()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(40) == 0
    assert [file.name for file in tmp_path.glob("own.db*")] == ["own.db"]

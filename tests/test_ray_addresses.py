"""Addresses of Ray clusters: which are refused, how soon, and when two mean the same."""

import contextlib
import socket
import subprocess
import threading
import time

import pytest
import ray
from ray.exceptions import AuthenticationError

from structured_layers import mlp
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.cli import main
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch import ray_addresses as addresses_module
from structured_layers.integrations.evotorch import ray_session as session_module


def make_problem(**settings):
    return PolicyProblem("drift_envs:Drift-v0", mlp(3, [4], 2), seed=0, **settings)


@pytest.fixture
def no_ray(monkeypatch):
    """As in a process that has not joined any cluster."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("Ray was started"))


class Listener:
    """A server that is no Ray: it says something of its own, or nothing."""

    def __init__(self, answer):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.answer, self.connections, self.stopped = answer, [], False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.stopped:
            self.connections.append(self.server.accept()[0])
            with contextlib.suppress(OSError):  # who asked may be gone
                self.connections[-1].sendall(self.answer)

    def __enter__(self):
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    def __exit__(self, *error):
        self.stopped = True
        socket.create_connection(self.server.getsockname()).close()  # ends the wait for one
        self.thread.join()
        for connection in (*self.connections, self.server):
            connection.close()


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def assert_no_cluster(address, message):
    start = time.monotonic()
    with pytest.raises(StructuredLayersError, match=message):
        make_problem(num_actors=2, ray_address=address)
    assert time.monotonic() - start < 20


def test_an_address_where_nobody_listens(no_ray):
    assert_no_cluster(free_address(), "no Ray cluster answers at 127.0.0.1:.*refused")
    assert_no_cluster("ray://" + free_address(), "no Ray cluster answers at ray://127.0.0.1")
    assert_no_cluster("no.such.host.invalid:6379", "no Ray cluster answers at no.such.host")


def test_an_address_where_something_else_listens(no_ray, monkeypatch):
    monkeypatch.setattr(addresses_module, "ADDRESS_LIMIT", 0.2)
    with Listener(b"HTTP/1.0 400 Bad request\r\n\r\n") as address:
        assert_no_cluster(address, "what listens there is not Ray")
    with Listener(b"") as address:
        assert_no_cluster(address, "timed out")


def test_an_address_that_only_begins_like_ray(no_ray, monkeypatch):
    monkeypatch.setattr(addresses_module, "JOIN_LIMIT", 2.0)
    with Listener(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address:
        assert_no_cluster(address, r"joining it took longer than 2 s.*needs ray:// before it")
    assert addresses_module.JOIN_LIMIT + 2 * addresses_module.ADDRESS_LIMIT < 20


def test_a_cluster_that_asks_for_a_token(no_ray, monkeypatch):
    """Ray repeats it on its stderr for ever, or raises an error of its own."""
    said = b"[10:00 W 1 1] gcs.cc:1: Unauthenticated: RPC error: InvalidAuthToken: token is missing"

    def try_to_join(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout, stderr=said + b"\n")

    def join(**options):
        raise AuthenticationError("Token authentication is enabled but no token was found")

    with Listener(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address:
        monkeypatch.setattr(subprocess, "run", try_to_join)
        message = r"\(gcs.cc:1: Unauth.*asks for authentication: set RAY_AUTH_TOKEN .*RAY_AUTH_MODE"
        assert_no_cluster(address, message)
        monkeypatch.setattr(session_module, "check_address", lambda address: None)
        monkeypatch.setattr(ray, "init", join)
        assert_no_cluster(address, "no token was found.*asks for authentication")


def test_the_address_of_the_environment_counts_for_who_wants_actors(no_ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", free_address())
    assert make_problem().num_actors == 0
    for num_actors in ("auto", 2):
        with pytest.raises(StructuredLayersError, match="no Ray cluster answers at 127.0.0.1"):
            make_problem(num_actors=num_actors)


def test_auto_counts_the_cores_of_the_cluster_that_the_environment_names(monkeypatch):
    joined = []
    monkeypatch.setenv("RAY_ADDRESS", "first-machine:6379")
    monkeypatch.setattr(session_module, "check_address", lambda address: None)
    monkeypatch.setattr(session_module, "_current_address", lambda: "10.1.2.3:6379")
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(joined))
    monkeypatch.setattr(ray, "init", lambda address, **options: joined.append(address))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 5.0})
    assert make_problem(num_actors="auto").num_actors == 5
    assert joined == ["first-machine:6379"]
    session_module.ensure_ray("first-machine:6379")  # whatever Ray calls it


def test_a_cluster_on_this_machine_has_several_names(monkeypatch):
    own = ray.util.get_node_ip_address()
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    for joined in (own, "127.0.0.1"):
        monkeypatch.setattr(session_module, "_current_address", lambda ip=joined: f"{ip}:6379")
        for name in ("localhost", "127.0.0.1", own):
            session_module.ensure_ray(f"{name}:6379")
            with pytest.raises(StructuredLayersError, match="has joined the Ray cluster at"):
                session_module.ensure_ray(f"{name}:6380")
        for other in ("10.1.2.3:6379", "ray://localhost:6379"):
            with pytest.raises(StructuredLayersError, match="has joined the Ray cluster at"):
                session_module.ensure_ray(other)


@pytest.mark.parametrize("address", ["", "localhost", "host:", ":6379", "host:port", "tcp"])
def test_what_is_no_address(address, no_ray):
    assert_no_cluster(address, r'a Ray address is "host:port"')


def test_an_address_without_actors(no_ray):
    with pytest.raises(StructuredLayersError, match="ray_address needs at least 2 actors, got"):
        make_problem(ray_address="127.0.0.1:6379")


def test_the_command_line_says_it_before_it_makes_a_folder(tmp_path, capsys, no_ray, monkeypatch):
    train = ["train", "drift_envs:Drift-v0", "--out", str(tmp_path / "run")]
    options = ["--num-actors", "auto", "--ray-address", free_address()]
    assert main([*train, *options]) == 2
    assert "no Ray cluster answers" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setenv("RAY_ADDRESS", free_address())
        assert main([*train, *options[:2]]) == 2
    assert "no Ray cluster answers" in capsys.readouterr().err
    assert main([*train, "--chunk-timeout", "5"]) == 2
    assert "chunk_timeout=5 needs actors" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""What happens to every request: key, size, time, id, log, metrics."""

import http.client
import json
import socket
import threading

import pytest

from include.recommender.api import edge, guarded_http
from include.recommender.api.keys import add_key, remove_key

from ..registry import makers
from .conftest import until


def connection(api):
    """A bare connection to the server."""
    address = api.client.base_url
    return socket.create_connection((address.host, address.port), timeout=10)


def answer_of(raw):
    """Status and body of what came over a bare connection until the server closed it."""
    received = b"".join(iter(lambda: raw.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_without_a_key_only_the_probes_answer(api, keys):
    known, key = keys
    started = api(keys=known)
    for path in ("/v1/trending", "/v1/model", "/metrics", "/openapi.json", "/v1/nothing", "/docs"):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": key},
            {"Authorization": f"Basic {key}"},
        ):
            refused = started.client.get(path, headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.headers["content-type"] == "application/problem+json"
            assert key not in refused.text
    assert started.client.get("/v1/trending", headers={"Authorization": f"bearer {key}"}).status_code == 200
    assert started.client.get("/healthz").status_code == 200
    assert started.lines()[-2]["caller"] == "shop"
    assert key not in started.text()


def test_a_key_is_refused_before_its_body_is_read(api, keys):
    started = api(keys=keys[0])
    with connection(started) as raw:
        raw.sendall(b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert answer_of(raw)[0] == 401


def test_keys_come_and_go_without_a_restart(api, keys):
    known, first = keys
    started = api(keys=known)

    def status(key):
        return started.client.get("/v1/trending", headers={"Authorization": f"Bearer {key}"}).status_code

    second = add_key(known.path, "shop-2")
    assert (status(first), status(second)) == (200, 200)
    remove_key(known.path, "shop")
    assert (status(first), status(second)) == (401, 200)
    known.path.write_text("{damaged")
    assert (status(first), status(second)) == (401, 200)
    known.path.write_text('{"keys": {}}')
    assert (status(first), status(second)) == (401, 401)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_refused_early(api, chunked):
    started = api(body_bytes=2_000)
    body = json.dumps({"items": ["a" * 100] * 100}).encode()
    content = (body[at : at + 500] for at in range(0, len(body), 500)) if chunked else body
    refused = started.client.post("/v1/rank", content=content)
    assert refused.status_code == 413
    assert "2,000 bytes" in refused.json()["detail"]
    assert started.client.get("/v1/trending").status_code == 200


def test_a_body_that_does_not_come_is_given_up(api, monkeypatch):
    monkeypatch.setattr(edge, "BODY_S", 0.2)
    started = api()
    with connection(started) as raw:
        raw.sendall(b'POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"items"')
        assert answer_of(raw)[0] == 408


def test_a_head_that_does_not_come_is_given_up(api, monkeypatch):
    monkeypatch.setattr(guarded_http, "HEAD_S", 0.3)
    started = api()
    for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost:", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
        with connection(started) as raw:
            raw.sendall(sent)
            received = b"".join(iter(lambda raw=raw: raw.recv(65_536), b""))
            assert received.startswith(b"HTTP/1.1 200") == sent.endswith(b"\r\n\r\n")


def test_an_endless_head_is_refused(api):
    started = api()
    with connection(started) as raw:
        try:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10 * guarded_http.HEAD_BYTES)
            status, problem = answer_of(raw)
            assert (status, problem["status"]) == (431, 431)
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server closed while we were still sending
    assert started.client.get("/healthz").status_code == 200


def answers_of(raw):
    """The statuses of all answers on a connection until the server closes it."""
    received = b"".join(iter(lambda: raw.recv(65_536), b""))
    return [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def test_a_large_body_behind_another_request_is_no_long_head(api):
    started = api()
    body = json.dumps({"items": ["a" * 180] * 1_000}).encode()
    head = b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with connection(started) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + head)
        raw.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert answers_of(raw) == [200, 200]


@pytest.mark.parametrize("where", ["trailers", "behind a request"])
def test_a_head_is_bounded_wherever_it_stands(api, where):
    started, line = api(), b"X: " + b"a" * 1_000 + b"\r\n"
    if where == "trailers":
        first = b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    else:
        first = b"GET /v1/trending HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/trending HTTP/1.1\r\nHost: x\r\n"
    with connection(started) as raw, pytest.raises(OSError, match=r"reset|Broken"):
        send_until_closed(raw, first, line * 1_000)
    assert started.client.get("/healthz").status_code == 200


def send_until_closed(raw, first, more):
    """Send 20 MB at most; raise OSError as soon as the server has closed the connection."""
    raw.sendall(first)
    for _ in range(20):
        raw.sendall(more)
    while raw.recv(65_536):
        pass
    raise ConnectionResetError("reset: closed by the server")


def test_a_client_that_reads_nothing_is_dropped(api, monkeypatch):
    """Of twelve large answers it gets what the kernel holds; the rest does not stay in the server's memory."""
    monkeypatch.setattr(guarded_http, "UNREAD_S", 0.5)
    started = api()
    asked = {"requests": [{"k": 300}] * 100}
    size = len(started.client.post("/v1/recommendations/bulk", json=asked).content)
    body = json.dumps(asked).encode()
    head = b"POST /v1/recommendations/bulk HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with connection(started) as raw:
        raw.sendall((head + b"Content-Length: %d\r\n\r\n" % len(body) + body) * 12)
        until(lambda: unread(started))
        until(lambda: not unread(started))
        assert len(all_of(raw)) < 12 * size
    assert started.client.get("/healthz").status_code == 200


def unread(started):
    """Connections to which the server could not write all."""
    return [each for each in started.server.server_state.connections if each.transport.get_write_buffer_size()]


def all_of(raw):
    """What comes until the connection ends, however it ends."""
    received = bytearray()
    try:
        while part := raw.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def test_a_path_with_a_slash_more_is_not_redirected(api):
    answer = api().client.get("/v1/trending/", headers={"Host": "evil.example"}, follow_redirects=False)
    assert answer.status_code == 404


def test_a_bulk_is_bounded_as_a_whole(api):
    requests = [{"exclude": [f"x{number}" for number in range(6_000)]}] * 2
    answer = api().client.post("/v1/recommendations/bulk", json={"requests": requests})
    assert (answer.status_code, "12,000 events and ids" in answer.text) == (422, True)


def test_large_requests_are_not_kept(api):
    started = api()
    for number in range(5):
        ids = [f"x{number}-{place}" for place in range(1_000)]
        started.client.post("/v1/recommendations", json={"exclude": ids})
        started.client.post("/v1/recommendations", json={"k": 200, "user": f"U0000{number}"})
        started.client.post("/v1/recommendations", json={"events": [{"item": f"I0000{number}"}]})
    assert "recommender_cached_lists 0.0" in started.client.get("/metrics").text
    started.client.get("/v1/users/U00005/recommendations")
    assert "recommender_cached_lists 1.0" in started.client.get("/metrics").text


def test_a_pipe_that_nobody_reads_stops_no_request(api):
    started, blocked = api(), threading.Event()
    started.access_log.write = lambda _line: blocked.wait(30)
    for _ in range(20):
        assert started.client.get("/healthz").status_code == 200
    blocked.set()


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_http_gets_a_problem(api, sent):
    with connection(api()) as raw:
        raw.sendall(sent)
        status, problem = answer_of(raw)
        assert (status, problem["title"]) == (400, "Bad Request")


def test_a_client_that_leaves_leaves_no_trace_of_an_error(api, caplog):
    started = api()
    with connection(started) as raw:
        raw.sendall(b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    until(lambda: any(line["status"] == 499 for line in started.lines()))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_an_id_of_the_caller_is_kept_if_it_is_plain(api):
    client = api().client
    assert client.get("/healthz", headers={"X-Request-ID": "shop-17.4"}).headers["x-request-id"] == "shop-17.4"
    for strange in ("a b", "a" * 65, 'x","y":"', ""):
        made = client.get("/healthz", headers={"X-Request-ID": strange}).headers["x-request-id"]
        assert len(made) == 16
        assert made != strange


def test_the_log_has_what_an_experiment_is_judged_by(api):
    started = api()
    answer = started.client.get("/v1/users/U00005/recommendations", params={"k": 3, "offset": 1})
    line = started.lines()[-1]
    assert line["request_id"] == answer.json()["request_id"]
    assert (line["user"], line["offset"], line["channel"]) == ("U00005", 1, "production")
    assert (line["model_id"], line["source"], line["status"]) == (makers.M1, "known_user", 200)
    assert line["items"] == [row["item"] for row in answer.json()["items"]]
    assert line["route"] == "/v1/users/{user}/recommendations"
    started.client.post("/v1/recommendations/bulk", json={"requests": [{"user": "U00005", "k": 2}, {"k": 1}]})
    assert [each["user"] for each in started.lines()[-1]["lists"]] == ["U00005", None]


def test_lists_and_users_stay_out_of_the_log_where_that_is_wanted(api):
    started = api(log_lists=False)
    started.client.get("/v1/users/U00005/recommendations", params={"exclude": "I00001"})
    started.client.post("/v1/recommendations/bulk", json={"requests": [{"user": "U00005"}]})
    started.client.post("/v1/rank", json={"user": "U00005", "items": ["I00003"]})
    assert "U00005" not in started.text()
    assert "I000" not in started.text()


def test_metrics_count_requests_lists_and_looks_into_the_cache(api):
    started = api()
    for _ in range(3):
        started.client.get("/v1/users/U00005/recommendations")
    page = started.client.get("/metrics").text
    assert 'recommender_request_seconds_count{route="/v1/users/{user}/recommendations",status="200"} 3.0' in page
    assert 'recommender_lists_total{channel="production",source="known_user"} 3.0' in page
    assert 'recommender_cache_total{found="yes"} 2.0' in page
    assert f'recommender_model_info{{channel="production",model_id="{makers.M1}"}} 1.0' in page
    assert 'recommender_channel_problem{channel="production"} 0.0' in page
    assert "recommender_model_age_seconds" in page


def test_pipelined_requests_are_answered_in_order(api):
    started = api()
    address = started.client.base_url
    one = b"GET /v1/users/U0000%d/recommendations?k=1 HTTP/1.1\r\nHost: x\r\n"
    with connection(started) as raw:
        raw.sendall(b"\r\n".join(one % user for user in range(5)) + b"Connection: close\r\n\r\n")
        received = b"".join(iter(lambda: raw.recv(65_536), b""))
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    users = [http_get(address, f"/v1/users/U0000{user}/recommendations?k=1")["items"] for user in range(5)]
    assert [body["items"] for body in bodies] == users


def http_get(address, path):
    connected = http.client.HTTPConnection(address.host, address.port, timeout=10)
    connected.request("GET", path)
    return json.loads(connected.getresponse().read())


def test_a_page_of_another_site_gets_no_permission(api):
    answer = api().client.options(
        "/v1/trending", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_many_callers_at_once_get_their_own_lists(api):
    started = api(cache=0)
    expected = {user: http_get(started.client.base_url, f"/v1/users/{user}/recommendations")["items"] for user in USERS}
    wrong = []

    def ask(user):
        for _ in range(20):
            if http_get(started.client.base_url, f"/v1/users/{user}/recommendations")["items"] != expected[user]:
                wrong.append(user)

    threads = [threading.Thread(target=ask, args=(user,)) for user in USERS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


USERS = [f"U0000{number}" for number in range(8)]

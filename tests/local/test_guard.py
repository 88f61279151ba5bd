"""The guard of the laptop's S3, attacked: what a page, a rebound name or a stranger sends changes and shows nothing."""

import hashlib
import http.client
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from deploy import stack
from local import store
from local.home import Home

from ..ports import free_port

KEPT = b"kept"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One real server for all attacks, with an object in it."""
    home = Home(tmp_path_factory.mktemp("guard") / ".local")
    with home.own("a test"), store.serve(home, free_port()) as server:
        server.client().put_object(Bucket=store.BUCKET, Key="it", Body=KEPT)
        yield server


@pytest.fixture(autouse=True)
def _nothing_is_lost(server):
    yield
    assert server.client().get_object(Bucket=store.BUCKET, Key="it")["Body"].read() == KEPT


def host_of(server):
    return server.endpoint.removeprefix("http://")


def signed(server, method="GET", path=f"/{store.BUCKET}/it", body=b"", *, key=None, at=None, region=store.REGION):
    """Headers of a request as botocore signs it."""
    key = key or server.store
    request = AWSRequest(method, server.endpoint + path, data=body, headers={"Host": host_of(server)})
    request.context["timestamp"] = (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    auth = S3SigV4Auth(Credentials(key.key_id, key.secret), "s3", region)
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    if at is None:
        auth.add_auth(request)
    else:
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        canonical = auth.canonical_request(request)
        auth._inject_signature_to_request(request, auth.signature(auth.string_to_sign(request, canonical), request))
    return dict(request.headers.items())


def ask(server, method="GET", path=f"/{store.BUCKET}/it", headers=None, body=b""):
    """Status, headers and body of a request of exactly these headers."""
    connection = http.client.HTTPConnection(host_of(server), timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": host_of(server)} | (headers or {})).items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def raw(server, text):
    """What comes back for bytes that no library would send; empty where the server hangs up."""
    host, port = host_of(server).split(":")
    with socket.create_connection((host, int(port)), timeout=3) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except TimeoutError:  # it waits for more of another protocol
            pass
        return found


def as_lines(headers):
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def test_the_key_of_the_home_is_random_private_and_stays(home):
    first = store.home_store(home, 9)
    assert store.home_store(home, 9) == first
    assert store.home_store(Home(home.path / "other"), 9).secret != first.secret
    assert len(first.secret) >= 20
    assert (home.path / "s3-key.json").stat().st_mode & 0o777 == 0o600


def test_a_signed_request_is_served(server):
    status, headers, body = ask(server, headers=signed(server))
    assert (status, body) == (200, KEPT)
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"/{store.BUCKET}/it"),
        ("PUT", f"/{store.BUCKET}/it"),
        ("DELETE", f"/{store.BUCKET}/it"),
        ("POST", f"/{store.BUCKET}?delete"),
        ("POST", "/_ministack/reset"),
        ("POST", "/%5Fministack/reset"),
        ("POST", "//_ministack/reset"),
        ("POST", f"/{store.BUCKET}/../_ministack/reset"),
        ("GET", "/_ministack/health"),
        ("GET", "/_localstack/health"),
        ("POST", "/_health"),
        ("GET", "/_aws/sqs/messages"),
        ("POST", "/_ministack/config"),
    ],
)
@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}], ids=str)
def test_nothing_unsigned_is_served_and_no_page_may_read_the_answer(server, method, path, origin):
    status, headers, body = ask(server, method, path, origin, b"x" if method == "PUT" else b"")
    assert status in {400, 403}
    assert KEPT not in body
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"sec-ch-ua": "x"},
        {"Referer": "http://evil.example/"},
        {"Access-Control-Request-Method": "PUT"},
    ],
    ids=str,
)
def test_a_browsers_headers_are_refused_even_where_the_signature_is_right(server, header):
    status, _, body = ask(server, headers=signed(server) | header)
    assert (status, KEPT in body) == (403, False)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "bucket.localhost:{port}", ""])
def test_a_rebound_name_is_refused_though_it_is_what_was_signed(server, host):
    port = host_of(server).split(":")[1]
    foreign = replace(server, store=replace(server.store, endpoint=f"http://{host.format(port=port) or 'x'}"))
    status, _, body = ask(server, headers=signed(foreign) | {"Host": host.format(port=port)})
    assert (status in {400, 403}, KEPT in body) == (True, False)


def test_an_admin_route_is_not_served_to_the_keys_holder_either(server):
    path = "/_ministack/reset"
    assert ask(server, "POST", path, signed(server, "POST", path))[0] == 400


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND"])
def test_other_methods_are_refused(server, method):
    headers = signed(server, method) | ({"Origin": "http://evil.example"} if method == "OPTIONS" else {})
    status, headers, _ = ask(server, method, headers=headers)
    assert status in {400, 403}
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": stack.Store("", "local-0", "x" * 40)}, "InvalidAccessKeyId"),
        ({"key": "other secret"}, "SignatureDoesNotMatch"),
        ({"region": "eu-west-1"}, "SignatureDoesNotMatch"),
        ({"at": timedelta(minutes=-20)}, "RequestTimeTooSkewed"),
        ({"at": timedelta(minutes=20)}, "RequestTimeTooSkewed"),
    ],
    ids=["key id", "secret", "region", "an old date", "a date to come"],
)
def test_a_wrong_signature_is_refused_with_its_cause(server, change, code):
    if change.get("key") == "other secret":
        change = {"key": replace(server.store, secret="x" * 40)}
    if "at" in change:
        change = {"at": datetime.now(UTC) + change["at"]}
    status, _, body = ask(server, headers=signed(server, **change))
    assert status == 403
    assert f"<Code>{code}</Code>".encode() in body


@pytest.mark.parametrize("change", ["path", "query", "method", "header", "body", "signature", "credential"])
def test_what_is_changed_after_signing_is_refused(server, change):
    path, method, body = f"/{store.BUCKET}/it", "PUT", b"new"
    headers = signed(server, method, path, body)
    if change == "path":
        path += "2"
    elif change == "query":
        path += "?acl="
    elif change == "method":
        method = "POST"
    elif change == "header":
        headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    elif change == "body":
        body = b"neu"
    elif change == "signature":
        headers["Authorization"] = headers["Authorization"][:-1] + ("0" if headers["Authorization"][-1] != "0" else "1")
    else:
        headers["Authorization"] = headers["Authorization"].replace("aws4_request", "aws4_reques")
    assert ask(server, method, path, headers, body)[0] in {400, 403}


def test_a_signature_without_the_host_is_refused(server):
    headers = signed(server)
    headers["Authorization"] = headers["Authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    assert ask(server, headers=headers)[0] == 403


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: evil.example\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 5\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Authorization: Basic eDp4\r\n",
    ],
)
def test_what_two_readers_would_read_differently_is_refused(server, lines):
    smuggled = b"POST /_ministack/reset HTTP/1.1\r\nHost: " + host_of(server).encode() + b"\r\n\r\n"
    path = f"/{store.BUCKET}/smuggled"
    text = f"PUT {path} HTTP/1.1\r\n".encode() + as_lines(signed(server, "PUT", path))
    answer = raw(server, text + lines + b"\r\n0\r\n\r\n" + smuggled)
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert b"reset" not in answer
    with pytest.raises(ClientError, match="404"):
        server.client().head_object(Bucket=store.BUCKET, Key="smuggled")


@pytest.mark.parametrize("target", ["http://evil.example/recommender/it", "*", "recommender/it", "/recommender/\xff"])
def test_targets_that_are_no_path_are_refused(server, target):
    answer = raw(server, f"GET {target} HTTP/1.1\r\n".encode("latin-1") + as_lines(signed(server)) + b"\r\n")
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert KEPT not in answer


def test_a_websocket_is_refused(server):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = raw(server, b"GET / HTTP/1.1\r\n" + as_lines({"Host": host_of(server)} | upgrade) + b"\r\n")
    assert b" 101 " not in answer.split(b"\r\n")[0]


def test_http_2_is_not_spoken(server):
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    answer = raw(server, b"GET /_health HTTP/1.1\r\n" + as_lines({"Host": host_of(server)} | upgrade) + b"\r\n")
    assert b":status" not in answer
    assert KEPT not in answer


@pytest.mark.parametrize(("verb", "call"), [("GET", "get_object"), ("PUT", "put_object")])
def test_a_presigned_address_is_refused(server, verb, call):
    url = server.client().generate_presigned_url(call, {"Bucket": store.BUCKET, "Key": "it"}, ExpiresIn=60)
    status, _, body = ask(server, verb, url.removeprefix(server.endpoint))
    assert status == 403
    assert b"not signed with AWS Signature Version 4" in body


@pytest.mark.parametrize("key", ["a b", "ä/日本", "a+b&c=d", "~x", "a//b", "/lead", "%41", "a?b#c", "a'(b)*!,;:@$"])
def test_every_key_can_be_written_listed_and_read(server, key):
    s3 = server.client()
    s3.put_object(Bucket=store.BUCKET, Key=f"keys/{key}", Body=key.encode(), Metadata={"m": "a  b"})
    listed = s3.list_objects_v2(Bucket=store.BUCKET, Prefix=f"keys/{key}")["Contents"]
    assert f"keys/{key}" in {row["Key"] for row in listed}
    assert s3.get_object(Bucket=store.BUCKET, Key=f"keys/{key}")["Body"].read() == key.encode()


def test_what_s3_clients_do_goes_through(server, tmp_path):
    s3, big = server.client(), bytes(range(256)) * 80_000
    (tmp_path / "big").write_bytes(big)
    s3.upload_file(str(tmp_path / "big"), store.BUCKET, "big")  # multipart
    assert s3.get_object(Bucket=store.BUCKET, Key="big", Range="bytes=256-511")["Body"].read() == big[256:512]
    s3.download_file(store.BUCKET, "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=store.BUCKET, Key="it", Body=b"", IfNoneMatch="*")
    assert s3.head_object(Bucket=store.BUCKET, Key="it")["ContentLength"] == len(KEPT)
    s3.copy_object(Bucket=store.BUCKET, Key="copy", CopySource={"Bucket": store.BUCKET, "Key": "it"})
    s3.delete_objects(Bucket=store.BUCKET, Delete={"Objects": [{"Key": "copy"}, {"Key": "big"}]})


@pytest.mark.parametrize("mode", ["virtual", "unsigned body"])
def test_other_ways_of_the_same_client(server, mode):
    config = Config(s3={"payload_signing_enabled": False}) if mode == "unsigned body" else Config()
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint.replace("127.0.0.1", "localhost"),
        region_name=store.REGION,
        aws_access_key_id=server.store.key_id,
        aws_secret_access_key=server.store.secret,
        config=config.merge(Config(s3={**(config.s3 or {}), "addressing_style": "path"})),
    )
    s3.put_object(Bucket=store.BUCKET, Key="other", Body=b"x" * 100_000)
    assert s3.head_object(Bucket=store.BUCKET, Key="other")["ContentLength"] == 100_000

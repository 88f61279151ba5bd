"""Every answer of a store, over HTTP and through every verb: who can fix it, what is said, how often it is asked."""

import datetime
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config

from include.recommender.errors import ConfigError, DataError, NotFound, PreconditionFailed, TransientError
from include.recommender.storage.objects import ObjectInfo, ObjectStore

from ..ports import free_port
from .answers import answering

TRIES = 2


def store_at(endpoint, region="us-east-1", **options):
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": TRIES}, connect_timeout=2, read_timeout=2, **options
        ),
    )
    return ObjectStore(client, "reviews", "shop")


def _upload(store, folder, size):
    path = folder / "file"
    with path.open("wb") as file:
        file.truncate(size)
    store.upload(path, "a")


ACTS = {
    "read": lambda store, _: store.read("a"),
    "write": lambda store, _: store.write("a", b"x"),
    "create": lambda store, _: store.write("a", b"x", create_only=True),
    "swap": lambda store, _: store.write("a", b"x", if_match='"e"'),
    "upload": lambda store, folder: _upload(store, folder, 10),
    "upload in parts": lambda store, folder: _upload(store, folder, 9 << 20),
    "head": lambda store, _: store.head("a"),
    "walk": lambda store, _: list(store.walk()),
    "folders": lambda store, _: store.folders(),
    "download": lambda store, folder: store.download(ObjectInfo("a", 10, '"e"'), folder / "out" / "a"),
    "delete": lambda store, _: store.delete(["a"]),
}
VERBS = tuple(ACTS)


def act(store, verb, folder):
    """Do one thing with a store."""
    ACTS[verb](store, folder)


def xml(code, message="made to fail", more=""):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waiting between tries."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


# status, code, message; what it is of all verbs but `head`, and what is said.
ANSWERS = [
    (403, "AccessDenied", "Access Denied", ConfigError, "access denied"),
    (403, "AccessDenied", "not authorized to perform: kms:Decrypt on the key", ConfigError, "kms:Decrypt"),
    (403, "AccessDenied", "with an explicit deny in a resource-based policy", ConfigError, "policy forbids"),
    (403, "AccessDenied", "Bucket is a requester pays bucket", ConfigError, "requester has to pay"),
    (403, "AccountProblem", "", ConfigError, "account"),
    (403, "AllAccessDisabled", "", ConfigError, "closed the account"),
    (403, "NotSignedUp", "", ConfigError, "account"),
    (403, "InvalidAccessKeyId", "", ConfigError, "access key id"),
    (403, "SignatureDoesNotMatch", "", ConfigError, "signature"),
    (403, "InvalidObjectState", "", DataError, "Glacier"),
    (403, "RequestTimeTooSkewed", "", ConfigError, "clock"),
    (403, "RequestExpired", "", ConfigError, "expired"),
    (403, "QuotaExceeded", "", ConfigError, "full"),
    (403, "SomethingNew", "", ConfigError, "SomethingNew"),
    (401, "Unauthorized", "", ConfigError, "access denied"),
    (400, "ExpiredToken", "", ConfigError, "expired"),
    (400, "InvalidToken", "", ConfigError, "not valid"),
    (400, "KMS.DisabledException", "", ConfigError, "KMS"),
    (400, "KMS.NotFoundException", "", ConfigError, "KMS"),
    (400, "KMS.ThrottlingException", "", TransientError, "busy"),
    (400, "EntityTooLarge", "", DataError, "size"),
    (400, "InvalidRequest", "", ConfigError, "as it was made"),
    (400, "InvalidBucketName", "", ConfigError, "name of a bucket"),
    (400, "IllegalLocationConstraintException", "", ConfigError, "region"),
    (400, "XMinioInvalidObjectName", "", ConfigError, "shorter"),
    (400, "BadDigest", "", TransientError, "damaged"),
    (400, "IncompleteBody", "", TransientError, "try again"),
    (400, "RequestTimeout", "", TransientError, "try again"),
    (400, "NeverHeardOf", "", DataError, "NeverHeardOf"),
    (404, "NoSuchBucket", "", ConfigError, "bucket does not exist"),
    (404, "NoSuchKey", "", NotFound, "no such object"),
    (404, "NoSuchUpload", "", TransientError, "try again"),
    (405, "MethodNotAllowed", "", ConfigError, "not an S3 service|no S3 service|not allowed"),
    (408, "Slow", "", TransientError, "try again"),
    (409, "ConditionalRequestConflict", "", TransientError, "in progress"),
    (409, "BucketAlreadyExists", "", ConfigError, "another name"),
    (409, "XMinioObjectExistsAsDirectory", "", DataError, "as files"),
    (411, "MissingContentLength", "", ConfigError, "refuses"),
    (413, "TooBig", "", DataError, "size"),
    (429, "TooMany", "", TransientError, "busy"),
    (451, "Legal", "", ConfigError, "account"),
    (500, "InternalError", "", TransientError, "try again"),
    (501, "NotImplemented", "", ConfigError, "conditional writes"),
    (502, "Gateway", "", TransientError, "try again"),
    (503, "SlowDown", "", TransientError, "busy"),
    (503, "XMinioStorageFull", "", ConfigError, "full"),
    (505, "Version", "", ConfigError, "HTTP version"),
    (507, "XMinioStorageFull", "", ConfigError, "full"),
    (507, "Whatever", "", ConfigError, "full"),
    (508, "Loop", "", ConfigError, "circle"),
    (511, "Login", "", ConfigError, "login"),
    (526, "Certificate", "", ConfigError, "certificate"),
]


def of_a_head(status):
    """A HEAD has no body: what a status alone means."""
    by_status = {404: NotFound, 412: PreconditionFailed, 413: DataError}
    passing = status in {408, 409, 429} or (status >= 500 and status not in {501, 505, 507, 508, 511, 526})
    return TransientError if passing else by_status.get(status, ConfigError)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "reason"),
    ANSWERS,
    ids=[f"{row[0]} {row[1]} {row[2][:20]}" for row in ANSWERS],
)
def test_an_answer_has_one_meaning_through_every_verb(tmp_path, status, code, message, kind, reason):
    with answering(status, xml(code, message)) as (endpoint, seen):
        store = store_at(endpoint)
        for verb in VERBS:
            seen.clear()
            expected = of_a_head(status) if verb == "head" else kind
            with pytest.raises(expected, match=None if verb == "head" else reason) as caught:
                act(store, verb, tmp_path)
            assert type(caught.value) is expected
            assert "s3://reviews/shop" in str(caught.value)
            # botocore tries some of the passing ones again; what a person has to fix is asked once.
            asks_for_the_region = status == 400 and (verb == "head" or code.startswith("IllegalLocation"))
            assert len(seen) <= (TRIES if expected is TransientError or asks_for_the_region else 1), verb


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
@pytest.mark.parametrize("where", ["https://login.example.com/?token=hunter2", "/", ""])
def test_a_redirect_is_not_followed_and_names_both_ends(tmp_path, status, where):
    with answering(status, "<html><body>moved</body></html>", {"Location": where}) as (endpoint, seen):
        store = store_at(endpoint)
        for verb in VERBS:
            seen.clear()
            with pytest.raises(ConfigError, match=rf"answered {status}.*endpoint_url") as caught:
                act(store, verb, tmp_path)
            assert f"at {endpoint}" in str(caught.value) or f": {endpoint} answered" in str(caught.value)
            assert "hunter2" not in str(caught.value)
            assert f"points to {where.split('?')[0] or 'nowhere'}" in str(caught.value)
            assert len(seen) == 1, verb


def test_a_redirect_that_the_http_client_trips_over_is_a_persons_too(tmp_path):
    with answering(303, "", {"Location": "https://login.example.com/"}) as (endpoint, seen):
        for verb in VERBS:
            seen.clear()
            with pytest.raises(ConfigError, match=endpoint):
                act(store_at(endpoint), verb, tmp_path)
            assert len(seen) == 1, verb


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_host_that_a_redirect_names_gets_no_request(tmp_path, status):
    with answering(200, "") as (foreign, foreign_seen):
        with answering(status, "", {"Location": f"{foreign}/reviews/shop/a"}) as (endpoint, _):
            for verb in VERBS:
                with pytest.raises(ConfigError, match=f"points to {foreign}"):
                    act(store_at(endpoint), verb, tmp_path)
        assert foreign_seen == []


@pytest.mark.parametrize(
    ("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"), (307, "TemporaryRedirect")]
)
def test_a_bucket_of_another_region_names_that_region_after_one_more_try(tmp_path, status, code):
    body = xml(code, more="<Region>eu-central-1</Region>")
    with answering(status, body, {"x-amz-bucket-region": "eu-central-1"}) as (endpoint, seen):
        with pytest.raises(ConfigError, match=r"region.*eu-central-1|region_name"):
            act(store_at(endpoint), "read", tmp_path)
        assert len(seen) == 2


HTML = "<html><head><title>Sign in</title></head><body><p>Welcome</p></body></html>"


@pytest.mark.parametrize(
    "page", [HTML, "<!DOCTYPE html><html><br></html>", "{}", ""], ids=["xhtml", "html", "json", "empty"]
)
def test_a_page_that_answers_in_the_place_of_a_store_is_not_taken_for_an_answer(tmp_path, page):
    with answering(200, page, {"Content-Type": "text/html"}) as (endpoint, _):
        store = store_at(endpoint)
        for verb in VERBS:
            if (
                verb == "upload"
            ):  # nothing in the answer to a small upload is looked at; the manifest after it is a `write`
                continue
            with pytest.raises((ConfigError, TransientError)) as caught:
                act(store, verb, tmp_path)
            # botocore takes a page that is no XML for an error 500.
            assert type(caught.value) is ConfigError or verb in {
                "write",
                "create",
                "swap",
                "upload in parts",
                "download",
                "walk",
                "folders",
                "delete",
            }, verb
            assert "s3://reviews/shop" in str(caught.value)


@pytest.mark.parametrize("verb", ["read", "write", "walk", "delete"])
def test_a_page_with_status_404_is_not_taken_for_a_missing_object(tmp_path, verb):
    with answering(404, HTML) as (endpoint, _), pytest.raises(ConfigError, match=r"no S3|not an S3"):
        act(store_at(endpoint), verb, tmp_path)


@pytest.mark.parametrize(
    ("codes", "kind", "reason"),
    [
        (["AccessDenied"], ConfigError, "a0: access denied"),
        (["InternalError"], TransientError, "a0: "),
        (["SlowDown", "AccessDenied", "SlowDown"], ConfigError, "a1: access denied.* 2 more keys"),
        (["InvalidObjectState"], DataError, "a0"),
        (["NotImplemented"], ConfigError, "a0"),
        (["NeverHeardOf"], DataError, "NeverHeardOf"),
    ],
)
def test_keys_that_stay_are_named_with_what_a_person_has_to_fix_first(codes, kind, reason):
    rows = "".join(f"<Error><Key>shop/a{i}</Key><Code>{code}</Code></Error>" for i, code in enumerate(codes))
    body = f"<?xml version='1.0'?><DeleteResult><Deleted><Key>shop/x</Key></Deleted>{rows}</DeleteResult>"
    with answering(200, body) as (endpoint, _), pytest.raises(kind, match=reason) as caught:
        store_at(endpoint).delete(["x", *[f"a{i}" for i in range(len(codes))]])
    assert type(caught.value) is kind


def test_nobody_at_the_address_is_a_passing_fault_that_names_it(tmp_path):
    port = free_port()
    for verb in VERBS:
        with pytest.raises(TransientError, match=f"127.0.0.1:{port}"):
            act(store_at(f"http://127.0.0.1:{port}"), verb, tmp_path)


@pytest.mark.parametrize(
    ("reason", "kind", "lookups"),
    [(socket.EAI_NONAME, ConfigError, 1), (socket.EAI_AGAIN, TransientError, TRIES)],
    ids=["no such name", "no name server"],
)
def test_a_name_that_does_not_exist_is_a_persons_and_a_silent_name_server_is_not(monkeypatch, reason, kind, lookups):
    asked = []

    def lookup(host, *_, **__):
        asked.append(host)
        raise socket.gaierror(reason, "made to fail")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(kind, match=r"store\.example"):
        store_at("http://store.example:9000").read("a")
    assert len(asked) == lookups


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody signed, for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "store.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_certificate_that_nobody_vouches_for_is_a_persons_and_asked_for_once(certificate, tmp_path):
    accepted = []

    class Counting(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self):
            accepted.append(1)
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_):
            """The client goes away in the handshake."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Counting(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ConfigError, match="certificate"):
            act(store_at(f"https://127.0.0.1:{server.server_address[1]}"), "read", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert len(accepted) == 1


def test_https_to_a_server_of_plain_http_is_a_persons(tmp_path):
    with answering(200, "") as (endpoint, _), pytest.raises(ConfigError, match="http or https"):
        act(store_at(endpoint.replace("http:", "https:")), "read", tmp_path)


def test_a_proxy_that_wants_a_login_is_a_persons_and_its_own_login_is_not_shown():
    with answering(407, "") as (proxy, _):
        url = proxy.replace("//", "//me:hunter2@")
        store = store_at("https://store.example", proxies={"https": url})
        with pytest.raises(ConfigError, match=r"HTTPS_PROXY") as caught:
            store.read("a")
    assert "hunter2" not in str(caught.value)

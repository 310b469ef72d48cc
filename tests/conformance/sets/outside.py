"""What a receiver has that shares no code with the server: an HTTP client, a receiver of pushes, and PyJWT."""

import base64
import hashlib
import http.client
import http.server
import json
import threading
import time
import urllib.parse

import jwt

PATIENCE_SECONDS = 30
# The server has the same in `environment`.
SECRET = "a-secret-that-both-sides-know-0123456789"
PUSH_TOKEN = "a-token-of-the-receiver"
POLL = "urn:ietf:rfc:8936"
PUSH = "urn:ietf:rfc:8935"
FEED = "/Events/Feeds/default/Stream"
# The members of a private JWK (RFC 7518 §6): none may ever be published.
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body) if self.body else None


class Server:
    """The server at a URL, asked with a key."""

    def __init__(self, url, key):
        self.url, self.key, parts = url, key, urllib.parse.urlsplit(url)
        self.host, self.path = parts.netloc, parts.path.rstrip("/")
        self.origin = f"{parts.scheme}://{parts.netloc}"

    def connect(self):
        return http.client.HTTPConnection(self.host, timeout=2 * PATIENCE_SECONDS)

    def ask(self, method, path, body=None, content_type="application/scim+json", **headers):
        headers = {"Authorization": f"Bearer {self.key}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["Content-Type"] = content_type
        connection = self.connect()
        try:
            connection.request(method, self.path + path, json.dumps(body) if body is not None else None, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def succeed(self, method, path, body=None, **options):
        answer = self.ask(method, path, body, **options)
        assert 200 <= answer.status < 300, f"{method} {path}: {answer.status} {answer.body}"
        return answer

    def jwks(self):
        """The JWK Set: outside the base path, and without a credential."""
        connection = self.connect()
        connection.request("GET", "/.well-known/jwks.json")
        answer = Answer(connection.getresponse())
        connection.close()
        assert answer.status == 200, f"{answer.status} {answer.body}"
        return answer


class Stream:
    """A stream that was made by request, as its creator knows it."""

    def __init__(self, server, **configuration):
        answer = server.ask("POST", "/Events/Streams", configuration, content_type="application/json")
        assert answer.status == 201, f"{answer.status} {answer.body}"
        self.server, self.configuration = server, answer.json()
        self.id, self.aud = self.configuration["stream_id"], self.configuration["aud"]
        self.alg = configuration.get("alg", "ES256")

    def poll_path(self):
        return f"/Events/Streams/{self.id}/Poll"


def poll(server, path, **request):
    """One poll (RFC 8936 §2.4); the answer's members."""
    answer = server.ask("POST", path, request, content_type="application/json", Accept="application/json")
    assert answer.status == 200, f"{answer.status} {answer.body}"
    assert answer.headers["Content-Type"] == "application/json", answer.headers["Content-Type"]
    members = answer.json()
    assert isinstance(members.get("sets"), dict) and members.keys() <= {"sets", "moreAvailable"}, members
    assert isinstance(members.get("moreAvailable", False), bool), members
    return members


def poll_until(server, path, count, most=3):
    """Polls as RFC 8936 §2.4 has it: each request acknowledges what the last answer held. `jti` → SET, in order of arrival."""
    sets, acknowledged, deadline = {}, [], time.monotonic() + PATIENCE_SECONDS
    while len(sets) < count:
        assert time.monotonic() < deadline, f"only {len(sets)} of {count} SETs came"
        members = poll(server, path, ack=acknowledged, maxEvents=most, returnImmediately=False)
        assert len(members["sets"]) <= most, members
        assert not sets.keys() & members["sets"].keys(), "an acknowledged SET came again"
        sets |= members["sets"]
        acknowledged = list(members["sets"])
    members = poll(server, path, ack=acknowledged, maxEvents=0, returnImmediately=True)
    assert members["sets"] == {}, members
    return sets


def poll_while(server, path, most=3):
    """The SETs that come, each acknowledged with the next request, for as long as anybody asks for more and some come."""
    acknowledged = []
    while True:
        members = poll(server, path, ack=acknowledged, maxEvents=most, returnImmediately=False)
        acknowledged = list(members["sets"])
        if not acknowledged:
            return
        # Whoever has found what it looked for asks no more: this must be settled by then.
        poll(server, path, ack=acknowledged, maxEvents=0, returnImmediately=True)
        yield from members["sets"].values()


def verify(compact, jwks, alg, issuer, audience):
    """The claims of a SET that independent code has verified."""
    header = jwt.get_unverified_header(compact)
    assert header["typ"] == "secevent+jwt" and header["alg"] == alg, header
    assert "=" not in compact and compact.count(".") == 2, compact
    if alg == "HS256":
        key = SECRET
    else:
        matching = [one for one in jwks["keys"] if one["kid"] == header["kid"]]
        assert len(matching) == 1, f"{header['kid']} is {len(matching)} times in the JWK Set"
        key = jwt.PyJWK(matching[0], algorithm=alg).key
    required = ["iss", "aud", "iat", "jti"]
    claims = jwt.decode(compact, key, algorithms=[alg], issuer=issuer, audience=audience, options={"require": required}, leeway=5)
    forged = compact[:-8] + ("AAAAAAAA" if not compact.endswith("AAAAAAAA") else "BBBBBBBB")
    try:
        jwt.decode(forged, key, algorithms=[alg], issuer=issuer, audience=audience)
    except jwt.InvalidSignatureError:
        return claims
    raise AssertionError("a forged signature was taken for a good one")


def thumbprint(jwk):
    """RFC 7638 §3, by hand."""
    required = {"EC": ["crv", "kty", "x", "y"], "OKP": ["crv", "kty", "x"], "RSA": ["e", "kty", "n"]}[jwk["kty"]]
    canonical = json.dumps({name: jwk[name] for name in required}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


class Receiver:
    """Receives pushes (RFC 8935) at a port: keeps what comes, then answers 202."""

    def __init__(self, port):
        self.pushes, self.came = [], threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with receiver.came:
                    receiver.pushes.append((self.path, dict(self.headers.items()), body))
                    receiver.came.notify_all()
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, path, count):
        """What was pushed to a path, as soon as it is so many."""
        with self.came:
            enough = self.came.wait_for(lambda: len(self.at(path)) >= count, PATIENCE_SECONDS)
            assert enough, f"only {len(self.at(path))} of {count} SETs were pushed to {path}"
            return self.at(path)

    def at(self, path):
        return [(headers, body) for at, headers, body in self.pushes if at == path]


def follow(server, path, count, last=None):
    """Server-Sent Events, as their specification has them parsed: (id, data) of the first so many."""
    connection = server.connect()
    headers = {"Authorization": f"Bearer {server.key}", "Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    connection.request("GET", server.path + path, None, headers)
    response = connection.getresponse()
    assert response.status == 200, f"{response.status} {response.read()}"
    assert response.headers["Content-Type"].split(";")[0] == "text/event-stream", response.headers["Content-Type"]
    events, name, data = [], None, []
    while len(events) < count:
        line = response.readline().decode().rstrip("\r\n")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            events.append((name, "\n".join(data)))
            data = []
    connection.close()
    return events

"""Values of the formats that JSON Schema has no words for, and rules between parameters that OpenAPI has no words for, so that
valid requests are generated as such."""

import functools
import os
import pathlib
import re
import uuid

import requests
import schemathesis
from hypothesis import strategies as st

CERTIFICATE = pathlib.Path(__file__).resolve().parents[2] / "support" / "certificate.txt"
ENTITY_TAGS = re.compile(r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*')
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ATTRIBUTES = ["id", "externalId", "meta.created", "meta.lastModified", "schemas"]
text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), max_size=12)
comparison = st.sampled_from(["eq", "ne", "co", "sw", "ew"])
term = st.one_of(
    st.sampled_from(["id pr", "externalId pr", 'meta.created gt "2026-01-01T00:00:00Z"', f'schemas eq "{USER}"']),
    st.builds("{} {} \"{}\"".format, st.sampled_from(["id", "externalId"]), comparison, text),
)
filters = st.recursive(
    term,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)

schemathesis.openapi.format("scim-filter", filters)
schemathesis.openapi.format("scim-attribute", st.sampled_from(ATTRIBUTES))
schemathesis.openapi.format("scim-path", st.sampled_from(["externalId", "displayName", "active", "name.givenName", "emails"]))
schemathesis.openapi.format("password", st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
schemathesis.openapi.format("scim-cursor", st.just(""))
schemathesis.openapi.format("country-code", st.sampled_from(["DE", "FR", "jp"]))
schemathesis.openapi.format("language-tag", st.sampled_from(["en", "de-CH", "zh-Hant-TW"]))
schemathesis.openapi.format("language-ranges", st.sampled_from(["en", "en-US, fr;q=0.5", "*"]))
schemathesis.openapi.format("time-zone", st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "UTC"]))
schemathesis.openapi.format("x509-certificate", st.just(CERTIFICATE.read_text().replace("\n", "")))
schemathesis.openapi.format("scim-bulk-path", st.sampled_from(["/Users", "/Groups", "/Users/1", "/Groups/1"]))
# What every type has, so that it does not depend on `resource_types` which of them a stream knows.
schemathesis.openapi.format("event-attribute", st.sampled_from(["externalId", "displayName", "schemas"]))
# Nothing is sent beyond this machine, nor is a name looked up: nobody listens at the port for discarding.
RECEIVER = "https://127.0.0.1:9"
schemathesis.openapi.format("receiver-url", st.builds("{}/{}".format, st.just(RECEIVER), st.sampled_from(["", "events", "events?a=b"])))


def ask(method, path, body=None):
    """What the server answers, beside what is tested."""
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"}
    answer = requests.request(method, os.environ["URL"] + path, json=body, headers=headers, timeout=30)
    return answer.json() if answer.content else None


@functools.cache
def events():
    """Names of events of this server, which must have some."""
    ask("POST", "/Users", {"schemas": [USER], "userName": "the first event"})
    return [claims["jti"] for claims in ask("GET", "/Events/Feeds/default/Stream")["sets"]]


@functools.cache
def refusing():
    """The id of a stream whose receiver refuses every event."""
    events()
    return ask("POST", "/Events/Streams", {"start": {"since": "2026-01-01T00:00:00Z"}})["stream_id"]


def letters():
    """Names of dead letters of that stream, of which there is always one."""
    path = f"/Events/Streams/{refusing()}"
    listed = ask("GET", f"{path}/DeadLetters?limit=5")["letters"]
    while not listed:
        ask("POST", "/Users", {"schemas": [USER], "userName": f"refused {uuid.uuid4()}"})
        sets = ask("POST", f"{path}/Poll", {"maxEvents": 5})["sets"]
        ask("POST", f"{path}/Poll", {"returnImmediately": True, "maxEvents": 0, "setErrs": {jti: {"err": "refused"} for jti in sets}})
        listed = ask("GET", f"{path}/DeadLetters?limit=5")["letters"]
    return [letter["jti"] for letter in listed]


schemathesis.openapi.format("event-jti", st.deferred(lambda: st.sampled_from(events())))
# Which of them there are is known when they are sent.
schemathesis.openapi.format("dead-letter-jti", st.just("a dead letter"))


# What a path of a PATCH takes depends on the path, which OpenAPI has no words for: a value is made to fit where it stands.
FITS = {
    "externalId": "x{!s:.20}".format,
    "displayName": "x{!s:.20}".format,
    "active": bool,
    "name.givenName": "x{!s:.20}".format,
    "emails": lambda value: [{"value": f"x{value!s:.20}"}],
}


def fit(operation, path):
    """An operation of a generated PATCH with the path and the value that this type of resource takes."""
    takes = FITS if path.endswith(("/Users/{id}", "/Me")) else {name: FITS[name] for name in ("externalId", "displayName")}
    if "path" in operation and operation["path"] not in takes:
        operation["path"] = "externalId"
    if operation["op"] == "remove":
        # A required attribute cannot be removed (RFC 7644, 3.5.2.2).
        operation["path"] = "externalId"
    elif "path" in operation:
        name = operation["path"]
        operation["value"] = takes[name](operation["value"])
    else:
        names = [name for name in takes if "." not in name]
        operation["value"] = {name: takes[name](value) for name, value in zip(names, operation["value"].values())}


def whole(number):
    """An integer "MUST NOT contain fractional or exponent parts" (RFC 7643, 2.3.4); JSON Schema allows those that are nothing."""
    return int(number) if isinstance(number, float) else number


def settle(asked):
    """What a search asks for, without what contradicts itself."""
    for name in ("startIndex", "count"):
        if name in asked:
            asked[name] = whole(asked[name])
    if asked.get("attributes") and asked.get("excludedAttributes"):
        # They exclude each other (RFC 7644, 3.9).
        del asked["excludedAttributes"]
    if asked.get("cursor") is not None:
        # A cursor is one that the server gave, or empty; it stands in for startIndex; count is bounded (RFC 9865, 2).
        asked["cursor"] = ""
        asked.pop("startIndex", None)
        asked.pop("count", None)


def settle_letters(case):
    """Dead letters are named that there are, of the stream that has them."""
    if case.body.get("jtis"):
        case.path_parameters["id"] = refusing()
        case.body["jtis"] = letters()[: len(case.body["jtis"])]


def settle_key(case):
    """A key is retired that there is."""
    for key in ask("GET", "/Events/Keys")["Resources"][:1]:
        case.path_parameters["id"] = key["kid"]


def settle_stream(changes):
    """Changes of a stream that can be made whatever it is: those of how it is pushed say that it is pushed, and where to."""
    delivery = changes.get("delivery") or {}
    if delivery.get("method") == "urn:ietf:rfc:8936":
        changes["delivery"] = {"method": delivery["method"]}
        changes.pop("lanes", None)
    elif delivery or changes.get("lanes") is not None:
        changes["delivery"] = {"endpoint_url": RECEIVER} | delivery | {"method": "urn:ietf:rfc:8935"}


def stay_here(body):
    """Whatever is tested, what is pushed is pushed to this machine."""
    delivery = body.get("delivery") if isinstance(body, dict) else None
    url = delivery.get("endpoint_url") if isinstance(delivery, dict) else None
    if isinstance(url, str) and re.match("(?i)https?:", url) and not url.startswith(RECEIVER):
        delivery["endpoint_url"] = f"{RECEIVER}/events"


@schemathesis.hook
def before_call(context, case, kwargs):
    stay_here(case.body)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    settle(case.query or {})
    if case.operation.path.endswith("/Keys/{id}/Retire"):
        settle_key(case)
    for name in ("If-Match", "If-None-Match"):
        # A header is not always generated by its pattern.
        if case.headers and name in case.headers and not ENTITY_TAGS.fullmatch(case.headers[name]):
            case.headers[name] = "*"
    if isinstance(case.body, dict):
        if case.operation.path.endswith("/.search"):
            settle(case.body)
        elif case.operation.path.endswith("/Bulk"):
            case.body["failOnErrors"] = whole(case.body.get("failOnErrors", 1))
            for number, operation in enumerate(case.body["Operations"]):
                # A POST needs a name, and each its own (RFC 7644, 3.7).
                if operation["method"] == "POST" or "bulkId" in operation:
                    operation["bulkId"] = str(number)
        elif case.operation.path.endswith(("/DeadLetters/Retry", "/DeadLetters/Discard")):
            settle_letters(case)
        elif case.operation.path.endswith("/Streams/{id}") and case.method == "PATCH":
            settle_stream(case.body)
        elif case.method == "PATCH":
            for operation in case.body["Operations"]:
                fit(operation, case.operation.path)


def nulls(value):
    """The names of what is null in it."""
    if isinstance(value, dict):
        return {name for name, part in value.items() if part is None}.union(*map(nulls, value.values()))
    return set().union(*map(nulls, value)) if isinstance(value, list) else set()


def is_only_null(case):
    """Whether what should have broken a format is null, which has none and un-assigns an attribute (RFC 7643, 2.5)."""
    said = (case.meta and case.meta.phase.data.description) or ""
    return said.lower().startswith("violates `format`") and said.rsplit("/", 1)[-1] in nulls(case.body)


@schemathesis.hook
def filter_case(context, case):
    # "Service providers MUST ignore any query parameters they do not recognize" (RFC 7644, 3.4.2).
    return "x-schemathesis-unknown-property" not in (case.query or {}) and not is_only_null(case)

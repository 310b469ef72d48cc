"""The claims of SETs, held against the figures of RFC 9967.

`figures.json` holds Figures 1 and 4 to 11 as the RFC prints them, by number. (Figures 2 and 3 show feed events, 12 to 19 asynchronous
requests, which the server does not have yet; 20 and 21 show no event.) What a receiver may rely on is their shape: which members there
are, of which JSON type, under which event URI, and what payload a figure's request leads to. Where the server deviates, it does so on
purpose: DEVIATIONS has every one with its reason, and one that no longer occurs fails as well.
"""

import json
import pathlib
import re

FIGURES = json.loads((pathlib.Path(__file__).parent / "figures.json").read_text())
PREFIX = "urn:ietf:params:scim:event:"
# The event URIs of RFC 9967 that the figures' requests lead to (§2.4, §7.3: class, name and, where there are two forms, the form).
URI = re.compile(r"urn:ietf:params:scim:event:prov:(?:(?:create|put|patch):(?:notice|full)|delete|activate|deactivate)")
RELATIVE = re.compile(r"/(?:Users|Groups)/[0-9A-Za-z-]+")

# What the server does otherwise than a figure: (figure, where, which way, what) → why.
DEVIATIONS = {
    ("*", "claims", "more", "txn"): "§2.2 requires txn for replication and coordinated provisioning; the figures leave it out",
    ("1", "claims", "more", "jti"): "RFC 8417 §2.2 requires jti; Figure 1 is about sub_id and leaves it out",
    ("1", "claims", "type", "aud"): "always an array, as in the other figures; RFC 7519 §4.1.3 allows both",
    ("4", "payload", "more", "version"): "§2.2 has a version in every event of a change; the figure of create leaves it out",
    ("5", "payload", "more", "version"): "§2.2 has a version in every event of a change; the figure of create leaves it out",
    ("4", "data", "more", "id"): "§2.4.1 wants the assigned id, as a response would show it; the figure leaves it out",
    ("4", "data", "more", "externalId"): "the figure's own sub_id has one, so a final representation has it too",
    ("4", "data", "more", "meta"): "§2.4: the final representation, as a response would show it",
    ("5", "attributes", "more", "externalId"): "the figure's own sub_id has one; it was assigned in the same request",
    ("6", "operation", "more", "type"): "what kind of member it is, as RFC 7643 §8.7.1 has it",
    ("6", "operation", "value", "$ref"): "an absolute URI, as responses have it; the figure's is relative",
    ("8", "data", "more", "id"): "§2.4: the final representation, not the request's body (§2.4.3 contradicts §2.4)",
    ("8", "data", "more", "meta"): "§2.4: the final representation, as a response would show it",
    ("8", "data", "less", "roles"): "an empty array is unassigned (RFC 7643 §2.5), and a response does not show what is unassigned",
    ("8", "sub_id", "more", "externalId"): "§2.1 has it if it is known, and the figure's own data has it",
    ("9", "sub_id", "more", "externalId"): "§2.1 has it if it is known, and Figure 8's data has it",
    ("9", "attributes", "less", "roles"): "§2.2: attributes that were added, revised or removed; an empty array that stays empty is none",
    ("9", "attributes", "less", "name"): "§2.2 has paths as of PATCH, such as name.familyName: those of its parts that changed stand there",
    ("9", "attributes", "more", "name.formatted"): "see name",
    ("9", "attributes", "more", "name.givenName"): "see name",
    ("9", "attributes", "more", "name.middleName"): "see name",
    ("11", "sub_id", "more", "externalId"): "§2.1 has it if it is known",
}
# Deviations from normative text, not from a figure, that the checks of `run` rely on:
# - one event a SET, never several URIs together (§2.1 allows it): what belongs together shares its txn;
# - the operations of a bulk request have the txn suffixes :0, :1, … as §2.5.1.2 says; Figures 16 to 19 begin with :1;
# - a full patch holds the operations that took effect, normalised (§2.2: the equivalent command), not the request's own.


class Comparison:
    """What deviates from one figure."""

    def __init__(self, number, claims):
        self.number, self.claims, self.figure = number, claims, FIGURES[number]
        self.found = set()

    def note(self, where, way, what):
        self.found.add((self.number, where, way, what))

    def members(self, where, ours, theirs):
        for name in ours.keys() - theirs.keys():
            self.note(where, "more", name)
        for name in theirs.keys() - ours.keys():
            self.note(where, "less", name)
        for name in ours.keys() & theirs.keys():
            if type(ours[name]) is not type(theirs[name]):
                self.note(where, "type", name)

    def run(self):
        self.members("claims", self.claims, self.figure)
        self.members("sub_id", self.claims["sub_id"], self.figure["sub_id"])
        if self.claims["sub_id"]["format"] != self.figure["sub_id"]["format"]:
            self.note("sub_id", "value", "format")
        if not RELATIVE.fullmatch(self.claims["sub_id"]["uri"]):
            self.note("sub_id", "value", "uri")
        if self.number != "1":
            self.event()
        return self.found

    def event(self):
        (uri, payload), (figure_uri, figure_payload) = *self.claims["events"].items(), *self.figure["events"].items()
        if uri != figure_uri:
            self.note("events", "value", uri)
        self.members("payload", payload, figure_payload)
        if "attributes" in figure_payload:
            self.names(payload.get("attributes", []), figure_payload["attributes"])
        if "Operations" in figure_payload.get("data", {}):
            self.operations(payload["data"], figure_payload["data"])
        elif "data" in figure_payload:
            self.data(payload["data"], figure_payload["data"])

    def names(self, ours, theirs):
        """The order of names means nothing; none stands there twice."""
        if len(set(ours)) != len(ours):
            self.note("attributes", "value", "twice")
        for name in set(ours) - set(theirs):
            self.note("attributes", "more", name)
        for name in set(theirs) - set(ours):
            self.note("attributes", "less", name)

    def data(self, ours, theirs):
        self.members("data", ours, theirs)
        for name in ours.keys() & theirs.keys():
            if ours[name] != theirs[name]:
                self.note("data", "value", name)

    def operations(self, ours, theirs):
        self.members("data", ours, theirs)
        if ours["schemas"] != theirs["schemas"] or len(ours["Operations"]) != len(theirs["Operations"]):
            self.note("data", "value", "Operations")
        for one, figure in zip(ours["Operations"], theirs["Operations"]):
            self.members("operation", one, figure)
            if (one["op"], one["path"]) != (figure["op"], figure["path"]):
                self.note("operation", "value", "op")
            for member, figure_member in zip(one["value"], figure["value"]):
                self.members("operation", member, figure_member)
                base, _, path = member.get("$ref", "").rpartition("/Users/")
                assert path == member["value"], f"$ref of {member} does not lead to it"
                if base:
                    self.note("operation", "value", "$ref")


def compare(number, claims):
    """Fails when claims deviate from a figure in a way that DEVIATIONS does not have, or no longer in one that it has."""
    found = Comparison(number, claims).run()
    expected = {(number, *rest) for figure, *rest in DEVIATIONS if figure in (number, "*")}
    unexpected, gone = found - expected, expected - found
    assert not unexpected, f"Figure {number} is deviated from: {sorted(unexpected)} in {claims}"
    assert not gone, f"Figure {number} is no longer deviated from: {sorted(gone)}"

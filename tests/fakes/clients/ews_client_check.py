#!/usr/bin/env python3
"""Walks a fake Exchange with exchangelib, and checks that every answer is valid under Exchange's own schema.

usage: ews_client_check.py URL USER PASSWORD [--auth basic|ntlm] [--ca FILE] [--xsd FOLDER]

    python3 -m venv /tmp/ews && /tmp/ews/bin/pip install exchangelib lxml
    cargo run -p tenantry-fakes --example serve_ews -- --port 8080
    /tmp/ews/bin/python tests/fakes/clients/ews_client_check.py http://127.0.0.1:8080/EWS/Exchange.asmx 'CORP\\svc-import' PASSWORD

FOLDER holds Messages.xsd, Types.xsd and xml.xsd, which every Exchange server offers beside its Exchange.asmx; without it,
answers are not checked against the schema. Exits with 1 when anything is not understood, missing or invalid.
"""

import argparse
import string
import sys
import warnings

import requests
from exchangelib import BASIC, NTLM, Configuration, Credentials
from exchangelib.errors import ErrorNameResolutionNoResults
from exchangelib.protocol import BaseProtocol, Protocol
from lxml import etree

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
arguments = argparse.ArgumentParser()
arguments.add_argument("url")
arguments.add_argument("user")
arguments.add_argument("password")
arguments.add_argument("--auth", default="basic")
arguments.add_argument("--ca")
arguments.add_argument("--xsd")
arguments.add_argument("--deep", type=int, default=3, help="longest prefix")
options = arguments.parse_args()

schema = etree.XMLSchema(etree.parse(f"{options.xsd}/Messages.xsd")) if options.xsd else None
bad: list[str] = []
calls = 0
truncated = False
walking = False


def check(what, text):
    body = etree.fromstring(text).find(SOAP)
    call = body[0] if len(body) else None
    if call is not None and etree.QName(call).localname == "Fault" and not walking:
        # Until the version is known, the client asks for one that the server may not have.
        return
    if call is None or etree.QName(call).localname == "Fault":
        bad.append(f"{what} has no call: {text[:500]!r}")
    elif schema and not schema.validate(etree.ElementTree(etree.fromstring(etree.tostring(call)))):
        bad.append(f"{what} {etree.QName(call).localname}: {[entry.message for entry in schema.error_log][:3]}")


def hooked(self, request, original=requests.Session.send, **rest):
    global calls
    answer = original(self, request, **rest)
    # The steps of a sign-in have no answer to check.
    if answer.status_code != 401 and request.body:
        calls += 1
        check("request", request.body)
        check("answer", answer.content)
    return answer


requests.Session.send = hooked


class Adapter(requests.adapters.HTTPAdapter):
    def cert_verify(self, conn, url, verify, cert):
        super().cert_verify(conn=conn, url=url, verify=options.ca or verify, cert=cert)


BaseProtocol.HTTP_ADAPTER_CLS = Adapter
protocol = Protocol(
    config=Configuration(
        service_endpoint=options.url,
        credentials=Credentials(options.user, options.password),
        auth_type=NTLM if options.auth == "ntlm" else BASIC,
    )
)
print(f"version: {protocol.version}")
walking = True
seen: dict[str, str] = {}
letters = string.ascii_lowercase + string.digits + "éüçåøþиойдзаныдכל山高王김सสԳნ太さ伟민"


def resolve(entry):
    """Returns whether there is more than was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = protocol.resolve_names([entry], return_full_contact_data=True, search_scope="ActiveDirectory")
    for one in found:
        if isinstance(one, ErrorNameResolutionNoResults):
            continue
        if isinstance(one, Exception):
            bad.append(f"{entry}: {one!r}")
            continue
        mailbox, contact = one
        if mailbox.routing_type == "EX":
            (again,) = protocol.resolve_names([mailbox.email_address])
            mailbox = again if again.routing_type != "EX" else mailbox
        seen[mailbox.email_address] = mailbox.mailbox_type
        if contact is None or contact.display_name != mailbox.name:
            bad.append(f"{entry}: {mailbox} has contact {contact}")
    return any("at most 100 candidates" in str(warning.message) for warning in told)


queue = list(letters)
while queue:
    prefix = queue.pop()
    if resolve(prefix):
        if len(prefix) < options.deep:
            queue += [prefix + letter for letter in letters[:36] + " ."]
        else:
            truncated = True
members = 0
groups = [address for address, kind in seen.items() if kind == "PublicDL"]
for address in groups:
    for member in protocol.expand_dl(address):
        if isinstance(member, Exception):
            bad.append(f"{address}: {member!r}")
        else:
            members += 1
kinds = {kind: list(seen.values()).count(kind) for kind in sorted(set(seen.values()))}
print(f"{len(seen)} recipients {kinds}, {members} members of {len(groups)} groups, {calls} calls")
print("some prefix was cut off" if truncated else "no prefix was cut off")
print("checked against the schema" if schema else "not checked against the schema")
for line in bad[:20]:
    print("BAD", line)
sys.exit(1 if bad or not seen or not groups else 0)

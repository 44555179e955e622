#!/usr/bin/env python3
"""Walks the fake Microsoft Graph with Microsoft's own Python SDK and tells every answer that it does not understand.

    python3 -m venv /tmp/graph && /tmp/graph/bin/pip install msgraph-sdk
    cargo run -p tenantry-fakes --example serve_graph -- --port 8080 --quota off &
    /tmp/graph/bin/python tests/fakes/clients/graph_client_check.py http://127.0.0.1:8080 TENANT CLIENT SECRET

TENANT, CLIENT and SECRET are printed by serve_graph. The SDK asks for `/users/delta()`; the check also asks for
`/users/delta`. It ends with 1 when a field is unknown to the SDK, a chain of pages does not end, or a count differs.
"""

import asyncio
import json
import sys
import urllib.parse
import urllib.request

from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError

MOST_PAGES = 5000
faults = []


def fault(text):
    """Notes what went wrong and goes on."""
    faults.append(text)
    print("  FAULT:", text)


def sign_in(origin, tenant, client, secret):
    """Asks for a token with a client secret."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{origin}/{tenant}/oauth2/v2.0/token", body) as answer:
        return json.load(answer)["access_token"]


class Bearer(AnonymousAuthenticationProvider):
    """Sends one token with every request."""

    def __init__(self, token):
        self.token = token

    async def authenticate_request(self, request, additional_authentication_context=None):
        request.headers.try_add("Authorization", f"Bearer {self.token}")


def strange_fields(item):
    """Fields that the SDK's model does not have; annotations are no fields."""
    return [name for name in item.additional_data if not name.startswith("@") and not name.endswith("@delta")]


async def pages(name, builder, first=None):
    """Follows nextLink to its end; returns all objects and the last page."""
    items, page, seen = [], first or await builder.get(), set()
    while True:
        for item in page.value or []:
            items.append(item)
            if strange := strange_fields(item):
                fault(f"{name}: fields that the SDK does not know: {strange}")
            if not item.id:
                fault(f"{name}: an object without an id")
        link = page.odata_next_link
        if not link:
            return items, page
        if link in seen or len(seen) > MOST_PAGES:
            fault(f"{name}: the pages go round in a circle")
            return items, page
        seen.add(link)
        page = await builder.with_url(link).get()


async def listing(name, builder):
    """Walks a listing; every object may come once."""
    items, _ = await pages(name, builder)
    ids = {item.id for item in items}
    if len(ids) != len(items):
        fault(f"{name}: {len(items) - len(ids)} objects came twice")
    print(f"{name}: {len(items)} objects")
    return items


async def delta(name, builder, listed, spelling):
    """Walks a round of delta in one spelling, then the round after it, which must be empty."""
    first = await builder.with_url(spelling).get() if spelling else None
    items, last = await pages(name, builder, first)
    missing = {item.id for item in listed} - {item.id for item in items}
    if missing:
        fault(f"{name}: {len(missing)} objects of the listing are missing")
    if not last.odata_delta_link:
        fault(f"{name}: no deltaLink")
        return
    members = sum(len(item.additional_data.get("members@delta", [])) for item in items)
    following, last = await pages(name, builder, await builder.with_url(last.odata_delta_link).get())
    if following or not last.odata_delta_link:
        fault(f"{name}: the idle round after it is not empty, or has no deltaLink")
    print(f"{name}: {len(items)} objects, {members} members, then an idle round")


async def check(origin, token):
    """Walks everything that an import reads."""
    adapter = GraphRequestAdapter(Bearer(token))
    adapter.base_url = f"{origin}/v1.0"
    graph = GraphServiceClient(request_adapter=adapter)
    graph.path_parameters["baseurl"] = adapter.base_url

    sets = {"users": graph.users, "groups": graph.groups, "devices": graph.devices}
    listed = {name: await listing(name, builder) for name, builder in sets.items()}
    for name, builder in sets.items():
        for spelling in (None, f"{origin}/v1.0/{name}/delta"):
            await delta(f"{name} delta" + (" (plain)" if spelling else "()"), builder.delta, listed[name], spelling)

    for group in listed["groups"][:5]:
        members = await listing(f"members of {group.display_name}", graph.groups.by_group_id(group.id).members)
        kinds = sorted({type(member).__name__ for member in members})
        print(f"  their kinds: {kinds}")
    for device in listed["devices"][:3]:
        await listing(f"owners of {device.display_name}", graph.devices.by_device_id(device.id).registered_owners)
    for user in listed["users"][:3]:
        await listing(f"groups of {user.display_name}", graph.users.by_user_id(user.id).member_of)
    organization = await listing("organization", graph.organization)
    print("tenant:", organization[0].display_name, [domain.name for domain in organization[0].verified_domains])
    await listing("domains", graph.domains)
    await listing("subscribed SKUs", graph.subscribed_skus)
    await listing("deleted users", graph.directory.deleted_items.graph_user)
    await listing("registrations", graph.reports.authentication_methods.user_registration_details)
    try:
        await graph.users.by_user_id("00000000-0000-0000-0000-000000000000").get()
        fault("a user that is not there was found")
    except ODataError as error:
        print("a user that is not there:", error.response_status_code, error.error.code)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    origin = sys.argv[1].rstrip("/")
    asyncio.run(check(origin, sign_in(origin, *sys.argv[2:5])))
    print(f"{len(faults)} faults")
    sys.exit(1 if faults else 0)


main()

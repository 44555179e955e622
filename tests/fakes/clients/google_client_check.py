#!/usr/bin/env python3
"""The vendor's own client walks a fake account, signing in with a service account's key.

    pip install google-api-python-client google-auth requests
    cargo run -p tenantry-fakes --example serve_google -- --key key.json --port 9001
    google_client_check.py http://127.0.0.1:9001 key.json admin@corp.example

Every reply is checked against the discovery document that the client carries: unknown fields, wrong JSON types. Then it
writes (suspend, sign out, undelete) and looks at refusals. Exits 1 at any fault.
"""
import json
import sys

from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

BASE, KEY, ADMIN = sys.argv[1].rstrip("/"), sys.argv[2], sys.argv[3]
PREFIX = "https://www.googleapis.com/auth/"
READ = ["admin.directory." + part for part in (
    "user.readonly", "group.readonly", "orgunit.readonly", "device.chromeos.readonly", "device.mobile.readonly",
    "domain.readonly", "customer.readonly", "rolemanagement.readonly")] + ["admin.reports.audit.readonly"]
WRITE = ["admin.directory.user", "admin.directory.user.security", "admin.directory.group.member"]
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}
faults = []


def client(scopes, subject=ADMIN, api="admin", version="directory_v1", key=KEY):
    credentials = service_account.Credentials.from_service_account_file(
        key, scopes=[PREFIX + scope for scope in scopes], subject=subject)
    return build(api, version, credentials=credentials, static_discovery=True, cache_discovery=False,
                 client_options={"api_endpoint": BASE + "/"})


def check(schemas, value, schema, at):
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type")
    if kind in TYPES and (not isinstance(value, TYPES[kind]) or kind == "integer" and isinstance(value, bool)):
        faults.append(f"{at}: {type(value).__name__} where the discovery document says {kind}")
    elif kind == "array":
        for item in value:
            check(schemas, item, schema["items"], at + "[]")
    elif kind == "object" and "properties" in schema:
        for name, below in value.items():
            if name in schema["properties"]:
                check(schemas, below, schema["properties"][name], f"{at}.{name}")
            elif "additionalProperties" not in schema:
                faults.append(f"{at}.{name}: not in the discovery document")


def walk(schemas, collection, schema, items, **parameters):
    found, pages, request = [], 0, collection.list(**parameters)
    while request is not None:
        reply = request.execute(num_retries=5)
        check(schemas, reply, schemas[schema], schema)
        found, pages = found + reply.get(items, []), pages + 1
        request = collection.list_next(request, reply) if hasattr(collection, "list_next") else None
    print(f"{schema:16} {len(found):6} in {pages} pages")
    return found


def refused(what, status, call):
    try:
        call()
        faults.append(f"{what}: not refused")
    except HttpError as error:
        if error.status_code != status:
            faults.append(f"{what}: {error.status_code} instead of {status}")
    except RefreshError as error:
        if status != "token":
            faults.append(f"{what}: {error}")


directory = json.loads(get_static_doc("admin", "directory_v1"))["schemas"]
reports = json.loads(get_static_doc("admin", "reports_v1"))["schemas"]
service = client(READ)
account = {"customer": "my_customer"}
users = walk(directory, service.users(), "Users", "users", **account, maxResults=100, orderBy="email", projection="full")
assert len({user["id"] for user in users}) == len(users), "a user came twice"
walk(directory, service.users(), "Users", "users", **account, query="isSuspended=true", fields="nextPageToken,users(id)")
groups = walk(directory, service.groups(), "Groups", "groups", **account)
for group in groups[:20]:
    members = walk(directory, service.members(), "Members", "members", groupKey=group["id"], maxResults=7)
    if len(members) != int(group["directMembersCount"]):
        faults.append(f"{group['email']}: {len(members)} members, counted {group['directMembersCount']}")
customer = {"customerId": "my_customer"}
walk(directory, service.orgunits(), "OrgUnits", "organizationUnits", **customer, type="all")
walk(directory, service.chromeosdevices(), "ChromeOsDevices", "chromeosdevices", **customer)
walk(directory, service.mobiledevices(), "MobileDevices", "mobiledevices", **customer)
walk(directory, service.domains(), "Domains2", "domains", **account)
walk(directory, service.roles(), "Roles", "items", **account)
check(directory, service.customers().get(customerKey="my_customer").execute(), directory["Customer"], "Customer")

victim = users[-1]["id"]
writer = client(WRITE)
check(directory, writer.users().update(userKey=victim, body={"suspended": True}).execute(), directory["User"], "User")
writer.users().signOut(userKey=victim).execute()
writer.users().delete(userKey=victim).execute()
refused("a deleted user", 404, service.users().get(userKey=victim).execute)
deleted = walk(directory, service.users(), "Users", "users", **account, showDeleted="true")
assert [user["id"] for user in deleted] == [victim], deleted
writer.users().undelete(userKey=victim, body={"orgUnitPath": "/"}).execute()
assert service.users().get(userKey=victim).execute()["suspended"] is True
walk(reports, client(["admin.reports.audit.readonly"], api="admin", version="reports_v1").activities(), "Activities",
     "items", userKey="all", applicationName="admin", maxResults=2)

refused("a write without its scope", 403, service.users().update(userKey=victim, body={"suspended": False}).execute)
refused("no subject", 403, client(READ, subject=None).users().list(**account).execute)
refused("an unknown subject", "token", client(READ, subject="nobody@corp.example").users().list(**account).execute)
refused("a page too large", 400, service.users().list(**account, maxResults=501).execute)
refused("a strange page token", 400, service.users().list(**account, pageToken="nonsense").execute)

print(len(faults), "faults", *sorted(set(faults))[:20], sep="\n  ")
sys.exit(bool(faults))

//! Listings: complete, filtered, counted, with what their rights show; they know no delta.

use serde_json::json;
use tenantry_fakes::graph::{GroupKind, Kind, Size, Tenant};

use super::Client;

fn seeded() -> Tenant {
    let size = Size { users: 2500, guests: 200, groups: 60, members_per_group: 150, devices: 40, ..Size::default() };
    Tenant::seeded(5, size)
}

#[test]
fn a_listing_shows_every_object_once_over_its_pages() {
    let client = Client::new(seeded());
    assert_eq!(client.ids("/users?$select=id&$top=999").len(), 2500);
    assert_eq!(client.pages("/users?$select=id").len(), 25);
    assert_eq!(client.ids("/groups").len(), 60);
    assert_eq!(client.ids("/devices?$top=7").len(), 40);
}

#[test]
fn partitions_by_principal_name_are_disjoint_and_complete() {
    let client = Client::new(seeded());
    let first = client.tenant.nth(Kind::User, 900);
    client.tenant.rename_user(first, "zz");
    client.tenant.user("middle").create();
    let upn = |bounds: &str| client.ids(&format!("/users?$select=id&$top=300&$filter={bounds}"));
    let low = upn("userPrincipalName le 'g'");
    let middle = upn("userPrincipalName ge 'g' and userPrincipalName le 'n'");
    let high = upn("userPrincipalName ge 'n'");
    assert_eq!(low.len() + middle.len() + high.len(), 2501);
    assert!(high.contains(&first.to_string()));
    assert_eq!(upn("startsWith(userPrincipalName,'zz')").len(), 1);
}

#[test]
fn partitions_by_time_of_creation_are_disjoint_and_complete() {
    let client = Client::new(seeded());
    let early = client.ids("/users?$select=id&$top=999&$filter=createdDateTime le 2021-06-30T23:59:59Z");
    let late = client.ids("/users?$select=id&$top=999&$filter=createdDateTime ge 2021-07-01T00:00:00Z");
    assert!(early.len() > 500 && late.len() > 500);
    assert_eq!(early.len() + late.len(), 2500);
}

#[test]
fn members_are_listed_whole_though_somebody_leaves_meanwhile() {
    let client = Client::new(seeded());
    let group = client.tenant.nth(Kind::Group, 2);
    let members = client.tenant.members(group);
    let page = client.get(&format!("/groups/{group}/members?$select=id&$top=50"));
    assert_eq!(page.rows()[0]["@odata.type"], "#microsoft.graph.user");
    client.tenant.remove_member(group, members[3].1);
    let rest = client.rows(page.link("@odata.nextLink").unwrap());
    assert_eq!(50 + rest.len(), members.len());
}

#[test]
fn expanded_members_stop_at_twenty_without_a_link() {
    let client = Client::new(seeded());
    let page = client.get("/groups?$expand=members($select=id)&$top=5");
    assert!(page.rows().iter().any(|group| group["members"].as_array().unwrap().len() == 20));
    assert!(page.rows().iter().all(|group| group["members@odata.nextLink"].is_null()));
}

#[test]
fn counting_needs_the_consistency_level() {
    let client = Client::new(seeded());
    assert_eq!(client.get("/users/$count").code(), "Request_BadRequest");
    assert!(client.get("/users?$count=true").body["@odata.count"].is_null());
    let eventual = [("consistencylevel", "eventual")];
    assert_eq!(client.get_with("/users?$count=true&$top=5", &eventual).body["@odata.count"], json!(2500));
    assert_eq!(client.get_with("/users/$count", &eventual).body, json!(2500));
    let disabled = client.get_with("/users/$count?$filter=accountEnabled eq false", &eventual).body;
    assert_eq!(disabled.as_u64().unwrap(), client.ids("/users?$filter=accountEnabled eq false&$top=999").len() as u64);
    assert_eq!(client.get("/users?$filter=endsWith(mail,'example')").code(), "Request_UnsupportedQuery");
}

#[test]
fn hidden_members_are_seen_with_the_right_to_see_them_only() {
    let tenant = Tenant::new("tenant.example");
    let ann = tenant.user("ann").create();
    let group = tenant.group("secret", GroupKind::Microsoft365).hidden_membership().member(ann).create();
    let client = Client::new(tenant);
    assert_eq!(client.ids(&format!("/groups/{group}/members")).len(), 1);
    client.tenant.revoke("Member.Read.Hidden");
    assert_eq!(client.ids(&format!("/groups/{group}/members")).len(), 0);
    assert!(client.round("/groups/delta").0[0]["members@delta"].is_null());
}

#[test]
fn members_of_kinds_without_a_right_come_with_their_id_only() {
    let tenant = Tenant::new("tenant.example");
    let ann = tenant.user("ann").create();
    let contact = tenant.contact("postbox");
    let group = tenant.group("mixed", GroupKind::Security).member(ann).member(contact).create();
    tenant.set_permissions(&["GroupMember.Read.All"]);
    let client = Client::new(tenant);
    let rows = client.rows(&format!("/groups/{group}/members?$select=id,displayName"));
    assert_eq!(rows[0], json!({ "@odata.type": "#microsoft.graph.user", "id": ann, "displayName": null }));
    assert_eq!(rows[1]["@odata.type"], "#microsoft.graph.orgContact");
}

#[test]
fn rights_decide_and_can_be_lost_while_a_token_lives() {
    let client = Client::new(seeded());
    assert_eq!(client.get("/devices").status, 200);
    client.tenant.revoke("Device.Read.All");
    client.tenant.revoke("Directory.Read.All");
    let answer = client.get("/devices/delta");
    assert_eq!((answer.status, answer.code()), (403, "Authorization_RequestDenied"));
    client.tenant.set_permissions(&["User.ReadBasic.All"]);
    assert_eq!(client.get("/users?$select=id,displayName").status, 200);
    assert_eq!(client.get("/users?$select=id,accountEnabled").status, 403);
    assert_eq!(client.get("/users/delta").status, 403);
}

#[test]
fn ids_are_looked_up_in_bulk_and_deleted_ones_are_found_in_the_bin() {
    let client = Client::new(seeded());
    let (kept, soft, gone) =
        (client.tenant.nth(Kind::User, 1), client.tenant.nth(Kind::User, 2), client.tenant.nth(Kind::User, 3));
    client.tenant.delete(soft);
    client.tenant.purge(gone);
    let body = json!({ "ids": [kept, soft, gone], "types": ["user"] });
    let found = client.post("/directoryObjects/getByIds?$select=id,accountEnabled", &body);
    assert_eq!(found.ids(), [kept.to_string()]);
    assert_eq!(client.ids("/directory/deletedItems/microsoft.graph.user").len(), 1);
    assert_eq!(client.get(&format!("/directory/deletedItems/{soft}")).body["id"], json!(soft));
    assert_eq!(client.get(&format!("/directory/deletedItems/{gone}")).code(), "Request_ResourceNotFound");
    assert_eq!(client.get(&format!("/users/{soft}")).status, 404);
    let many = json!({ "ids": vec![kept; 1001] });
    assert_eq!(client.post("/directoryObjects/getByIds", &many).status, 400);
}

#[test]
fn sign_ins_second_factors_and_purposes_need_their_own_rights() {
    let tenant = Tenant::new("tenant.example");
    let ann = tenant.user("ann").second_factor(true).create();
    let old = tenant.user("old").disabled().create();
    let hall = tenant.user("hall").room().create();
    tenant.set_last_sign_in(ann, Some(1_768_000_000));
    let client = Client::new(tenant);
    let rows = client.rows("/users?$select=id,signInActivity");
    assert_eq!(rows[0]["signInActivity"]["lastSignInDateTime"], "2026-01-09T23:06:40Z");
    assert!(!rows[1].as_object().unwrap().contains_key("signInActivity"));
    let report = client.rows("/reports/authenticationMethods/userRegistrationDetails?$top=999");
    assert_eq!(report.len(), 1, "disabled users are not in the report: {old}");
    assert_eq!(report[0]["isMfaRegistered"], json!(true));
    assert_eq!(client.get(&format!("/users/{hall}/mailboxSettings/userPurpose")).body["value"], "room");
    client.tenant.revoke("AuditLog.Read.All");
    client.tenant.revoke("MailboxSettings.Read");
    assert_eq!(client.get("/users?$select=id,signInActivity").code(), "Authentication_MSGraphPermissionMissing");
    assert_eq!(client.get(&format!("/users/{hall}/mailboxSettings/userPurpose")).code(), "ErrorAccessDenied");
}

#[test]
fn users_are_found_by_their_principal_names_old_and_new() {
    let client = Client::new(seeded());
    let user = client.tenant.nth(Kind::User, 1234);
    let name = client.tenant.value(user, "userPrincipalName").as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/users/{name}")).body["id"], json!(user));
    client.tenant.rename_user(user, "somebody");
    assert_eq!(client.get(&format!("/users/{name}")).status, 404);
    assert_eq!(client.get("/users/somebody@tenant.example").body["id"], json!(user));
    let new = client.tenant.user("new").create();
    assert_eq!(client.get("/users/NEW@tenant.example").body["id"], json!(new));
}

#[test]
fn memberships_are_found_from_the_member() {
    let client = Client::new(seeded());
    let user = client.tenant.nth(Kind::User, 77);
    let direct = client.ids(&format!("/users/{user}/memberOf?$select=id&$top=999"));
    let groups = client.tenant.ids(Kind::Group);
    let holding = groups.iter().filter(|group| client.tenant.members(**group).contains(&(Kind::User, user)));
    assert_eq!(direct, holding.map(ToString::to_string).collect());
    let all = client.post(&format!("/users/{user}/getMemberGroups"), &json!({ "securityEnabledOnly": false }));
    assert!(all.rows().len() >= direct.len());
}

#[test]
fn unknown_and_unlistable_properties_are_refused_differently() {
    let client = Client::new(seeded());
    assert_eq!(client.get("/users?$select=id,aboutMe").status, 501);
    assert_eq!(client.get("/users?$select=id,nonsense").code(), "BadRequest");
    assert_eq!(client.get("/users?$top=1000").code(), "Request_BadRequest");
    assert_eq!(client.get("/users?$select=signInActivity&$top=501").code(), "Request_BadRequest");
}

#[test]
fn the_applications_own_rights_can_be_read() {
    let client = Client::new(seeded());
    let app = client.tenant.credentials().client_id;
    let rights = client.rows(&format!("/servicePrincipals(appId='{app}')/appRoleAssignments"));
    let graph = client.get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')?$select=appRoles");
    let roles = graph.body["appRoles"].as_array().unwrap();
    let named = |right: &serde_json::Value| roles.iter().find(|role| role["id"] == right["appRoleId"]).is_some();
    assert!(rights.len() > 5 && rights.iter().all(named));
}

//! The fake's own promises: pages, tokens, quota, faults; without a socket.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, Answer, Clock, Fault, Member, Outcome, Refusal, Service, Settings, Size, When};

fn open(account: &Account) -> Service {
    Service::new(account.clone(), Settings { anonymous: true, ..Settings::default() })
}

fn call(service: &Service, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let request = http::Request::builder().method(method).uri(target).body(serde_json::to_vec(body).unwrap()).unwrap();
    let answer: Answer = match service.reply("http://127.0.0.1", &request).outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("{other:?}"),
    };
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

fn get(service: &Service, path: &str) -> (u16, Value) {
    call(service, "GET", &format!("/admin/{path}"), &Value::Null)
}

/// Walks a listing to its end; returns the field of every item and how many pages there were.
fn walk(service: &Service, path: &str, items: &str, field: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let (status, page) = get(service, &format!("{path}&pageToken={token}"));
        assert_eq!(status, 200, "{page}");
        pages += 1;
        let rows = page[items].as_array().cloned().unwrap_or_default();
        found.extend(rows.iter().map(|row| row[field].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => return (found, pages),
        }
    }
}

fn small() -> Account {
    let size = Size { users: 2345, groups: 210, memberships: 6000, orgunits: 20, chromeos: 250, mobile: 130 };
    Account::generated("corp.example", 7, size)
}

#[test]
fn every_listing_gives_everything_once_and_in_order() {
    let account = small();
    account.add_user("zoe@corp.example", "Zoe", "Last", |_| {});
    account.delete_user(&account.user_ids()[5]);
    let service = open(&account);
    let (users, pages) = walk(&service, "directory/v1/users?customer=my_customer&maxResults=500", "users", "id");
    assert_eq!((users, pages), (account.user_ids(), 5));
    let (groups, pages) = walk(&service, "directory/v1/groups?customer=my_customer", "groups", "id");
    assert_eq!((&groups, pages), (&account.group_ids(), 2));
    for group in &groups {
        let (members, _) =
            walk(&service, &format!("directory/v1/groups/{group}/members?maxResults=7"), "members", "id");
        assert_eq!(members, account.member_ids(group));
    }
    let devices =
        walk(&service, "directory/v1/customer/my_customer/devices/chromeos?x=1", "chromeosdevices", "deviceId");
    assert_eq!((devices.0.len(), devices.1), (250, 3));
    let devices = walk(&service, "directory/v1/customer/my_customer/devices/mobile?x=1", "mobiledevices", "resourceId");
    assert_eq!((devices.0.len(), devices.1), (130, 2));
}

#[test]
fn the_domain_the_query_and_the_order_restrict_and_sort() {
    let account = Account::new("corp.example");
    account.add_domain("sub.example");
    account.add_user("b@sub.example", "Bo", "Alm", |user| {
        user.insert("suspended".to_owned(), json!(true));
    });
    account.add_user("c@corp.example", "Cy", "Zorn", |_| {});
    let service = open(&account);
    let emails = |query: &str| walk(&service, &format!("directory/v1/users?{query}"), "users", "primaryEmail").0;
    assert_eq!(emails("domain=sub.example"), ["b@sub.example"]);
    assert_eq!(emails("customer=my_customer&query=isSuspended%3Dtrue"), ["b@sub.example"]);
    assert_eq!(emails("customer=my_customer&query=email:c*"), ["c@corp.example"]);
    let sorted = emails("customer=my_customer&orderBy=familyName&maxResults=1");
    assert_eq!(sorted, ["admin@corp.example", "b@sub.example", "c@corp.example"]);
    let turned = emails("customer=my_customer&orderBy=email&sortOrder=DESCENDING");
    assert_eq!(turned, ["c@corp.example", "b@sub.example", "admin@corp.example"]);
    assert_eq!(get(&service, "directory/v1/users").0, 400);
    assert_eq!(
        get(&service, "directory/v1/users?domain=other.example").1["error"]["errors"][0]["reason"],
        "domainNotFound"
    );
    assert_eq!(get(&service, "directory/v1/users/x@other.example").0, 403);
    assert_eq!(get(&service, "directory/v1/users/x@corp.example").0, 404);
}

#[test]
fn a_mask_without_the_token_ends_the_paging_silently() {
    let service = open(&small());
    let (_, page) = get(&service, "directory/v1/users?customer=my_customer&fields=users(id)");
    assert_eq!(page["users"].as_array().unwrap().len(), 100);
    assert_eq!(page["nextPageToken"], Value::Null);
    let (status, _) = get(&service, "directory/v1/users?customer=my_customer&fields=users(shoeSize)");
    assert_eq!(status, 400);
}

#[test]
fn a_deleted_user_is_listed_as_such_for_twenty_days_and_comes_back_with_groups() {
    let account = Account::new("corp.example");
    let anna = account.add_user("anna@corp.example", "Anna", "Berg", |_| {});
    let staff = account.add_group("staff@corp.example", "Staff", |_| {});
    account.add_member(&staff, Member::user(&anna));
    let service = open(&account);
    account.delete_user(&anna);
    let deleted = "directory/v1/users?customer=my_customer&showDeleted=true";
    assert_eq!(walk(&service, deleted, "users", "id").0, std::slice::from_ref(&anna));
    assert!(account.member_ids(&staff).is_empty());
    assert_eq!(get(&service, &format!("directory/v1/users/{anna}")).0, 404);
    let again = account.add_user("anna@corp.example", "Anna", "Other", |_| {});
    assert_ne!(again, anna);
    account.delete_user(&again);
    let back = format!("/admin/directory/v1/users/{anna}/undelete");
    assert_eq!(call(&service, "POST", &back, &json!({"orgUnitPath": "/"})).0, 204);
    assert_eq!(account.member_ids(&staff), [anna]);
    account.advance(Duration::from_hours(480));
    assert!(walk(&service, deleted, "users", "id").0.is_empty());
    let back = format!("/admin/directory/v1/users/{again}/undelete");
    assert_eq!(call(&service, "POST", &back, &json!({})).0, 412);
}

#[test]
fn a_listing_ends_after_an_hour_and_a_strange_token_is_refused() {
    let account = small();
    let service = open(&account);
    let path = "directory/v1/users?customer=my_customer";
    let (_, page) = get(&service, path);
    let token = page["nextPageToken"].as_str().unwrap();
    assert_eq!(get(&service, &format!("directory/v1/users?domain=corp.example&pageToken={token}")).0, 400);
    account.advance(Duration::from_secs(3601));
    let (status, error) = get(&service, &format!("{path}&pageToken={token}"));
    assert_eq!((status, error["error"]["errors"][0]["reason"].as_str()), (503, Some("backendError")));
    account.advance(Duration::from_hours(72));
    assert_eq!(get(&service, &format!("{path}&pageToken={token}")).0, 400);
}

#[test]
fn the_quota_of_a_minute_is_enforced_and_comes_back() {
    let account = Account::new("corp.example");
    let service = open(&account);
    service.edit_settings(|settings| settings.quota.per_user = 3);
    let path = "directory/v1/groups?customer=my_customer";
    let statuses: Vec<_> = (0..5).map(|_| get(&service, path).0).collect();
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
    account.advance(Duration::from_mins(1));
    assert_eq!(get(&service, path).0, 200);
    service.edit_settings(|settings| {
        settings.quota.per_user = 100;
        settings.quota.concurrent = 2;
        settings.latency = Duration::from_mins(1);
    });
    let statuses: Vec<_> = (0..3).map(|_| get(&service, "directory/v1/users?customer=my_customer").0).collect();
    assert_eq!(statuses[2], 429, "{statuses:?}");
}

#[test]
fn lies_show_what_they_say_and_end_when_cleared() {
    let account = small();
    let service = open(&account);
    let path = "directory/v1/users?customer=my_customer&maxResults=500";
    let count = || walk(&service, path, "users", "id").0.len();
    service.faults().on(When::Page("users.list", 2), Fault::EmptyPage);
    assert_eq!(count(), 2345);
    service.faults().on(When::Calls("users.list"), Fault::Truncate(750));
    assert_eq!(count(), 750);
    service.faults().clear();
    service.faults().on(When::PagesFrom("users.list", 5), Fault::ExtraPage);
    let (status, page) = get(&service, path);
    assert_eq!((status, page["users"].as_array().unwrap().len()), (200, 500));
    service.faults().clear();
    service.faults().on(When::Calls("users.list"), Fault::HideOrgUnit("/Unit 1".to_owned()));
    assert!(count() < 2345);
    service.faults().clear();
    service.faults().on(When::Call("users.list", 1), Fault::Refuse(Refusal::quota()));
    assert_eq!(get(&service, path).0, 403);
    assert_eq!((service.faults().pending(), count()), (0, 2345));
}

#[test]
fn the_audit_log_comes_late_with_holes_and_newest_first() {
    let account = Account::new("corp.example");
    let service = open(&account);
    let ids: Vec<_> = (0..50).map(|n| account.add_user(&format!("p{n}@corp.example"), "P", "Q", |_| {})).collect();
    let path = "reports/v1/activity/users/all/applications/admin?maxResults=7";
    let count = || walk(&service, path, "items", "etag").0.len();
    let early = count();
    account.advance(Duration::from_mins(3));
    assert!(early < 51, "{early}");
    assert_eq!(count(), 51);
    service.edit_settings(|settings| settings.audit_log.lost_percent = 30);
    assert!((15..51).contains(&count()));
    account.suspend_user(&ids[3], true);
    service.edit_settings(|settings| settings.audit_log = super::AuditLog { lag_seconds: 0, lost_percent: 0 });
    let (_, page) = get(&service, "reports/v1/activity/users/all/applications/admin?maxResults=1");
    assert_eq!(page["items"][0]["events"][0]["name"], "SUSPEND_USER");
    assert_eq!(page["items"][0]["events"][0]["parameters"][0]["value"], "p3@corp.example");
}

#[test]
fn an_update_never_clears_by_patch_and_ignores_what_is_not_writable() {
    let account = Account::new("corp.example");
    let anna = account.add_user("anna@corp.example", "Anna", "Berg", |user| {
        user.insert("phones".to_owned(), json!([{"value": "1"}]));
    });
    let service = open(&account);
    let path = format!("/admin/directory/v1/users/{anna}");
    call(&service, "PATCH", &path, &json!({"phones": [], "isAdmin": true, "suspended": true}));
    let user = account.user(&anna).unwrap();
    assert_eq!(
        (&user["phones"], &user["isAdmin"], &user["suspended"]),
        (&json!([{"value": "1"}]), &json!(false), &json!(true))
    );
    call(&service, "PUT", &path, &json!({"phones": [], "changePasswordAtNextLogin": true}));
    let user = account.user(&anna).unwrap();
    assert_eq!((&user["phones"], &user["changePasswordAtNextLogin"]), (&json!([]), &json!(true)));
    assert_eq!(call(&service, "POST", &format!("{path}/signOut"), &Value::Null).0, 204);
    assert_eq!(account.signed_out(&anna), 1);
}

#[test]
fn members_come_in_all_kinds_and_nested_ones_only_after_a_while() {
    let account = Account::new("corp.example");
    let anna = account.add_user("anna@corp.example", "Anna", "Berg", |_| {});
    let (all, team) =
        (account.add_group("all@corp.example", "All", |_| {}), account.add_group("team@corp.example", "Team", |_| {}));
    account.add_member(&team, Member::user(&anna));
    account.add_member(&all, Member::group(&team));
    account.add_member(&all, Member::everyone(&account.customer()));
    account.add_member(&all, Member::outside("999", "guest@elsewhere.example"));
    let service = open(&account);
    let (_, page) = get(&service, &format!("directory/v1/groups/{all}/members"));
    let mut kinds: Vec<_> = page["members"].as_array().unwrap().iter().map(|m| m["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["CUSTOMER", "GROUP", "USER"]);
    let everyone = page["members"].as_array().unwrap().iter().find(|m| m["type"] == "CUSTOMER").unwrap();
    assert_eq!(everyone["email"], Value::Null);
    let derived = format!("directory/v1/groups/{all}/members?includeDerivedMembership=true");
    let has_anna = || walk(&service, &derived, "members", "id").0.contains(&anna);
    assert!(!has_anna());
    account.advance(Duration::from_mins(10));
    assert!(has_anna());
    assert_eq!(get(&service, &format!("directory/v1/groups/{all}")).1["directMembersCount"], "3");
}

#[test]
fn a_tag_is_honoured_only_where_switched_on_and_empty_listings_share_one() {
    let account = Account::new("corp.example").with_clock(Clock::default());
    let group = account.add_group("empty@corp.example", "Empty", |_| {});
    let service = open(&account);
    let (_, members) = get(&service, &format!("directory/v1/groups/{group}/members"));
    let (_, devices) = get(&service, "directory/v1/customer/my_customer/devices/mobile");
    assert_eq!(members["etag"], devices["etag"]);
    assert_eq!(members["members"], Value::Null);
    let request = || {
        let tag = members["etag"].as_str().unwrap();
        let uri = format!("/admin/directory/v1/groups/{group}/members");
        let request = http::Request::get(uri).header("if-none-match", tag).body(Vec::new()).unwrap();
        match service.reply("", &request).outcome {
            Outcome::Answer(answer) => answer.status().as_u16(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(request(), 200);
    service.edit_settings(|settings| settings.entity_tags = super::EntityTags::Honoured);
    assert_eq!(request(), 304);
}

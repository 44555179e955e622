//! Rounds of delta: whole, replayed, in slices, reset; they know no faults.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenantry_fakes::graph::{GroupKind, Kind, ResetForm, Size, SliceOrder, Tenant};

use super::{Client, manual};

fn removed(rows: &[Value]) -> Vec<(String, String)> {
    let pair = |row: &'_ Value| Some((row["id"].as_str()?.to_owned(), row["@removed"]["reason"].as_str()?.to_owned()));
    rows.iter().filter_map(pair).collect()
}

/// Members by group, as a client puts them together from slices.
fn applied(rows: &[Value], members: &mut BTreeMap<String, BTreeSet<String>>) {
    for row in rows {
        let group = members.entry(row["id"].as_str().unwrap().to_owned()).or_default();
        for member in row["members@delta"].as_array().into_iter().flatten() {
            let id = member["id"].as_str().unwrap().to_owned();
            if member["@removed"].is_null() {
                group.insert(id)
            } else {
                group.remove(&id)
            };
        }
    }
}

fn truth(tenant: &Tenant) -> BTreeMap<String, BTreeSet<String>> {
    let members = |group| tenant.members(group).into_iter().map(|(_, id)| id.to_string()).collect();
    tenant.ids(Kind::Group).into_iter().map(|group| (group.to_string(), members(group))).collect()
}

fn seeded() -> Tenant {
    let size =
        Size { users: 3000, groups: 40, members_per_group: 30, largest_group: 1700, devices: 20, ..Size::default() };
    Tenant::seeded(9, size)
}

#[test]
fn a_first_round_tells_everything_and_an_idle_round_nothing() {
    let client = Client::new(seeded());
    for (set, count) in [("users", 3000), ("groups", 40), ("devices", 20)] {
        for spelling in ["delta", "delta()", "microsoft.graph.delta()"] {
            let (rows, link) = client.round(&format!("/{set}/{spelling}?$select=id,displayName"));
            assert!(rows.len() >= count, "{set}");
            let (rows, next) = client.round(&link);
            assert!(rows.is_empty() && next != link);
        }
        let (rows, _) = client.round(&format!("/{set}/delta?$deltatoken=latest"));
        assert!(rows.is_empty());
    }
}

#[test]
fn members_come_in_slices_whose_union_is_the_truth_in_either_order() {
    for order in [SliceOrder::InTurn, SliceOrder::Interleaved] {
        let client = Client::new(seeded());
        client.tenant.edit_settings(|settings| {
            settings.slice_order = order;
            settings.empty_page_every = Some(3);
            settings.repeated = 2;
        });
        let pages = client.pages("/groups/delta?$select=displayName,members");
        assert!(pages.iter().any(|page| page.rows().is_empty() && page.link("@odata.nextLink").is_some()));
        let rows: Vec<Value> = pages.iter().flat_map(|page| page.rows().to_vec()).collect();
        let largest = client.tenant.nth(Kind::Group, 0).to_string();
        assert!(rows.iter().filter(|row| row["id"] == json!(largest)).count() >= 4);
        let mut members = BTreeMap::new();
        applied(&rows, &mut members);
        assert_eq!(members, truth(&client.tenant), "{order:?}");
    }
}

#[test]
fn changes_are_told_once_with_what_changed_and_in_minimal_form_nothing_else() {
    let client = Client::new(seeded());
    let (_, link) = client.round("/users/delta?$select=id,displayName,jobTitle,accountEnabled&$deltatoken=latest");
    let user = client.tenant.nth(Kind::User, 5);
    client.tenant.update(user, [("jobTitle", Value::Null)]);
    client.tenant.update(user, [("officeLocation", json!("not selected"))]);
    let other = client.tenant.nth(Kind::User, 6);
    client.tenant.update(other, [("officeLocation", json!("not selected"))]);
    let (rows, _) = client.round(&link);
    assert_eq!(rows.len(), 1, "what is not selected is not tracked");
    assert_eq!(rows[0]["jobTitle"], Value::Null);
    assert!(rows[0].as_object().unwrap().contains_key("jobTitle") && rows[0]["displayName"].is_string());
    let minimal = client.get_with(&link, &[("prefer", "return=minimal")]);
    assert_eq!(minimal.rows(), [json!({ "id": user, "jobTitle": null })]);
}

#[test]
fn deleted_restored_and_purged_objects_are_told_as_the_real_service_tells_them() {
    let tenant = seeded();
    let team = tenant.group("team", GroupKind::Microsoft365).create();
    let list = tenant.group("list", GroupKind::Security).create();
    let client = Client::new(tenant);
    let users = client.round("/users/delta?$deltatoken=latest").1;
    let groups = client.round("/groups/delta?$deltatoken=latest").1;
    let (soft, gone) = (client.tenant.nth(Kind::User, 10), client.tenant.nth(Kind::User, 11));
    client.tenant.delete(soft);
    client.tenant.purge(gone);
    client.tenant.delete(team);
    client.tenant.delete(list);
    let (rows, users) = client.round(&users);
    let told = |id: tenantry_fakes::graph::Id, reason: &str| (id.to_string(), reason.to_owned());
    assert_eq!(removed(&rows), [told(soft, "changed"), told(gone, "deleted")]);
    let (rows, _) = client.round(&groups);
    assert_eq!(removed(&rows), [told(team, "changed"), told(list, "deleted")]);
    client.tenant.restore(soft);
    let (rows, _) = client.round(&users);
    assert_eq!(rows.len(), 1);
    assert!(rows[0]["@removed"].is_null() && rows[0]["userPrincipalName"].is_string());
}

#[test]
fn memberships_sleep_with_a_deleted_user_and_end_with_a_purged_one_told_or_not() {
    for silent in [false, true] {
        let tenant = Tenant::new("tenant.example");
        let ann = tenant.user("ann").create();
        let group = tenant.group("staff", GroupKind::Security).member(ann).create();
        tenant.edit_settings(|settings| settings.silent_purge = silent);
        let client = Client::new(tenant);
        let link = client.round("/groups/delta?$deltatoken=latest").1;
        client.tenant.delete(ann);
        let (rows, link) = client.round(&link);
        assert!(rows.is_empty() && client.tenant.members(group).is_empty());
        client.tenant.restore(ann);
        let (rows, link) = client.round(&link);
        assert!(rows.is_empty() && client.tenant.members(group).len() == 1);
        client.tenant.purge(ann);
        let (rows, _) = client.round(&link);
        assert_eq!(rows.len(), usize::from(!silent));
        if !silent {
            assert_eq!(rows[0]["members@delta"][0]["@removed"]["reason"], "deleted");
        }
    }
}

#[test]
fn what_changes_during_a_first_round_is_told_in_it_and_again_in_the_next() {
    let client = Client::new(seeded());
    let first = client.get("/users/delta?$select=id,jobTitle");
    let user = client.tenant.nth(Kind::User, 0);
    client.tenant.update(user, [("jobTitle", json!("Late"))]);
    let (rest, link) = client.round(first.link("@odata.nextLink").unwrap());
    let late = |row: &&Value| row["id"] == json!(user) && row["jobTitle"] == "Late";
    assert_eq!(rest.iter().filter(late).count(), 1);
    let (rows, link) = client.round(&link);
    assert_eq!(rows.iter().filter(late).count(), 1);
    assert!(client.round(&link).0.is_empty());
}

#[test]
fn rounds_are_replayed_once_when_the_settings_say_so() {
    let client = Client::new(seeded());
    client.tenant.edit_settings(|settings| settings.replay = true);
    let link = client.round("/users/delta?$deltatoken=latest").1;
    client.tenant.update(client.tenant.nth(Kind::User, 1), [("displayName", json!("One"))]);
    let (first, link) = client.round(&link);
    let (second, link) = client.round(&link);
    let (third, _) = client.round(&link);
    assert_eq!((first.len(), second.len(), third.len()), (1, 1, 0));
}

#[test]
fn old_and_reset_tokens_are_refused_in_every_known_form() {
    let client = Client::new(manual(seeded()));
    let mut client = client;
    for form in ResetForm::ALL {
        client.tenant.edit_settings(|settings| settings.reset_form = form);
        let link = client.round("/users/delta?$deltatoken=latest").1;
        client.tenant.expire_delta_tokens();
        let answer = client.get(&link);
        let expected = match form {
            ResetForm::GoneWithLocation | ResetForm::Gone => (410, "resyncRequired"),
            ResetForm::GoneStateNotFound => (410, "SyncStateNotFound"),
            ResetForm::StateNotFound => (400, "syncStateNotFound"),
            ResetForm::TooOld => (400, "Request_UnsupportedQuery"),
            ResetForm::Bare => (410, ""),
        };
        assert_eq!((answer.status, answer.code()), expected);
        let location = answer.header("location");
        assert_eq!(location.is_empty(), form != ResetForm::GoneWithLocation);
        if !location.is_empty() {
            assert_eq!(client.round(location).0.len(), 3000);
        }
    }
    let link = client.round("/users/delta?$deltatoken=latest").1;
    client.pass(7 * 86_400 - 60);
    client.sign_in();
    assert_eq!(client.get(&link).status, 200);
    client.pass(120);
    client.sign_in();
    assert_eq!(client.get(&link).status, 410);
}

#[test]
fn deleted_users_are_purged_after_thirty_days() {
    let mut client = Client::new(manual(seeded()));
    let (early, late) = (client.tenant.nth(Kind::User, 1), client.tenant.nth(Kind::User, 2));
    client.tenant.delete(early);
    client.pass(86_400);
    client.tenant.delete(late);
    client.pass(29 * 86_400);
    client.sign_in();
    let link = client.round("/users/delta?$deltatoken=latest").1;
    assert_eq!(client.tenant.purge_expired(), [early]);
    assert_eq!(removed(&client.round(&link).0), [(early.to_string(), "deleted".to_owned())]);
    assert_eq!(client.ids("/directory/deletedItems/microsoft.graph.user").len(), 1);
}

#[test]
fn a_silent_group_tells_nothing_and_a_filter_tracks_its_objects_only() {
    let client = Client::new(seeded());
    let group = client.tenant.nth(Kind::Group, 3);
    let user = client.tenant.nth(Kind::User, 2999);
    let link = client.round("/groups/delta?$deltatoken=latest").1;
    client.tenant.silence(group);
    client.tenant.add_member(group, user);
    assert!(client.round(&link).0.is_empty());
    let (rows, link) = client.round(&format!("/users/delta?$filter=id eq '{user}'"));
    assert_eq!(rows.len(), 1);
    client.tenant.update(client.tenant.nth(Kind::User, 1), [("displayName", json!("Other"))]);
    assert!(client.round(&link).0.is_empty());
}

#[test]
fn random_histories_read_by_delta_come_to_the_truth() {
    for seed in 0..20_u64 {
        let tenant = Tenant::seeded(seed, Size { users: 30, groups: 6, members_per_group: 5, ..Size::default() });
        tenant.edit_settings(|settings| {
            settings.delta_page = 3;
            settings.delta_members = 4;
            settings.replay = seed % 2 == 0;
            settings.repeated = 1;
            settings.empty_page_every = Some(4);
            settings.quota = None;
        });
        let client = Client::new(tenant);
        let mut members = BTreeMap::new();
        let mut link = "/groups/delta".to_owned();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u32| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            u32::try_from(dice % u64::from(sides)).unwrap()
        };
        for _ in 0..6 {
            let (rows, next) = client.round(&link);
            for row in &rows {
                if !row["@removed"].is_null() {
                    members.remove(row["id"].as_str().unwrap());
                }
            }
            let present: Vec<Value> = rows.iter().filter(|row| row["@removed"].is_null()).cloned().collect();
            applied(&present, &mut members);
            assert_eq!(members, truth(&client.tenant), "seed {seed}");
            link = next;
            for _ in 0..10 {
                let (group, user) = (client.tenant.nth(Kind::Group, roll(6)), client.tenant.nth(Kind::User, roll(30)));
                match roll(8) {
                    0 => client.tenant.purge(user),
                    1 => client.tenant.delete_softly(group),
                    2 => client.tenant.restore(group),
                    3 | 4 => client.tenant.remove_member(group, user),
                    _ => client.tenant.add_member(group, user),
                }
            }
        }
    }
}

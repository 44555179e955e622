//! What changed since a cursor, and when a cursor is of no use any more.

use serde_json::json;
use tenantry::ErrorKind;
use tenantry::endpoint::Cursor;
use tenantry::model::{TombstoneKind, Value, names};
use tenantry_fakes::graph::{Call, Fault, GroupKind, Kind, On, ResetForm, Size, SliceOrder, Tenant};

use crate::running::{DOMAIN, Running, changes, list, members_of, source, start, text};

async fn begin(tenant: Tenant) -> (Running, Cursor) {
    let running = start(tenant).await;
    let cursor = running.listing().await.cursor.expect("a listing ends with a cursor");
    (running, cursor)
}

fn people() -> Tenant {
    Tenant::seeded(11, Size { users: 60, groups: 6, members_per_group: 10, devices: 5, ..Size::default() })
}

#[tokio::test]
async fn nothing_new_costs_three_requests() {
    let (running, cursor) = begin(people()).await;
    let endpoint = running.endpoint();
    changes(&endpoint, &running.cx, &cursor).await.unwrap();
    running.fake.log().clear();
    let again = changes(&endpoint, &running.cx, &cursor).await.unwrap();
    assert!(again.objects.is_empty() && again.tombstones.is_empty() && again.began.is_empty());
    assert_eq!(running.fake.log().all().len(), 3);
}

#[tokio::test]
async fn changed_objects_come_whole_and_a_cleared_value_is_empty() {
    let (running, cursor) = begin(people()).await;
    let id = running.tenant.nth(Kind::User, 3);
    running.tenant.update(id, [("jobTitle", json!(null)), ("surname", json!("Renamed"))]);
    let new = running.tenant.user("new").named("Ann", "Lee").create();
    let told = running.changes(&cursor).await;
    let fresh = running.listing().await;
    for id in [id, new] {
        assert_eq!(told.objects.patch(source(id)), fresh.objects.patch(source(id)), "as a listing shows it");
    }
    assert_eq!(
        told.objects.patch(source(id)).attributes.get(&tenantry::model::AttributeName::extra("title")),
        Some(&Value::Empty)
    );
    assert_eq!(told.objects.len(), 2);
}

#[tokio::test]
async fn a_deleted_user_is_restorable_until_purged_and_comes_back_by_the_same_id() {
    let (running, cursor) = begin(people()).await;
    let id = running.tenant.nth(Kind::User, 3);
    running.tenant.delete(id);
    let deleted = running.changes(&cursor).await;
    assert_eq!(deleted.tombstone(source(id)).unwrap().kind, TombstoneKind::Soft);
    running.tenant.restore(id);
    let restored = running.changes(&deleted.next()).await;
    assert!(restored.objects.has(source(id)) && restored.tombstones.is_empty());
    running.tenant.delete(id);
    running.tenant.purge(id);
    let purged = running.changes(&restored.next()).await;
    assert_eq!(purged.tombstone(source(id)).unwrap().kind, TombstoneKind::Hard);
}

#[tokio::test]
async fn both_reasons_are_taken_from_both_kinds_of_groups() {
    let tenant = Tenant::new(DOMAIN);
    tenant.user("ann").create();
    let security = tenant.group("S", GroupKind::Security).create();
    let preview = tenant.group("P", GroupKind::Security).create();
    let unified = tenant.group("U", GroupKind::Microsoft365).create();
    let (running, cursor) = begin(tenant).await;
    running.tenant.delete(security);
    running.tenant.delete_softly(preview);
    running.tenant.delete(unified);
    let told = running.changes(&cursor).await;
    let kind = |id| told.tombstone(source(id)).unwrap().kind;
    assert_eq!(
        [kind(security), kind(preview), kind(unified)],
        [TombstoneKind::Hard, TombstoneKind::Soft, TombstoneKind::Soft]
    );
}

#[tokio::test]
async fn one_group_over_many_pages_in_any_order_and_empty_pages_between() {
    for order in [SliceOrder::InTurn, SliceOrder::Interleaved] {
        let (running, cursor) = begin(people()).await;
        running.tenant.edit_settings(|settings| {
            settings.delta_members = 7;
            settings.delta_page = 3;
            settings.empty_page_every = Some(2);
            settings.repeated = 1;
            settings.slice_order = order;
        });
        let group = running.tenant.nth(Kind::Group, 2);
        let before: Vec<_> = running.tenant.members(group).into_iter().map(|(_, id)| id).collect();
        let all = running.tenant.ids(Kind::User);
        for id in all.iter().filter(|id| !before.contains(id)) {
            running.tenant.add_member(group, *id);
        }
        for id in &before {
            running.tenant.remove_member(group, *id);
        }
        let told = running.changes(&cursor).await;
        let expected = |ids: Vec<_>| ids.into_iter().map(|id| (source(group), source(id))).collect();
        assert_eq!(told.began.pairs(), expected(all.into_iter().filter(|id| !before.contains(id)).collect()));
        assert_eq!(told.ended.pairs(), expected(before));
        assert!(told.closed.is_empty());
    }
}

#[tokio::test]
async fn a_group_that_is_silent_about_members_keeps_them() {
    let (running, cursor) = begin(people()).await;
    let group = running.tenant.nth(Kind::Group, 2);
    running.tenant.update(group, [("displayName", json!("Other"))]);
    let told = running.changes(&cursor).await;
    assert_eq!(text(told.objects.patch(source(group)), "name").as_deref(), Some("Other"));
    assert!(told.began.is_empty() && told.ended.is_empty() && !told.closed.contains(&members_of(group)));
}

#[tokio::test]
async fn a_changed_device_comes_with_its_owner() {
    let (running, cursor) = begin(people()).await;
    let device = running.tenant.nth(Kind::Device, 1);
    let owner = running.tenant.owners(device)[0];
    running.tenant.update(device, [("operatingSystemVersion", json!("99"))]);
    let told = running.changes(&cursor).await;
    assert_eq!(text(told.objects.patch(source(device)), names::OWNER.as_str()), Some(owner.to_string()));
}

#[tokio::test]
async fn every_known_form_of_a_forgotten_token_asks_for_a_snapshot() {
    for form in ResetForm::ALL {
        let (running, cursor) = begin(people()).await;
        running.tenant.edit_settings(|settings| settings.reset_form = form);
        running.tenant.expire_delta_tokens();
        assert!(running.changes(&cursor).await.has_expired(), "{form:?}");
    }
}

#[tokio::test]
async fn other_refusals_are_errors_and_the_same_code_without_a_token_is_one_too() {
    let (running, cursor) = begin(people()).await;
    let error = |code: &str| Fault::Error { status: 400, code: code.into(), message: "no".into() };
    running.fake.faults().on(On::call(Call::UsersDelta), error("Request_BadRequest"));
    assert_eq!(*changes(&running.endpoint(), &running.cx, &cursor).await.unwrap_err().kind(), ErrorKind::Protocol);
    running.fake.faults().clear();
    // The first request of all carries no token: no new beginning would help.
    running.fake.faults().on(On::call(Call::UsersDelta), error("Request_UnsupportedQuery"));
    assert!(list(&running.endpoint(), &running.cx, None).await.is_err());
}

#[tokio::test]
async fn a_cursor_of_more_than_a_week_is_not_even_tried() {
    let (running, cursor) = begin(people()).await;
    running.time.advance(std::time::Duration::from_hours(8 * 24));
    running.fake.log().clear();
    assert!(running.changes(&cursor).await.has_expired());
    assert_eq!(running.fake.log().count(Call::UsersDelta), 0);
}

#[tokio::test]
async fn other_rights_make_a_cursor_useless() {
    let (running, cursor) = begin(people()).await;
    running.tenant.revoke("Member.Read.Hidden");
    assert!(running.changes(&cursor).await.has_expired());
}

#[tokio::test]
async fn a_round_that_ends_without_a_link_or_never_is_an_error() {
    let (running, cursor) = begin(people()).await;
    for id in running.tenant.ids(Kind::User) {
        running.tenant.update(id, [("surname", json!("Renamed"))]);
    }
    running.tenant.edit_settings(|settings| settings.delta_page = 10);
    for fault in [
        Fault::EndListing,
        Fault::CycleNextLink,
        Fault::ForeignNextLink("https://graph.elsewhere.example".into()),
        Fault::EmptyOk,
    ] {
        running.fake.faults().clear();
        running.fake.faults().on(On::call(Call::UsersDelta).page(2), fault.clone());
        let error = changes(&running.endpoint(), &running.cx, &cursor).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Protocol, "{fault:?}: {error}");
    }
    running.fake.faults().clear();
    running
        .fake
        .faults()
        .on(On::call(Call::UsersDelta), Fault::ForeignDeltaLink("https://graph.elsewhere.example".into()));
    assert!(changes(&running.endpoint(), &running.cx, &cursor).await.is_err());
}

#[tokio::test]
async fn who_slept_when_the_first_listing_began_comes_back_with_its_memberships() {
    let tenant = people();
    let user = tenant.nth(Kind::User, 3);
    let group = tenant.group("U", GroupKind::Microsoft365).members([user, tenant.nth(Kind::User, 4)]).create();
    let outer = tenant.group("Outer", GroupKind::Security).members([user, group]).create();
    tenant.delete(user);
    tenant.delete(group);
    let (running, cursor) = begin(tenant).await;
    running.tenant.restore(user);
    running.tenant.restore(group);
    running.fake.log().clear();
    let told = running.changes(&cursor).await;
    for (group, member) in [(outer, user), (outer, group), (group, user), (group, running.tenant.nth(Kind::User, 4))] {
        assert!(told.began.has(source(group), source(member)), "{member} in {group}");
    }
    assert!(told.closed.contains(&members_of(group)));
    // Once awake, it is asked no more.
    running.tenant.update(user, [("surname", json!("Renamed"))]);
    running.fake.log().clear();
    running.changes(&told.next()).await;
    assert_eq!(running.fake.log().count(Call::MemberOf), 0);
}

//! A listing gives everything once, as it is, whatever the sizes; it goes on behind its checkpoints.

use std::time::Duration;

use serde_json::json;
use tenantry::Endpoint;
use tenantry::endpoint::{Evidence, Membership, Presence};
use tenantry::model::{MemberKind, ObjectKind, Scope, SourceId, TombstoneKind};
use tenantry::testkit::Listing;
use tenantry_fakes::google::{Account, Clock, Fault, Member, Quota, Size, When};

use crate::account::{ids, list, members_of, object, small, source, start, text};

fn generated() -> Account {
    let size = Size { users: 1300, groups: 420, memberships: 5000, orgunits: 30, chromeos: 130, mobile: 120 };
    Account::generated("corp.example", 3, size).with_clock(Clock::system())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_once_and_every_scope_is_closed() {
    let tenant = start(generated()).await;
    let listing = tenant.listing().await;
    let account = &tenant.account;
    assert_eq!(ids(&listing, ObjectKind::User), account.user_ids().into_iter().collect());
    assert_eq!(ids(&listing, ObjectKind::Group), account.group_ids().into_iter().collect());
    assert_eq!(ids(&listing, ObjectKind::Computer).len(), 250);
    for group in account.group_ids() {
        assert_eq!(members_of(&listing, &group), account.member_ids(&group).into_iter().collect(), "{group}");
        assert!(listing.has_closed_members_of(source(&group)));
    }
    for scope in [Scope::Users, Scope::Groups, Scope::Computers] {
        assert!(listing.closed.contains(&scope), "{scope}");
    }
    let mut owned = listing.objects.of(ObjectKind::Computer);
    assert!(owned.all(|patch| text(patch, "owner").is_some_and(|id| account.user(&id).is_some())));
    // Units below others have their ids, too.
    let users = || listing.objects.of(ObjectKind::User);
    assert!(users().any(|patch| text(patch, "attributes.org_unit_path").unwrap().matches('/').count() > 1));
    assert!(users().all(|patch| text(patch, "attributes.org_unit_id").is_some()));
    let guests = listing.objects.values().filter(|patch| text(patch, "kind").as_deref() == Some("guest")).count();
    let true_guests =
        account.user_ids().iter().filter(|id| account.user(id).unwrap().contains_key("isGuestUser")).count();
    assert_eq!(guests, true_guests);
    // 3 pages of users, 3 of groups, one for each group and more for the large ones, 1, 1 and 2 for units and devices.
    let calls = tenant.fake.log().calls();
    let members: usize = account.group_ids().iter().map(|g| account.member_ids(g).len().div_ceil(200).max(1)).sum();
    assert_eq!(calls, 3 + 3 + members as u64 + 1 + 1 + 2 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_goes_on_behind_every_checkpoint_with_the_rest() {
    let mut tenant = start(generated()).await;
    tenant.config.page_size = 200;
    tenant.fake.service().edit_settings(|settings| settings.quota = Quota::lifted());
    let whole = tenant.listing().await;
    let endpoint = tenant.endpoint();
    for nth in (0..whole.checkpoints.len()).step_by(2) {
        let mut pager = endpoint.snapshot(&tenant.cx, None).await.unwrap();
        let mut first = Listing::default();
        first.read_until(&mut *pager, |first| first.checkpoints.len() > nth).await.unwrap();
        let checkpoint = first.checkpoints.get(nth).expect("it has as many checkpoints as before");
        // A new process: nothing that was learned is there.
        let rest = list(&tenant.endpoint(), &tenant.cx, Some(checkpoint)).await.unwrap();
        assert!(rest.objects.keys().all(|key| !first.objects.contains_key(key)), "behind {nth}");
        first.objects.extend(rest.objects);
        for (group, members) in rest.members {
            let known = first.members.entry(group).or_default();
            let before = known.len() + members.len();
            known.extend(members);
            assert_eq!(known.len(), before, "a membership came twice, behind {nth}");
        }
        first.closed.extend(rest.closed);
        assert_eq!(first.objects, whole.objects, "behind {nth}");
        assert_eq!(first.members, whole.members, "behind {nth}");
        assert_eq!(first.closed, whole.closed, "behind {nth}");
        assert_eq!(rest.cursor.is_some(), whole.cursor.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_every_type_come_as_edges_and_are_told_apart() {
    let tenant = start(small()).await;
    let account = &tenant.account;
    let all = account.group("all@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    account.add_member(&all, Member::everyone(&account.customer()));
    account.add_member(&all, Member::outside("900", "guest@elsewhere.example"));
    account.add_member(&all, Member::external("901", "other@elsewhere.example"));
    let listing = tenant.listing().await;
    let mut kinds: Vec<_> = listing.members[&source(&all)].values().copied().collect();
    kinds.sort_unstable();
    let expected =
        [MemberKind::User, MemberKind::Group, MemberKind::External, MemberKind::External, MemberKind::Everyone];
    assert_eq!(kinds, expected);
    assert_eq!(listing.members[&source(&all)].get(&source(&account.customer())), Some(&MemberKind::Everyone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_in_a_domain_of_the_account_that_has_no_users_is_no_stranger() {
    let tenant = start(small()).await;
    let account = &tenant.account;
    account.add_domain("lists.example");
    let list = account.add_group("news@lists.example", "News", |_| {});
    let all = account.group("all@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    account.add_member(&all, Member::group(&list));
    assert_eq!(tenant.listing().await.members[&source(&all)].get(&source(&list)), Some(&MemberKind::Group));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_a_domain_that_only_the_last_users_show_is_no_stranger_and_costs_no_request_more() {
    let mut tenant = start(small()).await;
    // Members come while the users are still being listed, one at a time.
    tenant.config.page_size = 1;
    let account = &tenant.account;
    account.add_domain("late.example");
    for number in 0..40 {
        account.add_user(&format!("u{number}@corp.example"), "Some", "Body", |_| {});
    }
    let zoe = account.add_user("zoe@late.example", "Zoe", "Ek", |_| {});
    let all = account.group("all@corp.example").unwrap()["id"].as_str().unwrap().to_owned();
    account.add_member(&all, Member::user(&zoe));
    account.add_member(&all, Member::outside("900", "guest@elsewhere.example"));
    let listing = tenant.listing().await;
    assert_eq!(listing.members[&source(&all)][&source(&zoe)], MemberKind::User);
    assert_eq!(listing.members[&source(&all)][&source("900")], MemberKind::External);
    assert!(listing.has_closed_members_of(source(&all)));
    let log = tenant.fake.log();
    let first = |operation: &str| log.all().iter().position(|line| line.operation == operation);
    let last = log.all().iter().rposition(|line| line.operation == "users.list");
    assert!(first("members.list") < last, "members wait for users");
    assert_eq!(log.of("members.list").len(), 1 + 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_that_take_longer_than_an_hour_are_listed_from_both_ends() {
    let mut tenant = start(generated()).await;
    tenant.config.page_size = 100;
    // Behind its first page every listing has lasted too long.
    tenant.config.half_after = Duration::ZERO;
    let listing = tenant.listing().await;
    assert_eq!(ids(&listing, ObjectKind::User), tenant.account.user_ids().into_iter().collect());
    assert!(listing.closed.contains(&Scope::Users));
    let backwards = tenant.fake.log().of("users.list").iter().filter(|line| line.target.contains("DESCENDING")).count();
    assert!(backwards >= 12, "{backwards}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_domain_only_comes_where_the_configuration_says_so() {
    let mut tenant = start(small()).await;
    tenant.account.add_domain("sub.example");
    let outside = tenant.account.add_user("eva@sub.example", "Eva", "Falk", |_| {});
    assert!(tenant.listing().await.objects.has(source(&outside)));
    tenant.config.domain = Some("corp.example".to_owned());
    assert!(!tenant.listing().await.objects.has(source(&outside)));
    let found = tenant.endpoint().lookup(&tenant.cx, &[object(ObjectKind::User, &outside)]).await.unwrap();
    assert_eq!(found, [Presence::OutOfScope]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_is_told_from_who_can_be_had_back_and_an_address_proves_nothing() {
    let tenant = start(small()).await;
    let account = &tenant.account;
    let id = |email: &str| account.user(email).unwrap()["id"].as_str().unwrap().to_owned();
    let (anna, bo) = (id("anna@corp.example"), id("bo@corp.example"));
    account.delete_user(&anna);
    let again = account.add_user("anna@corp.example", "Anna", "Other", |_| {});
    let endpoint = tenant.endpoint();
    let asked = [anna.as_str(), &bo, &again, "117000000000000000000"].map(|id| object(ObjectKind::User, id));
    let found = endpoint.lookup(&tenant.cx, &asked).await.unwrap();
    assert_eq!(found[0], Presence::Gone(Evidence::Tombstone(TombstoneKind::Soft)));
    assert!(matches!(&found[1], Presence::Present(Some(_))) && matches!(&found[2], Presence::Present(Some(_))));
    assert_eq!(found[3], Presence::Gone(Evidence::NotFound));
    account.undelete_user(&anna);
    assert!(matches!(endpoint.lookup(&tenant.cx, &asked[..1]).await.unwrap()[0], Presence::Present(Some(_))));
    // Nor is somebody gone for good whom the deleted ones cannot be asked for.
    account.delete_user(&bo);
    let about = When::About("users.list", "showDeleted".to_owned());
    for refusal in [tenantry_fakes::google::Refusal::forbidden(), tenantry_fakes::google::Refusal::backend()] {
        tenant.fake.faults().on(about.clone(), Fault::Refuse(refusal));
        let found = endpoint.lookup(&tenant.cx, &asked[1..2]).await;
        assert!(found.as_ref().is_err() || matches!(found.as_ref().unwrap()[0], Presence::Unknown(_)), "{found:?}");
        tenant.fake.faults().clear();
    }
    // A lost right is never somebody's end.
    tenant.fake.faults().on(When::Calls("users.get"), Fault::Refuse(tenantry_fakes::google::Refusal::forbidden()));
    let found = endpoint.lookup(&tenant.cx, &asked[..1]).await.unwrap();
    assert!(matches!(found[0], Presence::Unknown(_)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_success_is_nobodys_end() {
    let account = small();
    let device = account.add_chromeos("SN1", |_| {});
    let phone = account.add_mobile("IM1", "Anna", "anna@corp.example", |_| {});
    let tenant = start(account).await;
    let id = |object: Option<tenantry_fakes::google::Fields>| object.unwrap()["id"].as_str().unwrap().to_owned();
    let anna = id(tenant.account.user("anna@corp.example"));
    let team = id(tenant.account.group("team@corp.example"));
    let asked = [
        object(ObjectKind::User, &anna),
        object(ObjectKind::Group, &team),
        object(ObjectKind::Computer, &device),
        object(ObjectKind::Computer, &phone),
    ];
    let endpoint = tenant.endpoint();
    let found = endpoint.lookup(&tenant.cx, &asked).await.unwrap();
    assert!(found.iter().all(|presence| matches!(presence, Presence::Present(Some(_)))), "{found:?}");
    for operation in ["users.get", "groups.get", "chromeosdevices.get", "mobiledevices.get", "members.get"] {
        tenant.fake.faults().on(When::Calls(operation), Fault::EmptySuccess);
    }
    let found = endpoint.lookup(&tenant.cx, &asked).await.unwrap();
    assert!(found.iter().all(|presence| matches!(presence, Presence::Unknown(_))), "{found:?}");
    let members = [SourceId::Id(anna.into())];
    let checked = endpoint.check_members(&tenant.cx, &asked[1], &members).await.unwrap();
    assert_eq!(checked, [Membership::Unknown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memberships_are_read_a_second_time_one_by_one_or_as_a_list() {
    let tenant = start(generated()).await;
    let endpoint = tenant.endpoint();
    let group = tenant.account.group_ids().into_iter().max_by_key(|g| tenant.account.member_ids(g).len()).unwrap();
    let mut asked: Vec<_> = tenant.account.member_ids(&group).into_iter().map(|id| SourceId::Id(id.into())).collect();
    asked.push(SourceId::Id("117000000000000000000".into()));
    for asked in [&asked[asked.len() - 3..], &asked[..]] {
        let group = object(ObjectKind::Group, &group);
        let found = endpoint.check_members(&tenant.cx, &group, asked).await.unwrap();
        let (last, rest) = found.split_last().unwrap();
        assert_eq!(*last, Membership::NotMember);
        assert!(rest.iter().all(|membership| *membership == Membership::Member));
    }
    let nothing =
        endpoint.check_members(&tenant.cx, &object(ObjectKind::Group, "0nothing"), &asked[..2]).await.unwrap();
    assert_eq!(nothing, [Membership::Unknown; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_user_keeps_the_id_and_gains_an_alias() {
    let tenant = start(small()).await;
    tenant.account.rename_user("anna@corp.example", "anna.lind@corp.example");
    let listing = tenant.listing().await;
    let anna = tenant.account.user("anna@corp.example").unwrap();
    let patch = listing.objects.patch(source(anna["id"].as_str().unwrap()));
    assert_eq!(text(patch, "primary_email").as_deref(), Some("anna.lind@corp.example"));
    let aliases = patch.attributes.get(&tenantry::model::names::ALIASES);
    assert_eq!(aliases, Some(&tenantry::model::Value::list(["anna@corp.example"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_makes_no_sense_is_set_aside_with_its_id() {
    let tenant = start(small()).await;
    let broken = tenant.account.add_user("eva@corp.example", "Eva", "Falk", |user| {
        user.insert("suspended".to_owned(), json!("perhaps"));
    });
    let listing = tenant.listing().await;
    assert_eq!(listing.quarantined.len(), 1);
    assert_eq!(listing.quarantined[0].id, Some(SourceId::Id(broken.into())));
    assert!(listing.closed.contains(&Scope::Users));
}

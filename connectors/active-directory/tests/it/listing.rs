//! A full listing brings everything in scope, once, and what is not in scope never.

use std::collections::BTreeSet;

use tenantry::endpoint::Endpoint;
use tenantry::model::{ObjectKind, Scope, Value, names};
use tenantry::testkit::Listing;
use tenantry_active_directory::{BuiltinGroups, Contacts};
use tenantry_fakes::ldap::ComputerKind;

use crate::domain::{GROUPS, PEOPLE, directory, id, ids, list, names_of, rest, start, text};

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn people_groups_and_computers_come_and_accounts_of_the_system_do_not() {
    let directory = directory();
    directory.add_user(PEOPLE, "anna").given("Anna").surname("Lee").mail("anna@corp.example").create();
    directory.add_user(PEOPLE, "inet").inet_org_person().create();
    directory.add_user(PEOPLE, "FABRIKAM$").control(2080).create();
    directory.add_user(PEOPLE, "krbtgt_12345").create();
    directory.add_user(PEOPLE, "health").named("HealthMailbox0123").create();
    directory.add_user(PEOPLE, "arbiter").attribute("msExchRecipientTypeDetails", "8388608").create();
    directory.add_contact(PEOPLE, "Partner").create();
    directory.add_computer("CN=Computers,DC=corp,DC=example", "PC1", ComputerKind::Workstation).create();
    directory.add_computer("CN=Computers,DC=corp,DC=example", "svc", ComputerKind::ManagedServiceAccount).create();
    directory.add_group(GROUPS, "Staff").create();
    let domain = start(directory).await;
    let listing = domain.listing().await;
    assert_eq!(names_of(&listing.objects, ObjectKind::User), set(&["Administrator", "anna", "inet", "reader"]));
    assert_eq!(names_of(&listing.objects, ObjectKind::Computer), set(&["DC1", "PC1"]));
    let groups = names_of(&listing.objects, ObjectKind::Group);
    assert!(groups.contains("Staff") && groups.contains("Domain Users") && !groups.contains("Administrators"));
    let whole = [Scope::Users, Scope::Groups, Scope::Computers];
    assert!(whole.iter().all(|scope| listing.closed.contains(scope)));
    assert!(listing.cursor.is_some() && listing.unreadable.is_empty() && listing.quarantined.is_empty());
}

#[tokio::test]
async fn contacts_and_builtin_groups_come_when_they_are_asked_for() {
    let directory = directory();
    let partner = directory.add_contact(PEOPLE, "Partner").mail("partner@other.example").create();
    let mut domain = start(directory).await;
    domain.config.contacts = Contacts::Imported;
    domain.config.builtin_groups = BuiltinGroups::Imported;
    let listing = domain.listing().await;
    assert_eq!(text(listing.objects.patch(id(partner)), "kind").as_deref(), Some("contact"));
    assert!(names_of(&listing.objects, ObjectKind::Group).contains("Administrators"));
}

#[tokio::test]
async fn base_filter_and_exclusion_bound_what_comes() {
    let directory = directory();
    directory.add_ou("OU=Old,OU=People,DC=corp,DC=example");
    let new = directory.add_user(PEOPLE, "new").attribute("department", "Sales").create();
    directory.add_user(PEOPLE, "other").create();
    directory.add_user("OU=Old,OU=People,DC=corp,DC=example", "old").attribute("department", "Sales").create();
    let mut domain = start(directory).await;
    domain.config.domain.base = Some("ou=people,dc=CORP,dc=example".into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec!["ou=old, ou=people, dc=corp, dc=example".into()];
    let listing = domain.listing().await;
    assert_eq!(listing.objects.ids(), ids(&[new]));
}

#[tokio::test]
async fn everything_comes_whatever_the_size_of_pages_and_slices() {
    let directory = directory();
    for number in 0..300 {
        directory.add_user(PEOPLE, &format!("user{number}")).create();
        if number % 10 == 0 {
            directory.add_group(GROUPS, &format!("group{number}")).member(format!("user{number}")).create();
        }
    }
    let mut domain = start(directory).await;
    domain.fake.edit_settings(|settings| settings.max_page_size = 7);
    let mut reference: Option<Listing> = None;
    for page_size in [1, 3, 50, 1000] {
        domain.config.domain.page_size = page_size;
        let listing = domain.listing().await;
        assert_eq!(names_of(&listing.objects, ObjectKind::User).len(), 302);
        if let Some(reference) = &reference {
            assert_eq!(listing.objects, reference.objects);
            assert_eq!(listing.members, reference.members);
            assert_eq!(listing.closed, reference.closed);
        }
        reference = Some(listing);
    }
}

#[tokio::test]
async fn behind_each_checkpoint_comes_exactly_what_did_not_come_before_it() {
    let directory = directory();
    for number in 0..60 {
        directory.add_user(PEOPLE, &format!("user{number}")).create();
        directory.add_group(GROUPS, &format!("group{number}")).member(format!("user{number}")).create();
    }
    let mut domain = start(directory).await;
    domain.config.domain.page_size = 4;
    let endpoint = domain.endpoint();
    let whole = domain.listing().await;
    assert!(whole.checkpoints.len() > 8, "{}", whole.checkpoints.len());
    for checkpoint in &whole.checkpoints {
        let mut before = Listing::default();
        let mut pager = endpoint.snapshot(&domain.cx, None).await.unwrap();
        before.read_until(&mut *pager, |before| before.checkpoints.last() == Some(checkpoint)).await.unwrap();
        assert!(!before.has_ended(), "not found");
        let after = list(&endpoint, &domain.cx, Some(checkpoint)).await.unwrap();
        assert!(before.objects.keys().all(|object| !after.objects.contains_key(object)), "an object on both sides");
        before.objects.extend(after.objects);
        assert_eq!(before.objects, whole.objects);
        before.closed.extend(after.closed);
        assert_eq!(before.closed, whole.closed);
        assert_eq!(after.cursor, whole.cursor, "the cursor is the one of the beginning");
    }
}

#[tokio::test]
async fn what_is_created_while_it_is_listed_is_not_lost_to_listing_and_delta_alike() {
    let directory = directory();
    for number in 0..40 {
        directory.add_user(PEOPLE, &format!("user{number}")).create();
    }
    let mut domain = start(directory).await;
    domain.config.domain.page_size = 4;
    let endpoint = domain.endpoint();
    let mut pager = endpoint.snapshot(&domain.cx, None).await.unwrap();
    pager.next().await.unwrap();
    let late = domain.directory.add_user(PEOPLE, "late").create();
    let listing = rest(pager).await;
    assert!(listing.objects.has(id(late)));
}

#[tokio::test]
async fn an_object_whose_creation_number_cannot_be_read_comes_all_the_same() {
    let directory = directory();
    let hidden = directory.add_user(PEOPLE, "hidden").create();
    directory.rights("reader").hide_attribute_of(PEOPLE, "uSNCreated");
    let mut domain = start(directory).await;
    domain.config.domain.page_size = 4;
    assert!(domain.listing().await.objects.has(id(hidden)));
}

#[tokio::test]
async fn the_primary_group_comes_with_the_user_and_the_computer() {
    let directory = directory();
    let staff = directory.add_group(GROUPS, "Staff").create();
    let rid = directory.sid_of(staff).and_then(|sid| sid.rid()).unwrap();
    let anna = directory.add_user(PEOPLE, "anna").primary_group(rid).create();
    let bert = directory.add_user(PEOPLE, "bert").create();
    let domain_users = directory.guid_of("Domain Users");
    let mut domain = start(directory).await;
    domain.config.domain.groups = Some("(cn=Nobody*)".into());
    let listing = domain.listing().await;
    let primary = |user| listing.objects.patch(id(user)).primary_group.clone();
    assert_eq!(primary(anna), Some(Some(id(staff))), "also when the group itself is not imported");
    assert_eq!(primary(bert), Some(Some(id(domain_users))));
}

#[tokio::test]
async fn a_primary_group_that_cannot_be_seen_is_unknown_and_not_none() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    directory.rights("reader").hide("Domain Users");
    let listing = start(directory).await.listing().await;
    assert_eq!(listing.objects.patch(id(anna)).primary_group, None);
}

#[tokio::test]
async fn a_listing_of_ids_has_every_object_and_no_attribute() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    directory.add_group(GROUPS, "Staff").member(anna).create();
    let domain = start(directory).await;
    let whole = domain.listing().await;
    let ids = rest(domain.endpoint().id_listing(&domain.cx).await.unwrap()).await;
    assert!(ids.objects.keys().eq(whole.objects.keys()));
    assert!(ids.objects.values().all(|patch| patch.attributes.is_empty() && patch.container.is_some()));
    assert!(ids.members.is_empty() && ids.closed.len() == 3);
}

#[tokio::test]
async fn a_damaged_value_sets_one_record_aside_and_nothing_else() {
    let directory = directory();
    let bad = directory.add_user(PEOPLE, "bad").bytes("sn", b"L\xf6we").create();
    let clash = directory.add_user(PEOPLE, "clash").named("Doe\nCNF:0b6c1d4e-3f52-4c7a-9d8e-112233445566").create();
    let good = directory.add_user(PEOPLE, "good").attribute("description", "first").create();
    let listing = start(directory).await.listing().await;
    let aside: BTreeSet<_> = listing.quarantined.iter().filter_map(|record| record.id.clone()).collect();
    assert_eq!(aside, [bad, clash].map(id).into());
    assert!(listing.quarantined.iter().any(|record| record.reason.starts_with("sn: ")));
    assert!(listing.objects.has(id(good)) && listing.closed.contains(&Scope::Users));
}

#[tokio::test]
async fn an_attribute_without_a_value_is_empty_and_one_of_every_account_is_unknown_when_absent() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    directory.rights("reader").hide_attribute("userAccountControl");
    let listing = start(directory).await.listing().await;
    let attributes = &listing.objects.patch(id(anna)).attributes;
    assert_eq!(attributes.get(&names::LAST_NAME), Some(&Value::Empty));
    assert_eq!(attributes.get(&names::PRIMARY_EMAIL), Some(&Value::Empty));
    assert_eq!(attributes.get(&names::STATE), None);
}

#[tokio::test]
async fn the_manager_and_the_owner_are_told_by_their_ids() {
    let directory = directory();
    let boss = directory.add_user(PEOPLE, "boss").create();
    let anna = directory.add_user(PEOPLE, "anna").manager(boss).create();
    let owned = directory.add_computer(PEOPLE, "PC1", ComputerKind::Workstation).create();
    directory.set(owned, "managedBy", [directory.dn_of(anna)]);
    let listing = start(directory).await.listing().await;
    assert_eq!(text(listing.objects.patch(id(anna)), "attributes.manager"), Some(id(boss).to_string()));
    assert_eq!(text(listing.objects.patch(id(owned)), "owner"), Some(id(anna).to_string()));
    let container = listing.objects.patch(id(anna)).container.as_deref();
    assert_eq!(container, Some(PEOPLE.to_lowercase().as_str()));
}

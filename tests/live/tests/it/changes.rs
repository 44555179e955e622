//! What changes in a real domain between two imports, and what comes of it: never another person, never a false removal.

use tenantry::model::{EventType, ObjectKind, names};
use tenantry_live::{LdifWriter, Population, SambaDc};
use uuid::Uuid;

use crate::world::{Done, PASSWORD, World, count, ready, told, types};

const COMPANY: Population = Population::small();

fn company() -> String {
    COMPANY.root_dn("DC=corp,DC=example")
}

fn person(number: usize) -> String {
    COMPANY.user_dn(number, "DC=corp,DC=example")
}

fn login(number: usize) -> String {
    format!("(sAMAccountName=u{number:05})")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_new_login_mail_and_name_at_once_is_the_same_record() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    let guid = world.guid(&login(7))?;
    let before = world.user(guid);
    world.events()?;

    let dn = person(7);
    world.dc.replace(&dn, "sAMAccountName", "newlogin")?;
    world.dc.replace(&dn, "mail", "new.name@corp.example")?;
    world.dc.replace(&dn, "proxyAddresses", "SMTP:new.name@corp.example")?;
    world.dc.replace(&dn, "sn", "Newname")?;
    world.dc.rename(&dn, "CN=Newname \\2C Ltd.", Some(&format!("OU=Service,{}", company())))?;
    let report = world.import_done().await?;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (0, 1, 0, 0));
    assert_eq!((report.members_added, report.members_removed), (0, 0));
    let events = world.events()?;
    assert_eq!(types(&events), [EventType::UserUpserted, EventType::ImportFinished], "{:?}", told(&events));
    let data = events[0].data_value();
    assert_eq!(events[0].subject, before.id.to_string());
    assert_eq!(data["changed"], serde_json::json!(["aliases", "last_name", "primary_email", "username"]));
    assert_eq!(data["previous"]["username"], "u00007");
    assert_eq!(world.user(guid).id, before.id);
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_and_a_renamed_unit_are_no_change_and_siblings_still_vouch() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    world.check()?;
    let moved = person(3);
    let (rdn, _) = moved.split_once(",OU=").expect("a unit");
    let elsewhere = person(4);
    let (_, unit) = elsewhere.split_once(",OU=").expect("a unit");
    world.dc.rename(&moved, rdn, Some(&format!("OU={unit}")))?;
    world.import_silently().await?;

    // A unit with twelve people, and the one above all of them.
    world.dc.rename(&format!("OU={unit}"), "OU=Renamed", None)?;
    world.import_silently().await?;
    world.dc.rename(&company(), "OU=Renamed Company", None)?;
    world.import_silently().await?;
    world.check()?;
    world.import_silently().await?;

    // Somebody goes who was never listed anywhere else since: the new place is known, and its people vouch.
    let gone = world.guid(&login(9))?;
    world.dc.ldapdelete(&world.dn(&login(9))?)?;
    let report = world.import_done().await?;
    assert_eq!((report.removed, report.missing), (1, 0));
    assert!(world.record(gone)?.is_none());
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_handed_over_in_one_run_follows_and_nobody_becomes_another() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    world.events()?;
    // The directory lists in the order in which people came: once the giver comes first, once the taker.
    for (giver, taker, round) in [(10, 11, 1), (13, 12, 2)] {
        let (from, to) = (world.guid(&login(giver))?, world.guid(&login(taker))?);
        let (before_from, before_to) = (world.user(from), world.user(to));
        let address = format!("u{giver:05}@corp.example");
        let new = format!("moved{round}@corp.example");
        for (number, address) in [(giver, &new), (taker, &address)] {
            world.dc.replace(&person(number), "mail", address)?;
            world.dc.replace(&person(number), "proxyAddresses", format!("SMTP:{address}"))?;
        }
        let report = world.import_done().await?;
        assert_eq!((report.created, report.updated, report.removed), (0, 2, 0));
        let mail = |guid| world.user(guid).attributes.text(&names::PRIMARY_EMAIL).map(str::to_owned);
        assert_eq!((mail(from), mail(to)), (Some(new), Some(address)));
        assert_eq!((world.user(from).id, world.user(to).id), (before_from.id, before_to.id));
        let events = world.events()?;
        assert_eq!(count(&events, EventType::UserUpserted), 2, "{:?}", told(&events));
    }
    world.check()?;

    // Somebody leaves; the one who gets name, login and address is another person.
    let (left, dn) = (world.guid(&login(14))?, person(14));
    let old = world.user(left);
    world.dc.ldapdelete(&dn)?;
    let mut ldif = LdifWriter::new();
    let attributes = [
        ("objectClass", "user"),
        ("sAMAccountName", "u00014"),
        ("userPrincipalName", "u00014@corp.example"),
        ("givenName", old.attributes.text(&names::FIRST_NAME).expect("a name")),
        ("sn", old.attributes.text(&names::LAST_NAME).expect("a name")),
        ("mail", "u00014@corp.example"),
    ];
    ldif.entry(&dn, attributes);
    world.dc.ldapadd(&ldif.finish())?;
    let report = world.import_done().await?;
    assert_eq!((report.created, report.removed), (1, 1));
    let next = world.user(world.guid(&login(14))?);
    assert_ne!(next.id, old.id);
    assert_eq!(next.attributes.text(&names::PRIMARY_EMAIL), Some("u00014@corp.example"));
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_an_account_follow_and_a_good_logon_is_no_change() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    let account = world.dc.create_account("states", PASSWORD)?;
    world.dc.replace(&account.dn, "description", "to be cleared")?;
    world.import_done().await?;
    world.check()?;
    let guid = world.guid("(sAMAccountName=states)")?;
    let of = |world: &World, name: &str| serde_json::to_value(world.user(guid)).expect("JSON")[name].clone();
    assert_eq!((of(&world, "state"), of(&world, "locked_out")), ("active".into(), false.into()));
    assert_eq!(of(&world, "must_change_password"), false);

    assert_eq!(world.dc.client(&account.upn, PASSWORD).bind()?.code, 0);
    world.import_silently().await?;

    world.dc.replace(&account.dn, "userAccountControl", "514")?;
    world.import_done().await?;
    assert_eq!(of(&world, "state"), "suspended");
    world.check()?;
    world.dc.replace(&account.dn, "userAccountControl", "512")?;
    world.dc.clear(&account.dn, "description")?;
    world.import_done().await?;
    assert_eq!(of(&world, "state"), "active");
    assert!(of(&world, "attributes")["description"].is_null() && of(&world, "attributes").get("description").is_some());
    world.check()?;

    world.dc.set_lockout_threshold(3)?;
    for _ in 0..2 {
        world.dc.client(&account.upn, "wrong").bind()?;
    }
    world.import_silently().await?;
    world.dc.client(&account.upn, "wrong").bind()?;
    let report = world.import_done().await?;
    assert_eq!((report.updated, of(&world, "locked_out")), (1, true.into()));
    assert_eq!(of(&world, "state"), "active", "locked out is not suspended");
    world.check()?;
    world.dc.replace(&account.dn, "lockoutTime", "0")?;
    world.import_done().await?;
    assert_eq!(of(&world, "locked_out"), false);

    world.dc.replace(&account.dn, "pwdLastSet", "0")?;
    world.import_done().await?;
    assert_eq!(of(&world, "must_change_password"), true);
    world.check()?;
    world.dc.replace(&account.dn, "pwdLastSet", "-1")?;
    world.import_done().await?;
    assert_eq!(of(&world, "must_change_password"), false);

    // 1 January 2001.
    world.dc.replace(&account.dn, "accountExpires", "126227808000000000")?;
    world.import_done().await?;
    assert_eq!(of(&world, "state"), "suspended");
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_one_event_each() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    world.check()?;
    let large = format!("CN=Large Group,OU=Groups,{}", company());
    let empty = format!("CN=Empty\\2C with comma,OU=Groups,{}", company());
    world.dc.delete_value(&large, "member", &person(5))?;
    world.dc.add_value(&large, "member", &person(55))?;
    world.dc.add_value(&empty, "member", &person(55))?;
    let report = world.import_done().await?;
    assert_eq!((report.members_added, report.members_removed, report.updated), (2, 1, 0));
    let events = world.events()?;
    assert_eq!((count(&events, EventType::MemberAdded), count(&events, EventType::MemberRemoved)), (2, 1));
    world.check()?;

    // The last member of a group that has but one: an empty list, which could as well be a hidden one.
    world.dc.delete_value(&empty, "member", &person(55))?;
    let report = world.import_done().await?;
    assert_eq!((report.members_added, report.members_removed), (0, 1));
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_primary_group_moves_the_membership_of_that_way() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    let group = format!("CN=Nested 3,OU=Groups,{}", company());
    world.dc.add_value(&group, "member", &person(8))?;
    world.import_done().await?;
    world.check()?;
    world.events()?;
    let sid = world.dc.sid_of(&group)?;
    let (_, rid) = sid.rsplit_once('-').expect("a relative id");
    world.dc.replace(&person(8), "primaryGroupID", rid)?;
    // The directory itself lists the old primary group's member from now on, and the new one's no more.
    world.import_done().await?;
    let events = world.events()?;
    assert_eq!((count(&events, EventType::MemberAdded), count(&events, EventType::MemberRemoved)), (2, 2));
    assert_eq!(count(&events, EventType::UserUpserted), 0, "{:?}", told(&events));
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_removes_where_it_can_be_read() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.dc.grant_deleted_objects(&world.reader.sid)?;
    add_alone(&world)?;
    world.import_done().await?;
    world.check()?;
    // One of them has no sibling to vouch.
    let gone = [world.guid(&login(20))?, world.guid("(cn=Alone)")?];
    world.dc.ldapdelete(&person(20))?;
    world.dc.ldapdelete(&format!("CN=Alone,OU=Alone,{}", company()))?;
    let report = world.import_done().await?;
    assert_eq!((report.removed, report.missing, report.parked), (2, 0, 0), "{report:?}");
    for guid in gone {
        assert!(world.record(guid)?.is_none());
    }
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tombstones_siblings_vouch_and_who_has_none_is_missing() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let mut world = World::small().await?;
    let alone = add_alone(&world)?;
    world.import_done().await?;
    world.check()?;
    let lonely = world.guid("(cn=Alone)")?;
    let id = world.user(lonely).id;
    let gone = world.guid(&login(20))?;
    world.dc.ldapdelete(&person(20))?;
    world.dc.ldapdelete(&alone)?;
    world.events()?;
    let report = world.import_done().await?;
    assert_eq!((report.removed, report.missing), (1, 1), "{report:?}");
    assert!(world.record(gone)?.is_none());
    let missing = world.user(lonely);
    assert!(missing.missing_since.is_some() && missing.id == id);
    let events = world.events()?;
    let of_missing: Vec<_> = events.iter().filter(|event| event.subject == id.to_string()).collect();
    assert_eq!(of_missing.len(), 1, "{:?}", told(&events));
    assert_eq!(of_missing[0].data_value()["changed"], serde_json::json!(["missing_since"]));
    world.check_replica()?;
    world.import_silently().await?;
    assert_eq!(world.user(lonely).missing_since, missing.missing_since);
    Ok(())
}

/// Adds somebody who is alone in a unit, and member of a group; returns the name.
fn add_alone(world: &World) -> tenantry_live::Result<String> {
    let unit = format!("OU=Alone,{}", company());
    let dn = format!("CN=Alone,{unit}");
    let mut ldif = LdifWriter::new();
    ldif.entry(&unit, [("objectClass", "organizationalUnit")]);
    ldif.entry(&dn, [("objectClass", "user"), ("sAMAccountName", "alone")]);
    world.dc.ldapadd(&ldif.finish())?;
    world.dc.add_value(&format!("CN=Large Group,OU=Groups,{}", company()), "member", &dn)?;
    Ok(dn)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_moved_out_of_the_base_goes_restorably_and_comes_back_as_the_same() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    let dc = SambaDc::populated(COMPANY)?;
    let mut ldif = LdifWriter::new();
    let outside = "OU=Outside,DC=corp,DC=example";
    ldif.entry(outside, [("objectClass", "organizationalUnit")]);
    dc.ldapadd(&ldif.finish())?;
    let mut world = World::with(dc, |config| config.domain.base = Some(company())).await?;
    world.import_done().await?;
    world.check()?;
    let dn = person(6);
    let (rdn, _) = dn.split_once(",OU=").expect("a unit");
    let guid = world.guid(&login(6))?;
    let before = world.user(guid);
    let listed = world.independent()?.memberships;
    let edges = listed.iter().filter(|edge| edge.member == guid.to_string() && edge.via == "explicit").count();
    assert!(edges > 0, "somebody with memberships");
    world.events()?;

    world.dc.rename(&dn, rdn, Some(outside))?;
    let report = world.import_done().await?;
    assert_eq!((report.removed, report.missing, report.members_removed), (1, 0, 0), "{report:?}");
    let events = world.events()?;
    let removal = events.iter().find(|event| event.event_type == EventType::UserRemoved).expect("told");
    assert_eq!(
        (removal.subject.clone(), removal.data_value()["restorable"].clone()),
        (before.id.to_string(), true.into())
    );
    assert!(world.record(guid)?.is_none());
    // The groups still list it: as a member that is not imported.
    world.check()?;
    world.import_silently().await?;

    let (_, home) = dn.split_once(',').expect("a parent");
    world.dc.rename(&format!("{rdn},{outside}"), rdn, Some(home))?;
    let report = world.import_done().await?;
    assert_eq!((report.created, report.members_added), (1, 0), "{report:?}");
    assert_eq!(world.user(guid).id, before.id);
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_group_ends_its_memberships_and_nobody_else_goes() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    for granted in [false, true] {
        let mut world = World::small().await?;
        if granted {
            world.dc.grant_deleted_objects(&world.reader.sid)?;
        }
        world.import_done().await?;
        world.check()?;
        world.events()?;
        let large = world.record(world.guid("(cn=Nested 3)")?)?.expect("the group");
        let users = world.records(ObjectKind::User)?.len();
        world.dc.ldapdelete(&format!("CN=Nested 3,OU=Groups,{}", company()))?;
        let report = world.import_done().await?;
        // It had one member, and was one itself.
        assert_eq!((report.removed, report.members_removed, report.updated), (1, 2, 0), "{report:?}");
        let events = world.events()?;
        assert_eq!(count(&events, EventType::GroupRemoved), 1);
        assert_eq!(count(&events, EventType::MemberRemoved), 2);
        assert!(events.iter().any(|event| event.subject == large.id.to_string()));
        assert_eq!(world.records(ObjectKind::User)?.len(), users);
        world.check()?;
        world.import_silently().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_and_undeleted_is_the_same_record() -> Done {
    if !ready("changes") {
        return Ok(());
    }
    for granted in [false, true] {
        let mut world = World::small().await?;
        if granted {
            world.dc.grant_deleted_objects(&world.reader.sid)?;
        }
        world.import_done().await?;
        let guid: Uuid = world.guid(&login(6))?;
        let before = world.user(guid);
        world.dc.ldapdelete(&person(6))?;
        assert_eq!(world.import_done().await?.removed, 1);
        world.check()?;
        world.import_silently().await?;
        world.dc.undelete("u00006", &person(6))?;
        let report = world.import_done().await?;
        assert_eq!((report.created, report.removed), (1, 0));
        assert_eq!(world.user(guid).id, before.id);
        // The tombstone kept login and id; address and memberships are gone in the directory, too.
        world.check()?;
        world.import_silently().await?;
    }
    Ok(())
}

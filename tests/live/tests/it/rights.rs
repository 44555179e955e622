//! Rights that are taken away between two imports, and another domain behind the same address: nobody goes by that.

use tenantry::ImportOptions;
use tenantry::model::{Event, EventType, ObjectKind, Outcome, names};
use tenantry_live::{Domain, LdifWriter, Population, SambaDc, Setup};

use crate::world::{Done, PASSWORD, World, count, ready, settings, told};

const COMPANY: Population = Population::small();
const BASE: &str = "DC=corp,DC=example";

fn assert_nothing_went(events: &[Event]) {
    for gone in [EventType::UserRemoved, EventType::GroupRemoved, EventType::ComputerRemoved, EventType::MemberRemoved]
    {
        assert_eq!(count(events, gone), 0, "{:?}", told(events));
    }
}

/// Takes the right to read a container away and gives it back; nothing may go, and nothing may stay missing.
async fn hide_and_show(world: &mut World, container: &str) -> Done {
    world.import_done().await?;
    world.check()?;
    world.dc.deny_read(container, &world.reader.sid)?;
    for _ in 0..2 {
        let report = world.import().await?;
        assert!(matches!(report.outcome, Outcome::Done | Outcome::Held), "{report:?}");
        assert_eq!((report.removed, report.members_removed, report.created), (0, 0, 0), "{report:?}");
        assert_nothing_went(&world.events()?);
        world.check_replica()?;
    }
    world.dc.allow_read(container, &world.reader.sid)?;
    let report = world.import_done().await?;
    assert_eq!((report.removed, report.members_removed, report.created), (0, 0, 0), "{report:?}");
    for kind in ObjectKind::ALL {
        assert!(world.records(*kind)?.values().all(|record| record.missing_since.is_none()));
    }
    world.check()?;
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_turns_unreadable_removes_nobody() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    let dn = COMPANY.user_dn(2, BASE);
    let (_, unit) = dn.split_once(',').expect("a unit");
    hide_and_show(&mut world, unit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_turns_unreadable_removes_nobody_where_tombstones_can_be_read() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.dc.grant_deleted_objects(&world.reader.sid)?;
    world.dc.ldapdelete(&COMPANY.user_dn(59, BASE))?;
    let dn = COMPANY.user_dn(2, BASE);
    let (_, unit) = dn.split_once(',').expect("a unit");
    hide_and_show(&mut world, unit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_of_so_few_that_the_guard_would_let_them_go_removes_nobody() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    for granted in [false, true] {
        let mut world = World::small().await?;
        if granted {
            world.dc.grant_deleted_objects(&world.reader.sid)?;
        }
        let unit = format!("OU=Few,{}", COMPANY.root_dn(BASE));
        let mut ldif = LdifWriter::new();
        ldif.entry(&unit, [("objectClass", "organizationalUnit")]);
        for name in ["few1", "few2", "few3"] {
            ldif.entry(&format!("CN={name},{unit}"), [("objectClass", "user"), ("sAMAccountName", name)]);
        }
        world.dc.ldapadd(&ldif.finish())?;
        hide_and_show(&mut world, &unit).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_company_that_turns_unreadable_removes_nobody() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    for granted in [false, true] {
        let mut world = World::small().await?;
        if granted {
            world.dc.grant_deleted_objects(&world.reader.sid)?;
        }
        hide_and_show(&mut world, &COMPANY.root_dn(BASE)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_turn_unreadable_keep_their_members() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    hide_and_show(&mut world, &format!("OU=Groups,{}", COMPANY.root_dn(BASE))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn member_lists_that_turn_unreadable_end_no_membership() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    for filter in ["(cn=Large Group)", "(objectCategory=group)"] {
        let mut world = World::small().await?;
        world.import_done().await?;
        world.check()?;
        world.dc.deny_attribute(filter, "member", &world.reader.sid)?;
        let report = world.import().await?;
        assert_eq!((report.removed, report.members_removed, report.parked), (0, 0, 0), "{report:?}");
        assert!(!report.unreadable.is_empty(), "it is told: {report:?}");
        assert_nothing_went(&world.events()?);
        world.dc.allow_attribute(filter, "member", &world.reader.sid)?;
        world.import_done().await?;
        world.check()?;
        world.import_silently().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_turn_unreadable_are_not_cleared_without_approval() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    let people = "(sAMAccountName=u000*)";
    for attribute in ["mail", "proxyAddresses"] {
        world.dc.deny_attribute(people, attribute, &world.reader.sid)?;
    }
    // And one change that everybody may see.
    world.dc.replace(&COMPANY.user_dn(3, BASE), "title", "Manager")?;
    let report = world.import().await?;
    assert_eq!((report.outcome, report.updated), (Outcome::Held, 1), "{report:?}");
    let users = world.records(ObjectKind::User)?;
    let mails = users.values().filter(|user| user.attributes.text(&names::PRIMARY_EMAIL).is_some()).count();
    assert_eq!(mails, COMPANY.users);
    for attribute in ["mail", "proxyAddresses"] {
        world.dc.allow_attribute(people, attribute, &world.reader.sid)?;
    }
    world.import_done().await?;
    assert!(world.service.parked(&world.customer).await?.is_empty());
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_deleted_objects_removals_wait_for_approval() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.dc.grant_deleted_objects(&world.reader.sid)?;
    world.dc.ldapdelete(&COMPANY.user_dn(59, BASE))?;
    world.import_done().await?;
    world.check()?;
    world.events()?;

    world.dc.revoke_deleted_objects(&world.reader.sid)?;
    // Who has siblings could be proven gone even so; but the change of rights comes first.
    let gone = world.guid("(sAMAccountName=u00020)")?;
    world.dc.ldapdelete(&COMPANY.user_dn(20, BASE))?;
    world.dc.replace(&COMPANY.user_dn(21, BASE), "title", "Manager")?;
    for round in 0..2 {
        let report = world.import().await?;
        assert_eq!((report.outcome, report.removed), (Outcome::Held, 0), "{report:?}");
        assert_eq!(report.updated, u64::from(round == 0), "everything else goes on");
        let reasons: Vec<_> = report.held.iter().map(|held| held.reason.clone()).collect();
        assert!(reasons.iter().any(|reason| reason.contains("right lost: read deleted objects")), "{reasons:?}");
        let events = world.events()?;
        assert_eq!(count(&events, EventType::RemovalsParked), usize::from(round == 0), "told once");
        assert_nothing_went(&events);
    }
    assert!(world.record(gone)?.is_some());
    let parked = world.service.parked(&world.customer).await?;
    assert_eq!(parked.len(), 1);
    let approve = Some(parked[0].plan.clone());
    let report = world.import_with(ImportOptions { approve, ..ImportOptions::default() }).await?;
    assert_eq!((report.outcome, report.removed), (Outcome::Done, 1), "{report:?}");
    world.check()?;
    world.import_silently().await?;

    // Given back: nothing to approve, and the next deletion is proven by its tombstone.
    world.dc.grant_deleted_objects(&world.reader.sid)?;
    world.dc.ldapdelete(&COMPANY.user_dn(22, BASE))?;
    assert_eq!(world.import_done().await?.removed, 1);
    world.check()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_domain_of_the_same_name_is_refused_before_anything_is_read() -> Done {
    if !ready("rights") {
        return Ok(());
    }
    let mut world = World::small().await?;
    world.import_done().await?;
    world.check()?;
    let other = SambaDc::start_with(&Setup { domain: Domain::Second, ..Setup::default() })?;
    let reader = other.create_account("reader", PASSWORD)?;
    assert_ne!(other.domain_sid(), world.dc.domain_sid());
    let own = world.config.clone();
    world.register(settings(&other, &reader.upn)).await?;
    let report = world.import().await?;
    assert_eq!((report.outcome, report.pages), (Outcome::Failed, 0), "{report:?}");
    let error = report.error.unwrap_or_default();
    assert!(error.contains("another directory"), "{error}");
    let events = world.events()?;
    assert_nothing_went(&events);
    assert_eq!(count(&events, EventType::UserUpserted), 0);
    world.register(own).await?;
    world.import_silently().await?;
    world.check()
}

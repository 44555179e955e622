//! Changes of a real domain, read by its change numbers: what they leave is what a full listing gives.

use tenantry::ImportOptions;
use tenantry::model::{EventType, Mode, ObjectKind, Outcome, RunReport};
use tenantry_active_directory::ActiveDirectoryConfig;
use tenantry_live::{LdifWriter, Population, SambaDc};

use crate::world::{Done, PASSWORD, World, count, ready, told, types};

const COMPANY: Population = Population::small();
const BASE: &str = "DC=corp,DC=example";

fn company() -> String {
    COMPANY.root_dn(BASE)
}

fn person(number: usize) -> String {
    COMPANY.user_dn(number, BASE)
}

fn login(number: usize) -> String {
    format!("(sAMAccountName=u{number:05})")
}

fn unit_of(dn: &str) -> &str {
    dn.split_once(",OU=").map(|(rdn, _)| &dn[rdn.len() + 1..]).expect("somebody in a unit")
}

fn rdn_of(dn: &str) -> &str {
    dn.split_once(",OU=").map(|(rdn, _)| rdn).expect("somebody in a unit")
}

fn unit(world: &World, dn: &str) -> Done {
    let mut ldif = LdifWriter::new();
    ldif.entry(dn, [("objectClass", "organizationalUnit")]);
    Ok(world.dc.ldapadd(&ldif.finish())?)
}

/// A company that was listed once, with or without the right to read deleted objects.
async fn listed(
    granted: bool,
    change: impl FnOnce(&mut ActiveDirectoryConfig),
) -> Result<World, Box<dyn std::error::Error>> {
    let mut world = World::with(SambaDc::populated(COMPANY)?, change).await?;
    if granted {
        world.dc.grant_deleted_objects(&world.reader.sid)?;
    }
    let report = world.import_done().await?;
    assert_eq!(report.mode, Mode::Snapshot);
    world.events()?;
    Ok(world)
}

/// Imports what changed.
async fn changes(world: &World) -> Result<RunReport, Box<dyn std::error::Error>> {
    let report = world.import_done().await?;
    assert_eq!(report.mode, Mode::Delta, "{report:?}");
    Ok(report)
}

/// Expects that nothing is left to be told, neither by another delta nor by a full listing.
async fn agree(world: &mut World) -> Done {
    world.events()?;
    changes(world).await?;
    let options = ImportOptions { full: true, ..ImportOptions::default() };
    let report = world.import_with(options).await?;
    assert_eq!((report.outcome, report.mode), (Outcome::Done, Mode::Snapshot), "{report:?}");
    let events = world.events()?;
    let ended = [EventType::ImportFinished, EventType::ImportFinished];
    assert_eq!(types(&events), ended, "{:?}", told(&events));
    world.check_replica()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_changes_and_is_renamed_is_told_and_nobody_else() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(false, |_| {}).await?;
    let quiet = changes(&world).await?;
    assert_eq!((quiet.created, quiet.updated, quiet.removed), (0, 0, 0), "{quiet:?}");
    let guid = world.guid(&login(7))?;
    let before = world.user(guid);
    world.events()?;
    world.dc.create_account("newcomer", PASSWORD)?;
    world.dc.replace(&person(3), "title", "Manager")?;
    world.dc.rename(&person(7), "CN=Newname \\2C Ltd.", Some(unit_of(&person(4))))?;
    world.dc.replace(&world.dn(&login(7))?, "sAMAccountName", "newlogin")?;
    let report = changes(&world).await?;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (1, 2, 0, 0), "{report:?}");
    assert_eq!(world.user(guid).id, before.id);
    assert_eq!(count(&world.events()?, EventType::UserUpserted), 3);
    world.check()?;
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_goes_with_and_without_the_right_to_read_deleted_objects() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    for granted in [true, false] {
        let mut world = listed(granted, |_| {}).await?;
        let gone = [world.guid(&login(20))?, world.guid("(cn=Nested 3)")?];
        world.dc.ldapdelete(&person(20))?;
        world.dc.ldapdelete(&format!("CN=Nested 3,OU=Groups,{}", company()))?;
        let report = changes(&world).await?;
        assert_eq!((report.removed, report.missing, report.created), (2, 0, 0), "granted {granted}: {report:?}");
        for guid in gone {
            assert!(world.record(guid)?.is_none());
        }
        world.check()?;
        agree(&mut world).await?;
        world.dc.undelete("u00020", &person(20))?;
        let report = changes(&world).await?;
        assert_eq!((report.created, report.removed), (1, 0), "granted {granted}: {report:?}");
        agree(&mut world).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_into_an_excluded_unit_goes_and_comes_back_as_the_same() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let archive = format!("OU=Archive,{}", company());
    let mut world = listed(false, |config| config.domain.exclude = vec![format!("OU=Archive,{}", company())]).await?;
    unit(&world, &archive)?;
    let guid = world.guid(&login(6))?;
    let before = world.user(guid);
    world.dc.rename(&person(6), rdn_of(&person(6)), Some(&archive))?;
    let report = changes(&world).await?;
    assert_eq!((report.removed, report.missing), (1, 0), "{report:?}");
    assert!(world.record(guid)?.is_none());
    agree(&mut world).await?;
    world.dc.rename(&world.dn(&login(6))?, rdn_of(&person(6)), Some(unit_of(&person(6))))?;
    let report = changes(&world).await?;
    assert_eq!((report.created, report.removed), (1, 0), "{report:?}");
    assert_eq!(world.user(guid).id, before.id);
    world.check()?;
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_base_or_no_longer_matches_goes_and_comes_back() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(true, |config| {
        config.domain.base = Some(company().to_lowercase());
        config.domain.users = Some("(mail=*)".to_owned());
    })
    .await?;
    let outside = format!("OU=Outside,{BASE}");
    unit(&world, &outside)?;
    let users = world.records(ObjectKind::User)?.len();
    let mail =
        world.dc.ldapsearch(&person(9), "(objectClass=*)", &["mail"])?[0].text("mail").unwrap_or_default().to_owned();
    world.dc.rename(&person(8), rdn_of(&person(8)), Some(&outside))?;
    world.dc.clear(&person(9), "mail")?;
    let report = changes(&world).await?;
    assert_eq!((report.removed, report.missing), (2, 0), "{report:?}");
    assert_eq!(world.records(ObjectKind::User)?.len(), users - 2);
    agree(&mut world).await?;
    world.dc.rename(&world.dn(&login(8))?, rdn_of(&person(8)), Some(unit_of(&person(8))))?;
    world.dc.replace(&person(9), "mail", mail)?;
    assert_eq!(changes(&world).await?.created, 2);
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_renamed_or_moved_takes_what_lies_in_it_along() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let archive = format!("OU=Archive,{}", company());
    let mut world = listed(false, |config| config.domain.exclude = vec![format!("OU=Archive,{}", company())]).await?;
    unit(&world, &archive)?;
    let unit = unit_of(&person(4)).to_owned();
    let inside = world.dc.ldapsearch(&unit, "(&(objectCategory=person)(objectClass=user))", &["1.1"])?.len() as u64;
    assert!(inside > 1);
    world.dc.rename(&unit, "OU=Renamed", None)?;
    let report = changes(&world).await?;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (0, 0, 0, 0), "{report:?}");
    world.check()?;
    agree(&mut world).await?;

    // Who is deleted now was listed nowhere else since: the new place is known, and its people vouch.
    let gone = world.guid(&login(4))?;
    world.dc.ldapdelete(&world.dn(&login(4))?)?;
    let report = changes(&world).await?;
    assert_eq!((report.removed, report.missing), (1, 0), "{report:?}");
    assert!(world.record(gone)?.is_none());

    let parent = unit_of(&unit);
    let renamed = format!("OU=Renamed,{parent}");
    world.dc.rename(&renamed, "OU=Renamed", Some(&archive))?;
    // More than the guard lets go at once, perhaps: nothing of it is lost either way.
    let report = world.import().await?;
    assert_eq!((report.mode, report.removed + report.parked), (Mode::Delta, inside - 1), "{report:?}");
    world.dc.rename(&format!("OU=Renamed,{archive}"), "OU=Renamed", Some(parent))?;
    let removed = report.removed;
    let report = changes(&world).await?;
    assert_eq!((report.created, report.removed), (removed, 0), "{report:?}");
    world.check()?;
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_large_group_come_and_go_one_event_each() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(false, |_| {}).await?;
    let large = format!("CN=Large Group,OU=Groups,{}", company());
    let empty = format!("CN=Empty\\2C with comma,OU=Groups,{}", company());
    world.dc.delete_value(&large, "member", &person(5))?;
    world.dc.add_value(&large, "member", &person(55))?;
    world.dc.add_value(&empty, "member", &person(55))?;
    let report = changes(&world).await?;
    assert_eq!((report.members_added, report.members_removed, report.updated), (2, 1, 0), "{report:?}");
    world.check()?;
    world.dc.delete_value(&empty, "member", &person(55))?;
    let report = changes(&world).await?;
    assert_eq!((report.members_added, report.members_removed), (0, 1), "{report:?}");
    world.check()?;
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_nested_into_domain_users_ends_no_primary_membership() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(false, |_| {}).await?;
    let domain_users = format!("CN=Domain Users,CN=Users,{BASE}");
    let nested = format!("CN=Nested 3,OU=Groups,{}", company());
    world.dc.add_value(&domain_users, "member", &nested)?;
    let report = changes(&world).await?;
    assert_eq!((report.members_added, report.members_removed), (1, 0), "{report:?}");
    world.check()?;
    world.dc.delete_value(&domain_users, "member", &nested)?;
    let report = changes(&world).await?;
    assert_eq!((report.members_added, report.members_removed), (0, 1), "{report:?}");
    world.check()?;

    // Another primary group: the directory lists who had it as a member of the old one from now on.
    world.dc.add_value(&nested, "member", &person(8))?;
    changes(&world).await?;
    let sid = world.dc.sid_of(&nested)?;
    let (_, rid) = sid.rsplit_once('-').expect("a relative id");
    world.events()?;
    world.dc.replace(&person(8), "primaryGroupID", rid)?;
    changes(&world).await?;
    let events = world.events()?;
    assert_eq!((count(&events, EventType::MemberAdded), count(&events, EventType::MemberRemoved)), (2, 2));
    world.check()?;
    agree(&mut world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_the_name_and_login_of_somebody_deleted_is_another() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    for granted in [true, false] {
        let mut world = listed(granted, |_| {}).await?;
        let left = world.guid(&login(14))?;
        let old = world.user(left);
        world.dc.ldapdelete(&person(14))?;
        let mut ldif = LdifWriter::new();
        let attributes = [
            ("objectClass", "user"),
            ("sAMAccountName", "u00014"),
            ("userPrincipalName", "u00014@corp.example"),
            ("mail", "u00014@corp.example"),
        ];
        ldif.entry(&person(14), attributes);
        world.dc.ldapadd(&ldif.finish())?;
        let report = changes(&world).await?;
        assert_eq!((report.created, report.removed), (1, 1), "granted {granted}: {report:?}");
        assert_ne!(world.user(world.guid(&login(14))?).id, old.id);
        assert!(world.record(left)?.is_none());
        world.check()?;
        agree(&mut world).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_was_put_back_to_an_earlier_state_is_listed_anew() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(true, |_| {}).await?;
    let database = world.dc.directory().join("private");
    let backup = world.dc.directory().join("backup");
    world.dc.stop();
    copy(&database, &backup)?;
    world.dc.start()?;
    world.dc.replace(&person(3), "title", "Manager")?;
    world.dc.create_account("afterwards", PASSWORD)?;
    let report = changes(&world).await?;
    assert_eq!((report.created, report.updated), (1, 1), "{report:?}");
    world.dc.stop();
    std::fs::remove_dir_all(&database)?;
    copy(&backup, &database)?;
    world.dc.start()?;
    let report = world.import_done().await?;
    assert_eq!((report.mode, report.updated), (Mode::Snapshot, 1), "{report:?}");
    world.check_replica()?;
    world.dc.replace(&person(3), "title", "Director")?;
    assert_eq!(changes(&world).await?.updated, 1);
    world.check_replica()
}

/// Copies a folder with owners, rights and extended attributes.
fn copy(from: &std::path::Path, to: &std::path::Path) -> Done {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    assert!(status.success(), "the database was not copied");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_turns_unreadable_is_no_change() -> Done {
    if !ready("deltas") {
        return Ok(());
    }
    let mut world = listed(true, |_| {}).await?;
    let unit = unit_of(&person(2)).to_owned();
    world.dc.deny_read(&unit, &world.reader.sid)?;
    let report = world.import().await?;
    assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0), "{report:?}");
    world.dc.allow_read(&unit, &world.reader.sid)?;
    agree(&mut world).await?;
    world.check()
}

//! First and second imports of a real domain, compared attribute by attribute with what `ldapsearch` reads.

use std::collections::BTreeSet;

use tenantry::model::{EventType, ObjectKind, names};
use tenantry_active_directory::Contacts;
use tenantry_live::{LdifWriter, Population, SambaDc};

use crate::world::{Done, World, count, ready};

const TABLES: [&str; 10] = [
    "probes",
    "objects",
    "facets",
    "observations",
    "containers",
    "records",
    "record_ids",
    "group_members",
    "member_groups",
    "sleeping",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_first_import_of_thousands_is_what_the_directory_says_and_a_second_is_silent() -> Done {
    if !ready("import") {
        return Ok(());
    }
    let population = Population::thousands();
    let dc = SambaDc::populated(population)?;
    // A contact in a group is a member without a record, as long as contacts are not imported.
    let root = population.root_dn(dc.base_dn());
    dc.add_value(&format!("CN=Group 001,OU=Groups,{root}"), "member", &format!("CN=Partner 1,OU=Contacts,{root}"))?;
    let mut world = World::with(dc, |_| {}).await?;
    let report = world.import_done().await?;
    assert!(report.unreadable.is_empty() && report.quarantined == 0, "{report:?}");
    let first = world.events()?;
    world.check()?;
    let kinds = |kind: &str| {
        let told = first.iter().filter(|event| event.event_type == EventType::MemberAdded);
        let of_kind = told.map(tenantry::model::Event::data_value).filter(|data| data["member_kind"] == kind);
        of_kind.collect::<Vec<_>>()
    };
    let foreign: BTreeSet<_> =
        kinds("external").iter().filter_map(|data| Some(data["member_source_id"].as_str()?.to_owned())).collect();
    assert_eq!(foreign, world.independent()?.foreign);
    assert!(kinds("contact").iter().all(|data| data["member"].is_null()) && kinds("contact").len() == 1);
    assert_eq!(kinds("user").len(), kinds("user").iter().filter(|data| data["member"].is_string()).count());

    // Counted a second way: by what the population is made of, and what every domain has.
    let users = world.records(ObjectKind::User)?;
    let built_in = users.values().filter(|user| {
        let name = user.attributes.text(&names::USERNAME).unwrap_or_default();
        !["u0", "awkward", "nofamily", "oddvalues", "inetperson"].iter().any(|start| name.starts_with(start))
    });
    let built_in: BTreeSet<_> = built_in.filter_map(|user| user.attributes.text(&names::USERNAME)).collect();
    assert_eq!(built_in, BTreeSet::from(["Administrator", "dns-dc1", "reader"]));
    assert_eq!(users.len(), population.people() + built_in.len());
    assert_eq!(count(&first, EventType::UserUpserted), users.len());
    let large = world.record(world.guid("(cn=Large Group)")?)?.expect("the large group");
    assert_eq!(world.service.store().members(&world.customer, large.id)?.1, population.large_group as u64);
    let totals = world.service.totals(&world.customer).await?;
    assert_eq!(totals.memberships, world.replica.memberships().len() as u64);
    assert_eq!(report.created, totals.users + totals.groups + totals.computers);
    assert_eq!(report.members_added, totals.memberships);

    let before = object_rows(&world)?;
    world.import_silently().await?;
    assert!(object_rows(&world)? == before, "no object is written anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_come_in_when_they_are_wanted_and_are_members_like_users() -> Done {
    if !ready("import") {
        return Ok(());
    }
    let population = Population::small();
    let dc = SambaDc::populated(population)?;
    let root = population.root_dn(dc.base_dn());
    dc.add_value(&format!("CN=Group 001,OU=Groups,{root}"), "member", &format!("CN=Partner 1,OU=Contacts,{root}"))?;
    let mut world = World::with(dc, |config| config.contacts = Contacts::Imported).await?;
    world.import_done().await?;
    world.check()?;
    let contacts = world.records(ObjectKind::User)?.into_values().filter(|user| {
        serde_json::to_value(user).is_ok_and(|json| json["kind"] == "contact" && json["state"].is_null())
    });
    assert_eq!(contacts.count(), population.contacts);
    world.import_silently().await.map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_links_to_each_other_is_told_by_record() -> Done {
    if !ready("import") {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let (boss, staff) = ("CN=Boss,CN=Users,DC=corp,DC=example", "CN=Staff,CN=Users,DC=corp,DC=example");
    let mut ldif = LdifWriter::new();
    ldif.entry(boss, [("objectClass", "user"), ("sAMAccountName", "boss")]);
    ldif.entry(staff, [("objectClass", "user"), ("sAMAccountName", "staff"), ("manager", boss)]);
    ldif.entry(
        "CN=PC1,CN=Computers,DC=corp,DC=example",
        [("objectClass", "computer"), ("sAMAccountName", "PC1$"), ("managedBy", staff)],
    );
    dc.ldapadd(&ldif.finish())?;
    let mut world = World::with(dc, |_| {}).await?;
    world.import_done().await?;
    let (boss, staff) = (world.guid("(cn=Boss)")?, world.guid("(cn=Staff)")?);
    let computer = world.record(world.guid("(cn=PC1)")?)?.expect("the computer");
    assert_eq!(computer.owner.as_ref().map(|owner| owner.id), Some(world.user(staff).id));
    let json = serde_json::to_value(world.user(staff))?;
    assert_eq!(json["attributes"]["manager"], boss.to_string());
    world.check_replica()?;
    world.import_silently().await.map_err(Into::into)
}

/// Returns every row that holds an object, a record or a membership, as text.
fn object_rows(world: &World) -> rusqlite::Result<Vec<String>> {
    let file = rusqlite::Connection::open_with_flags(world.state_file(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = Vec::new();
    for table in TABLES {
        let mut query = file.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = query.column_count();
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at));
            rows.push(format!("{table} {:?}", values.collect::<rusqlite::Result<Vec<_>>>()?));
        }
    }
    rows.sort_unstable();
    Ok(rows)
}

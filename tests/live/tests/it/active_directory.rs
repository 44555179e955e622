//! The Active Directory connector against a Samba domain controller, compared with what `ldapsearch` reads.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::endpoint::{
    Checkpoint, Endpoint, Evidence, Membership, ObjectRef, Presence, Reason, SnapshotPager, SnapshotStep,
};
use tenantry::gate::Gate;
use tenantry::model::{
    AttributeName, EndpointName, MemberKind, ObjectKey, ObjectKind, Patch, Scope as Part, SourceId, TombstoneKind,
    Value, Via,
};
use tenantry::{Context, EndpointInfo, ErrorKind, Secret};
use tenantry_active_directory::{ActiveDirectory, ActiveDirectoryConfig};
use tenantry_live::{LdapClient, LdifEntry, LdifWriter, Population, SambaDc, Scope, can_run};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const PASSWORD: &str = "Passw0rd!Read1";
/// Names come as `<GUID=…>;<SID=…>;CN=…`.
const EXTENDED_NAMES: &str = "!extendedDn=1";

fn ready() -> bool {
    can_run("active directory", SambaDc::available())
}

fn context() -> Context {
    Context::new(Gate::builder().build(), CancellationToken::new())
}

fn endpoint(dc: &SambaDc, user: &str, change: impl FnOnce(&mut ActiveDirectoryConfig)) -> ActiveDirectory {
    let mut config = ActiveDirectoryConfig::new(dc.ldaps_url(), user, Secret::new(PASSWORD));
    config.domain.ca = Some(dc.ca_pem().as_bytes().to_vec());
    change(&mut config);
    let info = EndpointInfo::new(EndpointName::new("ad").expect("a name"), ActiveDirectory::KIND);
    ActiveDirectory::new(info, config).expect("usable settings")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    objects: BTreeMap<Uuid, Patch>,
    members: BTreeMap<Uuid, BTreeMap<Uuid, MemberKind>>,
    closed: BTreeSet<Part>,
    unreadable: Vec<String>,
    quarantined: usize,
    checkpoints: Vec<Checkpoint>,
}

async fn read(mut pager: Box<dyn SnapshotPager>) -> tenantry::Result<Listing> {
    let mut listing = Listing::default();
    loop {
        let SnapshotStep::Page(page) = pager.next().await? else { return Ok(listing) };
        for patch in page.patches {
            assert!(listing.objects.insert(uuid(&patch.object.id), patch).is_none(), "an object came twice");
        }
        for edges in page.edges {
            let members = listing.members.entry(uuid(&edges.group)).or_default();
            members.extend(edges.members.iter().map(|member| (uuid(&member.id), member.kind)));
        }
        listing.closed.extend(page.closed);
        listing.unreadable.extend(page.unreadable.into_iter().map(|unreadable| unreadable.reason));
        listing.quarantined += page.quarantined.len();
        listing.checkpoints.extend(page.checkpoint);
    }
}

fn uuid(id: &SourceId) -> Uuid {
    let SourceId::Guid(guid) = id else { panic!("{id:?} is no GUID") };
    *guid
}

fn guid_of(entry: &LdifEntry) -> Uuid {
    let bytes = entry.values("objectGUID").next().expect("every object has an id");
    Uuid::from_bytes_le(bytes.try_into().expect("16 bytes"))
}

/// Takes the GUID out of an extended name.
fn guid_in(name: &str) -> Uuid {
    let (_, rest) = name.split_once("<GUID=").expect("an extended name");
    Uuid::try_parse(rest.split_once('>').expect("a closing bracket").0).expect("a GUID")
}

fn text(patch: &Patch, name: &str) -> Option<String> {
    patch.attributes.text(&AttributeName::parse(name)).map(str::to_owned)
}

fn object(kind: ObjectKind, guid: Uuid) -> ObjectRef {
    ObjectRef { key: ObjectKey { kind, id: SourceId::Guid(guid) }, container: None }
}

/// Compares attributes that are taken over as they are.
fn compare(listing: &Listing, entry: &LdifEntry, pairs: &[(&str, &str)]) {
    let patch = &listing.objects[&guid_of(entry)];
    for (name, source) in pairs {
        let known = patch.attributes.get(&AttributeName::parse(name));
        let expected = entry.text(source);
        assert_eq!(known, Some(&Value::text(expected)), "{name} of {}", entry.dn);
    }
}

fn search(client: &LdapClient, base: &str, filter: &str, attributes: &[&str]) -> tenantry_live::Result<Vec<LdifEntry>> {
    client.search_with(&[EXTENDED_NAMES], Scope::Subtree, base, filter, attributes)
}

const PEOPLE: &str = "(&(objectCategory=person)(objectClass=user)(!(sAMAccountName=krbtgt))(!(sAMAccountName=Guest)))";

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_thousands_equals_what_ldapsearch_reads() -> Outcome {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::populated(Population::thousands())?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let cx = context();
    let listing = read(endpoint(&dc, &reader.upn, |_| {}).snapshot(&cx, None).await?).await?;
    let client = dc.client(&reader.upn, &reader.password);
    let root = dc.base_dn();
    let people = client.search(root, PEOPLE, &["*"])?;
    let of_kind = |kind| listing.objects.values().filter(|patch| patch.object.kind == kind).count();
    assert_eq!(of_kind(ObjectKind::User), people.len());
    for person in &people {
        compare(
            &listing,
            person,
            &[
                ("username", "sAMAccountName"),
                ("first_name", "givenName"),
                ("last_name", "sn"),
                ("display_name", "displayName"),
                ("attributes.user_principal_name", "userPrincipalName"),
                ("attributes.department", "department"),
                ("attributes.title", "title"),
                ("attributes.employee_id", "employeeID"),
                ("attributes.telephone", "telephoneNumber"),
                ("attributes.city", "l"),
                ("attributes.description", "description"),
            ],
        );
        let patch = &listing.objects[&guid_of(person)];
        let flags: i64 = person.text("userAccountControl").unwrap_or("0").parse()?;
        let state = if flags & 2 == 0 { "active" } else { "suspended" };
        assert_eq!(text(patch, "state").as_deref(), Some(state), "{}", person.dn);
        if person.text("proxyAddresses").is_none() {
            assert_eq!(text(patch, "primary_email").as_deref(), person.text("mail"));
        }
        assert!(patch.primary_group.is_some() && patch.container.is_some());
    }
    let groups = search(
        &client,
        root,
        "(&(objectCategory=group)(!(groupType:1.2.840.113556.1.4.803:=1)))",
        &["objectGUID", "member", "cn", "mail", "description"],
    )?;
    assert_eq!(of_kind(ObjectKind::Group), groups.len());
    for group in &groups {
        compare(&listing, group, &[("name", "cn"), ("email", "mail"), ("description", "description")]);
        let guid = guid_of(group);
        let expected: BTreeSet<_> = group.texts("member").iter().map(|name| guid_in(name)).collect();
        let known: BTreeSet<_> = listing.members.get(&guid).into_iter().flat_map(BTreeMap::keys).copied().collect();
        assert_eq!(known, expected, "members of {}", group.dn);
        assert!(listing.closed.contains(&Part::Members(SourceId::Guid(guid), Via::Explicit)), "{}", group.dn);
    }
    let foreign = listing.members.values().flat_map(BTreeMap::values).filter(|kind| **kind == MemberKind::External);
    assert!(foreign.count() > 0, "the foreign principal is told as such");
    let managed = "(objectClass=msDS-GroupManagedServiceAccount)(objectClass=msDS-ManagedServiceAccount)";
    let computers = client.search(root, &format!("(&(objectCategory=computer)(!(|{managed})))"), &["*"])?;
    assert_eq!(of_kind(ObjectKind::Computer), computers.len());
    for computer in &computers {
        compare(&listing, computer, &[("name", "cn"), ("os", "operatingSystem"), ("dns_name", "dNSHostName")]);
    }
    assert!([Part::Users, Part::Groups, Part::Computers].iter().all(|part| listing.closed.contains(part)));
    assert!(listing.unreadable.is_empty() && listing.quarantined == 0, "{:?}", listing.unreadable);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_in_small_slices_goes_on_behind_its_checkpoints() -> Outcome {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::populated(Population::small())?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let cx = context();
    let endpoint = endpoint(&dc, &reader.upn, |config| config.domain.page_size = 10);
    let whole = read(endpoint.snapshot(&cx, None).await?).await?;
    assert!(whole.checkpoints.len() > 10);
    for at in [0, whole.checkpoints.len() / 2, whole.checkpoints.len() - 1] {
        let rest = read(endpoint.snapshot(&cx, Some(&whole.checkpoints[at])).await?).await?;
        assert!(rest.objects.iter().all(|(guid, patch)| whole.objects[guid] == *patch));
        assert_eq!(rest.checkpoints, whole.checkpoints[at + 1..]);
        assert!(at > 0 || rest.objects.len() > whole.objects.len() / 2);
    }
    let ids = read(endpoint.id_listing(&cx).await?).await?;
    assert!(ids.objects.keys().eq(whole.objects.keys()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn looked_up_objects_are_there_moved_gone_or_not_to_be_told() -> Outcome {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let (inside, outside) = (format!("OU=Inside,{}", dc.base_dn()), format!("OU=Outside,{}", dc.base_dn()));
    let veiled = format!("OU=Veiled,{inside}");
    let mut ldif = LdifWriter::new();
    for unit in [&inside, &outside, &veiled] {
        ldif.entry(unit, [("objectClass", "organizationalUnit")]);
    }
    for (name, unit) in [("here", &inside), ("moved", &outside), ("gone", &inside), ("hidden", &veiled)] {
        ldif.entry(&format!("CN={name},{unit}"), [("objectClass", "user"), ("sAMAccountName", name)]);
    }
    let group = format!("CN=Team,{inside}");
    let mut members = vec![("objectClass", "group".to_owned()), ("sAMAccountName", "team".to_owned())];
    members.push(("member", format!("CN=here,{inside}")));
    ldif.entry(&group, members.iter().map(|(name, value)| (*name, value.as_str())));
    dc.ldapadd(&ldif.finish())?;
    let find = |name: &str| -> tenantry_live::Result<Uuid> {
        Ok(guid_of(&dc.ldapsearch(dc.base_dn(), &format!("(cn={name})"), &["objectGUID"])?[0]))
    };
    let guids = [find("here")?, find("moved")?, find("gone")?, find("hidden")?];
    let team = find("Team")?;
    let asked = guids.map(|guid| object(ObjectKind::User, guid));
    let cx = context();
    let endpoint = endpoint(&dc, &reader.upn, |config| config.domain.base = Some(inside.clone()));
    let before = endpoint.coverage(&cx).await?;
    assert!(!before.rights.contains("read deleted objects") && before.rights.contains("read members of groups"));

    dc.ldapdelete(&format!("CN=gone,{inside}"))?;
    dc.deny_read(&veiled, &reader.sid)?;
    let without_right = endpoint.lookup(&cx, &asked).await?;
    assert!(matches!(&without_right[0], Presence::Present(Some(patch)) if patch.object == asked[0].key));
    assert_eq!(without_right[1], Presence::OutOfScope);
    assert_eq!(without_right[2], Presence::Gone(Evidence::NotFound));
    assert_eq!(without_right[3], Presence::Gone(Evidence::NotFound), "siblings tell that this proves nothing");

    dc.grant_deleted_objects(&reader.sid)?;
    let with_right = endpoint.lookup(&cx, &asked).await?;
    assert_eq!(with_right[2], Presence::Gone(Evidence::Tombstone(TombstoneKind::Hard)));
    assert_eq!(with_right[3], Presence::Unknown(Reason::NoTombstone));
    assert!(endpoint.coverage(&cx).await?.rights.contains("read deleted objects"));

    let members = [guids[0], guids[1]].map(SourceId::Guid);
    let answer = endpoint.check_members(&cx, &object(ObjectKind::Group, team), &members).await?;
    assert_eq!(answer, [Membership::Member, Membership::NotMember]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_it_is_and_a_wrong_password_is_tried_once() -> Outcome {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let reader = dc.create_account("reader", PASSWORD)?;
    dc.set_lockout_threshold(2)?;
    let cx = context();
    let verification = endpoint(&dc, &reader.upn, |_| {}).verify(&cx).await?;
    assert!(verification.server.contains("domain controller, functional level 4"), "{}", verification.server);
    assert!(verification.estimate.users.is_some_and(|users| users >= 2));
    let wrong = endpoint(&dc, &reader.upn, |config| config.domain.password = Secret::new("wrong"));
    for _ in 0..5 {
        assert!(wrong.snapshot(&cx, None).await.is_err_and(|error| *error.kind() == ErrorKind::Unauthenticated));
    }
    assert_eq!(dc.client(&reader.upn, PASSWORD).bind()?.code, 0, "the account is not locked out");
    Ok(())
}

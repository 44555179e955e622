//! Changes by DirSync from a Samba domain controller: laid over a listing, they are what a fresh listing gives.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::endpoint::{Cursor, DeltaPage, DeltaStep, Endpoint, SnapshotStep};
use tenantry::gate::Gate;
use tenantry::model::{EndpointName, Patch, Scope, SourceId};
use tenantry::{Context, EndpointInfo};
use tenantry_active_directory::{ActiveDirectory, ActiveDirectoryConfig, DeltaMethod};
use tenantry_live::{Account, Domain, LdifWriter, Population, SambaDc, Setup};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{Done, PASSWORD, ready, settings};

const COMPANY: Population = Population::small();
const BASE: &str = "DC=corp,DC=example";
const REPLICATE: &str = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2";

fn person(number: usize) -> String {
    COMPANY.user_dn(number, BASE)
}

fn context() -> Context {
    Context::new(Gate::builder().build(), CancellationToken::new())
}

fn endpoint(dc: &SambaDc, user: &str, change: impl FnOnce(&mut ActiveDirectoryConfig)) -> ActiveDirectory {
    let mut config = settings(dc, user);
    config.domain.delta = DeltaMethod::DirSync;
    change(&mut config);
    let info = EndpointInfo::new(EndpointName::new("ad").expect("a name"), ActiveDirectory::KIND);
    ActiveDirectory::new(info, config).expect("usable settings")
}

/// Lets an account read all changes, as an administrator delegates it.
fn grant_replication(dc: &SambaDc, account: &Account) -> tenantry_live::Result<()> {
    let sddl = format!("(OA;;CR;{REPLICATE};;{})", account.sid);
    dc.samba_tool(&["dsacl", "set", "--objectdn", dc.base_dn(), "--sddl", &sddl]).map(drop)
}

fn uuid(id: &SourceId) -> Uuid {
    let SourceId::Guid(guid) = id else { panic!("{id:?} is no GUID") };
    *guid
}

/// What is known after a listing and the deltas behind it.
#[derive(Debug)]
struct Known {
    objects: BTreeMap<Uuid, Patch>,
    members: BTreeMap<Uuid, BTreeSet<Uuid>>,
    cursor: Cursor,
}

impl Known {
    async fn listed(endpoint: &ActiveDirectory) -> tenantry::Result<Self> {
        let mut pager = endpoint.snapshot(&context(), None).await?;
        let (mut objects, mut members) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
        loop {
            match pager.next().await? {
                SnapshotStep::Page(page) => {
                    objects.extend(page.patches.into_iter().map(|patch| (uuid(&patch.object.id), patch)));
                    for edges in page.edges {
                        let of_group = members.entry(uuid(&edges.group)).or_default();
                        of_group.extend(edges.members.iter().map(|member| uuid(&member.id)));
                    }
                }
                SnapshotStep::End { cursor } => {
                    return Ok(Self { objects, members, cursor: cursor.expect("a listing ends with a cursor") });
                }
            }
        }
    }

    /// Lays a delta over what is known; returns its pages.
    async fn follow(&mut self, endpoint: &ActiveDirectory) -> tenantry::Result<Vec<DeltaPage>> {
        let mut pager = endpoint.as_delta().expect("deltas are on").delta(&context(), &self.cursor).await?;
        let mut pages = Vec::new();
        loop {
            match pager.next().await? {
                DeltaStep::Page(page) => pages.push(page),
                DeltaStep::CaughtUp(cursor) => {
                    self.cursor = cursor;
                    break;
                }
                DeltaStep::CursorExpired => panic!("the cursor is good"),
            }
        }
        for scope in pages.iter().flat_map(|page| &page.closed) {
            let Scope::Members(group, _) = scope else { panic!("a delta closed {scope}") };
            self.members.remove(&uuid(group));
        }
        for page in &pages {
            assert!(page.unreadable.is_empty() && page.quarantined.is_empty(), "{page:?}");
            self.objects.extend(page.patches.iter().map(|patch| (uuid(&patch.object.id), patch.clone())));
            for edges in &page.edges_added {
                let members = self.members.entry(uuid(&edges.group)).or_default();
                members.extend(edges.members.iter().map(|member| uuid(&member.id)));
            }
            for edges in &page.edges_removed {
                let members = self.members.entry(uuid(&edges.group)).or_default();
                for member in &edges.members {
                    members.remove(&uuid(&member.id));
                }
            }
            for gone in page.tombstones.iter().map(|tombstone| uuid(&tombstone.object.id)) {
                self.forget(gone);
                for members in self.members.values_mut() {
                    members.remove(&gone);
                }
            }
            for object in &page.out_of_scope {
                self.forget(uuid(&object.id));
            }
        }
        self.members.retain(|_, members| !members.is_empty());
        Ok(pages)
    }

    fn forget(&mut self, gone: Uuid) {
        self.objects.remove(&gone);
        self.members.remove(&gone);
    }

    /// Compares with a fresh listing.
    async fn check(&self, endpoint: &ActiveDirectory) -> tenantry::Result<()> {
        let fresh = Self::listed(endpoint).await?;
        assert!(self.objects.keys().eq(fresh.objects.keys()), "{:?}", difference(self, &fresh));
        for (guid, patch) in &fresh.objects {
            let mut known = self.objects[guid].clone();
            // Not replicated at once, and compared by nobody.
            known.observations = patch.observations.clone();
            assert_eq!(known, *patch);
        }
        assert_eq!(self.members, fresh.members);
        Ok(())
    }
}

fn difference(known: &Known, fresh: &Known) -> [Vec<Uuid>; 2] {
    let lacks =
        |one: &Known, other: &Known| one.objects.keys().filter(|id| !other.objects.contains_key(id)).copied().collect();
    [lacks(known, fresh), lacks(fresh, known)]
}

async fn expired(endpoint: &ActiveDirectory, cursor: &Cursor) -> tenantry::Result<bool> {
    let mut pager = endpoint.as_delta().expect("deltas are on").delta(&context(), cursor).await?;
    Ok(matches!(pager.next().await?, DeltaStep::CursorExpired))
}

/// Everything that an administrator does in a week, a delta after each.
async fn live_through(dc: &SambaDc, endpoint: &ActiveDirectory) -> Done {
    let mut known = Known::listed(endpoint).await?;
    assert!(known.follow(endpoint).await?.iter().all(|page| page.patches.is_empty()), "nothing has changed");
    let company = COMPANY.root_dn(BASE);
    let team = format!("CN=Delta Team,{company}");
    let mut ldif = LdifWriter::new();
    ldif.entry(&format!("OU=Delta,{company}"), [("objectClass", "organizationalUnit")]);
    let new = format!("CN=Delta New,OU=Delta,{company}");
    ldif.entry(&new, [("objectClass", "user"), ("sAMAccountName", "deltanew"), ("title", "Assistant")]);
    ldif.entry(&team, [("objectClass", "group"), ("sAMAccountName", "deltateam"), ("member", new.as_str())]);
    dc.ldapadd(&ldif.finish())?;
    let pages = known.follow(endpoint).await?;
    assert_eq!(pages.iter().map(|page| page.patches.len()).sum::<usize>(), 2);
    known.check(endpoint).await?;

    dc.clear(&new, "title")?;
    dc.replace(&person(5), "userAccountControl", "514")?;
    dc.replace(&person(6), "description", "was changed")?;
    dc.add_value(&team, "member", &person(5))?;
    dc.add_value(&team, "member", &person(6))?;
    dc.delete_value(&team, "member", &new)?;
    let pages = known.follow(endpoint).await?;
    let sum = |edges: fn(&DeltaPage) -> &Vec<tenantry::model::Edges>| {
        pages.iter().flat_map(edges).map(|edges| edges.members.len()).sum::<usize>()
    };
    assert_eq!((sum(|page| &page.edges_added), sum(|page| &page.edges_removed)), (2, 1), "single members");
    known.check(endpoint).await?;

    dc.rename(&format!("OU=Delta,{company}"), "OU=Delta Renamed", None)?;
    let unit = format!("OU=Delta Renamed,{company}");
    dc.rename(&person(7), "CN=Moved", Some(&unit))?;
    known.follow(endpoint).await?;
    known.check(endpoint).await?;

    dc.delete_value(&team, "member", &person(6))?;
    dc.ldapdelete(&person(6))?;
    dc.ldapdelete(&person(5))?;
    let pages = known.follow(endpoint).await?;
    assert_eq!(pages.iter().map(|page| page.tombstones.len()).sum::<usize>(), 2);
    known.check(endpoint).await?;

    dc.ldapdelete(&team)?;
    let back = format!("CN=Back,{unit}");
    known.follow(endpoint).await?;
    dc.undelete("u00005", &back)?;
    known.follow(endpoint).await?;
    known.check(endpoint).await?;
    assert!(known.follow(endpoint).await?.iter().all(|page| page.patches.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_by_the_right_to_replicate_give_what_a_fresh_listing_gives() -> Done {
    if !ready("dirsync") {
        return Ok(());
    }
    let dc = SambaDc::populated(COMPANY)?;
    let reader = dc.create_account("reader", PASSWORD)?;
    grant_replication(&dc, &reader)?;
    dc.grant_deleted_objects(&reader.sid)?;
    let endpoint = endpoint(&dc, &reader.upn, |_| {});
    let check = endpoint.verify(&context()).await?;
    assert!(check.rights.iter().any(|right| right.name == "Replicating Directory Changes" && right.granted));
    live_through(&dc, &endpoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_of_what_the_account_may_read_give_what_a_fresh_listing_gives() -> Done {
    if !ready("dirsync") {
        return Ok(());
    }
    let dc = SambaDc::populated(COMPANY)?;
    let reader = dc.create_account("reader", PASSWORD)?;
    dc.grant_deleted_objects(&reader.sid)?;
    let endpoint = endpoint(&dc, &reader.upn, |_| {});
    let check = endpoint.verify(&context()).await?;
    assert!(check.rights.iter().any(|right| right.name == "Replicating Directory Changes" && !right.granted));
    live_through(&dc, &endpoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_base_filter_and_exclusion_comes_and_goes() -> Done {
    if !ready("dirsync") {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let reader = dc.create_account("reader", PASSWORD)?;
    dc.grant_deleted_objects(&reader.sid)?;
    let (inside, outside) = (format!("OU=Inside,{BASE}"), format!("OU=Outside,{BASE}"));
    let (old, unit) = (format!("OU=Old,{inside}"), format!("OU=Unit,{inside}"));
    let mut ldif = LdifWriter::new();
    for unit in [&inside, &outside, &old, &unit] {
        ldif.entry(unit, [("objectClass", "organizationalUnit")]);
    }
    for name in ["one", "two", "three", "four"] {
        let user = [("objectClass", "user"), ("sAMAccountName", name), ("department", "Sales")];
        ldif.entry(&format!("CN={name},{unit}"), user);
    }
    let one = format!("CN=one,{unit}");
    ldif.entry(&format!("CN=Team,{unit}"), [("objectClass", "group"), ("sAMAccountName", "team"), ("member", &one)]);
    dc.ldapadd(&ldif.finish())?;
    let endpoint = endpoint(&dc, &reader.upn, |config| {
        config.domain.base = Some(inside.clone());
        config.domain.exclude = vec![old.clone()];
        config.domain.users = Some("(department=*)".into());
    });
    let mut known = Known::listed(&endpoint).await?;
    assert_eq!((known.objects.len(), known.members.len()), (5, 1));
    dc.rename(&one, "CN=one", Some(&outside))?;
    dc.rename(&format!("CN=two,{unit}"), "CN=two", Some(&old))?;
    dc.clear(&format!("CN=three,{unit}"), "department")?;
    let pages = known.follow(&endpoint).await?;
    assert_eq!(pages.iter().map(|page| page.out_of_scope.len()).sum::<usize>(), 3);
    known.check(&endpoint).await?;
    dc.rename(&unit, "OU=Unit", Some(&outside))?;
    known.follow(&endpoint).await?;
    assert!(known.objects.is_empty());
    known.check(&endpoint).await?;
    dc.rename(&format!("OU=Unit,{outside}"), "OU=Unit", Some(&inside))?;
    known.follow(&endpoint).await?;
    assert_eq!((known.objects.len(), known.members.len()), (2, 1), "with members that never changed");
    known.check(&endpoint).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_outlives_a_restart_and_neither_another_domain_nor_damage() -> Done {
    if !ready("dirsync") {
        return Ok(());
    }
    let mut dc = SambaDc::provision()?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let first = endpoint(&dc, &reader.upn, |_| {});
    let mut known = Known::listed(&first).await?;
    dc.stop();
    dc.start()?;
    dc.replace(&reader.dn, "title", "Reader")?;
    let again = endpoint(&dc, &reader.upn, |_| {});
    known.follow(&again).await?;
    known.check(&again).await?;

    let other = SambaDc::start_with(&Setup { domain: Domain::Second, ..Setup::default() })?;
    let elsewhere = other.create_account("reader", PASSWORD)?;
    assert!(expired(&endpoint(&other, &elsewhere.upn, |_| {}), &known.cursor).await?);
    let mut cursor: serde_json::Value = serde_json::from_slice(known.cursor.bytes())?;
    cursor["dir-sync"]["cookie"] = serde_json::json!([1, 2, 3]);
    let damaged = Cursor::new(known.cursor.version(), serde_json::to_vec(&cursor)?);
    dc.replace(&reader.dn, "title", "Reader again")?;
    assert!(expired(&again, &damaged).await?, "the server refuses the cookie itself");
    assert!(!expired(&again, &known.cursor).await?);
    Ok(())
}

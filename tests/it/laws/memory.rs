//! Law 14: peak memory is a base plus at most 32 bytes per object, whatever the page sizes and group sizes.
//!
//! Children import computed directories, and read the peak of their memory.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Endpoint, EndpointInfo, Evidence, Membership, ObjectRef, Presence, SnapshotPage,
    SnapshotPager, SnapshotStep, Verification,
};
use tenantry::model::{
    CustomerId, Edges, EndpointName, GroupKind, Member, MemberKind, ObjectKind, Outcome, Patch, Scope, SourceId, Via,
    names,
};
use tenantry::{Customer, ImportOptions, Result, Service, SqliteStore};
use uuid::Uuid;

use crate::world::folder;

const CHILD: &str = "laws::memory::child";
const SHAPE: &str = "TENANTRY_MEMORY_SHAPE";
/// What an object may take.
const BYTES_AN_OBJECT: u64 = 32;
/// Two sizes: the caches of the store are full at the smaller one, so that what lies between is the objects' own.
const SIZES: [u64; 2] = [150_000, 350_000];
/// By how much the peak of one and the same import differs from time to time.
const NOISE: u64 = 512 << 10;

/// Users and one group of all of them, in pages.
#[derive(Debug, Clone, Copy)]
struct Shape {
    users: u64,
    page: u64,
    members: u64,
    /// How many directories show the same people, by ids of their own: all but the first join.
    places: u64,
}

/// A directory that is computed, not kept.
#[derive(Debug)]
struct Computed {
    info: EndpointInfo,
    shape: Shape,
    place: u64,
}

struct Pager {
    shape: Shape,
    place: u64,
    at: u64,
    member: u64,
}

/// Mixes a number into an id as random as a directory's.
fn id(place: u64, number: u64) -> SourceId {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ place << 20);
    SourceId::Guid(Uuid::from_u64_pair(mixed ^ mixed >> 29, number ^ place << 40))
}

#[async_trait]
impl SnapshotPager for Pager {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let Shape { users, page: size, members, places } = self.shape;
        let mut page = SnapshotPage::default();
        let id = |number| id(self.place, number);
        let group = id(u64::MAX - 1);
        if self.at == 0 && self.member == 0 && members > 0 {
            let patch = Patch::new(ObjectKind::Group, group.clone());
            page.patches.push(patch.with(names::KIND, GroupKind::Security).with(names::NAME, "Everybody"));
        }
        if self.member < members {
            let until = (self.member + size).min(members);
            let list = (self.member..until).map(|number| Member { id: id(number), kind: MemberKind::User }).collect();
            page.edges.push(Edges { group: group.clone(), via: Via::Explicit, members: list });
            self.member = until;
            if until == members {
                page.closed.push(Scope::Members(group, Via::Explicit));
            }
        } else if self.at < users {
            let until = (self.at + size).min(users);
            for number in self.at..until {
                let mut patch = Patch::new(ObjectKind::User, id(number)).in_container("people");
                if places > 1 {
                    patch = patch.anchored("object-guid", number.to_string());
                }
                page.patches.push(
                    patch
                        .with(names::FIRST_NAME, format!("First{}", number % 300))
                        .with(names::LAST_NAME, format!("Last{number}"))
                        .with(names::PRIMARY_EMAIL, format!("user{number}@corp.example")),
                );
            }
            self.at = until;
            if until == users {
                page.closed.extend([Scope::Users, Scope::Groups, Scope::Computers]);
            }
        } else {
            return Ok(SnapshotStep::End { cursor: None });
        }
        page.checkpoint = Some(Checkpoint::new(1, self.at.to_be_bytes()));
        Ok(SnapshotStep::Page(page))
    }
}

#[async_trait]
impl Endpoint for Computed {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, _cx: &Context) -> Result<CoverageInfo> {
        Ok(CoverageInfo::new(self.info.name.as_str(), 1))
    }

    async fn verify(&self, _cx: &Context) -> Result<Verification> {
        Ok(Verification::default())
    }

    async fn snapshot(&self, _cx: &Context, _from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(Pager { shape: self.shape, place: self.place, at: 0, member: 0 }))
    }

    async fn lookup(&self, _cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        Ok(vec![Presence::Gone(Evidence::NotFound); ids.len()])
    }

    async fn check_members(&self, _cx: &Context, _group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        Ok(vec![Membership::NotMember; members.len()])
    }
}

/// Imports computed directories, each twice, and prints the peak of its memory.
#[tokio::test]
async fn child() {
    let Ok(shape) = std::env::var(SHAPE) else { return };
    let numbers: Vec<u64> = shape.split(' ').map(|number| number.parse().unwrap()).collect();
    let shape = Shape { users: numbers[0], page: numbers[1], members: numbers[2], places: numbers[3] };
    let folder = folder();
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()));
    let customer = CustomerId::new("c1").unwrap();
    let name = |place: u64| EndpointName::new(format!("computed-{place}")).unwrap();
    let endpoint = |place| {
        Arc::new(Computed { info: EndpointInfo::new(name(place), "computed"), shape, place }) as Arc<dyn Endpoint>
    };
    service.register(Customer::new(customer.clone()), (0..shape.places).map(endpoint).collect()).await.unwrap();
    for place in 0..shape.places {
        for first in [true, false] {
            let report = service.import(&customer, &name(place), ImportOptions::default()).await.unwrap();
            assert_eq!(report.outcome, Outcome::Done, "{report:?}");
            let (created, begun) = (u64::from(shape.members > 0) + shape.users, shape.members);
            assert_eq!((report.created, report.members_added), if first { (created, begun) } else { (0, 0) });
        }
    }
    let totals = service.totals(&customer).await.unwrap();
    assert_eq!(totals.users, shape.users);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("\npeak {}", line.trim().trim_end_matches(" kB"));
}

fn peak(shape: Shape) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let Shape { users, page, members, places } = shape;
    command
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(SHAPE, format!("{users} {page} {members} {places}"))
        // One arena: what threads allocate and give back is not multiplied by their number.
        .env("MALLOC_ARENA_MAX", "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("peak ")).unwrap_or_else(|| panic!("{text}"));
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// Holds the peak of an import against the law.
fn holds(what: &str, page: u64, members: bool, places: u64) {
    if !std::path::Path::new("/proc/self/status").exists() {
        println!("skipped: there is no /proc to read the peak from");
        return;
    }
    let [base, peak] = SIZES.map(|users| peak(Shape { users, page, members: if members { users } else { 0 }, places }));
    let allowed = base + (SIZES[1] - SIZES[0]) * BYTES_AN_OBJECT + NOISE;
    let line = format!(
        "law 14: {what}: {} kB for {} users, {} kB for {}, at most {} kB\n",
        base >> 10,
        SIZES[0],
        peak >> 10,
        SIZES[1],
        allowed >> 10
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(peak <= allowed, "{line}");
}

#[test]
fn law_14_peak_memory_is_a_base_and_32_bytes_an_object() {
    holds("pages of 1000", 1000, false, 1);
}

#[test]
fn law_14_peak_memory_is_a_base_and_32_bytes_an_object_also_in_small_pages() {
    holds("pages of 100", 100, false, 1);
}

#[test]
fn law_14_peak_memory_is_a_base_and_32_bytes_an_object_also_in_one_group_of_all() {
    holds("one group of all", 1000, true, 1);
}

#[test]
fn law_14_peak_memory_is_a_base_and_32_bytes_an_object_also_where_everybody_joins() {
    holds("two directories of the same people", 1000, true, 2);
}

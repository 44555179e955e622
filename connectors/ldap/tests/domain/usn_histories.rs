//! Random histories of a domain: what the deltas leave is what a fresh listing gives, and what the domain itself holds.

#![allow(clippy::unwrap_used, reason = "a test with helpers of its own")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tenantry::endpoint::Endpoint;
use tenantry::model::{ObjectKind, SourceId};
use tenantry_fakes::ldap::{ComputerKind, Directory, Fault, Guid, Settings, When};

use crate::domain::{OLD, OUTSIDE, PEOPLE, ROOT, context, id, running, start_with};
use crate::known::{Follower, Known, follow};
use crate::view;

/// Places by number: in the base, in it but excluded, outside. The first two lie in units that move.
const PLACES: [&str; 5] = ["ou=a", "ou=b", PEOPLE, OLD, OUTSIDE];

/// One change of the domain; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Change {
    AddUser { place: usize, matching: bool },
    AddGroup { place: usize },
    AddComputer { place: usize },
    Title { object: usize, value: u8 },
    Match { object: usize, matching: bool },
    Enrol { object: usize, how: u8 },
    Rename { object: usize },
    Move { object: usize, place: usize },
    Delete { object: usize },
    Join { group: usize, object: usize },
    Leave { group: usize, object: usize },
    Primary { object: usize, group: usize },
    MoveUnit { unit: usize, place: usize },
    RenameUnit { unit: usize },
    Restore,
    Sync,
}

fn change() -> impl Strategy<Value = Change> {
    let one = || 0..1000_usize;
    prop_oneof![
        4 => (one(), any::<bool>()).prop_map(|(place, matching)| Change::AddUser { place, matching }),
        2 => one().prop_map(|place| Change::AddGroup { place }),
        1 => one().prop_map(|place| Change::AddComputer { place }),
        3 => (one(), any::<u8>()).prop_map(|(object, value)| Change::Title { object, value }),
        3 => (one(), any::<bool>()).prop_map(|(object, matching)| Change::Match { object, matching }),
        3 => (one(), any::<u8>()).prop_map(|(object, how)| Change::Enrol { object, how }),
        2 => one().prop_map(|object| Change::Rename { object }),
        4 => (one(), one()).prop_map(|(object, place)| Change::Move { object, place }),
        3 => one().prop_map(|object| Change::Delete { object }),
        5 => (one(), one()).prop_map(|(group, object)| Change::Join { group, object }),
        2 => (one(), one()).prop_map(|(group, object)| Change::Leave { group, object }),
        1 => (one(), one()).prop_map(|(object, group)| Change::Primary { object, group }),
        3 => (one(), one()).prop_map(|(unit, place)| Change::MoveUnit { unit, place }),
        2 => one().prop_map(|unit| Change::RenameUnit { unit }),
        1 => Just(Change::Restore),
        5 => Just(Change::Sync),
    ]
}

/// A domain that changes, and everything that was ever in it.
struct World {
    directory: Directory,
    objects: Vec<(Guid, ObjectKind)>,
    units: [Guid; 2],
    names: usize,
}

impl World {
    fn new(bin: bool) -> Self {
        let directory = running();
        directory.set_recycle_bin(bin);
        directory.rights("reader").read_deleted(true);
        directory.add_ou(OLD);
        directory.add_ou(OUTSIDE);
        let units = ["a", "b"].map(|name| directory.add_ou(&format!("OU={name},{PEOPLE}")));
        let mut world = Self { directory, objects: Vec::new(), units, names: 0 };
        for number in 0..4 {
            world.apply(&Change::AddUser { place: number, matching: true });
            world.apply(&Change::AddGroup { place: number });
        }
        world
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn place(&self, number: usize) -> String {
        match number % PLACES.len() {
            unit @ (0 | 1) => self.directory.dn_of(self.units[unit]),
            place => PLACES[place].to_owned(),
        }
    }

    fn living(&self, kind: Option<ObjectKind>) -> Vec<Guid> {
        let wanted = |object: &&(Guid, ObjectKind)| kind.is_none_or(|kind| object.1 == kind);
        let all = self.objects.iter().filter(wanted).map(|(guid, _)| *guid);
        all.filter(|guid| self.directory.exists(*guid)).collect()
    }

    fn pick(&self, kind: Option<ObjectKind>, number: usize) -> Option<Guid> {
        let living = self.living(kind);
        living.get(number.checked_rem(living.len())?).copied()
    }

    fn apply(&mut self, change: &Change) {
        let directory = self.directory.clone();
        match *change {
            Change::AddUser { place, matching } => {
                let name = self.name("user");
                let builder = directory.add_user(&self.place(place), &name);
                let user = if matching { builder.attribute("department", "Sales") } else { builder }.create();
                view::enrol(&directory, user, 0);
                self.objects.push((user, ObjectKind::User));
            }
            Change::AddGroup { place } => {
                let name = self.name("group");
                let group = directory.add_group(&self.place(place), &name).create();
                view::enrol(&directory, group, 0);
                self.objects.push((group, ObjectKind::Group));
            }
            Change::AddComputer { place } => {
                let name = self.name("pc");
                let computer = directory.add_computer(&self.place(place), &name, ComputerKind::Workstation).create();
                self.objects.push((computer, ObjectKind::Computer));
            }
            Change::Title { object, value } => {
                let Some(object) = self.pick(None, object) else { return };
                directory.set(object, "description", [value.to_string()]);
            }
            Change::Match { object, matching } => {
                let Some(object) = self.pick(Some(ObjectKind::User), object) else { return };
                if matching {
                    directory.set(object, "department", ["Sales"]);
                } else {
                    directory.clear(object, "department");
                }
            }
            Change::Enrol { object, how } => {
                let Some(object) = self.pick(None, object) else { return };
                view::enrol(&directory, object, how);
            }
            Change::Rename { object } => {
                let name = self.name("renamed");
                let Some(object) = self.pick(None, object) else { return };
                directory.rename(object, &name);
            }
            Change::Move { object, place } => {
                let Some(object) = self.pick(None, object) else { return };
                directory.move_to(object, &self.place(place));
            }
            Change::Delete { object } => {
                let Some(object) = self.pick(None, object) else { return };
                // No domain lets a group go that is somebody's primary one.
                let rid = directory.sid_of(object).and_then(|sid| sid.rid()).unwrap().to_string();
                let is_primary = |user: &Guid| directory.get(*user, "primaryGroupID") == [rid.clone()];
                if !self.living(Some(ObjectKind::User)).iter().any(is_primary) {
                    directory.delete(object);
                }
            }
            Change::Join { group, object } => {
                let (Some(group), Some(object)) = (self.pick(Some(ObjectKind::Group), group), self.pick(None, object))
                else {
                    return;
                };
                directory.add_member(group, object);
            }
            Change::Leave { group, object } => {
                let Some(group) = self.pick(Some(ObjectKind::Group), group) else { return };
                let members = directory.get(group, "member");
                let Some(at) = object.checked_rem(members.len()) else { return };
                directory.remove_member(group, members[at].as_str());
            }
            Change::Primary { object, group } => {
                let Some(object) = self.pick(Some(ObjectKind::User), object) else { return };
                let Some(group) = self.pick(Some(ObjectKind::Group), group) else { return };
                let rid = directory.sid_of(group).and_then(|sid| sid.rid()).unwrap();
                directory.set(object, "primaryGroupID", [rid.to_string()]);
            }
            Change::MoveUnit { unit, place } => {
                // A unit does not move into itself.
                let place = PLACES[2 + place % 3];
                directory.move_to(self.units[unit % 2], place);
            }
            Change::RenameUnit { unit } => {
                let name = self.name("unit");
                directory.rename(self.units[unit % 2], &name);
            }
            Change::Restore | Change::Sync => {}
        }
    }

    /// Says what a listing has to give: ids by kind, and members of groups, from the domain alone.
    fn truth(&self) -> BTreeMap<SourceId, Vec<SourceId>> {
        let mut truth = BTreeMap::new();
        for (guid, kind) in &self.objects {
            if !self.directory.exists(*guid) {
                continue;
            }
            let dn = self.directory.dn_of(*guid).to_lowercase();
            let below = |place: &str| dn.ends_with(&format!(",{}", place.to_lowercase()));
            let matches = *kind != ObjectKind::User || !self.directory.get(*guid, "department").is_empty();
            if !below(PEOPLE) || below(OLD) || !matches || !view::comes_in(&self.directory, *guid) {
                continue;
            }
            let mut members: Vec<SourceId> = match kind {
                ObjectKind::Group => {
                    let members = self.directory.get(*guid, "member");
                    members.iter().map(|member| id(self.directory.guid_of(member))).collect()
                }
                _ => Vec::new(),
            };
            members.sort_unstable();
            truth.insert(id(*guid), members);
        }
        truth
    }

    #[track_caller]
    fn compare(&self, known: &Known) {
        let members = |id: &SourceId| known.members.of(id.clone()).into_iter().collect();
        let held: BTreeMap<SourceId, Vec<SourceId>> =
            known.objects.ids().into_iter().map(|id| (id.clone(), members(&id))).collect();
        assert_eq!(held, self.truth(), "the domain itself");
    }
}

/// Reads deltas until nothing is new, with a fault at some search: a delta that fails is read again.
async fn synchronise(follower: &mut Follower, world: &World, fault: Option<(u64, Fault)>) {
    if let Some((number, fault)) = fault {
        follower.domain.fake.faults().on(When::Search(number), fault);
        // Whether it fails or not: what it told is not believed, and the cursor stays.
        let _ = crate::known::changes(&follower.endpoint, &follower.domain.cx, &follower.cursor).await;
        follower.domain.fake.faults().clear();
    }
    let outcome = crate::known::changes(&follower.endpoint, &follower.domain.cx, &follower.cursor).await.unwrap();
    match outcome {
        Some(told) => {
            follower.known.apply(&told);
            follower.cursor = told.cursor.unwrap();
        }
        None => {
            let mut listing = crate::domain::list(&follower.endpoint, &follower.domain.cx, None).await.unwrap();
            follower.cursor = listing.cursor.take().unwrap();
            follower.known = listing.into();
        }
    }
    world.compare(&follower.known);
    follower.known.assert_same(&follower.fresh().await, "after a delta");
}

async fn live_through(changes: Vec<Change>, bin: bool, fault: Option<(u64, Fault)>) {
    let mut world = World::new(bin);
    let settings = Settings { max_val_range: 3, ..Settings::default() };
    let mut domain = start_with(world.directory.clone(), settings).await;
    domain.cx = context();
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec![OLD.into()];
    domain.config.domain.page_size = 3;
    let mut follower = follow(domain).await;
    world.compare(&follower.known);
    for change in changes.into_iter().chain([Change::Sync]) {
        match change {
            Change::Sync => synchronise(&mut follower, &world, fault.clone()).await,
            Change::Restore => {
                let usn = world.directory.highest_usn();
                world.directory.restore_from_backup(usn + 7);
                // Whoever restores a controller stops it first.
                follower.endpoint = follower.domain.endpoint();
            }
            change => world.apply(&change),
        }
    }
    let coverage = follower.endpoint.coverage(&follower.domain.cx).await.unwrap();
    assert!(coverage.filters["base"].ends_with(&ROOT.to_lowercase()));
}

fn faults() -> impl Strategy<Value = Option<(u64, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::Cut),
        Just(Fault::CutAfterEntries(1)),
        Just(Fault::RefuseCookies),
        Just(Fault::EmptyPage),
        Just(Fault::Answer { code: 51, text: "busy".into() }),
        Just(Fault::Answer { code: 53, text: "will not".into() }),
    ];
    proptest::option::of((1..40_u64, fault))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_deltas_leave_what_a_fresh_listing_gives(
        changes in proptest::collection::vec(change(), 1..60),
        bin in any::<bool>(),
        fault in faults(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live_through(changes, bin, fault));
    }
}

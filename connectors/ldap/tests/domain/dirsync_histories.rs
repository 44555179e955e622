//! Histories by chance: after any of them, deltas give what a fresh listing gives.

use proptest::prelude::*;
use tenantry_fakes::ldap::{ComputerKind, Directory, Guid};

use crate::domain::{GROUPS, OLD, PEOPLE, directory};
use crate::followed::{Known, start_by_rounds_of};
use crate::view;

/// One thing that an administrator does; the numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    AddUser(usize),
    AddGroup(usize),
    AddComputer(usize),
    AddUnit(usize),
    Set(usize, usize),
    Clear(usize, usize),
    Disable(usize),
    Enrol(usize, u8),
    Join(usize, usize),
    Leave(usize, usize),
    Delete(usize),
    Undelete(usize),
    Rename(usize),
    Move(usize, usize),
    RenameUnit(usize),
    MoveUnit(usize, usize),
    PrimaryGroup(usize, usize),
    Follow,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0_usize..1000;
    prop_oneof![
        2 => n().prop_map(Step::AddUser),
        2 => n().prop_map(Step::AddGroup),
        1 => n().prop_map(Step::AddComputer),
        1 => n().prop_map(Step::AddUnit),
        4 => (n(), n()).prop_map(|(a, b)| Step::Set(a, b)),
        3 => (n(), n()).prop_map(|(a, b)| Step::Clear(a, b)),
        1 => n().prop_map(Step::Disable),
        2 => (n(), any::<u8>()).prop_map(|(a, b)| Step::Enrol(a, b)),
        6 => (n(), n()).prop_map(|(a, b)| Step::Join(a, b)),
        4 => (n(), n()).prop_map(|(a, b)| Step::Leave(a, b)),
        2 => n().prop_map(Step::Delete),
        2 => n().prop_map(Step::Undelete),
        1 => n().prop_map(Step::Rename),
        3 => (n(), n()).prop_map(|(a, b)| Step::Move(a, b)),
        1 => n().prop_map(Step::RenameUnit),
        1 => (n(), n()).prop_map(|(a, b)| Step::MoveUnit(a, b)),
        1 => (n(), n()).prop_map(|(a, b)| Step::PrimaryGroup(a, b)),
        4 => Just(Step::Follow),
    ]
}

/// What part of the domain comes in.
#[derive(Debug, Clone, Copy)]
enum Part {
    Everything,
    Base,
    Filtered,
}

struct World {
    directory: Directory,
    units: Vec<Guid>,
    objects: Vec<Guid>,
    groups: Vec<Guid>,
    /// Deleted, and whether a delta has told it since: who comes back before that has lost memberships in silence.
    deleted: Vec<(Guid, bool)>,
    made: usize,
}

fn pick<T: Copy>(from: &[T], n: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[n % from.len()])
}

const ATTRIBUTES: &[&str] = &["title", "department", "description", "mail", "info", "displayName", "employeeID"];

impl World {
    fn new(recycle_bin: bool) -> Self {
        let directory = directory();
        directory.set_recycle_bin(recycle_bin);
        let units = [directory.add_ou(OLD), directory.add_ou("OU=Elsewhere,DC=corp,DC=example")];
        let tops = [PEOPLE, GROUPS].map(|dn| directory.guid_of(dn));
        let mut world = Self {
            directory,
            units: [&units[..], &tops[..]].concat(),
            objects: Vec::new(),
            groups: Vec::new(),
            deleted: Vec::new(),
            made: 0,
        };
        for n in 0..4 {
            world.take(&Step::AddUser(n));
            world.take(&Step::AddGroup(n));
            world.take(&Step::Join(n, n + 1));
            world.take(&Step::Set(n, n));
        }
        world
    }

    fn name(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{}", self.made)
    }

    fn unit(&self, n: usize) -> Option<String> {
        pick(&self.units, n).map(|unit| self.directory.dn_of(unit))
    }

    /// Units that may be renamed and moved: neither the base nor the top ones.
    fn loose_unit(&self, n: usize) -> Option<Guid> {
        let fixed = [PEOPLE, GROUPS, "OU=Elsewhere,DC=corp,DC=example"].map(|dn| self.directory.guid_of(dn));
        let loose: Vec<Guid> = self.units.iter().copied().filter(|unit| !fixed.contains(unit)).collect();
        pick(&loose, n)
    }

    fn take(&mut self, step: &Step) -> Option<()> {
        let directory = self.directory.clone();
        match *step {
            Step::AddUser(n) => {
                let name = self.name("user");
                let user = directory.add_user(&self.unit(n)?, &name).create();
                view::enrol(&directory, user, 0);
                self.objects.push(user);
            }
            Step::AddGroup(n) => {
                let name = self.name("group");
                let group = directory.add_group(&self.unit(n)?, &name).create();
                view::enrol(&directory, group, 0);
                self.objects.push(group);
                self.groups.push(group);
            }
            Step::AddComputer(n) => {
                let name = self.name("PC");
                self.objects.push(directory.add_computer(&self.unit(n)?, &name, ComputerKind::Workstation).create());
            }
            Step::AddUnit(n) => {
                let name = self.name("Unit");
                self.units.push(directory.add_ou(&format!("OU={name},{}", self.unit(n)?)));
            }
            Step::Set(n, which) => {
                let value = format!("value {which}");
                directory.set(pick(&self.objects, n)?, pick(ATTRIBUTES, which)?, [value]);
            }
            Step::Clear(n, which) => directory.clear(pick(&self.objects, n)?, pick(ATTRIBUTES, which)?),
            Step::Disable(n) => {
                let object = pick(&self.objects, n).filter(|object| !self.groups.contains(object))?;
                let flags: i64 = directory.get(object, "userAccountControl").first()?.parse().ok()?;
                directory.set(object, "userAccountControl", [(flags ^ 2).to_string()]);
            }
            Step::Enrol(n, how) => view::enrol(&directory, pick(&self.objects, n)?, how),
            Step::Join(group, member) => {
                directory.add_member(pick(&self.groups, group)?, pick(&self.objects, member)?);
            }
            Step::Leave(group, member) => {
                let group = pick(&self.groups, group)?;
                let members = directory.get(group, "member");
                let member = (!members.is_empty()).then(|| &members[member % members.len()])?;
                directory.remove_member(group, member);
            }
            Step::Delete(n) => {
                let object = pick(&self.objects, n)?;
                let rid = directory.sid_of(object).and_then(|sid| sid.rid()).unwrap_or_default().to_string();
                let is_primary = |other: &Guid| directory.get(other, "primaryGroupID").contains(&rid);
                if self.objects.iter().any(is_primary) {
                    // A directory refuses to delete a group that is somebody's primary one.
                    return None;
                }
                directory.delete(object);
                self.objects.retain(|known| *known != object);
                self.groups.retain(|known| *known != object);
                self.deleted.push((object, false));
            }
            Step::Undelete(n) => {
                let told: Vec<Guid> = self.deleted.iter().filter(|(_, told)| *told).map(|(guid, _)| *guid).collect();
                let object = pick(&told, n)?;
                directory.undelete(object);
                self.deleted.retain(|(known, _)| *known != object);
                self.objects.push(object);
                let classes = directory.get(object, "objectClass");
                if classes.iter().any(|class| class == "group") {
                    self.groups.push(object);
                }
            }
            Step::Rename(n) => {
                let name = self.name("renamed");
                directory.rename(pick(&self.objects, n)?, &name);
            }
            Step::Move(n, unit) => directory.move_to(pick(&self.objects, n)?, &self.unit(unit)?),
            Step::RenameUnit(n) => {
                let name = self.name("Renamed");
                directory.rename(self.loose_unit(n)?, &name);
            }
            Step::MoveUnit(n, to) => {
                let (unit, to) = (self.loose_unit(n)?, self.unit(to)?);
                let own = directory.dn_of(unit);
                if !to.ends_with(&own) {
                    directory.move_to(unit, &to);
                }
            }
            Step::PrimaryGroup(n, group) => {
                let object = pick(&self.objects, n).filter(|object| !self.groups.contains(object))?;
                let rid = directory.sid_of(pick(&self.groups, group)?)?.rid()?;
                directory.set(object, "primaryGroupID", [rid.to_string()]);
            }
            Step::Follow => {}
        }
        Some(())
    }
}

async fn live(steps: Vec<Step>, part: Part, recycle_bin: bool, batch: usize) {
    let mut world = World::new(recycle_bin);
    let mut domain = start_by_rounds_of(world.directory.clone(), batch).await;
    match part {
        Part::Everything => {}
        Part::Base => {
            domain.config.domain.base = Some(PEOPLE.into());
            domain.config.domain.exclude = vec![OLD.into()];
        }
        Part::Filtered => {
            domain.config.domain.users = Some("(department=*)".into());
            domain.config.domain.groups = Some("(|(description=*)(info=*))".into());
        }
    }
    let mut known = Known::listed(&domain).await;
    for step in steps.into_iter().chain([Step::Follow]) {
        if matches!(step, Step::Follow) {
            known.follow(&domain).await;
            known.check(&domain).await;
            world.deleted.iter_mut().for_each(|(_, told)| *told = true);
        } else {
            world.take(&step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deltas_give_what_a_fresh_listing_gives(
        steps in proptest::collection::vec(step(), 1..60),
        part in prop_oneof![Just(Part::Everything), Just(Part::Base), Just(Part::Filtered)],
        recycle_bin: bool,
        batch in 1_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps, part, recycle_bin, batch));
    }
}

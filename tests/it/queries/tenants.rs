//! Two customers with random directories: names of many languages, ties, nothing at all, groups in circles.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::model::{
    CustomerId, Draft, EndpointName, Facet, Filter, GuardLimits, Limit, MfaState, Nesting, ObjectKind, Order, Outcome,
    Query, RecordId, Shelf, Sort, SortBy, SourceId, UserState, Value, names,
};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use crate::laws::Dice;
use crate::world::folder;

const FIRST: [&str; 12] =
    ["Anna", "anna", "ANNA", "Bo", "Ólöf", "Jose", "José", "Jose\u{301}", "", "李", "Жанна", "Ann Marie"];
const LAST: [&str; 16] = [
    "Müller",
    "Muller",
    "MULLER",
    "van der Berg",
    "O'Neil",
    "Straße",
    "Strasse",
    "Łukasz",
    "",
    "王",
    "Иванов",
    "de la Cruz",
    "Ørsted",
    "ﬁnch",
    "Σίσυφος",
    "x",
];
const DOMAINS: [&str; 3] = ["corp.example", "mail.example", "zürich.example"];
const SEARCHES: [&str; 22] = [
    "mull",
    "MÜLLER",
    "an",
    "a",
    "example",
    "corp.example",
    "der be",
    "berg van",
    "ose",
    "strasse",
    "ß",
    "王",
    "li",
    "ванов",
    "user1",
    "@mail",
    "zzzz",
    "n m",
    "  ",
    "alias",
    "o'n",
    "pc",
];
const TAGS: [&str; 3] = ["vip", "billing", "x"];
const PREFIXES: [&str; 10] = ["m", "Mü", "str", "a", "user1", "", "王", "van d", "zz", "Ж"];

pub(crate) struct Tenants {
    pub(crate) folder: TempDir,
    pub(crate) service: Service,
    pub(crate) customers: Vec<(CustomerId, Vec<ScriptedEndpoint>)>,
    next: u128,
}

pub(crate) fn wide() -> ImportOptions {
    ImportOptions { guard: GuardLimits::of_all(Limit::new(1.0, 10_000_000)), ..ImportOptions::default() }
}

pub(crate) fn state(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("state.db")
}

impl Tenants {
    /// Two customers, three endpoints, so many users each.
    pub(crate) async fn new(dice: &mut Dice, users: u64) -> Self {
        let folder = folder();
        let service = Service::new(Arc::new(SqliteStore::open(state(&folder)).unwrap()));
        let mut tenants = Self { folder, service, customers: Vec::new(), next: 100 };
        for (customer, endpoints) in [("c1", &["ad", "cloud"][..]), ("c2", &["ad"][..])] {
            let mut made = Vec::new();
            for name in endpoints {
                let mut directory = ScriptedDirectory::new(&format!("{customer}-{name}"));
                directory.tombstones_readable = true;
                tenants.populate(dice, &mut directory, users);
                made.push(ScriptedEndpoint::new(name, directory, 7).unwrap());
            }
            tenants.customers.push((CustomerId::new(customer).unwrap(), made));
        }
        tenants.register().await;
        tenants
    }

    pub(crate) async fn register(&self) {
        for (customer, endpoints) in &self.customers {
            let endpoints = endpoints.iter().map(|e| Arc::new(e.clone()) as Arc<dyn Endpoint>).collect();
            self.service.register(Customer::new(customer.clone()), endpoints).await.unwrap();
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.service.store().as_ref()
    }

    pub(crate) fn all(&self) -> BTreeSet<CustomerId> {
        self.customers.iter().map(|(customer, _)| customer.clone()).collect()
    }

    fn populate(&mut self, dice: &mut Dice, directory: &mut ScriptedDirectory, users: u64) {
        for _ in 0..users {
            self.add_user(dice, directory);
        }
        let groups: Vec<SourceId> = (0..5).map(|_| self.add_group(dice, directory)).collect();
        for group in &groups {
            Self::fill(dice, directory, group);
        }
        // In a circle, and one in itself.
        for (at, group) in groups.iter().enumerate().take(3) {
            directory.add_member(group, &groups[(at + 1) % 3]);
        }
        directory.add_member(&groups[3], &groups[3]);
        for _ in 0..4 {
            let owner = pick(dice, &of_kind(directory, ObjectKind::User)).clone();
            let id = directory.add_computer(self.number(), "machines");
            directory.set(&id, names::OWNER, owner.to_string());
        }
    }

    fn number(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    fn add_user(&mut self, dice: &mut Dice, directory: &mut ScriptedDirectory) {
        let number = self.number();
        let id = directory.add_user(number, "people");
        let first = *pick(dice, &FIRST);
        directory.set(&id, names::FIRST_NAME, Value::text(Some(first)));
        directory.set(&id, names::LAST_NAME, Value::text(Some(*pick(dice, &LAST))));
        let email = match dice.below(5) {
            0 => Value::Empty,
            1 => format!("shared@{}", pick(dice, &DOMAINS)).into(),
            _ => format!("user{number}@{}", pick(dice, &DOMAINS)).into(),
        };
        directory.set(&id, names::PRIMARY_EMAIL, email);
        if dice.below(3) == 0 {
            directory.set(&id, names::ALIASES, Value::list([format!("alias{number}@corp.example")]));
        }
        if dice.below(4) == 0 {
            directory.set(&id, names::LOCKED_OUT, true);
        }
        directory.set(&id, names::STATE, *pick(dice, UserState::ALL));
        if dice.below(3) > 0 {
            let facet = [(names::MFA, Value::from(*pick(dice, MfaState::ALL)))].into_iter().collect();
            directory.facets.insert((id, Facet::Mfa), facet);
        }
    }

    fn add_group(&mut self, dice: &mut Dice, directory: &mut ScriptedDirectory) -> SourceId {
        let id = directory.add_group(self.number());
        directory.set(&id, names::NAME, Value::text(Some(*pick(dice, &LAST))));
        if dice.below(2) == 0 {
            directory.set(&id, names::EMAIL, format!("{}@corp.example", dice.below(3)));
        }
        id
    }

    fn fill(dice: &mut Dice, directory: &mut ScriptedDirectory, group: &SourceId) {
        let users = of_kind(directory, ObjectKind::User);
        for _ in 0..dice.below(8) {
            let member = pick(dice, &users).clone();
            directory.add_member(group, &member);
        }
    }

    /// Changes a few things in one directory, and imports it; or lets somebody change things by hand.
    pub(crate) async fn change(&mut self, dice: &mut Dice) {
        if dice.below(3) == 0 {
            return self.edit(dice).await;
        }
        let at = usize::try_from(dice.below(self.customers.len() as u64)).unwrap();
        let (customer, endpoints) = self.customers[at].clone();
        let endpoint = pick(dice, &endpoints).clone();
        let mut directory = endpoint.change(|directory| directory.clone());
        for _ in 0..=dice.below(6) {
            let users = of_kind(&directory, ObjectKind::User);
            let groups = of_kind(&directory, ObjectKind::Group);
            let user = pick(dice, &users).clone();
            let group = pick(dice, &groups).clone();
            match dice.below(9) {
                0 => self.add_user(dice, &mut directory),
                1 => directory.set(&user, names::LAST_NAME, Value::text(Some(*pick(dice, &LAST)))),
                2 => directory.set(&user, names::STATE, *pick(dice, UserState::ALL)),
                3 if users.len() > 8 => directory.delete(&user),
                4 => directory.add_member(&group, pick(dice, &groups)),
                5 => Self::fill(dice, &mut directory, &group),
                6 => directory.remove_member(&group, &user),
                7 => {
                    let facet = [(names::MFA, Value::from(*pick(dice, MfaState::ALL)))].into_iter().collect();
                    directory.facets.insert((user, Facet::Mfa), facet);
                }
                _ => directory.set(&group, names::NAME, Value::text(Some(*pick(dice, &LAST)))),
            }
        }
        endpoint.change(|truth| *truth = directory);
        let name = endpoint.info().name.clone();
        let report = self.service.import(&customer, &name, wide()).await.unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    }

    /// Adds, tags, archives and groups people by hand.
    async fn edit(&mut self, dice: &mut Dice) {
        let directory = self.service.directory();
        let customer = pick(dice, &self.customers).0.clone();
        let of = |kind| self.store().records(&customer, kind, None, usize::MAX >> 1).unwrap();
        let users: Vec<RecordId> = of(ObjectKind::User).iter().map(|user| user.id).collect();
        let by_hand = of(ObjectKind::Group).into_iter().find(|group| group.lock.is_none()).map(|group| group.id);
        let number = self.number();
        for _ in 0..=dice.below(4) {
            let user = *pick(dice, &users);
            match dice.below(4) {
                0 => {
                    let tags: BTreeSet<&str> = TAGS.into_iter().filter(|_| dice.below(2) == 0).collect();
                    directory.set_tags(&customer, user, tags).await.unwrap();
                }
                1 => {
                    let shelf = if dice.below(2) == 0 { Shelf::Archived } else { Shelf::InUse };
                    directory.shelve(&customer, user, shelf).await.unwrap();
                }
                2 => {
                    let draft = Draft::user(&format!("hand{number}-{}@mail.example", dice.below(1000)));
                    let draft = draft.set(names::LAST_NAME, Value::text(Some(*pick(dice, &LAST))));
                    // Somebody may have the address already.
                    let _ = directory.add(&customer, &draft.tagged(["vip"])).await;
                }
                _ => {
                    let group = match by_hand {
                        Some(group) => group,
                        None => directory.add(&customer, &Draft::group("By hand")).await.unwrap().id,
                    };
                    directory.add_members(&customer, group, &[user]).await.unwrap();
                }
            }
        }
    }

    /// Lets a listing miss a user, who is then missing.
    pub(crate) async fn miss_somebody(&self) {
        let (customer, endpoints) = &self.customers[0];
        let endpoint = &endpoints[0];
        let user = endpoint.change(|directory| of_kind(directory, ObjectKind::User)[1].clone());
        endpoint.lie([Lie::Drops(vec![user]), Lie::LookupFails]);
        let _ = self.service.import(customer, &endpoint.info().name, wide()).await.unwrap();
        endpoint.lie([]);
    }

    pub(crate) async fn import_all(&self) {
        for (customer, endpoints) in &self.customers {
            for endpoint in endpoints {
                let report = self.service.import(customer, &endpoint.info().name, wide()).await.unwrap();
                assert_eq!(report.outcome, Outcome::Done, "{report:?}");
            }
        }
    }

    /// Makes a query of anything.
    pub(crate) fn query(&self, dice: &mut Dice) -> Query {
        let kind = if dice.below(4) > 0 { ObjectKind::User } else { *pick(dice, ObjectKind::ALL) };
        let orders: &[SortBy] = match kind {
            ObjectKind::User => &[SortBy::PrimaryEmail, SortBy::FirstName, SortBy::LastName],
            ObjectKind::Group => &[SortBy::PrimaryEmail, SortBy::Name],
            ObjectKind::Computer => &[SortBy::Name],
        };
        let mut customers = self.all();
        if dice.below(2) == 0 {
            customers = BTreeSet::from([pick(dice, &self.customers).0.clone()]);
        }
        let mut filter = Filter::default();
        for _ in 0..dice.below(4) {
            match dice.below(13) {
                0 | 1 => filter.search = Some((*pick(dice, &SEARCHES)).to_owned()),
                2 => filter.prefix = Some((*pick(dice, orders), (*pick(dice, &PREFIXES)).to_owned())),
                3 if kind == ObjectKind::User => filter.states = Some(some(dice, UserState::ALL)),
                4 if kind == ObjectKind::User => filter.mfa = Some(some(dice, MfaState::ALL)),
                5 => filter.missing = Some(dice.below(2) == 0),
                6 => filter.locked = Some(dice.below(4) > 0),
                7 => filter.locked_out = Some(dice.below(2) == 0),
                8 => filter.source = Some(EndpointName::new(pick(dice, &["ad", "cloud", "gone"])).unwrap()),
                10 => filter.tag = Some((*pick(dice, &TAGS)).to_owned()),
                12 if kind == ObjectKind::User => filter.grouped = Some(dice.below(2) == 0),
                9 => filter.archived = Some(dice.below(4) == 0),
                _ => {
                    let groups = self.groups();
                    let nesting = if dice.below(2) == 0 { Nesting::Direct } else { Nesting::Nested };
                    filter.group = Some((*pick(dice, &groups), nesting));
                }
            }
        }
        let order = if dice.below(2) == 0 { Order::Ascending } else { Order::Descending };
        Query { customers, kind, filter, sort: Sort { by: *pick(dice, orders), order } }
    }

    pub(crate) fn groups(&self) -> Vec<RecordId> {
        let of = |customer| self.store().records(customer, ObjectKind::Group, None, usize::MAX >> 1).unwrap();
        self.customers.iter().flat_map(|(customer, _)| of(customer)).map(|group| group.id).collect()
    }
}

pub(crate) fn open(path: &Path) -> Service {
    Service::new(Arc::new(SqliteStore::open(path).unwrap()))
}

fn of_kind(directory: &ScriptedDirectory, kind: ObjectKind) -> Vec<SourceId> {
    directory.objects.iter().filter(|(_, object)| object.kind == kind).map(|(id, _)| id.clone()).collect()
}

pub(crate) fn pick<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[usize::try_from(dice.below(of.len() as u64)).unwrap()]
}

fn some<T: Copy + Ord>(dice: &mut Dice, of: &[T]) -> BTreeSet<T> {
    of.iter().copied().filter(|_| dice.below(2) == 0).collect()
}

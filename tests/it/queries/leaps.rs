//! Those who are left of a large directory stand at one end of the order, or in clumps: parts of the order are passed
//! over, and nobody in them.

use tenantry::model::{Filter, MfaState, Nesting, ObjectKind, Order, Query, Sort, SortBy, names};
use tenantry::testkit::ScriptedDirectory;

use super::oracle::Everything;
use crate::laws::Dice;
use crate::world::World;

/// Beginnings that are the end of others, and some in common for long.
const NAMES: [&str; 14] = [
    "",
    "A",
    "An",
    "Ann",
    "Anna",
    "Annabella-Maria",
    "Annabella-Mario",
    "Müller",
    "Muller",
    "Mulleriana",
    "Zoe",
    "Zöfie",
    "王",
    "王小明",
];

async fn clumped(users: u64) -> World {
    let mut dice = Dice(11);
    let mut directory = ScriptedDirectory::new("domain-1");
    let (group, other) = (directory.add_group(1_000_000), directory.add_group(1_000_001));
    for number in 1..=u128::from(users) {
        let id = directory.add_user(number, "people");
        let last = NAMES[usize::try_from(dice.below(14)).unwrap()];
        directory.set(&id, names::LAST_NAME, last);
        directory.set(&id, names::FIRST_NAME, NAMES[usize::try_from(dice.below(14)).unwrap()]);
        let address = match number % 5 {
            0 => String::new(),
            1 => format!("{number}.anna@corp.example"),
            _ => format!("staff{number:06}@{}.example", if number % 3 == 0 { "corp" } else { "annex" }),
        };
        directory.set(&id, names::PRIMARY_EMAIL, address);
        if last.starts_with('王') || (number > 2200 && dice.one_in(2)) {
            directory.add_member(&group, &id);
        }
        if last.is_empty() || last == "Zoe" {
            directory.set(&id, names::MFA, MfaState::Enrolled);
            directory.add_member(&other, &id);
        }
    }
    let world = World::with_pages(directory, 500).await;
    world.import_done().await;
    world
}

#[tokio::test]
async fn whoever_is_left_is_found_in_order_wherever_they_stand() {
    let world = clumped(3000).await;
    let oracle = Everything::of(world.store(), &[world.customer.clone()].into());
    let directory = world.service.directory();
    let groups: Vec<_> = world.records(ObjectKind::Group).into_keys().collect();
    let mut dice = Dice(5);
    let mut cost = 0;
    for case in 0..160 {
        let orders = [SortBy::PrimaryEmail, SortBy::FirstName, SortBy::LastName];
        let pick = |dice: &mut Dice| orders[usize::try_from(dice.below(3)).unwrap()];
        let by = pick(&mut dice);
        let order = if dice.one_in(2) { Order::Ascending } else { Order::Descending };
        let mut filter = Filter::default();
        if dice.one_in(2) {
            let group = groups[usize::try_from(dice.below(groups.len() as u64)).unwrap()];
            filter.group = Some((group, Nesting::Direct));
        }
        if dice.one_in(3) {
            filter.mfa = Some([MfaState::Enrolled].into());
        }
        if dice.one_in(3) {
            filter.grouped = Some(dice.one_in(2));
        }
        if dice.one_in(2) {
            let texts = [
                "ann",
                "anna",
                "annabella-mari",
                "nnabella-mario",
                "staff0029",
                "corp.exam",
                "@annex",
                "9@corp.e",
                "muller",
                "小明",
                "qqqq",
            ];
            filter.search = Some(texts[usize::try_from(dice.below(11)).unwrap()].to_owned());
        }
        if dice.one_in(2) {
            let texts = ["a", "an", "ann", "ANNA", "annabella-maria", "mull", "z", "staff00", "staff00299", "王", " "];
            filter.prefix = Some((pick(&mut dice), texts[usize::try_from(dice.below(11)).unwrap()].to_owned()));
        }
        let query = Query { filter, sort: Sort { by, order }, ..Query::users(&world.customer) };
        let expected: Vec<_> = oracle.find(&query).into_iter().map(|(_, id)| id).collect();
        let limit = [7, 60, 400][usize::try_from(dice.below(3)).unwrap()];
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = directory.find(&query, after.as_ref(), limit).await.unwrap();
            assert!(page.next.is_none() || page.found.len() == limit, "case {case}");
            cost = cost.max(page.rows_read / limit as u64);
            found.extend(page.found.into_iter().map(|one| one.record.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // Equal names are told apart by numbers, which the oracle does not know.
        let keys = |ids: &[tenantry::model::RecordId]| {
            let key = |id: &tenantry::model::RecordId| super::oracle::key(oracle.record(*id).unwrap(), by);
            ids.iter().map(key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&found), keys(&expected), "case {case}: {query:?}");
        let set = |ids: &[tenantry::model::RecordId]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        assert_eq!(set(&found), set(&expected), "case {case}: {query:?}");
        let count = directory.count(&query).await.unwrap();
        assert_eq!((count.total, count.exact), (expected.len() as u64, true), "case {case}: {query:?}");
    }
    assert!(cost < 300, "{cost} rows for each record of a page");
}

#[tokio::test]
async fn an_address_is_found_by_the_index_as_by_going_through_everybody() {
    let world = clumped(600).await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    let addresses: Vec<String> = (1..=600)
        .map(|number: u32| {
            if number % 5 == 1 {
                format!("{number}.ANNA@corp.example")
            } else {
                format!("staff{number:06}@corp.example")
            }
        })
        .collect();
    let scanned = directory.holders(&customer, addresses.clone()).await.unwrap();
    directory.catch_up(&[customer.clone()].into()).await.unwrap();
    let found = directory.holders(&customer, addresses.clone()).await.unwrap();
    assert_eq!(found, scanned);
    assert!(found.len() > 200, "{}", found.len());
    // Somebody gives an address up, another takes it: the index knows at once.
    let (address, id) = found.into_iter().next().unwrap();
    world.endpoint.change(|directory| {
        let object = directory.objects.values_mut().find(|object| {
            object.attributes.text(&names::PRIMARY_EMAIL).is_some_and(|one| one.eq_ignore_ascii_case(&address))
        });
        object.unwrap().attributes.set(names::PRIMARY_EMAIL, "moved@corp.example");
    });
    world.import_done().await;
    assert_eq!(directory.holders(&customer, [address]).await.unwrap().len(), 0);
    let moved = directory.holders(&customer, ["Moved@corp.example".to_owned()]).await.unwrap();
    assert_eq!(moved.into_values().collect::<Vec<_>>(), [id]);
}

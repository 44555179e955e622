//! Another order of endpoints: every record that looks different then is told, once, also after a kill in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use tenantry::model::{AttributeName, CustomerId, Edit, EventType, ObjectKind, SourceId, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, Service, SqliteStore};

use super::crowd::{DOMAINS, ENDPOINTS, account, crowd};
use super::orders::staged;
use crate::dying::{self, Commits};
use crate::laws::{Dice, pick};
use crate::operations::{Replica, Stage, name, wide};
use crate::seeds::seeds;
use crate::world::folder;

async fn register(stage: &Stage, order: &[usize]) {
    let endpoints = order.iter().map(|at| Arc::new(stage.endpoints[*at].clone()) as Arc<dyn Endpoint>).collect();
    let customer = Customer { domains: stage.domains.clone(), ..Customer::new(stage.customer.clone()) };
    stage.service.register(customer, endpoints).await.unwrap();
}

fn records(stage: &Stage) -> BTreeMap<String, Json> {
    let mut all = BTreeMap::new();
    for kind in ObjectKind::ALL {
        for record in stage.store().records(&stage.customer, *kind, None, 9999).unwrap() {
            all.insert(record.id.to_string(), serde_json::to_value(&record).unwrap());
        }
    }
    all
}

fn users(directory: &ScriptedDirectory) -> Vec<SourceId> {
    let users = directory.objects.iter().filter(|(_, object)| object.kind == ObjectKind::User);
    users.map(|(id, _)| id.clone()).collect()
}

/// Who is named comes into the places that those have together.
fn after(mut order: Vec<usize>, named: &[usize]) -> Vec<usize> {
    let places: Vec<usize> = (0..order.len()).filter(|at| named.contains(&order[*at])).collect();
    places.into_iter().zip(named).for_each(|(place, endpoint)| order[place] = *endpoint);
    order
}

/// Each value is that of the first endpoint in order that knows it, and the identities are in that order.
fn is_in_order(stage: &Stage, seen: &[ScriptedDirectory], order: &[usize], what: &str) -> usize {
    let mut several = 0;
    for record in records(stage).into_values().filter(|record| record["kind"] != "endpoint") {
        let objects: Vec<(usize, &str)> = record["identities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let at = ENDPOINTS.iter().position(|endpoint| one["endpoint"] == *endpoint).unwrap();
                (at, one["source_id"].as_str().unwrap())
            })
            .collect();
        let places: Vec<usize> =
            objects.iter().map(|(at, _)| order.iter().position(|one| one == at).unwrap()).collect();
        assert!(places.is_sorted(), "{what}: {record}");
        assert_eq!(record["lock"]["endpoint"], ENDPOINTS[objects[0].0], "{what}: {record}");
        several += usize::from(objects.len() > 1);
        for attribute in [names::PRIMARY_EMAIL, names::FIRST_NAME, names::LAST_NAME, names::DISPLAY_NAME] {
            let values = objects.iter().map(|(at, id)| {
                let object = &seen[*at].objects[&SourceId::parse(id)];
                object.attributes.get(&attribute).map(|value| serde_json::to_value(value).unwrap())
            });
            if let Some(value) = values.flatten().next() {
                assert_eq!(record[attribute.as_str()], value, "{what}: {attribute} of {record}");
            }
        }
    }
    several
}

#[tokio::test]
async fn of_each_record_that_another_order_of_endpoints_changes_one_event_tells() {
    let seeds = seeds(30);
    let tried = seeds.end - seeds.start;
    let (mut changed, mut several) = (0, 0);
    for seed in seeds {
        let mut dice = Dice(seed ^ 0x0de4);
        let mut now = crowd(&mut dice, 3, false);
        for (at, directory) in now.iter_mut().enumerate() {
            for id in users(directory) {
                if dice.one_in(2) {
                    directory.set(&id, names::DISPLAY_NAME, format!("{at} says"));
                }
            }
        }
        let mut stage = staged(&now).await;
        stage.import_all().await;
        let mut order = vec![0, 1, 2];
        for step in 0..10 {
            let what = format!("seed {seed}, step {step}, {order:?}");
            if dice.one_in(3) {
                let at = usize::try_from(dice.below(3)).unwrap();
                let id = pick(&users(&now[at]), dice.roll()).unwrap();
                now[at].set(&id, names::DISPLAY_NAME, format!("{at} says {step}"));
                stage.endpoints[at].change(|directory| *directory = now[at].clone());
                stage.import(at).await;
            } else if dice.one_in(4) {
                let users = stage.store().records(&stage.customer, ObjectKind::User, None, 999).unwrap();
                let edit = Edit::new().set(AttributeName::extra("floor"), format!("{step}"));
                let user = pick(&users, dice.roll()).unwrap();
                stage.service.directory().edit(&stage.customer, user.id, &edit).await.unwrap();
            } else {
                let mut named = vec![0, 1, 2];
                for at in (1..3).rev() {
                    named.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap());
                }
                named.truncate(3 - usize::from(dice.one_in(3)));
                let (before, position) = (records(&stage), stage.store().last_position(&stage.customer).unwrap());
                register(&stage, &named).await;
                order = after(order, &named);
                let (what, now) = (format!("{what}, then {named:?}"), records(&stage));
                let events = stage.events(position);
                let mut told: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
                told.sort_unstable();
                let different: Vec<&str> =
                    now.iter().filter(|(id, record)| before[*id] != **record).map(|(id, _)| id.as_str()).collect();
                assert_eq!(told, different, "{what}");
                for event in &events {
                    use EventType as E;
                    assert!(matches!(event.event_type, E::UserUpserted | E::GroupUpserted | E::ComputerUpserted));
                    assert_eq!(
                        (event.data_value()["run"].clone(), event.source.as_str()),
                        (Json::Null, "/customers/c1")
                    );
                }
                changed += told.len();
                register(&stage, &named).await;
                assert_eq!(stage.events(position).len(), events.len(), "{what}: the same order tells nothing");
            }
            stage.check(&what);
        }
        several += is_in_order(&stage, &now, &order, &format!("seed {seed}"));
        let mut replayed = Replica::default();
        replayed.follow(stage.store(), &stage.customer);
        replayed.same_as(&stage.live, &format!("seed {seed}"));
    }
    println!("{changed} told, {several} of several endpoints");
    assert!(tried < 30 || (changed > 100 && several > 30), "{changed} {several}");
}

const CHILD: &str = "joins::reordered::child";
/// More than change in one transaction.
const PEOPLE: u64 = 230;

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

fn endpoints(round: u64) -> Vec<Arc<dyn Endpoint>> {
    let endpoint = |at: usize| {
        let mut directory = ScriptedDirectory::new(ENDPOINTS[at]);
        for person in 1..=PEOPLE {
            let id = directory.add_user(account(at, 10 * person, 0), "oslo");
            directory.set(&id, names::PRIMARY_EMAIL, format!("p{person}@{}", DOMAINS[0]));
            directory.set(&id, names::DISPLAY_NAME, format!("{at} says {}", if person % 3 == 0 { round } else { 0 }));
            directory.anchor(&id, "security-id", &format!("S-{person}"));
        }
        Arc::new(ScriptedEndpoint::new(ENDPOINTS[at], directory, 100).unwrap()) as Arc<dyn Endpoint>
    };
    vec![endpoint(0), endpoint(1)]
}

fn opened(path: &Path) -> Service {
    Service::new(Arc::new(SqliteStore::open(path).unwrap()))
}

async fn reversed(service: &Service) {
    let mut endpoints = endpoints(0);
    endpoints.reverse();
    service.register(Customer::new(customer()), endpoints).await.unwrap();
}

#[test]
fn child() {
    let Ok(path) = std::env::var("TENANTRY_REORDER_STATE") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = opened(path.as_ref());
    let commits = Commits::watch();
    runtime.block_on(reversed(&service));
    commits.tell();
}

/// Reads all events, and expects that they give what is stored.
fn agrees(service: &Service, what: &str) -> Replica {
    let mut replayed = Replica::default();
    replayed.follow(service.store().as_ref(), &customer());
    replayed.agrees_with(service.store().as_ref(), &customer(), what);
    replayed
}

fn gives(replica: &Replica, endpoint: usize) -> usize {
    let says = format!("{endpoint} says");
    replica
        .records
        .values()
        .filter(|user| user["display_name"].as_str().is_some_and(|text| text.starts_with(&says)))
        .count()
}

#[tokio::test]
async fn killed_while_the_order_changes_what_is_shown_is_what_was_told_and_the_next_call_goes_on() {
    let folder = folder();
    let before = folder.path().join("before.db");
    {
        let service = opened(&before);
        service.register(Customer::new(customer()), endpoints(0)).await.unwrap();
        for endpoint in &ENDPOINTS[..2] {
            service.import(&customer(), &name(endpoint), wide()).await.unwrap();
        }
        assert_eq!(gives(&agrees(&service, "before"), 0), usize::try_from(PEOPLE).unwrap());
    }
    let run = |path: &Path, at| dying::run(CHILD, [("TENANTRY_REORDER_STATE", path.as_os_str())], at);
    let whole = folder.path().join("whole.db");
    std::fs::copy(&before, &whole).unwrap();
    let points = run(&whole, None).unwrap().points;
    assert!(points > 6, "{points} commits: several transactions");
    let mut halves = 0;
    for at in 0..points {
        let path = folder.path().join(format!("{at}.db"));
        std::fs::copy(&before, &path).unwrap();
        assert!(run(&path, Some(at)).is_none());
        let what = format!("killed at {at} of {points}");
        let service = opened(&path);
        let half = gives(&agrees(&service, &what), 1);
        halves += usize::from(half > 0 && half < usize::try_from(PEOPLE).unwrap());
        // Nothing has gone on with it, and there is an import: in either part it tells what the part shows.
        service.attach(&customer(), endpoints(7)).unwrap();
        for endpoint in &ENDPOINTS[..2] {
            let report = service.import(&customer(), &name(endpoint), wide()).await.unwrap();
            assert_eq!(report.created, 0, "{what}");
        }
        assert_eq!(gives(&agrees(&service, &what), 1), half, "{what}");
        reversed(&service).await;
        assert_eq!(gives(&agrees(&service, &what), 1), usize::try_from(PEOPLE).unwrap(), "{what}");
        let position = service.store().last_position(&customer()).unwrap();
        reversed(&service).await;
        assert_eq!(service.store().last_position(&customer()).unwrap(), position, "{what}");
    }
    assert!(halves >= 2, "{halves} were killed half-way");
}

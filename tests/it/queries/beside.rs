//! Queries beside a running import: each answer is that of one position, and says of which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenantry::Endpoint;
use tenantry::model::{EventType, Query, RecordId};

use super::tenants::{Tenants, wide};
use crate::laws::Dice;

/// Returns the users behind each event, as the events tell it.
fn by_position(tenants: &Tenants) -> BTreeMap<u64, BTreeSet<RecordId>> {
    let customer = &tenants.customers[0].0;
    let mut users = BTreeSet::new();
    let mut all = BTreeMap::from([(0, users.clone())]);
    for event in tenants.store().events(customer, 0, usize::MAX).unwrap() {
        let id = || RecordId(uuid::Uuid::try_parse(&event.subject).unwrap());
        match event.event_type {
            EventType::UserUpserted => drop(users.insert(id())),
            EventType::UserRemoved => drop(users.remove(&id())),
            _ => {}
        }
        all.insert(event.position(), users.clone());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_beside_an_import_is_that_of_the_position_it_tells() {
    tenantry::testkit::index_step(50);
    let mut dice = Dice(41);
    let tenants = Tenants::new(&mut dice, 400).await;
    let (customer, endpoints) = tenants.customers[0].clone();
    let ended = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (directory, ended) = (tenants.service.directory(), Arc::clone(&ended));
            let query = Query::users(&customer);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let last = ended.load(Ordering::Relaxed);
                    let page = directory.find(&query, None, 1000).await.unwrap();
                    let count = directory.count(&query).await.unwrap();
                    let position = *page.positions.values().next().unwrap();
                    let ids: BTreeSet<RecordId> = page.found.iter().map(|found| found.record.id).collect();
                    assert_eq!(ids.len(), page.found.len());
                    answers.push((position, ids));
                    answers.push((*count.positions.values().next().unwrap(), BTreeSet::new()));
                    let (_, size) = (answers.len(), count.total);
                    let at = answers.len() - 1;
                    // Only its size is known of a count.
                    answers[at].1 = (0..size).map(|n| RecordId(uuid::Uuid::from_u128(u128::from(n)))).collect();
                    if last {
                        return answers;
                    }
                }
            })
        })
        .collect();
    for round in 0..3 {
        for endpoint in &endpoints {
            endpoint.change(|directory| {
                let users: Vec<_> = directory
                    .objects
                    .iter()
                    .filter(|(_, object)| object.kind == tenantry::model::ObjectKind::User)
                    .map(|(id, _)| id.clone())
                    .collect();
                if round > 0 {
                    users.iter().step_by(9).for_each(|id| directory.delete(id));
                }
            });
            tenants.service.import(&customer, &endpoint.info().name, wide()).await.unwrap();
        }
    }
    ended.store(true, Ordering::Relaxed);
    let truth = by_position(&tenants);
    let mut positions = BTreeSet::new();
    for reader in readers {
        for (at, (position, ids)) in reader.await.unwrap().into_iter().enumerate() {
            positions.insert(position);
            let wanted = &truth[&position];
            if at % 2 == 0 {
                assert_eq!(&ids, wanted, "page at {position}");
            } else {
                assert_eq!(ids.len(), wanted.len(), "count at {position}");
            }
        }
    }
    assert!(positions.len() > 2, "nothing was read in between: {positions:?}");
}

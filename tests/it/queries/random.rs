//! Random directories, changes and queries against an oracle that looks at every record.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::model::{PageCursor, Query, Record, RecordId};

use super::oracle::{Everything, key};
use super::tenants::Tenants;
use crate::laws::Dice;
use crate::seeds::seeds;

/// Walks a query to its end, page by page.
pub(crate) async fn walk(tenants: &Tenants, query: &Query, limit: usize) -> Vec<Record> {
    let directory = tenants.service.directory();
    let mut found = Vec::new();
    let mut after: Option<PageCursor> = None;
    loop {
        let page = directory.find(query, after.as_ref(), limit).await.unwrap();
        assert!(page.found.len() <= limit);
        for found in &page.found {
            assert!(query.customers.contains(&found.customer));
        }
        let ended = page.next.is_none();
        assert!(ended || page.found.len() == limit, "a page that is not the last is full");
        found.extend(page.found.into_iter().map(|found| found.record));
        if ended {
            return found;
        }
        after = page.next;
    }
}

pub(crate) async fn check(tenants: &Tenants, everything: &Everything, query: &Query, limit: usize) {
    let wanted = everything.find(query);
    let found = walk(tenants, query, limit).await;
    let keys: Vec<_> = found.iter().map(|record| key(record, query.sort.by)).collect();
    assert_eq!(keys, wanted.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), "{query:?}");
    let ids: BTreeSet<RecordId> = found.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), found.len(), "somebody comes twice: {query:?}");
    assert_eq!(ids, wanted.iter().map(|(_, id)| *id).collect(), "{query:?}");
    for record in &found {
        assert_eq!(Some(record), everything.record(record.id), "a record is as it is stored");
    }
    let count = tenants.service.directory().count(query).await.unwrap();
    assert_eq!(count.total, wanted.len() as u64, "{query:?}");
}

async fn history(seed: u64) {
    let mut dice = Dice(seed);
    let users = 10 + dice.below(60);
    let mut tenants = Tenants::new(&mut dice, users).await;
    if dice.below(2) == 0 {
        // An index from the first event on; else it is built from the records.
        tenants.service.directory().catch_up(&tenants.all()).await.unwrap();
    }
    tenants.import_all().await;
    for round in 0..4 {
        match round {
            0 => {}
            2 => tenants.miss_somebody().await,
            _ => {
                for _ in 0..=dice.below(3) {
                    tenants.change(&mut dice).await;
                }
            }
        }
        let everything = Everything::of(tenants.store(), &tenants.all());
        for _ in 0..25 {
            let query = tenants.query(&mut dice);
            let limit = 1 + usize::try_from(dice.below(9)).unwrap();
            check(&tenants, &everything, &query, limit).await;
        }
        change_between_pages(&mut tenants, &mut dice).await;
    }
}

/// What does not change between two pages comes exactly once.
async fn change_between_pages(tenants: &mut Tenants, dice: &mut Dice) {
    let query = tenants.query(dice);
    let before = Everything::of(tenants.store(), &tenants.all());
    let was = before.find(&query);
    let mut seen: BTreeMap<RecordId, usize> = BTreeMap::new();
    let mut after: Option<PageCursor> = None;
    let mut changes = 0;
    loop {
        let page = tenants.service.directory().find(&query, after.as_ref(), 3).await.unwrap();
        for found in page.found {
            *seen.entry(found.record.id).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        if changes < 4 {
            tenants.change(dice).await;
            changes += 1;
        }
    }
    let now = Everything::of(tenants.store(), &tenants.all());
    let is: BTreeMap<RecordId, _> = now.find(&query).into_iter().map(|(key, id)| (id, key)).collect();
    // Memberships may have ended and begun again in between: then the record has not changed, and its place has.
    let came_and_went = query.filter.group.is_some();
    for (key, id) in was {
        let unchanged = is.get(&id) == Some(&key) && before.record(id) == now.record(id);
        if unchanged && !came_and_went {
            assert_eq!(seen.get(&id), Some(&1), "{query:?}");
        }
    }
}

#[tokio::test]
async fn any_query_finds_what_looking_at_every_record_finds() {
    tenantry::testkit::index_step(17);
    for seed in seeds(6) {
        println!("seed {seed}");
        history(seed).await;
    }
}

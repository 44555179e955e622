//! Feeds: what happened, what needs somebody, and what somebody made of it.

mod actions;
mod apart;
mod kills;
mod model;
mod notices;
mod of_records;

use tenantry::model::{Feed, FeedCursor, Happening, Notice, NoticeQuery, RecordId, Topic};
use tenantry::{Directory, model::CustomerId};

/// Walks through a feed of notices in pages of so many.
pub(crate) async fn walk(
    directory: &Directory,
    customer: &CustomerId,
    query: &NoticeQuery,
    limit: usize,
) -> Vec<Notice> {
    let (mut all, mut after): (Vec<Notice>, Option<FeedCursor>) = (Vec::new(), None);
    loop {
        let mut page = directory.notices(customer, query, after.as_ref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        all.append(&mut page.entries);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Walks through what happened in pages of so many.
pub(crate) async fn walk_events(
    directory: &Directory,
    customer: &CustomerId,
    of: Option<RecordId>,
    limit: usize,
) -> Vec<Happening> {
    let (mut all, mut before): (Vec<Happening>, Option<FeedCursor>) = (Vec::new(), None);
    loop {
        let mut page = directory.happened(customer, of, before.as_ref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        all.append(&mut page.entries);
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

pub(crate) async fn all(directory: &Directory, customer: &CustomerId, feed: Feed) -> Vec<Notice> {
    walk(directory, customer, &NoticeQuery::new(feed), 1000).await
}

pub(crate) fn topics(notices: &[Notice]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = notices.iter().map(|notice| notice.topic).collect();
    topics.sort_unstable();
    topics
}

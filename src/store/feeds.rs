//! What feeds are made of. See [`Directory`](crate::Directory) for what each call promises. All functions block.

use crate::endpoint::Action;
use crate::error::Result;
use crate::model::{
    ActionId, Answer, CustomerId, EndpointName, FeedCursor, FeedPage, Happening, Notice, NoticeId, NoticeQuery,
    RecordId, Timestamp,
};

/// A series of actions, as it is kept.
#[derive(Debug, Clone)]
pub struct AskedSeries {
    /// Its id.
    pub request: ActionId,
    /// Who asked.
    pub by: String,
    /// What was asked.
    pub action: Action,
    /// Of whom, and through which endpoint.
    pub of: Vec<(RecordId, Option<EndpointName>)>,
}

/// What became of an action on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedResult {
    /// The record.
    pub record: RecordId,
    /// What became of it, as one word.
    pub result: String,
    /// Why not, if it was not done.
    pub reason: Option<String>,
}

/// Reads and writes what happened, what was asked, and what needs somebody.
pub trait Feeds {
    /// Reads what happened, newest first, before a cursor: all of it, or what concerns one record.
    fn happened(
        &self,
        customer: &CustomerId,
        of: Option<RecordId>,
        before: Option<&FeedCursor>,
        limit: usize,
    ) -> Result<FeedPage<Happening>>;

    /// Reads what needs somebody, newest first, behind a cursor.
    fn notices(
        &self,
        customer: &CustomerId,
        query: &NoticeQuery,
        after: Option<&FeedCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<FeedPage<Notice>>;

    /// Notes what somebody made of a notice; `None` takes that back.
    fn answer(
        &self,
        customer: &CustomerId,
        notice: &NoticeId,
        answer: Option<(Answer, &str)>,
        now: Timestamp,
    ) -> Result<()>;

    /// Notes that actions are asked for, before anything is sent. Returns what was done under the same id before.
    fn begin_actions(&self, customer: &CustomerId, series: &AskedSeries, now: Timestamp) -> Result<Vec<AskedResult>>;

    /// Notes what became of actions.
    fn end_actions(&self, customer: &CustomerId, request: ActionId, results: &[AskedResult]) -> Result<()>;
}

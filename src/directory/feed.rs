//! Feeds of a customer, of a user, or of any other record: what happened, and what needs somebody.

use super::{Directory, blocking};
use crate::error::Result;
use crate::model::{
    Answer, CustomerId, FeedCursor, FeedPage, Happening, Notice, NoticeId, NoticeQuery, RecordId, Timestamp,
};

/// Feeds. Walked to the end, each finds what does not change meanwhile exactly once; what is new comes before the first
/// page. No page costs more the longer a feed is: what is many is read from an index, and a page may be short, or
/// empty, where much of what was looked at is over.
impl Directory {
    /// Reads what happened, newest first, before a cursor: at most `limit` entries, of 1 to 1000. With a record, only
    /// what tells of it: its own events, its memberships, conflicts that name it, and what was asked of its account.
    ///
    /// Actions stand between the events, behind the one that was the last when they were asked for. What is no longer
    /// kept is not told.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown customer,
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a cursor of another feed.
    pub async fn happened(
        &self,
        customer: &CustomerId,
        record: Option<RecordId>,
        before: Option<&FeedCursor>,
        limit: usize,
    ) -> Result<FeedPage<Happening>> {
        let (store, customer, before) = (self.store.clone(), customer.clone(), before.cloned());
        blocking(move || store.happened(&customer, record, before.as_ref(), limit)).await
    }

    /// Reads alerts, suggestions or reminders, newest first, behind a cursor: at most `limit`, of 1 to 1000.
    ///
    /// They follow from what is stored: each is there as long as its cause is, and no longer. With a record, those that
    /// concern it.
    ///
    /// # Errors
    /// As [`Directory::happened`].
    pub async fn notices(
        &self,
        customer: &CustomerId,
        query: &NoticeQuery,
        after: Option<&FeedCursor>,
        limit: usize,
    ) -> Result<FeedPage<Notice>> {
        let (store, customer, after) = (self.store.clone(), customer.clone(), after.cloned());
        let (query, now) = (query.clone(), Timestamp(self.clock.now_unix_millis()));
        blocking(move || store.notices(&customer, &query, after.as_ref(), limit, now)).await
    }

    /// Notes what somebody made of a notice. It holds for this cause and those before it: with a new cause the notice is
    /// there again, unanswered. `by` is the host's own word for who it was.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a notice that is over,
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it has a newer cause than the one that was seen.
    pub async fn answer(&self, customer: &CustomerId, notice: &NoticeId, answer: Answer, by: &str) -> Result<()> {
        let (notice, by) = (notice.clone(), by.to_owned());
        let answer = move |store: &dyn crate::store::Store, customer: &CustomerId, now| {
            store.answer(customer, &notice, Some((answer, &by)), now)
        };
        self.on_store(customer, answer).await
    }

    /// Takes an answer back; the notice is as if nobody had said anything.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown customer.
    pub async fn take_answer_back(&self, customer: &CustomerId, notice: &NoticeId) -> Result<()> {
        let notice = notice.clone();
        self.on_store(customer, move |store, customer, now| store.answer(customer, &notice, None, now)).await
    }
}

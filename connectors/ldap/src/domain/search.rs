//! A search of several pages under way: it stays on one controller, and begins anew where its cookie is lost.
//!
//! It must not know what becomes of the entries.

use crate::{Entry, PageProgress, SearchRequest};
use tenantry::Result;
use tenantry::endpoint::Context;
use uuid::Uuid;

use crate::domain::connection::{Connection, HeldCookie, Paged, STALLED_PAGES, cookies_do_not_work};

/// How often a search begins anew.
const RESTARTS: u32 = 3;

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    operation: &'static str,
    pin: Uuid,
    request: SearchRequest,
    cookie: Option<HeldCookie>,
    progress: PageProgress,
    restarts: u32,
    ended: bool,
}

impl Search {
    /// Creates a search that only the controller with this database may answer.
    pub(crate) fn new(operation: &'static str, pin: Uuid, request: SearchRequest) -> Self {
        let progress = PageProgress::new(STALLED_PAGES);
        Self { operation, pin, request, cookie: None, progress, restarts: 0, ended: false }
    }

    /// Reads the next page; nothing at the end. Entries may come twice if it had to begin anew.
    pub(crate) async fn next(&mut self, connection: &Connection, cx: &Context) -> Result<Option<Vec<Entry>>> {
        while !self.ended {
            let page = connection.page(cx, self.operation, Some(self.pin), &self.request, self.cookie.as_ref()).await?;
            match page {
                Paged::Page(page, next) => {
                    self.progress.observe(&page)?;
                    self.ended = next.is_none();
                    self.cookie = next;
                    return Ok(Some(page.entries));
                }
                Paged::CookieLost if self.restarts < RESTARTS => {
                    self.restarts += 1;
                    self.cookie = None;
                    self.progress = PageProgress::new(STALLED_PAGES);
                }
                Paged::CookieLost => return Err(cookies_do_not_work(self.operation)),
            }
        }
        Ok(None)
    }
}

//! A full listing: groups, then users, then computers, slice by slice, with the members of each group.
//!
//! It must not know what an attribute means.

use std::sync::Arc;

use crate::{Control, Filter, PageProgress, SearchRequest};
use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Context, SnapshotPager, SnapshotStep};
use tenantry::model::Scope;

use crate::domain::connection::{HeldCookie, Paged, STALLED_PAGES, cookies_do_not_work};
use crate::domain::controller::NOW;
use crate::domain::cursor::{Position, Since, SliceStart};
use crate::domain::delta;
use crate::domain::error::{another_server, base_gone, broken_off};
use crate::domain::gathering::Gathering;
use crate::domain::listing::{Class, Detail};
use crate::domain::members;
use crate::domain::reader::Shared;
use crate::domain::slices::Slices;

/// How often a slice begins anew without anything new coming of it.
const RESTARTS: u32 = 3;

/// A listing under way.
pub(crate) struct Snapshot {
    gathering: Gathering,
    detail: Detail,
    position: Position,
    /// Where deltas go on behind this listing.
    since: Since,
    /// What is being listed; nothing behind the last class.
    class: Option<Class>,
    slices: Slices,
    cookie: Option<HeldCookie>,
    progress: PageProgress,
    /// The pages of the slice are read; members that belong to it may be not.
    slice_read: bool,
    restarts: u32,
    /// What was read is being turned into pages. Whoever comes back while this is set finds a part of it lost.
    turning: bool,
}

impl Snapshot {
    /// Begins, or goes on behind a checkpoint.
    pub(crate) async fn begin(
        shared: Arc<Shared>,
        cx: &Context,
        detail: Detail,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let start = from.map(SliceStart::read).transpose()?;
        let controller = shared.connection.controller(cx).await?;
        let pin = controller.position.invocation;
        // Read before the first page: what changes from here on comes in the next delta.
        let now = controller.now(&shared.connection.root(cx, Some(pin), NOW).await?)?;
        let (position, since, class, slice, width) = match start {
            None => {
                // A listing of ids is followed by no delta, and a cookie is not to be had for nothing.
                let since = match detail {
                    Detail::Full => delta::beginning(&shared, cx, &controller, now.clone()).await?,
                    Detail::Ids => Since::Usn(now.clone()),
                };
                (now, since, shared.classes()[0], 0, None)
            }
            Some(start) => {
                let same = start.position.invocation == now.invocation && start.position.usn <= now.usn;
                if !same {
                    return Err(another_server());
                }
                (start.position, start.since, start.class, start.from, Some(start.width))
            }
        };
        let page_size = Gathering::page_size(&shared, class);
        Ok(Self {
            slices: Slices::new(slice, width, position.usn, page_size, shared.config.page_size),
            gathering: Gathering::new(shared, cx, controller, detail),
            detail,
            position,
            since,
            class: Some(class),
            cookie: None,
            progress: PageProgress::new(STALLED_PAGES),
            slice_read: false,
            restarts: 0,
            turning: false,
        })
    }

    async fn read_page(&mut self, class: Class) -> Result<()> {
        let Gathering { shared, cx, controller, .. } = &self.gathering;
        let filter = Filter::and([shared.filter(class)?, self.slices.filter()?]);
        let request = SearchRequest::new(shared.base(controller), filter)
            .attributes(self.gathering.attributes(class))
            .page_size(Gathering::page_size(shared, class))
            .control(members::extended())
            .control(Control::domain_scope().optional());
        let first = self.cookie.is_none();
        let operation = class.operation();
        let pin = Some(self.position.invocation);
        let read = shared.connection.page(cx, operation, pin, &request, self.cookie.as_ref()).await;
        match read.map_err(base_gone)? {
            Paged::CookieLost => {
                self.restarts += 1;
                if self.restarts > RESTARTS {
                    return Err(cookies_do_not_work(operation));
                }
                self.cookie = None;
                self.progress = PageProgress::new(STALLED_PAGES);
                Ok(())
            }
            Paged::Page(page, next) => {
                self.progress.observe(&page)?;
                if first && next.is_some() && self.gathering.is_untouched() && self.slices.narrow() {
                    return Ok(());
                }
                self.slice_read = next.is_none();
                self.cookie = next;
                self.turning = true;
                if self.gathering.take_listed(class, &page.entries).await? {
                    self.restarts = 0;
                }
                self.turning = false;
                Ok(())
            }
        }
    }

    /// Ends a slice: everything of it was given out with the last page that is ready.
    fn seal(&mut self, class: Class) {
        self.slice_read = false;
        let objects = self.gathering.forget();
        self.restarts = 0;
        self.progress = PageProgress::new(STALLED_PAGES);
        if self.slices.is_last() {
            self.gathering.close(Scope::of(class.kind()));
            let excluded = self.gathering.take_excluded();
            tracing::debug!(class = class.operation(), ?excluded, "class listed");
            self.class = self.gathering.shared.class_behind(class);
            if let Some(next) = self.class {
                let shared = &self.gathering.shared;
                let page_size = Gathering::page_size(shared, next);
                self.slices = Slices::new(0, None, self.position.usn, page_size, shared.config.page_size);
            }
        } else {
            self.slices.advance(objects);
        }
        if let (Some(class), Detail::Full) = (self.class, self.detail) {
            let start = SliceStart {
                position: self.position.clone(),
                since: self.since.clone(),
                class,
                from: self.slices.from(),
                width: self.slices.width(),
            };
            self.gathering.last_page().checkpoint = Some(start.checkpoint());
        }
    }
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        if self.turning {
            return Err(broken_off());
        }
        loop {
            self.gathering.cx.check_cancelled()?;
            if let Some(class) = self.class
                && self.slice_read
                && !self.gathering.has_work()
            {
                self.turning = true;
                let judged = self.gathering.judge_empty().await?;
                self.turning = false;
                if judged {
                    continue;
                }
                self.seal(class);
            }
            if let Some(page) = self.gathering.next_page() {
                return Ok(SnapshotStep::Page(page.into()));
            }
            if self.gathering.has_work() {
                self.turning = true;
                self.gathering.work().await?;
                self.turning = false;
            } else if let Some(class) = self.class {
                self.read_page(class).await?;
            } else {
                return Ok(SnapshotStep::End { cursor: (self.detail == Detail::Full).then(|| self.since.cursor()) });
            }
        }
    }
}

//! Changes since a cursor: which method reads them, and that a cursor of the other one has expired.
//!
//! It must not know how either of them asks.

use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{Context, Cursor, DeltaPager, DeltaStep};

use crate::config::DeltaMethod;
use crate::controller::Controller;
use crate::cursor::{Position, Since};
use crate::dirsync;
use crate::endpoint::Shared;

/// Begins to read the changes since a cursor, by the configured method.
pub(crate) async fn begin(shared: &Arc<Shared>, cx: &Context, cursor: &Cursor) -> Result<Box<dyn DeltaPager>> {
    cx.check_cancelled()?;
    match (shared.config.delta, Since::read(cursor)) {
        (DeltaMethod::DirSync, Some(Since::DirSync(since))) => dirsync::begin(shared, cx, since).await,
        _ => Ok(Box::new(Expired)),
    }
}

/// Tells where the first delta goes on, before the first page of a listing is asked for.
pub(crate) async fn beginning(
    shared: &Arc<Shared>,
    cx: &Context,
    controller: &Controller,
    now: Position,
) -> Result<Since> {
    match shared.config.delta {
        DeltaMethod::DirSync => Ok(Since::DirSync(dirsync::beginning(shared, cx, controller, &now).await?)),
        DeltaMethod::Usn | DeltaMethod::Off => Ok(Since::Usn(now)),
    }
}

/// A cursor that can no longer be used.
pub(crate) struct Expired;

#[async_trait]
impl DeltaPager for Expired {
    async fn next(&mut self) -> Result<DeltaStep> {
        Ok(DeltaStep::CursorExpired)
    }
}

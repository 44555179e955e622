//! What changed while a listing ran, told on its last pages: objects as they are now, and those that are gone again.
//!
//! It is for freshness alone: the listing ends with the links from before its first page, so that the next delta tells
//! all of this once more, and the memberships that ended, which a listing cannot say. It must not know what was listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenantry::endpoint::SnapshotPage;
use tenantry::model::ObjectKey;
use tenantry::{Context, Result};

use crate::client::Graph;
use crate::cursor::Since;
use crate::round::{Changes, Round, Told};

/// The changes since the links that a listing began with.
pub(crate) struct Replay {
    round: Round,
    /// Gone, unless a later page brings them back.
    gone: BTreeSet<ObjectKey>,
    told: bool,
}

impl Replay {
    pub(crate) fn new(graph: Arc<Graph>, cx: &Context, since: &Since) -> Self {
        Self { round: Round::new(graph, cx, since), gone: BTreeSet::new(), told: false }
    }

    /// Returns the next page; nothing when all is told.
    pub(crate) async fn next(&mut self) -> Result<Option<SnapshotPage>> {
        while !self.told {
            match self.round.next().await? {
                Told::Page(Changes { patches, quarantined, tombstones, .. }) => {
                    for patch in &patches {
                        self.gone.remove(&patch.object);
                    }
                    self.gone.extend(tombstones.into_iter().map(|tombstone| tombstone.object));
                    if !patches.is_empty() || !quarantined.is_empty() {
                        return Ok(Some(SnapshotPage { patches, quarantined, ..SnapshotPage::default() }));
                    }
                }
                // Links that are forgotten so soon make the next delta a listing; this one is complete without them.
                Told::Expired | Told::End(_) => self.told = true,
            }
        }
        if self.gone.is_empty() {
            return Ok(None);
        }
        let withdrawn = std::mem::take(&mut self.gone).into_iter().collect();
        Ok(Some(SnapshotPage { withdrawn, ..SnapshotPage::default() }))
    }
}

//! An endpoint that is told what to say: a page before its listing, and the pages of its next delta. It knows no directory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPage, DeltaPager, DeltaStep, EndpointInfo,
    Membership, ObjectRef, Presence, SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::model::{Patch, SourceId};
use tenantry::testkit::ScriptedEndpoint;
use tenantry::{Customer, Endpoint, Result};

use crate::world::World;

/// A scripted endpoint whose listing begins with a page of reports, and whose next delta has exactly these pages.
#[derive(Debug)]
struct Told {
    directory: ScriptedEndpoint,
    reports: Vec<Patch>,
    pages: Mutex<Vec<DeltaPage>>,
}

struct Listing(Option<Vec<Patch>>, Box<dyn SnapshotPager>);

#[async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        match self.0.take() {
            Some(patches) => Ok(SnapshotStep::Page(SnapshotPage { patches, ..SnapshotPage::default() })),
            None => self.1.next().await,
        }
    }
}

struct Pages(std::vec::IntoIter<DeltaPage>, Cursor);

#[async_trait]
impl DeltaPager for Pages {
    async fn next(&mut self) -> Result<DeltaStep> {
        Ok(self.0.next().map_or_else(|| DeltaStep::CaughtUp(self.1.clone()), DeltaStep::Page))
    }
}

#[async_trait]
impl DeltaEndpoint for Told {
    async fn delta(&self, _cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let pages = std::mem::take(&mut *self.pages.lock().unwrap());
        Ok(Box::new(Pages(pages.into_iter(), since.clone())))
    }
}

#[async_trait]
impl Endpoint for Told {
    fn info(&self) -> &EndpointInfo {
        self.directory.info()
    }
    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.directory.coverage(cx).await
    }
    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.directory.verify(cx).await
    }
    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(Listing(Some(self.reports.clone()), self.directory.snapshot(cx, from).await?)))
    }
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.directory.id_listing(cx).await
    }
    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.directory.lookup(cx, ids).await
    }
    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.directory.check_members(cx, group, members).await
    }
    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }
}

/// Puts such an endpoint in the place of the world's.
pub(crate) async fn tell(world: &World, reports: Vec<Patch>, pages: Vec<DeltaPage>) {
    let endpoint = Told { directory: world.endpoint.clone(), reports, pages: Mutex::new(pages) };
    let endpoints = vec![Arc::new(endpoint) as Arc<dyn Endpoint>];
    world.service.register(Customer::new(world.customer.clone()), endpoints).await.unwrap();
}

/// Forty users of a directory whose tombstones can be read.
pub(crate) async fn world() -> World {
    let mut directory = World::directory(40);
    directory.tombstones_readable = true;
    World::with_deltas(directory).await
}

/// Forty users, imported; the next import is told these pages.
pub(crate) async fn told(pages: Vec<DeltaPage>) -> World {
    let mut world = world().await;
    world.import_done().await;
    world.events();
    tell(&world, Vec::new(), pages).await;
    world
}

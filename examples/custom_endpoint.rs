//! A whole connector: the users, groups and computers of a JSON file. It knows no other source.
//! `cargo run --example custom_endpoint [FILE]`; the suite for connectors runs over it in `tests/it/conformance/file.rs`.
use std::{collections::BTreeMap, ops::Bound, path::PathBuf};

use serde::Deserialize;
use tenantry::endpoint::*;
use tenantry::model::*;
use tenantry::{Error, ErrorKind, Result, Retry, gate::Cost};

/// One unit of a directory in a file.
#[derive(Debug, Clone)]
pub(crate) struct FileEndpoint {
    info: EndpointInfo,
    path: PathBuf,
    unit: String,
}

#[derive(Deserialize)]
struct File {
    directory: String,
    objects: BTreeMap<String, serde_json::Value>, // sorted by id: a place in it stays, whatever comes and goes
}

#[derive(Deserialize)]
struct Object {
    kind: ObjectKind,
    unit: String,
    name: String,
    mail: Option<String>,
    members: Option<Vec<String>>, // of a group; missing where whoever wrote the file could not read them
}

impl FileEndpoint {
    /// Creates the endpoint; nothing is read.
    pub(crate) fn new(name: &str, path: impl Into<PathBuf>, unit: &str) -> Result<Self> {
        let info = EndpointInfo::new(EndpointName::new(name)?, "json-file");
        Ok(Self { info, path: path.into(), unit: unit.into() })
    }

    /// Reads the file anew, through the gate.
    async fn read(&self, cx: &Context) -> Result<File> {
        let outage = || Error::new(ErrorKind::Unavailable, "the file cannot be read").with_retry(Retry::Backoff);
        let read = |_| async {
            let text = std::fs::read(&self.path).map_err(|error| outage().with_source(error))?;
            serde_json::from_slice(&text).map_err(|error| Error::protocol("this is no directory").with_source(error))
        };
        cx.gate().call(Cost::default(), "read the file", read).await
    }
}

fn patch(id: &SourceId, object: &Object) -> Patch {
    let patch = Patch::new(object.kind, id.clone()).in_container(&*object.unit);
    let (name, mail) = (&*object.name, object.mail.as_deref());
    match object.kind {
        // Who has no address is known to have none: it was looked for.
        ObjectKind::User => patch.with(names::DISPLAY_NAME, name).with(names::PRIMARY_EMAIL, Value::text(mail)),
        _ => patch.with(names::NAME, name),
    }
}

/// The directory and the id behind which to go on; none at the end.
struct Listing(FileEndpoint, Context, Option<(String, String)>);

#[async_trait::async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let Some((directory, after)) = self.2.clone() else { return Ok(SnapshotStep::End { cursor: None }) };
        let file = self.0.read(&self.1).await?;
        let mut rest = file.objects.range((Bound::Excluded(after), Bound::Unbounded)).peekable();
        let (mut page, mut last) = (SnapshotPage::default(), None);
        for (text, value) in rest.by_ref().take(10) {
            last = Some((directory.clone(), text.clone()));
            let id = SourceId::parse(text);
            match Object::deserialize(value) {
                Ok(object) if object.unit != self.0.unit => {}
                Ok(object) => {
                    page.patches.push(patch(&id, &object));
                    let scope = Scope::Members(id.clone(), Via::Explicit);
                    if let Some(members) = object.members {
                        let member = |id: &String| Member { id: SourceId::parse(id), kind: MemberKind::Unknown };
                        let members = members.iter().map(member).collect();
                        page.edges.push(Edges { group: id, via: Via::Explicit, members });
                        page.closed.push(scope);
                    } else if object.kind == ObjectKind::Group {
                        page.unreadable.push(Unreadable { scope, reason: "the file does not tell them".into() });
                    }
                }
                Err(wrong) => {
                    let (kind, id, reason) = (ObjectKind::User, Some(id), wrong.to_string());
                    page.quarantined.push(Quarantined { kind, id, reason });
                }
            }
        }
        self.2 = last.filter(|_| rest.peek().is_some());
        match &self.2 {
            Some((of, id)) => page.checkpoint = Some(Checkpoint::new(1, format!("{of}\n{id}"))),
            None => page.closed.extend([Scope::Users, Scope::Groups, Scope::Computers]),
        }
        Ok(SnapshotStep::Page(page))
    }
}

#[async_trait::async_trait]
impl Endpoint for FileEndpoint {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let mut coverage = CoverageInfo::new(self.read(cx).await?.directory, 1);
        coverage.filters.insert("unit".into(), self.unit.clone());
        Ok(coverage)
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        Ok(Verification { identity: self.read(cx).await?.directory, ..Verification::default() })
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let directory = self.read(cx).await?.directory;
        let after = from.map_or(Some(String::new()), |from| {
            let (of, id) = std::str::from_utf8(from.bytes()).ok()?.split_once('\n')?;
            (from.version() == 1 && of == directory).then(|| id.to_owned())
        });
        let after = after.ok_or_else(|| Error::new(ErrorKind::Conflict, "not a checkpoint of this directory"))?;
        Ok(Box::new(Listing(self.clone(), cx.clone(), Some((directory, after)))))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        let file = self.read(cx).await?;
        let answer = |id: &SourceId| match file.objects.get(&id.to_string()).map(Object::deserialize) {
            None => Presence::Gone(Evidence::NotFound),
            Some(Err(_)) => Presence::Present(None),
            Some(Ok(object)) if object.unit != self.unit => Presence::OutOfScope,
            Some(Ok(object)) => Presence::Present(Some(Box::new(patch(id, &object)))),
        };
        Ok(ids.iter().map(|asked| answer(&asked.key.id)).collect())
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, asked: &[SourceId]) -> Result<Vec<Membership>> {
        let file = self.read(cx).await?;
        let group = file.objects.get(&group.key.id.to_string());
        let answer = |id: &SourceId| match group.and_then(|group| Object::deserialize(group).ok()?.members) {
            None => Membership::Unknown,
            Some(members) if members.contains(&id.to_string()) => Membership::Member,
            Some(_) => Membership::NotMember,
        };
        Ok(asked.iter().map(answer).collect())
    }
}

//! One round of changes: three chains of pages, each to its end. It must not know what a cursor is.
//!
//! A row may carry only what changed, and leaves out what never had a value: every row that does not have all that was
//! asked for is read whole by its id, and what the row says is put over that, since replicas may lag behind it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, try_join_all};
use tenantry::model::{
    Edges, Member, ObjectKey, ObjectKind, Patch, Quarantined, SourceId, Timestamp, Tombstone, TombstoneKind, Via,
};
use tenantry::{Context, Error, Result};
use tenantry_http::Answer;
use url::Url;

use crate::client::{Graph, unreadable};
use crate::cursor::{Link, Links, Since};
use crate::error::Refusal;
use crate::listing::{Mark, Watch};
use crate::lookup::{self, Found};
use crate::map;
use crate::operation::Operation;
use crate::wire::{DeviceRow, GroupRow, Removed, Rows, Text, UserRow, read_page};

/// A group counts as new if it was made so long before the cursor was taken: clocks differ, and a listing may lag.
const NEW_SINCE: i64 = 24 * 60 * 60 * 1000;

/// What a round of a kind is called.
pub(crate) fn operation(kind: ObjectKind) -> Operation {
    match kind {
        ObjectKind::User => Operation::UsersDelta,
        ObjectKind::Group => Operation::GroupsDelta,
        ObjectKind::Computer => Operation::DevicesDelta,
    }
}

/// What one page of changes says, each object once.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) patches: Vec<Patch>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) began: Vec<Edges>,
    pub(crate) ended: Vec<Edges>,
    /// Groups that came into being, and whether they hide their members.
    pub(crate) new_groups: Vec<(SourceId, bool)>,
}

/// What a round gives next.
#[derive(Debug)]
pub(crate) enum Told {
    Page(Changes),
    /// All chains came to their end; where the next round begins.
    End(Links),
    /// Graph does not remember since when changes were asked for.
    Expired,
}

/// One row, before what is missing of it was read.
#[derive(Debug)]
enum Row {
    Changed { patch: Patch, whole: bool },
    Odd(Quarantined),
    Gone { id: SourceId, for_good: bool },
}

impl Row {
    fn id(&self) -> Option<&SourceId> {
        match self {
            Self::Changed { patch, .. } => Some(&patch.object.id),
            Self::Odd(quarantined) => quarantined.id.as_ref(),
            Self::Gone { id, .. } => Some(id),
        }
    }
}

/// A page as it came.
#[derive(Debug)]
struct Raw {
    rows: Vec<Row>,
    /// Memberships in the order in which they are told: group, member, whether it ended.
    members: Vec<(SourceId, Member, bool)>,
    new_groups: Vec<(SourceId, bool)>,
    next: Option<Link>,
    delta: Option<Link>,
    mark: Mark,
}

/// A page, or that there is none any more.
#[derive(Debug)]
enum Asked {
    Page(Raw),
    Expired,
}

/// One chain of pages.
struct Chain {
    kind: ObjectKind,
    /// The page that was asked for.
    pending: BoxFuture<'static, Result<Asked>>,
    /// A first page that came before its turn.
    ready: Option<Asked>,
    watch: Watch,
}

/// All chains from their links to their ends.
pub(crate) struct Round {
    graph: Arc<Graph>,
    cx: Context,
    /// Groups made later than this are new, as text that sorts like time.
    new_since: Arc<str>,
    chains: VecDeque<Chain>,
    begun: bool,
    links: Links,
}

impl Round {
    pub(crate) fn new(graph: Arc<Graph>, cx: &Context, since: &Since) -> Self {
        let new_since: Arc<str> = Timestamp(since.taken - NEW_SINCE).to_string().into();
        let chain = |(kind, link): (ObjectKind, Option<&Link>)| {
            let asked = ask(Arc::clone(&graph), cx.clone(), kind, graph.at(link?), true, Arc::clone(&new_since));
            Some(Chain { kind, pending: asked.boxed(), ready: None, watch: Watch::default() })
        };
        let chains = since.links.each().into_iter().filter_map(chain).collect();
        let links = Links { users: None, groups: None, devices: None };
        Self { cx: cx.clone(), new_since, chains, begun: false, links, graph }
    }

    /// Reads the next page.
    pub(crate) async fn next(&mut self) -> Result<Told> {
        if !self.begun {
            // First pages side by side: mostly there are no others.
            let first = try_join_all(self.chains.iter_mut().map(|chain| &mut chain.pending)).await?;
            self.begun = true;
            if first.iter().any(|asked| matches!(asked, Asked::Expired)) {
                return Ok(Told::Expired);
            }
            for (chain, asked) in self.chains.iter_mut().zip(first) {
                chain.ready = Some(asked);
            }
        }
        let Some(chain) = self.chains.front_mut() else { return Ok(Told::End(self.links.clone())) };
        let asked = match chain.ready.take() {
            Some(asked) => asked,
            None => (&mut chain.pending).await?,
        };
        let Asked::Page(raw) = asked else { return Ok(Told::Expired) };
        let kind = chain.kind;
        match (&raw.next, &raw.delta) {
            (Some(next), None) => {
                chain.watch.note(raw.mark, Some(next))?;
                let (graph, new_since) = (Arc::clone(&self.graph), Arc::clone(&self.new_since));
                chain.pending = ask(graph, self.cx.clone(), kind, self.graph.at(next), false, new_since).boxed();
            }
            (None, Some(link)) => {
                self.links.set(kind, Some(link.clone()));
                self.chains.pop_front();
            }
            _ => return Err(Error::protocol("a page of changes has to lead either on or to the next round")),
        }
        complete(&self.graph, &self.cx, kind, raw).await.map(Told::Page)
    }
}

/// Asks for one page of changes.
async fn ask(
    graph: Arc<Graph>,
    cx: Context,
    kind: ObjectKind,
    url: Url,
    first: bool,
    new_since: Arc<str>,
) -> Result<Asked> {
    let read = graph.get(&cx, operation(kind), 1, &url, |answer| read_changes(&graph, kind, &new_since, answer));
    match read.await {
        Ok(raw) => Ok(Asked::Page(raw)),
        Err(error) => match Refusal::of(&error) {
            Some(refusal) if is_reset(refusal, first) => Ok(Asked::Expired),
            _ => Err(error),
        },
    }
}

/// Tells whether a refusal means that Graph has forgotten since when changes were asked for.
///
/// The first request of a round carries the delta token: every documented and every observed form of refusing that is
/// this. Behind it only what cannot mean anything else is.
fn is_reset(refusal: &Refusal, first: bool) -> bool {
    let ambiguous = ["Request_UnsupportedQuery", "Directory_ExpiredPageToken"];
    refusal.is_of_an_expired_token()
        && (first || !ambiguous.iter().any(|code| code.eq_ignore_ascii_case(&refusal.code)))
}

fn read_changes(graph: &Graph, kind: ObjectKind, new_since: &str, answer: &Answer) -> Result<Raw> {
    let failed = |error: serde_json::Error| unreadable(answer, &error);
    match kind {
        ObjectKind::User => {
            let page = read_page::<UserRow<'_>>(&answer.body).map_err(failed)?;
            raw(graph, kind, page, |row, raw| {
                raw.rows.push(changed(&row.id, row.removed.as_ref(), row.is_whole(), || map::user(row)));
                Ok(())
            })
        }
        ObjectKind::Group => {
            let page = read_page::<GroupRow<'_>>(&answer.body).map_err(failed)?;
            raw(graph, kind, page, |row, raw| group_row(row, new_since, raw))
        }
        ObjectKind::Computer => {
            let page = read_page::<DeviceRow<'_>>(&answer.body).map_err(failed)?;
            raw(graph, kind, page, |row, raw| {
                // Owners are never among the changes: each device is read whole.
                raw.rows.push(changed(&row.id, row.removed.as_ref(), false, || map::device(row)));
                Ok(())
            })
        }
    }
}

fn raw<R>(
    graph: &Graph,
    kind: ObjectKind,
    page: Rows<'_, R>,
    mut take: impl FnMut(&R, &mut Raw) -> Result<()>,
) -> Result<Raw> {
    let link = |text: Option<&Text<'_>>| text.map(|text| graph.link(text)).transpose();
    let mut raw = Raw {
        rows: Vec::with_capacity(page.read.len()),
        members: Vec::new(),
        new_groups: Vec::new(),
        next: link(page.next.as_ref())?,
        delta: link(page.delta.as_ref())?,
        mark: Mark::of([]),
    };
    for row in &page.read {
        take(row, &mut raw)?;
    }
    for (id, reason) in page.odd {
        raw.rows.push(Row::Odd(map::quarantined(kind, id.as_deref(), reason)));
    }
    let members = raw.members.iter().map(|(_, member, _)| member.id.to_string());
    let ids: Vec<String> = raw.rows.iter().filter_map(Row::id).map(ToString::to_string).chain(members).collect();
    raw.mark = Mark::of(ids.iter().map(String::as_str));
    Ok(raw)
}

fn changed(
    id: &str,
    removed: Option<&Removed<'_>>,
    whole: bool,
    read: impl FnOnce() -> Result<Patch, Quarantined>,
) -> Row {
    match (removed, read()) {
        (Some(removed), _) if !id.is_empty() => Row::Gone { id: SourceId::parse(id), for_good: removed.for_good() },
        (_, Ok(patch)) => Row::Changed { patch, whole },
        (_, Err(quarantined)) => Row::Odd(quarantined),
    }
}

fn group_row(row: &GroupRow<'_>, new_since: &str, raw: &mut Raw) -> Result<()> {
    raw.rows.push(changed(&row.id, row.removed.as_ref(), row.is_whole(), || map::group(row)));
    if row.removed.is_some() || row.id.is_empty() {
        return Ok(());
    }
    let group = SourceId::parse(&row.id);
    if row.created_date_time.value().is_some_and(|made| made.get(..19) >= new_since.get(..19)) {
        raw.new_groups.push((group.clone(), row.hides_members()));
    }
    // Absent means unchanged, or that there are none: nothing either way.
    for member in row.members.iter().flatten() {
        let ended = member.removed.is_some();
        let member = map::member(member).ok_or_else(|| Error::protocol("a member has no id"))?;
        raw.members.push((group.clone(), member, ended));
    }
    Ok(())
}

/// The rows of a page, each object once.
struct Merged {
    order: Vec<SourceId>,
    last: HashMap<SourceId, Row>,
    /// Rows that do not tell whose they are.
    nameless: Vec<Quarantined>,
}

/// An object may be on a page several times: the last row counts, over what the earlier ones said.
fn merge(rows: Vec<Row>) -> Merged {
    let mut merged = Merged { order: Vec::new(), last: HashMap::new(), nameless: Vec::new() };
    for row in rows {
        let Some(id) = row.id().cloned() else {
            if let Row::Odd(quarantined) = row {
                merged.nameless.push(quarantined);
            }
            continue;
        };
        let row = match (merged.last.remove(&id), row) {
            (None, row) => {
                merged.order.push(id.clone());
                row
            }
            (Some(Row::Changed { patch: earlier, whole: before }), Row::Changed { patch, whole }) => {
                Row::Changed { patch: map::overlay(earlier, patch), whole: before || whole }
            }
            (Some(_), row) => row,
        };
        merged.last.insert(id, row);
    }
    merged
}

/// Reads what is missing of the rows of a page, and says each thing once.
async fn complete(graph: &Graph, cx: &Context, kind: ObjectKind, raw: Raw) -> Result<Changes> {
    let mut changes = Changes::default();
    let Merged { order, mut last, nameless } = merge(raw.rows);
    changes.quarantined.extend(nameless);
    let parts: Vec<SourceId> =
        order.iter().filter(|id| matches!(last.get(id), Some(Row::Changed { whole: false, .. }))).cloned().collect();
    let mut whole = lookup::objects(graph, cx, kind, &parts).await?;
    for id in order {
        match last.remove(&id) {
            Some(Row::Changed { patch, .. }) => match whole.remove(&id) {
                Some(Found::Patch(now)) => changes.patches.push(map::overlay(*now, patch)),
                Some(Found::Odd(quarantined)) => changes.quarantined.push(quarantined),
                // Gone since, or not yet everywhere: the next round tells.
                None => changes.patches.push(patch),
            },
            Some(Row::Odd(quarantined)) => changes.quarantined.push(quarantined),
            Some(Row::Gone { id, for_good }) => {
                let kind_of = if for_good { TombstoneKind::Hard } else { TombstoneKind::Soft };
                changes.tombstones.push(Tombstone { object: ObjectKey { kind, id }, kind: kind_of });
            }
            None => {}
        }
    }
    let gone: HashSet<&SourceId> = changes.tombstones.iter().map(|tombstone| &tombstone.object.id).collect();
    changes.new_groups = raw.new_groups.into_iter().filter(|(id, _)| !gone.contains(id)).collect();
    (changes.began, changes.ended) = memberships(raw.members);
    Ok(changes)
}

/// Sorts memberships by what became of them: of several statements on one the last counts.
fn memberships(told: Vec<(SourceId, Member, bool)>) -> (Vec<Edges>, Vec<Edges>) {
    let mut last: HashMap<(SourceId, SourceId), usize> = HashMap::new();
    if told.iter().any(|(_, _, ended)| *ended) {
        for (at, (group, member, _)) in told.iter().enumerate() {
            last.insert((group.clone(), member.id.clone()), at);
        }
    }
    let (mut began, mut ended) = (Vec::<Edges>::new(), Vec::<Edges>::new());
    for (at, (group, member, has_ended)) in told.into_iter().enumerate() {
        if last.get(&(group.clone(), member.id.clone())).is_some_and(|last| *last != at) {
            continue;
        }
        let edges = if has_ended { &mut ended } else { &mut began };
        match edges.last_mut().filter(|edges| edges.group == group) {
            Some(edges) => edges.members.push(member),
            None => edges.push(Edges { group, via: Via::Explicit, members: vec![member] }),
        }
    }
    (began, ended)
}

#[cfg(test)]
mod tests {
    use tenantry::model::{MemberKind, names};

    use super::*;

    #[test]
    fn every_known_form_of_a_forgotten_token_is_one_and_no_other_refusal_is() {
        // Status, code, on the request with the delta token, on a later one.
        let cases = [
            (410, "", true, true),
            (410, "resyncRequired", true, true),
            (410, "SyncStateNotFound", true, true),
            (400, "syncStateNotFound", true, true),
            (400, "resyncRequired", true, true),
            (404, "syncStateInvalid", true, true),
            (400, "Request_UnsupportedQuery", true, false),
            (400, "Directory_ExpiredPageToken", true, false),
            (400, "Request_BadRequest", false, false),
            (400, "", false, false),
            (403, "Authorization_RequestDenied", false, false),
            (404, "Request_ResourceNotFound", false, false),
            (429, "TooManyRequests", false, false),
            (503, "syncStateNotFound", false, false),
        ];
        for (status, code, first, later) in cases {
            let refusal = Refusal { status, code: code.into() };
            assert_eq!(is_reset(&refusal, true), first, "{status} {code} with a delta token");
            assert_eq!(is_reset(&refusal, false), later, "{status} {code} behind the first page");
        }
    }

    #[test]
    fn of_several_rows_of_one_object_the_last_counts_over_what_the_earlier_ones_said() {
        let row = |id: &str, body: &str| {
            let text = format!(r#"{{"id":"{id}",{body}}}"#);
            let row: UserRow<'_> = serde_json::from_str(&text).unwrap();
            changed(id, row.removed.as_ref(), row.is_whole(), || map::user(&row))
        };
        let gone = r#""@removed":{"reason":"changed"}"#;
        let merged = merge(vec![
            row("a", r#""surname":"Old","givenName":"Ann""#),
            row("b", gone),
            row("c", r#""surname":"There""#),
            row("a", r#""surname":"New""#),
            row("b", r#""surname":"Back""#),
            row("c", gone),
        ]);
        let ids = ["a", "b", "c"].map(SourceId::parse);
        assert_eq!(merged.order, ids);
        let Row::Changed { patch, whole: false } = &merged.last[&ids[0]] else { panic!("a part of it") };
        assert_eq!(patch.attributes.text(&names::LAST_NAME), Some("New"));
        assert_eq!(patch.attributes.text(&names::FIRST_NAME), Some("Ann"), "what the last row does not say stays");
        assert!(matches!(&merged.last[&ids[1]], Row::Changed { .. }), "who was removed is back");
        assert!(matches!(&merged.last[&ids[2]], Row::Gone { for_good: false, .. }));
    }

    #[test]
    fn of_several_statements_on_one_membership_the_last_counts() {
        let (group, other) = (SourceId::parse("g"), SourceId::parse("h"));
        let member = |id: &str| Member { id: SourceId::parse(id), kind: MemberKind::User };
        let (began, ended) = memberships(vec![
            (group.clone(), member("a"), true),
            (group.clone(), member("b"), false),
            (other.clone(), member("a"), true),
            (group.clone(), member("a"), false),
            (group.clone(), member("b"), true),
        ]);
        let edges =
            |group: &SourceId, id: &str| Edges { group: group.clone(), via: Via::Explicit, members: vec![member(id)] };
        assert_eq!(began, [edges(&group, "a")]);
        assert_eq!(ended, [edges(&other, "a"), edges(&group, "b")]);
    }
}

//! One page of a listing, of members or of objects, turned into patches. It must not know which page comes next.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tenantry::model::{Member, ObjectKind, Patch, Quarantined, SourceId};
use tenantry::{Context, Error, ErrorKind, Result};
use tenantry_http::Answer;
use url::Url;

use crate::client::{Ask, Graph, unreadable};
use crate::cursor::Link;
use crate::error::Refusal;
use crate::map;
use crate::operation::Operation;
use crate::requests::Detail;
use crate::wire::{DeviceRow, GroupRow, MemberRow, Rows, UserRow, read_page};

/// Pages without anything on them that are read in one chain before it counts as endless.
const EMPTY_PAGES: u32 = 1_000;
/// How often one page may come in one chain.
const SAME_PAGES: u8 = 2;

/// One page of users, groups or devices.
#[derive(Debug)]
pub(crate) struct ListPage {
    pub(crate) patches: Vec<Patch>,
    pub(crate) quarantined: Vec<Quarantined>,
    /// Of groups: whether their members are shown only to who has a right of its own.
    pub(crate) hidden: Vec<bool>,
    pub(crate) next: Option<Link>,
    pub(crate) mark: Mark,
}

/// One page of members.
#[derive(Debug)]
pub(crate) struct MembersPage {
    pub(crate) members: Vec<Member>,
    pub(crate) next: Option<Link>,
    pub(crate) mark: Mark,
}

/// What tells a page from others: nothing for an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(Option<u64>);

impl Mark {
    pub(crate) fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut count = 0_usize;
        for id in ids {
            id.hash(&mut hasher);
            count += 1;
        }
        Self((count > 0).then(|| hasher.finish()))
    }

    /// Tells the last page of a chain from nothing: no other comes behind it.
    fn unless_last<'a>(next: Option<&Link>, ids: impl IntoIterator<Item = &'a str>) -> Self {
        if next.is_some() { Self::of(ids) } else { Self(None) }
    }
}

/// What was seen of one chain of pages, so that one without an end is noticed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    links: HashSet<u64>,
    pages: std::collections::HashMap<u64, u8>,
    empty: u32,
}

impl Watch {
    /// Notes a page and where it leads.
    ///
    /// # Errors
    /// `Protocol` for a link that was followed before, a page that comes again and again, and empty pages without end.
    pub(crate) fn note(&mut self, mark: Mark, next: Option<&Link>) -> Result<()> {
        match mark.0 {
            None => {
                self.empty += 1;
                if self.empty > EMPTY_PAGES {
                    return Err(Error::protocol("graph gives empty pages without end"));
                }
            }
            Some(mark) => {
                self.empty = 0;
                let times = self.pages.entry(mark).or_default();
                *times = times.saturating_add(1);
                if *times > SAME_PAGES {
                    return Err(Error::protocol("graph gives the same page again and again"));
                }
            }
        }
        if let Some(next) = next {
            let mut hasher = DefaultHasher::new();
            next.hash(&mut hasher);
            if !self.links.insert(hasher.finish()) {
                return Err(Error::protocol("graph leads in a circle: a link came for the second time"));
            }
        }
        Ok(())
    }
}

/// Reads one page of a listing.
pub(crate) async fn page(graph: &Graph, cx: &Context, kind: ObjectKind, detail: Detail, url: &Url) -> Result<ListPage> {
    let (operation, units) = price(kind, detail);
    graph.get(cx, operation, units, url, |answer| read_list(graph, kind, answer)).await
}

/// Returns what a page costs in resource units: users 2, others 1; one less with a selection, one more with owners.
fn price(kind: ObjectKind, detail: Detail) -> (Operation, u32) {
    match (kind, detail) {
        (ObjectKind::User, _) => (Operation::ListUsers, 1),
        (ObjectKind::Group, _) => (Operation::ListGroups, 1),
        (ObjectKind::Computer, Detail::Full) => (Operation::ListDevices, 1),
        (ObjectKind::Computer, Detail::Ids) => (Operation::ListDevices, 1),
    }
}

fn read_list(graph: &Graph, kind: ObjectKind, answer: &Answer) -> Result<ListPage> {
    let body = &answer.body;
    let failed = |error: serde_json::Error| unreadable(answer, &error);
    match kind {
        ObjectKind::User => {
            let page = read_page::<UserRow<'_>>(body).map_err(failed)?;
            listed(graph, kind, page, |row| (&row.id, false), map::user)
        }
        ObjectKind::Group => {
            let page = read_page::<GroupRow<'_>>(body).map_err(failed)?;
            listed(graph, kind, page, |row| (&row.id, row.hides_members()), map::group)
        }
        ObjectKind::Computer => {
            let page = read_page::<DeviceRow<'_>>(body).map_err(failed)?;
            listed(graph, kind, page, |row| (&row.id, false), map::device)
        }
    }
}

fn listed<R>(
    graph: &Graph,
    kind: ObjectKind,
    page: Rows<'_, R>,
    about: impl Fn(&R) -> (&str, bool),
    read: impl Fn(&R) -> Result<Patch, Quarantined>,
) -> Result<ListPage> {
    let next = page.next.as_ref().map(|link| graph.link(link)).transpose()?;
    let odd = page.odd.into_iter().map(|(id, reason)| map::quarantined(kind, id.as_deref(), reason));
    let mut listed = ListPage {
        patches: Vec::with_capacity(page.read.len()),
        quarantined: odd.collect(),
        hidden: Vec::new(),
        mark: Mark::unless_last(next.as_ref(), page.read.iter().map(|row| about(row).0)),
        next,
    };
    for row in &page.read {
        match read(row) {
            Ok(patch) => {
                listed.patches.push(patch);
                if kind == ObjectKind::Group {
                    listed.hidden.push(about(row).1);
                }
            }
            Err(quarantined) => listed.quarantined.push(quarantined),
        }
    }
    Ok(listed)
}

/// How the members of one group were answered.
#[derive(Debug)]
pub(crate) enum Answered {
    Page(MembersPage),
    /// The group is not there, or its members may not be read: why.
    Unreadable(&'static str),
    /// The position was lost: its members are read again from the first.
    Expired,
}

/// Reads a page of the members of up to 20 groups.
pub(crate) async fn members(graph: &Graph, cx: &Context, wanted: &[(Box<str>, Option<Link>)]) -> Result<Vec<Answered>> {
    let ask = |(group, next): &(Box<str>, Option<Link>)| {
        let url = match next {
            None => Some(graph.requests.members(group)),
            Some(link) => graph.relative(link),
        };
        // Members cost 3, one less with a selection.
        url.map(|url| Ask { url, units: 2 })
            .ok_or_else(|| Error::protocol("graph leads to another version of itself, which is not followed"))
    };
    let asks = wanted.iter().map(ask).collect::<Result<Vec<_>>>()?;
    let operation = Operation::ListMembers;
    let answers = match asks.as_slice() {
        [ask] if graph.config.batch == 1 => {
            let read = |answer: &Answer| read_members(graph, &answer.body, |error| unreadable(answer, error));
            vec![graph.get(cx, operation, ask.units, &graph.alone(ask), read).await]
        }
        asks => {
            let odd = |error: &serde_json::Error| {
                Error::protocol("a page of members is not of the expected form").with_context("column", error.column())
            };
            graph.batch(cx, operation, asks, |_, body| read_members(graph, body, odd)).await?
        }
    };
    answers.into_iter().map(judge).collect()
}

fn judge(answer: Result<MembersPage>) -> Result<Answered> {
    Ok(match answer {
        Ok(page) => Answered::Page(page),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Answered::Unreadable("the group vanished while its members were read"),
            ErrorKind::PermissionDenied { .. } => {
                Answered::Unreadable("the application may not read its members; grant GroupMember.Read.All")
            }
            _ if Refusal::of(&error).is_some_and(Refusal::is_of_an_expired_page) => Answered::Expired,
            _ => return Err(error),
        },
    })
}

fn read_members(graph: &Graph, body: &[u8], odd: impl Fn(&serde_json::Error) -> Error) -> Result<MembersPage> {
    let page = read_page::<MemberRow<'_>>(body).map_err(|error| odd(&error))?;
    if let Some((_, reason)) = page.odd.into_iter().next() {
        // Who is left out would seem to be no member any more.
        return Err(Error::protocol("a member makes no sense").with_context("reason", reason));
    }
    let next = page.next.as_ref().map(|link| graph.link(link)).transpose()?;
    let mark = Mark::unless_last(next.as_ref(), page.read.iter().map(|row| &*row.id));
    let members = page.read.iter().map(|row| map::member(row).ok_or_else(|| Error::protocol("a member has no id")));
    Ok(MembersPage { members: members.collect::<Result<_>>()?, next, mark })
}

/// Reads all members of one group; nothing if they cannot be read.
pub(crate) async fn all_members(
    graph: &Graph,
    cx: &Context,
    group: &SourceId,
) -> Result<std::result::Result<Vec<Member>, &'static str>> {
    let mut all = Vec::new();
    let mut watch = Watch::default();
    let mut at = (group.to_string().into_boxed_str(), None);
    loop {
        let answered = members(graph, cx, std::slice::from_ref(&at)).await?;
        match answered.into_iter().next() {
            Some(Answered::Page(page)) => {
                watch.note(page.mark, page.next.as_ref())?;
                all.extend(page.members);
                match page.next {
                    Some(next) => at.1 = Some(next),
                    None => return Ok(Ok(all)),
                }
            }
            Some(Answered::Unreadable(why)) => return Ok(Err(why)),
            Some(Answered::Expired) | None => {
                return Err(Error::new(ErrorKind::Unavailable, "graph lost the position in a group's members"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link(text.into())
    }

    #[test]
    fn an_answer_without_a_body_is_asked_for_again_and_no_end() {
        let secret = crate::Credential::Secret(tenantry::Secret::new("pw"));
        let config = crate::Office365Config::new("corp.example", "11111111-2222-3333-4444-555555555555", secret);
        let graph = Graph::new(config.check().unwrap()).unwrap();
        for kind in ObjectKind::ALL {
            let answer = Answer {
                status: reqwest::StatusCode::OK,
                headers: reqwest::header::HeaderMap::new(),
                body: Vec::new().into(),
            };
            let error = read_list(&graph, *kind, &answer).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (&ErrorKind::Protocol, tenantry::Retry::Backoff), "{kind}");
        }
        assert!(read_members(&graph, b"", |_| Error::protocol("no form")).is_err());
    }

    #[test]
    fn a_link_that_comes_twice_is_a_circle() {
        let mut watch = Watch::default();
        watch.note(Mark::of(["a"]), Some(&link("/1"))).unwrap();
        watch.note(Mark::of(["b"]), Some(&link("/2"))).unwrap();
        assert_eq!(*watch.note(Mark::of(["c"]), Some(&link("/1"))).unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn a_page_that_comes_again_under_new_links_is_noticed() {
        let mut watch = Watch::default();
        let note = |watch: &mut Watch, at: u32| watch.note(Mark::of(["a", "b"]), Some(&link(&format!("/{at}"))));
        note(&mut watch, 1).unwrap();
        note(&mut watch, 2).unwrap();
        assert!(note(&mut watch, 3).is_err());
    }

    #[test]
    fn empty_pages_are_no_end_and_not_endless() {
        let mut watch = Watch::default();
        for at in 0..EMPTY_PAGES {
            watch.note(Mark::of([]), Some(&link(&format!("/{at}")))).unwrap();
        }
        assert!(watch.note(Mark::of([]), Some(&link("/last"))).is_err());
    }
}

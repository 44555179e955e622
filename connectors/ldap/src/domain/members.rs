//! Members of groups: from the values of a listing, from ranges, and from the members' own side.
//!
//! It must not know in which order groups are listed.

use std::collections::HashSet;
use std::mem;

use crate::{Control, Entry, ExtendedDn, ExtendedDnForm, Filter, NextRange, RangedValues, SearchRequest, guid};
use tenantry::Result;
use tenantry::endpoint::Context;
use tenantry::model::{Edges, Member, MemberKind, SourceId, Via};
use uuid::Uuid;

use crate::domain::connection::Connection;
use crate::domain::controller::Controller;

/// How often a group that changes while it is read is read again.
const READINGS: u32 = 4;
/// Groups asked for in one search from the members' side.
const GROUPS_AT_ONCE: usize = 50;

/// One member, as small as it gets: a group may have as many as the domain has objects.
pub(crate) type Known = (Uuid, MemberKind);

/// Tells what a member is, as far as its name and what is known beforehand tell.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    /// Contacts, sorted; they have no SID by which they could be told.
    contacts: Vec<Uuid>,
    domain: String,
    foreign: String,
}

/// What came of reading a group's members to their end.
#[derive(Debug)]
pub(crate) enum Reading {
    /// All of them.
    Whole(Vec<Known>),
    /// Some, and why not all.
    Partial(Vec<Known>, String),
    /// The group is not there any more, or hidden.
    Vanished,
}

impl Kinds {
    pub(crate) fn new(controller: &Controller, mut contacts: Vec<Uuid>) -> Self {
        contacts.sort_unstable();
        contacts.dedup();
        let domain = format!(",{}", controller.domain);
        Self { contacts, foreign: format!(",CN=ForeignSecurityPrincipals{domain}"), domain }
    }

    /// Returns what a member is that its name does not tell to be a contact.
    pub(crate) fn contact(&self, guid: Uuid) -> Option<MemberKind> {
        self.contacts.binary_search(&guid).is_ok().then_some(MemberKind::Contact)
    }

    pub(crate) fn of(&self, guid: Uuid, dn: &str) -> MemberKind {
        let under = |suffix: &str| {
            let at = dn.len().checked_sub(suffix.len());
            at.and_then(|at| dn.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        if self.contacts.binary_search(&guid).is_ok() {
            MemberKind::Contact
        } else if under(&self.foreign) || !under(&self.domain) {
            MemberKind::External
        } else {
            MemberKind::Unknown
        }
    }

    /// Reads values; a value that does not tell its object's id leaves the list incomplete.
    pub(crate) fn read(&self, values: &[Vec<u8>]) -> (Vec<Known>, Option<String>) {
        let (mut members, mut wrong) = (Vec::with_capacity(values.len()), 0_u64);
        for value in values {
            let name = std::str::from_utf8(value).ok().and_then(|text| ExtendedDn::parse(text).ok());
            match name.and_then(|name| Some((name.guid?, name))) {
                Some((guid, name)) => members.push((guid, self.of(guid, &name.dn))),
                None => wrong += 1,
            }
        }
        let reason = (wrong > 0).then(|| format!("{wrong} members do not tell their id; look for damaged links"));
        (members, reason)
    }
}

/// Writes members as edges of a page.
pub(crate) fn edges(group: Uuid, members: &[Known]) -> Edges {
    let member = |&(guid, kind): &Known| Member { id: SourceId::Guid(guid), kind };
    Edges { group: SourceId::Guid(group), via: Via::Explicit, members: members.iter().map(member).collect() }
}

pub(crate) fn extended() -> Control {
    Control::extended_dn(ExtendedDnForm::Text)
}

/// Reads the members of one group, all of them or saying that it is not all.
///
/// A list that takes several calls is no list of one moment. Each call begins with the last value of the one before:
/// if another stands there, the list has shifted, and values may have slipped through. A member that is deleted shifts
/// it without any trace on the group. At the end the group's own change number has to be the one of the beginning.
pub(crate) async fn read_all(
    connection: &Connection,
    cx: &Context,
    pin: Option<Uuid>,
    group: Uuid,
    kinds: &Kinds,
) -> Result<Reading> {
    let name = guid::as_dn(&group);
    let mut last = (Vec::new(), String::new());
    for _ in 0..READINGS {
        let attributes = ["member", "uSNChanged"];
        let Some(entry) = connection.object(cx, "read members", pin, &name, &attributes, &[extended()]).await? else {
            return Ok(Reading::Vanished);
        };
        let before = entry.i64("uSNChanged")?;
        let first = RangedValues::first(&entry, "member")?;
        let (mut members, mut wrong) = kinds.read(first.values);
        let mut tail = first.values.last().cloned();
        let mut next = first.next;
        let mut shifted = false;
        let in_pieces = next != NextRange::Done;
        while let NextRange::From(from) = next {
            // One before, unless nothing more came that way: then the list may end right here.
            let overlap = u64::from(tail.is_some() && from > 0);
            let Some(batch) = connection.range(cx, pin, &name, "member", from - overlap, &[extended()]).await? else {
                return Ok(Reading::Vanished);
            };
            let fresh = match (overlap, batch.values.split_first()) {
                (0, _) => &batch.values[..],
                (_, Some((first, rest))) if Some(first) == tail.as_ref() => rest,
                _ => {
                    shifted = true;
                    break;
                }
            };
            if fresh.is_empty() && overlap == 1 {
                next = batch.next;
                tail = None;
                continue;
            }
            let (more, not_told) = kinds.read(fresh);
            members.reserve_exact(more.len());
            members.extend(more);
            wrong = wrong.or(not_told);
            tail = fresh.last().cloned().or(tail);
            next = batch.next;
        }
        let mut after = before;
        if in_pieces {
            let entry = connection.object(cx, "read members", pin, &name, &["uSNChanged"], &[]).await?;
            let Some(entry) = entry else { return Ok(Reading::Vanished) };
            after = entry.i64("uSNChanged")?;
        }
        members.sort_unstable();
        members.dedup();
        match wrong {
            None if !shifted && before == after => return Ok(Reading::Whole(members)),
            Some(reason) => return Ok(Reading::Partial(members, reason)),
            None => last = (members, "the group changes faster than its members can be read".to_owned()),
        }
    }
    Ok(Reading::Partial(last.0, last.1))
}

/// Tells which of these groups somebody names as one of his: their lists may not be read, whatever they seem to hold.
pub(crate) async fn named_by_members(
    connection: &Connection,
    cx: &Context,
    controller: &Controller,
    groups: &[(Uuid, String)],
) -> Result<HashSet<Uuid>> {
    let mut found = HashSet::new();
    for chunk in groups.chunks(GROUPS_AT_ONCE) {
        let mut open: Vec<&(Uuid, String)> = chunk.iter().collect();
        while !open.is_empty() {
            let one = |group: &&(Uuid, String)| Filter::equals("memberOf", &group.1);
            let filter = Filter::or(open.iter().map(one).collect::<Result<Vec<_>>>()?)?;
            let request = SearchRequest::new(&controller.domain, filter)
                .attributes(["memberOf"])
                .page_size(1)
                .control(extended())
                .control(Control::domain_scope().optional());
            let Some(entry) = connection.first(cx, "look for members", &request).await? else { break };
            let named = groups_of(&entry)?;
            let (hit, rest): (Vec<_>, Vec<_>) =
                mem::take(&mut open).into_iter().partition(|(guid, _)| named.contains(guid));
            if hit.is_empty() {
                // It was found by one of them and does not say by which: none of them is proven empty.
                found.extend(rest.iter().map(|(guid, _)| *guid));
                break;
            }
            found.extend(hit.iter().map(|(guid, _)| *guid));
            open = rest;
        }
    }
    Ok(found)
}

/// Reads the groups that an entry names as its own.
pub(crate) fn groups_of(entry: &Entry) -> Result<HashSet<Uuid>> {
    let names = RangedValues::first(entry, "memberOf")?;
    let guid = |value: &Vec<u8>| ExtendedDn::parse(std::str::from_utf8(value).ok()?).ok()?.guid;
    Ok(names.values.iter().filter_map(guid).collect())
}

//! Answers with what they leave open asked for: whoever has no mail address is asked for by the other one. It must not
//! know why somebody is asked for.

use tenantry::model::{Edges, Member, Scope, SourceId, Unreadable, Via};
use tenantry::{Context, Error, ErrorKind, Result, Retry};

use super::answer::{Mailbox, Resolution};
use super::api::Api;
use super::map;

/// Who was found under a name.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Resolution>,
    /// There may be more.
    pub(crate) cut: bool,
}

/// Asks for everybody whose name, alias or address begins with something.
pub(crate) async fn find(api: &Api, cx: &Context, entry: &str) -> Result<Found> {
    let Some(set) = api.resolve(cx, entry).await? else { return Ok(Found::default()) };
    let cut = set.is_cut();
    let mut items = set.items;
    for item in &mut items {
        let nameless = is_foreign(&item.mailbox) && map::primary(item).is_none() && map::kind_of(item).is_ok();
        if nameless && let Some(known) = by_other_address(api, cx, &item.mailbox.address).await? {
            *item = known;
        }
    }
    Ok(Found { items, cut })
}

/// Tells whether an address is of the directory's own kind instead of mail's.
fn is_foreign(mailbox: &Mailbox) -> bool {
    mailbox.routing.eq_ignore_ascii_case("EX") && !mailbox.address.is_empty()
}

/// Asks for somebody by an address of the directory's own kind: exactly one has it.
async fn by_other_address(api: &Api, cx: &Context, address: &str) -> Result<Option<Resolution>> {
    let Some(set) = api.resolve(cx, address).await? else { return Ok(None) };
    let mut known = set.items.into_iter().filter(|item| map::kind_of(item).is_ok() && map::primary(item).is_some());
    let first = known.next();
    Ok(first.filter(|_| known.next().is_none()))
}

/// The members of a group, as far as they can be known.
#[derive(Debug)]
pub(crate) enum Members {
    /// All of them.
    All(Edges),
    /// Some, or none that can be told.
    Some(Edges, Unreadable),
}

impl Members {
    /// Returns those that are known.
    pub(crate) fn known(&self) -> &[Member] {
        match self {
            Self::All(edges) | Self::Some(edges, _) => &edges.members,
        }
    }
}

/// Reads the direct members of a group.
pub(crate) async fn members(api: &Api, cx: &Context, group: &SourceId, address: &str) -> Result<Members> {
    let mut edges = Edges { group: group.clone(), via: Via::Explicit, members: Vec::new() };
    let open =
        |reason: &str| Unreadable { scope: Scope::Members(group.clone(), Via::Explicit), reason: reason.to_owned() };
    let set = match api.expand(cx, address).await {
        Ok(Some(set)) => set,
        // An empty group and an unknown one are told alike.
        Ok(None) => {
            let why = "the server does not expand the group; it may be hidden, or have no members";
            return Ok(Members::Some(edges, open(why)));
        }
        // About this group alone: whoever may not use the service at all was told so before.
        Err(error) if is_of_one_group(&error) => {
            return Ok(Members::Some(edges, open("the account may not read the members of the group")));
        }
        Err(error) => return Err(error),
    };
    let listed = set.items.len() as u64;
    let mut nameless = 0_usize;
    for item in &set.items {
        let address = match map::member_address(item) {
            Some(address) => Some(address.to_owned()),
            None if is_foreign(item) => {
                let found = by_other_address(api, cx, &item.address).await?;
                found.as_ref().and_then(map::primary).map(str::to_owned)
            }
            None => None,
        };
        match address {
            Some(address) => {
                edges.members.push(Member { id: SourceId::address(&address), kind: map::member_kind(&item.kind) });
            }
            None => nameless += 1,
        }
    }
    Ok(if set.has_last == Some(false) || set.total.is_some_and(|total| total > listed) {
        Members::Some(edges, open("the server tells some of the group's members only"))
    } else if nameless > 0 {
        Members::Some(edges, open("members of the group have no mail address by which they could be known"))
    } else {
        Members::All(edges)
    })
}

fn is_of_one_group(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied { .. } | ErrorKind::Protocol)
        && error.retry() == Retry::Never
        && error.context("code").is_some()
}

//! `ExpandDL`: one level of one group; it knows no envelope.

use super::lies::Bend;
use super::recipient::{Id, Recipient};
use super::request::Expand;
use super::resolve::{item, mailbox};
use super::settings::{Nothing, Settings};
use super::state::State;
use super::write::{Mailbox, Message, paging};

/// Answers a request.
pub(crate) fn expand(state: &State, settings: &Settings, bend: &Bend, asked: &Expand) -> Message {
    if !asked.item.is_empty() {
        let list = state.personal.iter().enumerate().find(|(at, _)| item(*at) == asked.item);
        return match list {
            Some((_, list)) if !list.members.is_empty() => {
                let members = list.members.iter().map(|(name, address)| one_off(name, address)).collect();
                show(settings, bend, members)
            }
            _ => Message::error("ErrorItemNotFound", "The specified object was not found in the store."),
        };
    }
    if asked.address.is_empty() {
        return Message::error("ErrorInvalidMailbox", "The mailbox has neither an address nor an item id.");
    }
    let Some((_, group)) = find(state, asked).filter(|(id, _)| bend.shows(*id)) else {
        return nothing(settings, settings.unknown_group);
    };
    if group.hidden {
        return nothing(settings, settings.hidden_group);
    }
    let members = state.members(group);
    let members = members.iter().filter_map(super::recipient::Member::recipient).filter_map(|id| state.get(id));
    let members: Vec<Mailbox> = members
        .filter(|member| !(settings.hidden_members_left_out && member.hidden))
        .filter(|member| !member.addresses.is_empty())
        .map(|member| bend.mailbox(mailbox(member, settings, false)))
        .collect();
    if members.is_empty() {
        return nothing(settings, settings.empty_group);
    }
    show(settings, bend, members)
}

/// The group that is meant: by any of its addresses, its legacy name, its alias, or its whole name when that is no
/// other's.
fn find<'a>(state: &'a State, asked: &Expand) -> Option<(Id, &'a Recipient)> {
    let address = asked.address.trim();
    let routing = if asked.routing.is_empty() { "smtp" } else { asked.routing.as_str() };
    let keys =
        [format!("{routing}:{address}"), address.to_owned(), format!("ex:{address}"), format!("alias:{address}")];
    let group = |(_, recipient): &(Id, &Recipient)| recipient.kind.is_group();
    keys.iter().find_map(|key| state.exactly(key).find(group)).or_else(|| {
        let name = state.folding.fold(address);
        let mut named = state
            .named(address)
            .filter(group)
            .filter(|(_, recipient)| state.folding.fold(&recipient.display_name) == name);
        named.next().filter(|_| named.next().is_none())
    })
}

fn one_off(name: &str, address: &str) -> Mailbox {
    Mailbox { name: name.to_owned(), address: address.to_owned(), routing: "SMTP", kind: "OneOff", item: None }
}

fn nothing(settings: &Settings, nothing: Nothing) -> Message {
    match nothing {
        Nothing::Empty => Message::success(format!("<m:DLExpansion{}></m:DLExpansion>", paging(settings, 0, true))),
        Nothing::NoResults => Message::no_results(),
    }
}

fn show(settings: &Settings, bend: &Bend, members: Vec<Mailbox>) -> Message {
    let cap = bend.cap.or(settings.member_cap).unwrap_or(usize::MAX);
    let last = !bend.never_last && (members.len() <= cap || bend.cap.is_some());
    let shown = bend.rows(members.into_iter().take(cap).collect());
    let mut content = format!("<m:DLExpansion{}>", paging(settings, shown.len(), last));
    for member in &shown {
        member.write(&mut content);
    }
    content.push_str("</m:DLExpansion>");
    Message::success(content)
}

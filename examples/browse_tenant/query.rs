//! From options to a query. It reads nothing.

use std::collections::BTreeSet;

use tenantry::model::{
    EndpointName, Filter, MfaState, Nesting, ObjectKind, Order, Query, RecordId, Sort, SortBy, UserState,
};
use tenantry::{Error, Result};

use crate::args::{List, Mfa, State, UserList, UserSort, YesNo};
use crate::place::Place;

pub(crate) fn of_users(place: &Place, users: &UserList) -> Result<Query> {
    let by = match users.sort {
        UserSort::Email => SortBy::PrimaryEmail,
        UserSort::First => SortBy::FirstName,
        UserSort::Last => SortBy::LastName,
    };
    let mut query = of_list(place, &users.list, ObjectKind::User, by)?;
    let states: BTreeSet<UserState> = users
        .states
        .iter()
        .map(|state| match state {
            State::Active => UserState::Active,
            State::Suspended => UserState::Suspended,
            State::Staged => UserState::Staged,
        })
        .collect();
    let mfa: BTreeSet<MfaState> = users
        .mfa
        .iter()
        .map(|mfa| match mfa {
            Mfa::Enrolled => MfaState::Enrolled,
            Mfa::NotEnrolled => MfaState::NotEnrolled,
            Mfa::Unknown => MfaState::Unknown,
        })
        .collect();
    query.filter.states = Some(states).filter(|states| !states.is_empty());
    query.filter.mfa = Some(mfa).filter(|mfa| !mfa.is_empty());
    query.filter.archived = users.archived.map(is_yes);
    query.filter.locked_out = users.locked_out.map(is_yes);
    query.filter.grouped = users.grouped.map(is_yes);
    query.filter.tag.clone_from(&users.tag);
    Ok(query)
}

pub(crate) fn of_list(place: &Place, list: &List, kind: ObjectKind, by: SortBy) -> Result<Query> {
    let group = list.group.as_deref().map(|id| {
        let id = id.parse().map_err(|_| {
            Error::config("a group is named by its id; `groups` lists them").with_context("--group", id)
        })?;
        let nesting = if list.nested { Nesting::Nested } else { Nesting::Direct };
        Ok::<_, Error>((RecordId(id), nesting))
    });
    let filter = Filter {
        search: list.search.clone(),
        prefix: list.prefix.clone().map(|letters| (by, letters)),
        source: list.source.as_ref().map(EndpointName::new).transpose()?,
        group: group.transpose()?,
        missing: list.missing.map(is_yes),
        locked: list.locked.map(is_yes),
        ..Filter::default()
    };
    let order = if list.desc { Order::Descending } else { Order::Ascending };
    Ok(Query { customers: place.customers.clone(), kind, filter, sort: Sort { by, order } })
}

fn is_yes(answer: YesNo) -> bool {
    answer == YesNo::Yes
}

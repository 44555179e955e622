//! From options to a query. It reads nothing but whether there is what the options name.

use std::collections::BTreeSet;

use tenantry::model::{
    EndpointName, Filter, GroupKind, MfaState, Nesting, ObjectKind, Order, Query, RecordId, Sort, SortBy, UserState,
    names,
};
use tenantry::{Error, ErrorKind, Result};

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

/// Refuses an endpoint and a group that nobody knows: nothing found would be taken for an answer.
pub(crate) async fn check(place: &Place, query: &Query) -> Result<()> {
    if let Some(source) = &query.filter.source {
        let mut known = false;
        for customer in &query.customers {
            let group = RecordId::of_endpoint_group(customer, source);
            known |= place.directory.details(customer, group).await?.is_some();
        }
        if !known {
            let all = endpoints(place, query).await?;
            let all: Vec<&str> = all.iter().map(EndpointName::as_str).collect();
            return Err(Error::new(ErrorKind::NotFound, "nothing is imported through an endpoint of this name")
                .with_context("--source", source)
                .with_context("there are", all.join(", ")));
        }
    }
    if let Some((group, _)) = query.filter.group {
        let (customer, id) = place.find(ObjectKind::Group, &group.to_string()).await?;
        if place.kind_of(&customer, id).await? != ObjectKind::Group {
            return Err(Error::config("this is no group; `groups` lists them").with_context("--group", group));
        }
    }
    Ok(())
}

/// Lists the endpoints of the customers that are asked: for each of them stands a group.
async fn endpoints(place: &Place, query: &Query) -> Result<BTreeSet<EndpointName>> {
    let mut groups = query.clone();
    (groups.kind, groups.sort.by, groups.filter) = (ObjectKind::Group, SortBy::Name, Filter::default());
    let (mut after, mut found) = (None, BTreeSet::new());
    loop {
        let page = place.directory.find(&groups, after.as_ref(), 1000).await?;
        let records = page.found.into_iter().map(|found| found.record);
        let standing = records.filter(|one| one.attributes.text(&names::KIND) == Some(GroupKind::Endpoint.as_str()));
        found.extend(standing.filter_map(|group| Some(group.lock?.endpoint)));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn is_yes(answer: YesNo) -> bool {
    answer == YesNo::Yes
}

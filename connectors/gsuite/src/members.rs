//! Direct members of groups, many groups at a time. It must not know the groups themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenantry::model::{Edges, MemberKind, SourceId, Via};
use tenantry::{Context, ErrorKind, Result};

use crate::client::Api;
use crate::error::repeated;
use crate::map;
use crate::operation::Operation;
use crate::owners::hash;
use crate::wire::{MEMBER_FIELDS, MembersPage, mask};

/// A page without anybody on it is legal; so many in a row are not.
pub(crate) const EMPTY_PAGES: u32 = 50;

/// Memberships on a page, about.
pub(crate) const EDGES: usize = 10_000;

/// What one group's reading gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// Some members; behind a walk more follow.
    Page(Members, Option<Walk>),
    /// The group is gone.
    Gone(String),
    /// Its members may not be read, and why.
    Denied(String, String),
}

/// One page of a group's members.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) edges: Edges,
    /// Where on it somebody is whose domain is not known to be the account's.
    doubts: Vec<(usize, Box<str>)>,
}

impl Members {
    /// Settles what the account's domains known by now settle; tells whether nothing is open.
    pub(crate) fn settle(&mut self, domains: &BTreeSet<String>) -> bool {
        self.doubts.retain(|(_, domain)| !domains.contains(&**domain));
        self.doubts.is_empty()
    }

    /// Takes who is in none of these domains, which are all of the account's, for somebody outside; nobody without any.
    pub(crate) fn into_edges(mut self, domains: &BTreeSet<String>) -> Edges {
        if !domains.is_empty() && !self.settle(domains) {
            for (at, _) in self.doubts {
                self.edges.members[at].kind = MemberKind::External;
            }
        }
        self.edges
    }
}

/// The reading of one group's members.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) group: String,
    token: Option<String>,
    seen: BTreeSet<u64>,
    empty: u32,
    /// Who was on the page before.
    last: Vec<u64>,
}

impl Walk {
    pub(crate) fn new(group: String) -> Self {
        Self::from(group, None)
    }

    /// Goes on with a page.
    pub(crate) fn from(group: String, token: Option<String>) -> Self {
        Self { group, token, seen: BTreeSet::new(), empty: 0, last: Vec::new() }
    }

    /// Returns the token of the next page.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Reads the next page.
    pub(crate) async fn next(mut self, api: Arc<Api>, cx: Context, domains: Arc<BTreeSet<String>>) -> Result<Read> {
        let page_size = api.config.page_size.min(200).to_string();
        let fields = mask("members", MEMBER_FIELDS);
        let url = api.url(&["groups", &self.group, "members"], &[("maxResults", &page_size), ("fields", &fields)]);
        let answer = match api.page_answer(&cx, Operation::ListMembers, &url, self.token.as_deref()).await {
            Ok(answer) => answer,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound => Ok(Read::Gone(self.group)),
                    // The token's own lack of a scope concerns all groups.
                    ErrorKind::PermissionDenied { .. }
                        if error.context("reason") != Some("insufficientPermissions") =>
                    {
                        Ok(Read::Denied(self.group, error.message().to_owned()))
                    }
                    _ => Err(error),
                };
            }
        };
        // One that makes no sense fails the group, whose members would else seem gone.
        let page: MembersPage<'_> = answer.json()?;
        let members = &page.members;
        self.empty = if members.is_empty() { self.empty + 1 } else { 0 };
        let hashes: Vec<_> = members.iter().map(|member| hash(&*member.id)).collect();
        // The token may be another each time.
        if !hashes.is_empty() && hashes == self.last {
            return Err(repeated());
        }
        self.last = hashes;
        let mut doubts = Vec::new();
        let mut read = |(at, member)| {
            let (member, domain) = map::member(member);
            if let Some(domain) = domain.filter(|domain| !domains.contains(*domain)).map(str::to_ascii_lowercase)
                && !domains.contains(&domain)
            {
                doubts.push((at, domain.into()));
            }
            member
        };
        let edges = Edges {
            group: SourceId::Id(self.group.as_str().into()),
            via: Via::Explicit,
            members: members.iter().enumerate().map(&mut read).collect(),
        };
        let members = Members { edges, doubts };
        match page.next() {
            None => Ok(Read::Page(members, None)),
            Some(next) => {
                if !self.seen.insert(hash(next)) || self.empty > EMPTY_PAGES {
                    return Err(repeated());
                }
                self.token = Some(next.to_owned());
                Ok(Read::Page(members, Some(self)))
            }
        }
    }
}

/// Reads all members of one group.
pub(crate) async fn all(
    api: &Arc<Api>,
    cx: &Context,
    group: &str,
    domains: &Arc<BTreeSet<String>>,
) -> Result<std::result::Result<Vec<tenantry::model::Member>, Read>> {
    let mut members = Vec::new();
    let mut walk = Walk::new(group.to_owned());
    loop {
        match walk.next(Arc::clone(api), cx.clone(), Arc::clone(domains)).await? {
            Read::Page(page, next) => {
                members.extend(page.into_edges(domains).members);
                match next {
                    Some(next) => walk = next,
                    None => return Ok(Ok(members)),
                }
            }
            other => return Ok(Err(other)),
        }
    }
}

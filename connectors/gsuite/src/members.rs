//! Direct members of groups, many groups at a time. It must not know the groups themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenantry::model::{Edges, SourceId, Via};
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
    /// Some members; more follow behind the walk.
    Page(Edges, Walk),
    /// The last members.
    End(Edges),
    /// The group is gone.
    Gone(String),
    /// Its members may not be read.
    Denied(String, String),
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
        Self { group, token: None, seen: BTreeSet::new(), empty: 0, last: Vec::new() }
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
        let own = |domain: &str| domains.is_empty() || domains.contains(domain);
        let edges = Edges {
            group: SourceId::Id(self.group.as_str().into()),
            via: Via::Explicit,
            members: members.iter().map(|member| map::member(member, own)).collect(),
        };
        match page.next() {
            None => Ok(Read::End(edges)),
            Some(next) => {
                if !self.seen.insert(hash(next)) || self.empty > EMPTY_PAGES {
                    return Err(repeated());
                }
                self.token = Some(next.to_owned());
                Ok(Read::Page(edges, self))
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
            Read::Page(edges, next) => {
                members.extend(edges.members);
                walk = next;
            }
            Read::End(edges) => {
                members.extend(edges.members);
                return Ok(Ok(members));
            }
            other => return Ok(Err(other)),
        }
    }
}

//! What is asked of Graph for reading: addresses made by its SDK. It sends nothing.
//!
//! The SDK makes each address once; a request for one group of a hundred thousand takes a copy with the group's id in it,
//! because making an address through the SDK builds a client's whole stack of services each time.

use std::fmt::Write as _;

use graph_rs_sdk::{GraphClient, ODataQuery};
use tenantry::model::{ObjectKind, SourceId};
use url::Url;

use crate::wire::{DeviceRow, GroupRow, UserRow};

/// Stands in addresses where an id will be.
const ID: &str = "00000000-0000-4000-8000-00000000c0de";

/// An address with a place for an id.
#[derive(Debug, Clone)]
struct Template {
    before: String,
    behind: String,
}

impl Template {
    fn new(url: &str) -> Self {
        let (before, behind) = url.split_once(ID).unwrap_or((url, ""));
        Self { before: before.to_owned(), behind: behind.to_owned() }
    }

    fn with(&self, id: &str) -> String {
        let mut text = String::with_capacity(self.before.len() + id.len() + self.behind.len());
        text.push_str(&self.before);
        push_escaped(&mut text, id);
        text.push_str(&self.behind);
        text
    }
}

/// Writes an id into a path: nothing in it can end the segment, or climb out of it.
fn push_escaped(text: &mut String, id: &str) {
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// How much of each object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything that is mapped.
    Full,
    /// Ids only.
    Ids,
}

/// The addresses of everything that is read.
#[derive(Debug)]
pub(crate) struct Requests {
    lists: [[Url; 3]; 2],
    latest: [Url; 3],
    by_ids: [Url; 3],
    count: Url,
    batch: Url,
    members: Template,
    objects: [Template; 3],
    member_of: [Template; 3],
    deleted: Template,
    all_deleted: Url,
}

fn place(kind: ObjectKind) -> usize {
    match kind {
        ObjectKind::User => 0,
        ObjectKind::Group => 1,
        ObjectKind::Computer => 2,
    }
}

const OWNERS: &str = "registeredOwners($select=id)";

impl Requests {
    /// Makes all addresses below one, with so many objects on a page.
    pub(crate) fn new(graph: &Url, page_size: u16) -> Self {
        // It asks nobody: the token in it is never sent.
        let mut sdk = GraphClient::new("none");
        sdk.use_test_endpoint(graph);
        let top = page_size.to_string();
        let top = top.as_str();
        let (user, group, device) = (UserRow::SELECT, GroupRow::SELECT, DeviceRow::SELECT);
        let relative = |url: Url| url.as_str().strip_prefix(graph.as_str()).unwrap_or(url.as_str()).to_owned();
        let lists = [
            [
                sdk.users().list_user().select(user).top(top).url(),
                sdk.groups().list_group().select(group).top(top).url(),
                sdk.devices().list_device().select(device).expand(&[OWNERS]).top(top).url(),
            ],
            [
                sdk.users().list_user().select(&["id"]).top(top).url(),
                sdk.groups().list_group().select(&["id"]).top(top).url(),
                sdk.devices().list_device().select(&["id"]).top(top).url(),
            ],
        ];
        let with_members: Vec<&str> = group.iter().copied().chain(["members"]).collect();
        let latest = [
            sdk.users().delta().select(user).append_query_pair("$deltatoken", "latest").url(),
            sdk.groups().delta().select(&with_members).append_query_pair("$deltatoken", "latest").url(),
            sdk.devices().delta().select(device).append_query_pair("$deltatoken", "latest").url(),
        ];
        let ids = serde_json::Value::Null;
        let by_ids = [user, group, device].map(|select| sdk.directory_objects().get_by_ids(&ids).select(select).url());
        let objects = [
            sdk.user(ID).get_user().select(user).url(),
            sdk.group(ID).get_group().select(group).url(),
            sdk.device(ID).get_device().select(device).expand(&[OWNERS]).url(),
        ];
        let member_of = [
            sdk.user(ID).member_of().list_member_of().select(&["id"]).top("999").url(),
            below(&sdk.group(ID).get_group().select(&["id"]).top("999").url(), "memberOf"),
            below(&sdk.device(ID).get_device().select(&["id"]).top("999").url(), "memberOf"),
        ];
        let all_deleted = sdk.directory().deleted_items().list_deleted_items().select(&["id"]).top("999").url();
        let deleted = below(&sdk.directory().deleted_items().list_deleted_items().select(&["id"]).url(), ID);
        Self {
            lists,
            latest,
            by_ids,
            count: sdk.users().get_users_count().url(),
            batch: sdk.batch(&ids).url(),
            members: Template::new(&relative(sdk.group(ID).list_members().select(&["id"]).top(top).url())),
            objects: objects.map(|url| Template::new(&relative(url))),
            member_of: member_of.map(|url| Template::new(&relative(url))),
            deleted: Template::new(&relative(deleted)),
            all_deleted,
        }
    }

    /// Returns where the listing of a kind begins.
    pub(crate) fn list(&self, kind: ObjectKind, detail: Detail) -> Url {
        self.lists[usize::from(detail == Detail::Ids)][place(kind)].clone()
    }

    /// Returns where the listing of users begins whose login names lie between two, both included.
    ///
    /// `ge` and `le` are asked of the directory itself; what the search index is asked for lags behind it.
    pub(crate) fn users_between(&self, from: Option<&str>, to: Option<&str>, detail: Detail) -> Url {
        let mut url = self.list(ObjectKind::User, detail);
        if let Some(filter) = between(from, to) {
            url.query_pairs_mut().append_pair("$filter", &filter);
        }
        url
    }

    /// Returns where the number of users up to a login name is told, by the search index: an estimate.
    pub(crate) fn count_users(&self, to: Option<&str>) -> Url {
        let mut url = self.count.clone();
        if let Some(filter) = between(None, to) {
            url.query_pairs_mut().append_pair("$filter", &filter);
        }
        url
    }

    /// Returns where a delta of a kind begins that knows nothing but what comes from now on.
    pub(crate) fn latest(&self, kind: ObjectKind) -> Url {
        self.latest[place(kind)].clone()
    }

    /// Returns where objects of a kind are looked up by their ids.
    pub(crate) fn by_ids(&self, kind: ObjectKind) -> Url {
        self.by_ids[place(kind)].clone()
    }

    /// Returns where several requests are made at once.
    pub(crate) fn batch(&self) -> Url {
        self.batch.clone()
    }

    /// Returns the members of a group, as a part of a batch.
    pub(crate) fn members(&self, group: &str) -> String {
        self.members.with(group)
    }

    /// Returns one whole object, as a part of a batch.
    pub(crate) fn object(&self, kind: ObjectKind, id: &SourceId) -> String {
        self.objects[place(kind)].with(&id.to_string())
    }

    /// Returns the groups that one object is a direct member of, as a part of a batch.
    pub(crate) fn member_of(&self, kind: ObjectKind, id: &SourceId) -> String {
        self.member_of[place(kind)].with(&id.to_string())
    }

    /// Returns where the deleted objects of a kind are that can be restored.
    pub(crate) fn all_deleted(&self, kind: ObjectKind) -> Url {
        // Without a type it is no listing.
        below(
            &self.all_deleted,
            if kind == ObjectKind::User { "microsoft.graph.user" } else { "microsoft.graph.group" },
        )
    }

    /// Returns one deleted object, as a part of a batch.
    pub(crate) fn deleted(&self, id: &SourceId) -> String {
        self.deleted.with(&id.to_string())
    }
}

fn below(url: &Url, segment: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(segment);
    }
    url
}

/// Quotes in a text are doubled.
fn between(from: Option<&str>, to: Option<&str>) -> Option<String> {
    let bound = |operator: &str, text: &str| format!("userPrincipalName {operator} '{}'", text.replace('\'', "''"));
    match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(bound("ge", from)),
        (None, Some(to)) => Some(bound("le", to)),
        (Some(from), Some(to)) => Some(format!("{} and {}", bound("ge", from), bound("le", to))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn requests() -> Requests {
        Requests::new(&Url::parse("http://127.0.0.1:9000/v1.0").unwrap(), 500)
    }

    fn query(url: &Url) -> BTreeMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    #[test]
    fn every_address_lies_below_the_configured_one() {
        let requests = requests();
        for kind in ObjectKind::ALL {
            for url in [
                requests.list(*kind, Detail::Full),
                requests.list(*kind, Detail::Ids),
                requests.latest(*kind),
                requests.by_ids(*kind),
                requests.batch(),
                requests.count_users(None),
            ] {
                assert!(url.as_str().starts_with("http://127.0.0.1:9000/v1.0/"), "{url}");
            }
        }
    }

    #[test]
    fn a_listing_asks_for_full_pages_and_what_is_mapped() {
        let query = query(&requests().list(ObjectKind::Computer, Detail::Full));
        assert_eq!(query["$top"], "500");
        assert_eq!(query["$select"], DeviceRow::SELECT.join(","));
        assert_eq!(query["$expand"], "registeredOwners($select=id)");
    }

    #[test]
    fn the_first_delta_asks_for_all_that_later_ones_are_to_tell() {
        let requests = requests();
        assert_eq!(requests.latest(ObjectKind::User).path().trim_end_matches("()"), "/v1.0/users/delta");
        let query = query(&requests.latest(ObjectKind::Group));
        assert_eq!(query["$deltatoken"], "latest");
        assert!(query["$select"].ends_with(",members"));
    }

    #[test]
    fn a_range_of_users_includes_both_bounds_and_quotes_what_is_in_them() {
        let url = requests().users_between(Some("o'b"), Some("p"), Detail::Full);
        assert_eq!(query(&url)["$filter"], "userPrincipalName ge 'o''b' and userPrincipalName le 'p'");
        assert!(!query(&requests().users_between(None, None, Detail::Full)).contains_key("$filter"));
    }

    #[test]
    fn parts_of_a_batch_are_relative_and_no_id_leaves_its_segment() {
        let requests = requests();
        let id = SourceId::parse("../../applications?x=/");
        assert_eq!(requests.members("a/../b"), "/groups/a%2F%2E%2E%2Fb/members?%24select=id&%24top=500");
        assert!(requests.object(ObjectKind::User, &id).starts_with("/users/%2E%2E%2F%2E%2E%2Fapplications%3Fx%3D%2F?"));
        assert_eq!(requests.deleted(&SourceId::parse("a")), "/directory/deletedItems/a?%24select=id");
        assert_eq!(
            requests.member_of(ObjectKind::Group, &SourceId::parse("a")),
            "/groups/a/memberOf?%24select=id&%24top=999"
        );
    }
}

//! What the suite asks of an author's stand-in for the remote directory. It knows no check.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::endpoint::Endpoint;
use crate::model::{AttributeName, SourceId};

/// The remote does not do what was asked of it: the checks that need it are reported as not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined(String);

impl Declined {
    /// Declines, and says why.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Done, or declined.
pub type Done<T = ()> = Result<T, Declined>;

/// One of two places in scope. A directory without places puts everybody into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Place {
    /// The one.
    #[default]
    First,
    /// The other.
    Second,
}

/// A user that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The login name: letters and digits.
    pub username: String,
    /// The given name.
    pub first_name: String,
    /// The family name.
    pub last_name: String,
    /// The mail address; `None`: the directory holds none.
    pub mail: Option<String>,
    /// Where.
    pub place: Place,
}

/// Everything that a remote holds: by object, by attribute.
pub type Dump = BTreeMap<String, BTreeMap<String, String>>;

/// A remote directory of a test's own, and the way to change it from outside of the endpoint.
///
/// It begins with whatever an empty directory of its kind holds, everything readable and every call answered. All
/// methods but two may decline, which is the default: what needs them is then reported as not checked. Faults last
/// until [`heal`](Self::heal), also for endpoints that are made later.
///
/// A *call*, where it is counted here, is one request that reaches the remote: one try at the gate, and each repeated try
/// counts again. The ids that are handed over are those that these methods returned; an object may be a member of
/// several groups, and a group of a group.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Creates an endpoint over it, as a process that has just started does: it shares the directory and its faults with
    /// the ones before, and nothing that those have learned.
    fn endpoint(&self) -> Arc<dyn Endpoint>;

    /// Adds a user and returns the id by which the connector has to know it: active, in scope, in no group.
    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId>;

    /// Returns how many users make a listing of at least three pages.
    fn many(&self) -> usize {
        40
    }

    /// Returns the credentials that the endpoint was configured with. Without any, `calls::show_no_secret` is not
    /// checked.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Adds a group without members.
    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        declined("put_group", name)
    }

    /// Adds a computer.
    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        declined("put_computer", name)
    }

    /// Makes objects direct members of a group.
    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        declined("add_members", (group, members))
    }

    /// Ends direct memberships.
    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        declined("remove_members", (group, members))
    }

    /// Makes a group the primary one of a user.
    async fn set_primary_group(&mut self, user: &SourceId, group: &SourceId) -> Done {
        declined("set_primary_group", (user, group))
    }

    /// Gives a user another family name, and whatever the directory derives from it.
    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        declined("rename", (user, last_name))
    }

    /// Gives a user another mail address, or none.
    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        declined("set_mail", (user, mail))
    }

    /// Moves a user inside of base and filter.
    async fn move_to(&mut self, user: &SourceId, place: Place) -> Done {
        declined("move_to", (user, place))
    }

    /// Moves a user out of base or filter; it still exists.
    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        declined("move_out_of_scope", user)
    }

    /// Deletes an object, with the trace that the directory leaves of it. Its memberships go or stay as they do there.
    async fn delete(&mut self, id: &SourceId) -> Done {
        declined("delete", id)
    }

    /// Brings back what was deleted.
    async fn restore(&mut self, id: &SourceId) -> Done {
        declined("restore", id)
    }

    /// Adds a user that the connector can make no sense of, in scope; returns its id if that can be read.
    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        declined("put_unintelligible", ())
    }

    /// Hides one user from the endpoint's account, as missing rights do: it exists, and seems not to.
    async fn hide(&mut self, user: &SourceId) -> Done {
        declined("hide", user)
    }

    /// Takes away the right to read one attribute of users, and names the attribute. It has to be one of which the
    /// protocol tells unreadable from empty.
    async fn deny_attribute(&mut self) -> Done<AttributeName> {
        declined("deny_attribute", ())
    }

    /// Takes away the right to read the members of a group.
    async fn deny_members(&mut self, group: &SourceId) -> Done {
        declined("deny_members", group)
    }

    /// Takes away a right that decides what can be seen, such as the one to read tombstones.
    async fn withdraw_right(&mut self) -> Done {
        declined("withdraw_right", ())
    }

    /// Takes all rights away behind the next so many calls: what is read then looks empty, without an error,
    /// and the rights that a coverage reads are gone as well.
    async fn withdraw_rights_after(&mut self, calls: u32) -> Done {
        declined("withdraw_rights_after", calls)
    }

    /// Lets the n-th call from now (from 1), and all that follow, fail as in an outage. Declining is for an n that it
    /// cannot count to; one that declines 1 has no outages.
    async fn fail_from_call(&mut self, nth: u32) -> Done {
        declined("fail_from_call", nth)
    }

    /// Lets listings come with empty pages before pages with something on them.
    async fn give_empty_pages(&mut self) -> Done {
        declined("give_empty_pages", ())
    }

    /// Lets every listing give the same page again and again.
    async fn repeat_pages(&mut self) -> Done {
        declined("repeat_pages", ())
    }

    /// Lets every delta give the same page again and again.
    async fn repeat_changes(&mut self) -> Done {
        declined("repeat_changes", ())
    }

    /// Forgets what cursors of before stand for, also of one that was told just now and behind which nothing has changed.
    async fn expire_cursors(&mut self) -> Done {
        declined("expire_cursors", ())
    }

    /// Refuses the endpoint's credentials from now on.
    async fn refuse_credentials(&mut self) -> Done {
        declined("refuse_credentials", ())
    }

    /// Counts how often somebody tried to sign in so far.
    async fn sign_ins(&mut self) -> Done<u64> {
        declined("sign_ins", ())
    }

    /// Leaves calls without an answer from now on: neither success nor failure, such as a future that stays pending.
    async fn fall_silent(&mut self) -> Done {
        declined("fall_silent", ())
    }

    /// Ends all faults and gives back all rights.
    async fn heal(&mut self) -> Done {
        declined("heal", ())
    }

    /// Returns an endpoint over the same directory by another of its servers.
    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        declined("other_server", ())
    }

    /// Returns an endpoint over another directory, of the same name and with the same settings.
    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        declined("other_directory", ())
    }

    /// Returns an endpoint over the same directory with another filter configured.
    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        declined("other_filter", ())
    }

    /// Tells everything that the directory holds, by source id and attribute, without what it counts by itself.
    async fn dump(&mut self) -> Done<Dump> {
        declined("dump", ())
    }

    /// Forbids the endpoint's account to change a user.
    async fn refuse_changes(&mut self, user: &SourceId) -> Done {
        declined("refuse_changes", user)
    }

    /// Adds a user that nobody's mistake may touch: one of the system, a protected one, or the endpoint's own.
    async fn put_protected(&mut self) -> Done<SourceId> {
        declined("put_protected", ())
    }

    /// Leaves the next change without an answer, made or not.
    async fn swallow_answer(&mut self) -> Done {
        declined("swallow_answer", ())
    }

    /// Lets changes succeed without any effect.
    async fn ignore_changes(&mut self) -> Done {
        declined("ignore_changes", ())
    }
}

fn declined<T>(method: &str, _asked: impl Sized) -> Done<T> {
    Err(Declined(format!("the remote has no `{method}`")))
}

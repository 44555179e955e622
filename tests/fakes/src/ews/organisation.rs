//! The handle by which tests make, change and serve an organisation; it knows no socket.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Clock;
use super::account::{Account, Credentials};
use super::faults::Faults;
use super::fold::{Folding, Matching};
use super::log::RequestLog;
use super::recipient::{Id, Kind, Member, PersonalContact, Recipient};
use super::seed::{self, Size};
use super::settings::Settings;
use super::state::State;
use crate::http::Reply;

/// One organisation with its recipients, accounts, settings, faults and record; clones show the same one.
#[derive(Clone)]
pub struct Organisation {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    state: RwLock<State>,
    frozen: Mutex<Option<Arc<State>>>,
    marked: Mutex<Option<Arc<State>>>,
    pub(crate) accounts: Mutex<Vec<Account>>,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    /// Calls under way by account.
    pub(crate) under_way: Mutex<HashMap<String, u32>>,
    /// The beginning of an account's time and its calls since.
    pub(crate) spent: Mutex<HashMap<String, (i64, u32)>>,
    pub(crate) before: Mutex<Option<Reply>>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Organisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Organisation").field("recipients", &self.count()).finish_non_exhaustive()
    }
}

impl Organisation {
    /// Makes an organisation without recipients; its addresses are in this domain unless they are given.
    ///
    /// One account can sign in: see [`Organisation::credentials`]. It has a mailbox, which no address list shows.
    pub fn new(domain: &str) -> Self {
        let short = domain.split('.').next().unwrap_or(domain).to_uppercase();
        let account = Account {
            credentials: Credentials {
                domain: short,
                user: "svc-import".to_owned(),
                principal: format!("svc-import@{domain}"),
                password: "Pa55-word!".to_owned(),
            },
            mailbox: true,
            may_impersonate: false,
            wrong: 0,
        };
        Self {
            inner: Arc::new(Inner {
                state: RwLock::new(State::new(domain)),
                frozen: Mutex::default(),
                marked: Mutex::default(),
                accounts: Mutex::new(vec![account]),
                settings: Mutex::default(),
                clock: Mutex::new(Clock::system()),
                faults: Faults::default(),
                log: RequestLog::default(),
                under_way: Mutex::default(),
                spent: Mutex::default(),
                before: Mutex::default(),
            }),
        }
    }

    /// Makes an organisation of any size; the same seed and size make the same one.
    pub fn seeded(seed: u64, size: Size) -> Self {
        let organisation = Self::new("corp.example");
        seed::fill(&mut organisation.write(), seed, size);
        organisation
    }

    /// Takes the time from elsewhere: budgets go by it, delays do not.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        *locked(&self.inner.clock) = clock;
        self
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something look at the state that answers show.
    pub(crate) fn looking<T>(&self, marked: bool, look: impl FnOnce(&State) -> T) -> T {
        let past = if marked { locked(&self.inner.marked).clone() } else { None };
        match past.or_else(|| locked(&self.inner.frozen).clone()) {
            Some(past) => look(&past),
            None => look(&self.read()),
        }
    }

    // Recipients.

    /// Adds a recipient, at the end of the directory's order.
    pub fn add(&self, recipient: Recipient) -> Id {
        self.write().add(recipient)
    }

    /// Removes a recipient, from the groups it is in as well; says whether there was one.
    pub fn remove(&self, id: Id) -> bool {
        self.write().remove(id).is_some()
    }

    /// Changes a recipient in any way; absent when there is none.
    pub fn edit<T>(&self, id: Id, change: impl FnOnce(&mut Recipient) -> T) -> Option<T> {
        self.write().edit(id, change)
    }

    /// Gives a recipient first and last name, and the shown name made of them.
    pub fn rename(&self, id: Id, first: &str, last: &str) {
        self.edit(id, |recipient| {
            format!("{first} {last}").trim().clone_into(&mut recipient.display_name);
            recipient.full_name.clear();
            (recipient.first_name, recipient.last_name) = (first.to_owned(), last.to_owned());
        });
    }

    /// Gives a recipient another primary address; the one before stays as a secondary one.
    pub fn readdress(&self, id: Id, primary: &str) {
        self.edit(id, |recipient| recipient.set_primary(primary));
    }

    /// Takes an SMTP address away from a recipient.
    pub fn drop_address(&self, id: Id, address: &str) {
        let folding = self.read().folding;
        let key = folding.fold(&format!("smtp:{address}"));
        self.edit(id, |recipient| recipient.addresses.retain(|other| folding.fold(other) != key));
    }

    /// Hides a recipient from address lists.
    pub fn hide(&self, id: Id) {
        self.edit(id, |recipient| recipient.hidden = true);
    }

    /// Shows a recipient in address lists.
    pub fn unhide(&self, id: Id) {
        self.edit(id, |recipient| recipient.hidden = false);
    }

    /// Adds a member to a group.
    pub fn add_member(&self, group: Id, member: impl Into<Member>) {
        let member = member.into();
        self.write().edit_members(group, |members| {
            if !members.contains(&member) {
                members.push(member);
            }
        });
    }

    /// Removes a member from a group.
    pub fn remove_member(&self, group: Id, member: impl Into<Member>) {
        let member = member.into();
        self.write().edit_members(group, |members| members.retain(|other| *other != member));
    }

    /// Returns a recipient as it is.
    pub fn get(&self, id: Id) -> Option<Recipient> {
        self.read().get(id).cloned()
    }

    /// Returns who has an SMTP address, hidden or not.
    pub fn find(&self, address: &str) -> Option<Id> {
        self.read().exactly(&format!("smtp:{address}")).next().map(|(id, _)| id)
    }

    /// Returns how many recipients there are, hidden ones among them.
    pub fn count(&self) -> usize {
        self.read().count()
    }

    /// Returns all recipients in the directory's order, hidden ones among them.
    pub fn recipients(&self) -> Vec<(Id, Recipient)> {
        self.read().all().map(|(id, recipient)| (id, recipient.clone())).collect()
    }

    /// Returns the recipients of a kind in the directory's order, hidden ones among them.
    pub fn of_kind(&self, kind: Kind) -> Vec<Id> {
        self.read().all().filter(|(_, recipient)| recipient.kind == kind).map(|(id, _)| id).collect()
    }

    /// Returns the recipients that answers may show: what a complete listing has.
    pub fn visible(&self) -> Vec<(Id, Recipient)> {
        let seen = self.read();
        seen.all().filter(|(_, recipient)| !recipient.hidden).map(|(id, recipient)| (id, recipient.clone())).collect()
    }

    /// Returns the members of a group, those of dynamic groups as they are now.
    pub fn members(&self, group: Id) -> Vec<Member> {
        let state = self.read();
        state.get(group).map(|group| state.members(group)).unwrap_or_default()
    }

    /// Sets what is taken for the same, and where a match may begin.
    pub fn compare(&self, folding: Folding, matching: Matching) {
        self.write().rebuild(folding, matching);
    }

    // What the service account has.

    /// Puts a contact into the service account's own folder.
    pub fn personal_contact(&self, name: &str, address: &str) {
        let (name, address) = (name.to_owned(), address.to_owned());
        self.write().personal.push(PersonalContact { name, address, members: Vec::new() });
    }

    /// Puts a private list with names and addresses into the service account's own folder.
    pub fn personal_list(&self, name: &str, members: &[(&str, &str)]) {
        let members = members.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect();
        self.write().personal.push(PersonalContact { name: name.to_owned(), address: String::new(), members });
    }

    /// Returns name and password of the service account.
    pub fn credentials(&self) -> Credentials {
        locked(&self.inner.accounts)[0].credentials.clone()
    }

    /// Adds another account that can sign in, with a mailbox.
    pub fn account(&self, user: &str, password: &str) -> Credentials {
        let mut accounts = locked(&self.inner.accounts);
        let mut account = accounts[0].clone();
        let domain = account.credentials.principal.split_once('@').map_or("", |(_, domain)| domain);
        account.credentials.principal = format!("{user}@{domain}");
        user.clone_into(&mut account.credentials.user);
        password.clone_into(&mut account.credentials.password);
        (account.mailbox, account.may_impersonate) = (true, false);
        accounts.push(account.clone());
        account.credentials
    }

    /// Gives the service account another password.
    pub fn set_password(&self, password: &str) {
        password.clone_into(&mut locked(&self.inner.accounts)[0].credentials.password);
    }

    /// Returns how many wrong passwords came for the service account since the last right one.
    pub fn wrong_passwords(&self) -> u32 {
        locked(&self.inner.accounts)[0].wrong
    }

    /// Gives the service account a mailbox or takes it away: without one it resolves nothing.
    pub fn set_mailbox(&self, there: bool) {
        locked(&self.inner.accounts)[0].mailbox = there;
    }

    /// Lets the service account act in the name of others, or not.
    pub fn set_impersonation(&self, allowed: bool) {
        locked(&self.inner.accounts)[0].may_impersonate = allowed;
    }

    // The service.

    /// Returns the settings as they are.
    pub fn settings(&self) -> Settings {
        locked(&self.inner.settings).clone()
    }

    /// Changes the settings for requests to come.
    pub fn edit_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut locked(&self.inner.settings));
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.inner.faults.clone()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.inner.log.clone()
    }

    /// Lets answers show the directory as it is now, until [`Organisation::thaw`], whatever changes.
    pub fn freeze(&self) {
        let now = Arc::new(self.read().clone());
        *locked(&self.inner.frozen) = Some(now);
    }

    /// Lets answers show the truth again.
    pub fn thaw(&self) {
        *locked(&self.inner.frozen) = None;
    }

    /// Remembers the directory as it is now for [`Fault::Stale`](super::Fault::Stale).
    pub fn mark(&self) {
        let now = Arc::new(self.read().clone());
        *locked(&self.inner.marked) = Some(now);
    }
}

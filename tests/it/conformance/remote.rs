//! The server in memory as the suite drives it. It declines nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Endpoint;
use tenantry::model::{AttributeName, ObjectKind, SourceId, names};
use tenantry::testkit::conformance::{Done, Dump, NewUser, Place, Remote};

use super::connector::Memory;
use super::server::{Faults, PASSWORD, Server, guid};
use super::wrong::{Hooks, Wrong};

pub(crate) struct MemoryRemote {
    pub(crate) server: Server,
    pub(crate) hooks: Option<Arc<Hooks>>,
}

impl MemoryRemote {
    pub(crate) fn new(hooks: Option<Arc<Hooks>>) -> Self {
        Self { server: Server::new(0x11), hooks }
    }

    fn over(&self, memory: Memory) -> Arc<dyn Endpoint> {
        match &self.hooks {
            None => Arc::new(memory),
            Some(hooks) => Arc::new(Wrong::new(memory, Arc::clone(hooks))),
        }
    }

    fn faults(&self, set: impl FnOnce(&mut Faults)) {
        let mut state = self.server.state();
        state.calls = 0;
        set(&mut state.faults);
    }
}

fn place(place: Place) -> &'static str {
    match place {
        Place::First => "first",
        Place::Second => "second",
    }
}

#[async_trait]
impl Remote for MemoryRemote {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        self.over(Memory::new(self.server.clone()))
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.into()]
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let mut state = self.server.state();
        let place = place(user.place);
        Ok(state.add(ObjectKind::User, place, &user.first_name, &user.last_name, user.mail.as_deref()).into())
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        let mut state = self.server.state();
        let group = state.add(ObjectKind::Group, "groups", "", name, None);
        state.edit_members(group, |_| ());
        Ok(group.into())
    }

    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        Ok(self.server.state().add(ObjectKind::Computer, "machines", "", name, None).into())
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        self.server.state().edit_members(guid(group), |all| all.extend(members.iter().map(guid)));
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        self.server.state().edit_members(guid(group), |all| all.retain(|id| !members.contains(&SourceId::Guid(*id))));
        Ok(())
    }

    async fn set_primary_group(&mut self, user: &SourceId, group: &SourceId) -> Done {
        self.server.state().edit(guid(user), |row| row.primary = Some(guid(group)));
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        self.server.state().edit(guid(user), |row| row.last = last_name.into());
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        self.server.state().edit(guid(user), |row| row.mail = mail.map(str::to_owned));
        Ok(())
    }

    async fn move_to(&mut self, user: &SourceId, to: Place) -> Done {
        self.server.state().edit(guid(user), |row| (row.place, row.outside) = (place(to), false));
        Ok(())
    }

    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        self.server.state().edit(guid(user), |row| row.outside = true);
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        self.server.state().delete(guid(id));
        Ok(())
    }

    async fn restore(&mut self, id: &SourceId) -> Done {
        self.server.state().restore(guid(id));
        Ok(())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        let mut state = self.server.state();
        let id = state.add(ObjectKind::User, "first", "", "", None);
        state.edit(id, |row| row.broken = true);
        Ok(Some(id.into()))
    }

    async fn hide(&mut self, user: &SourceId) -> Done {
        self.server.state().hide(guid(user));
        Ok(())
    }

    async fn deny_attribute(&mut self) -> Done<AttributeName> {
        self.faults(|faults| faults.no_state = true);
        Ok(names::STATE)
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        self.faults(|faults| faults.no_members.extend([guid(group)]));
        Ok(())
    }

    async fn withdraw_right(&mut self) -> Done {
        self.faults(|faults| faults.no_rights = true);
        Ok(())
    }

    async fn withdraw_rights_after(&mut self, calls: u32) -> Done {
        self.faults(|faults| faults.no_rights_from = Some(calls + 1));
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        self.faults(|faults| faults.from_call = Some(nth));
        Ok(())
    }

    async fn give_empty_pages(&mut self) -> Done {
        self.faults(|faults| faults.empty_pages = true);
        Ok(())
    }

    async fn repeat_pages(&mut self) -> Done {
        self.faults(|faults| faults.repeat = true);
        Ok(())
    }

    async fn repeat_changes(&mut self) -> Done {
        self.faults(|faults| faults.repeat_changes = true);
        Ok(())
    }

    async fn expire_cursors(&mut self) -> Done {
        let mut state = self.server.state();
        state.oldest_cursor = state.counter + 1;
        Ok(())
    }

    async fn refuse_credentials(&mut self) -> Done {
        self.faults(|faults| faults.wrong_password = true);
        Ok(())
    }

    async fn sign_ins(&mut self) -> Done<u64> {
        Ok(self.server.state().sign_ins)
    }

    async fn fall_silent(&mut self) -> Done {
        self.faults(|faults| faults.silent = true);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.faults(|faults| *faults = Faults::default());
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        // One server stands for all; which one answered is a counter of its calls.
        self.server.state().calls += 1_000;
        Ok(self.endpoint())
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        Ok(self.over(Memory::new(Server::new(0x22))))
    }

    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        Ok(self.over(Memory { filter: "(department=*)", ..Memory::new(self.server.clone()) }))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let state = self.server.state();
        let attributes = |row: &super::server::Row| {
            BTreeMap::from([
                ("names".into(), format!("{} {} {:?} {}", row.first, row.last, row.mail, row.place)),
                ("state".into(), format!("{:?} {}", row.suspended, row.locked)),
            ])
        };
        Ok(state.rows.values().map(|row| (row.id.to_string(), attributes(row))).collect())
    }

    async fn refuse_changes(&mut self, user: &SourceId) -> Done {
        self.server.state().protect(guid(user));
        Ok(())
    }

    async fn put_protected(&mut self) -> Done<SourceId> {
        let mut state = self.server.state();
        let id = state.add(ObjectKind::User, "first", "System", "System", None);
        state.edit(id, |row| row.system = true);
        Ok(id.into())
    }

    async fn swallow_answer(&mut self) -> Done {
        self.faults(|faults| faults.swallow_answer = true);
        Ok(())
    }

    async fn ignore_changes(&mut self) -> Done {
        self.faults(|faults| faults.ignore_changes = true);
        Ok(())
    }
}

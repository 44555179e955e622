//! The scripted endpoint, which tests of the engine trust: it is honest as long as it is not told to lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Endpoint;
use tenantry::model::{AttributeName, ObjectKind, SourceId, Value, names};
use tenantry::testkit::conformance::{Done, Dump, NewUser, Place, Remote, Suite};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint, ScriptedObject};

struct Script {
    endpoint: ScriptedEndpoint,
    next: u128,
    deleted: BTreeMap<SourceId, ScriptedObject>,
}

fn endpoint(directory: ScriptedDirectory) -> ScriptedEndpoint {
    ScriptedEndpoint::new("script", directory, 7).unwrap().with_deltas().with_actions()
}

fn directory(identity: &str) -> ScriptedDirectory {
    let mut directory = ScriptedDirectory::new(identity);
    directory.tombstones_readable = true;
    directory.outside.insert("outside".into());
    directory
}

impl Script {
    fn new() -> Self {
        Self { endpoint: endpoint(directory("one")), next: 0, deleted: BTreeMap::new() }
    }

    fn number(&mut self) -> u128 {
        self.next += 1;
        // Not in the order in which they come.
        self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_003
    }

    fn set(&self, id: &SourceId, name: AttributeName, value: impl Into<Value>) {
        self.endpoint.change(|directory| directory.set(id, name, value));
    }

    fn to(&self, id: &SourceId, container: &str) {
        self.endpoint.change(|directory| directory.move_to(id, container));
    }
}

fn container(place: Place) -> &'static str {
    if place == Place::First { "first" } else { "second" }
}

#[async_trait]
impl Remote for Script {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(self.endpoint.clone())
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let number = self.number();
        let id = self.endpoint.change(|directory| directory.add_user(number, container(user.place)));
        self.set(&id, names::FIRST_NAME, user.first_name.as_str());
        self.set(&id, names::LAST_NAME, user.last_name.as_str());
        self.set(&id, names::PRIMARY_EMAIL, Value::text(user.mail.as_deref()));
        Ok(id)
    }

    async fn put_group(&mut self, _name: &str) -> Done<SourceId> {
        let number = self.number();
        Ok(self.endpoint.change(|directory| directory.add_group(number)))
    }

    async fn put_computer(&mut self, _name: &str) -> Done<SourceId> {
        let number = self.number();
        Ok(self.endpoint.change(|directory| directory.add_computer(number, "machines")))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        self.endpoint.change(|directory| members.iter().for_each(|member| directory.add_member(group, member)));
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        self.endpoint.change(|directory| members.iter().for_each(|member| directory.remove_member(group, member)));
        Ok(())
    }

    async fn set_primary_group(&mut self, user: &SourceId, group: &SourceId) -> Done {
        let primary = Some(group.clone());
        self.endpoint.change(|directory| directory.objects.get_mut(user).unwrap().primary_group = primary);
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        self.set(user, names::LAST_NAME, last_name);
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        self.set(user, names::PRIMARY_EMAIL, Value::text(mail));
        Ok(())
    }

    async fn move_to(&mut self, user: &SourceId, place: Place) -> Done {
        self.to(user, container(place));
        Ok(())
    }

    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        self.to(user, "outside");
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        let object = self.endpoint.change(|directory| {
            let object = directory.objects[id].clone();
            directory.delete(id);
            object
        });
        self.deleted.insert(id.clone(), object);
        Ok(())
    }

    async fn restore(&mut self, id: &SourceId) -> Done {
        let object = self.deleted.remove(id).unwrap();
        self.endpoint.change(|directory| {
            directory.tombstones.remove(id);
            directory.objects.insert(id.clone(), object);
        });
        Ok(())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        let number = self.number();
        Ok(Some(self.endpoint.change(|directory| {
            let id = directory.add_user(number, "first");
            directory.objects.get_mut(&id).unwrap().unintelligible = true;
            id
        })))
    }

    async fn hide(&mut self, user: &SourceId) -> Done {
        self.to(user, "hidden");
        self.endpoint.lie([Lie::Hides("hidden".into())]);
        Ok(())
    }

    async fn deny_attribute(&mut self) -> Done<AttributeName> {
        self.endpoint.lie([Lie::Unreadable(vec![names::STATE])]);
        Ok(names::STATE)
    }

    async fn withdraw_right(&mut self) -> Done {
        self.endpoint.change(|directory| directory.tombstones_readable = false);
        Ok(())
    }

    async fn withdraw_rights_after(&mut self, calls: u32) -> Done {
        self.endpoint.lie([Lie::LosesRightsAfter(calls as usize)]);
        Ok(())
    }

    async fn expire_cursors(&mut self) -> Done {
        self.endpoint.expire_cursors();
        Ok(())
    }

    async fn refuse_changes(&mut self, user: &SourceId) -> Done {
        self.endpoint.lie([Lie::ActionRefused(vec![user.clone()])]);
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.endpoint.lie([]);
        self.endpoint.change(|directory| directory.tombstones_readable = true);
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        Ok(Arc::new(endpoint(self.endpoint.change(|directory| directory.clone()))))
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        Ok(Arc::new(endpoint(directory("two"))))
    }

    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        let other = endpoint(self.endpoint.change(|directory| directory.clone()));
        other.set_filter("(department=*)");
        Ok(Arc::new(other))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let line = |object: &ScriptedObject| BTreeMap::from([("all".to_owned(), format!("{object:?}"))]);
        Ok(self.endpoint.change(|directory| {
            let users = directory.objects.iter().filter(|(_, object)| object.kind != ObjectKind::Group);
            users.map(|(id, object)| (id.to_string(), line(object))).collect()
        }))
    }
}

/// A script knows no server: nobody signs in, nobody fails to answer.
const WITHOUT: &[&str] = &[
    "calls::tell_an_outage",
    "calls::show_no_secret",
    "calls::verify_tries_a_wrong_password_once",
    "trouble::nothing_is_closed_after_an_error",
    "trouble::what_may_not_be_read_is_told",
    "trouble::a_broken_listing_is_an_error",
    "trouble::a_broken_id_listing_is_an_error",
    "paging::goes_on_at_empty_pages",
    "paging::repeated_pages_are_an_error",
    "paging::loses_nothing_after_an_error",
    "lookup::guesses_nothing_in_an_outage",
    "members::says_unknown_in_doubt",
    "delta::a_broken_delta_is_an_error",
    "delta::knows_without_the_network_how_fresh_it_is",
    "delta::knows_without_the_network_what_it_tells",
    "delta::repeated_pages_are_an_error",
    "actor::knows_without_the_network_what_it_offers",
    "actor::begin_tells_what_concerns_every_account",
    "actor::reads_back_what_it_did",
    "actor::a_cancellation_tells_whether_something_was_sent",
];

#[tokio::test]
async fn the_scripted_endpoint_does_what_a_script_can_be_asked() {
    Suite::new(|| async { Script::new() }).in_memory().run().await.assert_but(WITHOUT);
}

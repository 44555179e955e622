//! The connector of the examples, over a JSON file. The file can do little, and says so.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenantry::Endpoint;
use tenantry::model::SourceId;
use tenantry::testkit::conformance::{Declined, Done, Dump, NewUser, Place, Remote, Suite};

#[path = "../../../examples/custom_endpoint.rs"]
#[allow(dead_code, unreachable_pub, clippy::wildcard_imports, reason = "the example is a program of its own")]
mod custom_endpoint;

use custom_endpoint::FileEndpoint;

const SCOPE: &str = "people";

struct JsonFile {
    folder: TempDir,
    directory: Value,
    next: u32,
}

impl JsonFile {
    fn new(id: &str) -> Self {
        let folder = crate::world::folder();
        let file = Self { folder, directory: json!({ "directory": id, "objects": {} }), next: 100 };
        file.write();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("directory.json")
    }

    fn write(&self) {
        std::fs::write(self.path(), self.directory.to_string()).unwrap();
    }

    fn put(&mut self, object: Value) -> SourceId {
        self.next += 7;
        // Ids that are not in the order in which they were given.
        let id = format!("{}-{}", self.next % 10, self.next);
        self.directory["objects"][&id] = object;
        self.write();
        SourceId::parse(&id)
    }

    fn edit(&mut self, id: &SourceId, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.directory["objects"][id.to_string()]);
        self.write();
    }

    fn over(&self, unit: &str) -> Arc<dyn Endpoint> {
        Arc::new(FileEndpoint::new("file", self.path(), unit).unwrap())
    }
}

#[async_trait]
impl Remote for JsonFile {
    fn endpoint(&self) -> Arc<dyn Endpoint> {
        self.over(SCOPE)
    }

    async fn put_user(&mut self, user: &NewUser) -> Done<SourceId> {
        let name = format!("{} {}", user.first_name, user.last_name);
        Ok(self.put(json!({ "kind": "user", "unit": SCOPE, "name": name, "mail": user.mail })))
    }

    async fn put_group(&mut self, name: &str) -> Done<SourceId> {
        Ok(self.put(json!({ "kind": "group", "unit": SCOPE, "name": name, "members": [] })))
    }

    async fn put_computer(&mut self, name: &str) -> Done<SourceId> {
        Ok(self.put(json!({ "kind": "computer", "unit": SCOPE, "name": name })))
    }

    async fn add_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        let ids = members.iter().map(|id| json!(id.to_string()));
        self.edit(group, |group| group["members"].as_array_mut().unwrap().extend(ids));
        Ok(())
    }

    async fn remove_members(&mut self, group: &SourceId, members: &[SourceId]) -> Done {
        let gone: Vec<_> = members.iter().map(|id| json!(id.to_string())).collect();
        self.edit(group, |group| group["members"].as_array_mut().unwrap().retain(|id| !gone.contains(id)));
        Ok(())
    }

    async fn rename(&mut self, user: &SourceId, last_name: &str) -> Done {
        self.edit(user, |user| user["name"] = json!(last_name));
        Ok(())
    }

    async fn set_mail(&mut self, user: &SourceId, mail: Option<&str>) -> Done {
        self.edit(user, |user| user["mail"] = json!(mail));
        Ok(())
    }

    async fn move_to(&mut self, _user: &SourceId, _place: Place) -> Done {
        Err(Declined::because("one unit is in scope"))
    }

    async fn move_out_of_scope(&mut self, user: &SourceId) -> Done {
        self.edit(user, |user| user["unit"] = json!("elsewhere"));
        Ok(())
    }

    async fn delete(&mut self, id: &SourceId) -> Done {
        self.directory["objects"].as_object_mut().unwrap().remove(&id.to_string());
        self.write();
        Ok(())
    }

    async fn put_unintelligible(&mut self) -> Done<Option<SourceId>> {
        Ok(Some(self.put(json!({ "kind": "user", "unit": 7 }))))
    }

    async fn deny_members(&mut self, group: &SourceId) -> Done {
        self.edit(group, |group| group["members"] = Value::Null);
        Ok(())
    }

    async fn fail_from_call(&mut self, nth: u32) -> Done {
        if nth > 1 {
            return Err(Declined::because("nobody counts how often a file is read"));
        }
        let _ = std::fs::remove_file(self.path());
        Ok(())
    }

    async fn heal(&mut self) -> Done {
        self.write();
        Ok(())
    }

    async fn other_server(&mut self) -> Done<Arc<dyn Endpoint>> {
        let copy = self.folder.path().join("copy.json");
        std::fs::copy(self.path(), &copy).unwrap();
        Ok(Arc::new(FileEndpoint::new("file", copy, SCOPE).unwrap()))
    }

    async fn other_directory(&mut self) -> Done<Arc<dyn Endpoint>> {
        let other = self.folder.path().join("other.json");
        std::fs::write(&other, json!({ "directory": "another", "objects": {} }).to_string()).unwrap();
        Ok(Arc::new(FileEndpoint::new("file", other, SCOPE).unwrap()))
    }

    async fn other_filter(&mut self) -> Done<Arc<dyn Endpoint>> {
        Ok(self.over("elsewhere"))
    }

    async fn dump(&mut self) -> Done<Dump> {
        let text = std::fs::read_to_string(self.path()).unwrap();
        Ok([("file".to_owned(), [("text".to_owned(), text)].into())].into())
    }
}

/// What a file has not.
const WITHOUT: &[&str] = &[
    "calls::show_no_secret",
    "calls::verify_tries_a_wrong_password_once",
    "coverage::shows_a_withdrawn_right",
    "coverage::shows_a_right_lost_on_the_way",
    "snapshot::names_primary_groups",
    "snapshot::leaves_out_what_was_not_read",
    "resuming::takes_the_cursor_before_the_data",
    "resuming::tells_the_first_cursor",
    "paging::goes_on_at_empty_pages",
    "paging::repeated_pages_are_an_error",
    "lookup::does_not_call_gone_what_is_hidden",
    "delta::",
    "actor::",
];

#[tokio::test]
async fn the_connector_of_the_examples_passes_what_a_file_can_be_asked() {
    let report = Suite::new(|| async { JsonFile::new("0b6c1d4e") }).in_memory().run().await;
    report.assert_but(WITHOUT);
}

//! What a configuration leaves to local editors stays theirs, whatever the directory says.

use std::fs;

use tenantry::model::{AttributeName, CustomerId, Edit, ObjectKind, Record};
use tenantry::{Directory, ErrorKind, SqliteStore, Store};

use crate::world::World;

fn yields(world: &World, list: &str) {
    let file = world.path("tenant.toml");
    let text = fs::read_to_string(&file).unwrap();
    let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with("yields")).collect();
    fs::write(file, format!("{}\nyields = {list}\n", plain.join("\n"))).unwrap();
}

fn one(world: &World) -> Record {
    let store = SqliteStore::open(world.state()).unwrap();
    let users = store.records(&CustomerId::new("corp").unwrap(), ObjectKind::User, None, 100).unwrap();
    let is_it = |user: &Record| user.attributes.text(&tenantry::model::names::USERNAME) == Some("user0003");
    users.into_iter().find(is_it).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yielded_attribute_is_edited_here_and_survives_the_import() {
    let world = World::new(5).await;
    assert_eq!(world.run(&[]).status, Some(0));
    let mobile = AttributeName::extra("mobile");
    let edit = Edit::new().set(mobile.clone(), "+49 30 1234");
    let change = async |world: &World| {
        let directory = Directory::new(std::sync::Arc::new(SqliteStore::open(world.state()).unwrap()));
        directory.edit(&CustomerId::new("corp").unwrap(), one(world).id, &edit).await.map(drop)
    };
    assert_eq!(*change(&world).await.unwrap_err().kind(), ErrorKind::Locked);

    yields(&world, r#"["mobile"]"#);
    let said = world.run(&["--json"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(one(&world).lock.unwrap().yielded, ["attributes.mobile"]);
    change(&world).await.unwrap();
    world.directory.set("user0003", "mobile", ["+1 555 0100"]);
    world.directory.set("user0003", "title", ["Diver"]);
    assert_eq!(world.run(&["--full"]).status, Some(0));
    let kept = one(&world);
    assert_eq!(kept.attributes.text(&mobile), Some("+49 30 1234"), "its own value");
    assert_eq!(kept.attributes.text(&AttributeName::extra("title")), Some("Diver"), "all else is the directory's");

    // No longer yielded, the directory's value shows; the local one is kept for when it is.
    yields(&world, "[]");
    assert_eq!(world.run(&[]).status, Some(0));
    assert_eq!(one(&world).attributes.text(&mobile), Some("+1 555 0100"));
    yields(&world, r#"["mobile"]"#);
    assert_eq!(world.run(&[]).status, Some(0));
    assert_eq!(one(&world).attributes.text(&mobile), Some("+49 30 1234"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_does_not_exist_is_refused_with_line_and_remedy() {
    let world = World::new(1).await;
    yields(&world, r#"["mobil"]"#);
    let said = world.run(&[]);
    assert_eq!(said.status, Some(2), "{said:?}");
    for part in ["tenant.toml:", "no such attribute", "did you mean mobile?"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

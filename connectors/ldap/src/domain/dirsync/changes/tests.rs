//! Single entries of an answer.

use super::*;

const DOMAIN: &str = "DC=corp,DC=example";

fn reads() -> Reads {
    Reads { kinds: Kinds::default(), selecting: ["description".to_owned()].into(), harmless: &["mail", "description"] }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn entry(n: u128, name: &str, attributes: &[(&str, &[&str])]) -> Entry {
    let always: (&str, &[&str]) = ("instanceType", &["4"]);
    let attributes = attributes.iter().chain([&always]).map(|(name, values)| (*name, values.iter().copied()));
    Entry::new(format!("<GUID={}>;{name}", id(n)), attributes)
}

fn taken(entries: &[Entry]) -> Changes {
    let mut changes = Changes::default();
    for entry in entries {
        changes.take(entry, &reads()).unwrap();
    }
    changes
}

#[test]
fn a_changed_attribute_asks_for_the_object_and_for_members_only_where_it_may_have_come_into_scope() {
    let plain = taken(&[entry(1, "CN=a,DC=corp", &[("mail", &["a@corp.example"])])]);
    assert!(plain.changed.contains(&id(1)) && plain.whole.is_empty() && plain.moved.is_empty());
    for (name, values) in
        [("description", &["x"][..]), ("groupType", &["2"]), ("member", &[]), ("member;range=0-1499", &[])]
    {
        assert!(taken(&[entry(1, "CN=a,DC=corp", &[(name, values)])]).whole.contains(&id(1)), "{name}");
    }
}

#[test]
fn single_members_come_and_go_by_their_ids_and_the_last_word_counts() {
    let member = |n: u128| format!("<GUID={}>;CN=m{n},{DOMAIN}", id(n));
    let (two, three) = (member(2), member(3));
    let first = entry(1, "CN=g,DC=corp", &[("member;range=1-1", &[&two]), ("Member;Range=0-0", &[&three])]);
    let changes = taken(std::slice::from_ref(&first));
    let members = &changes.members[&id(1)];
    assert_eq!(
        members.iter().map(|(guid, (_, came))| (*guid, *came)).collect::<Vec<_>>(),
        [(id(2), true), (id(3), false)]
    );
    assert!(changes.whole.is_empty());
    let again = entry(1, "CN=g,DC=corp", &[("member;range=0-0", &[&two])]);
    let changes = taken(&[first, again]);
    assert!(changes.members[&id(1)].values().all(|(_, came)| !came));
}

#[test]
fn a_member_that_does_not_tell_its_id_asks_for_the_whole_list() {
    let changes = taken(&[entry(1, "CN=g,DC=corp", &[("member;range=1-1", &["CN=m,DC=corp,DC=example"])])]);
    assert!(changes.whole.contains(&id(1)));
}

#[test]
fn a_deleted_member_without_an_id_in_front_is_told_by_the_one_in_its_name() {
    let gone = format!("CN=m\\0ADEL:{},CN=Deleted Objects,{DOMAIN}", id(2));
    let changes = taken(&[entry(1, "CN=g,DC=corp", &[("member;range=0-0", &[&gone])])]);
    let members = &changes.members[&id(1)];
    assert_eq!(members.iter().map(|(guid, (_, came))| (*guid, *came)).collect::<Vec<_>>(), [(id(2), false)]);
    assert!(changes.whole.is_empty());
}

#[test]
fn a_deleted_object_is_nobodys_new_member() {
    let gone = format!("<GUID={}>;CN=m\\0ADEL:{},CN=Deleted Objects,{DOMAIN}", id(2), id(2));
    let changes = taken(&[entry(1, "CN=g,DC=corp", &[("member;range=1-1", &[&gone])])]);
    assert!(changes.members[&id(1)].is_empty());
    assert!(changes.whole.is_empty());
}

#[test]
fn deleted_restored_and_hidden_objects_are_told_apart() {
    let name = format!("CN=a\\0ADEL:{},CN=Deleted Objects,{DOMAIN}", id(1));
    let deleted = entry(1, &name, &[("isDeleted", &["TRUE"]), ("name", &["a"])]);
    let changes = taken(std::slice::from_ref(&deleted));
    assert_eq!(changes.deleted[&id(1)], TombstoneKind::Soft);
    assert!(changes.changed.is_empty() && changes.moved.is_empty());
    for (attribute, values) in [("isRecycled", &["TRUE"][..]), ("objectCategory", &[])] {
        let changes = taken(&[entry(1, &name, &[("isDeleted", &["TRUE"]), (attribute, values)])]);
        assert_eq!(changes.deleted[&id(1)], TombstoneKind::Hard, "{attribute}");
    }
    let restored = entry(1, "CN=a,DC=corp", &[("isDeleted", &[]), ("name", &["a"])]);
    let changes = taken(&[deleted, restored]);
    assert!(changes.deleted.is_empty() && changes.restored.contains(&id(1)) && changes.whole.contains(&id(1)));
    let changes = taken(&[entry(1, "", &[])]);
    assert!(changes.hidden == 1 && changes.changed.is_empty() && changes.deleted.is_empty());
}

#[test]
fn what_was_renamed_or_moved_is_told_from_what_is_new() {
    let renamed = taken(&[entry(1, "OU=a,DC=corp", &[("name", &["a"])])]);
    assert!(renamed.moved.contains(&id(1)));
    let new = taken(&[entry(1, "OU=a,DC=corp", &[("name", &["a"]), ("whenCreated", &["20260101000000.0Z"])])]);
    assert!(new.moved.is_empty() && new.changed.contains(&id(1)));
}

#[test]
fn members_of_other_domains_are_told_as_such() {
    let foreign = format!("<GUID={}>;CN=z,DC=west,DC=example", id(2));
    let changes = taken(&[entry(1, "CN=g,DC=corp", &[("member;range=1-1", &[&foreign])])]);
    assert_eq!(changes.members[&id(1)].values().next().unwrap().0, MemberKind::External);
}

//! Erasure: of a person nothing remains, in no file and in no event; of everything else nothing is lost.

use std::path::Path;

use rusqlite::Connection;
use tenantry::ErrorKind;
use tenantry::model::{
    AttributeName, EventType, HandOver, ObjectKind, Outcome, RecordId, SourceId, TombstoneKind, Value, names,
};
use tenantry::testkit::{Lie, ScriptedDirectory};

use super::stage::name;
use super::{Replica, Stage};
use crate::world::{World, count};

/// Words that stand for a person, the older ones too.
const WORDS: [&str; 9] = [
    "Quillfeather",
    "Oldname",
    "Ottoline",
    "ottoline@corp.example",
    "o.quill@corp.example",
    "quillfeatherlogin",
    "Room-Zx81",
    "Payroll-4711-Zx",
    "LastSeenZx",
];

/// Lists the words that are found in the raw bytes of any file, and in what its compressed events say.
pub(crate) fn found_in(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |what: &str, bytes: &[u8]| {
        for word in words {
            if bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())) {
                found.push(format!("{word} in {what}"));
            }
        }
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            look(path.file_name().unwrap().to_str().unwrap(), &std::fs::read(&path).unwrap());
            if path.extension().is_some_and(|extension| extension == "db") {
                let file = Connection::open(&path).unwrap();
                let mut query = file.prepare("SELECT segment FROM outbox").unwrap();
                let mut rows = query.query([]).unwrap();
                while let Some(row) = rows.next().unwrap() {
                    let segment: Vec<u8> = row.get(0).unwrap();
                    look("a segment", &lz4_flex::decompress_size_prepended(&segment).unwrap());
                }
            }
        }
    }
    found
}

pub(super) fn ottoline(directory: &mut ScriptedDirectory) -> SourceId {
    let id = directory.add_user(4242, "oslo");
    directory.set(&id, names::FIRST_NAME, "Ottoline");
    directory.set(&id, names::LAST_NAME, "Oldname");
    directory.set(&id, names::PRIMARY_EMAIL, "ottoline@corp.example");
    directory.set(&id, names::USERNAME, "quillfeatherlogin");
    directory.set(&id, names::ALIASES, Value::list(vec!["o.quill@corp.example".to_owned()]));
    directory.set(&id, AttributeName::extra("room"), "Room-Zx81");
    directory.add_member(&ScriptedDirectory::id(1_000_000), &id);
    id
}

fn record_of(stage: &Stage, id: &SourceId) -> RecordId {
    RecordId::founded_by(&stage.customer, &name("ad"), ObjectKind::User, &id.key())
}

/// A person with a past: renamed, seen, quarantined once, a listing of it interrupted.
async fn with_a_past() -> (Stage, SourceId) {
    let stage = Stage::small().await;
    let id = stage.endpoints[0].change(ottoline);
    stage.import_all().await;
    stage.endpoints[0].change(|directory| {
        directory.set(&id, names::LAST_NAME, "Quillfeather");
        directory.set(&id, AttributeName::extra("payroll"), "Payroll-4711-Zx");
        let seen = &mut directory.objects.get_mut(&id).unwrap().observations;
        seen.set(AttributeName::extra("last_seen"), "LastSeenZx");
        // A neighbour's rows move about in the same pages.
        for number in 1..=20 {
            directory.set(&ScriptedDirectory::id(number), names::LAST_NAME, format!("Longer{number}").repeat(20));
        }
    });
    stage.import_all().await;
    stage.endpoints[0].change(|directory| directory.set(&id, names::FIRST_NAME, "Ottoline"));
    (stage, id)
}

#[tokio::test]
async fn not_a_byte_of_an_erased_person_stays_in_any_file_or_event() {
    let (mut stage, id) = with_a_past().await;
    stage.check("imported");
    // Staged once more, and left behind.
    stage.endpoints[0].change(|directory| directory.set(&id, AttributeName::extra("room"), "Room-Zx81-b"));
    stage.endpoints[0].change(|directory| directory.set(&id, AttributeName::extra("room2"), "Room-Zx81"));
    stage.endpoints[0].lie([Lie::FailsAfter(4)]);
    assert_eq!(stage.import(0).await.outcome, Outcome::Failed);
    let before = found_in(stage.folder.path(), &WORDS);
    for word in WORDS {
        assert!(before.iter().any(|found| found.starts_with(word)), "{word} is nowhere even before: {before:?}");
    }
    assert!(before.iter().any(|found| found.contains(".stage")), "{before:?}");
    stage.check("failed");
    let (events, record) = (stage.events(0), record_of(&stage, &id));

    let erased = stage.service.erase(&stage.customer, &[record]).await.unwrap();
    assert_eq!((erased.records, erased.members_removed), (1, 1));
    assert!(erased.segments > 0);
    assert_eq!(found_in(stage.folder.path(), &WORDS), [""; 0]);
    stage.check("erased");

    // Place, sequence, id, type and time of each event are as they were; only theirs say less.
    let after = stage.events(0);
    for (before, after) in events.iter().zip(&after) {
        let face = |event: &tenantry::model::Event| {
            (event.id.clone(), event.sequence.clone(), event.event_type, event.subject.clone(), event.time.clone())
        };
        assert_eq!(face(before), face(after));
        if before.subject == record.to_string() {
            assert_eq!(after.data_value()["erased"], true);
            assert_eq!(after.data_value()["record"], serde_json::json!({ "id": record }));
        } else {
            assert_eq!(before.data_value(), after.data_value());
        }
    }
    let new = &after[events.len()..];
    assert_eq!(new.len(), 2);
    assert_eq!((count(new, EventType::MemberRemoved), count(new, EventType::UserRemoved)), (1, 1));
    let mut replayed = Replica::default();
    replayed.take(&after);
    replayed.same_as(&stage.live, "replayed from the first event");
}

#[tokio::test]
async fn who_is_still_there_comes_back_with_the_next_listing_and_who_was_removed_there_does_not() {
    for removed in [false, true] {
        let (mut stage, id) = with_a_past().await;
        stage.check("imported");
        let record = record_of(&stage, &id);
        if removed {
            stage.endpoints[0].change(|directory| directory.delete_as(&id, TombstoneKind::Hard));
        }
        stage.service.erase(&stage.customer, &[record]).await.unwrap();
        let report = stage.import(0).await;
        assert_eq!((report.outcome, report.created), (Outcome::Done, u64::from(!removed)));
        stage.check("imported again");
        assert_eq!(stage.store().record(&stage.customer, record).unwrap().is_some(), !removed);
        if removed {
            assert_eq!(found_in(stage.folder.path(), &WORDS), [""; 0]);
        } else {
            let (_, members) = stage.store().members(&stage.customer, record_of_group(&stage)).unwrap();
            assert_eq!(members, 11, "the group's listing brings the membership back");
        }
    }
}

fn record_of_group(stage: &Stage) -> RecordId {
    let key = ScriptedDirectory::id(1_000_000).key();
    RecordId::founded_by(&stage.customer, &name("ad"), ObjectKind::Group, &key)
}

#[tokio::test]
async fn people_who_were_removed_or_handed_over_before_are_erased_as_well() {
    for handed_over in [false, true] {
        let (mut stage, id) = with_a_past().await;
        let record = record_of(&stage, &id);
        if handed_over {
            stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Archived).await.unwrap();
        } else {
            stage.endpoints[0].change(|directory| directory.delete_as(&id, TombstoneKind::Soft));
            stage.import_all().await;
        }
        stage.check("gone or handed over");
        assert!(!found_in(stage.folder.path(), &WORDS).is_empty());
        let told = stage.events(0).len();
        stage.service.erase(&stage.customer, &[record]).await.unwrap();
        assert_eq!(found_in(stage.folder.path(), &WORDS), [""; 0]);
        stage.check("erased");
        assert_eq!(stage.events(0).len() - told, usize::from(handed_over), "who was removed is not removed again");
    }
}

#[tokio::test]
async fn removed_with_the_record_of_a_removed_endpoint_the_events_are_still_erased() {
    let (mut stage, id) = with_a_past().await;
    let record = record_of(&stage, &id);
    stage.endpoints[0].change(|directory| directory.delete(&id));
    stage.import_all().await;
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    assert_eq!(stage.service.erase(&stage.customer, &[record]).await.unwrap().records, 0);
    assert_eq!(found_in(stage.folder.path(), &WORDS), [""; 0]);
    stage.check("erased");
}

#[tokio::test]
async fn wrong_ids_erase_nobody() {
    let (mut stage, id) = with_a_past().await;
    let (person, group) = (record_of(&stage, &id), record_of_group(&stage));
    let last = stage.store().last_position(&stage.customer).unwrap();
    let unknown = stage.service.erase(&stage.customer, &[person, RecordId::random()]).await.unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::NotFound);
    let group = stage.service.erase(&stage.customer, &[person, group]).await.unwrap_err();
    assert_eq!(*group.kind(), ErrorKind::Config);
    assert_eq!(stage.store().last_position(&stage.customer).unwrap(), last);
    assert!(!found_in(stage.folder.path(), &WORDS).is_empty());
    stage.check("as before");
    stage.service.erase(&stage.customer, &[person]).await.unwrap();
    let again = stage.service.erase(&stage.customer, &[person]).await;
    assert!(again.is_ok_and(|erased| erased.records == 0), "their events are still known: nothing is left to do");
}

#[tokio::test]
async fn erasure_is_refused_while_an_import_sees_the_person() {
    let (mut stage, id) = with_a_past().await;
    // Held as a run holds it, for as long as this test likes.
    let path = stage.folder.path().join("state.db.work/c1+ad.run");
    let run = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    run.lock().unwrap();
    let refused = stage.service.erase(&stage.customer, &[record_of(&stage, &id)]).await.unwrap_err();
    run.unlock().unwrap();
    assert_eq!((refused.kind(), refused.retry()), (&ErrorKind::Conflict, tenantry::Retry::Backoff));
    stage.service.erase(&stage.customer, &[record_of(&stage, &id)]).await.unwrap();
    stage.check("erased");
}

#[tokio::test]
async fn an_erasure_beside_somebody_who_reads_an_old_state_says_so_and_ends_once_it_is_asked_again() {
    let (mut stage, id) = with_a_past().await;
    stage.check("imported");
    let mut export = stage.service.export(&stage.customer).await.unwrap();
    export.next(1).await.unwrap();
    let record = record_of(&stage, &id);
    let busy = stage.service.erase(&stage.customer, &[record]).await.unwrap_err();
    assert_eq!((busy.kind(), busy.retry()), (&ErrorKind::Store, tenantry::Retry::Backoff), "{busy}");
    assert!(stage.store().record(&stage.customer, record).unwrap().is_none(), "gone all the same");
    drop(export);
    stage.check("erased");
    assert!(!found_in(stage.folder.path(), &WORDS).is_empty(), "the log still has it");
    stage.service.erase(&stage.customer, &[record]).await.unwrap();
    assert_eq!(found_in(stage.folder.path(), &WORDS), [""; 0]);
    stage.check("erased to the last byte");
}

#[tokio::test]
async fn somebody_whose_id_is_an_address_is_not_named_by_memberships_or_computers_either() {
    let mut directory = World::directory(20);
    let id = SourceId::address("zelda.zx@corp.example");
    let template = directory.objects[&ScriptedDirectory::id(5)].clone();
    directory.objects.insert(id.clone(), template);
    directory.set(&id, names::LAST_NAME, "Zeldazx");
    directory.set(&id, names::PRIMARY_EMAIL, "zelda.zx@corp.example");
    directory.add_member(&ScriptedDirectory::id(1_000_000), &id);
    directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, "zelda.zx@corp.example");
    let mut other = ScriptedDirectory::new("x");
    other.add_user(1, "x");
    let mut stage = Stage::new([("ad", directory), ("cloud", other)]).await;
    stage.import_all().await;
    let words = ["zelda.zx", "Zeldazx"];
    assert!(!found_in(stage.folder.path(), &words).is_empty());
    let record = record_of(&stage, &id);
    stage.service.erase(&stage.customer, &[record]).await.unwrap();
    assert_eq!(found_in(stage.folder.path(), &words), [""; 0]);
    // Whoever replays from the first event sees it begin and end under the same name.
    stage.check("erased");
    let ended = stage.events(0).into_iter().rev().find(|event| event.event_type == EventType::MemberRemoved).unwrap();
    assert_eq!(ended.data_value()["member"], record.to_string(), "who has read on knows whose it is");
    assert!(ended.data_value()["member_source_id"].as_str().unwrap().starts_with("erased-"));
}

#[tokio::test]
async fn the_computers_of_an_erased_person_have_no_owner_until_the_remote_names_one_again() {
    let (mut stage, id) = with_a_past().await;
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, id.to_string());
    });
    stage.import_all().await;
    stage.check("owned");
    assert!(stage.live.records.values().any(|record| record["owner"]["id"].is_string()));
    stage.service.erase(&stage.customer, &[record_of(&stage, &id)]).await.unwrap();
    stage.check("erased");
    assert!(stage.live.records.values().all(|record| record["owner"]["id"].is_null()));
    stage.import_all().await;
    stage.check("imported again");
    assert!(stage.live.records.values().any(|record| record["owner"]["id"].is_string()));
}

#[tokio::test]
async fn an_erased_member_of_a_sleeping_group_does_not_wake_with_it() {
    let mut directory = World::directory(20);
    directory.tombstones_readable = true;
    let id = ottoline(&mut directory);
    let world = World::with_deltas(directory).await;
    world.import_done().await;
    let group = ScriptedDirectory::id(1_000_000);
    let (kept, members) = world.endpoint.change(|directory| {
        let kept = (directory.objects[&group].clone(), directory.members[&group].clone());
        directory.delete_as(&group, TombstoneKind::Soft);
        kept
    });
    assert!(members.contains(&id));
    let wide = super::stage::wide;
    assert_eq!(world.import_with(wide()).await.outcome, Outcome::Done);
    let record = RecordId::founded_by(
        &world.customer,
        &tenantry::Endpoint::info(&world.endpoint).name,
        ObjectKind::User,
        &id.key(),
    );
    world.service.erase(&world.customer, &[record]).await.unwrap();
    world.endpoint.change(|directory| {
        directory.objects.insert(group.clone(), kept);
        directory.tombstones.remove(&group);
        directory.members.insert(group.clone(), members);
    });
    let report = world.import_with(wide()).await;
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let mut replica = Replica::default();
    replica.follow(world.store(), &world.customer);
    replica.agrees_with(world.store(), &world.customer, "woken");
}

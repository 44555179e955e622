//! What is evidence that two are one, and that the index has all of it.

use tenantry::ImportOptions;
use tenantry::model::{ConflictReason, JoinReason, SourceId, Value, names};
use tenantry::testkit::ScriptedDirectory;

use super::accounts::{ALIASED, Account, FREE, NAMED, VERIFIED, accounts, anchored, id_of, of, put, reasons, told};
use crate::operations::{Stage, name};

/// What two endpoints show, and what comes of the first of each: a join, or a conflict.
type Evidence = (&'static [Account], &'static [Account], Result<JoinReason, Option<ConflictReason>>);

#[tokio::test]
async fn what_is_evidence_joins_and_what_is_not_is_a_conflict_whoever_is_imported_first() {
    use ConflictReason as C;
    use JoinReason as J;
    const TABLE: &[Evidence] = &[
        (&[VERIFIED], &[VERIFIED], Ok(J::VerifiedAddress)),
        (&[VERIFIED], &[NAMED], Ok(J::VerifiedAddress)),
        (&[ALIASED], &[NAMED], Ok(J::VerifiedAddress)),
        (&[FREE], &[FREE], Ok(J::NaturalKey)),
        // In nobody's domain an address alone tells nothing.
        (&[Account { names: ("", ""), ..FREE }], &[FREE], Err(Some(C::AddressWithOtherNames))),
        // Nor where two have it, at either endpoint.
        (&[VERIFIED], &[VERIFIED, VERIFIED], Err(Some(C::AddressWithOtherNames))),
        (&[VERIFIED, VERIFIED], &[VERIFIED], Err(Some(C::AddressWithOtherNames))),
        (&[ALIASED], &[NAMED, Account { email: "ray@corp.example", ..ALIASED }], Err(Some(C::SecondaryAddress))),
        (&[ALIASED, ALIASED], &[NAMED], Err(Some(C::SecondaryAddress))),
        (&[ALIASED], &[VERIFIED], Err(Some(C::SecondaryAddress))),
        (&[NAMED], &[Account { names: ("Bob", "Lee"), ..VERIFIED }], Err(Some(C::AddressWithOtherNames))),
        (&[NAMED], &[Account { names: ("Ann", "Ray"), ..VERIFIED }], Err(Some(C::AddressWithOtherNames))),
        (&[NAMED], &[Account { email: "ray@corp.example", ..NAMED }], Err(None)),
        // Of several who fit as well as each other none is joined, from whichever side.
        (&[FREE], &[FREE, FREE], Err(Some(C::SeveralCandidates))),
        (&[FREE, FREE], &[FREE], Err(Some(C::SeveralCandidates))),
        (
            &[anchored(&[("object-guid", "g")]), anchored(&[("object-guid", "g")])],
            &[anchored(&[("object-guid", "g")])],
            Err(Some(C::SeveralCandidates)),
        ),
        // The stronger reason wins.
        (
            &[anchored(&[("consistency-guid", "c"), ("object-guid", "g"), ("security-id", "s")])],
            &[
                anchored(&[("consistency-guid", "c")]),
                anchored(&[("object-guid", "g")]),
                anchored(&[("security-id", "s")]),
            ],
            Ok(J::SourceAnchor),
        ),
        (
            &[anchored(&[("object-guid", "g"), ("security-id", "s")])],
            &[anchored(&[("object-guid", "g")]), anchored(&[("security-id", "s")])],
            Ok(J::DirectoryId),
        ),
        (
            &[Account { anchors: &[("security-id", "s")], ..NAMED }],
            &[anchored(&[("security-id", "s")]), NAMED],
            Ok(J::SecurityId),
        ),
    ];
    for (at, (ad, cloud, expected)) in TABLE.iter().enumerate() {
        for order in [[0, 1], [1, 0]] {
            let what = format!("case {at}, {order:?}");
            let mut stage = accounts(&[ad, cloud]).await;
            for endpoint in order {
                stage.import(endpoint).await;
                stage.check(&what);
            }
            let (one, two) = (of(&stage, 0, 0), of(&stage, 1, 0));
            let joined = if let Ok(reason) = expected {
                assert_eq!(one.id, two.id, "{what}");
                assert_eq!(reasons(&stage, one.id).await, [*reason], "{what}");
                1
            } else {
                0
            };
            let users = stage.store().totals(&stage.customer).unwrap().users;
            assert_eq!(users, 24 + ad.len() as u64 + cloud.len() as u64 - joined, "{what}");
            if let Err(reason) = expected {
                let conflicts = stage.service.directory().conflicts(&stage.customer).await.unwrap();
                let found = conflicts.iter().any(|conflict| Some(conflict.reason) == *reason);
                assert_eq!(
                    (found, conflicts.is_empty()),
                    (reason.is_some(), reason.is_none()),
                    "{what}: {conflicts:?}"
                );
            }
            // Whoever was joined was joined at once.
            let [_, merged, split, removed] = told(&stage, 0);
            assert_eq!((merged, split, removed), (0, 0, 0), "{what}");
        }
    }
}

#[tokio::test]
async fn whatever_becomes_known_later_merges_and_says_why() {
    type Change = fn(&mut ScriptedDirectory, &SourceId);
    let table: &[(Account, Account, Change, JoinReason)] = &[
        (
            FREE,
            Account { names: ("Ann", ""), ..FREE },
            |d, id| d.set(id, names::LAST_NAME, "Lee"),
            JoinReason::NaturalKey,
        ),
        (
            FREE,
            Account { names: ("", "Lee"), ..FREE },
            |d, id| d.set(id, names::FIRST_NAME, "Ann"),
            JoinReason::NaturalKey,
        ),
        // The addresses are the same two, the other one of them is the primary one now.
        (
            FREE,
            Account { email: "lee@free.example", alias: "ann@free.example", ..NAMED },
            |d, id| {
                d.set(id, names::PRIMARY_EMAIL, "ann@free.example");
                d.set(id, names::ALIASES, Value::list(["lee@free.example"]));
            },
            JoinReason::NaturalKey,
        ),
        (
            NAMED,
            Account { email: "lee@corp.example", ..NAMED },
            |d, id| d.set(id, names::ALIASES, Value::list(["ann@corp.example"])),
            JoinReason::VerifiedAddress,
        ),
        (
            VERIFIED,
            Account { email: "", ..VERIFIED },
            |d, id| d.set(id, names::PRIMARY_EMAIL, "ann@corp.example"),
            JoinReason::VerifiedAddress,
        ),
        (
            anchored(&[("object-guid", "g")]),
            anchored(&[]),
            |d, id| d.anchor(id, "object-guid", "g"),
            JoinReason::DirectoryId,
        ),
    ];
    for (at, (one, two, change, reason)) in table.iter().enumerate() {
        let what = format!("case {at}");
        let mut stage = accounts(&[&[*one], &[*two]]).await;
        stage.import_all().await;
        stage.check(&what);
        let kept = of(&stage, 0, 0).id;
        assert_ne!(kept, of(&stage, 1, 0).id, "{what}");
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.endpoints[1].change(|directory| change(directory, &id_of(1, 0)));
        stage.import(1).await;
        stage.check(&what);
        assert_eq!((of(&stage, 0, 0).id, of(&stage, 1, 0).id), (kept, kept), "{what}");
        let [_, merged, split, removed] = told(&stage, position);
        assert_eq!((merged, split, removed), (1, 0, 0), "{what}");
        assert_eq!(reasons(&stage, kept).await, [*reason], "{what}");
    }
}

fn keys(stage: &Stage) -> i64 {
    let file = rusqlite::Connection::open(stage.path()).unwrap();
    file.query_row("SELECT count(*) FROM join_keys", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_index_has_what_is_shown_and_nothing_else() {
    let mut stage = accounts(&[&[Account { anchors: &[("object-guid", "g")], ..VERIFIED }], &[VERIFIED]]).await;
    stage.import_all().await;
    stage.check("imported");
    assert_eq!(keys(&stage), 12 + 12 + 2 + 1);
    let id = id_of(0, 0);
    stage.endpoints[0].change(|ad| ad.set(&id, names::PRIMARY_EMAIL, "lee@corp.example"));
    stage.import(0).await;
    assert_eq!(keys(&stage), 27, "another one");
    stage.endpoints[0].change(|ad| ad.set(&id, names::ALIASES, Value::list(["ann@corp.example"])));
    stage.import(0).await;
    assert_eq!(keys(&stage), 28, "one more");
    stage.endpoints[0].change(|ad| ad.set(&id, names::ALIASES, Value::Empty));
    stage.import(0).await;
    assert_eq!(keys(&stage), 27, "one less");
    stage.endpoints[0].change(|ad| ad.objects.get_mut(&id).unwrap().anchors[0].value = "h".into());
    stage.import(0).await;
    assert_eq!(keys(&stage), 27, "another anchor");
}

#[tokio::test]
async fn who_was_there_before_the_second_endpoint_is_joined_by_an_anchor_too() {
    let both = anchored(&[("object-guid", "g")]);
    let mut stage = accounts(&[&[both], &[both]]).await;
    let second = stage.endpoints.pop().unwrap();
    let folder = stage.folder.path().join("other.db");
    stage.service = tenantry::Service::new(std::sync::Arc::new(tenantry::SqliteStore::open(folder).unwrap()));
    stage.register().await;
    stage.import(0).await;
    stage.endpoints.push(second);
    stage.register().await;
    stage.import(1).await;
    assert_eq!(of(&stage, 0, 0).identities.len(), 2);
}

#[tokio::test]
async fn what_is_held_back_is_evidence_still() {
    let mut stage = accounts(&[&[], &[NAMED]]).await;
    stage.import(1).await;
    stage.endpoints[1].change(|cloud| {
        let users: Vec<SourceId> = cloud.objects.keys().cloned().collect();
        for user in &users {
            cloud.set(user, names::PRIMARY_EMAIL, Value::Empty);
        }
    });
    // So many addresses do not go at once.
    let cloud = name("cloud");
    let report = stage.service.import(&stage.customer, &cloud, ImportOptions::default()).await.unwrap();
    assert!(report.parked > 0, "{report:?}");
    stage.check("held back");
    assert_eq!(of(&stage, 1, 0).attributes.text(&names::PRIMARY_EMAIL), Some("ann@corp.example"));
    stage.endpoints[0].change(|ad| put(ad, 100, NAMED));
    stage.import(0).await;
    stage.check("joined");
    assert_eq!(of(&stage, 0, 0).identities.len(), 2);
}

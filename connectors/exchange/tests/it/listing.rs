//! Everybody who is visible comes, with members, on every release; what cannot be known is not made up.

use std::collections::BTreeSet;

use tenantry::endpoint::{Endpoint as _, Membership, ObjectRef, Presence, Reason};
use tenantry::model::{MemberKind, ObjectKey, ObjectKind, Scope, SourceId, Via, names};
use tenantry_fakes::ews::{
    AddressOrder, Call, Fault, Folding, Kind, Matching, Nothing, On, Organisation, Paging, Recipient, Routing, Rule,
    Size, Version, VersionRefusal,
};

use crate::organisation::{Site, addresses, is_whole, list, start};

/// What a complete listing has: everybody visible but public folders.
fn visible(organisation: &Organisation) -> BTreeSet<String> {
    let shown = organisation.visible().into_iter().filter(|(_, one)| one.kind != Kind::PublicFolder);
    shown.filter_map(|(_, one)| one.primary_address().map(str::to_ascii_lowercase)).collect()
}

fn small() -> Organisation {
    let organisation = Organisation::new("corp.example");
    let ann = organisation.add(Recipient::user("ann").named("Ann", "Berg").address("a.berg@corp.example"));
    let bob = organisation.add(Recipient::mail_user("bob").named("Bob", "\u{c9}lan").primary("bob@partner.example"));
    organisation.add(Recipient::shared("info").displayed("Info desk").hide());
    organisation.add(Recipient::contact("olga").named("Ольга", "Щербакова").primary("olga@partner.example"));
    organisation.add(Recipient::room("r1").displayed("\u{4f1a}\u{8bae}\u{5ba4} \u{1f600}"));
    let team = organisation.add(Recipient::group("team").members([ann, bob]));
    let staff = organisation.add(Recipient::group("staff").member(team));
    organisation.add_member(team, staff);
    organisation.add(Recipient::group("empty"));
    organisation.add(Recipient::dynamic_group("rooms", Rule::Kind(Kind::Room)));
    organisation
}

#[tokio::test]
async fn a_small_organisation_comes_whole_with_its_circles_of_groups() {
    let site = start(small()).await;
    let listing = site.listing().await;
    assert_eq!(addresses(&listing), visible(&site.organisation));
    assert!(is_whole(&listing) && listing.unreadable.is_empty() && listing.quarantined.is_empty(), "{listing:?}");
    let kinds = |group: &str| listing.members[&SourceId::address(group)].values().copied().collect::<Vec<_>>();
    assert_eq!(kinds("team@corp.example"), [MemberKind::User, MemberKind::User, MemberKind::Group]);
    assert_eq!(kinds("staff@corp.example"), [MemberKind::Group]);
    assert_eq!(kinds("rooms@corp.example"), [MemberKind::User]);
    assert_eq!(listing.members[&SourceId::address("empty@corp.example")].len(), 0);
    let closed = Scope::Members(SourceId::address("empty@corp.example"), Via::Explicit);
    assert!(listing.closed.contains(&closed));
    assert_eq!(site.fake.log().count(Call::ExpandDl), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_organisation_comes_whole_through_answers_of_a_hundred() {
    // A server that tells neither flag nor number has to give as many as all do.
    for (paging, matching, folding, cap) in [
        (Paging::Words, Matching::Words, Folding::Directory, 25),
        (Paging::Digits, Matching::Attributes, Folding::Case, 25),
        (Paging::Absent, Matching::Words, Folding::Directory, 100),
        (Paging::NoTotal, Matching::Parts, Folding::Directory, 25),
    ] {
        let size = Size { users: 250, groups: 20, contacts: 30, foreign_percent: 20, ..Size::default() };
        let site = start(Organisation::seeded(11, size)).await;
        site.organisation.edit_settings(|settings| {
            settings.paging = paging;
            settings.cap = cap;
            settings.address_order = AddressOrder::PrimarySecond;
        });
        site.organisation.compare(folding, matching);
        let listing = site.listing().await;
        let expected = visible(&site.organisation);
        let missed: Vec<_> = expected.difference(&addresses(&listing)).cloned().collect();
        assert!(missed.is_empty(), "{paging:?} {matching:?}: {missed:?}");
        assert_eq!(addresses(&listing), expected);
        assert!(is_whole(&listing), "{paging:?} {matching:?}: {:?}", listing.unreadable);
        assert!(listing.quarantined.is_empty(), "{:?}", listing.quarantined);
        let calls = site.fake.log().count(Call::ResolveNames);
        assert!(calls < 25_000, "{paging:?} {matching:?}: {calls}");
    }
}

#[tokio::test]
async fn every_release_is_read_in_the_words_that_it_knows() {
    for version in [
        Version::Exchange2007,
        Version::Exchange2007Sp1,
        Version::Exchange2010,
        Version::Exchange2010Sp1,
        Version::Exchange2010Sp2,
        Version::Exchange2013,
        Version::Exchange2016,
        Version::SubscriptionEdition,
    ] {
        for refusal in [VersionRefusal::InvalidServerVersion, VersionRefusal::SchemaValidation] {
            let site = start(small()).await;
            site.organisation.personal_contact("Ann Own", "own@elsewhere.example");
            site.organisation.edit_settings(|settings| {
                settings.version = version;
                settings.version_refusal = refusal;
                settings.scope_needs_sp1 = true;
            });
            let listing = site.listing().await;
            assert_eq!(addresses(&listing), visible(&site.organisation), "{version:?}");
            assert!(is_whole(&listing), "{version:?}");
            let verified = site.endpoint().verify(&site.cx).await.unwrap();
            assert!(verified.server.contains("Exchange 20"), "{}", verified.server);
        }
    }
    let site = start(small()).await;
    site.organisation.edit_settings(|settings| settings.version = Version::Exchange2003);
    let error = site.endpoint().verify(&site.cx).await.unwrap_err();
    assert!(error.message().contains("2003") && error.context("key") == Some("url"), "{error}");
}

#[tokio::test]
async fn the_accounts_own_contacts_never_come() {
    let site = start(small()).await;
    site.organisation.personal_contact("Ann Own", "own@elsewhere.example");
    site.organisation.personal_list("Own list", &[("X", "x@elsewhere.example")]);
    assert_eq!(addresses(&site.listing().await), visible(&site.organisation));
}

#[tokio::test]
async fn who_is_shown_by_a_legacy_name_is_asked_for_again() {
    let site = start(small()).await;
    let eve = site.organisation.add(Recipient::user("eve").named("Eve", "Ek").routed(Routing::ExUnlessAsked));
    let team = site.organisation.find("team@corp.example").unwrap();
    site.organisation.add_member(team, eve);
    let listing = site.listing().await;
    assert!(addresses(&listing).contains("eve@corp.example"));
    assert!(listing.members.has(SourceId::address("team@corp.example"), SourceId::address("eve@corp.example")));
}

#[tokio::test]
async fn a_group_that_is_not_expanded_keeps_its_members_open() {
    let site = start(small()).await;
    site.organisation.edit_settings(|settings| settings.empty_group = Nothing::NoResults);
    site.fake.faults().on(On::call(Call::ExpandDl).entry("team@corp.example"), Fault::NoResults);
    let listing = site.listing().await;
    for group in ["team@corp.example", "empty@corp.example"] {
        let scope = Scope::Members(SourceId::address(group), Via::Explicit);
        assert!(!listing.closed.contains(&scope));
        assert!(listing.unreadable.iter().any(|open| open.scope == scope), "{group}");
    }
    assert!(is_whole(&listing));
    let group = ObjectRef {
        key: ObjectKey { kind: ObjectKind::Group, id: SourceId::address("team@corp.example") },
        container: None,
    };
    let asked = [SourceId::address("ann@corp.example"), SourceId::address("gone@corp.example")];
    let answers = site.endpoint().check_members(&site.cx, &group, &asked).await.unwrap();
    assert_eq!(answers, [Membership::Unknown, Membership::Unknown]);
    site.fake.faults().clear();
    let answers = site.endpoint().check_members(&site.cx, &group, &asked).await.unwrap();
    assert_eq!(answers, [Membership::Member, Membership::NotMember]);
}

#[tokio::test]
async fn members_that_are_cut_off_are_some_of_them() {
    let site = start(small()).await;
    site.organisation.edit_settings(|settings| settings.member_cap = Some(1));
    let listing = site.listing().await;
    assert!(!listing.closed.contains(&Scope::Members(SourceId::address("team@corp.example"), Via::Explicit)));
    assert_eq!(listing.members[&SourceId::address("team@corp.example")].len(), 1);
    assert!(listing.closed.contains(&Scope::Members(SourceId::address("staff@corp.example"), Via::Explicit)));
}

#[tokio::test]
async fn a_listing_that_runs_out_of_requests_closes_nothing() {
    let mut site = start(small()).await;
    site.config.max_calls = 40;
    let listing = site.listing().await;
    assert!(!is_whole(&listing) && !addresses(&listing).is_empty());
    let open: BTreeSet<_> = listing.unreadable.iter().map(|open| open.scope.to_string()).collect();
    assert_eq!(open, BTreeSet::from(["groups".to_owned(), "users".to_owned()]));
}

#[tokio::test]
async fn an_old_address_leads_to_the_same_recipient_under_the_id_that_it_has_now() {
    let site = start(small()).await;
    let ann = site.organisation.find("ann@corp.example").unwrap();
    site.organisation.readdress(ann, "ann.hill@corp.example");
    let Presence::Renamed(patch) = site.lookup(ObjectKind::User, "ann@corp.example").await else { panic!() };
    assert_eq!(patch.object.id, SourceId::address("ann.hill@corp.example"));
    assert_eq!(patch.attributes.text(&names::PRIMARY_EMAIL), Some("ann.hill@corp.example"));
}

#[tokio::test]
async fn an_old_address_is_found_where_there_is_no_place_to_tell_of_it() {
    let site = start(small()).await;
    let ann = site.organisation.find("ann@corp.example").unwrap();
    for number in 1..5 {
        site.organisation.readdress(ann, &format!("ann{number}@corp.example"));
    }
    let presence = site.lookup(ObjectKind::User, "ann@corp.example").await;
    assert!(matches!(presence, Presence::Renamed(_)), "{presence:?}");
}

#[tokio::test]
async fn nobody_is_ever_said_to_be_gone() {
    let site = start(small()).await;
    let ann = site.organisation.find("ann@corp.example").unwrap();
    site.organisation.hide(ann);
    let unknown = Presence::Unknown(Reason::WeakId);
    assert_eq!(site.lookup(ObjectKind::User, "ann@corp.example").await, unknown);
    site.organisation.remove(ann);
    assert_eq!(site.lookup(ObjectKind::User, "ann@corp.example").await, unknown);
    // The address of a group is not a person's.
    assert_eq!(site.lookup(ObjectKind::User, "team@corp.example").await, unknown);
}

#[tokio::test]
async fn a_listing_goes_on_behind_its_checkpoint_and_lists_nobody_twice() {
    let size = Size { users: 150, groups: 10, hidden_percent: 0, ..Size::default() };
    let site = start(Organisation::seeded(3, size)).await;
    site.organisation.edit_settings(|settings| settings.cap = 25);
    let endpoint = site.endpoint();
    let whole = list(&endpoint, &site.cx, None).await.unwrap();
    assert!(whole.checkpoints.len() > 2, "{}", whole.checkpoints.len());
    let mut came = BTreeSet::new();
    for checkpoint in [&whole.checkpoints[0], whole.checkpoints.last().unwrap()] {
        let rest = list(&site.endpoint(), &site.cx, Some(checkpoint)).await.unwrap();
        assert!(is_whole(&rest));
        assert!(rest.objects.len() < whole.objects.len());
        came.insert(rest.objects.len());
    }
    // Behind the last one nobody is left.
    assert!(came.contains(&0), "{came:?}");
    let first = &whole.checkpoints[0];
    let other = start(Organisation::new("other.example")).await;
    let mut damaged = first.bytes().to_vec();
    damaged.truncate(damaged.len() - 3);
    for (endpoint, checkpoint) in [
        (other.endpoint(), first.clone()),
        (site.endpoint(), tenantry::endpoint::Checkpoint::new(first.version(), damaged)),
        (site.endpoint(), tenantry::endpoint::Checkpoint::new(99, first.bytes().to_vec())),
    ] {
        let error = endpoint.snapshot(&site.cx, Some(&checkpoint)).await.err().unwrap();
        assert_eq!(error.kind().as_str(), "conflict", "{error}");
    }
}

#[tokio::test]
async fn verify_tells_release_route_and_what_is_not_seen() {
    let site: Site = start(small()).await;
    let verified = site.endpoint().verify(&site.cx).await.unwrap();
    assert!(verified.server.contains("Exchange 2019") && verified.server.contains("route ews"), "{}", verified.server);
    assert_eq!((verified.estimate.users, verified.estimate.groups), (Some(4), Some(4)));
    assert!(verified.not_seen.iter().any(|text| text.contains("hidden from address lists")));
    let large = start(Organisation::seeded(3, Size { users: 900, ..Size::default() })).await;
    let verified = large.endpoint().verify(&large.cx).await.unwrap();
    assert_eq!(verified.estimate.users, None);
}

//! The route through Active Directory, against a fake domain controller: what comes in, and how it stays in step.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::BTreeSet;

use tenantry::Endpoint;
use tenantry::endpoint::Presence;
use tenantry::model::{ObjectKind, Scope, SourceId};
use tenantry::testkit::Listing;
use tenantry_fakes::ldap::{Directory, MailType};

use crate::domain::{Domain, GROUPS, PEOPLE, directory, id, members_scope, object, running, start, text};
use crate::known::follow;
use crate::view::Config;

/// An organisation with somebody of each kind, and what is none of them.
fn organisation(directory: &Directory) {
    for (name, what) in [
        ("anna", MailType::Mailbox),
        ("old", MailType::MailboxOf2003),
        ("linked", MailType::Linked),
        ("info", MailType::Shared),
        ("room", MailType::Room),
        ("car", MailType::Equipment),
        ("elsewhere", MailType::MailUser),
        ("remote", MailType::Remote),
    ] {
        let user = directory.add_user(PEOPLE, name).create();
        directory.enable_mail(user, name, what);
    }
    directory.add_user(PEOPLE, "nobody").mail("nobody@corp.example").create();
    let partner = directory.add_contact(PEOPLE, "Partner").create();
    directory.enable_mail(partner, "partner", MailType::Contact);
    let stranger = directory.add_contact(PEOPLE, "Stranger").create();
    let team = directory.add_group(GROUPS, "Team").distribution().create();
    directory.enable_mail(team, "team", MailType::Group);
    for member in [directory.guid_of("anna"), partner, stranger] {
        directory.add_member(team, member);
    }
    directory.add_group(GROUPS, "Rights").member("anna").create();
    let rooms = directory.add_group(GROUPS, "Rooms").distribution().member("room").create();
    directory.enable_mail(rooms, "rooms", MailType::RoomList);
    directory.add_dynamic_group(GROUPS, "Everybody", "(mailNickname=*)");
}

async fn started() -> Domain {
    let directory = directory();
    organisation(&directory);
    start(directory).await
}

fn kinds(listing: &Listing) -> Vec<(String, String, Option<String>)> {
    let mut kinds: Vec<_> = listing
        .objects
        .values()
        .map(|patch| {
            let name = text(patch, "attributes.mail_nickname").unwrap();
            (name, text(patch, "kind").unwrap(), text(patch, "state"))
        })
        .collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn every_recipient_comes_as_what_it_is_and_nobody_else() {
    let listing = started().await.listing().await;
    let expected = [
        ("Everybody", "dynamic", None),
        ("anna", "person", Some("active")),
        ("car", "equipment", Some("active")),
        ("elsewhere", "person", Some("active")),
        ("info", "shared", Some("active")),
        ("linked", "person", Some("active")),
        ("old", "person", Some("active")),
        ("partner", "contact", None),
        ("remote", "person", Some("active")),
        ("room", "room", Some("active")),
        ("rooms", "distribution", None),
        ("team", "distribution", None),
    ];
    let expected = expected.map(|(name, kind, state)| (name.to_owned(), kind.to_owned(), state.map(str::to_owned)));
    assert_eq!(kinds(&listing), expected);
    assert!(listing.quarantined.is_empty() && listing.unreadable.is_empty());
    assert!(listing.closed.contains(&Scope::Users) && listing.closed.contains(&Scope::Groups));
    assert!(!listing.closed.contains(&Scope::Computers), "there are none to speak of");
}

#[tokio::test]
async fn members_of_a_dynamic_group_are_unknown_and_not_none() {
    let domain = started().await;
    let listing = domain.listing().await;
    let everybody = domain.directory.guid_of(format!("CN=Everybody,{GROUPS}"));
    assert!(listing.objects.has(id(everybody)));
    assert!(!listing.closed.contains(&members_scope(everybody)));
    assert_eq!(listing.members.of(id(everybody)), BTreeSet::new());
    let team = domain.directory.guid_of("Team");
    assert!(listing.closed.contains(&members_scope(team)));
    assert_eq!(listing.members.of(id(team)).len(), 3, "also who is no recipient");
}

#[tokio::test]
async fn the_way_to_the_cloud_is_not_the_address_and_the_id_is_that_of_the_directory() {
    let domain = started().await;
    let listing = domain.listing().await;
    let remote = listing.objects.patch(id(domain.directory.guid_of("remote")));
    assert_eq!(text(remote, "primary_email").as_deref(), Some("remote@corp.example"));
    assert_eq!(text(remote, "attributes.target_address").as_deref(), Some("remote@cloud.example"));
    let anchors: Vec<_> = remote.anchors.iter().map(|anchor| &*anchor.name).collect();
    assert_eq!(anchors, ["object-guid", "security-id"]);
}

#[tokio::test]
async fn becoming_and_ceasing_to_be_a_recipient_is_told_by_deltas() {
    let directory = running();
    directory.rights("reader").read_deleted(true);
    organisation(&directory);
    let mut follower = follow(start(directory.clone()).await).await;
    let guid = |name: &str| directory.guid_of(name);
    let ids = |names: &[&str]| names.iter().map(|name| id(guid(name))).collect::<BTreeSet<SourceId>>();

    directory.enable_mail("nobody", "nobody", MailType::Mailbox);
    directory.enable_mail("Rights", "rights", MailType::Group);
    directory.disable_mail("elsewhere");
    // Taken off mail in a way that leaves an alias.
    directory.set("old", "msExchRecipientTypeDetails", ["65536"]);
    // Becomes one of Exchange's own.
    directory.set("info", "msExchRecipientTypeDetails", ["8388608"]);
    directory.set("anna", "msExchHideFromAddressLists", ["TRUE"]);
    let told = follower.changes().await;
    assert_eq!(told.objects.ids(), ids(&["nobody", "Rights", "anna"]));
    assert_eq!(told.began.of(id(guid("Rights"))), ids(&["anna"]));
    let gone = told.outside();
    assert!(gone.is_superset(&ids(&["elsewhere", "old", "info"])), "{gone:?}");
    assert!(told.tombstones.is_empty());

    directory.delete(format!("CN=Everybody,{GROUPS}"));
    directory.delete("room");
    let told = follower.changes().await;
    assert_eq!(told.tombstones.iter().filter(|gone| gone.object.kind == ObjectKind::Group).count(), 1);
    assert_eq!(told.tombstones.len(), 2);
}

#[tokio::test]
async fn a_look_up_tells_who_is_no_recipient_from_who_is_gone() {
    let directory = directory();
    organisation(&directory);
    directory.rights("reader").read_deleted(true);
    let room = directory.guid_of("room");
    directory.delete(room);
    directory.disable_mail("car");
    let domain = start(directory.clone()).await;
    let ask = [
        object(ObjectKind::User, directory.guid_of("anna")),
        object(ObjectKind::User, directory.guid_of("car")),
        object(ObjectKind::User, directory.guid_of("nobody")),
        object(ObjectKind::User, room),
        object(ObjectKind::Group, directory.guid_of(format!("CN=Everybody,{GROUPS}"))),
        object(ObjectKind::Group, directory.guid_of("Organization Management")),
    ];
    let answers = domain.endpoint().lookup(&domain.cx, &ask).await.unwrap();
    assert!(matches!(answers[0], Presence::Present(Some(_))));
    assert!(matches!(answers[1], Presence::OutOfScope));
    assert!(matches!(answers[2], Presence::OutOfScope));
    assert!(matches!(answers[3], Presence::Gone(_)));
    assert!(matches!(answers[4], Presence::Present(Some(_))));
    assert!(matches!(answers[5], Presence::OutOfScope));
}

#[tokio::test]
async fn a_check_names_the_organisation_and_what_will_not_be_seen() {
    let domain = started().await;
    let verification = domain.endpoint().verify(&domain.cx).await.unwrap();
    assert!(verification.server.contains("Exchange organisation Corp, 2016"), "{}", verification.server);
    let granted = |name: &str| verification.rights.iter().any(|right| right.name == name && right.granted);
    assert!(granted("read mailNickname") && granted("read msExchRecipientTypeDetails"));
    for part in ["the route ews", "dynamic", "health", "another forest"] {
        assert!(verification.not_seen.iter().any(|sentence| sentence.contains(part)), "{part}");
    }
    assert!(!verification.not_seen.iter().any(|sentence| sentence.contains("Exchange 2003")));
    assert_eq!(verification.estimate.computers, None);
}

#[tokio::test]
async fn a_check_says_so_where_there_is_no_organisation_or_only_one_of_2003() {
    let bare = Directory::new(crate::domain::ROOT);
    bare.add_user("CN=Users,DC=corp,DC=example", "reader").password(crate::domain::PASSWORD).create();
    let domain = start(bare.clone()).await;
    let verification = domain.endpoint().verify(&domain.cx).await.unwrap();
    assert!(verification.server.ends_with("no Exchange organisation to be seen"), "{}", verification.server);
    assert!(verification.not_seen.iter().any(|sentence| sentence.contains("No object shows an alias")));
    bare.add_user("CN=Users,DC=corp,DC=example", "old").create();
    bare.enable_mail("old", "old", MailType::MailboxOf2003);
    let verification = domain.endpoint().verify(&domain.cx).await.unwrap();
    assert!(verification.not_seen.iter().any(|sentence| sentence.contains("as with Exchange 2003")));
}

#[tokio::test]
async fn types_that_can_no_longer_be_read_are_a_lost_right() {
    let domain = started().await;
    let endpoint = domain.endpoint();
    let before = endpoint.coverage(&domain.cx).await.unwrap();
    assert_eq!(before.filters["route"], "ldap");
    assert!(!before.filters.contains_key("computers"));
    domain.directory.rights("reader").hide_attribute("msExchRecipientTypeDetails");
    let after = endpoint.coverage(&domain.cx).await.unwrap();
    assert_eq!(after.difference(&before), "right lost: read msExchRecipientTypeDetails");
}

#[test]
fn a_filter_of_computers_is_refused() {
    let mut config = Config::new("ldaps://dc1.corp.example", "sync", tenantry::Secret::new("pw"));
    config.domain.computers = Some("(cn=*)".into());
    let info = tenantry::EndpointInfo::new(tenantry::model::EndpointName::new("mail").unwrap(), "exchange");
    let error = tenantry_exchange::Ldap::new(info, config).unwrap_err();
    assert_eq!(error.context("key"), Some("computers"));
}

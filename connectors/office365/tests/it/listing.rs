//! A first import: complete, side by side, and honest about what it could not read.

use tenantry::ErrorKind;
use tenantry::endpoint::Endpoint;
use tenantry::model::{MemberKind, ObjectKind, Scope};
use tenantry::testkit::Listing;
use tenantry_fakes::graph::{Call, Fault, GroupKind, Kind, On, Size, Tenant};

use crate::running::{DOMAIN, list, members_of, source, start, text};

fn seeded() -> Tenant {
    let size = Size {
        users: 300,
        guests: 10,
        groups: 40,
        members_per_group: 12,
        largest_group: 250,
        devices: 30,
        ..Size::default()
    };
    Tenant::seeded(7, size)
}

async fn small_pages(tenant: Tenant) -> crate::running::Running {
    let mut running = start(tenant).await;
    running.config.page_size = 40;
    running
}

fn assert_complete(running: &crate::running::Running, listing: &Listing) {
    let tenant = &running.tenant;
    for (kind, of) in
        [(Kind::User, ObjectKind::User), (Kind::Group, ObjectKind::Group), (Kind::Device, ObjectKind::Computer)]
    {
        assert_eq!(listing.objects.of(of).count(), tenant.count(kind) as usize, "{of}");
        assert!(listing.closed.contains(&Scope::of(of)), "{of} are closed");
    }
    for group in tenant.ids(Kind::Group) {
        let expected = tenant.members(group).into_iter().map(|(_, id)| source(id)).collect();
        assert_eq!(listing.members.of(source(group)), expected);
        assert!(listing.closed.contains(&members_of(group)));
    }
}

#[tokio::test]
async fn everything_comes_once_and_every_scope_is_closed() {
    let running = small_pages(seeded()).await;
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    listing.assert_once();
    assert!(listing.unreadable.is_empty() && listing.quarantined.is_empty() && listing.withdrawn.is_empty());
    let device = running.tenant.ids(Kind::Device)[0];
    let owner = running.tenant.owners(device)[0];
    assert_eq!(text(listing.objects.patch(source(device)), "owner"), Some(owner.to_string()));
    assert!(
        running.fake.log().all().iter().all(|line| line.status.is_some_and(|status| status < 400)),
        "nothing is refused"
    );
}

#[tokio::test]
async fn a_listing_goes_on_behind_every_checkpoint_with_exactly_the_rest() {
    let running = small_pages(seeded()).await;
    let whole = running.listing().await;
    assert!(whole.checkpoints.len() > 5);
    for checkpoint in whole.checkpoints.iter().step_by(3) {
        let rest = list(&running.endpoint(), &running.cx, Some(checkpoint)).await.unwrap();
        assert!(rest.closed.contains(&Scope::Users));
        assert_eq!(rest.cursor, whole.cursor, "the cursor of its beginning");
    }
}

#[tokio::test]
async fn what_changes_meanwhile_comes_in_the_same_listing_and_once_more_behind_it() {
    let running = small_pages(seeded()).await;
    let endpoint = running.endpoint();
    let mut pager = endpoint.snapshot(&running.cx, None).await.unwrap();
    let mut listing = Listing::default();
    for _ in 0..4 {
        listing.read_page(&mut *pager).await.unwrap();
    }
    let gone = *running.tenant.ids(Kind::User).iter().find(|id| listing.objects.has(source(**id))).unwrap();
    running.tenant.delete(gone);
    while running.tenant.ids(Kind::User).iter().any(|id| !listing.objects.has(source(*id))) {
        listing.read_page(&mut *pager).await.unwrap();
        assert!(!listing.has_ended(), "users are listed to their end");
    }
    // No list brings it any more.
    let late = running.tenant.user("late").create();
    listing.read(&mut *pager).await.unwrap();
    listing.assert_kept();
    assert!(listing.objects.has(source(late)));
    assert_eq!(listing.withdrawn.iter().map(|key| &key.id).collect::<Vec<_>>(), [&source(gone)]);
    let changes = running.changes(listing.cursor.as_ref().unwrap()).await;
    assert!(changes.objects.has(source(late)));
    assert!(changes.tombstone(source(gone)).is_some());
}

#[tokio::test]
async fn members_of_all_kinds_come_with_their_kind() {
    let tenant = Tenant::new(DOMAIN);
    let user = tenant.user("ann").create();
    let inner = tenant.group("Inner", GroupKind::Security).create();
    let device = tenant.device("PC 1").create();
    let contact = tenant.contact("Supplier");
    let group = tenant.group("All", GroupKind::Security).members([user, inner, device, contact]).create();
    let running = start(tenant).await;
    let listing = running.listing().await;
    let members = &listing.members[&source(group)];
    for (id, kind) in [
        (user, MemberKind::User),
        (inner, MemberKind::Group),
        (device, MemberKind::Computer),
        (contact, MemberKind::Contact),
    ] {
        assert_eq!(members[&source(id)], kind);
    }
}

#[tokio::test]
async fn a_group_that_hides_its_members_is_unreadable_without_the_right_and_never_closed() {
    let tenant = Tenant::new(DOMAIN);
    let user = tenant.user("ann").create();
    let group = tenant.group("Secret", GroupKind::Microsoft365).member(user).hidden_membership().create();
    let running = start(tenant).await;
    let with = running.listing().await;
    assert!(with.closed.contains(&members_of(group)) && with.members.has(source(group), source(user)));
    running.tenant.revoke("Member.Read.Hidden");
    let without = running.listing().await;
    assert!(!without.closed.contains(&members_of(group)));
    assert!(without.unreadable.iter().any(|unreadable| unreadable.scope == members_of(group)));
}

#[tokio::test]
async fn a_kind_that_may_not_be_read_is_said_to_be_unreadable_and_the_others_come() {
    let running = small_pages(seeded()).await;
    running.tenant.set_permissions(&["User.Read.All", "Group.Read.All", "Member.Read.Hidden"]);
    let listing = running.listing().await;
    assert!(listing.closed.contains(&Scope::Users) && !listing.closed.contains(&Scope::Computers));
    assert!(listing.unreadable.iter().any(|unreadable| unreadable.scope == Scope::Computers));
    let resumed = list(&running.endpoint(), &running.cx, listing.checkpoints.last()).await.unwrap();
    assert!(!resumed.closed.contains(&Scope::Computers), "also behind a checkpoint");
    running.tenant.set_permissions(&["Group.Read.All"]);
    let error = list(&running.endpoint(), &running.cx, None).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied { .. }), "{error}");
}

#[tokio::test]
async fn a_position_that_graph_forgets_costs_its_part_only() {
    let running = small_pages(seeded()).await;
    running.fake.faults().on(On::call(Call::Users).page(3).times(2), Fault::ExpiredPageToken);
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    running.fake.faults().on(On::call(Call::Users).page(3), Fault::ExpiredPageToken);
    let error = list(&running.endpoint(), &running.cx, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn parts_of_a_batch_that_fail_are_asked_again_and_the_others_are_not() {
    let running = small_pages(seeded()).await;
    let later = |after: &str| Fault::Status { status: 429, retry_after: Some(after.into()) };
    running.fake.faults().on(On::call(Call::Members).nth(3), later("2.128"));
    running.fake.faults().on(On::call(Call::Members).nth(5), later("10"));
    let before = running.time.monotonic();
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    assert!(running.time.monotonic() >= before + std::time::Duration::from_secs(10), "the longest wait counts");
    let asked = running.fake.log().count(Call::Members);
    let pages: u64 = running
        .tenant
        .ids(Kind::Group)
        .iter()
        .map(|id| (running.tenant.members(*id).len() as u64).div_ceil(40).max(1))
        .sum();
    assert_eq!(asked, pages + 2, "each page once, and the two that were refused once more");
}

#[tokio::test]
async fn links_that_lead_elsewhere_or_in_a_circle_are_errors_and_no_end() {
    let mut running = small_pages(seeded()).await;
    running.config.page_size = 15;
    for fault in [Fault::ForeignNextLink("https://graph.elsewhere.example".into()), Fault::CycleNextLink] {
        for call in [Call::Users, Call::Groups, Call::Devices, Call::Members] {
            running.fake.faults().clear();
            running.fake.faults().on(On::call(call).page(1), fault.clone());
            let kind = list(&running.endpoint(), &running.cx, None).await.err().map(|error| error.kind().clone());
            assert_eq!(kind, Some(ErrorKind::Protocol), "{fault:?} {call:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_page_is_not_the_end() {
    let running = small_pages(seeded()).await;
    running.fake.faults().on(On::call(Call::Users).page(2), Fault::EmptyPage);
    let listing = running.listing().await;
    // Its rows are lost, those of the pages behind it are not.
    assert_eq!(listing.objects.of(ObjectKind::User).count(), running.tenant.count(Kind::User) as usize - 40);
}

#[tokio::test]
async fn answers_that_are_cut_off_or_not_json_are_asked_for_again() {
    let running = small_pages(seeded()).await;
    for (nth, fault) in [
        (2, Fault::TruncatedJson),
        (4, Fault::Html { status: 200 }),
        (6, Fault::CutInside),
        (8, Fault::Html { status: 502 }),
    ] {
        running.fake.faults().on(On::any().nth(nth), fault);
    }
    let listing = running.listing().await;
    assert_complete(&running, &listing);
}

#[tokio::test]
async fn many_users_are_listed_in_ranges_side_by_side() {
    let size = Size { users: 30_000, groups: 3, members_per_group: 5, ..Size::default() };
    let running = start(Tenant::seeded(3, size)).await;
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    let log = running.fake.log();
    assert!(log.all().iter().any(|line| line.target.contains("userPrincipalName+ge")), "ranges");
    // No range holds all: the longest chain of pages is a part of them.
    let pages = log.all().iter().filter(|line| line.call == Call::Users).count();
    assert!(pages < 60, "{pages} pages for 30,000 users");
}

#[tokio::test]
async fn at_its_first_checkpoint_a_listing_has_every_range_before_it_that_it_has_not_read() {
    let size = Size { users: 30_000, groups: 30, members_per_group: 5, ..Size::default() };
    let running = start(Tenant::seeded(3, size)).await;
    let endpoint = running.endpoint();
    let mut pager = endpoint.snapshot(&running.cx, None).await.unwrap();
    let mut begun = Listing::default();
    begun.read_until(&mut *pager, |begun| !begun.checkpoints.is_empty()).await.unwrap();
    assert!(!begun.has_ended(), "there is a checkpoint");
    drop(pager);
    let rest = list(&endpoint, &running.cx, begun.checkpoints.last()).await.unwrap();
    for kind in [Kind::User, Kind::Group, Kind::Device] {
        let missing = running.tenant.ids(kind).into_iter().find(|id| {
            let id = source(*id);
            !begun.objects.has(id.clone()) && !rest.objects.has(id)
        });
        assert_eq!(missing, None, "{kind:?}");
    }
}

#[tokio::test]
async fn members_wait_until_it_is_known_who_sleeps_and_other_pages_do_not() {
    let running = small_pages(seeded()).await;
    let busy = Fault::Status { status: 503, retry_after: Some("5".into()) };
    running.fake.faults().on(On::call(Call::Deleted).nth(1), busy);
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    let log = running.fake.log().all();
    let deleted = log.iter().rposition(|line| line.call == Call::Deleted).unwrap();
    assert!(log[..deleted].iter().all(|line| line.call != Call::Members), "a list of members leaves out who sleeps");
    assert!(log[..deleted].iter().any(|line| line.call == Call::Groups), "groups are read meanwhile");
}

#[tokio::test]
async fn a_batch_of_one_is_no_batch_and_brings_the_same() {
    let mut running = small_pages(seeded()).await;
    running.config.batch = 1;
    running.fake.faults().on(On::call(Call::Members).nth(3), Fault::TruncatedJson);
    let listing = running.listing().await;
    assert_complete(&running, &listing);
    let log = running.fake.log().all();
    assert!(log.iter().all(|line| !line.target.contains("$batch") && !line.target.contains("%24batch")));
    assert!(log.iter().any(|line| line.call == Call::Members));
}

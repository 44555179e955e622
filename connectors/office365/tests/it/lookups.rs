//! Single objects and single memberships.

use tenantry::endpoint::{Endpoint, Evidence, Membership, Presence, Reason};
use tenantry::model::{ObjectKind, TombstoneKind};
use tenantry_fakes::graph::{Call, GroupKind, Kind, Size, Tenant};

use crate::running::{DOMAIN, object, source, start};

#[tokio::test]
async fn present_restorable_and_gone_are_three_answers() {
    let tenant = Tenant::new(DOMAIN);
    let (here, soft, hard) = (tenant.user("a").create(), tenant.user("b").create(), tenant.user("c").create());
    let group = tenant.group("G", GroupKind::Microsoft365).create();
    let device = tenant.device("PC").create();
    for id in [soft, group] {
        tenant.delete(id);
    }
    tenant.delete(hard);
    tenant.purge(hard);
    tenant.delete(device);
    let running = start(tenant).await;
    let asked = [
        object(ObjectKind::User, hard),
        object(ObjectKind::User, here),
        object(ObjectKind::Group, group),
        object(ObjectKind::User, soft),
        object(ObjectKind::Computer, device),
        object(ObjectKind::User, here),
    ];
    let answers = running.endpoint().lookup(&running.cx, &asked).await.unwrap();
    let soft = Presence::Gone(Evidence::Tombstone(TombstoneKind::Soft));
    assert_eq!(answers[0], Presence::Gone(Evidence::NotFound));
    assert!(matches!(&answers[1], Presence::Present(Some(patch)) if patch.object == asked[1].key));
    assert_eq!(answers[2..=4], [soft.clone(), soft, Presence::Gone(Evidence::NotFound)]);
    assert_eq!(answers[5], answers[1]);
}

#[tokio::test]
async fn hundreds_are_looked_up_in_few_requests() {
    let running = start(Tenant::seeded(1, Size { users: 900, ..Size::default() })).await;
    let asked: Vec<_> = running.tenant.ids(Kind::User).into_iter().map(|id| object(ObjectKind::User, id)).collect();
    let answers = running.endpoint().lookup(&running.cx, &asked).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Presence::Present(Some(_)))));
    assert_eq!(running.fake.log().all().iter().filter(|line| line.call != Call::Token).count(), 1);
}

#[tokio::test]
async fn what_may_not_be_read_is_unknown() {
    let running = start(Tenant::seeded(1, Size { users: 3, devices: 2, ..Size::default() })).await;
    running.tenant.set_permissions(&["User.Read.All"]);
    let user = object(ObjectKind::User, running.tenant.nth(Kind::User, 0));
    let device = object(ObjectKind::Computer, running.tenant.nth(Kind::Device, 0));
    let answers = running.endpoint().lookup(&running.cx, &[user, device]).await.unwrap();
    assert!(matches!(answers[0], Presence::Present(_)), "without the right to look up in bulk one by one: {answers:?}");
    assert_eq!(answers[1], Presence::Unknown(Reason::Rights));
}

#[tokio::test]
async fn few_members_are_asked_for_their_own_groups_and_many_are_read_in_the_groups_list() {
    let size = Size { users: 200, groups: 1, members_per_group: 60, ..Size::default() };
    let running = start(Tenant::seeded(5, size)).await;
    let group = running.tenant.nth(Kind::Group, 0);
    let members: Vec<_> = running.tenant.members(group).into_iter().map(|(_, id)| id).collect();
    let outside: Vec<_> = running.tenant.ids(Kind::User).into_iter().filter(|id| !members.contains(id)).collect();
    let nested = running.tenant.group("Nested", GroupKind::Security).member(outside[0]).create();
    running.tenant.add_member(group, nested);
    let gone = outside[1];
    running.tenant.delete(gone);
    let endpoint = running.endpoint();
    let group_ref = object(ObjectKind::Group, group);
    for others in [2, 100] {
        running.fake.log().clear();
        let mut asked = vec![source(members[0]), source(outside[0]), source(nested), source(gone)];
        asked.extend(outside[2..2 + others].iter().map(|id| source(*id)));
        let answers = endpoint.check_members(&running.cx, &group_ref, &asked).await.unwrap();
        // A member of a nested group is no direct one; of a deleted one nobody can tell: its memberships sleep.
        let expected = [Membership::Member, Membership::NotMember, Membership::Member, Membership::Unknown];
        assert_eq!(answers[..4], expected, "{others} others");
        assert!(answers[4..].iter().all(|answer| *answer == Membership::NotMember));
    }
}

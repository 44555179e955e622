//! Whole imports into a store: nothing for nothing, and deltas that agree with listings over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tenantry::gate::Clock as GateClock;
use tenantry::model::{Mode, ObjectKind, Outcome, RunReport};
use tenantry_fakes::google::{Account, AuditLog, Clock, Fault, Member, Quota, Refusal, Settings, Size, When};
use tenantry_gsuite::Changes;

use crate::account::{Tenant, start_with};
use crate::history::{Dice, change};
use crate::store::{State, Store1};

async fn tenant(seed: u64, log: AuditLog) -> Tenant {
    let size = Size { users: 60, groups: 15, memberships: 150, orgunits: 6, chromeos: 4, mobile: 4 };
    let account = Account::generated("corp.example", seed, size).with_clock(Clock::system());
    start_with(account, Settings { audit_log: log, ..Settings::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_without_changes_tells_nothing_but_its_end() {
    let tenant = tenant(1, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    let store = Store1::new(&tenant, "twice").await;
    assert_eq!(store.import(false).await.mode, Mode::Snapshot);
    let state = store.state();
    for full in [false, true] {
        let before = store.events();
        let calls = tenant.fake.log().calls();
        let report = store.import(full).await;
        assert_eq!(report.mode, if full { Mode::Snapshot } else { Mode::Delta });
        assert_eq!(store.events(), before + 1, "{report:?}");
        assert_eq!(store.state(), state);
        if !full {
            // The rights twice, the log, the ids: not the members of fifteen groups.
            assert!(tenant.fake.log().calls() - calls < 30);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_agree_with_a_fresh_listing_over_random_histories() {
    for seed in 1..=6 {
        let tenant = tenant(seed, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
        let store = Store1::new(&tenant, &format!("history-{seed}")).await;
        store.import(false).await;
        let (mut dice, mut deleted) = (Dice(seed), Vec::new());
        for round in 0..3 {
            for number in 0..6 {
                change(&tenant.account, &mut dice, round * 100 + number, &mut deleted);
            }
            assert_eq!(store.import(false).await.mode, Mode::Delta);
        }
        let fresh = Store1::new(&tenant, &format!("fresh-{seed}")).await;
        fresh.import(true).await;
        let (told, listed) = (store.state(), fresh.state());
        for (key, object) in &listed {
            assert_eq!(told.get(key), Some(object), "seed {seed}, {key:?}");
        }
        assert_eq!(told.len(), listed.len(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_loses_entries_costs_freshness_and_removes_nobody() {
    for seed in 11..=13 {
        let tenant = tenant(seed, AuditLog { lag_seconds: 0, lost_percent: 50 }).await;
        let store = Store1::new(&tenant, &format!("lossy-{seed}")).await;
        store.import(false).await;
        let (mut dice, mut deleted) = (Dice(seed), Vec::new());
        for number in 0..12 {
            change(&tenant.account, &mut dice, number, &mut deleted);
        }
        store.import(false).await;
        let ids = |kind: ObjectKind| -> BTreeSet<String> {
            store.state().into_keys().filter(|(of, _)| *of == kind).map(|(_, id)| id).collect()
        };
        assert_eq!(ids(ObjectKind::User), tenant.account.user_ids().into_iter().collect(), "seed {seed}");
        assert_eq!(ids(ObjectKind::Group), tenant.account.group_ids().into_iter().collect(), "seed {seed}");
        // What the log did not tell is there with the next full listing.
        store.import(true).await;
        let fresh = Store1::new(&tenant, &format!("lossy-fresh-{seed}")).await;
        fresh.import(true).await;
        assert_eq!(store.state(), fresh.state(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_listing_comes_when_the_last_one_is_too_old() {
    let mut tenant = tenant(1, AuditLog::default()).await;
    tenant.config.changes = Changes::AuditLog { full: Duration::ZERO, members: Duration::from_hours(6) };
    let store = Store1::new(&tenant, "old").await;
    store.import(false).await;
    assert_eq!(store.import(false).await.mode, Mode::Snapshot);
}

/// How old a part may be, by words of its name.
fn as_of(report: &RunReport, part: &str) -> i64 {
    let found: Vec<_> = report.freshness.iter().filter(|known| known.part.contains(part)).collect();
    assert_eq!(found.len(), 1, "{part}: {:?}", report.freshness);
    found[0].as_of.0
}

fn members(state: &State) -> BTreeMap<String, BTreeSet<String>> {
    let groups = state.iter().filter(|((kind, _), _)| *kind == ObjectKind::Group);
    groups.map(|((_, id), (_, members))| (id.clone(), members.clone())).collect()
}

/// A tenant that lives by the time of a gate, which passes by itself where somebody waits.
async fn timed(seed: u64, log: AuditLog) -> (Tenant, GateClock, tenantry::gate::ManualClock) {
    let (clock, time) = GateClock::manual();
    time.set_unix_millis(1_768_478_400_000);
    time.advance_by_itself();
    let tenant = tenant(seed, log).await;
    tenant.fake.service().edit_settings(|settings| settings.quota = Quota::lifted());
    let shared = time.clone();
    let _ = tenant.account.clone().with_clock(Clock::of(move || shared.now_unix_millis()));
    (tenant, clock, time)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_16_what_a_run_declares_to_be_fresh_agrees_with_a_fresh_listing() {
    const STEP: Duration = Duration::from_mins(15);
    let (turn, full) = (Duration::from_hours(2), Duration::from_hours(6));
    let (mut by_turn, mut by_listing) = (0, 0);
    for seed in 21..=24 {
        // Every other entry never shows, the others after up to three minutes.
        let (mut tenant, clock, time) = timed(seed, AuditLog { lag_seconds: 180, lost_percent: 50 }).await;
        tenant.config.changes = Changes::AuditLog { full, members: turn };
        let store = Store1::with_clock(&tenant, &format!("fresh-as-told-{seed}"), clock.clone()).await;
        store.import(false).await;
        let (mut dice, mut deleted) = (Dice(seed), Vec::new());
        for number in 0..12 {
            time.advance(STEP / 4);
            change(&tenant.account, &mut dice, number, &mut deleted);
            if number % 4 == 3 {
                store.import(false).await;
            }
        }
        let last = time.now_unix_millis();
        let truth = Store1::with_clock(&tenant, &format!("truth-{seed}"), clock.clone()).await;
        truth.import(true).await;
        let truth = truth.state();
        let mut whole = false;
        for _ in 0..32 {
            time.advance(STEP);
            let report = store.import(false).await;
            let state = store.state();
            // Who came and went is there with the first run behind it.
            assert!(as_of(&report, "came or went") > last);
            assert!(state.keys().eq(truth.keys()), "seed {seed}");
            if as_of(&report, "memberships that the audit log does not tell") > last {
                assert_eq!(members(&state), members(&truth), "seed {seed}");
                by_turn += u32::from(report.mode == Mode::Delta && !whole);
            }
            if as_of(&report, "all else") > last {
                assert_eq!(state, truth, "seed {seed}");
                by_listing += u32::from(!whole);
                whole = true;
            }
            // Fifteen groups, an eighth of them a run: two at most. So long does a turn take at the longest.
            let late = report.started_at.0 - as_of(&report, "memberships that the audit log does not tell");
            assert!(late <= 3 * 3_600_000, "{late}");
        }
        assert!(whole, "seed {seed}");
    }
    // It was not by chance: what the log lost came by turns before everything was listed.
    assert!(by_turn > 4 && by_listing == 4, "{by_turn} {by_listing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_membership_that_the_log_lost_comes_by_turns_at_the_cost_of_few_groups() {
    let (mut tenant, clock, time) = timed(3, AuditLog { lag_seconds: 0, lost_percent: 100 }).await;
    tenant.config.changes = Changes::AuditLog { full: Duration::from_hours(48), members: Duration::from_hours(4) };
    let store = Store1::with_clock(&tenant, "turns", clock).await;
    store.import(false).await;
    let account = &tenant.account;
    let (group, user) = (account.group_ids().swap_remove(7), account.user_ids().swap_remove(50));
    assert!(!account.member_ids(&group).contains(&user));
    account.add_member(&group, Member::user(&user));
    let mut added = 0;
    for _ in 0..16 {
        time.advance(Duration::from_mins(15));
        tenant.fake.log().clear();
        let report = store.import(false).await;
        assert_eq!(report.mode, Mode::Delta);
        // One of fifteen groups comes due every quarter of an hour.
        assert_eq!(tenant.fake.log().of("members.list").len(), 1);
        added += report.members_added;
    }
    assert_eq!(added, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_the_log_shows_late_is_not_missed_by_the_runs_in_between() {
    let (tenant, clock, time) = timed(9, AuditLog { lag_seconds: 180, lost_percent: 0 }).await;
    let store = Store1::with_clock(&tenant, "late", clock).await;
    store.import(false).await;
    let users = tenant.account.user_ids();
    let active = users.iter().filter(|id| tenant.account.user(id).unwrap()["suspended"] == false);
    let some: Vec<_> = active.skip(1).take(8).cloned().collect();
    for id in &some {
        tenant.account.suspend_user(id, true);
    }
    // Each run takes the log further than what it does not show yet.
    let suspended = |store: &Store1| {
        let state = store.state();
        let is = |id: &&String| state[&(ObjectKind::User, (*id).clone())].0["state"].contains("suspended");
        some.iter().filter(is).count()
    };
    time.advance(Duration::from_secs(20));
    assert_eq!(store.import(false).await.mode, Mode::Delta);
    assert!(suspended(&store) < 8, "nothing was late");
    for _ in 0..2 {
        time.advance(Duration::from_mins(2));
        assert_eq!(store.import(false).await.mode, Mode::Delta);
    }
    assert_eq!(suspended(&store), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_the_log_does_not_tell_of_yet_come_with_their_members_and_without_a_full_listing() {
    let tenant = tenant(4, AuditLog { lag_seconds: 0, lost_percent: 100 }).await;
    let store = Store1::new(&tenant, "new-group").await;
    store.import(false).await;
    // More than take their turn.
    for number in 0..4 {
        let group = tenant.account.add_group(&format!("fresh{number}@corp.example"), "Fresh", |_| {});
        let user = tenant.account.user_ids().swap_remove(5 + number);
        tenant.account.add_member(&group, Member::user(&user));
    }
    let report = store.import(false).await;
    assert_eq!((report.mode, report.created, report.members_added), (Mode::Delta, 4, 4), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_users_that_listings_do_not_show_yet_are_never_removed() {
    let (tenant, clock, time) = timed(5, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    let store = Store1::with_clock(&tenant, "lag", clock).await;
    store.import(false).await;
    tenant.account.list_new_users_after(Duration::from_mins(20));
    let hire = tenant.account.add_user("hire@corp.example", "Ann", "Hire", |_| {});
    let group = tenant.account.group_ids().swap_remove(2);
    tenant.account.add_member(&group, Member::user(&hire));
    // The log names her before any listing does: she comes in, and no listing without her takes her away.
    for (minutes, full) in [(0, false), (5, false), (5, true), (5, false), (10, true)] {
        time.advance(Duration::from_mins(minutes));
        let report = store.import(full).await;
        assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0), "{report:?}");
        assert!(store.state().contains_key(&(ObjectKind::User, hire.clone())), "after {minutes} minutes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_members_that_show_late_are_no_memberships_that_end() {
    let (tenant, clock, time) = timed(6, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    let store = Store1::with_clock(&tenant, "nested", clock).await;
    let parent = tenant.account.add_group("parent@corp.example", "Parent", |_| {});
    store.import(false).await;
    let child = tenant.account.group_ids().swap_remove(1);
    tenant.account.add_member(&parent, Member::group(&child));
    let mut added = 0;
    for minutes in [0, 4, 4, 4] {
        time.advance(Duration::from_mins(minutes));
        let report = store.import(minutes == 4).await;
        added += report.members_added;
        assert_eq!(report.members_removed, 0, "{report:?}");
    }
    // One direct membership; those of the members are for readers to compute, and are never asked for.
    assert_eq!(added, 1);
    assert!(tenant.fake.log().all().iter().all(|line| !line.target.contains("includeDerivedMembership")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_day_leaves_the_import_where_it_is_until_the_reset() {
    let (tenant, clock, time) = timed(7, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    let store = Store1::with_clock(&tenant, "day", clock).await;
    // The fake counts days as Google does, from midnight in California: the listing takes more than is left of this one.
    let used = tenant.fake.log().calls();
    tenant.fake.service().edit_settings(|settings| settings.quota.per_day = Some(used + 24));
    let report = store.try_import(false).await;
    assert_eq!((report.outcome, report.error_kind.as_deref()), (Outcome::Failed, Some("throttled")), "{report:?}");
    let reason = report.error.unwrap();
    assert!(reason.contains("midnight in California"), "{reason}");
    assert_eq!(report.created, 0);
    // Who tries again before that asks for nothing.
    tenant.fake.log().clear();
    let again = store.try_import(false).await;
    assert_eq!((again.error_kind.as_deref(), tenant.fake.log().calls()), (Some("throttled"), 0), "{again:?}");
    // The day begins anew, and the import goes on where it was: users are not listed a second time.
    tenant.fake.service().edit_settings(|settings| settings.quota.per_day = None);
    time.advance(Duration::from_hours(21));
    tenant.fake.log().clear();
    let report = store.import(false).await;
    assert_eq!(report.created, 60 + 15 + 8, "{report:?}");
    let (probes, all): (Vec<_>, Vec<_>) =
        tenant.fake.log().of("users.list").into_iter().partition(|line| line.target.contains("maxResults=1&"));
    assert!(all.is_empty() && probes.len() == 2, "{all:?} {probes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_of_a_listing_removes_nobody() {
    let lies = [
        Fault::EmptySuccess,
        Fault::EndListing,
        Fault::DropTail(40),
        Fault::DropRows { percent: 30, seed: 9 },
        Fault::Truncate(8),
        Fault::HideOrgUnit("/Unit 1".to_owned()),
        Fault::Refuse(Refusal::forbidden()),
        Fault::Refuse(Refusal::not_found("userKey")),
    ];
    let (mut tenant, clock, _time) = timed(8, AuditLog { lag_seconds: 0, lost_percent: 0 }).await;
    tenant.config.page_size = 20;
    let store = Store1::with_clock(&tenant, "lies", clock).await;
    store.import(false).await;
    let state = store.state();
    for lie in lies {
        for operation in ["users.list", "groups.list", "members.list", "chromeosdevices.list", "mobiledevices.list"] {
            tenant.fake.faults().on(When::Calls(operation), lie.clone());
            for full in [true, false] {
                let report = store.try_import(full).await;
                let gone = (report.removed, report.members_removed, report.missing);
                // What is there on look-up is not even missing.
                assert_eq!(gone, (0, 0, 0), "{lie:?} of {operation}: {report:?}");
            }
            tenant.fake.faults().clear();
            assert_eq!(store.state(), state, "{lie:?} of {operation}");
        }
    }
}

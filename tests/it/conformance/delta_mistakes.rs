//! The mistakes that authors make in deltas, each with the check that finds it. It knows the right connector's answers
//! only.

use tenantry::Error;
use tenantry::endpoint::{DeltaPage, DeltaStep};
use tenantry::model::{Freshness, Scope, Timestamp, Tombstone, TombstoneKind, names};

use super::mistakes::{Mistake, now, wrong};
use super::wrong::Hooks;

/// Changes each page of a delta.
fn changes(change: fn(&mut DeltaPage)) -> Hooks {
    wrong().delta(move |_, _| {
        Box::new(move |mut step| {
            if let Ok(DeltaStep::Page(page)) = &mut step {
                change(page);
            }
            Some(step)
        })
    })
}

/// Says caught up where the right one says expired.
fn takes_expired_as_empty() -> Hooks {
    wrong().delta(|memory, _| {
        let now = now(memory);
        Box::new(move |step| {
            Some(step.map(|step| match step {
                DeltaStep::CursorExpired => DeltaStep::CaughtUp(now.clone()),
                other => other,
            }))
        })
    })
}

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn all() -> Vec<Mistake> {
    vec![
        ("fails at a cursor of another version", "delta::takes_garbage_as_expired", || {
            wrong().delta(|_, _| {
                Box::new(|step| {
                    Some(match step {
                        Ok(DeltaStep::CursorExpired) => Err(Error::protocol("not a cursor")),
                        step => step,
                    })
                })
            })
        }),
        ("takes a foreign cursor for no changes", "delta::takes_a_foreign_cursor_as_expired", takes_expired_as_empty),
        ("takes a forgotten cursor for no changes", "delta::takes_an_old_cursor_as_expired", takes_expired_as_empty),
        ("tells new users only", "delta::tells_what_is_new_or_changed", || {
            changes(|page| page.patches.retain(|patch| patch.attributes.text(&names::LAST_NAME) != Some("Renamed")))
        }),
        ("tells members that come, not those that go", "delta::tells_memberships", || {
            changes(|page| page.closed.clear())
        }),
        ("says that it tells removals, and does not", "delta::tells_what_is_gone", || {
            changes(|page| page.tombstones.clear())
        }),
        ("buries who moved away", "delta::tells_moved_from_gone", || {
            changes(|page| {
                page.tombstones
                    .extend(page.out_of_scope.drain(..).map(|object| Tombstone { object, kind: TombstoneKind::Hard }));
            })
        }),
        ("takes the next cursor behind the changes", "delta::loses_nothing_while_it_is_read", || {
            wrong().delta(|memory, _| {
                let memory = memory.clone();
                Box::new(move |step| {
                    Some(step.map(|step| match step {
                        DeltaStep::CaughtUp(_) => DeltaStep::CaughtUp(now(&memory)),
                        step => step,
                    }))
                })
            })
        }),
        ("buries at the end who came back before", "delta::tells_the_last_word_last", || {
            changes(|page| {
                let back: Vec<_> = page.patches.iter().map(|patch| patch.object.clone()).collect();
                page.tombstones.extend(back.into_iter().map(|object| Tombstone { object, kind: TombstoneKind::Soft }));
            })
        }),
        ("tells new groups without members", "delta::a_new_group_comes_whole", || {
            changes(|page| page.edges_added.clear())
        }),
        ("closes users in a delta", "delta::closes_no_kind", || changes(|page| page.closed.push(Scope::Users))),
        ("closes a group with half of its members", "delta::closes_no_kind", || {
            changes(|page| {
                page.edges_added.iter_mut().for_each(|edges| edges.members.truncate(edges.members.len() / 2));
            })
        }),
        ("reads other attributes in a delta", "delta::agrees_with_a_snapshot", || {
            changes(|page| {
                for patch in &mut page.patches {
                    patch.attributes.forget(&names::PRIMARY_EMAIL);
                }
            })
        }),
        ("is silent in a delta about who leaves the scope", "delta::agrees_with_a_snapshot", || {
            changes(|page| page.out_of_scope.clear())
        }),
        ("tells an old container in a delta", "delta::agrees_with_a_snapshot", || {
            changes(|page| page.patches.iter_mut().for_each(|patch| patch.container = Some("first".into())))
        }),
        ("forgets primary groups in a delta", "delta::agrees_with_a_snapshot", || {
            changes(|page| page.patches.iter_mut().for_each(|patch| patch.primary_group = None))
        }),
        ("skips in a delta what it cannot understand", "delta::sets_aside_what_it_cannot_understand", || {
            changes(|page| page.quarantined.clear())
        }),
        ("takes an error for caught up", "delta::a_broken_delta_is_an_error", || {
            wrong().delta(|memory, _| {
                let now = now(memory);
                Box::new(move |step| Some(step.or_else(|_| Ok(DeltaStep::CaughtUp(now.clone())))))
            })
        }),
        ("asks the server how fresh it is", "delta::knows_without_the_network_how_fresh_it_is", || {
            wrong().freshness(|memory| {
                let answers = memory.server.state().faults.from_call.is_none();
                let fresh = Freshness { part: "members".to_owned(), as_of: Timestamp(0) };
                if answers { vec![fresh] } else { Vec::new() }
            })
        }),
        ("asks the server what deltas tell", "delta::knows_without_the_network_what_it_tells", || {
            wrong().tells(|memory| memory.server.state().faults.from_call.is_none())
        }),
        ("tells removals without the right to read them", "delta::tells_removals_only_by_right", || {
            wrong().tells(|_| true)
        }),
        ("repeats changes forever", "delta::repeated_pages_are_an_error", || {
            wrong().delta(|_, _| Box::new(|step| Some(step.or_else(|_| Ok(DeltaStep::Page(DeltaPage::default()))))))
        }),
    ]
}

//! The mistakes that authors make, each with the check that finds it. It knows the right connector's answers only.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tenantry::endpoint::{
    Action, ActionOutcome, CallLimits, Checkpoint, Cursor, DeltaStep, Evidence, Membership, Presence, SnapshotPage,
    SnapshotStep,
};
use tenantry::model::{ObjectKind, Scope, SourceId, UserState, Value, Via, names};
use tenantry::{Context, Error, ErrorKind};
use tokio_util::sync::CancellationToken;

use super::connector::Memory;
use super::server::guid;
use super::wrong::{Hooks, Steps};

/// A mistake, the check that is meant for it, and how it is made.
pub(crate) type Mistake = (&'static str, &'static str, fn() -> Hooks);

type Listing = Steps<SnapshotStep>;

pub(crate) fn wrong() -> Hooks {
    Hooks::default()
}

fn page(change: fn(&mut SnapshotPage)) -> Hooks {
    wrong().page(change)
}

/// Changes what ends a listing.
fn at_end(_: &Memory, end: impl Fn() -> SnapshotStep + Send + 'static) -> Listing {
    Box::new(move |step| Some(step.map(|step| if matches!(step, SnapshotStep::End { .. }) { end() } else { step })))
}

fn swallows_errors() -> Listing {
    Box::new(|step| Some(step.or(Ok(SnapshotStep::End { cursor: None }))))
}

pub(crate) fn now(memory: &Memory) -> Cursor {
    let state = memory.server.state();
    Cursor::new(1, [&state.directory.as_bytes()[..], &state.counter.to_be_bytes()].concat())
}

fn gone() -> Presence {
    Presence::Gone(Evidence::NotFound)
}

fn answers(change: fn(&Presence) -> Option<Presence>) -> Hooks {
    wrong().lookup(move |_, right| Ok(right?.into_iter().map(|answer| change(&answer).unwrap_or(answer)).collect()))
}

fn acts(
    change: fn(&Memory, Action, &SourceId, tenantry::Result<ActionOutcome>) -> tenantry::Result<ActionOutcome>,
) -> Hooks {
    wrong().act(change)
}

/// One page late: each page comes with the checkpoint of the one behind it.
fn checkpoints_ahead() -> Listing {
    let mut held: Option<SnapshotPage> = None;
    let mut end = None;
    Box::new(move |step| match step {
        Ok(SnapshotStep::Page(page)) => {
            let ahead: Option<Checkpoint> = page.checkpoint.clone();
            let before = held.replace(page)?;
            Some(Ok(SnapshotStep::Page(SnapshotPage { checkpoint: ahead, ..before })))
        }
        Ok(done) => match held.take() {
            Some(page) => {
                end = Some(done);
                Some(Ok(SnapshotStep::Page(page)))
            }
            None => Some(Ok(end.take().unwrap_or(done))),
        },
        Err(error) => Some(Err(error)),
    })
}

/// Comes again and again with what it gave first.
fn first_page_forever() -> Listing {
    let mut first: Option<Vec<tenantry::model::Patch>> = None;
    Box::new(move |step| {
        if let Ok(SnapshotStep::Page(page)) = &step {
            first.get_or_insert_with(|| page.patches.clone());
        }
        let patches = first.clone().unwrap_or_default();
        Some(Ok(SnapshotStep::Page(SnapshotPage { patches, ..SnapshotPage::default() })))
    })
}

/// Asks for the page again within one call, without end.
fn asks_forever() -> Listing {
    Box::new(|step| step.ok().filter(|step| matches!(step, SnapshotStep::End { .. })).map(Ok))
}

fn closes_in_the_error() -> Listing {
    let mut failed: Option<Error> = None;
    Box::new(move |step| {
        if let Some(error) = failed.take() {
            return Some(Err(error));
        }
        Some(match step {
            Err(error) => {
                failed = Some(error);
                Ok(SnapshotStep::Page(SnapshotPage { closed: vec![Scope::Users], ..SnapshotPage::default() }))
            }
            step => step,
        })
    })
}

fn stops_at_an_empty_page() -> Listing {
    Box::new(|step| {
        Some(match step {
            Ok(SnapshotStep::Page(page))
                if page.patches.is_empty() && page.edges.is_empty() && page.closed.is_empty() =>
            {
                Ok(SnapshotStep::End { cursor: None })
            }
            step => step,
        })
    })
}

/// Goes on behind an error with the page after the one that failed.
fn skips_what_failed() -> Listing {
    let mut skip = false;
    Box::new(move |step| match step {
        Err(error) => {
            skip = true;
            Some(Err(error))
        }
        Ok(SnapshotStep::Page(_)) if std::mem::take(&mut skip) => None,
        step => Some(step),
    })
}

/// Counts rows: whoever goes takes one more along.
fn loses_a_row_for_each_that_goes(memory: &Memory) -> Listing {
    let server = memory.server.clone();
    let first = server.state().counter;
    Box::new(move |mut step| {
        if let Ok(SnapshotStep::Page(page)) = &mut step
            && server.state().counter != first
        {
            page.patches.drain(..page.patches.len().min(1));
        }
        Some(step)
    })
}

#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn all() -> Vec<Mistake> {
    let mut all: Vec<Mistake> = vec![
        ("ignores the wish to stop", "calls::obey_cancellation", || {
            wrong().context(|cx| {
                let cancel = CancellationToken::new();
                Context::new(cx.gate().with_cancel(cancel.clone()), cancel)
            })
        }),
        ("calls an outage a protocol error", "calls::tell_an_outage", || {
            wrong().coverage(|right, _| right.map_err(|_| Error::protocol("something went wrong")))
        }),
        ("shows its password in Debug", "calls::show_no_secret", || wrong().debug()),
        ("shows its cursor in Debug", "calls::show_no_secret", || {
            wrong().prints(|memory| format!("Wrong {{ cursor: {:?} }}", now(memory).bytes()))
        }),
        ("puts the password into an error", "calls::show_no_secret", || {
            wrong().coverage(|right, memory| {
                right.map_err(|error| error.with_context("request", format!("login {}", memory.secret.expose())))
            })
        }),
        ("has another title behind a listing", "calls::info_is_constant", || {
            wrong().info(|info| info.title.push_str(" (connected)"))
        }),
        ("asks the server how many calls it bears", "calls::limits_are_constant", || {
            wrong().limits(|memory| {
                let limits = CallLimits::default();
                match memory.server.state().faults.from_call {
                    None => limits.with_concurrency(NonZeroUsize::MIN),
                    Some(_) => limits,
                }
            })
        }),
        ("tells which server answered", "coverage::is_equal_from_every_server", || {
            wrong().coverage(|right, memory| {
                let mut right = right?;
                let server = if memory.server.state().calls > 1_000 { "dc2" } else { "dc1" };
                right.filters.insert("server".into(), server.into());
                Ok(right)
            })
        }),
        ("counts people in the coverage", "coverage::ignores_what_is_there", || {
            wrong().coverage(|right, memory| {
                let mut right = right?;
                right.filters.insert("objects".into(), memory.server.state().rows.len().to_string());
                Ok(right)
            })
        }),
        ("takes the name for the identity", "coverage::knows_another_directory", || {
            wrong().coverage(|right, _| {
                right.map(|right| tenantry::endpoint::CoverageInfo { identity: "corp.example".into(), ..right })
            })
        }),
        ("reads no rights", "coverage::shows_a_withdrawn_right", || {
            wrong().coverage(|right, _| {
                right.map(|mut right| {
                    right.rights.clear();
                    right
                })
            })
        }),
        ("does not tell rights that were lost on the way", "coverage::shows_a_right_lost_on_the_way", || {
            let first = Mutex::new(None);
            wrong().coverage(move |right, _| right.map(|right| first.lock().unwrap().get_or_insert(right).clone()))
        }),
        ("leaves filters out of the coverage", "coverage::shows_a_changed_filter", || {
            wrong().coverage(|right, _| {
                right.map(|mut right| {
                    right.filters.clear();
                    right
                })
            })
        }),
        ("leaves a test account behind", "calls::verify_changes_nothing", || {
            wrong().verify(|memory| {
                memory.server.state().add(ObjectKind::User, "first", "Test", "Test", None);
            })
        }),
        ("tries a wrong password three times", "calls::verify_tries_a_wrong_password_once", || wrong().sign_ins(2)),
        ("loses one container", "snapshot::lists_every_object", || {
            page(|page| page.patches.retain(|patch| patch.container.as_deref() != Some("second")))
        }),
        ("lists users only", "snapshot::lists_every_object", || {
            page(|page| page.patches.retain(|patch| patch.object.kind == ObjectKind::User))
        }),
        ("never comes to an end", "snapshot::lists_every_object", || wrong().listing(|_| first_page_forever())),
        ("lists what is out of scope", "snapshot::leaves_out_what_is_out_of_scope", || {
            wrong().listing(|memory| {
                let server = memory.server.clone();
                Box::new(move |mut step| {
                    if let Ok(SnapshotStep::Page(page)) = &mut step {
                        let state = server.state();
                        let outside = state.rows.values().filter(|row| row.outside);
                        page.patches.extend(outside.map(|row| tenantry::model::Patch::new(row.kind, row.id)));
                    }
                    Some(step)
                })
            })
        }),
        ("lists three quarters of the members as all", "snapshot::lists_every_member", || {
            page(|page| page.edges.iter_mut().for_each(|edges| edges.members.truncate(edges.members.len() * 3 / 4)))
        }),
        ("lists only members that it imports", "snapshot::lists_every_member", || {
            wrong().listing(|memory| {
                let server = memory.server.clone();
                Box::new(move |mut step| {
                    if let Ok(SnapshotStep::Page(page)) = &mut step {
                        let state = server.state();
                        let inside = |id: &SourceId| state.rows.get(&guid(id)).is_some_and(|row| !row.outside);
                        page.edges.iter_mut().for_each(|edges| edges.members.retain(|member| inside(&member.id)));
                    }
                    Some(step)
                })
            })
        }),
        ("forgets primary groups", "snapshot::names_primary_groups", || {
            page(|page| page.patches.iter_mut().for_each(|patch| patch.primary_group = Some(None)))
        }),
        ("takes the address for the id", "snapshot::keeps_ids", || {
            page(|page| {
                for patch in &mut page.patches {
                    if let Some(mail) = patch.attributes.text(&names::PRIMARY_EMAIL) {
                        patch.object.id = SourceId::Id(mail.into());
                    }
                }
            })
        }),
        ("takes the name for the id", "snapshot::keeps_ids", || {
            page(|page| {
                for patch in &mut page.patches {
                    if let Some(name) = patch.attributes.text(&names::LAST_NAME) {
                        patch.object.id = SourceId::Id(format!("CN={name}").into());
                    }
                }
            })
        }),
        ("leaves out what has no value", "snapshot::tells_no_value_as_empty", || {
            page(|page| {
                for patch in &mut page.patches {
                    if patch.attributes.get(&names::PRIMARY_EMAIL) == Some(&Value::Empty) {
                        patch.attributes.forget(&names::PRIMARY_EMAIL);
                    }
                }
            })
        }),
        ("says empty of what it could not read", "snapshot::leaves_out_what_was_not_read", || {
            page(|page| {
                for patch in &mut page.patches {
                    if patch.attributes.get(&names::STATE).is_none() {
                        patch.attributes.set(names::STATE, Value::Empty);
                    }
                }
            })
        }),
        ("takes unreadable for active", "snapshot::leaves_out_what_was_not_read", || {
            page(|page| {
                for patch in &mut page.patches {
                    if patch.attributes.get(&names::STATE).is_none() {
                        patch.attributes.set(names::STATE, UserState::Active);
                    }
                }
            })
        }),
        ("skips what it cannot understand", "snapshot::sets_aside_what_it_cannot_understand", || {
            page(|page| page.quarantined.clear())
        }),
        ("keeps the id of a quarantined record to itself", "snapshot::sets_aside_what_it_cannot_understand", || {
            page(|page| page.quarantined.iter_mut().for_each(|record| record.id = None))
        }),
        ("fails at what it cannot understand", "snapshot::sets_aside_what_it_cannot_understand", || {
            wrong().listing(|_| {
                Box::new(|step| match step {
                    Ok(SnapshotStep::Page(page)) if !page.quarantined.is_empty() => {
                        Some(Err(Error::protocol("no sense in it")))
                    }
                    step => Some(step),
                })
            })
        }),
        ("closes users with every page", "snapshot::closes_each_scope_once", || {
            page(|page| page.closed.push(Scope::Users))
        }),
        ("closes nothing", "snapshot::closes_each_scope_once", || page(|page| page.closed.clear())),
        ("closes what failed", "trouble::nothing_is_closed_after_an_error", || {
            wrong().listing(|_| closes_in_the_error())
        }),
        ("closes a group whose members may not be read", "trouble::what_may_not_be_read_is_told", || {
            page(|page| page.closed.extend(page.unreadable.drain(..).map(|unreadable| unreadable.scope)))
        }),
        ("does not tell what may not be read", "trouble::what_may_not_be_read_is_told", || {
            page(|page| page.unreadable.clear())
        }),
        ("takes an error for the end", "trouble::a_broken_listing_is_an_error", || {
            wrong().listing(|_| swallows_errors())
        }),
        ("counts rows while others go", "trouble::changes_beside_lose_nothing", || {
            wrong().listing(loses_a_row_for_each_that_goes)
        }),
        ("gives checkpoints ahead of their data", "resuming::goes_on_behind_every_checkpoint", || {
            wrong().listing(|_| checkpoints_ahead())
        }),
        ("begins anew behind a checkpoint", "resuming::goes_on_behind_every_checkpoint", || wrong().from(|_, _| None)),
        ("begins anew with a checkpoint of another version", "resuming::refuses_an_unusable_checkpoint", || {
            wrong().from(|_, from| from.filter(|from| from.version() == 1))
        }),
        ("takes the cursor behind the data", "resuming::takes_the_cursor_before_the_data", || {
            wrong().listing(|memory| {
                let at = memory.clone();
                at_end(memory, move || SnapshotStep::End { cursor: Some(now(&at)) })
            })
        }),
        ("gives no cursor", "resuming::takes_the_cursor_before_the_data", || {
            wrong().listing(|memory| at_end(memory, || SnapshotStep::End { cursor: None }))
        }),
        ("takes a fresh cursor where a listing goes on", "resuming::tells_the_first_cursor", || {
            let resumed = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&resumed);
            wrong()
                .from(move |_, from| {
                    seen.store(from.is_some(), Ordering::Relaxed);
                    from
                })
                .listing(move |memory| {
                    let began = now(memory);
                    if resumed.load(Ordering::Relaxed) {
                        at_end(memory, move || SnapshotStep::End { cursor: Some(began.clone()) })
                    } else {
                        Box::new(Some)
                    }
                })
        }),
        ("reads a kind of its own", "snapshot::fits_the_shapes", || {
            page(|page| {
                for patch in page.patches.iter_mut().filter(|patch| patch.object.kind == ObjectKind::User) {
                    patch.attributes.set(names::KIND, "human");
                }
            })
        }),
        ("stops at an empty page", "paging::goes_on_at_empty_pages", || wrong().listing(|_| stops_at_an_empty_page())),
        ("repeats a page forever", "paging::repeated_pages_are_an_error", || wrong().listing(|_| first_page_forever())),
        ("asks for a page forever", "paging::repeated_pages_are_an_error", || wrong().listing(|_| asks_forever())),
        ("goes on behind the page that failed", "paging::loses_nothing_after_an_error", || {
            wrong().listing(|_| skips_what_failed())
        }),
        ("lists ids with a filter of their own", "paging::id_listing_shows_what_a_snapshot_shows", || {
            wrong().ids(|memory| {
                let server = memory.server.clone();
                Box::new(move |mut step| {
                    if let Ok(SnapshotStep::Page(page)) = &mut step {
                        let state = server.state();
                        page.patches.retain(|patch| {
                            state.rows.get(&guid(&patch.object.id)).is_some_and(|row| row.place != "machines")
                        });
                    }
                    Some(step)
                })
            })
        }),
        ("lists ids with bodies", "paging::id_listing_has_no_bodies", || wrong().ids_by_snapshot()),
        ("takes an error for the end of ids", "trouble::a_broken_id_listing_is_an_error", || {
            wrong().ids(|_| swallows_errors())
        }),
        ("answers in the order of the server", "lookup::answers_in_the_order_asked", || {
            wrong().lookup(|asked, right| {
                let mut answers: Vec<_> = asked.iter().zip(right?).collect();
                answers.sort_by_key(|(asked, _)| asked.key.clone());
                Ok(answers.into_iter().map(|(_, answer)| answer).collect())
            })
        }),
        ("leaves out who is gone", "lookup::answers_in_the_order_asked", || {
            wrong().lookup(|_, right| {
                Ok(right?.into_iter().filter(|answer| !matches!(answer, Presence::Gone(_))).collect())
            })
        }),
        ("does not find half of those that are there", "lookup::finds_what_is_there", || {
            wrong().lookup(|_, right| {
                let half = |(at, answer)| if at % 2 == 0 { answer } else { gone() };
                Ok(right?.into_iter().enumerate().map(half).collect())
            })
        }),
        ("tells another id of one that never changes", "lookup::tells_another_address", || {
            answers(|answer| match answer {
                Presence::Present(Some(patch)) => Some(Presence::Renamed(patch.clone())),
                _ => None,
            })
        }),
        ("reports who moved away as gone", "lookup::tells_moved_from_gone", || {
            answers(|answer| (*answer == Presence::OutOfScope).then(gone))
        }),
        ("finds the deleted", "lookup::calls_gone_what_is_gone", || {
            answers(|answer| matches!(answer, Presence::Gone(_)).then_some(Presence::Present(None)))
        }),
        ("says gone of the hidden", "lookup::does_not_call_gone_what_is_hidden", || {
            answers(|answer| matches!(answer, Presence::Unknown(_)).then(gone))
        }),
        ("says gone in an outage", "lookup::guesses_nothing_in_an_outage", || {
            wrong().lookup(|asked, right| right.or_else(|_| Ok(vec![gone(); asked.len()])))
        }),
        ("answers for members in another order", "members::answers_in_the_order_asked", || {
            wrong().members(|_, right| {
                let mut right = right?;
                right.reverse();
                Ok(right)
            })
        }),
        ("checks members from its memory", "members::asks_anew", || {
            let memory: Arc<Mutex<BTreeMap<SourceId, Vec<SourceId>>>> = Arc::default();
            let listed = Arc::clone(&memory);
            wrong()
                .listing(move |_| {
                    let listed = Arc::clone(&listed);
                    Box::new(move |step| {
                        if let Ok(SnapshotStep::Page(page)) = &step {
                            for edges in &page.edges {
                                let ids = edges.members.iter().map(|member| member.id.clone());
                                listed.lock().unwrap().entry(edges.group.clone()).or_default().extend(ids);
                            }
                        }
                        Some(step)
                    })
                })
                .members(move |group, right| {
                    let known = memory.lock().unwrap().contains_key(&group.key.id);
                    right.map(|right| if known { vec![Membership::Member; right.len()] } else { right })
                })
        }),
        ("takes doubt for no", "members::says_unknown_in_doubt", || {
            wrong().members(|_, right| {
                let sure = |answer| if answer == Membership::Unknown { Membership::NotMember } else { answer };
                Ok(right?.into_iter().map(sure).collect())
            })
        }),
        ("asks the server what it offers", "actor::knows_without_the_network_what_it_offers", || {
            wrong().offers(|memory| memory.server.state().faults.from_call.is_none())
        }),
        ("tries its rights out on somebody", "actor::begin_changes_nothing", || {
            wrong().begin(|memory, right| {
                let mut state = memory.server.state();
                let somebody = state.rows.keys().next().copied().unwrap();
                state.edit(somebody, |row| row.suspended = Some(true));
                right
            })
        }),
        ("begins without asking", "actor::begin_tells_what_concerns_every_account", || wrong().begin(|_, _| Ok(()))),
        ("suspends whom it does not import", "actor::leaves_alone_what_is_not_its_own", || {
            acts(|memory, action, account, _| {
                let suspended = Some(action == Action::Suspend);
                memory.server.state().edit(guid(account), |row| row.suspended = suspended);
                Ok(ActionOutcome::Done)
            })
        }),
        ("says cancelled of what was sent", "actor::a_cancellation_tells_whether_something_was_sent", || {
            acts(|_, _, _, right| right.map_err(|_| Error::cancelled()))
        }),
        ("clobbers the flags beside", "actor::touches_nothing_else", || {
            acts(|memory, _, account, right| {
                memory.server.state().edit(guid(account), |row| row.locked = true);
                right
            })
        }),
        ("changes the neighbour too", "actor::touches_nothing_else", || {
            acts(|memory, _, _, right| {
                let mut state = memory.server.state();
                let users: Vec<_> = state.rows.keys().copied().collect();
                for id in users {
                    state.edit(id, |row| row.suspended = Some(true));
                }
                right
            })
        }),
        ("does it once more the second time", "actor::twice_is_once", || {
            acts(|memory, _, account, right| {
                memory.server.state().edit(guid(account), |row| row.last.push('!'));
                right
            })
        }),
        ("fails at a refusal", "actor::a_refusal_is_no_error", || {
            acts(|_, _, _, right| match right {
                Ok(ActionOutcome::Refused(error)) => Err(error),
                right => right,
            })
        }),
        ("believes the server", "actor::reads_back_what_it_did", || acts(|_, _, _, _| Ok(ActionOutcome::Done))),
        ("calls every cancellation an outage", "calls::obey_cancellation", || {
            wrong().lookup(|_, right| right.map_err(|_| Error::new(ErrorKind::Unavailable, "stopped")))
        }),
        ("answers for members although it is to stop", "calls::obey_cancellation", || {
            wrong().members(|_, right| Ok(right.unwrap_or_default()))
        }),
        ("takes the wish to stop for an expired cursor", "calls::obey_cancellation", || {
            wrong().delta(|_, _| Box::new(|step| Some(step.or(Ok(DeltaStep::CursorExpired)))))
        }),
        ("begins anew with a checkpoint of another directory", "resuming::refuses_an_unusable_checkpoint", || {
            wrong().from(|memory, from| {
                let of = |directory: uuid::Uuid, from: &Checkpoint| from.bytes().starts_with(directory.as_bytes());
                let here = memory.server.state().directory;
                let first = uuid::Uuid::from_u128(0x11);
                from.filter(|from| here == first || !of(first, from))
            })
        }),
        ("leaves every group open", "snapshot::closes_each_scope_once", || {
            page(|page| page.closed.retain(|scope| !matches!(scope, Scope::Members(_, Via::Explicit))))
        }),
    ];
    all.extend(super::delta_mistakes::all());
    all
}

//! Delta rounds with the real thing's token semantics; it knows no transport and no right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::Problem;
use super::ids::{Id, Kind, Ref};
use super::page::Page;
use super::properties::{self, MEMBERS};
use super::query::Query;
use super::rows::open_changed;
use super::settings::{ResetForm, Settings, SliceOrder};
use super::state::{Life, State, What};
use super::token::{Phase, Round};

/// What one object's changes between two places of the history come to.
#[derive(Debug, Clone)]
struct Item {
    object: Ref,
    born: bool,
    changed: u128,
    members: Vec<(Ref, bool)>,
}

type Plan = Arc<Vec<Item>>;
type Key = (u8, u64, u64);

/// The last few plans, so that a long round is not worked out anew for each page.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<Vec<(Key, Plan)>>);

impl Plans {
    fn get(&self, state: &State, kind: Kind, since: u64, until: u64) -> Plan {
        let key = (kind as u8, since, until);
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(known, _)| *known == key) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(plan(state, kind, since, until));
        if plans.len() >= 8 {
            plans.remove(0);
        }
        plans.push((key, Arc::clone(&plan)));
        plan
    }
}

fn plan(state: &State, kind: Kind, since: u64, until: u64) -> Vec<Item> {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(state.history.len());
    let mut items: Vec<Item> = Vec::new();
    let mut known: HashMap<Ref, usize> = HashMap::new();
    let mut members: HashMap<(Ref, Ref), usize> = HashMap::new();
    for change in state.history.get(at(since)..at(until)).unwrap_or_default() {
        if change.object.kind() != kind {
            continue;
        }
        let place = *known.entry(change.object).or_insert_with(|| {
            items.push(Item { object: change.object, born: false, changed: 0, members: Vec::new() });
            items.len() - 1
        });
        let item = &mut items[place];
        let mut member = |member: Ref, joined: bool| {
            let place = *members.entry((change.object, member)).or_insert_with(|| {
                item.members.push((member, joined));
                item.members.len() - 1
            });
            item.members[place].1 = joined;
        };
        match change.what {
            What::Born => item.born = true,
            What::Set(set) => item.changed |= set,
            What::Joined(who) => member(who, true),
            What::Left(who) => member(who, false),
            What::Died => {}
        }
    }
    items
}

/// What a request to a delta function needs to know.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    pub(crate) plans: &'a Plans,
    /// `…/v1.0/users/delta`, spelled as asked.
    pub(crate) address: String,
    /// `…/v1.0/$metadata#users`
    pub(crate) metadata: String,
    pub(crate) now: i64,
    pub(crate) epoch: u64,
    pub(crate) key: u64,
    /// `Prefer: return=minimal`
    pub(crate) minimal: bool,
    /// May see members of groups that hide them.
    pub(crate) sees_hidden: bool,
}

/// The most objects that `$filter` of a delta function may name.
const MOST_FILTERED: usize = 50;

impl Context<'_> {
    /// Answers a request for a page; the number of the page comes with it.
    pub(crate) fn answer(&self, kind: Kind, query: &Query) -> Result<Page, Problem> {
        let round = self.round(kind, query)?;
        let mut page = Page::new(self.metadata.clone());
        if round.phase == Phase::End {
            page.delta = Some(self.link("deltatoken", &round));
            return Ok(page);
        }
        let empty = self.settings.empty_page_every.is_some_and(|every| every > 0 && round.page % u64::from(every) == 0);
        let mut next = if empty { round.clone() } else { self.fill(kind, &round, &mut page) };
        next.page = round.page + 1;
        if next.phase == Phase::End {
            next.issued = self.now;
            next.page = 1;
            page.delta = Some(self.link("deltatoken", &next));
        } else {
            page.next = Some(self.link("skiptoken", &next));
        }
        Ok(page)
    }

    fn link(&self, name: &str, round: &Round) -> String {
        format!("{}?${name}={}", self.address, round.seal(self.key))
    }

    /// How a delta token that is no longer good is refused.
    pub(crate) fn reset(&self, form: ResetForm) -> Problem {
        let gone = "Resync is required. Replace any local items with the server's version.";
        match form {
            ResetForm::GoneWithLocation => {
                Problem::new(410, "resyncRequired", gone).with("location", format!("{}?$deltatoken=", self.address))
            }
            ResetForm::Gone => Problem::new(410, "resyncRequired", gone),
            ResetForm::GoneStateNotFound => {
                Problem::new(410, "SyncStateNotFound", "The sync state generation is not found.")
            }
            ResetForm::StateNotFound => Problem::new(
                400,
                "syncStateNotFound",
                "The sync state generation is not found; continue with a full sync.",
            ),
            ResetForm::TooOld => Problem::unsupported("DeltaLink older than 30 days is not supported."),
            ResetForm::Bare => Problem::new(410, "", ""),
        }
    }

    fn round(&self, kind: Kind, query: &Query) -> Result<Round, Problem> {
        let sent = query.skip_token.as_deref().or(query.delta_token.as_deref().filter(|token| *token != "latest"));
        if let Some(sent) = sent.filter(|token| !token.is_empty()) {
            let mut round = Round::unseal(sent, self.key)
                .filter(|round| round.kind == kind as u8)
                .ok_or_else(|| Problem::bad("Badly formed token."))?;
            let life = i64::try_from(self.settings.delta_token_life.as_millis()).unwrap_or(i64::MAX);
            if round.epoch < self.epoch || self.now - round.issued > life {
                return Err(self.reset(self.settings.reset_form));
            }
            if round.phase == Phase::End {
                // A deltaLink: its end is the beginning of the next round.
                let since = if self.settings.replay { round.before } else { round.since };
                round = Round {
                    phase: Phase::Changes,
                    before: round.since,
                    since,
                    until: self.state.history.len() as u64,
                    position: 0,
                    slice: 0,
                    page: 1,
                    ..round
                };
            }
            return Ok(round);
        }
        if !query.expand.is_empty() || query.orderby.is_some() {
            return Err(Problem::unsupported("$expand and $orderby are not supported for delta queries."));
        }
        let here = self.state.history.len() as u64;
        let latest = query.delta_token.as_deref() == Some("latest");
        let mut select = query.properties(kind)?;
        if query.select.is_none() && kind == Kind::Group {
            select |= MEMBERS;
        }
        Ok(Round {
            kind: kind as u8,
            phase: if latest { Phase::End } else { Phase::Everything },
            since: here,
            until: here,
            before: here,
            position: 0,
            slice: 0,
            page: 1,
            issued: self.now,
            epoch: self.epoch,
            select,
            selected: query.select.is_some(),
            only: only(query)?,
        })
    }

    /// Fills a page; returns where the next one begins, or the end.
    fn fill(&self, kind: Kind, round: &Round, page: &mut Page) -> Round {
        let mut next = if round.phase == Phase::Everything {
            self.fill_everything(kind, round, page)
        } else {
            self.fill_changes(kind, round, page)
        };
        let here = self.state.history.len() as u64;
        if next.phase == Phase::End && round.phase == Phase::Everything {
            if self.settings.late_changes && here > round.since {
                // What changed meanwhile is told now and, since the round ends where it began, once more later.
                next.phase = Phase::Late;
                (next.until, next.position, next.slice) = (here, 0, 0);
            }
        } else if next.phase == Phase::End && round.phase == Phase::Changes {
            (next.before, next.since) = (round.before, round.until);
        }
        next
    }

    fn fill_everything(&self, kind: Kind, round: &Round, page: &mut Page) -> Round {
        let mut budget = self.settings.delta_members.max(1);
        let slices = kind == Kind::Group && round.select & MEMBERS != 0;
        let interleaved = self.settings.slice_order == SliceOrder::Interleaved;
        let mut next = round.clone();
        let end = u64::from(self.state.end(kind));
        let tracked = |position: u64| {
            let object = Ref::new(kind, u32::try_from(position).unwrap_or(u32::MAX));
            (self.state.is_live(object) && round.tracks(self.state.id(object))).then_some(object)
        };
        let again = (0..round.position).rev().filter_map(tracked).take(self.repeated(round));
        again.for_each(|object| self.object(object, round.select, 0, &[], page));
        let most = page.len() + self.settings.delta_page.max(1) as usize;
        loop {
            if next.position >= end {
                if self.more_slices(slices, &next) {
                    (next.position, next.slice) = (0, next.slice + 1);
                    continue;
                }
                next.phase = Phase::End;
                return next;
            }
            if let Some(object) = tracked(next.position) {
                let places = if slices { self.state.places(object.ordinal()) } else { 0 };
                let slice = u32::try_from(next.slice).unwrap_or(u32::MAX);
                let from = if interleaved { slice.saturating_mul(self.settings.delta_members) } else { slice };
                if slice == 0 || from < places {
                    if page.len() >= most || budget == 0 {
                        return next;
                    }
                    let most = if interleaved { self.settings.delta_members } else { budget };
                    let to = places.min(from.saturating_add(most));
                    let told = (from..to).filter_map(|place| self.state.member(object.ordinal(), place));
                    let members: Vec<_> = told.map(|member| (member, true)).collect();
                    budget = budget.saturating_sub(to.saturating_sub(from));
                    self.object(object, round.select, 0, &members, page);
                    if to < places && !interleaved {
                        next.slice = u64::from(to);
                        return next;
                    }
                }
                if !interleaved {
                    next.slice = 0;
                }
            }
            next.position += 1;
        }
    }

    /// How many objects of the page before stand on this one again.
    fn repeated(&self, round: &Round) -> usize {
        if round.page > 1 && round.slice == 0 { self.settings.repeated as usize } else { 0 }
    }

    fn more_slices(&self, slices: bool, round: &Round) -> bool {
        if !slices || self.settings.slice_order == SliceOrder::InTurn {
            return false;
        }
        let from = (round.slice + 1) * u64::from(self.settings.delta_members.max(1));
        (0..self.state.end(Kind::Group))
            .any(|group| u64::from(self.state.places(group)) > from && self.state.is_live(Ref::new(Kind::Group, group)))
    }

    fn fill_changes(&self, kind: Kind, round: &Round, page: &mut Page) -> Round {
        let plan = self.plans.get(self.state, kind, round.since, round.until);
        let mut budget = self.settings.delta_members.max(1);
        let mut next = round.clone();
        let item = |position: u64| usize::try_from(position).ok().and_then(|place| plan.get(place));
        let again = (0..round.position).rev().filter_map(item).filter(|item| round.tracks(self.state.id(item.object)));
        for item in again.take(self.repeated(round)) {
            self.changed(item, round, 0, 1, page);
        }
        let most = page.len() + self.settings.delta_page.max(1) as usize;
        while let Some(item) = item(next.position) {
            if round.tracks(self.state.id(item.object)) {
                if page.len() >= most || budget == 0 {
                    return next;
                }
                let from = u32::try_from(next.slice).unwrap_or(0);
                let (to, end) = self.changed(item, round, from, budget, page);
                budget = budget.saturating_sub(to.saturating_sub(from));
                if to < end {
                    next.slice = u64::from(to);
                    return next;
                }
            }
            (next.position, next.slice) = (next.position + 1, 0);
        }
        next.phase = Phase::End;
        next
    }

    /// Tells of one object's changes; returns up to where its members were told, and how many there are.
    fn changed(&self, item: &Item, round: &Round, from: u32, budget: u32, page: &mut Page) -> (u32, u32) {
        let object = item.object;
        match self.state.life(object) {
            Life::Live => {}
            life => {
                let reason = if matches!(life, Life::Soft(_)) { "changed" } else { "deleted" };
                page.row(|out| {
                    let id = self.state.id(object);
                    out.extend_from_slice(
                        format!("{{\"id\":\"{id}\",\"@removed\":{{\"reason\":\"{reason}\"}}}}").as_bytes(),
                    );
                });
                return (0, 0);
            }
        }
        let tracks_members = round.select & MEMBERS != 0;
        if item.born {
            let places = if tracks_members { self.state.places(object.ordinal()) } else { 0 };
            let to = places.min(from.saturating_add(budget));
            let members = (from..to).filter_map(|place| self.state.member(object.ordinal(), place));
            let members: Vec<_> = members.map(|member| (member, true)).collect();
            self.object(object, round.select, 0, &members, page);
            return (to, places);
        }
        let changed = item.changed & round.select;
        let members: &[(Ref, bool)] = if tracks_members { &item.members } else { &[] };
        if changed == 0 && members.is_empty() {
            return (0, 0);
        }
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let to = count.min(from.saturating_add(budget));
        let slice = members.get(from as usize..to as usize).unwrap_or_default();
        let told = |(member, joined): &&(Ref, bool)| match self.state.life(*member) {
            Life::Live | Life::Soft(_) => true,
            Life::Gone | Life::Never => !joined,
        };
        let told: Vec<_> = slice.iter().filter(told).copied().collect();
        let select = if self.minimal { changed } else { round.select };
        self.object(object, select, changed, &told, page);
        (to, count)
    }

    fn object(&self, object: Ref, select: u128, changed: u128, members: &[(Ref, bool)], page: &mut Page) {
        let hidden = object.kind() == Kind::Group
            && !members.is_empty()
            && !self.sees_hidden
            && self.state.text(object, "visibility").as_deref() == Some("HiddenMembership");
        page.row(|out| {
            open_changed(self.state, object, select & !MEMBERS, changed, out);
            if !members.is_empty() && !hidden {
                out.extend_from_slice(b",\"members@delta\":[");
                for (place, (member, joined)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(b"{\"@odata.type\":\"");
                    out.extend_from_slice(member.kind().odata_type().as_bytes());
                    out.extend_from_slice(b"\",\"id\":");
                    self.state.open(*member).write(properties::ID, out);
                    if !joined {
                        out.extend_from_slice(b",\"@removed\":{\"reason\":\"deleted\"}");
                    }
                    out.push(b'}');
                }
                out.push(b']');
            }
            out.push(b'}');
        });
    }
}

impl Round {
    fn tracks(&self, id: Id) -> bool {
        self.only.is_empty() || self.only.contains(&id.0)
    }
}

/// Reads `id eq '…' or id eq '…'`.
fn only(query: &Query) -> Result<Vec<u128>, Problem> {
    let Some(filter) = &query.filter else { return Ok(Vec::new()) };
    let wrong = || Problem::unsupported("Only id eq '…' clauses joined with or are supported for delta queries.");
    let mut only = Vec::new();
    for clause in filter.split(" or ") {
        let clause = clause.trim().trim_matches(|letter| letter == '(' || letter == ')');
        let id = clause.strip_prefix("id eq ").ok_or_else(wrong)?.trim().trim_matches('\'');
        only.push(id.parse::<Id>().map_err(|_| wrong())?.0);
    }
    if only.len() > MOST_FILTERED {
        return Err(Problem::unsupported("A maximum of 50 objects can be tracked with $filter."));
    }
    Ok(only)
}

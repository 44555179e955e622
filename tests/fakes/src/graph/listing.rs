//! Listings of objects and of members, page by page; it knows no transport.

use super::error::Problem;
use super::filter::Filter;
use super::ids::{Kind, Ref};
use super::page::Page;
use super::properties;
use super::query::{Expand, Query, set};
use super::rows::{Detail, open, row};
use super::settings::Settings;
use super::state::{Life, State};
use super::token::{seal_place, unseal_place};

/// What a listing needs to know.
pub(crate) struct Listing<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    pub(crate) query: &'a Query,
    /// The address as asked, without options.
    pub(crate) address: String,
    /// `…/v1.0/$metadata#`
    pub(crate) metadata: String,
    pub(crate) key: u64,
    /// Whether objects of a kind are shown in full.
    pub(crate) detail: &'a dyn Fn(Kind) -> Detail,
    /// May see members of groups that hide them.
    pub(crate) sees_hidden: bool,
}

impl Listing<'_> {
    /// The token's position and page number, or the beginning.
    pub(crate) fn place(&self) -> Result<(u64, u64), Problem> {
        let Some(token) = &self.query.skip_token else { return Ok((0, 1)) };
        unseal_place(token, self.key).ok_or_else(|| {
            Problem::new(
                400,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired and can no longer be included in your request.",
            )
        })
    }

    fn size(&self, most: u32) -> Result<usize, Problem> {
        match self.query.top {
            Some(top) if top > most => Err(Problem::bad(format!(
                "Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive."
            ))),
            Some(top) => Ok(top as usize),
            None => Ok(self.settings.page.min(most) as usize),
        }
    }

    fn link(&self, position: u64, page: u64) -> String {
        format!("{}?{}", self.address, self.query.at(&seal_place(position, page, self.key)))
    }

    fn context(&self, set: &str) -> String {
        let chosen = self.query.select.as_ref().map(|names| format!("({})", names.join(","))).unwrap_or_default();
        format!("{}{set}{chosen}", self.metadata)
    }

    /// Reads `$filter` and holds the options against what a plain query may ask for.
    pub(crate) fn filter(&self, kind: Kind) -> Result<Option<Filter>, Problem> {
        let filter = self.query.filter.as_ref().map(|text| Filter::parse(kind, text)).transpose()?;
        let advanced = filter.as_ref().is_some_and(|(_, advanced)| *advanced)
            || (filter.is_some() && self.query.orderby.is_some())
            || self.query.search.is_some();
        if advanced && !self.query.is_advanced() {
            return Err(Problem::unsupported("Unsupported Query."));
        }
        if self.query.search.is_some() {
            return Err(Problem::unsupported("$search is not supported here."));
        }
        Ok(filter.map(|(filter, _)| filter))
    }

    /// Lists objects of a kind.
    pub(crate) fn objects(&self, kind: Kind) -> Result<Page, Problem> {
        let chosen = self.query.properties(kind)?;
        let sign_ins = chosen & properties::bit(kind, "signInActivity") != 0;
        let most = if sign_ins { self.settings.max_sign_in_page } else { self.settings.max_page };
        let size = self.size(most)?;
        let (position, number) = self.place()?;
        let filter = self.filter(kind)?;
        let mut page = Page::new(self.context(kind.set()));
        if self.query.is_advanced() && number == 1 {
            page.count = Some(self.count(kind, filter.as_ref()));
        }
        if let Some(orderby) = &self.query.orderby {
            self.sorted(kind, filter.as_ref(), orderby, (position, number), size, &mut page)?;
            return Ok(page);
        }
        for object in Candidates::new(self.state, kind, filter.as_ref(), position) {
            if filter.as_ref().is_some_and(|filter| !filter.matches(self.state, object)) {
                continue;
            }
            if page.len() == size {
                page.next = Some(self.link(u64::from(object.ordinal()), number + 1));
                break;
            }
            self.write(object, chosen, &mut page)?;
        }
        Ok(page)
    }

    fn sorted(
        &self,
        kind: Kind,
        filter: Option<&Filter>,
        orderby: &str,
        (position, number): (u64, u64),
        size: usize,
        page: &mut Page,
    ) -> Result<(), Problem> {
        let (name, descending) = match orderby.split_once(' ') {
            Some((name, "desc")) => (name, true),
            Some((name, "asc")) => (name, false),
            None => (orderby, false),
            Some(_) => return Err(Problem::bad("Invalid $orderby clause.")),
        };
        let place = properties::place(kind, name).ok_or_else(|| Problem::bad("Invalid $orderby clause."))?;
        let mut all: Vec<(String, Ref)> = Candidates::new(self.state, kind, filter, 0)
            .filter(|object| filter.is_none_or(|filter| filter.matches(self.state, *object)))
            .map(|object| (self.state.value(object, place).to_string().to_lowercase(), object))
            .collect();
        all.sort();
        if descending {
            all.reverse();
        }
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(all.len());
        let chosen = self.query.properties(kind)?;
        for (_, object) in all.iter().skip(from).take(size) {
            self.write(*object, chosen, page)?;
        }
        if from + size < all.len() {
            page.next = Some(self.link(position + size as u64, number + 1));
        }
        Ok(())
    }

    /// Writes a row with what is expanded.
    pub(crate) fn write(&self, object: Ref, chosen: u128, page: &mut Page) -> Result<(), Problem> {
        let mut failed = None;
        page.row(|out| {
            open(self.state, object, chosen, false, (self.detail)(object.kind()), out);
            failed = self.expand(object, out).err();
            out.push(b'}');
        });
        failed.map_or(Ok(()), Err)
    }

    /// Writes the relations that are to be expanded; no more than twenty objects each, without any link.
    pub(crate) fn expand(&self, object: Ref, out: &mut Vec<u8>) -> Result<(), Problem> {
        for Expand { relation, select } in &self.query.expand {
            let related: Vec<Ref> = match (object.kind(), relation.as_str()) {
                (Kind::Group, "members") => {
                    self.visible_members(object.ordinal(), 0).map(|(_, member)| member).collect()
                }
                (Kind::Device, "registeredOwners" | "registeredUsers") => self.state.owners(object.ordinal()),
                (Kind::User, "memberOf") => {
                    self.state.groups_of(object).into_iter().map(|group| Ref::new(Kind::Group, group)).collect()
                }
                (Kind::User, "manager") => Vec::new(),
                _ => {
                    return Err(Problem::bad(format!(
                        "Parsing OData Select and Expand failed: Could not find a property named '{relation}'."
                    )));
                }
            };
            if relation == "manager" {
                continue;
            }
            out.extend_from_slice(format!(",\"{relation}\":[").as_bytes());
            for (place, object) in related.into_iter().take(self.settings.expanded as usize).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                let chosen = member_set(object.kind(), select.as_deref())?;
                row(self.state, object, chosen, true, (self.detail)(object.kind()), out);
            }
            out.push(b']');
        }
        Ok(())
    }

    fn visible_members(&self, group: u32, from: u32) -> impl Iterator<Item = (u32, Ref)> {
        let object = Ref::new(Kind::Group, group);
        let hides = !self.sees_hidden && self.state.text(object, "visibility").as_deref() == Some("HiddenMembership");
        let places = if hides { 0 } else { self.state.places(group) };
        (from..places).filter_map(move |place| self.state.member(group, place).map(|member| (place, member)))
    }

    /// Lists a group's members.
    pub(crate) fn members(&self, group: u32, cast: Option<Kind>) -> Result<Page, Problem> {
        let size = self.size(self.settings.max_page)?;
        let (position, number) = self.place()?;
        let mut page = Page::new(self.context(cast.map_or("directoryObjects", Kind::set)));
        let of_kind = |(_, member): &(u32, Ref)| cast.is_none_or(|kind| member.kind() == kind);
        if self.query.is_advanced() && number == 1 {
            page.count = i64::try_from(self.visible_members(group, 0).filter(of_kind).count()).ok();
        }
        let mut sets = [None; 5];
        let from = u32::try_from(position).unwrap_or(u32::MAX);
        for (place, member) in self.visible_members(group, from).filter(of_kind) {
            if page.len() == size {
                page.next = Some(self.link(u64::from(place), number + 1));
                break;
            }
            let kind = member.kind();
            let chosen = match sets[kind as usize] {
                Some(chosen) => chosen,
                None => *sets[kind as usize].insert(member_set(kind, self.query.select.as_deref())?),
            };
            page.row(|out| row(self.state, member, chosen, true, (self.detail)(kind), out));
        }
        Ok(page)
    }

    /// Lists these objects, of whatever kinds.
    pub(crate) fn these(&self, objects: &[Ref], context: &str) -> Result<Page, Problem> {
        let size = self.size(self.settings.max_page)?;
        let (position, number) = self.place()?;
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(objects.len());
        let mut page = Page::new(self.context(context));
        for object in objects.iter().skip(from).take(size) {
            let chosen = member_set(object.kind(), self.query.select.as_deref())?;
            page.row(|out| row(self.state, *object, chosen, true, (self.detail)(object.kind()), out));
        }
        if from + size < objects.len() {
            page.next = Some(self.link(position + size as u64, number + 1));
        }
        if self.query.is_advanced() && number == 1 {
            page.count = i64::try_from(objects.len()).ok();
        }
        Ok(page)
    }

    /// Lists what can be restored.
    pub(crate) fn deleted(&self, kind: Kind) -> Result<Page, Problem> {
        if self.query.orderby.is_some() && !self.query.is_advanced() {
            return Err(Problem::unsupported("Unsupported Query."));
        }
        let size = self.size(self.settings.max_page)?;
        let (position, number) = self.place()?;
        let filter = self.filter(kind)?;
        let chosen = self.query.properties(kind)? | properties::bit(kind, "deletedDateTime");
        let mut page = Page::new(self.context(kind.set()));
        let from = u32::try_from(position).unwrap_or(u32::MAX);
        for ordinal in self.state.soft_deleted(kind).range(from..) {
            let object = Ref::new(kind, *ordinal);
            if filter.as_ref().is_some_and(|filter| !filter.matches(self.state, object)) {
                continue;
            }
            if page.len() == size {
                page.next = Some(self.link(u64::from(*ordinal), number + 1));
                break;
            }
            page.row(|out| row(self.state, object, chosen, false, (self.detail)(kind), out));
        }
        Ok(page)
    }

    pub(crate) fn count(&self, kind: Kind, filter: Option<&Filter>) -> i64 {
        let Some(filter) = filter else { return i64::from(self.state.live(kind)) };
        let all = Candidates::new(self.state, kind, Some(filter), 0);
        i64::try_from(all.filter(|object| filter.matches(self.state, *object)).count()).unwrap_or(i64::MAX)
    }

    pub(crate) fn member_count(&self, group: u32, cast: Option<Kind>) -> usize {
        self.visible_members(group, 0).filter(|(_, member)| cast.is_none_or(|kind| member.kind() == kind)).count()
    }
}

/// The chosen properties of a related object; names that its kind does not have are passed over, as kinds mix.
pub(crate) fn member_set(kind: Kind, select: Option<&[String]>) -> Result<u128, Problem> {
    let Some(names) = select else { return Ok(properties::defaults(kind)) };
    let known: Vec<String> = names.iter().filter(|name| properties::place(kind, name).is_some()).cloned().collect();
    set(kind, &known)
}

/// Live objects in the order of their places, those that a filter's bounds rule out left aside.
struct Candidates<'a> {
    state: &'a State,
    kind: Kind,
    next: u32,
    end: u32,
    seeded: u32,
    first: u32,
    last: u32,
}

impl<'a> Candidates<'a> {
    fn new(state: &'a State, kind: Kind, filter: Option<&Filter>, from: u64) -> Self {
        let seeded = state.seeded(kind);
        let (mut first, mut last) = (0, seeded);
        if let (Kind::User, Some(filter)) = (kind, filter) {
            // Seeded names rise with the place, so their bounds are found by halving.
            let (low, high) = filter.upn_bounds();
            let below = |bound: &str| {
                let (mut a, mut b) = (0, seeded);
                while a < b {
                    let middle = a + (b - a) / 2;
                    let less = state.seeds.upn(middle).to_lowercase().as_str() < bound;
                    (a, b) = if less { (middle + 1, b) } else { (a, middle) };
                }
                a
            };
            first = low.map_or(0, |low| below(&low));
            last = high.map_or(seeded, |high| below(&high)).max(first);
        }
        let next = u32::try_from(from).unwrap_or(u32::MAX);
        Self { state, kind, next, end: state.end(kind), seeded, first, last }
    }
}

impl Iterator for Candidates<'_> {
    type Item = Ref;

    fn next(&mut self) -> Option<Ref> {
        loop {
            if self.next < self.seeded && !(self.first..self.last).contains(&self.next) {
                // A changed object may have a name out of order.
                let changed = self.state.next_changed(self.kind, self.next).unwrap_or(self.seeded);
                let regular = if self.next < self.first { self.first } else { self.seeded };
                self.next = changed.min(regular);
            }
            if self.next >= self.end {
                return None;
            }
            let object = Ref::new(self.kind, self.next);
            self.next += 1;
            if self.state.life(object) == Life::Live {
                return Some(object);
            }
        }
    }
}

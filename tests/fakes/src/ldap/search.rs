//! Answers searches: base, scope, paging, limits, referrals; it knows no socket.

use std::collections::HashMap;

use super::controls::{Controls, PAGED, bad_cookie, write_paged};
use super::directory::change::read_sid;
use super::directory::state::{Id, Refusal, State};
use super::dirsync;
use super::dn::Dn;
use super::entry::{Selection, Writing};
use super::faults::Fault;
use super::filter::Test;
use super::ids::hash;
use super::message::{self, Scope, Search};
use super::rootdse;
use super::settings::{Settings, TokenGroups};
use super::view::{Overlay, View};

/// What goes back to the client, message by message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) references: Vec<Vec<u8>>,
    pub(crate) result: Refusal,
    pub(crate) controls: Vec<(&'static str, Vec<u8>)>,
}

impl Answer {
    pub(crate) fn only(result: Refusal) -> Self {
        Self { entries: Vec::new(), references: Vec::new(), result, controls: Vec::new() }
    }
}

#[derive(Debug)]
struct Listing {
    search: Search,
    ids: Vec<Id>,
    at: usize,
    page: u64,
}

/// The paged searches that a connection has open; their cookies mean nothing elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    open: HashMap<Vec<u8>, Listing>,
    issued: u64,
}

impl Listings {
    /// Says which page of its listing a request asks for, from 1.
    pub(crate) fn page_of(&self, controls: &Controls) -> Option<u64> {
        let paged = controls.paged.as_ref()?;
        Some(self.open.get(&paged.cookie).map_or(1, |listing| listing.page + 1))
    }

    fn issue(&mut self, connection: u64, listing: Listing) -> Vec<u8> {
        self.issued += 1;
        let mut cookie = connection.to_be_bytes().to_vec();
        cookie.extend(hash(connection, "cookie", self.issued).to_be_bytes());
        self.open.insert(cookie.clone(), listing);
        cookie
    }
}

/// Who asks for what, under which rules.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    pub(crate) who: Option<Id>,
    pub(crate) connection: u64,
    pub(crate) message_id: i64,
    pub(crate) search: &'a Search,
    pub(crate) controls: &'a Controls,
    pub(crate) faults: &'a [Fault],
}

impl Request<'_> {
    pub(crate) fn answer(&self, listings: &mut Listings) -> Answer {
        self.try_answer(listings).unwrap_or_else(Answer::only)
    }

    pub(crate) fn overlay(&self) -> Overlay {
        let mut overlay = Overlay::default();
        let guid = |dn: &str| {
            let id = self.state.complete(dn).and_then(|dn| self.state.resolve(&dn).ok());
            id.map(|id| self.state.entry(id).guid)
        };
        for fault in self.faults {
            match fault {
                Fault::HideContainer(dn) => overlay.hidden.extend(guid(dn)),
                Fault::TruncateLinks { dn, keep } => overlay.truncated.extend(guid(dn).map(|guid| (guid, *keep))),
                Fault::LoseRights => overlay.blind = true,
                _ => {}
            }
        }
        overlay
    }

    fn try_answer(&self, listings: &mut Listings) -> Result<Answer, Refusal> {
        let selection = Selection::new(&self.search.attributes, self.search.types_only);
        if self.search.base.is_empty() && self.search.scope == Scope::Base {
            let mut answer = Answer::only(message::success());
            let who = self.who.filter(|_| self.settings.token == TokenGroups::Told);
            answer.entries.push(rootdse::write(self.state, who, &selection, self.message_id));
            return Ok(answer);
        }
        if self.who.is_none() {
            return Err(Refusal::new(
                1,
                "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563",
            ));
        }
        let mut view = View::new(self.state, self.who, &self.overlay());
        view.deleted = self.controls.show_deleted;
        view.recycled = self.controls.show_recycled;
        let base = find_base(self.state, &self.search.base)?;
        if !view.blind && !view.shows(base) && self.controls.dirsync.is_none() {
            return Err(no_object(self.state, Some(base)));
        }
        let test = self.search.filter.prepare(self.state);
        if let Some(control) = &self.controls.dirsync {
            return dirsync::answer(self, view, control, &selection, base, &test);
        }
        let writing = Writing {
            view: &view,
            selection: &selection,
            form: self.controls.dn_form,
            settings: self.settings,
            message_id: self.message_id,
        };
        if self.controls.paged.is_some() {
            return self.page(listings, &writing, base, &test);
        }
        let ids = self.collect(&view, base, &test);
        let client = usize::try_from(self.search.size_limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let most = client.min(self.settings.max_page_size);
        let mut answer = Answer::only(message::success());
        if ids.len() > most {
            answer.result = Refusal::new(4, "");
        }
        answer.entries = ids.iter().take(most).map(|id| writing.entry(*id)).collect();
        answer.references = self.references(base);
        Ok(answer)
    }

    /// Returns everything that the search finds now, less what lies leave out.
    fn collect(&self, view: &View<'_>, base: Id, test: &Test) -> Vec<Id> {
        let state = self.state;
        let candidates = match self.search.scope {
            Scope::Base => vec![base],
            Scope::One => {
                let mut children: Vec<Id> = state.entry(base).children.values().copied().collect();
                children.sort_unstable();
                children
            }
            Scope::Sub => state.subtree(base),
        };
        let mut ids: Vec<Id> = candidates.into_iter().filter(|id| view.shows(*id) && test.matches(view, *id)).collect();
        self.leave_out(&mut ids);
        ids
    }

    pub(crate) fn leave_out(&self, ids: &mut Vec<Id>) {
        for fault in self.faults {
            match fault {
                Fault::EmptySuccess => ids.clear(),
                Fault::DropTail { percent } if self.search.scope != Scope::Base => {
                    ids.truncate(ids.len() * usize::from(100 - percent.min(&100)) / 100);
                }
                Fault::DropRows { percent, seed } if self.search.scope != Scope::Base => {
                    ids.retain(|id| {
                        let guid = self.state.entry(*id).guid.to_string();
                        hash(*seed, &guid, 0) % 100 >= u64::from(*percent)
                    });
                }
                _ => {}
            }
        }
    }

    fn page(&self, listings: &mut Listings, writing: &Writing<'_>, base: Id, test: &Test) -> Result<Answer, Refusal> {
        let Some(paged) = &self.controls.paged else { return Err(bad_cookie()) };
        let mut listing = if paged.cookie.is_empty() {
            let ids = self.collect(writing.view, base, test);
            Listing { search: self.search.clone(), ids, at: 0, page: 0 }
        } else {
            if self.faults.contains(&Fault::RefuseCookies) {
                return Err(bad_cookie());
            }
            let listing = listings.open.remove(&paged.cookie).ok_or_else(bad_cookie)?;
            if listing.search != *self.search {
                return Err(bad_cookie());
            }
            listing
        };
        let mut answer = Answer::only(message::success());
        if paged.size == 0 && !paged.cookie.is_empty() {
            // A page of nothing is how a client gives a listing up.
            answer.controls.push((PAGED, write_paged(&[])));
            return Ok(answer);
        }
        listing.page += 1;
        if self.faults.contains(&Fault::EmptySuccess) {
            listing.ids.truncate(listing.at);
        }
        let wanted = usize::try_from(paged.size).ok().filter(|size| *size > 0).unwrap_or(usize::MAX);
        let most = wanted.min(self.settings.max_page_size);
        let end =
            if self.faults.contains(&Fault::EmptyPage) { listing.at } else { listing.ids.len().min(listing.at + most) };
        let view = writing.view;
        let rows = listing.ids[listing.at..end].iter().filter(|id| view.shows(**id) && test.matches(view, **id));
        answer.entries = rows.map(|id| writing.entry(*id)).collect();
        if self.faults.contains(&Fault::RepeatCookie) {
            let cookie = if paged.cookie.is_empty() {
                listings.issue(self.connection, listing)
            } else {
                listings.open.insert(paged.cookie.clone(), listing);
                paged.cookie.clone()
            };
            answer.controls.push((PAGED, write_paged(&cookie)));
            return Ok(answer);
        }
        listing.at = end;
        let ended = self.faults.contains(&Fault::EndListing)
            || (end == listing.ids.len() && !self.faults.contains(&Fault::EmptyPage));
        if ended {
            answer.references = self.references(base);
            answer.controls.push((PAGED, write_paged(&[])));
        } else {
            let cookie = listings.issue(self.connection, listing);
            answer.controls.push((PAGED, write_paged(&cookie)));
        }
        Ok(answer)
    }

    fn references(&self, base: Id) -> Vec<Vec<u8>> {
        let everything = self.search.scope == Scope::Sub && base == Id::ROOT;
        if !everything || self.controls.domain_scope || !self.settings.referrals {
            return Vec::new();
        }
        let root = self.state.root_dn();
        let dns = root.dns_name();
        let zones = ["ForestDnsZones", "DomainDnsZones"].map(|zone| format!("ldap://{zone}.{dns}/DC={zone},{root}"));
        let configuration = format!("ldap://{dns}/CN=Configuration,{root}");
        zones
            .into_iter()
            .chain([configuration])
            .map(|address| message::write_reference(self.message_id, &address))
            .collect()
    }
}

/// Finds the entry that a base names: a DN, `<GUID=…>`, `<SID=…>` or `<WKGUID=…,DN>`.
pub(crate) fn find_base(state: &State, text: &str) -> Result<Id, Refusal> {
    if let Some(inner) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
        let (key, value) = inner.split_once('=').ok_or_else(bad_name)?;
        let found = match key.to_lowercase().as_str() {
            "guid" => value.parse().ok().and_then(|guid| state.by_guid.get(&guid)),
            "sid" => read_sid(value).and_then(|sid| state.by_sid.get(&sid)),
            "wkguid" => {
                let (guid, dn) = value.split_once(',').ok_or_else(bad_name)?;
                let base = Dn::parse(dn).ok_or_else(bad_name)?;
                let known = state.well_known.iter().find(|(known, _)| known.eq_ignore_ascii_case(guid));
                known.filter(|_| state.resolve(&base) == Ok(Id::ROOT)).map(|(_, id)| id)
            }
            _ => return Err(bad_name()),
        };
        return found.copied().ok_or_else(|| no_object(state, None));
    }
    let dn = Dn::parse(text).ok_or_else(bad_name)?;
    state.resolve(&dn).map_err(|best| {
        let elsewhere = best.is_none() && dn.0.last().is_some_and(|rdn| rdn.attribute.eq_ignore_ascii_case("dc"));
        if elsewhere {
            let host = dn.dns_name();
            let text = format!("0000202B: RefErr: DSID-0310084A, data 0, 1 access points\n\tref 1: '{host}'\n");
            return Refusal { referral: Some(format!("ldap://{host}/{dn}")), ..Refusal::new(10, text) };
        }
        no_object(state, best)
    })
}

fn bad_name() -> Refusal {
    Refusal::new(34, "0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350, best match of:\n\t''\n")
}

pub(crate) fn no_object(state: &State, best: Option<Id>) -> Refusal {
    let matched = best.map_or_else(|| state.root_dn().to_string(), |id| state.dn(id));
    let text =
        format!("0000208D: NameErr: DSID-0310028D, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'{matched}'\n");
    Refusal { matched, ..Refusal::new(32, text) }
}

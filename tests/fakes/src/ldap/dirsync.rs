//! Answers DirSync: what changed since a cookie, attribute by attribute; it knows no socket.

use std::borrow::Cow;

use super::ber::{OCTETS, SEQUENCE, Writer};
use super::controls::{DIRSYNC, DirSync, write_dirsync};
use super::directory::state::{Id, Life, Refusal};
use super::entry::{Selection, Writing};
use super::faults::Fault;
use super::filter::Test;
use super::ids::Guid;
use super::message::{self, Scope};
use super::schema;
use super::search::{Answer, Request};
use super::settings::DirSyncDenial;
use super::view::View;

const MAGIC: &[u8; 4] = b"FDSC";

/// How far a client has come: everything up to `base`, and in this walk everything before `next`.
#[derive(Debug, Clone, Copy)]
struct Cookie {
    invocation: Guid,
    base: u64,
    upper: u64,
    next: u32,
    /// Counts rounds that gave nothing, so that their cookies differ.
    idle: u32,
}

impl Cookie {
    fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC).filter(|rest| rest.len() == 40)?;
        let number = |at: usize| rest[at..at + 8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        let invocation = Guid::from_wire(rest[..16].try_into().ok()?);
        let (idle, next) = (number(32) >> 32, number(32) & 0xffff_ffff);
        let (idle, next) = (u32::try_from(idle).ok()?, u32::try_from(next).ok()?);
        Some(Self { invocation, base: number(16), upper: number(24), next, idle })
    }

    fn write(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.invocation.to_wire());
        let place = (u64::from(self.idle) << 32) | u64::from(self.next);
        for number in [self.base, self.upper, place] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }
}

pub(crate) fn answer(
    request: &Request<'_>,
    view: View<'_>,
    control: &DirSync,
    selection: &Selection,
    base: Id,
    test: &Test,
) -> Result<Answer, Refusal> {
    let state = request.state;
    if request.search.scope != Scope::Sub || state.entry(base).head.is_none() {
        return Err(denied());
    }
    let mut denied_silently = false;
    if !control.object_security() && !view.may_replicate() {
        match request.settings.dirsync_denial {
            DirSyncDenial::Refused => return Err(denied()),
            DirSyncDenial::SilentlyEmpty => denied_silently = true,
        }
    }
    let cookie = if control.cookie.is_empty() {
        Cookie { invocation: state.invocation, base: 0, upper: state.usn, next: 0, idle: 0 }
    } else {
        let cookie = Cookie::read(&control.cookie).filter(|cookie| cookie.invocation == state.invocation);
        let cookie =
            cookie.filter(|cookie| cookie.base <= state.usn && !request.faults.contains(&Fault::RefuseCookies));
        let cookie = cookie.ok_or_else(|| {
            Refusal::new(12, "0000203D: LdapErr: DSID-0C09091C, comment: Error processing control, data 0, v4563")
        })?;
        // A cookie that ended a round begins a new one.
        if (cookie.next, cookie.idle) == (0, 0) { Cookie { upper: state.usn, ..cookie } } else { cookie }
    };
    let mut view = if control.object_security() { view } else { View::of_replication(state, &request.overlay()) };
    (view.deleted, view.recycled) = (true, true);
    let writing = Writing {
        view: &view,
        selection,
        form: request.controls.dn_form,
        settings: request.settings,
        message_id: request.message_id,
    };

    let start = usize::try_from(cookie.next).unwrap_or(usize::MAX);
    let changed = |id: &Id| state.entry(*id).usn_changed > cookie.base && id.0 >= start;
    let mut ids: Vec<Id> =
        state.subtree(base).into_iter().filter(changed).filter(|id| test.matches(&view, *id)).collect();
    request.leave_out(&mut ids);
    if denied_silently || view.blind {
        ids.clear();
    }
    let (mut entries, mut more) = (Vec::new(), None);
    for id in ids {
        if entries.len() >= request.settings.dirsync_batch.max(1) {
            more = Some(id);
            break;
        }
        entries.extend(write_change(&writing, control, id, cookie.base));
    }
    let next = match more {
        Some(id) => Cookie { next: u32::try_from(id.0).unwrap_or(0), idle: 0, ..cookie },
        None => Cookie { base: cookie.upper, next: 0, idle: 0, ..cookie },
    };
    let mut answer = Answer::only(message::success());
    if request.faults.contains(&Fault::RepeatCookie) && !control.cookie.is_empty() {
        answer.entries = entries;
        answer.controls.push((DIRSYNC, write_dirsync(true, &control.cookie)));
        return Ok(answer);
    }
    if request.faults.contains(&Fault::EmptyPage) {
        let idle = Cookie { idle: cookie.idle.wrapping_add(1).max(1), ..cookie };
        answer.controls.push((DIRSYNC, write_dirsync(true, &idle.write())));
        return Ok(answer);
    }
    answer.entries = entries;
    answer.controls.push((DIRSYNC, write_dirsync(more.is_some(), &next.write())));
    Ok(answer)
}

fn denied() -> Refusal {
    Refusal::new(50, "00002105: LdapErr: DSID-0C0907AC, comment: Error processing control, data 0, v4563")
}

/// Writes one changed object; nothing when no attribute that was asked for changed.
fn write_change(writing: &Writing<'_>, control: &DirSync, id: Id, base: u64) -> Option<Vec<u8>> {
    let entry = writing.view.state.entry(id);
    if !writing.view.may_see(id) {
        // An object that went out of sight is told by its GUID alone; deleted ones are not told at all.
        let tell = control.object_security() && base > 0 && entry.life == Life::Live;
        return tell.then(|| {
            message::write(writing.message_id, &[], |message| {
                message.nested(0x64, |body| {
                    body.text(OCTETS, "");
                    body.nested(SEQUENCE, |list| {
                        writing.selection.put(list, "objectGUID", &[Cow::Owned(entry.guid.to_wire().to_vec())]);
                    });
                });
            })
        });
    }
    let mut count = 0;
    let bytes = message::write(writing.message_id, &[], |message| {
        message.nested(0x64, |body| {
            body.text(OCTETS, &writing.dn(id));
            body.nested(SEQUENCE, |list| {
                count = attributes(writing, control, id, base, list);
                writing.selection.put(list, "objectGUID", &[Cow::Owned(entry.guid.to_wire().to_vec())]);
                writing.selection.put(list, "instanceType", &writing.values(id, "instancetype"));
            });
        });
    });
    (count > 0).then_some(bytes)
}

fn attributes(writing: &Writing<'_>, control: &DirSync, id: Id, base: u64, list: &mut Writer) -> usize {
    let (state, selection) = (writing.view.state, writing.selection);
    let entry = state.entry(id);
    let mut count = 0;
    let mut put = |list: &mut Writer, name: &str, values: &[Cow<'_, [u8]>]| {
        selection.put(list, name, values);
        count += 1;
    };
    let rdn = entry.rdn.attribute.to_lowercase();
    let own = [
        ("name", entry.usn_named),
        (rdn.as_str(), entry.usn_named),
        ("parentguid", entry.usn_moved),
        ("objectsid", entry.usn_created),
        ("whencreated", entry.usn_created),
        ("lastknownparent", if entry.life == Life::Live { 0 } else { entry.usn_moved }),
        ("isdeleted", if entry.life == Life::Live { 0 } else { entry.usn_changed }),
        ("isrecycled", if entry.life == Life::Recycled { entry.usn_changed } else { 0 }),
    ];
    for (name, usn) in own {
        let values = writing.values(id, name);
        let asked = selection.includes(name) && writing.view.may_read(id, name);
        if asked && usn > base && !values.is_empty() {
            put(list, state.shown(name), &values);
        }
    }
    if base > 0 && entry.usn_revived > base && entry.life == Life::Live && selection.includes("isdeleted") {
        put(list, "isDeleted", &[]);
    }
    for (name, stored) in &entry.attributes {
        let changed = if base == 0 { !stored.values.is_empty() } else { stored.usn > base };
        let fits = schema::is_replicated(name) && name.as_ref() != "instancetype" && name.as_ref() != rdn;
        if changed && fits && selection.includes(name) && writing.view.may_read(id, name) {
            put(list, state.shown(name), &writing.values(id, name));
        }
    }
    for (name, set) in &entry.links {
        if entry.life != Life::Live || !selection.includes(name) || !writing.view.may_read(id, name) {
            continue;
        }
        let shown = state.shown(name);
        let changes: Vec<_> = set.changed_since(base).filter(|link| base > 0 || link.present).collect();
        if changes.is_empty() {
            continue;
        }
        if !control.incremental_values() {
            put(list, shown, &writing.values(id, name));
            continue;
        }
        let live = writing.view.linked(id, name);
        let live: std::collections::HashSet<Guid> = live.into_iter().collect();
        for (present, option) in [(true, "range=1-1"), (false, "range=0-0")] {
            let side =
                changes.iter().filter(|link| link.present == present && (!present || live.contains(&link.target)));
            let values: Vec<_> = side.filter_map(|link| writing.link(link.target)).map(Cow::Owned).collect();
            if !values.is_empty() {
                put(list, &format!("{shown};{option}"), &values);
            }
        }
    }
    count
}

//! Writes objects as rows with the chosen properties; it knows no paging.

use super::ids::Ref;
use super::properties::{self, ID};
use super::state::State;

/// The places in a set of properties, rising.
pub(crate) fn places(mut set: u128) -> impl Iterator<Item = u8> {
    set &= !properties::MEMBERS;
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let place = u8::try_from(set.trailing_zeros()).ok()?;
        set &= set - 1;
        Some(place)
    })
}

/// What of a row is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    /// The kind and the id; the rest as if it were never set.
    Limited,
}

/// Opens a row with its type where several kinds stand together; the caller closes it.
pub(crate) fn open(state: &State, object: Ref, set: u128, typed: bool, detail: Detail, out: &mut Vec<u8>) {
    out.push(b'{');
    if typed {
        out.extend_from_slice(b"\"@odata.type\":\"");
        out.extend_from_slice(object.kind().odata_type().as_bytes());
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(b"\"id\":");
    let open = state.open(object);
    open.write(ID, out);
    let table = properties::of(object.kind());
    for place in places(set & !1) {
        let Some(property) = table.get(usize::from(place)) else { continue };
        out.extend_from_slice(b",\"");
        out.extend_from_slice(property.name.as_bytes());
        out.extend_from_slice(b"\":");
        match detail {
            Detail::Full => {
                let at = out.len();
                open.write(place, out);
                // Who never signed in has no such property.
                if property.name == "signInActivity" && out[at..] == *b"null" {
                    out.truncate(at - property.name.len() - 4);
                }
            }
            Detail::Limited => out.extend_from_slice(property.absent.as_bytes()),
        }
    }
}

pub(crate) fn row(state: &State, object: Ref, set: u128, typed: bool, detail: Detail, out: &mut Vec<u8>) {
    open(state, object, set, typed, detail, out);
    out.push(b'}');
}

/// Opens a row of delta: what was never set is left out, what was cleared is null; the caller closes it.
pub(crate) fn open_changed(state: &State, object: Ref, set: u128, changed: u128, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    let open = state.open(object);
    open.write(ID, out);
    let table = properties::of(object.kind());
    for place in places(set & !1) {
        let Some(property) = table.get(usize::from(place)) else { continue };
        let at = out.len();
        out.extend_from_slice(b",\"");
        out.extend_from_slice(property.name.as_bytes());
        out.extend_from_slice(b"\":");
        let value = out.len();
        open.write(place, out);
        if out[value..] == *b"null" && changed >> place & 1 == 0 {
            out.truncate(at);
        }
    }
}

//! What a fuzzer may call: the readers of pages, refusals, key files and resume points, each with what must hold of its
//! answers.
//!
//! It exists under `cfg(fuzzing)` and in tests only, is no part of the interface, and must not hold a reader of its own.

#![allow(missing_docs, clippy::missing_panics_doc, reason = "a panic is how a fuzzer is told")]

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tenantry::endpoint::{Checkpoint, Cursor};
use tenantry::model::{Patch, Value, names};
use tenantry::{ErrorKind, Retry, Secret};
use tenantry_http::Answer;

use crate::cursor::{Position, Since};
use crate::map::{self, Units};
use crate::operation::Operation;
use crate::wire::{self, ChromeOs, Member, MembersPage, Mobile, Page, salvaged_id};

/// Whatever a page holds, each of its items gives a patch that makes sense or is set aside; an id that is read is the one
/// that is salvaged.
pub fn page(bytes: &[u8]) {
    let Ok(page) = serde_json::from_slice::<Page>(bytes) else { return };
    assert!(page.next().is_none_or(|next| !next.is_empty()));
    // Read in place, or item by item, members are the same.
    if let Ok(members) = serde_json::from_slice::<MembersPage<'_>>(bytes)
        && !members.members.is_empty()
    {
        let ids: Vec<_> = page.items.iter().map(|item| salvaged_id(item).unwrap_or_default()).collect();
        assert!(members.members.iter().map(|member| &*member.id).eq(ids.iter().map(String::as_str)));
    }
    let units: Units = Some([("/".to_owned(), "id:1".to_owned())].into());
    for item in &page.items {
        let id = salvaged_id(item);
        let check = |patch: Patch| {
            assert!(id.is_some());
            for (_, value) in patch.attributes.iter().chain(patch.observations.iter()) {
                // Empty is a value of its own: a text is never empty, and neither is a set.
                assert!(!matches!(value, Value::Text(text) if text.is_empty()));
                assert!(!matches!(value, Value::List(texts) if texts.is_empty()));
            }
            let primary = patch.attributes.text(&names::PRIMARY_EMAIL);
            assert!(primary.is_none_or(|address| address.contains('@')));
            if let Some(Value::List(aliases)) = patch.attributes.get(&names::ALIASES) {
                let other = |alias: &str| primary.is_none_or(|primary| !primary.eq_ignore_ascii_case(alias));
                assert!(aliases.iter().all(|alias| alias.contains('@') && other(alias)));
            }
            assert!(patch.container.as_deref().is_none_or(|path| path.starts_with('/')));
        };
        if let Some(user) = wire::user(item) {
            check(map::user(&user, &units));
        }
        if let Some(group) = wire::group(item) {
            check(map::group(&group));
        }
        if let Ok(device) = serde_json::from_str::<ChromeOs>(item.get()) {
            let owner = Value::text(device.owner());
            let _ = map::chromeos(&device, Some(owner), &units);
        }
        if let Ok(device) = serde_json::from_str::<Mobile>(item.get()) {
            let owner = Value::text(device.owner());
            let _ = map::mobile(&device, Some(owner));
        }
        if let Ok(member) = serde_json::from_str::<Member<'_>>(item.get()) {
            let (read, domain) = map::member(&member);
            assert_eq!(read.id.to_string(), member.id);
            assert!(domain.is_none_or(|domain| !domain.contains('@')));
        }
    }
}

/// A refusal is never taken for success, never waits longer than a day, and names what is missing where a right is.
pub fn refusal(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let statuses = [400, 401, 403, 404, 409, 410, 412, 429, 500, 502, 503, 504];
    let status = StatusCode::from_u16(statuses[usize::from(*first) % statuses.len()]).expect("a status");
    let answer = Answer { status, headers: HeaderMap::new(), body: body.to_vec().into() };
    for operation in [Operation::ListUsers, Operation::ReadLog, Operation::ReadUser] {
        let error = crate::error::refused(operation, &answer, 1_768_478_400_000);
        match error.kind() {
            ErrorKind::PermissionDenied { missing } => assert!(!missing.is_empty()),
            ErrorKind::NotFound => assert!(status == 404 || status == 410),
            _ => {}
        }
        if let Retry::After(wait) = error.retry() {
            assert!(wait.as_secs() <= 86_400);
        }
        assert!(!format!("{error}").contains('\n'));
    }
}

/// A resume point that is read is written and read as the same again, be it of a listing or between runs.
pub fn cursor(bytes: &[u8]) {
    if let Some(since) = Since::read(&Cursor::new(2, bytes)) {
        assert_eq!(Since::read(&since.write()).as_ref(), Some(&since));
        let _ = crate::delta::freshness(&since);
    }
    if let Ok(position) = Position::read(&Checkpoint::new(3, bytes)) {
        assert_eq!(Position::read(&position.write()).expect("what is written can be read"), position);
    }
}

/// Whatever a key file holds is a key or a matter of the configuration, and is not repeated; but for the address that tokens
/// are asked of, which is no secret and told where it is none.
pub fn key(bytes: &[u8]) {
    const SECRET: &str = "k4n4ri";
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = crate::check_key(&Secret::new(text), false) {
        assert_eq!(*error.kind(), ErrorKind::Config);
        let told = format!("{error} {error:?}");
        let file: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let is_in_address = file["token_uri"].as_str().is_some_and(|address| address.contains(SECRET));
        assert!(!told.contains(SECRET) || is_in_address, "{told}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a seed with a few of them changed, the same for a number.
    fn changed(seed: &[u8], mut number: u64) -> Vec<u8> {
        let mut next = move |end: usize| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((number >> 33) % end.max(1) as u64).unwrap()
        };
        let mut bytes = seed.to_vec();
        for _ in 0..next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = b"\"{}[]:,0\\u"[next(10)],
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[next(bytes.len())]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    }

    #[test]
    fn what_fuzzing_begins_with_holds_also_when_a_few_bytes_are_others() {
        type Door = fn(&[u8]);
        let names = ["google_page", "google_refusal", "google_cursor", "google_key"];
        for (name, door) in names.into_iter().zip([page as Door, refusal, cursor, key]) {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
            for seed in std::fs::read_dir(folder).unwrap() {
                let seed = std::fs::read(seed.unwrap().path()).unwrap();
                (0..300).for_each(|number| door(&changed(&seed, number)));
            }
        }
    }
}

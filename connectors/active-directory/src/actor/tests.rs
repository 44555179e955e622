//! What an action changes, without a server.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn entry(flags: i64, more: &[(&str, &str)]) -> Entry {
    let flags = flags.to_string();
    let all = more.iter().copied().chain([(FLAGS, flags.as_str())]);
    Entry::new("CN=anna,DC=corp,DC=example", all.map(|(name, value)| (name, [value])))
}

fn changes(action: Action, entry: &Entry) -> Vec<Change> {
    match wanted(action, entry, NOW) {
        Ok(Wanted::Changes(changes)) => changes,
        Ok(Wanted::Nothing) => Vec::new(),
        Err(refusal) => panic!("{refusal}"),
    }
}

fn from_to(old: i64, new: i64) -> Vec<Change> {
    vec![Change::delete(FLAGS, [old.to_string()]), Change::add(FLAGS, [new.to_string()])]
}

#[test]
fn an_account_whose_password_never_expires_keeps_that_when_it_is_disabled() {
    assert_eq!(changes(Action::Suspend, &entry(66_048, &[])), from_to(66_048, 66_050));
    assert_eq!(changes(Action::Resume, &entry(66_050, &[])), from_to(66_050, 66_048));
}

proptest! {
    #[test]
    fn whatever_the_flags_are_one_changes_and_all_others_stay(flags: i32) {
        let flags = i64::from(flags);
        let expected = |new| if new == flags { Vec::new() } else { from_to(flags, new) };
        prop_assert_eq!(changes(Action::Suspend, &entry(flags, &[])), expected(flags | 2));
        prop_assert_eq!(changes(Action::Resume, &entry(flags, &[])), expected(flags & !2));
    }
}

#[test]
fn a_lock_out_that_has_ended_by_itself_is_none() {
    let ended = entry(512, &[(LOCKOUT, "132000000000000000"), (COMPUTED, "0")]);
    assert_eq!(changes(Action::Unlock, &ended), []);
    let lasting = entry(512, &[(LOCKOUT, "132000000000000000"), (COMPUTED, "16")]);
    assert_eq!(changes(Action::Unlock, &lasting), [Change::replace(LOCKOUT, ["0"])]);
}

#[test]
fn nothing_is_changed_by_guess() {
    let silent = Entry::new("CN=anna,DC=corp,DC=example", [("cn", ["anna"])]);
    for action in [Action::Suspend, Action::Resume, Action::Unlock, Action::ForcePasswordChange] {
        let refusal = wanted(action, &silent, NOW).err().expect("nothing is known");
        assert!(matches!(refusal.kind(), ErrorKind::PermissionDenied { missing } if !missing.is_empty()), "{refusal}");
    }
    for action in [Action::Unlock, Action::ForcePasswordChange] {
        assert!(wanted(action, &entry(512, &[]), NOW).is_err(), "{action}");
    }
}

#[test]
fn a_password_that_never_expires_is_not_forced_and_the_remedy_is_told() {
    let never = entry(66_048, &[(PASSWORD_SET, "132000000000000000")]);
    let refusal = wanted(Action::ForcePasswordChange, &never, NOW).err().expect("a refusal");
    assert!(refusal.message().contains("clear \"password never expires\""), "{refusal}");
}

#[test]
fn what_enabling_does_not_help_is_refused() {
    let expired = entry(514, &[("accountExpires", "132000000000000000")]);
    assert!(wanted(Action::Resume, &expired, NOW).is_err());
    let never = entry(514, &[("accountExpires", "9223372036854775807")]);
    assert_eq!(changes(Action::Resume, &never), from_to(514, 512));
    let shared = entry(514, &[("msExchRecipientTypeDetails", "4")]);
    assert!(wanted(Action::Resume, &shared, NOW).is_err());
}

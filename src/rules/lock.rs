//! Who may change an attribute: its owner's import, or a local editor. It changes nothing.

use std::collections::BTreeSet;

use crate::model::names::{self, Shape};
use crate::model::{AttributeName, EndpointName, GroupKind, Lock, ObjectKind, Refusal, Value};

/// What a directory says of an account: nobody else can make it true.
static FACTS: [AttributeName; 7] = [
    names::KIND,
    names::STATE,
    names::MFA,
    names::LOCKED_OUT,
    names::MUST_CHANGE_PASSWORD,
    names::OWNER,
    names::ENABLED,
];

/// What a local editor wants of one attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish<'a> {
    /// To change it somehow.
    Change,
    /// To set it.
    Set(&'a Value),
    /// To take its local value back.
    Withdraw,
}

/// Who gives the value of an attribute that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The endpoint.
    pub(crate) by: &'a EndpointName,
    /// Whether it leaves the attribute to local editors.
    pub(crate) yielded: bool,
}

/// Tells why an attribute of a record must stay as it is. `given` says which object of the record knows it, if one does.
pub(crate) fn refusal(
    kind: ObjectKind,
    lock: Option<&Lock>,
    given: Option<Given<'_>>,
    name: &AttributeName,
    wish: Wish<'_>,
) -> Option<Refusal> {
    let refuse = |reason, remedy| Some(Refusal { attribute: name.clone(), owner: None, reason, remedy });
    if *name == names::TAGS {
        return refuse("tags are set as a whole", "set the record's tags");
    }
    let shape = match (names::shape(kind, name), names::wrong(kind, name)) {
        // What is there of such a name can be taken back, and what an endpoint calls so is called so.
        (Some(shape), Some(_)) if matches!(wish, Wish::Withdraw) || given.is_some() => shape,
        (_, Some((reason, remedy))) => return refuse(reason, remedy),
        (shape, None) => shape?,
    };
    if let Some(lock) = lock
        && is_locked(lock, given, name)
    {
        return Some(locked(given.map_or(&lock.endpoint, |given| given.by), name));
    }
    match wish {
        Wish::Set(value) => wrong_value(kind, lock, shape, name, value),
        Wish::Withdraw if lock.is_none() && (*name == names::KIND || *name == names::STATE) => {
            refuse("a record always has one", "set another value")
        }
        _ => None,
    }
}

/// Returns the refusal of an attribute that an endpoint owns.
pub(crate) fn locked(owner: &EndpointName, name: &AttributeName) -> Refusal {
    Refusal {
        attribute: name.clone(),
        owner: Some(owner.clone()),
        reason: "the attribute is locked by the endpoint that owns the record",
        remedy: if FACTS.contains(name) {
            remedy_of_fact(name)
        } else {
            "change it there, or have the endpoint yield it"
        },
    }
}

/// Tells how somebody makes true what only the directory can say.
fn remedy_of_fact(name: &AttributeName) -> &'static str {
    if *name == names::STATE {
        "change it there, or ask for it there: suspend or resume the account"
    } else if *name == names::LOCKED_OUT {
        "change it there, or ask for it there: unlock the account"
    } else if *name == names::MUST_CHANGE_PASSWORD {
        "change it there, or ask for it there: force-password-change"
    } else {
        "change it there"
    }
}

/// Tells whether an endpoint keeps an attribute to itself: all that it does not yield, and that is not purely local.
fn is_locked(lock: &Lock, given: Option<Given<'_>>, name: &AttributeName) -> bool {
    let yielded = lock.yielded.iter().any(|yielded| yielded == name.as_str());
    // Of the contract's attributes an endpoint may learn any time; others are its own only where it gives them.
    !yielded && given.map_or(name.as_extra().is_none(), |given| !given.yielded)
}

fn wrong_value(
    kind: ObjectKind,
    lock: Option<&Lock>,
    shape: Shape,
    name: &AttributeName,
    value: &Value,
) -> Option<Refusal> {
    let refuse = |reason, remedy| Some(Refusal { attribute: name.clone(), owner: None, reason, remedy });
    let fits = match (shape, value) {
        (Shape::OneOf(known), Value::Text(text)) => known(text),
        (Shape::OneOf(_), _) => false,
        (Shape::Free, _) => true,
        (_, Value::Empty) => true,
        (Shape::Text, Value::Text(_)) | (Shape::List, Value::List(_)) | (Shape::Bool, Value::Bool(_)) => true,
        _ => false,
    };
    if !fits {
        return refuse("the value is of another sort than the attribute", "see the attribute's description");
    }
    let addresses: &[Box<str>] = match value {
        Value::Text(text) if *name == names::PRIMARY_EMAIL || *name == names::EMAIL => std::slice::from_ref(text),
        Value::List(items) if *name == names::ALIASES => items,
        _ => &[],
    };
    if addresses.iter().any(|address| !is_address(address)) {
        return refuse("this is no mail address", "write it as name@domain");
    }
    if kind == ObjectKind::Group
        && *name == names::KIND
        && lock.is_none()
        && value.as_text() != Some(GroupKind::Manual.as_str())
    {
        return refuse("a group that nobody owns is a manual one", "leave its kind as it is");
    }
    None
}

/// Tells why an endpoint cannot yield an attribute.
pub(crate) fn unyieldable(name: &AttributeName) -> Option<Refusal> {
    let refuse = |reason, remedy| Some(Refusal { attribute: name.clone(), owner: None, reason, remedy });
    if FACTS.contains(name) {
        return refuse("only the directory can say this of an account", "leave it to the endpoint");
    }
    if *name == names::TAGS {
        return refuse("tags never belong to an endpoint", "set the record's tags");
    }
    if name.as_extra().is_some_and(|extra| !extra.trim().is_empty()) {
        // How endpoints call what they give is theirs.
        return None;
    }
    let mut wrong = ObjectKind::ALL.iter().map(|kind| names::wrong(*kind, name));
    let first = wrong.next().flatten()?;
    wrong.all(|wrong| wrong.is_some()).then_some(first).and_then(|(reason, remedy)| refuse(reason, remedy))
}

/// Tells what is wrong with one of these tags.
pub(crate) fn wrong_tag(tags: &BTreeSet<String>) -> Option<&'static str> {
    let wrong = |tag: &String| {
        tag.is_empty() || tag.len() > 128 || tag.chars().any(|c| c.is_control() || matches!(c, ',' | ';'))
    };
    tags.iter().any(wrong).then_some("a tag is 1 to 128 bytes without comma, semicolon and control characters")
}

/// Tells whether a text can be a mail address: one part, an `@`, a domain without blanks.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && text.len() <= 254
        && !domain.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>'))
        && !local.contains('@')
        && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(yielded: &[&str]) -> Lock {
        Lock {
            endpoint: EndpointName::new("ad").unwrap(),
            others: Vec::new(),
            yielded: yielded.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_locked_attribute_is_refused_with_owner_attribute_and_remedy() {
        let lock = lock(&[]);
        let given = Some(Given { by: &lock.endpoint, yielded: false });
        let refused = refusal(ObjectKind::User, Some(&lock), given, &names::FIRST_NAME, Wish::Change).expect("locked");
        assert_eq!(refused.owner.as_ref().unwrap().as_str(), "ad");
        let error = crate::Error::from(refused);
        assert_eq!(*error.kind(), crate::ErrorKind::Locked);
        assert_eq!((error.context("owner"), error.context("attribute")), (Some("ad"), Some("first_name")));
        assert!(error.message().contains("yield"), "{error}");
    }

    #[test]
    fn only_what_is_yielded_or_purely_local_may_be_edited_on_a_locked_record() {
        let room = AttributeName::extra("room");
        for (yielded, given, name, allowed) in [
            (&["first_name"][..], true, &names::FIRST_NAME, true),
            (&["first_name"], true, &names::LAST_NAME, false),
            // Not known yet: the owner may learn it any time.
            (&[], false, &names::LAST_NAME, false),
            (&[], false, &room, true),
            (&[], true, &room, false),
            (&["attributes.room"], true, &room, true),
            (&[], false, &names::TAGS, false),
            (&[], false, &names::DNS_NAME, false),
            (&[], false, &AttributeName::parse("identities"), false),
        ] {
            let ad = EndpointName::new("ad").unwrap();
            let giver = given.then_some(Given { by: &ad, yielded: false });
            let refused = refusal(ObjectKind::User, Some(&lock(yielded)), giver, name, Wish::Change);
            assert_eq!(refused.is_none(), allowed, "{yielded:?} {given} {name}: {refused:?}");
        }
    }

    #[test]
    fn who_gives_an_attribute_owns_it_and_may_leave_it_to_local_editors() {
        let (cloud, room) = (EndpointName::new("cloud").unwrap(), AttributeName::extra("room"));
        let asked = |yielded| {
            let given = Some(Given { by: &cloud, yielded });
            refusal(ObjectKind::User, Some(&lock(&[])), given, &room, Wish::Change)
        };
        assert_eq!(asked(false).unwrap().owner.unwrap(), cloud);
        assert_eq!(asked(true), None);
    }

    #[test]
    fn values_of_another_sort_are_refused_also_where_nobody_owns_the_record() {
        let user = |name: &AttributeName, value: &Value| {
            refusal(ObjectKind::User, None, None, name, Wish::Set(value)).is_none()
        };
        for (name, value, allowed) in [
            (names::PRIMARY_EMAIL, "ann@corp.example".into(), true),
            (names::PRIMARY_EMAIL, Value::Empty, true),
            (names::PRIMARY_EMAIL, "ann".into(), false),
            (names::PRIMARY_EMAIL, "a b@corp.example".into(), false),
            (names::PRIMARY_EMAIL, "ann@corp..example".into(), false),
            (names::PRIMARY_EMAIL, true.into(), false),
            (names::ALIASES, Value::list(["a@corp.example", "b"]), false),
            (names::ALIASES, Value::list(["a@corp.example"]), true),
            (names::STATE, "staged".into(), true),
            (names::STATE, "asleep".into(), false),
            (names::STATE, Value::Empty, false),
            (names::LOCKED_OUT, true.into(), true),
            (AttributeName::extra("floor"), Value::Int(3), true),
        ] {
            assert_eq!(user(&name, &value), allowed, "{name} {value:?}");
        }
        let group = |value: &str| refusal(ObjectKind::Group, None, None, &names::KIND, Wish::Set(&value.into()));
        assert!(group("manual").is_none());
        assert!(group("endpoint").is_some());
        assert!(refusal(ObjectKind::User, None, None, &names::STATE, Wish::Withdraw).is_some());
        assert!(refusal(ObjectKind::User, None, None, &names::LAST_NAME, Wish::Withdraw).is_none());
    }

    #[test]
    fn names_that_nobody_can_read_or_that_the_contract_has_are_refused_and_own_ones_are_not() {
        let (long, longest) = ("x".repeat(129), "x".repeat(128));
        for (kind, name, remedy) in [
            (ObjectKind::User, "", "attributes.NAME"),
            (ObjectKind::User, "attributes.", "behind attributes."),
            (ObjectKind::User, "attributes. ", "one word"),
            (ObjectKind::User, "attributes.room 1", "one word"),
            (ObjectKind::User, "attributes.room\u{1b}[2J", "one word"),
            (ObjectKind::User, "attributes.room=1", "one word"),
            (ObjectKind::User, &format!("attributes.{long}"), "128 bytes"),
            (ObjectKind::User, "attributes.primary_email", "did you mean primary_email?"),
            (ObjectKind::Group, "attributes.description", "did you mean description?"),
            (ObjectKind::User, "attributes.id", "another name"),
            (ObjectKind::User, "attributes.lock", "another name"),
            (ObjectKind::User, "id", "leave it"),
            (ObjectKind::User, "identities", "leave it"),
            (ObjectKind::User, "archived", "archive the user"),
            (ObjectKind::User, "frist_name", "did you mean first_name?"),
            (ObjectKind::User, "First-Name", "did you mean first_name?"),
            (ObjectKind::Group, "nmae", "did you mean name?"),
            (ObjectKind::User, "dns_nmae", "attributes.NAME"),
            (ObjectKind::User, "shoe_size", "attributes.NAME"),
        ] {
            let parsed = AttributeName::parse(name);
            for wish in [Wish::Change, Wish::Set(&"x".into())] {
                let refused = refusal(kind, None, None, &parsed, wish).unwrap_or_else(|| panic!("{name:?}"));
                assert!(refused.remedy.contains(remedy), "{name:?}: {refused}");
                assert_eq!((refused.attribute.as_str(), &refused.owner), (name, &None));
            }
            // What is there of such a name can be taken back.
            let withdrawn = refusal(kind, None, None, &parsed, Wish::Withdraw);
            assert_eq!(withdrawn.is_none(), name.starts_with("attributes."), "{name:?}");
        }
        for (kind, name) in [
            (ObjectKind::User, "attributes.frist_name"),
            (ObjectKind::User, "attributes.description"),
            (ObjectKind::Group, "attributes.aliases"),
            (ObjectKind::User, "attributes.b\u{fc}ro"),
            (ObjectKind::User, "attributes.Badge.number-2"),
            (ObjectKind::User, &format!("attributes.{longest}")),
        ] {
            assert_eq!(refusal(kind, None, None, &AttributeName::parse(name), Wish::Set(&"x".into())), None, "{name}");
        }
        let ad = EndpointName::new("ad").unwrap();
        let given = Some(Given { by: &ad, yielded: true });
        let named = AttributeName::extra("room 1");
        assert_eq!(refusal(ObjectKind::User, Some(&lock(&[])), given, &named, Wish::Set(&"x".into())), None);
        // What connectors tell beyond the contract is taken for no slip.
        for extra in ["city", "company", "country", "manager", "mobile", "office", "room", "scope", "status", "title"] {
            assert!(ObjectKind::ALL.iter().all(|kind| names::meant(*kind, extra).is_none()), "{extra}");
        }
    }

    #[test]
    fn the_remedy_for_what_only_a_directory_can_say_is_never_to_yield_it() {
        let lock = lock(&[]);
        let given = Some(Given { by: &lock.endpoint, yielded: false });
        for (name, remedy) in [
            (names::STATE, "suspend or resume"),
            (names::LOCKED_OUT, "unlock"),
            (names::MUST_CHANGE_PASSWORD, "force-password-change"),
            (names::MFA, "change it there"),
            (names::KIND, "change it there"),
        ] {
            let refused = refusal(ObjectKind::User, Some(&lock), given, &name, Wish::Change).expect("locked");
            assert_eq!(refused.owner.as_ref(), Some(&lock.endpoint));
            assert!(refused.remedy.contains(remedy) && !refused.remedy.contains("yield"), "{refused}");
        }
        for name in [names::OWNER, names::ENABLED] {
            let refused = refusal(ObjectKind::Computer, Some(&lock), given, &name, Wish::Change).expect("locked");
            assert_eq!(refused.remedy, "change it there");
        }
    }

    #[test]
    fn what_only_a_directory_can_say_is_never_yielded() {
        for (name, allowed) in [
            (names::STATE, false),
            (names::MFA, false),
            (names::TAGS, false),
            (AttributeName::parse("lock"), false),
            (AttributeName::parse("frist_name"), false),
            (AttributeName::extra(""), false),
            (AttributeName::extra(" "), false),
            (AttributeName::extra("room 1"), true),
            (AttributeName::extra("description"), true),
            (names::FIRST_NAME, true),
            (names::DESCRIPTION, true),
            (AttributeName::extra("room"), true),
        ] {
            assert_eq!(unyieldable(&name).is_none(), allowed, "{name}");
        }
    }
}

//! What differs between two images of one object, as far as the guard has to know.

use crate::model::{AttributeName, Attributes, ObjectKind, UserState, Value, names};

/// Changes of one object that the guard counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Losses {
    /// Attributes that had a value and become empty.
    pub(crate) cleared: Vec<AttributeName>,
    /// The account was usable and no longer is.
    pub(crate) suspended: bool,
}

/// Finds the losses between the stored image and a new one.
pub(crate) fn losses(kind: ObjectKind, stored: &Attributes, new: &Attributes) -> Losses {
    let cleared = new
        .iter()
        .filter(|(name, value)| value.is_empty() && stored.get(name).is_some_and(|old| !old.is_empty()))
        .map(|(name, _)| name.clone())
        .collect();
    let state = |attributes: &Attributes| attributes.text(&names::STATE).and_then(UserState::from_spelling);
    let enabled = |attributes: &Attributes| attributes.get(&names::ENABLED).and_then(Value::as_bool);
    let suspended = match kind {
        ObjectKind::User => {
            state(stored).is_some_and(|s| s != UserState::Suspended) && state(new) == Some(UserState::Suspended)
        }
        ObjectKind::Computer => enabled(stored) == Some(true) && enabled(new) == Some(false),
        ObjectKind::Group => false,
    };
    Losses { cleared, suspended: suspended && kind == ObjectKind::User }
}

/// Puts back what the guard holds: the image keeps its old values for these attributes.
pub(crate) fn hold_back(stored: &Attributes, new: &mut Attributes, held: &[AttributeName]) {
    for name in held {
        match stored.get(name) {
            Some(old) => new.set(name.clone(), old.clone()),
            None => {
                new.forget(name);
            }
        }
    }
}

/// Checks the attributes of an object against the contract's list; names the first that does not fit.
pub(crate) fn misfit(kind: ObjectKind, attributes: &Attributes) -> Option<String> {
    attributes.iter().find_map(|(name, value)| {
        let Some(shape) = names::shape(kind, name) else { return Some(format!("a {kind} has no attribute {name}")) };
        let fits = match (shape, value) {
            (names::Shape::OneOf(known), Value::Text(text)) => known(text),
            (names::Shape::OneOf(_), _) => false,
            (names::Shape::Free, _)
            | (names::Shape::Text, Value::Text(_) | Value::Empty)
            | (names::Shape::List, Value::List(_) | Value::Empty)
            | (names::Shape::Bool, Value::Bool(_) | Value::Empty) => true,
            _ => false,
        };
        (!fits).then(|| format!("attribute {name} of a {kind} cannot hold what was read"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleared_and_suspended_are_losses_and_unknown_is_not() {
        let stored: Attributes = [
            (names::PRIMARY_EMAIL, "a@b.example".into()),
            (names::FIRST_NAME, "Ann".into()),
            (names::STATE, UserState::Active.into()),
        ]
        .into_iter()
        .collect();
        let new: Attributes =
            [(names::PRIMARY_EMAIL, Value::Empty), (names::STATE, UserState::Suspended.into())].into_iter().collect();
        let found = losses(ObjectKind::User, &stored, &new);
        assert_eq!(found.cleared, [names::PRIMARY_EMAIL]);
        assert!(found.suspended);
    }

    #[test]
    fn a_value_of_the_wrong_shape_is_named() {
        let attributes: Attributes = [(names::STATE, "asleep".into())].into_iter().collect();
        assert!(misfit(ObjectKind::User, &attributes).unwrap().contains("state"));
        let attributes: Attributes = [(names::DNS_NAME, "x".into())].into_iter().collect();
        assert!(misfit(ObjectKind::User, &attributes).unwrap().contains("dns_name"));
    }
}
